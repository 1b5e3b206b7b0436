use crate::{
    facts::Observed,
    mta_sts::{Record, VERSION},
    rules::{DomainContext, Outcome, ResultType, Violation, listed, rule, deliveries::texts, short},
    tagged::near_misses,
};

rule! {
    /// The record of MTA-STS is invalid.
    ///
    /// ## What it checks
    ///
    /// The TXT records at `_mta-sts` hold one that is meant for MTA-STS and is not valid: no `id`, an `id` with other
    /// characters than letters and digits, two records, or a version that is not exactly `v=STSv1;`.
    ///
    /// ## Why it matters
    ///
    /// Senders act as if there were no policy.
    ///
    /// ## Remedy
    ///
    /// Publish exactly one record, `v=STSv1; id=20260131T0900;` for example, and change the id with each change of the
    /// policy.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.1
    Domain "sts-record-invalid" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StsPolicyInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    let answer = match &context.facts.mta_sts.record {
        Observed::Seen(answer) => answer,
        unseen => return Outcome::Undetermined(unseen.why_not()),
    };
    let texts = texts(answer);
    let shown = |violation: Violation| texts.iter().take(5).fold(violation, |violation, text| violation.evidence(format!("TXT \"{}\"", short(text))));
    match Record::read(&texts) {
        Ok(Some(_)) => Outcome::Passed(String::new()),
        Err(why) => Outcome::Violated(vec![shown(Violation::new(format!("the record of MTA-STS is invalid: {}", short(&why.to_string()))))]),
        Ok(None) => match near_misses(&texts, VERSION) {
            near if near.is_empty() => Outcome::NotApplicable("there is no record of MTA-STS".to_owned()),
            near => Outcome::Violated(vec![
                Violation::new(format!("a record is meant for MTA-STS and does not begin with `{VERSION};`"))
                    .evidence(listed(near.iter(), 3, ", ")),
            ]),
        },
    }
}
