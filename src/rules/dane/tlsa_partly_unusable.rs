use crate::rules::{
    DomainContext, Outcome, Violation, rule,
    deliveries::{Dane, dane, each_host},
};

rule! {
    /// Some of the TLSA records cannot be used.
    ///
    /// ## What it checks
    ///
    /// A host has TLSA records that senders use, and others that they must ignore: of a usage, selector or matching
    /// type that mail does not use, or with data of the wrong form.
    ///
    /// ## Why it matters
    ///
    /// What is ignored protects nothing. A record that was meant for the next certificate will be missed when that
    /// comes.
    ///
    /// ## Remedy
    ///
    /// Remove or correct the record.
    ///
    /// ## References
    ///
    /// - RFC 7672, 3.1.3
    /// - RFC 6698, 2.1
    Domain "tlsa-partly-unusable" { practice: EnforceableTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    each_host(context, |host, _| match dane(host) {
        Dane::None(why) => Outcome::NotApplicable(why),
        Dane::Withheld(why) | Dane::Unknown(why) => Outcome::Undetermined(why),
        Dane::Records { usable, unusable } if !usable.is_empty() && !unusable.is_empty() => {
            let lines = unusable.iter().take(10).map(|(record, why)| format!("{}: {why}", record.parameters()));
            let message = format!("senders ignore {} of the {} TLSA records of {}", unusable.len(), usable.len() + unusable.len(), host.name);
            Outcome::Violated(vec![lines.fold(Violation::new(message), Violation::evidence)])
        }
        Dane::Records { .. } => Outcome::Passed(String::new()),
    })
}
