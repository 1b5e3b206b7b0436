//! Practice 7: renewal reminders.

use time::{Duration, OffsetDateTime};

use super::{
    Context, Outcome, certificate_text, each_path, known_path,
    path::{self, End, Judgement, root_above},
    rules,
};
use crate::facts::{Certificate, CertificateDetails};

mod calendar;

pub use calendar::{Ending, endings};

rules! {
    certificate_expired,
    not_yet_valid,
    expires_within_7_days,
    expires_within_30_days,
    issuer_expired,
    issuer_expires_first,
    root_expired,
    expired_cross_certificate,
    validity_inverted,
    long_validity,
    certificate_not_reloaded,
}

/// How long certificates that machines renew every few days are valid at most. The CA/Browser
/// Forum calls those of 10 days, later 7, short-lived; a reminder a week ahead makes no sense for them.
const SHORT_LIVED: Duration = Duration::days(10);

/// Whether people can be reminded of the certificate's end.
fn is_short_lived(leaf: &CertificateDetails) -> bool {
    leaf.not_after - leaf.not_before <= SHORT_LIVED
}

/// Judges the server's certificate together with the intermediates above it, each with its
/// name in words, in each view.
fn each_issuer(context: &Context, judge: impl Fn(&CertificateDetails, &[(String, &CertificateDetails)]) -> Outcome) -> Outcome {
    each_above(context, |leaf, above, intermediates| judge(leaf, &above[..intermediates]))
}

/// The same with the root behind the intermediates, of which there are so many.
fn each_above(
    context: &Context,
    judge: impl Fn(&CertificateDetails, &[(String, &CertificateDetails)], usize) -> Outcome,
) -> Outcome {
    each_path(context, |chain, judgement| {
        let details = |index: usize| {
            chain[index].details().map_err(|why| format!("{} cannot be read: {why}", certificate_text(chain, index)))
        };
        let issuer = |index: &usize| Ok((certificate_text(chain, *index), details(*index)?));
        let issuers: Result<Vec<_>, String> = judgement.intermediates().iter().map(issuer).collect();
        let last = last_root(context, judgement);
        let root =
            root_above(chain, judgement).and_then(|(what, root)| Some((what, last.as_ref().unwrap_or(root).details().ok()?)));
        match (details(0), issuers) {
            (Ok(leaf), Ok(issuers)) => {
                let intermediates = issuers.len();
                let above: Vec<_> = issuers.into_iter().chain(root).collect();
                known_path(judgement, judge(leaf, &above, intermediates))
            }
            (Err(why), _) | (_, Err(why)) => Outcome::Undetermined(why),
        }
    })
}

/// Of the trust anchor of a path, the certificate that ends last.
fn last_root(context: &Context, judgement: &Judgement) -> Option<Certificate> {
    match (&judgement.end, &judgement.anchor) {
        (End::Trusted { store, .. }, Some(anchor)) => Some(path::last_of_root(store, context.stores, anchor)),
        _ => None,
    }
}

/// `2026-03-01`.
fn date(moment: OffsetDateTime) -> String {
    moment.date().to_string()
}

/// `today`, `1 day ago`, `3 days ago`.
fn ago(duration: Duration) -> String {
    match duration.whole_days() {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}

/// `in less than a day`, `in 1 day`, `in 3 days`; days are floored.
fn ahead(duration: Duration) -> String {
    match duration.whole_days() {
        0 => "in less than a day".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    }
}
