use super::rrsets;
use crate::{
    facts::Proof,
    rules::{DomainContext, Outcome, ResultType, Violation, rule, short},
};

rule! {
    /// DNSSEC is broken.
    ///
    /// ## What it checks
    ///
    /// MX records, an address, TLSA records, or the records of MTA-STS and TLSRPT are bogus: the zone is signed, as its
    /// parent says, and no chain of valid signatures leads to them. It is only said where two validators agree; the
    /// reason is what the second one found.
    ///
    /// ## Why it matters
    ///
    /// A sender whose resolver validates gets no answer at all, and does not deliver: whatever else the domain does for
    /// its mail.
    ///
    /// ## Remedy
    ///
    /// Where signatures have expired, have the zone signed again, and look why that did not happen by itself. Where the
    /// DS record means another key, publish the DS of the key that the zone is signed with, or remove it until then.
    ///
    /// ## References
    ///
    /// - RFC 4035, 5
    /// - RFC 7672, 2.1.1
    /// - RFC 8460, 4.3.2.1
    Domain "dnssec-bogus" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::DnssecInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    let (found, unknown) = rrsets(context);
    let mut violations: Vec<Violation> = Vec::new();
    for (what, proof) in &found {
        let Proof::Bogus(bogus) = proof else { continue };
        let message = format!("DNSSEC is broken: {}", short(bogus.text.as_str()));
        let affected = format!("affected: {what}");
        match violations.iter_mut().find(|violation| violation.message == message) {
            Some(same) => same.evidence.push(affected),
            None => violations.push(Violation::new(message).evidence(affected)),
        }
    }
    let doubt = found.iter().find_map(|(what, proof)| match proof {
        Proof::Indeterminate(why) => Some(format!("{what}: {}", short(why))),
        _ => None,
    });
    match (violations.is_empty(), doubt.or(unknown)) {
        (false, _) => Outcome::Violated(violations),
        (true, Some(why)) => Outcome::Undetermined(why),
        (true, None) if found.iter().all(|(_, proof)| **proof == Proof::Insecure) => Outcome::NotApplicable("nothing is signed".to_owned()),
        (true, None) => Outcome::Passed(String::new()),
    }
}
