//! What senders that ask DNS and the policy host learn of one MX host: DANE (RFC 7672) and MTA-STS (RFC 8461), as the rules
//! derive them.

use super::{certificate::Trust, client::Client, host::Host};
use crate::{
    dane::{Tlsa, Usage},
    facts::{Absence, Certificate, DnsAnswer, HostFacts, Observed, Proof},
    finding::ResultType,
    mta_sts::Policy,
    name::Name,
    rules::{DomainContext, deliveries},
};

pub(super) use crate::rules::deliveries::{Dane, Sts};

/// What a sender that gets different certificates makes of it.
const SEVERAL: &str = "the server has several certificates, and which one this sender gets is not known";

/// What DNS says of an MX host, and what its domain's policy of MTA-STS does.
pub struct Dns<'a> {
    context: &'a DomainContext<'a>,
    host: &'a HostFacts,
    policy: &'a Sts,
}

impl std::fmt::Debug for Dns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("host", &self.host.name).finish_non_exhaustive()
    }
}

/// What DNSSEC says of the way from the domain to its hosts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// The MX records are proven; or there is none, and the host is the domain.
    Secure,
    /// They prove nothing.
    Insecure,
    /// They are forged, or look so.
    Bogus(&'a str),
    /// It cannot be told.
    Unknown(String),
}

/// Which records of an RRset count, and what the certificate under a trust anchor must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verifier {
    /// OpenSSL, as Postfix asks it: of several digests of one thing the strongest alone counts (RFC 7671, 9).
    OpenSsl,
    /// GnuTLS, as Exim asks it: nothing counts but the certificate of the issuer, and the name of the host.
    GnuTls,
    /// One that keeps to RFC 7672, and may or may not weigh digests.
    Other,
}

impl<'a> Dns<'a> {
    pub(super) fn new(context: &'a DomainContext<'a>, host: &'a HostFacts, policy: &'a Sts) -> Self {
        Self { context, host, policy }
    }

    /// The MX records.
    pub(super) fn way(&self) -> Way<'a> {
        way(self.context)
    }

    /// The addresses of the host; none where there are none to speak of.
    pub(super) fn addresses(&self) -> Option<&'a Proof> {
        deliveries::address_proof(self.host)
    }

    /// Whether there are addresses of one family that are not bogus, whatever those of the other are.
    pub(super) fn has_an_address_that_stands(&self) -> bool {
        fn stands<T>(answer: &Observed<DnsAnswer<T>>) -> bool {
            answer.seen().is_some_and(|answer| !answer.records.is_empty() && !matches!(answer.whole_proof(), Proof::Bogus(_)))
        }
        stands(&self.host.v4) || stands(&self.host.v6)
    }

    /// Its TLSA records, where RFC 7672, 2.2.2 looks for them.
    pub(super) fn dane(&self) -> Dane<'a> {
        deliveries::dane(self.host)
    }

    /// The same for a sender that asks where an alias leads, and nowhere else.
    pub(super) fn dane_of_first(&self) -> Dane<'a> {
        deliveries::dane_of_first(self.host)
    }

    pub(super) fn policy(&self) -> &'a Sts {
        self.policy
    }

    /// Whether the policy lets mail go to the host (RFC 8461, 4.1).
    pub(super) fn is_allowed(&self, policy: &Policy) -> bool {
        policy.allows(&self.host.name)
    }

    /// Whether the certificate that a sender gets is the one that the TLSA records mean.
    pub(super) fn fits(&self, host: &Host, client: &Client, verifier: Verifier, usable: &[(&Tlsa, Usage)]) -> Trust {
        let base = deliveries::base_name(self.host);
        let first = self.host.tlsa.first().and_then(|lookup| Name::parse(lookup.base.as_str()).ok());
        let names: Vec<&Name> = match verifier {
            Verifier::GnuTls => first.iter().collect(),
            // The base domain, and where the domain is (RFC 7672, 3.2.2).
            Verifier::OpenSsl | Verifier::Other => base.iter().chain([&self.context.facts.domain]).collect(),
        };
        let strongest: Vec<(&Tlsa, Usage)> = usable.iter().filter(|(record, _)| !is_outdone(record, usable)).copied().collect();
        let judge = |records: &[(&Tlsa, Usage)]| {
            let now = self.context.now;
            let each = |chain: &&[Certificate]| trust(deliveries::fit(chain, records, &names, now), chain, verifier, records);
            one(host.chains(client).iter().map(each))
        };
        match verifier {
            Verifier::OpenSsl => judge(&strongest),
            Verifier::GnuTls => judge(usable),
            Verifier::Other => match (judge(usable), judge(&strongest)) {
                (one, other) if one == other => one,
                _ => Trust::Unknown("whether this sender takes the weaker of two digests is not known (RFC 7671, 9)".to_owned()),
            },
        }
    }

    /// Whether the certificate that a sender gets passes under MTA-STS (RFC 8461, 4.2). What its TLS makes of it counts as
    /// well: where the two differ, nobody knows.
    pub(super) fn passes(&self, host: &Host, client: &Client) -> Trust {
        let each =
            |chain: &&[Certificate]| match deliveries::web_pki(chain, &self.host.name, self.context.stores, self.context.now) {
                deliveries::WebPki::Valid => Trust::Verified,
                deliveries::WebPki::Unknown(why) => Trust::Unknown(why),
                deliveries::WebPki::Invalid(faults) => {
                    let result_type = faults.first().map_or(ResultType::ValidationFailure, |fault| fault.result_type);
                    let faults: Vec<&str> = faults.iter().map(|fault| fault.words.as_str()).collect();
                    Trust::Refused { why: format!("the certificate does not pass: {}", faults.join("; ")), result_type }
                }
            };
        match (one(host.chains(client).iter().map(each)), host.trust(client)) {
            (Trust::Verified, Trust::Verified) => Trust::Verified,
            (refused @ Trust::Refused { .. }, Trust::Refused { .. }) => refused,
            (unknown @ Trust::Unknown(_), _) | (_, unknown @ Trust::Unknown(_)) => unknown,
            (Trust::Refused { why, .. }, Trust::Verified) => {
                Trust::Unknown(format!("{why}; whether {} minds that is not known", client.name))
            }
            (Trust::Verified, Trust::Refused { why, .. }) => {
                Trust::Unknown(format!("{why}; whether {} minds that is not known", client.name))
            }
        }
    }
}

