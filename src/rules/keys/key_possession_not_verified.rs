use crate::{
    facts::{Observed, Possession},
    rules::{Context, Outcome, Violation, each_tls_view, rule, short, why_not},
};

rule! {
    /// Whether the server holds the key of its certificate was not verified.
    ///
    /// ## What it checks
    ///
    /// The server signed the TLS handshake with an algorithm that this checker cannot verify.
    ///
    /// ## Why it matters
    ///
    /// This is a limit of the checker, told so that a pass is not read as more than it is. Few senders
    /// know such algorithms either.
    ///
    /// ## Remedy
    ///
    /// None is needed for those senders that know the algorithm. RSA with 2048 bits or more and
    /// ECDSA on P-256 are understood by all.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.2.3
    /// - RFC 8446, 4.4.3
    "key-possession-not-verified" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_tls_view(context, |view| match &view.session.possession {
        Observed::Seen(Possession::NotVerified(scheme)) => {
            let violation = Violation::new("it was not verified that the server holds the key of its certificate");
            Outcome::Violated(vec![violation.evidence(format!("signature over the handshake: {}", short(scheme)))])
        }
        Observed::Seen(Possession::Proven(_) | Possession::Refuted(_)) => Outcome::Passed(String::new()),
        other => Outcome::Undetermined(format!("the server has not proven that it holds its key: {}", why_not(view, other))),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{facts::Failure, rules::test_facts::{World, kind}};

    #[rstest]
    #[case(Observed::Seen(Possession::NotVerified("ed448".to_owned())), "violated")]
    #[case(Observed::Seen(Possession::Proven("rsa_pss_rsae_sha256".to_owned())), "passed")]
    #[case(Observed::Seen(Possession::Refuted("rsa_pss_rsae_sha256".to_owned())), "passed")]
    #[case(Observed::Failed(Failure::Closed), "undetermined")]
    fn only_an_unverified_signature_is_told(#[case] possession: Observed<Possession>, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.possession = possession);
        assert_eq!(kind(&outcome), expected);
    }
}
