//! Postfix 3.7 and 3.10 of Debian as senders: the levels of `smtp_tls_security_level`.
//!
//! Postfix sets the security level of OpenSSL itself: 0 where it does not verify, 1 where it does (`tls_client_start()`).

use super::{
    Demand, Dns, Fate, Host, Prediction, Sender, UNASKED,
    client::{Client, POSTFIX, POSTFIX_DANE, POSTFIX_VERIFYING},
    dns::{Dane, Verifier, Way},
    host::Tls,
    where_possible,
};
use crate::finding::ResultType;

pub(super) const ALL: &[Sender] = &[
    Sender {
        id: "postfix-none",
        product: "Postfix",
        policy: "none",
        demand: Demand::Nothing,
        source: "postconf(5), smtp_tls_security_level",
        judge: none,
    },
    Sender {
        id: "postfix-may",
        product: "Postfix",
        policy: "may",
        demand: Demand::IfPossible,
        source: "Postfix TLS_README, Opportunistic TLS; after a failed handshake without TLS: smtp.h, PLAINTEXT_FALLBACK_OK_AFTER_STARTTLS_FAILURE",
        judge: may,
    },
    Sender {
        id: "postfix-encrypt",
        product: "Postfix",
        policy: "encrypt",
        demand: Demand::Encryption,
        source: "Postfix TLS_README, Mandatory TLS encryption",
        judge: encrypt,
    },
    Sender {
        id: "postfix-verify",
        product: "Postfix",
        policy: "verify",
        demand: Demand::Verification,
        source: "Postfix TLS_README, Mandatory server certificate verification",
        judge: verify,
    },
    Sender {
        id: "postfix-secure",
        product: "Postfix",
        policy: "secure",
        demand: Demand::Verification,
        source: "Postfix TLS_README, Secure server certificate verification; with the host itself as next hop",
        judge: verify,
    },
    Sender {
        id: "postfix-fingerprint",
        product: "Postfix",
        policy: "fingerprint",
        demand: Demand::Pin,
        source: "Postfix TLS_README, Certificate fingerprint verification; with the fingerprint of what is shown now",
        judge: fingerprint,
    },
    Sender {
        id: "postfix-dane",
        product: "Postfix",
        policy: "dane",
        demand: Demand::Dane,
        source: "Postfix TLS_README, Opportunistic DANE TLS; postconf(5), smtp_tls_dane_insecure_mx_policy; with a resolver that validates",
        judge: dane,
    },
    Sender {
        id: "postfix-dane-only",
        product: "Postfix",
        policy: "dane-only",
        demand: Demand::DaneAlways,
        source: "Postfix TLS_README, Mandatory DANE TLS; with a resolver that validates",
        judge: dane_only,
    },
];

fn none(host: &Host, _: Option<&Dns>) -> Prediction {
    match (host.why_unreachable(), &host.refuses_clear) {
        (Some(why), _) => Prediction::unknown(why),
        (None, Some(why)) => Prediction::because(Fate::Bounces, why.clone(), None),
        (None, None) => Prediction::of(Fate::Clear),
    }
}

/// It goes on in the clear in the same connection where STARTTLS is refused, and at the second attempt, after
/// `minimal_backoff_time`, where the handshake fails.
fn may(host: &Host, _: Option<&Dns>) -> Prediction {
    where_possible(host, &POSTFIX)
}

/// As others insist, but it takes the code of a refusal for that of the message.
fn insist(host: &Host, client: &Client, inside: impl FnOnce() -> Prediction) -> Prediction {
    match host.tls(client) {
        Tls::Refused { why, is_permanent: true } => Prediction::because(Fate::Bounces, why, ResultType::StarttlsNotSupported),
        _ => super::insist(host, client, inside),
    }
}

fn encrypt(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &POSTFIX, || Prediction::of(Fate::Encrypted))
}

fn verify(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &POSTFIX_VERIFYING, || Prediction::by_trust(host.trust(&POSTFIX_VERIFYING)))
}

fn fingerprint(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &POSTFIX_VERIFYING, || match host.leaf(&POSTFIX_VERIFYING) {
        Ok(_) => Prediction::of(Fate::Authenticated),
        Err(why) => Prediction::unknown(why),
    })
}

/// Where nothing is proven it is as good as `may`; where nothing can be used, as `encrypt`.
fn dane(host: &Host, dns: Option<&Dns>) -> Prediction {
    let Some(dns) = dns else { return Prediction::unknown(UNASKED) };
    let is_named_by_insecure_mx = match dns.way() {
        Way::Unknown(why) => return Prediction::unknown(why),
        way => way == Way::Insecure,
    };
    match dns.dane() {
        Dane::None(_) => may(host, None),
        Dane::Withheld(why) => Prediction::because(Fate::Defers, why, ResultType::DnssecInvalid),
        Dane::Unknown(why) => Prediction::unknown(why),
        Dane::Records { usable, .. } if usable.is_empty() => insist(host, &POSTFIX, || {
            let why = format!("{NONE_USABLE}, so that TLS alone is insisted on");
            Prediction::because(Fate::Encrypted, why, ResultType::TlsaInvalid)
        }),
        Dane::Records { usable, .. } => insist(host, &POSTFIX_DANE, || {
            let fits = Prediction::by_trust(dns.fits(host, &POSTFIX_DANE, Verifier::OpenSsl, &usable));
            match (fits.fate, is_named_by_insecure_mx) {
                // smtp_tls_dane_insecure_mx_policy: Postfix logs it as "Trusted" and not as "Verified".
                (Fate::Authenticated, true) => {
                    let why = "a TLSA record fits, and insecure MX records could have named another host";
                    Prediction::because(Fate::Encrypted, why, None)
                }
                _ => fits,
            }
        }),
    }
}

const NONE_USABLE: &str = "none of the TLSA records can be used";

/// Without records that can be used it waits for some.
fn dane_only(host: &Host, dns: Option<&Dns>) -> Prediction {
    let Some(dns) = dns else { return Prediction::unknown(UNASKED) };
    match (dns.way(), dns.dane()) {
        (Way::Insecure, _) => {
            Prediction::because(Fate::Defers, "the MX records are insecure".to_owned(), ResultType::DaneRequired)
        }
        (_, Dane::None(why)) => Prediction::because(Fate::Defers, why, ResultType::DaneRequired),
        (_, Dane::Records { usable, .. }) if usable.is_empty() => {
            Prediction::because(Fate::Defers, NONE_USABLE.to_owned(), ResultType::TlsaInvalid)
        }
        _ => dane(host, Some(dns)),
    }
}
