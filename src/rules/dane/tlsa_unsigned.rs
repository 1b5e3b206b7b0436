use crate::{
    facts::{Observed, Proof},
    rules::{DomainContext, Outcome, Violation, rule, deliveries::each_host},
};

rule! {
    /// The TLSA records are not signed.
    ///
    /// ## What it checks
    ///
    /// A host has TLSA records, and they are insecure: no chain of signatures leads to them.
    ///
    /// ## Why it matters
    ///
    /// They count for nothing: anybody on the way could have written them. Whoever published them thinks that they
    /// protect.
    ///
    /// ## Remedy
    ///
    /// Have the zone of the host signed, and its DS record published by the registrar; or remove the records.
    ///
    /// ## References
    ///
    /// - RFC 7672, 2.1 and 2.2
    Domain "tlsa-unsigned" { practice: EnforceableTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    each_host(context, |host, _| match host.tlsa() {
        Observed::Seen(answer) if answer.records.is_empty() => Outcome::NotApplicable(format!("{} has no TLSA records", host.name)),
        Observed::Seen(answer) => match answer.whole_proof() {
            Proof::Insecure => Outcome::Violated(vec![Violation::new(format!("the TLSA records of {} are insecure, and count for nothing", host.name))]),
            Proof::Secure => Outcome::Passed(String::new()),
            Proof::Bogus(_) => Outcome::NotApplicable(format!("the TLSA records of {} are bogus", host.name)),
            Proof::Indeterminate(why) => Outcome::Undetermined(crate::rules::short(why)),
        },
        Observed::NotAttempted(why) if host.v4.seen().is_some() && host.v6.seen().is_some() => Outcome::NotApplicable(why.clone()),
        unseen => Outcome::Undetermined(unseen.why_not()),
    })
}
