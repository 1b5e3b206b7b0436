use super::has_no_address;
use crate::{
    facts::Absence,
    rules::{DomainContext, Outcome, Violation, rule, deliveries::without_hosts},
};

rule! {
    /// An MX host has no address.
    ///
    /// ## What it checks
    ///
    /// The host that an MX record names does not exist, or has neither A nor AAAA records.
    ///
    /// ## Why it matters
    ///
    /// Senders cannot reach it. Where its domain has expired, whoever registers it receives the mail.
    ///
    /// ## Remedy
    ///
    /// Remove the MX record, or give the host its address again.
    ///
    /// ## References
    ///
    /// - RFC 5321, 5.1
    Domain "mx-unresolvable" { practice: OpportunisticTls, severity: Fail, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    if facts.is_implicit() {
        return Outcome::NotApplicable("there is no MX record".to_owned());
    }
    if facts.hosts.is_empty() {
        return without_hosts(context);
    }
    let mut violations = Vec::new();
    let mut unknown = None;
    for host in &facts.hosts {
        match has_no_address(host) {
            Some(true) => {
                let is_missing = host.v4.seen().is_some_and(|answer| answer.absence == Some(Absence::NxDomain));
                let is_circle = host.v4.seen().is_none();
                let how = match is_missing {
                    true => "does not exist",
                    false if is_circle => "is an alias that leads in a circle",
                    false => "has no address",
                };
                violations.push(Violation::new(format!("the MX host {} {how}", host.name)));
            }
            Some(false) => {}
            None => {
                let why = if host.v4.seen().is_none() { host.v4.why_not() } else { host.v6.why_not() };
                unknown.get_or_insert(why);
            }
        }
    }
    match unknown {
        Some(why) if violations.is_empty() => Outcome::Undetermined(why),
        None if violations.is_empty() => Outcome::Passed(String::new()),
        _ => Outcome::Violated(violations),
    }
}
