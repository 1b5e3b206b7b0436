use super::presented;
use crate::{
    facts::CertificateDetails,
    name::Name,
    rules::{Context, Outcome, ResultType, Violation, each_leaf, rule},
};

rule! {
    /// The certificate names the host in its CN only.
    ///
    /// ## What it checks
    ///
    /// The certificate has no dNSName among its subject alternative names, and the CN of its subject
    /// names the host.
    ///
    /// ## Why it matters
    ///
    /// Verifiers of today look at the subject alternative names and at nothing else. Older ones fall back
    /// to the CN, so some partners deliver and others do not.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew with the name of the MX as a subject alternative name.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -subj /CN=mx.example.org -addext
    ///   subjectAltName=DNS:mx.example.org -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -DomainName mx.example.org` sets both.
    ///
    /// ## References
    ///
    /// - RFC 9525, 2
    /// - RFC 8461, 4.2
    "common-name-only" { practice: Identity, severity: Fail, result_type: Some(ResultType::CertificateHostMismatch) }
}

fn judge(context: &Context) -> Outcome {
    let host = &context.facts.target.name;
    each_leaf(context, |_, leaf| {
        if !applies(leaf, host) {
            return Outcome::Passed(String::new());
        }
        let violation = Violation::new(format!("the certificate names {host} in its CN only"));
        Outcome::Violated(vec![presented(leaf).into_iter().fold(violation, Violation::evidence)])
    })
}

/// Whether the CN alone names the host.
pub fn applies(leaf: &CertificateDetails, host: &Name) -> bool {
    leaf.dns_names().next().is_none() && leaf.common_names.iter().any(|name| host.is_matched_by(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{HOST, World, kind, messages};

    // The table of both rules together is in `host_mismatch`.
    #[test]
    fn a_cn_without_names_is_found() {
        let world = World::correct();
        let outcome = world.judge_leaf(&RULE, |params| params.subject_alt_names.clear());
        assert_eq!(messages(&outcome), ["the certificate names mx.example.test in its CN only"]);
    }

    #[test]
    fn an_absent_cn_passes() {
        let world = World::correct();
        let outcome = world.judge_leaf(&RULE, |params| World::set_common_name(params, None));
        assert_eq!(kind(&outcome), "passed");
        assert_eq!(kind(&world.judge_leaf(&RULE, |params| World::set_common_name(params, Some(HOST)))), "passed");
    }
}