/// The MX records of a domain. Where there is none, mail goes to the domain itself, and no sender asks how that is proven.
pub(super) fn way<'a>(context: &DomainContext<'a>) -> Way<'a> {
    match &context.facts.mx {
        Observed::Seen(answer) => match answer.whole_proof() {
            Proof::Bogus(bogus) => Way::Bogus(bogus.text.as_str()),
            _ if answer.absence == Some(Absence::NoData) => Way::Secure,
            Proof::Secure => Way::Secure,
            Proof::Insecure => Way::Insecure,
            Proof::Indeterminate(why) => Way::Unknown(format!("the MX records are indeterminate: {why}")),
        },
        unseen => Way::Unknown(unseen.why_not()),
    }
}

/// Whether there is a stronger digest of the same thing.
fn is_outdone(record: &Tlsa, all: &[(&Tlsa, Usage)]) -> bool {
    let is_stronger = |(other, _): &(&Tlsa, Usage)| {
        (other.usage, other.selector, other.matching, record.matching) == (record.usage, record.selector, 2, 1)
    };
    all.iter().any(is_stronger)
}

/// What a sender makes of each of several certificates, where that is one and the same.
fn one(mut each: impl Iterator<Item = Trust>) -> Trust {
    let Some(first) = each.next() else { return Trust::Unknown("no certificate was seen".to_owned()) };
    let is_verified = first == Trust::Verified;
    match each.all(|other| (other == Trust::Verified) == is_verified && !matches!(other, Trust::Unknown(_))) {
        true => first,
        false => Trust::Unknown(SEVERAL.to_owned()),
    }
}

fn trust(fit: deliveries::Fit, chain: &[Certificate], verifier: Verifier, usable: &[(&Tlsa, Usage)]) -> Trust {
    use deliveries::Fit;
    let refused = |why: String, result_type| Trust::Refused { why, result_type };
    let anchored = |why: String| format!("a TLSA record means its trust anchor, and {why}");
    let is_gnutls = verifier == Verifier::GnuTls;
    // Of a path GnuTLS looks at the last step alone (libdane, verify_ca).
    let is_longer = chain.len() > 2;
    let not_followed = || {
        Trust::Unknown("GnuTLS looks at the issuer of the certificate alone, and what it makes of this is not known".to_owned())
    };
    match fit {
        Fit::Fits(_) => Trust::Verified,
        Fit::Unknown(why) => Trust::Unknown(why),
        Fit::Mismatch(_) => refused("no TLSA record fits the certificate".to_owned(), ResultType::TlsaInvalid),
        Fit::OutOfDate(_) | Fit::BadPath(_) if is_gnutls && is_longer => not_followed(),
        Fit::OutOfDate(why) => refused(anchored(why), ResultType::CertificateExpired),
        Fit::BadPath(why) => refused(why, ResultType::TlsaInvalid),
        // Where a record of usage 3 stands beside, Exim does not look at names.
        Fit::WrongName(_) if is_gnutls && usable.iter().any(|(_, usage)| *usage == Usage::EndEntity) => Trust::Verified,
        // Without a dNSName the CN may count.
        Fit::WrongName(why) if has_no_dns_name(chain) => Trust::Unknown(format!("{why}, and whether its CN counts is not known")),
        Fit::WrongName(why) => refused(anchored(why), ResultType::CertificateHostMismatch),
    }
}

fn has_no_dns_name(chain: &[Certificate]) -> bool {
    chain.first().and_then(|leaf| leaf.details().ok()).is_none_or(|leaf| leaf.dns_names().next().is_none())
}
