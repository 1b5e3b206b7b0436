//! Practice 7: renewal reminders.

use time::{Duration, OffsetDateTime};

use super::{
    Context, Outcome, certificate_text, each_path, known_path,
    path::{self, End, Judgement, root_above},
    rules,
};
use crate::{
    facts::{Certificate, CertificateDetails},
    trust::TrustStore,
};

mod calendar;
mod rollover;

pub use calendar::{CertificateRole, Ending, Link, SeenPath, endings, path_links, seen_paths};
pub use rollover::{Rollover, RolloverKind, rollovers, unseen, unseen_of_server};

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
    days_outside_policy,
    certificate_not_reloaded,
}

/// How long certificates that machines renew every few days are valid at most; a reminder a week ahead makes no
/// sense for them.
const SHORT_LIVED: Duration = Duration::days(10);

/// Whether it is over too soon for people to be reminded of its end.
pub fn is_short_lived(leaf: &CertificateDetails) -> bool {
    leaf.not_after - leaf.not_before <= SHORT_LIVED
}

/// Judges the server's certificate together with the intermediates above it, each with its
/// name in words, in each view.
fn each_issuer(context: &Context, judge: impl Fn(&CertificateDetails, &[(String, &CertificateDetails)]) -> Outcome) -> Outcome {
    each_above(context, |line| judge(line.leaf, line.issuers()))
}

/// What stands above a server's certificate.
struct Line<'a> {
    chain: &'a [Certificate],
    judgement: &'a Judgement,
    leaf: &'a CertificateDetails,
    /// Each with its name in words: the intermediates, and the root behind them.
    above: Vec<(String, &'a CertificateDetails)>,
    intermediates: usize,
}

impl<'a> Line<'a> {
    fn issuers(&self) -> &[(String, &'a CertificateDetails)] {
        &self.above[..self.intermediates]
    }

    /// Whether another certificate of the intermediate of that place was sent, which carries the path on when this one ends.
    fn is_replaced(&self, context: &Context, place: usize) -> bool {
        let index = self.judgement.intermediates().get(place);
        index.is_some_and(|index| calendar::is_replaced(context.stores, self.chain, self.judgement, *index))
    }
}

/// The same with the root behind the intermediates.
fn each_above(context: &Context, judge: impl Fn(&Line) -> Outcome) -> Outcome {
    each_path(context, |chain, judgement| {
        let details = |index: usize| {
            chain[index].details().map_err(|why| format!("{} cannot be read: {why}", certificate_text(chain, index)))
        };
        let issuer = |index: &usize| Ok((certificate_text(chain, *index), details(*index)?));
        let issuers: Result<Vec<_>, String> = judgement.intermediates().iter().map(issuer).collect();
        let last = last_root(context.stores, judgement);
        let root =
            root_above(chain, judgement).and_then(|(what, root)| Some((what, last.as_ref().unwrap_or(root).details().ok()?)));
        match (details(0), issuers) {
            (Ok(leaf), Ok(issuers)) => {
                let intermediates = issuers.len();
                let above: Vec<_> = issuers.into_iter().chain(root).collect();
                known_path(judgement, judge(&Line { chain, judgement, leaf, above, intermediates }))
            }
            (Err(why), _) | (_, Err(why)) => Outcome::Undetermined(why),
        }
    })
}

/// Of the trust anchor of a path, the certificate that ends last.
pub fn last_root(stores: &[TrustStore], judgement: &Judgement) -> Option<Certificate> {
    match (&judgement.end, &judgement.anchor) {
        (End::Trusted { store, .. }, Some(anchor)) => Some(path::last_of_root(store, stores, anchor)),
        _ => None,
    }
}

/// The day of a moment; within two days of now, with the time.
fn date(moment: OffsetDateTime, now: OffsetDateTime) -> String {
    if (moment - now).abs() >= TWO_DAYS {
        return moment.date().to_string();
    }
    let (hour, minute, second) = moment.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", moment.date())
}

/// From here on days are counted, and hours or minutes below.
const TWO_DAYS: Duration = Duration::days(2);

/// `3 days`, `23 hours`, `5 minutes`, floored; of a negative duration the same.
pub fn span(duration: Duration) -> String {
    let duration = duration.abs();
    let (count, unit) = if duration >= TWO_DAYS {
        (duration.whole_days(), "day")
    } else if duration >= Duration::HOUR {
        (duration.whole_hours(), "hour")
    } else {
        (duration.whole_minutes(), "minute")
    };
    if count == 1 { format!("{count} {unit}") } else { format!("{count} {unit}s") }
}

/// `3 days ago`, `23 hours ago`.
fn ago(duration: Duration) -> String {
    format!("{} ago", span(duration))
}

/// `in 3 days`, `in 23 hours`.
fn ahead(duration: Duration) -> String {
    format!("in {}", span(duration))
}
