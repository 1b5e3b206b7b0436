//! Practice 1: the certificate comes from a public CA.

use super::{
    Context, Outcome, Violation, each_path,
    path::{End, Judgement},
    rules,
    second_opinion::{self, Opinion},
};
use crate::facts::Certificate;

rules! {
    self_signed,
    private_ca,
    unknown_issuer,
    incomplete_chain,
    bad_signature,
    misordered_chain,
    invalid_path,
    key_identifier_mismatch,
    key_usage_without_signature,
    leaf_is_ca,
    malformed_certificate,
    long_path,
    rare_critical_extension,
    oversized_chain,
    default_certificate,
    unrelated_certificate,
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

/// A violation of a rule that says "not trusted", with the second judge's dissent if there is one.
fn not_trusted(context: &Context, chain: &[Certificate], judgement: &Judgement, violation: Violation) -> Outcome {
    let dissents = second_opinion::ask(chain, judgement, context.stores, context.now) == Opinion::Accepts;
    Outcome::Violated(vec![if dissents && !matches!(judgement.end, End::Trusted { .. }) {
        violation.evidence("rustls-webpki finds a path to a trust anchor all the same")
    } else {
        violation
    }])
}
