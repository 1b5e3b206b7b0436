use super::policy::{graded, not_judged};
use crate::{
    rules::{
        Context, Outcome, rule,
        offers::{Known, each_offers, passed},
        policy::Standing,
    },
    tls::Version,
};

rule! {
    /// A version is offered that the policy does not allow.
    ///
    /// ## What it checks
    ///
    /// Every protocol version that the server takes stands in the list of the policy that judges. What is
    /// listed as to be phased out warns; whatever is not listed fails. Not applicable under a policy without
    /// such a list, as `mtalab` is.
    ///
    /// ## Why it matters
    ///
    /// Guidelines disagree on what is still good enough for mail. This rule says where the server departs from
    /// the one that was asked for; whether that is a fault is for the guideline's readers to decide.
    ///
    /// ## Remedy
    ///
    /// Read the lists that the policy names: `mtalab policies` tells where they come from.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2`, or `>=TLSv1.3` where the policy takes nothing less.
    /// - Exim: `openssl_options`, or `tls_require_ciphers` with GnuTLS.
    /// - Sendmail: add `+SSL_OP_NO_TLSv1_1` to `ServerSSLOptions` (`confSERVER_SSL_OPTIONS` in `sendmail.mc`).
    /// - OpenSMTPD: `protocols "tlsv1.2,tlsv1.3"` in the `listen` line, from 7.0 on.
    /// - Exchange: `SCHANNEL\Protocols` of the registry.
    ///
    /// ## References
    ///
    /// - NCSC-NL TLS guidelines 2025-05, 3.3.1
    /// - Mozilla Server Side TLS 6.0
    "version-outside-policy" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let Some(list) = &context.policy.versions else { return not_judged(context.policy, "versions") };
    each_offers(context, |asked| {
        let taken = asked.versions();
        let found = graded(taken.iter().map(|version| (list.standing(version), version)), context.policy, "takes");
        let unlisted = Version::ALL.into_iter().filter(|version| list.standing(version) != Standing::Accepted);
        found.unwrap_or_else(|| asked.outcome(Known::any(unlisted.map(|version| asked.version(version))), passed, passed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Offers},
        finding::Severity,
        rules::{
            policy::find,
            test_facts::{World, kind},
        },
        tls::Version,
    };

    fn judged(policy: &str, offers: Offers) -> Outcome {
        World::correct().judge_by(find(policy).unwrap(), &RULE, offers)
    }

    #[test]
    fn what_is_not_listed_fails() {
        let old = || Offers::good().accept(Version::Tls10, &["TLS_RSA_WITH_AES_128_CBC_SHA"]);
        let Outcome::Violated(found) = judged("ncsc-nl-2025", old()) else { panic!() };
        assert_eq!((found[0].message.as_str(), found[0].severity), ("the server takes TLSv1.0, which ncsc-nl-2025 does not allow", None));
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::good())), "passed");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::unasked(Depth::Quick))), "not-applicable");
        assert_eq!(kind(&judged("mtalab", old())), "not-applicable");
        assert_ne!(found[0].severity, Some(Severity::Warn));
    }
}
