use super::{announced, body};
use crate::{
    mta_sts::{Policy, Record},
    rules::{DomainContext, Outcome, Violation, deliveries::texts, rule},
};

rule! {
    /// The policy of MTA-STS changed, and its id did not.
    ///
    /// ## What it checks
    ///
    /// An earlier report, named by `--former`, saw another policy under the id that the record has now.
    ///
    /// ## Why it matters
    ///
    /// Senders that have a policy fetch it anew when the id is another one, or when `max_age` is over. Until then they keep
    /// to the old one: mail waits for hosts that it does not name, and what it allowed stays allowed.
    ///
    /// ## Remedy
    ///
    /// Give the record a new `id` with every change of the policy, such as the time of it. Change the policy first: whoever
    /// sees the new id fetches at once.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.1
    Domain "sts-id-unchanged" { practice: EnforceableTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let now = match announced(context).and_then(|()| body(context)) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    let Some(former) = &context.facts.mta_sts.former else {
        return Outcome::NotApplicable("no earlier look is known".to_owned());
    };
    let Some(Ok(Some(record))) = context.facts.mta_sts.record.seen().map(|answer| Record::read(&texts(answer))) else {
        return Outcome::NotApplicable("the record is invalid".to_owned());
    };
    // Senders keep nothing that is no policy (RFC 8461, 3.3).
    let (Ok(before), Ok(after)) = (Policy::parse(&former.body.bytes), Policy::parse(&now.bytes)) else {
        return Outcome::NotApplicable("what was served then, or is now, is no policy".to_owned());
    };
    let is_same = (before.mode, before.max_age, &before.mx) == (after.mode, after.max_age, &after.mx);
    if record.id != former.id.as_str() {
        return Outcome::Passed("the id is another one than at the earlier look".to_owned());
    }
    if is_same {
        return Outcome::Passed("the policy is that of the earlier look".to_owned());
    }
    let what = match (before.mode == after.mode, before.mx == after.mx) {
        (false, _) => format!("the mode was {} and is {}", before.mode, after.mode),
        (true, false) => "its MX patterns are others".to_owned(),
        (true, true) => format!("max_age was {} and is {}", before.max_age, after.max_age),
    };
    Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS changed, and its id is still {}: {what}", former.id))])
}
