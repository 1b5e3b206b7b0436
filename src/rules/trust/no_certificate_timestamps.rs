use crate::rules::{Context, Outcome, Violation, each_path, path::End, rule};

rule! {
    /// The certificate is in no public log, by its own word.
    ///
    /// ## What it checks
    ///
    /// The certificate leads to a public root and holds no signed certificate timestamp. The timestamps are read, and
    /// the logs are not asked: a false one would not be noticed.
    ///
    /// ## Why it matters
    ///
    /// No mail server asks for timestamps. Browsers do, so public CAs put them into every certificate: one
    /// without them comes from an unusual order, or from a CA that is public only in this trust store. Nobody who
    /// watches the logs learns of a certificate that is not in them.
    ///
    /// ## Remedy
    ///
    /// None is needed for mail. If the same certificate is for a web site too, order one with timestamps.
    ///
    /// ## References
    ///
    /// - RFC 6962, 3.3
    "no-certificate-timestamps" { practice: PublicCa, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let Ok(details) = chain[0].details() else {
            return Outcome::Undetermined("the certificate cannot be read".to_owned());
        };
        match &judgement.end {
            // It has no extensions at all, and a rule of its own says so.
            _ if details.version < 3 => Outcome::NotApplicable("a certificate of version 1 holds none".to_owned()),
            End::Trusted { public: true, .. } if details.timestamps == 0 => {
                Outcome::Violated(vec![Violation::new("the certificate holds no signed certificate timestamp")])
            }
            End::Trusted { public: true, .. } => Outcome::Passed(String::new()),
            _ => Outcome::NotApplicable("only certificates of public CAs are logged".to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind, messages};

    #[test]
    fn a_certificate_in_no_log_is_noticed() {
        let outcome = World::correct().judge_leaf(&RULE, |params| params.custom_extensions.clear());
        assert_eq!(messages(&outcome), ["the certificate holds no signed certificate timestamp"]);
    }

    #[test]
    fn nobody_logs_what_no_public_ca_issued() {
        let mut world = World::correct();
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain = vec![World::self_signed()];
        assert_eq!(kind(&world.judge(&RULE)), "not-applicable");
    }
}
