use crate::{
    facts::{Absence, Observed},
    rules::{DomainContext, Outcome, Violation, rule, deliveries::texts},
    tagged::near_misses,
    tlsrpt::{Record, VERSION, record_name},
};

rule! {
    /// Nobody is told when TLS fails.
    ///
    /// ## What it checks
    ///
    /// There is no TLSRPT record at `_smtp._tls`.
    ///
    /// ## Why it matters
    ///
    /// Senders that find TLS or a policy broken have nowhere to report it, and the first to notice are users who miss
    /// their mail.
    ///
    /// ## Remedy
    ///
    /// Publish `v=TLSRPTv1; rua=mailto:tls-reports@example.org`, and see that somebody reads what comes.
    ///
    /// ## References
    ///
    /// - RFC 8460, 3
    Domain "tlsrpt-missing" { practice: MonitoredTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    let answer = match &facts.tlsrpt {
        _ if facts.is_null_mx() => return Outcome::NotApplicable("the domain says that it takes no mail".to_owned()),
        _ if facts.mx.seen().is_some_and(|answer| answer.absence == Some(Absence::NxDomain)) => {
            return Outcome::NotApplicable("the domain does not exist".to_owned());
        }
        Observed::Seen(answer) => answer,
        unseen => return Outcome::Undetermined(unseen.why_not()),
    };
    let texts = texts(answer);
    match Record::read(&texts) {
        Ok(None) if near_misses(&texts, VERSION).is_empty() => {
            Outcome::Violated(vec![Violation::new(format!("there is no TLSRPT record at {}: nobody is told when TLS fails", record_name(&facts.domain)))])
        }
        _ => Outcome::Passed("a TLSRPT record asks senders for reports".to_owned()),
    }
}
