//! Practice 1: the certificate comes from a public CA.

use x509_parser::der_parser::{
    asn1_rs::{FromDer as _, Oid, Sequence},
    oid,
};

use super::{
    Context, Outcome, Violation, certificate_text,
    constraints::{self, Faults},
    each_path,
    path::{self, End, Judgement},
    renewal::last_root,
    revocation, rules,
    second_opinion::{self, Opinion},
    short,
};
use crate::facts::{Body, Certificate, CertificateDetails, Failure, Observed, Resource};

rules! {
    certificate_by_source,
    self_signed,
    private_ca,
    unknown_issuer,
    incomplete_chain,
    bad_signature,
    odd_salt,
    misordered_chain,
    invalid_path,
    anchor_not_a_root,
    server_gated_usage,
    key_identifier_mismatch,
    issuer_spelled_otherwise,
    key_usage_without_signature,
    leaf_is_ca,
    malformed_certificate,
    long_path,
    rare_critical_extension,
    oversized_chain,
    default_certificate,
    unrelated_certificate,
    certificate_revoked,
    revocation_unavailable,
    bad_staple,
    must_staple_without_staple,
    no_certificate_timestamps,
}

pub use issuer_spelled_otherwise::GNUTLS_TAKES_IT;
pub use malformed_certificate::GNUTLS_CANNOT_READ_IT;

/// Judges where the path of each view ends. Without a trust store, or where a signature
/// cannot be verified, no rule of this topic can tell.
fn each_end(context: &Context, judge: impl Fn(&[Certificate], &Judgement) -> Outcome) -> Outcome {
    each_path(context, |chain, judgement| match &judgement.end {
        End::Undecided(why) => Outcome::Undetermined(why.clone()),
        _ if context.stores.iter().all(|store| store.anchors.is_empty()) => {
            Outcome::Undetermined("no trust store was given, so nothing can be trusted or not".to_owned())
        }
        _ => judge(chain, judgement),
    })
}

/// What is known of an issuer that was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// With what was fetched the path leads to a root that the world trusts.
    Mended,
    /// There is nothing to be had that helps; why.
    Nowhere(String),
    /// It cannot be told; why.
    Unknown(String),
}

/// What came of fetching the issuer of a certificate: for evidence, and what it would mend.
struct Fetching {
    lines: Vec<String>,
    missing: Missing,
}

/// What is known of the issuer at which the first path of the facts ends too early; none where it does not.
pub fn missing_issuer(context: &Context) -> Option<Missing> {
    let chain = context.chains.iter().flatten().next()?;
    let index = match chain.judged(context)?.end {
        End::UnknownIssuer { index, .. } | End::Gap { index, .. } => index,
        End::Circle { .. } => return Some(Missing::Nowhere("the path leads back to itself, and to no root".to_owned())),
        _ => return None,
    };
    Some(fetching(context, chain.certificates, index).missing)
}

/// What came of fetching the issuer of a certificate, in words for evidence.
pub(super) fn fetched_lines(context: &Context, chain: &[Certificate], index: usize) -> Vec<String> {
    fetching(context, chain, index).lines
}

/// What came of fetching the issuer of a certificate.
fn fetching(context: &Context, chain: &[Certificate], index: usize) -> Fetching {
    let unread = |why: &str| Fetching { lines: Vec::new(), missing: Missing::Unknown(why.to_owned()) };
    let Some(details) = chain.get(index).and_then(|certificate| certificate.details().ok()) else {
        return unread("a certificate cannot be read");
    };
    let what = certificate_text(chain, index);
    let mut lines = Vec::new();
    // What a place says for good, and what came of those that could not be asked or read.
    let (mut is_to_be_had, mut unasked, mut unread_there) = (false, None, None);
    // Those above are fetched one after the other, each from where the one below it says.
    let mut below = vec![details.sha256.as_str()];
    let fetched = context.facts.fetched.iter().filter(|fetched| fetched.what == Resource::Issuer);
    for fetched in fetched {
        if !below.contains(&fetched.certificate.as_str()) {
            continue;
        }
        let url = short(fetched.url.as_str());
        lines.push(match fetched.answer.seen() {
            Some(Body::Issuer(issuer)) => match issuer.details() {
                Ok(details) => {
                    is_to_be_had = true;
                    below.push(&details.sha256);
                    format!("fetched from {url}: {}", short(details.subject.as_str()))
                }
                Err(_) if is_bundle(issuer.der()) => {
                    is_to_be_had = true;
                    format!(
                        "at {url} is a bundle of certificates (CMS), which is not read here; senders that fetch issuers read some"
                    )
                }
                Err(why) => {
                    let why = format!("what is to be had at {url} cannot be read as a certificate: {why}");
                    unread_there = Some(why.clone());
                    why
                }
            },
            _ => {
                let why = format!("could not be fetched from {url}: {}", fetched.answer.why_not());
                if !is_for_good(&fetched.answer) {
                    unasked = Some(why.clone());
                }
                why
            }
        });
    }
    if lines.is_empty() && details.ca_issuers.is_empty() {
        let why = format!("the issuer of {what} was not sent, and the certificate does not say where it can be fetched");
        return Fetching { lines, missing: Missing::Nowhere(why) };
    }
    if lines.is_empty() {
        let why = format!("the issuer of {what} was not sent; whether it can be fetched was not tried (--fetch-issuers)");
        return Fetching { lines, missing: Missing::Unknown(why) };
    }
    // Others may be able to read it.
    if let (false, Some(why)) = (is_to_be_had, unread_there) {
        return Fetching { lines, missing: Missing::Unknown(why) };
    }
    if !is_to_be_had {
        let why = format!("the issuer of {what} was not sent, and cannot be fetched from where the certificate says");
        return Fetching { lines, missing: unasked.map_or(Missing::Nowhere(why), Missing::Unknown) };
    }
    let (line, missing) = mending(context, chain);
    lines.push(line);
    Fetching { lines, missing }
}

