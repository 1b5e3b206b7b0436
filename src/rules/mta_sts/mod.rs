//! Practice 5, by MTA-STS (RFC 8461): whether the policy is one, and whether the servers keep to it.

use super::{
    DomainContext, Outcome,
    deliveries::{may_be_our_fault, texts},
    rules,
};
use crate::{
    facts::{Observed, PolicyBody, PolicyFetch, PolicyResponse},
    finding::Severity,
    mta_sts::{Mode, Policy, Record},
};

rules! {
    sts_record_invalid,
    sts_record_missing,
    sts_policy_unreachable,
    sts_policy_redirected,
    sts_policy_host_certificate,
    sts_policy_invalid,
    sts_policy_content_type,
    sts_policy_form,
    sts_id_unchanged,
    sts_mx_not_listed,
    sts_mx_without_starttls,
    sts_mx_certificate,
    sts_not_enforced,
    sts_short_max_age,
}

/// Goes on where a record, right or wrong, announces a policy.
fn announced(context: &DomainContext) -> Result<(), Outcome> {
    match &context.facts.mta_sts.record {
        Observed::Seen(answer) => match Record::read(&texts(answer)) {
            Ok(None) => Err(Outcome::NotApplicable("no record announces a policy of MTA-STS".to_owned())),
            _ => Ok(()),
        },
        unseen => Err(Outcome::Undetermined(unseen.why_not())),
    }
}

/// How the policy was fetched.
fn fetched<'a>(context: &DomainContext<'a>) -> Result<&'a PolicyFetch, Outcome> {
    match &context.facts.mta_sts.policy {
        Observed::Seen(fetched) => Ok(fetched),
        unseen => Err(Outcome::Undetermined(unseen.why_not())),
    }
}

/// The policy host, where a record announces it; an error without a reason where none does.
pub fn policy_host<'a>(context: &DomainContext<'a>) -> Result<&'a PolicyFetch, Option<String>> {
    announced(context).and_then(|()| fetched(context)).map_err(|outcome| match outcome {
        Outcome::Undetermined(why) => Some(why),
        _ => None,
    })
}

/// The answer of the policy host, if it is a policy by its status.
fn response<'a>(context: &DomainContext<'a>) -> Result<&'a PolicyResponse, Outcome> {
    let fetched = fetched(context)?;
    match &fetched.response {
        Observed::Seen(response) if response.status == 200 => Ok(response),
        Observed::Seen(response) => Err(Outcome::NotApplicable(format!("the policy host answers HTTP {}", response.status))),
        Observed::Failed(failure) if may_be_our_fault(fetched, failure) => {
            Err(Outcome::Undetermined(format!("the policy did not come: {failure}")))
        }
        Observed::Failed(failure) => Err(Outcome::NotApplicable(format!("the policy did not come: {failure}"))),
        Observed::NotAttempted(why) => Err(Outcome::Undetermined(why.clone())),
    }
}

/// What the policy host served for a policy.
fn body<'a>(context: &DomainContext<'a>) -> Result<&'a PolicyBody, Outcome> {
    Ok(&response(context)?.body)
}

/// What senders only report is a warning.
fn graded_by_mode(policy: &Policy, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Violated(violations) if policy.mode == Mode::Testing => {
            Outcome::Violated(violations.into_iter().map(|violation| violation.graded(Severity::Warn)).collect())
        }
        other => other,
    }
}
