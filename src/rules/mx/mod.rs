//! Practice 4, over a whole domain: where its mail goes, and whether all of these places are alike.

use super::{deliveries, rules};
use crate::{
    facts::{DnsAnswer, DnsFailure, Failure, HostFacts, MxRecord, Observed},
    finding::{Outcome, Severity, Violation},
};

use super::DomainContext;

rules! {
    no_mail_server,
    implicit_mx,
    null_mx_combined,
    null_mx_preference,
    mx_target_invalid,
    mx_unresolvable,
    mx_alias,
    mx_inside_address,
    uneven_tls,
}

/// Whether DNS says that a host has no address; none where it does not tell.
pub(crate) fn has_no_address(host: &HostFacts) -> Option<bool> {
    fn is_empty<T>(answer: &Observed<DnsAnswer<T>>) -> Option<bool> {
        match answer {
            Observed::Seen(answer) => Some(answer.records.is_empty()),
            // What leads in a circle leads nowhere.
            Observed::Failed(Failure::Dns(DnsFailure::Loop(_))) => Some(true),
            _ => None,
        }
    }
    match (is_empty(&host.v4), is_empty(&host.v6)) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Judges the MX records, if there are any.
fn each_record(context: &DomainContext, judge: impl Fn(&[MxRecord]) -> Outcome) -> Outcome {
    match context.facts.mx.seen() {
        Some(answer) if !answer.records.is_empty() && !context.facts.is_null_mx() => judge(&answer.records),
        Some(answer) if answer.records.is_empty() => Outcome::NotApplicable("there is no MX record".to_owned()),
        _ => deliveries::without_hosts(context),
    }
}

/// Where mail still gets through by another way, it is a warning.
fn graded(violations: Vec<Violation>, has_others: bool) -> Outcome {
    match violations.is_empty() {
        true => Outcome::Passed(String::new()),
        false if has_others => Outcome::Violated(violations.into_iter().map(|v| v.graded(Severity::Warn)).collect()),
        false => Outcome::Violated(violations),
    }
}
