use crate::rules::{DomainContext, Outcome, Violation, rule, deliveries::each_host};

rule! {
    /// An MX host is an alias.
    ///
    /// ## What it checks
    ///
    /// The host that an MX record names has a CNAME record.
    ///
    /// ## Why it matters
    ///
    /// The standard forbids it. Most senders follow the alias, some do not, and which of the names a certificate or a
    /// TLSA record is to be for is then open.
    ///
    /// ## Remedy
    ///
    /// Name in the MX record the host that the alias leads to.
    ///
    /// ## References
    ///
    /// - RFC 2181, 10.3
    /// - RFC 5321, 5.1
    /// - RFC 7672, 2.2.2
    Domain "mx-alias" { practice: OpportunisticTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    if context.facts.is_implicit() {
        return Outcome::NotApplicable("there is no MX record".to_owned());
    }
    each_host(context, |host, _| {
        let v4 = host.v4.seen().map(|answer| &answer.aliases);
        let aliases = v4.filter(|aliases| !aliases.is_empty()).or(host.v6.seen().map(|answer| &answer.aliases));
        match aliases.map(|aliases| aliases.last()) {
            Some(Some(last)) => {
                Outcome::Violated(vec![Violation::new(format!("the MX host {} is an alias of {}", host.name, last.to))])
            }
            Some(None) => Outcome::Passed(String::new()),
            None => Outcome::Undetermined(host.v4.why_not()),
        }
    })
}
