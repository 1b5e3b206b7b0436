use super::each_end;
use crate::rules::{
    Context, Outcome, ResultType, Violation,
    path::{self, End},
    rule, short,
};

rule! {
    /// The trust anchor is no root.
    ///
    /// ## What it checks
    ///
    /// The path ends at an intermediate in the trust store, and no root of the store stands above it.
    ///
    /// ## Why it matters
    ///
    /// GnuTLS and rustls trust each CA in their store. OpenSSL goes on to a self-signed root and refuses the
    /// certificate where there is none, unless it is told to stop before (`-partial_chain`). So one sender with that store
    /// delivers, and another one does not.
    ///
    /// ## Remedy
    ///
    /// Put the root into the senders' store, or tell OpenSSL to stop at what is in it. The server is not at fault.
    ///
    /// - Postfix: `smtp_tls_CAfile` names a file with the root; `tafile=` in `smtp_tls_policy_maps` trusts less than one.
    /// - Exim: `tls_verify_certificates` of the transport names a file with the root.
    /// - Sendmail: `confCACERT` names a file with the root.
    /// - OpenSMTPD: `ca` names a file with the root.
    /// - Exchange: import the root into the computer's store "Trusted Root Certification Authorities".
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1.1
    "anchor-not-a-root" { practice: PublicCa, severity: Warn, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        let (End::Trusted { store, .. }, Some(anchor)) = (&judgement.end, &judgement.anchor) else {
            return Outcome::NotApplicable("the path does not reach a trust anchor".to_owned());
        };
        if path::is_self_signed(anchor) {
            return Outcome::Passed(String::new());
        }
        let what = match anchor.details() {
            Ok(details) => short(details.subject.as_str()),
            Err(_) => "a certificate that cannot be read".to_owned(),
        };
        match path::end_at_a_root(chain, context.stores, context.now) {
            End::Trusted { .. } => Outcome::Passed(String::new()),
            End::Undecided(why) => Outcome::Undetermined(why),
            _ => {
                let violation = Violation::new(format!("the path ends at {what}, which {store} trusts and which is no root"));
                let senders = "OpenSSL refuses it without the root in its store, unless it is told -partial_chain; GnuTLS and rustls-webpki accept it";
                Outcome::Violated(vec![violation.evidence(senders)])
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind, messages};

    fn trusts(world: &mut World, anchors: &[&crate::facts::Certificate]) {
        world.stores[0].anchors = anchors.iter().map(|anchor| anchor.der().to_vec().into()).collect();
    }

    #[test]
    fn an_intermediate_alone_is_no_root() {
        let mut world = World::correct();
        let (leaf, issuing, root) = (world.chain[0].clone(), world.issuing.certificate.clone(), world.root.certificate.clone());
        trusts(&mut world, &[&issuing]);
        assert_eq!(messages(&world.judge(&RULE)), ["the path ends at CN=Issuing CA, which world trusts and which is no root"]);
        // OpenSSL goes on to the root, by what the store has where it was not sent.
        trusts(&mut world, &[&leaf, &issuing, &root]);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain.truncate(1);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// OpenSSL, GnuTLS and rustls go on from the server's own certificate, wherever it stands.
    #[test]
    fn the_server_alone_is_no_anchor() {
        let mut world = World::correct();
        let leaf = world.chain[0].clone();
        trusts(&mut world, &[&leaf]);
        assert_eq!(kind(&world.judge(&RULE)), "not-applicable");
        let outcome = world.judge(crate::rules::find("unknown-issuer").unwrap());
        assert!(format!("{outcome:?}").contains("is itself in world"), "{outcome:?}");
    }

    /// Whoever signs alone is a root, and the server may be one.
    #[test]
    fn what_is_self_signed_is_a_root() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        let own = world.chain[0].clone();
        trusts(&mut world, &[&own]);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }
}
