//! Exim 4.96 and 4.98 of Debian as senders: what the `smtp` transport insists on. Debian's build has GnuTLS.

use super::{
    Demand, Dns, Fate, Host, Prediction, Sender, UNASKED,
    client::{EXIM, EXIM_DANE},
    dns::{Dane, Verifier, Way},
    host::Trust,
    insist, where_possible,
};
use crate::{facts::Proof, finding::ResultType};

pub(super) const ALL: &[Sender] = &[
    Sender {
        id: "exim-default",
        product: "Exim",
        policy: "default",
        demand: Demand::IfPossible,
        source: "Exim specification, the smtp transport: tls_tempfail_tryclear; without a resolver that validates",
        judge: opportunistic,
    },
    Sender {
        id: "exim-require-tls",
        product: "Exim",
        policy: "hosts_require_tls",
        demand: Demand::Encryption,
        source: "Exim specification, the smtp transport: hosts_require_tls",
        judge: require_tls,
    },
    Sender {
        id: "exim-verify-hosts",
        product: "Exim",
        policy: "tls_verify_hosts",
        demand: Demand::Verification,
        source: "Exim specification, the smtp transport: hosts_require_tls, tls_verify_hosts, tls_verify_cert_hostnames",
        judge: verify_hosts,
    },
    Sender {
        id: "exim-dane",
        product: "Exim",
        policy: "hosts_try_dane",
        demand: Demand::Dane,
        source: "Exim specification, DANE; the default, where the resolver validates and resolv.conf says trust-ad",
        judge: try_dane,
    },
    Sender {
        id: "exim-require-dane",
        product: "Exim",
        policy: "hosts_require_dane",
        demand: Demand::DaneAlways,
        source: "Exim specification, DANE, and the smtp transport: hosts_require_dane; host.c, tlsa_lookup()",
        judge: require_dane,
    },
];

fn opportunistic(host: &Host, _: Option<&Dns>) -> Prediction {
    where_possible(host, &EXIM)
}

fn require_tls(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &EXIM, || Prediction::of(Fate::Encrypted))
}

fn verify_hosts(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &EXIM, || Prediction::by_trust(host.trust(&EXIM)))
}

/// DANE where MX records, addresses and TLSA records are all proven.
fn try_dane(host: &Host, dns: Option<&Dns>) -> Prediction {
    let Some(dns) = dns else { return Prediction::unknown(UNASKED) };
    match records(dns) {
        Dane::None(_) => opportunistic(host, None),
        other => by_records(host, dns, other),
    }
}

/// What is not proven to be there is given back at once, and no other host is tried; a lookup that fails is tried again.
fn require_dane(host: &Host, dns: Option<&Dns>) -> Prediction {
    let Some(dns) = dns else { return Prediction::unknown(UNASKED) };
    match records(dns) {
        Dane::None(why) => Prediction::because(Fate::Bounces, why, ResultType::DaneRequired),
        other => by_records(host, dns, other),
    }
}

fn records<'a>(dns: &Dns<'a>) -> Dane<'a> {
    match (dns.way(), dns.addresses()) {
        (Way::Unknown(why), _) => Dane::Unknown(why),
        (Way::Insecure, _) => Dane::None("the MX records are insecure".to_owned()),
        (_, Some(Proof::Insecure)) => Dane::None("the addresses are insecure".to_owned()),
        _ => dns.dane_of_first(),
    }
}

fn by_records(host: &Host, dns: &Dns, dane: Dane) -> Prediction {
    match dane {
        Dane::Withheld(why) => Prediction::because(Fate::Defers, why, ResultType::DnssecInvalid),
        Dane::None(why) | Dane::Unknown(why) => Prediction::unknown(why),
        Dane::Records { usable, .. } if usable.is_empty() => insist(host, &EXIM_DANE, || {
            let why = "none of the TLSA records can be used, so that TLS alone is insisted on";
            Prediction::because(Fate::Encrypted, why, ResultType::TlsaInvalid)
        }),
        Dane::Records { usable, .. } => {
            insist(host, &EXIM_DANE, || match dns.fits(host, &EXIM_DANE, Verifier::GnuTls, &usable) {
                Trust::Refused { why, result_type: ResultType::CertificateHostMismatch } => by_roots(host, why),
                trust => Prediction::by_trust(trust),
            })
        }
    }
}

/// Where the trust anchor is right and the name is not, Exim goes by its own roots, and by no name (tls-gnu.c,
/// verify_certificate()).
fn by_roots(host: &Host, why: String) -> Prediction {
    match host.path_trust(&EXIM_DANE) {
        Trust::Verified => {
            let why = format!("{why}; Exim then takes a certificate that its own roots vouch for, whatever it names");
            Prediction::because(Fate::Encrypted, why, ResultType::CertificateHostMismatch)
        }
        Trust::Refused { .. } => Prediction::because(Fate::Defers, why, ResultType::CertificateHostMismatch),
        Trust::Unknown(why) => Prediction::unknown(why),
    }
}
