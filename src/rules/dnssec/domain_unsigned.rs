use crate::{
    facts::{Absence, Observed, Proof},
    rules::{DomainContext, Outcome, Violation, rule, short},
};

rule! {
    /// The domain is not signed.
    ///
    /// ## What it checks
    ///
    /// The MX records of the domain are insecure: there is no DS record at or above it that vouches for its keys.
    ///
    /// ## Why it matters
    ///
    /// Nobody can tell whether the MX records are the real ones, so DANE cannot protect mail to the domain as a whole.
    ///
    /// ## Remedy
    ///
    /// Have the zone signed, and its DS record published by the registrar.
    ///
    /// ## References
    ///
    /// - RFC 7672, 2.2.1
    /// - RFC 4035, 5
    Domain "domain-unsigned" { practice: EnforceableTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    match &facts.mx {
        Observed::Seen(answer) if answer.absence == Some(Absence::NxDomain) => {
            Outcome::NotApplicable("the domain does not exist".to_owned())
        }
        Observed::Seen(answer) => match answer.whole_proof() {
            Proof::Secure => Outcome::Passed("the MX records are secure".to_owned()),
            Proof::Insecure => Outcome::Violated(vec![Violation::new(format!("the MX records of {} are insecure: the domain is not signed", facts.domain))]),
            Proof::Bogus(_) => Outcome::NotApplicable("the MX records are bogus".to_owned()),
            Proof::Indeterminate(why) => Outcome::Undetermined(short(why)),
        },
        unseen => Outcome::Undetermined(unseen.why_not()),
    }
}
