use super::graded;
use crate::rules::{DomainContext, Outcome, Violation, rule, deliveries::each_host};

rule! {
    /// An MX host has an address that the world cannot reach.
    ///
    /// ## What it checks
    ///
    /// An address of an MX host is one of this machine, of a private network, or of no one: 127.0.0.0/8, 10.0.0.0/8,
    /// fe80::/10 and so on. Such addresses are not connected to, unless the check is told to.
    ///
    /// ## Why it matters
    ///
    /// Senders lose time with it, or talk to themselves.
    ///
    /// ## Remedy
    ///
    /// Publish the address by which the world reaches the server. For the inside, use a view of DNS of its own.
    ///
    /// ## References
    ///
    /// - RFC 6890, 2.2
    /// - RFC 1918, 3
    Domain "mx-inside-address" { practice: OpportunisticTls, severity: Fail, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    each_host(context, |host, _| {
        let inside = host.passed_over.iter().filter(|passed| passed.is_inside);
        let message = |passed: &crate::facts::PassedOver| {
            Violation::new(format!("{} has the address {}, which is no address of the internet", host.name, passed.address))
        };
        if host.v4.seen().is_none() && host.v6.seen().is_none() {
            return Outcome::Undetermined(host.v4.why_not());
        }
        graded(inside.map(message).collect(), !host.facts.views.is_empty())
    })
}