/// Whether a place has said that it does not have what was asked for, to whoever asks.
fn is_for_good(answer: &Observed<Body>) -> bool {
    matches!(answer, Observed::Failed(Failure::Http(why)) if why.starts_with("HTTP status 4"))
}

/// What the chain would be with what was fetched, in words for evidence.
fn mending(context: &Context, chain: &[Certificate]) -> (String, Missing) {
    let mended = revocation::mended(context, chain);
    let judgement = path::judge(&mended, context.stores, context.now);
    // A certificate that is over, or that may not stand above others, mends nothing.
    let details = || judgement.path.iter().skip(1).filter_map(|index| mended.get(*index)?.details().ok());
    let is_over = |details: &CertificateDetails| details.not_after < context.now || details.not_before > context.now;
    let root = last_root(context.stores, &judgement);
    let is_over = details().any(is_over) || root.is_some_and(|root| root.details().is_ok_and(is_over));
    let Faults { found, doubt } = constraints::faults(&mended, &judgement, context.stores, context.now);
    let fault = found.into_iter().next();
    let nowhere = |line: String| (line.clone(), Missing::Nowhere(line));
    let unknown = |line: String| (line.clone(), Missing::Unknown(line));
    match (judgement.end, fault) {
        (End::Trusted { store, .. }, _) if is_over => nowhere(format!(
            "what was fetched leads to a root in {store}, and does not help: a certificate of that path is not valid now"
        )),
        (End::Trusted { store, .. }, Some(fault)) => {
            nowhere(format!("what was fetched leads to a root in {store}, and does not help: {fault}"))
        }
        (End::Trusted { .. }, None) if doubt.is_some() => {
            unknown(format!("whether what was fetched helps is not known: {}", doubt.unwrap_or_default()))
        }
        (End::Trusted { store, public: true }, None) => {
            (format!("with what was fetched the path leads to a root in {store}"), Missing::Mended)
        }
        (End::Trusted { store, public: false }, None) => {
            nowhere(format!("with what was fetched the path leads to a root in {store}, which the world does not trust"))
        }
        _ if revocation::fetched_issuers(context.facts).any(|issuer| is_bundle(issuer.der())) => {
            unknown("whether what was fetched leads to a trusted root is not known: a bundle is not read".to_owned())
        }
        (End::UnknownIssuer { index, .. }, _) if mended.get(index).is_some_and(path::is_self_signed) => {
            let subject = mended.get(index).and_then(|top| top.details().ok()).map(|top| short(top.subject.as_str()));
            nowhere(format!(
                "what was fetched leads to {}, which signed itself and is in no trust store: a private CA's",
                subject.unwrap_or_default()
            ))
        }
        (End::Undecided(why), _) => unknown(format!("whether what was fetched leads to a trusted root is not known: {why}")),
        _ => nowhere("what was fetched does not lead to a trusted root".to_owned()),
    }
}

/// Whether it is a CMS message of signed data, in which CAs publish several certificates at once (RFC 5280, 4.2.2.1; RFC 8551, 3.2.2).
fn is_bundle(der: &[u8]) -> bool {
    Sequence::from_der(der)
        .is_ok_and(|(_, message)| Oid::from_der(&message.content).is_ok_and(|(_, kind)| kind == oid!(1.2.840.113549.1.7.2)))
}

/// A violation of a rule that says "not trusted", with the second judge's dissent if there is one.
fn not_trusted(context: &Context, chain: &[Certificate], judgement: &Judgement, violation: Violation) -> Outcome {
    let dissents = second_opinion::ask(chain, judgement, context.stores, context.now) == Opinion::Accepts;
    Outcome::Violated(vec![if dissents && !matches!(judgement.end, End::Trusted { .. }) {
        violation.evidence("rustls-webpki finds a path to a trust anchor all the same")
    } else {
        violation
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Fetched, Observed},
        rules::test_facts::{World, wrap},
    };

    /// Nothing was read of it, so nobody knows where it leads.
    #[test]
    fn a_bundle_that_is_not_read_leads_nowhere_known() {
        let mut world = World::correct();
        world.chain.truncate(1);
        let kind = wrap(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
        let bundle = Certificate::from_der(&wrap(0x30, &[kind, wrap(0xa0, &wrap(0x30, &[]))].concat()));
        let mut facts = world.facts(1);
        facts.fetched.push(Fetched {
            certificate: world.chain[0].details().unwrap().sha256.clone(),
            what: Resource::Issuer,
            url: "http://ca.test/ca.p7c".into(),
            answer: Observed::Seen(Body::Issuer(Box::new(bundle))),
        });
        let Fetching { lines, missing } = fetching(&world.context(&facts), &world.chain, 0);
        assert!(lines[1].starts_with("whether what was fetched leads to a trusted root is not known"), "{lines:?}");
        assert!(matches!(missing, Missing::Unknown(_)), "{missing:?}");
    }

    #[test]
    fn a_bundle_is_told_from_a_certificate() {
        let kind = |last: u8| wrap(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last]);
        let message = |last: u8| wrap(0x30, &[kind(last), wrap(0xa0, &wrap(0x30, &[]))].concat());
        assert!(is_bundle(&message(2)));
        assert!(!is_bundle(&message(1)) && !is_bundle(World::correct().chain[0].der()) && !is_bundle(b"<html>"));
    }
}
