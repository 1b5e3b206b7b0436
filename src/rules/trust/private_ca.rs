use super::{each_end, not_trusted};
use crate::{
    facts::Certificate,
    rules::{
        Context, Outcome, ResultType, Violation,
        path::{self, End, Judgement},
        rule,
    },
    trust::TrustStore,
};

rule! {
    /// The certificate comes from a private CA.
    ///
    /// ## What it checks
    ///
    /// The certification path ends in a self-signed CA certificate that the server sent and that no
    /// public trust store holds, or in a root of a store that is marked private.
    ///
    /// ## Why it matters
    ///
    /// Only those who installed that root can verify the certificate. For every other sender that
    /// verifies, it is as good as none.
    ///
    /// ## Remedy
    ///
    /// Get a certificate from a public CA for the name of the MX. The private CA may stay in use
    /// on internal connectors, with a certificate of its own.
    ///
    /// - Postfix: `smtpd_tls_chain_files` takes one key and chain for all clients of a service;
    ///   give internal clients a service of their own in `master.cf` if they need the private one.
    /// - Exim: let the expansion of `tls_certificate` tell the networks of `$sender_host_address` apart.
    /// - Sendmail, OpenSMTPD: a daemon or `listen` line of its own for internal clients, with its own certificate.
    /// - Exchange: name the public certificate in `TlsCertificateName` of the receive connector that
    ///   the internet reaches.
    ///
    /// ## References
    ///
    /// - RFC 8461, 4.2
    /// - RFC 5280, 6.1
    "private-ca" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        let violation = match &judgement.end {
            End::Trusted { store, public: true } => {
                let others = not_in(context, chain);
                let but = if others.is_empty() { String::new() } else { format!(", and to none in {}", others.join(" or ")) };
                return Outcome::Passed(format!("the path leads to {} in {store}{but}", end_of(judgement)));
            }
            End::Trusted { store, public: false } => {
                Violation::new(format!("the path leads to {} in {store}, which the world does not trust", end_of(judgement)))
            }
            End::PrivateRoot { subject } => {
                let names: Vec<&str> = context.stores.iter().map(|store| store.name.as_str()).collect();
                let root = judgement.root.map_or_else(String::new, |root| format!(", sent as certificate {},", root + 1));
                Violation::new(format!("the certificate comes from a private CA: {subject}"))
                    .evidence(format!("this self-signed root{root} is in none of the trust stores: {}", names.join(", ")))
            }
            _ => return Outcome::NotApplicable("the path does not reach a root".to_owned()),
        };
        not_trusted(context, chain, judgement, violation)
    })
}

fn end_of(judgement: &Judgement) -> &'static str {
    match &judgement.anchor {
        Some(anchor) if !path::is_self_signed(anchor) => "a CA",
        _ => "a root",
    }
}

/// The public stores that hold no root of the path, where there is more than one store.
fn not_in<'a>(context: &'a Context, chain: &[Certificate]) -> Vec<&'a str> {
    let others = context.stores.iter().filter(|store| store.public && context.stores.len() > 1);
    let is_trusted = |store: &TrustStore| {
        let judged = path::judge(chain, std::slice::from_ref(store), context.now);
        matches!(judged.end, End::Trusted { .. })
    };
    others.filter(|store| !is_trusted(store)).map(|store| store.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Authority, World, kind, messages};

    #[test]
    fn a_sent_root_that_nobody_trusts_is_found() {
        let mut world = World::correct();
        let root = Authority::root("Corp Root CA");
        let issuing = root.intermediate("Corp Issuing CA");
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone(), root.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), ["the certificate comes from a private CA: CN=Corp Root CA"]);
    }

    #[test]
    fn a_weak_private_root_is_not_misread() {
        let mut world = World::correct();
        let root = Authority::root_with(crate::rules::test_facts::Key::Rsa(512), "Old Root CA");
        world.chain = vec![root.leaf(|_| {}), root.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), ["the certificate comes from a private CA: CN=Old Root CA"]);
    }

    #[test]
    fn a_private_store_is_no_public_ca() {
        let mut world = World::correct();
        world.stores[0].public = false;
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }

    #[test]
    fn a_public_root_passes_with_its_store() {
        assert_eq!(World::correct().judge(&RULE), Outcome::Passed("the path leads to a root in world".to_owned()));
    }

    #[test]
    fn a_store_that_does_not_hold_the_root_is_named() {
        let mut world = World::correct();
        let anchors = vec![Authority::root("Other Root CA").certificate.der().to_vec().into()];
        world.stores.push(TrustStore { name: "other".to_owned(), public: true, anchors });
        let words = "the path leads to a root in world, and to none in other";
        assert_eq!(world.judge(&RULE), Outcome::Passed(words.to_owned()));
    }

    #[test]
    fn a_missing_issuer_is_another_rules_matter() {
        let mut world = World::correct();
        world.chain.truncate(1);
        assert_eq!(kind(&world.judge(&RULE)), "not-applicable");
    }
}
