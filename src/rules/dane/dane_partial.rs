use crate::rules::{
    DomainContext, Outcome, Violation, rule,
    deliveries::{Dane, dane, without_hosts},
};

rule! {
    /// Only some MX hosts have TLSA records.
    ///
    /// ## What it checks
    ///
    /// Some hosts of the domain have secure TLSA records, and others have none.
    ///
    /// ## Why it matters
    ///
    /// Whoever wants to read the mail keeps senders from the hosts that are protected, and they turn to the others.
    ///
    /// ## Remedy
    ///
    /// Publish TLSA records for every MX host.
    ///
    /// ## References
    ///
    /// - RFC 7672, 1.3.1 and 2.2.1
    Domain "dane-partial" { practice: EnforceableTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let hosts = &context.facts.hosts;
    if hosts.is_empty() {
        return without_hosts(context);
    }
    let (mut with, mut without, mut unknown) = (0, Vec::new(), None);
    for host in hosts.iter().filter(|host| crate::rules::mx::has_no_address(host) != Some(true)) {
        match dane(host) {
            Dane::Records { .. } => with += 1,
            Dane::None(why) => without.push(why),
            Dane::Withheld(why) | Dane::Unknown(why) => _ = unknown.get_or_insert(why),
        }
    }
    match (with, without.is_empty(), unknown) {
        (_, true, Some(why)) | (0, false, Some(why)) => Outcome::Undetermined(why),
        (0, ..) => Outcome::NotApplicable("no MX host has TLSA records that count".to_owned()),
        (_, true, None) => Outcome::Passed(String::new()),
        (_, false, _) => Outcome::Violated(without.into_iter().map(|why| Violation::new(format!("DANE does not protect every MX host: {why}"))).collect()),
    }
}
