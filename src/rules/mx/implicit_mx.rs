use super::has_no_address;
use crate::{
    facts::Observed,
    rules::{DomainContext, Outcome, Violation, rule},
};

rule! {
    /// There is no MX record, and mail goes to the domain's own address.
    ///
    /// ## What it checks
    ///
    /// The domain has no MX record and has an address, which senders then take for its mail server.
    ///
    /// ## Why it matters
    ///
    /// It works, and is rarely meant: the address is that of a web site mostly. MTA-STS policies and certificates must
    /// then name the domain itself.
    ///
    /// ## Remedy
    ///
    /// Publish an MX record that names the server, or `MX 0 .` where no mail is to come.
    ///
    /// ## References
    ///
    /// - RFC 5321, 5.1
    /// - RFC 7505, 1
    Domain "implicit-mx" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    match &facts.mx {
        _ if facts.is_null_mx() => Outcome::NotApplicable("the domain says that it takes no mail".to_owned()),
        Observed::Seen(_) if !facts.is_implicit() => Outcome::Passed(String::new()),
        Observed::Seen(_) => match facts.hosts.first().map(has_no_address) {
            Some(Some(false)) => {
                let message = format!("{} has no MX record, and mail goes to its own address", facts.domain);
                Outcome::Violated(vec![Violation::new(message)])
            }
            Some(None) => Outcome::Undetermined(format!("whether {} has an address is not known", facts.domain)),
            _ => Outcome::NotApplicable("there is no server".to_owned()),
        },
        unseen => Outcome::Undetermined(unseen.why_not()),
    }
}
