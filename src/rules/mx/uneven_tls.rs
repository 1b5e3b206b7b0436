use crate::rules::{DomainContext, Outcome, ResultType, Violation, rule, deliveries::{Tls, place, tls, without_hosts}, tried};

rule! {
    /// Some servers of the domain offer STARTTLS and some do not.
    ///
    /// ## What it checks
    ///
    /// At one address of the domain STARTTLS is offered, and at another it is not.
    ///
    /// ## Why it matters
    ///
    /// Mail goes in the clear whenever a sender happens on the server without TLS: by turns among servers of one
    /// preference, and whenever the others do not answer. Whoever wants to read the mail keeps the others from
    /// answering.
    ///
    /// ## Remedy
    ///
    /// Offer STARTTLS on every server that an MX record names, the backup included, or remove its MX record.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4
    /// - RFC 7672, 1.3.1
    Domain "uneven-tls" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &DomainContext) -> Outcome {
    if context.facts.hosts.is_empty() {
        return without_hosts(context);
    }
    let (mut with, mut without, mut unknown) = (0_usize, Vec::new(), None);
    for (host, of_host) in context.facts.hosts.iter().zip(&context.hosts) {
        for (index, view) in tried(of_host) {
            match tls(of_host, index, view) {
                Tls::Chains(_) | Tls::Refused(_) => with += 1,
                Tls::NotOffered => {
                    let place = match host.preference {
                        Some(preference) => format!("{}, preference {preference}", place(host, view)),
                        None => place(host, view),
                    };
                    if !without.contains(&place) {
                        without.push(place);
                    }
                }
                Tls::Unknown(why) => _ = unknown.get_or_insert(why),
            }
        }
    }
    match (with, without.is_empty(), unknown) {
        (0, true, Some(why)) => Outcome::Undetermined(why),
        (0, ..) if without.is_empty() => Outcome::Undetermined("no address was looked at".to_owned()),
        (0, ..) => Outcome::NotApplicable("no server of the domain offers STARTTLS".to_owned()),
        (_, true, Some(why)) => Outcome::Undetermined(why),
        (_, true, None) => Outcome::Passed(String::new()),
        (_, false, _) => {
            let one = |place: &String| Violation::new(format!("STARTTLS is not offered by {place}, though by others of the domain"));
            Outcome::Violated(without.iter().map(one).collect())
        }
    }
}
