use super::has_no_address;
use crate::{
    facts::{Absence, Observed},
    rules::{DomainContext, Outcome, Violation, rule},
};

rule! {
    /// Mail cannot be delivered: there is no server.
    ///
    /// ## What it checks
    ///
    /// The domain does not exist, or has neither MX records nor an address of its own.
    ///
    /// ## Why it matters
    ///
    /// Senders return the mail. A domain that takes none says so with a null MX, and senders then know at once.
    ///
    /// ## Remedy
    ///
    /// Publish MX records, or `MX 0 .` where no mail is to come.
    ///
    /// ## References
    ///
    /// - RFC 5321, 5.1
    /// - RFC 7505, 3
    Domain "no-mail-server" { practice: OpportunisticTls, severity: Fail, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    let violated = |message: String| Outcome::Violated(vec![Violation::new(message)]);
    match &facts.mx {
        _ if facts.is_null_mx() => Outcome::NotApplicable("the domain says that it takes no mail".to_owned()),
        Observed::Seen(answer) if answer.absence == Some(Absence::NxDomain) => violated(format!("{} does not exist", facts.domain)),
        Observed::Seen(answer) if answer.absence == Some(Absence::NoData) => match facts.hosts.first().map(has_no_address) {
            Some(Some(true)) => violated(format!("{} has neither MX records nor an address", facts.domain)),
            Some(Some(false)) => Outcome::Passed(String::new()),
            _ => Outcome::Undetermined(format!("whether {} has an address is not known", facts.domain)),
        },
        Observed::Seen(_) => Outcome::Passed(String::new()),
        unseen => Outcome::Undetermined(unseen.why_not()),
    }
}
