use crate::{
    facts::CertificateDetails,
    rules::{Chain, Context, Outcome, Violation, each_leaf, rule},
};

rule! {
    /// A newer certificate lies on the disk, and the server presents the old one.
    ///
    /// ## What it checks
    ///
    /// With `--certificate FILE`: whether the certificates in that file are those that the server presents. A file that is
    /// newer was renewed and not loaded. One that is older, or for other names, is not the file that the server uses.
    ///
    /// ## Why it matters
    ///
    /// The renewal worked and nobody notices that it has no effect, until the old certificate expires.
    ///
    /// ## Remedy
    ///
    /// Have the renewal tell the server, in certbot's `--deploy-hook` for example. If the file is the older one, look
    /// which file the server reads.
    ///
    /// - Postfix: `postfix reload`. Processes that are running end with their connections, `smtpd` after 100 of them.
    /// - Exim: reads the file for each connection; if it does not, look which file `tls_certificate` names.
    /// - Sendmail: restart it: `systemctl restart sendmail`.
    /// - OpenSMTPD: restart it: `systemctl restart opensmtpd`.
    /// - Exchange: `Enable-ExchangeCertificate -Thumbprint … -Services SMTP`, and name it in `TlsCertificateName` of the
    ///   receive connector.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.1.2.5
    "certificate-not-reloaded" { practice: Renewal, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let installed: Vec<_> = context.facts.installed.iter().filter_map(|certificate| certificate.details().ok()).collect();
    each_leaf(context, |view, presented| {
        if installed.is_empty() {
            return Outcome::NotApplicable("no file was given; --certificate does".to_owned());
        }
        // With two certificates each may be in a file of its own, or both in one.
        let leaves: Vec<_> =
            Chain::all(view).into_iter().filter_map(|chain| chain.certificates.first()?.details().ok()).collect();
        let is_presented = |file: &&CertificateDetails| leaves.iter().any(|leaf| leaf.sha256 == file.sha256);
        let is_kind_seen = |file: &&CertificateDetails| leaves.iter().any(|leaf| leaf.key.algorithm == file.key.algorithm);
        if installed.iter().any(|file| file.sha256 == presented.sha256) {
            let unseen = installed.iter().copied().find(|file| !is_kind_seen(file));
            let but = unseen.map_or_else(String::new, |file| format!("; whether the one of {} is presented was not seen", file.key));
            return Outcome::Passed(format!("the certificate on the disk is presented{but}"));
        }
        let others: Vec<_> = installed.iter().copied().filter(|file| !is_presented(file)).collect();
        let Some(file) = others.iter().copied().find(|file| file.key.algorithm == presented.key.algorithm) else {
            if let Some(file) = others.iter().copied().find(|file| !is_kind_seen(file)) {
                let kinds = format!("the file holds a certificate of another kind of key: {}", file.key);
                return Outcome::Undetermined(format!("{kinds}; whether the server presents it too is not known"));
            }
            return Outcome::NotApplicable("the file holds no certificate of this kind of key".to_owned());
        };
        // Loading it would make things worse.
        if file.not_after < context.now || file.not_before > context.now {
            let words = format!("the certificate on the disk is valid from {} to {} only", file.not_before.date(), file.not_after.date());
            return Outcome::Undetermined(format!("{words}: it is not the one to load"));
        }
        if file.is_ca && !presented.is_ca {
            return Outcome::Undetermined("the first certificate of the file is one of a CA: it is not the server's".to_owned());
        }
        if file.subject == file.issuer && presented.subject != presented.issuer {
            return Outcome::Undetermined("the certificate in the file is self-signed: it is not the one to load".to_owned());
        }
        // What names the host is replaced by nothing that does not.
        let host = &context.facts.target.name;
        let names_host = |leaf: &CertificateDetails| leaf.dns_names().any(|name| host.is_matched_by(name.as_str()));
        if names_host(presented) && !names_host(file) {
            return Outcome::Undetermined(format!("the certificate in the file does not name {host}: it is not the one to load"));
        }
        let (ends, ended) = (presented.not_after.date(), file.not_after.date());
        let violation = if file.not_before > presented.not_before {
            Violation::new("a newer certificate lies on the disk than the server presents")
        } else {
            Violation::new("the server presents another certificate than the one in the file")
        };
        let violation = violation.evidence(format!("presented: serial {}, ends on {ends}", presented.serial));
        Outcome::Violated(vec![violation.evidence(format!("on the disk: serial {}, ends on {ended}", file.serial))])
    })
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::{
        facts::{Certificate, Observed, Offers, Sni},
        rules::test_facts::{Key, NOW, World, kind, messages},
    };

    fn judge_with(world: &World, installed: Vec<Certificate>) -> Outcome {
        let mut facts = world.facts(1);
        facts.installed = installed;
        RULE.judge(&world.context(&facts))
    }

    #[test]
    fn what_was_renewed_and_not_loaded_is_found() {
        let world = World::correct();
        let newer = world.issuing.leaf(|params| params.not_before = NOW - Duration::days(1));
        let outcome = judge_with(&world, vec![newer]);
        assert_eq!(messages(&outcome), ["a newer certificate lies on the disk than the server presents"]);
        let older = world.issuing.leaf(|params| params.not_before = NOW - Duration::days(400));
        let outcome = judge_with(&world, vec![older]);
        assert_eq!(messages(&outcome), ["the server presents another certificate than the one in the file"]);
    }

    #[test]
    fn what_must_not_be_loaded_is_not_recommended() {
        let world = World::correct();
        let expired = world.issuing.leaf(|params| params.not_after = NOW - Duration::days(1));
        let early = world.issuing.leaf(|params| params.not_before = NOW + Duration::days(1));
        for file in [expired, early, world.issuing.certificate.clone()] {
            assert_eq!(kind(&judge_with(&world, vec![file])), "undetermined");
        }
    }

    #[test]
    fn one_for_other_names_is_not_recommended() {
        let world = World::correct();
        let other = world.issuing.leaf(|params| {
            params.not_before = NOW - Duration::days(1);
            params.subject_alt_names = vec![rcgen::SanType::DnsName("www.example.test".try_into().unwrap())];
        });
        assert_eq!(kind(&judge_with(&world, vec![other])), "undetermined");
    }

    #[test]
    fn of_two_that_are_presented_one_may_be_in_the_file() {
        let world = World::correct();
        let mut facts = world.facts(1);
        let rsa = world.issuing.leaf_of(Key::Rsa(2048));
        facts.views[0].offers = Observed::Seen(Offers::good().chain(Sni::Target).with(|offers| {
            offers.chains.iter_mut().for_each(|chain| chain.certificates = Observed::Seen(vec![rsa.clone()]));
        }));
        facts.installed = vec![rsa];
        assert_eq!(kind(&RULE.judge(&world.context(&facts))), "passed");
    }

    /// The usual layout of `smtpd_tls_chain_files`: both kinds in one file.
    #[test]
    fn each_of_two_in_one_file_is_compared_with_its_kind() {
        let world = World::correct();
        let mut facts = world.facts(1);
        let rsa = world.issuing.leaf_of(Key::Rsa(2048));
        let renewed = world.issuing.leaf(|params| params.not_before = NOW - Duration::days(1));
        facts.installed = vec![rsa.clone(), renewed];
        let outcome = RULE.judge(&world.context(&facts));
        assert_eq!(messages(&outcome), ["a newer certificate lies on the disk than the server presents"]);
        facts.installed[1] = world.chain[0].clone();
        let outcome = RULE.judge(&world.context(&facts));
        let words = "the certificate on the disk is presented; whether the one of RSA 2048 bits is presented was not seen";
        assert_eq!(outcome, Outcome::Passed(words.to_owned()));
        facts.views[0].offers = Observed::Seen(Offers::good().chain(Sni::Target).with(|offers| {
            offers.chains.iter_mut().for_each(|chain| chain.certificates = Observed::Seen(vec![rsa.clone()]));
        }));
        assert_eq!(RULE.judge(&world.context(&facts)), Outcome::Passed("the certificate on the disk is presented".to_owned()));
        // One for other names is said to be that, whatever the server presents besides.
        let other = world.issuing.leaf_with(Key::Rsa(2048), |params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("www.example.test".try_into().unwrap())];
        });
        facts.installed = vec![other];
        let outcome = RULE.judge(&world.context(&facts));
        assert!(format!("{outcome:?}").contains("does not name mx.example.test"), "{outcome:?}");
    }

    #[test]
    fn one_that_nobody_certified_is_not_recommended() {
        let outcome = judge_with(&World::correct(), vec![World::self_signed()]);
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn the_same_one_passes_and_another_kind_says_nothing() {
        let world = World::correct();
        assert_eq!(kind(&judge_with(&world, vec![world.chain[0].clone()])), "passed");
        assert_eq!(kind(&judge_with(&world, vec![world.issuing.leaf_of(Key::Rsa(2048))])), "undetermined");
        assert_eq!(kind(&judge_with(&world, Vec::new())), "not-applicable");
    }
}
