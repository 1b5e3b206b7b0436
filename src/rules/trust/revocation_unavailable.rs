use crate::{
    facts::{Observed, Resource},
    rules::{
        Context, Outcome, Violation, each_path,
        revocation::{self, Learned, source_text},
        rule, short,
    },
};

rule! {
    /// Whoever should know whether a certificate was revoked gives no answer of use.
    ///
    /// ## What it checks
    ///
    /// With `--revocation`: each OCSP responder and each list of revoked certificates that the certificates on the
    /// path name. It does not answer, answers with an error, is out of date, speaks of another certificate, or
    /// the CA did not sign the answer.
    ///
    /// ## Why it matters
    ///
    /// Senders that ask get no answer either. Some deliver all the same, and would not notice a certificate that
    /// was revoked; some do not deliver.
    ///
    /// ## Remedy
    ///
    /// It is the CA's to mend, unless a firewall of this network stands between: from a machine that should reach it,
    /// try `curl -v` with the address below. A private CA must publish what its certificates promise, or promise
    /// nothing.
    ///
    /// ## References
    ///
    /// - RFC 6960, 2.3
    /// - RFC 5280, 4.2.1.13
    "revocation-unavailable" { practice: PublicCa, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    if !context.facts.told_to_fetch.contains(&Resource::Ocsp) {
        return each_path(context, |_, _| Outcome::NotApplicable("not asked; --revocation does".to_owned()));
    }
    each_path(context, |chain, judgement| {
        let mut violations = Vec::new();
        for subject in revocation::subjects(context.facts, chain, judgement) {
            let learned = subject.learned(context.facts, context.now);
            let is_told = learned.iter().any(|(_, learned)| !matches!(learned, Learned::Nothing(_) | Learned::Unverified(_)));
            for (fetched, learned) in learned {
                // What this check cannot verify is no fault of the CA.
                let Learned::Nothing(why) = learned else { continue };
                // Microsoft's CAs name LDAP first, which is not spoken here; the other place suffices.
                if is_told && matches!(fetched.answer, Observed::NotAttempted(_)) {
                    continue;
                }
                let source = source_text(fetched.what);
                let violation = Violation::new(format!("{source} is of no use about {}: {why}", subject.what));
                violations.push(violation.evidence(short(fetched.url.as_str())));
            }
        }
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}
