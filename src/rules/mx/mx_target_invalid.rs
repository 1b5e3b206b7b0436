use super::{each_record, graded};
use crate::rules::{DomainContext, Outcome, Violation, rule};

rule! {
    /// An MX record names no host.
    ///
    /// ## What it checks
    ///
    /// What an MX record names is an IP address, or no host name at all.
    ///
    /// ## Why it matters
    ///
    /// An MX record holds a name. Senders look the address up as if it were a name, and find nothing.
    ///
    /// ## Remedy
    ///
    /// Give the server a name with an address record, and name that in the MX record.
    ///
    /// ## References
    ///
    /// - RFC 1035, 3.3.9
    /// - RFC 5321, 5.1
    Domain "mx-target-invalid" { practice: OpportunisticTls, severity: Fail, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    each_record(context, |records| {
        let is_host = |record: &&crate::facts::MxRecord| {
            let is_address = record.exchange.as_str().parse::<std::net::IpAddr>().is_ok();
            record.is_null() || (!is_address && record.host().is_some())
        };
        let wrong = records.iter().filter(|record| !is_host(record));
        let message = |record: &crate::facts::MxRecord| {
            Violation::new(format!("an MX record names `{}`, which is no host name", crate::rules::short(record.exchange.as_str())))
        };
        graded(wrong.map(message).collect(), records.iter().any(|record| is_host(&record) && !record.is_null()))
    })
}
