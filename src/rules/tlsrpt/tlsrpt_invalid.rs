use crate::{
    facts::Observed,
    rules::{DomainContext, Outcome, Violation, listed, rule, deliveries::texts, short},
    tagged::near_misses,
    tlsrpt::{Record, VERSION},
};

rule! {
    /// The TLSRPT record is invalid.
    ///
    /// ## What it checks
    ///
    /// The TXT records at `_smtp._tls` hold one that is meant for TLSRPT and is not valid: no `rua`, one that is
    /// neither a `mailto:` nor an `https:` URI, two records, or a version that is not exactly `v=TLSRPTv1;`.
    ///
    /// ## Why it matters
    ///
    /// Senders act as if there were none, and send no reports.
    ///
    /// ## Remedy
    ///
    /// Publish exactly one record, `v=TLSRPTv1; rua=mailto:tls-reports@example.org`.
    ///
    /// ## References
    ///
    /// - RFC 8460, 3
    Domain "tlsrpt-invalid" { practice: MonitoredTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    let answer = match &context.facts.tlsrpt {
        Observed::Seen(answer) => answer,
        unseen => return Outcome::Undetermined(unseen.why_not()),
    };
    let texts = texts(answer);
    let shown = |violation: Violation| texts.iter().take(5).fold(violation, |violation, text| violation.evidence(format!("TXT \"{}\"", short(text))));
    match Record::read(&texts) {
        Ok(Some(_)) => Outcome::Passed(String::new()),
        Err(why) => Outcome::Violated(vec![shown(Violation::new(format!("the TLSRPT record is invalid: {}", short(&why.to_string()))))]),
        Ok(None) => match near_misses(&texts, VERSION) {
            near if near.is_empty() => Outcome::NotApplicable("there is no TLSRPT record".to_owned()),
            near => Outcome::Violated(vec![
                Violation::new(format!("a record is meant for TLSRPT and does not begin with `{VERSION};`")).evidence(listed(near.iter(), 3, ", ")),
            ]),
        },
    }
}
