//! Practice 2: strong keys.

use super::{Context, Outcome, certificate_text, each_path, known_path, path::End, rules};
use crate::facts::CertificateDetails;

rules! {
    broken_rsa_key,
    weak_rsa_key,
    weak_signature_hash,
    key_possession_refuted,
}

/// One certificate of the path, as these rules look at it.
struct Link<'a> {
    /// Which one, in words.
    what: String,
    details: &'a CertificateDetails,
    /// Whether its signature matters: that of a certificate signed by itself protects nothing.
    is_signed_by_another: bool,
}

/// Judges the server's certificate and the intermediates above it in each view. Roots are
/// trusted for what they are, not for their signatures and keys.
fn each_link(context: &Context, judge: impl Fn(&[Link]) -> Outcome) -> Outcome {
    each_path(context, |chain, judgement| {
        let link = |index: &usize| {
            let details = chain[*index].details()?;
            let is_signed_by_another = judgement.end != End::SelfSigned;
            Ok(Link { what: certificate_text(chain, *index), details, is_signed_by_another })
        };
        let outcome = match judgement.path.iter().map(link).collect::<Result<Vec<_>, &str>>() {
            Ok(links) => judge(&links),
            Err(why) => Outcome::Undetermined(format!("a certificate of the path cannot be read: {why}")),
        };
        known_path(judgement, outcome)
    })
}
