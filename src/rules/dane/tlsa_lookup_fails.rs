use crate::{
    facts::{Failure, Observed, Proof},
    rules::{
        DomainContext, Outcome, ResultType, Violation, rule,
        deliveries::{address_proof, each_host},
    },
};

rule! {
    /// The TLSA records cannot be looked up.
    ///
    /// ## What it checks
    ///
    /// The addresses of an MX host are secure, and the question for its TLSA records is answered with SERVFAIL or
    /// another error, not at all, or with what is bogus, though other questions about the same host are answered.
    ///
    /// ## Why it matters
    ///
    /// A failure is not the answer "there are none": a sender that keeps to DANE has to wait and try again, and in the
    /// end returns the mail. Old load balancers that know only addresses are known for it.
    ///
    /// ## Remedy
    ///
    /// Have the name server answer questions of any type. Ask each of the zone's name servers by itself: `dig +dnssec
    /// _25._tcp.mx.example.org TLSA @ns1.example.org`.
    ///
    /// ## References
    ///
    /// - RFC 7672, 2.1.2 and 2.2
    Domain "tlsa-lookup-fails" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::DnssecInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    each_host(context, |host, _| match host.tlsa() {
        Observed::Failed(Failure::Dns(failure)) if address_proof(host).is_some() => Outcome::Violated(vec![
            Violation::new(format!("the TLSA records of {} cannot be looked up, so that senders have to wait", host.name)).evidence(failure.to_string()),
        ]),
        Observed::Failed(failure) => Outcome::Undetermined(failure.to_string()),
        Observed::Seen(answer) => match answer.whole_proof() {
            // With a resolver that validates it is the same: there is no answer that could be believed.
            Proof::Bogus(bogus) => Outcome::Violated(vec![
                Violation::new(format!("what DNS says of the TLSA records of {} cannot be believed, so that senders have to wait", host.name))
                    .evidence(crate::rules::short(bogus.text.as_str())),
            ]),
            Proof::Indeterminate(why) => Outcome::Undetermined(crate::rules::short(why)),
            Proof::Secure | Proof::Insecure => Outcome::Passed(String::new()),
        },
        Observed::NotAttempted(why) if address_proof(host).is_some() => Outcome::NotApplicable(why.clone()),
        Observed::NotAttempted(why) => Outcome::Undetermined(why.clone()),
    })
}
