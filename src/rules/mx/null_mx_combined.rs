use super::each_record;
use crate::rules::{DomainContext, Outcome, Violation, rule};

rule! {
    /// A null MX stands beside others.
    ///
    /// ## What it checks
    ///
    /// One of several MX records names the root, `.`, which says that the domain takes no mail.
    ///
    /// ## Why it matters
    ///
    /// The records contradict each other. Some senders return all mail, others look up the address of the root in vain.
    ///
    /// ## Remedy
    ///
    /// Keep either `MX 0 .` alone, or the others.
    ///
    /// ## References
    ///
    /// - RFC 7505, 3
    Domain "null-mx-combined" { practice: OpportunisticTls, severity: Fail, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    each_record(context, |records| {
        if records.len() < 2 {
            return Outcome::Passed(String::new());
        }
        let others: Vec<String> =
            records.iter().filter(|record| !record.is_null()).map(|record| record.exchange.to_string()).collect();
        match records.iter().find(|record| record.is_null()) {
            Some(null) => Outcome::Violated(vec![
                Violation::new(format!("`MX {} .` says that no mail is taken, and other MX records say where to", null.preference))
                    .evidence(crate::rules::listed(others.iter(), 10, ", ")),
            ]),
            None => Outcome::Passed(String::new()),
        }
    })
}
