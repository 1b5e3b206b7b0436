use super::policy::{graded, not_judged};
use crate::{
    facts::{KeyAlgorithm, PublicKey},
    rules::{
        Context, Outcome, rule,
        keys::each_link,
        offers::passed,
        policy::{Keys, Standing},
    },
};

rule! {
    /// A key is smaller than the policy allows, or of another kind.
    ///
    /// ## What it checks
    ///
    /// The keys of the server's certificates and of the intermediates above them are of a size and on a curve
    /// that the policy lists. No question beside the session is needed. What is listed as to be phased out
    /// warns; whatever is not listed fails. Not applicable under a policy without such a list, as `mtalab` is.
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
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:3072 -nodes -keyout mx.key -out mx.csr`,
    ///   or `-newkey ec -pkeyopt ec_paramgen_curve:P-256`.
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 4096 -DomainName mx.example.org`.
    ///
    /// ## References
    ///
    /// - NCSC-NL TLS guidelines 2025-05, 3.3.2
    /// - Mozilla Server Side TLS 6.0
    "key-outside-policy" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let Some(keys) = &context.policy.keys else { return not_judged(context.policy, "keys") };
    each_link(context, |links| {
        let judged: Vec<(Standing, String)> =
            links.iter().filter(|link| !link.is_root).map(|link| (standing(keys, &link.details.key), format!("{} for the key of {}", link.details.key, link.what))).collect();
        graded(judged.iter().map(|(standing, text)| (*standing, text)), context.policy, "uses").unwrap_or_else(passed)
    })
}

fn standing(keys: &Keys, key: &PublicKey) -> Standing {
    let curve = |name: &str| keys.curves.standing(&name.to_owned());
    match key.algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss => keys.rsa.standing(key.bits),
        KeyAlgorithm::Ec => key.curve.map_or(Standing::Outside, curve),
        KeyAlgorithm::Ed25519 => curve("Ed25519"),
        KeyAlgorithm::Ed448 => curve("Ed448"),
        KeyAlgorithm::Other => Standing::Outside,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Offers,
        rules::{
            policy::find,
            test_facts::{Key, World, kind},
        },
    };

    #[rstest]
    #[case("ncsc-nl-2025", Key::Rsa(2048), "violated")]
    #[case("ncsc-nl-2025", Key::P384, "passed")]
    #[case("ncsc-nl-2025", Key::Ed25519, "passed")]
    #[case("mozilla-intermediate", Key::Rsa(2048), "passed")]
    #[case("mozilla-intermediate", Key::Rsa(1024), "violated")]
    #[case("mozilla-intermediate", Key::P521, "violated")]
    #[case("mozilla-intermediate", Key::Ed25519, "violated")]
    #[case("mtalab", Key::Rsa(512), "not-applicable")]
    fn keys_are_compared_with_the_list(#[case] policy: &str, #[case] key: Key, #[case] expected: &str) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf_of(key);
        let outcome = world.judge_by(find(policy).unwrap(), &RULE, Offers::unasked(crate::facts::Depth::Quick));
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }
}
