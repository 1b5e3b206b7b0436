use time::OffsetDateTime;

use super::each_end;
use crate::{
    facts::Certificate,
    rules::{
        Context, Outcome, ResultType, Violation,
        path::{self, End, Upwards},
        rule, short,
    },
    trust::TrustStore,
};

rule! {
    /// The trust anchor is no root.
    ///
    /// ## What it checks
    ///
    /// The path ends at an intermediate in the trust store, and no root of the store stands above it, or one that is not
    /// valid now.
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
    each_end(context, |_, judgement| {
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
        let violated = |senders: String| {
            let found = format!("the path ends at {what}, which {store} trusts and which is no root");
            Outcome::Violated(vec![Violation::new(found).evidence(senders)])
        };
        let stores = context.stores.iter().filter(|known| known.name == *store);
        let holds_it = |store: &&TrustStore| store.anchors.iter().any(|known| known.as_ref() == anchor.der());
        let Some(holder) = stores.clone().find(holds_it) else { return Outcome::Passed(String::new()) };
        const UNLESS: &str = "unless it is told -partial_chain; GnuTLS and rustls-webpki stop there";
        match path::upwards(anchor, holder, context.now) {
            Upwards::Root(above) => match above.iter().find_map(|certificate| invalid(certificate, context.now)) {
                Some(words) => violated(format!("OpenSSL goes on to {words}, and refuses it {UNLESS}")),
                None => Outcome::Passed(String::new()),
            },
            Upwards::NoRoot => violated(format!("OpenSSL refuses it without the root in its store, {UNLESS}")),
            Upwards::WrongSignature => {
                violated(format!("OpenSSL goes on in the store by name, to a key that made no such signature, and refuses it {UNLESS}"))
            }
            Upwards::Unknown => Outcome::Undetermined("this build cannot verify a signature in the trust store".to_owned()),
        }
    })
}

/// A certificate that is not valid now, with why.
fn invalid(certificate: &Certificate, now: OffsetDateTime) -> Option<String> {
    let details = certificate.details().ok()?;
    let words = if details.not_after < now {
        format!("expired on {}", details.not_after.date())
    } else if details.not_before > now {
        format!("is not valid before {}", details.not_before.date())
    } else {
        return None;
    };
    Some(format!("{}, which is in the store and {words}", short(details.subject.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Authority, World, kind, messages};

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

    /// OpenSSL goes on to the root of the store and looks at its dates (error 10).
    #[test]
    fn the_root_above_must_be_valid() {
        let mut world = World::correct();
        let issuing = world.issuing.certificate.clone();
        let root = world.root.until(crate::rules::test_facts::NOW - time::Duration::days(3));
        trusts(&mut world, &[&issuing, &root]);
        let outcome = world.judge(&RULE);
        assert!(format!("{outcome:?}").contains("OpenSSL goes on to CN=World Root CA, which is in the store and expired on"), "{outcome:?}");
        let good = world.root.certificate.clone();
        trusts(&mut world, &[&issuing, &root, &good]);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// What of a large store does not stand above the path does not count.
    #[test]
    fn a_large_store_is_no_long_chain() {
        let mut world = World::correct();
        let others: Vec<_> = (0..40).map(|number| world.root.intermediate(&format!("CA {number}")).certificate).collect();
        let (issuing, root) = (world.issuing.certificate.clone(), world.root.certificate.clone());
        let store = || others.iter().chain([&issuing]);
        world.chain.truncate(1);
        trusts(&mut world, &store().collect::<Vec<_>>());
        assert_eq!(kind(&world.judge(&RULE)), "violated");
        trusts(&mut world, &store().chain([&root]).collect::<Vec<_>>());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// OpenSSL takes the first that fits from the store and never goes back to what was sent.
    #[test]
    fn what_was_sent_does_not_stand_above_the_store() {
        let top = Authority::root("Top CA");
        let middle = top.intermediate("Middle CA");
        let low = middle.intermediate("Low CA");
        let mut world = World::correct();
        world.chain = vec![low.leaf(|_| {}), low.certificate.clone(), middle.certificate.clone()];
        trusts(&mut world, &[&low.certificate, &top.certificate]);
        assert_eq!(kind(&world.judge(&RULE)), "violated");
        trusts(&mut world, &[&low.certificate, &middle.certificate, &top.certificate]);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        // A certificate for a root by another CA, where it comes first.
        let other = Authority::root("Other CA");
        let cross = other.certify(&top);
        world.chain.insert(3, top.certificate.clone());
        trusts(&mut world, &[&cross, &top.certificate]);
        assert_eq!(kind(&world.judge(&RULE)), "violated");
        trusts(&mut world, &[&top.certificate, &cross]);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// Each store is that of other senders: what one of them lacks, another one does not give.
    #[test]
    fn each_store_stands_alone() {
        let mut world = World::correct();
        let (issuing, root) = (world.issuing.certificate.clone(), world.root.certificate.clone());
        trusts(&mut world, &[&issuing]);
        let private = TrustStore { name: "private".to_owned(), public: false, ..world.stores[0].clone() };
        world.stores.push(TrustStore { anchors: vec![root.der().to_vec().into()], ..private });
        assert_eq!(kind(&world.judge(&RULE)), "violated");
        // Another public one that leads to a root is the one that the report names.
        world.stores[1].public = true;
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
