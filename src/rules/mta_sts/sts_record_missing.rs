use crate::{
    facts::Observed,
    mta_sts::{Policy, Record, VERSION, record_name},
    rules::{DomainContext, Outcome, ResultType, Violation, rule, deliveries::texts},
    tagged::near_misses,
};

rule! {
    /// There is a policy of MTA-STS, and no record announces it.
    ///
    /// ## What it checks
    ///
    /// The policy host answers with a policy, and there is no record at `_mta-sts`.
    ///
    /// ## Why it matters
    ///
    /// Senders look for the record first, and without it never ask for the policy.
    ///
    /// ## Remedy
    ///
    /// Publish the record, `v=STSv1; id=20260131T0900;` for example.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.1 and 5.1
    Domain "sts-record-missing" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StsPolicyFetchError) }
}

fn judge(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    let answer = match &facts.mta_sts.record {
        Observed::Seen(answer) => answer,
        unseen => return Outcome::Undetermined(unseen.why_not()),
    };
    let texts = texts(answer);
    if !matches!(Record::read(&texts), Ok(None)) || !near_misses(&texts, VERSION).is_empty() {
        return Outcome::Passed(String::new());
    }
    let response = facts.mta_sts.policy.seen().and_then(|fetched| fetched.response.seen());
    match response.filter(|response| response.status == 200).map(|response| Policy::parse(&response.body.bytes)) {
        Some(Ok(policy)) if policy.mode == crate::mta_sts::Mode::None => {
            Outcome::NotApplicable("the policy's mode is none, and no record announces it".to_owned())
        }
        Some(Ok(_)) => Outcome::Violated(vec![Violation::new(format!("there is a policy of MTA-STS, and no record at {} announces it", record_name(&facts.domain)))]),
        _ => Outcome::NotApplicable("no policy of MTA-STS was found".to_owned()),
    }
}
