use crate::rules::{DomainContext, Outcome, Violation, rule, deliveries::without_hosts};

rule! {
    /// A null MX has a preference.
    ///
    /// ## What it checks
    ///
    /// The only MX record names the root, `.`, with another preference than 0.
    ///
    /// ## Why it matters
    ///
    /// Software that looks for the exact form does not see that the domain takes no mail.
    ///
    /// ## Remedy
    ///
    /// Publish `MX 0 .`.
    ///
    /// ## References
    ///
    /// - RFC 7505, 3
    Domain "null-mx-preference" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    match context.facts.mx.seen().map(|answer| &answer.records[..]) {
        Some([only]) if only.is_null() && only.preference != 0 => {
            Outcome::Violated(vec![Violation::new(format!("the null MX has the preference {}, and must have 0", only.preference))])
        }
        Some(_) if context.facts.is_null_mx() => without_hosts(context),
        Some(_) => Outcome::NotApplicable("there is no null MX".to_owned()),
        None => without_hosts(context),
    }
}
