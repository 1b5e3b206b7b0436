//! Practice 1: the certificate comes from a public CA.

use x509_parser::der_parser::{
    asn1_rs::{FromDer as _, Oid, Sequence},
    oid,
};

use super::{
    Context, Outcome, Violation,
    constraints::{self, Faults},
    each_path,
    path::{self, End, Judgement},
    revocation, rules,
    second_opinion::{self, Opinion},
    short,
};
use crate::facts::{Body, Certificate, Resource};

rules! {
    certificate_by_source,
    self_signed,
    private_ca,
    unknown_issuer,
    incomplete_chain,
    bad_signature,
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

/// What came of fetching the issuer of a certificate, and what it would mend.
fn fetched_issuer(context: &Context, chain: &[Certificate], index: usize) -> Vec<String> {
    let Some(details) = chain.get(index).and_then(|certificate| certificate.details().ok()) else { return Vec::new() };
    let fetched = context.facts.fetched.iter().filter(|f| f.what == Resource::Issuer && f.certificate == details.sha256);
    let lines = fetched.map(|fetched| {
        let url = short(fetched.url.as_str());
        match fetched.answer.seen() {
            Some(Body::Issuer(issuer)) => match issuer.details() {
                Ok(details) => format!("fetched from {url}: {}", short(details.subject.as_str())),
                Err(_) if is_bundle(issuer.der()) => {
                    format!(
                        "at {url} is a bundle of certificates (CMS), which is not read here; senders that fetch issuers read some"
                    )
                }
                Err(why) => format!("what is to be had at {url} cannot be read as a certificate: {why}"),
            },
            _ => format!("could not be fetched from {url}: {}", fetched.answer.why_not()),
        }
    });
    let mut lines: Vec<String> = lines.collect();
    if revocation::fetched_issuers(context.facts).next().is_some() {
        let mended = revocation::mended(context, chain);
        let judgement = path::judge(&mended, context.stores, context.now);
        // A certificate that is over, or that may not stand above others, mends nothing.
        let details = || judgement.path.iter().skip(1).filter_map(|index| mended.get(*index)?.details().ok());
        let is_over = details().any(|details| details.not_after < context.now || details.not_before > context.now);
        let Faults { found, doubt } = constraints::faults(&mended, &judgement);
        let fault = found.into_iter().next();
        lines.push(match (judgement.end, fault) {
            (End::Trusted { store, .. }, _) if is_over => {
                format!(
                    "what was fetched leads to a root in {store}, and does not help: a certificate on the path is not valid now"
                )
            }
            (End::Trusted { store, .. }, Some(fault)) => {
                format!("what was fetched leads to a root in {store}, and does not help: {fault}")
            }
            (End::Trusted { .. }, None) if doubt.is_some() => {
                format!("whether what was fetched helps is not known: {}", doubt.unwrap_or_default())
            }
            (End::Trusted { store, .. }, None) => format!("with what was fetched the path leads to a root in {store}"),
            _ if revocation::fetched_issuers(context.facts).any(|issuer| is_bundle(issuer.der())) => {
                "whether what was fetched leads to a trusted root is not known: a bundle is not read".to_owned()
            }
            (End::Undecided(why), _) => format!("whether what was fetched leads to a trusted root is not known: {why}"),
            _ => "what was fetched does not lead to a trusted root".to_owned(),
        });
    }
    lines
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
        let lines = fetched_issuer(&world.context(&facts), &world.chain, 0);
        assert!(lines[1].starts_with("whether what was fetched leads to a trusted root is not known"), "{lines:?}");
    }

    #[test]
    fn a_bundle_is_told_from_a_certificate() {
        let kind = |last: u8| wrap(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last]);
        let message = |last: u8| wrap(0x30, &[kind(last), wrap(0xa0, &wrap(0x30, &[]))].concat());
        assert!(is_bundle(&message(2)));
        assert!(!is_bundle(&message(1)) && !is_bundle(World::correct().chain[0].der()) && !is_bundle(b"<html>"));
    }
}
