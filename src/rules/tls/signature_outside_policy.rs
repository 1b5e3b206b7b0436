use super::policy::{graded, not_judged};
use crate::{
    facts::{CertificateDetails, SignatureHash},
    rules::{Context, Outcome, keys::each_link, offers::passed, rule, short},
};

rule! {
    /// A certificate is signed in a way that the policy does not allow.
    ///
    /// ## What it checks
    ///
    /// The signatures on the server's certificates and on the intermediates above them are made with an algorithm
    /// and a hash that the policy lists. Roots, and what is signed by itself, are not looked at: nothing rests on
    /// those signatures. What is listed as to be phased out warns; whatever is not listed fails. Not applicable
    /// under a policy without such a list, as `mtalab` is.
    ///
    /// ## Why it matters
    ///
    /// Guidelines disagree on what is still good enough for mail. This rule says where the server departs from
    /// the one that was asked for; whether that is a fault is for the guideline's readers to decide.
    ///
    /// ## Remedy
    ///
    /// Read the lists that the policy names: `mtalab policies` tells where they come from. The CA decides how it
    /// signs; have the certificate issued anew, and send the intermediate that belongs to it.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -out mx.csr`, and the CA signs it anew.
    /// - Exchange: `Get-ExchangeCertificate -Thumbprint ... | New-ExchangeCertificate -GenerateRequest`, likewise.
    ///
    /// ## References
    ///
    /// - NCSC-NL TLS guidelines 2025-05, 3.3.5
    /// - Mozilla Server Side TLS 6.0
    "signature-outside-policy" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let Some(list) = &context.policy.signatures else { return not_judged(context.policy, "signatures") };
    each_link(context, |links| {
        let signed = links.iter().filter(|link| link.is_signed_by_another);
        let judged = signed.map(|link| {
            let name = name(link.details);
            (list.standing(&name), format!("{} on {}", short(&name), link.what))
        });
        graded(judged, context.policy, "has").unwrap_or_else(passed)
    })
}

/// The name of the algorithm, as a policy lists it; the hash of RSASSA-PSS is one of its parameters.
fn name(details: &CertificateDetails) -> String {
    let hash = match details.signature_hash {
        _ if details.signature_algorithm != "rsassaPss" => "",
        SignatureHash::Strong => "",
        SignatureHash::Sha224 => " with SHA-224",
        SignatureHash::Sha1 => " with SHA-1",
        SignatureHash::Md5 | SignatureHash::Unknown => " with another hash",
    };
    format!("{}{hash}", details.signature_algorithm)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Depth, Offers},
        rules::{
            policy::find,
            test_facts::{Hash, Key, World, kind},
        },
    };

    #[rstest]
    #[case("ncsc-nl-2025", Hash::Sha256, "passed")]
    #[case("ncsc-nl-2025", Hash::Sha224, "violated")]
    #[case("mozilla-intermediate", Hash::Sha256, "passed")]
    #[case("mozilla-intermediate", Hash::Sha224, "violated")]
    #[case("mtalab", Hash::Sha224, "not-applicable")]
    fn signatures_are_compared_with_the_list(#[case] policy: &str, #[case] hash: Hash, #[case] expected: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_of(Key::Rsa(2048), "Another CA", |_| {});
        world.chain = vec![hash.resign(issuing.leaf(|_| {}), &issuing), issuing.certificate.clone()];
        let outcome = world.judge_by(find(policy).unwrap(), &RULE, Offers::unasked(Depth::Quick));
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }
}
