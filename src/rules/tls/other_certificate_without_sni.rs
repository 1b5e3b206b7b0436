use crate::{
    facts::{Answer, Certificate, CertificateDetails, Observed, Sni},
    rules::{
        Context, Outcome, Violation, listed,
        offers::{each_offers, passed, violated},
        rule, short,
    },
};

rule! {
    /// Another certificate is sent where no name is asked for.
    ///
    /// ## What it checks
    ///
    /// A hello without server name indication is answered with another certificate of the same kind than one
    /// with the target's name.
    ///
    /// ## Why it matters
    ///
    /// Older senders send no name, nor do many that do not check certificates. They see the other certificate:
    /// for opportunistic TLS that is enough, a sender that compares names meets a mismatch.
    ///
    /// ## Remedy
    ///
    /// Make the certificate of the MX name the default one.
    ///
    /// - Postfix: the certificates of `smtpd_tls_chain_files` are the default; those of `tls_server_sni_maps`
    ///   are sent to those that ask.
    /// - Exim: the expansion of `tls_certificate` must give the certificate of the MX where `$tls_in_sni` is
    ///   empty.
    /// - Sendmail: it goes by no name; look at what terminates TLS before it.
    /// - OpenSMTPD: the first `pki` of the `listen` line is the default; those after it are sent to those that ask.
    /// - Exchange: the certificate for SMTP is chosen by the FQDN of the connector, not by the name in the
    ///   hello.
    ///
    /// ## References
    ///
    /// - RFC 6066, 3
    /// - RFC 7672, 8.1
    "other-certificate-without-sni" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let own: Vec<&Certificate> = context.chains(asked.index).iter().filter_map(|chain| chain.certificates.first()).collect();
        let Some(nameless) = asked.offers.chains.iter().find(|chain| chain.sni == Sni::None) else { return asked.unasked() };
        let chain = match (&nameless.answer, &nameless.certificates) {
            (Observed::Seen(Answer::Refused(_)), _) => {
                return Outcome::NotApplicable("a hello without a server name is refused".to_owned());
            }
            (Observed::Failed(failure), _) => {
                return Outcome::Undetermined(format!("what is sent without a server name is not known: {failure}"));
            }
            (_, chain) => chain,
        };
        asked.observed("the certificate that is sent without a server name", chain, |chain| match chain.first() {
            Some(leaf) if own.iter().any(|known| known.der() == leaf.der()) => passed(),
            Some(leaf) => compared(leaf, &own),
            None => Outcome::Undetermined("without a server name, an empty certificate message is sent".to_owned()),
        })
    })
}

/// Like is compared with like: another kind of certificate shows only that another kind was asked for.
fn compared(leaf: &Certificate, own: &[&Certificate]) -> Outcome {
    let kind = |certificate: &Certificate| certificate.details().ok().map(|details| details.key.algorithm);
    let Some(same_kind) = own.iter().find(|known| kind(known).is_some() && kind(known) == kind(leaf)) else {
        return Outcome::NotApplicable("no certificate of that kind was seen with the server's name".to_owned());
    };
    let names = |details: &CertificateDetails| match &details.subject_alt_names[..] {
        [] if details.subject.as_str().is_empty() => "no names".to_owned(),
        [] => short(details.subject.as_str()),
        names => listed(names.iter(), 10, ", "),
    };
    let line = |what: &str, certificate: &Certificate| match certificate.details() {
        Ok(details) => {
            format!("{what}: {}, serial {}, valid until {}", names(details), details.serial, details.not_after.date())
        }
        Err(why) => format!("{what}: cannot be read: {why}"),
    };
    let violation = Violation::new("another certificate is sent to clients that give no server name");
    violated(violation.evidence(line("with the name", same_kind)).evidence(line("without", leaf)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Offers,
        rules::{
            test_facts::{Key, World, kind},
            test_offers::refusal,
        },
    };

    fn judged(world: &World, sent: Certificate) -> Outcome {
        world.judge_offers(&RULE, Offers::good().with(|offers| offers.chains[1].certificates = Observed::Seen(vec![sent])))
    }

    #[test]
    fn like_is_compared_with_like() {
        let world = World::correct();
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::good())), "passed");
        assert_eq!(kind(&judged(&world, World::self_signed())), "violated");
        let nameless = |name| move |params: &mut rcgen::CertificateParams| {
            params.subject_alt_names.clear();
            World::set_common_name(params, name);
        };
        for (name, words) in [(None, "without: no names, serial"), (Some("gateway"), "without: CN=gateway, serial")] {
            let outcome = judged(&world, world.issuing.leaf(nameless(name)));
            assert!(format!("{outcome:?}").contains(words), "{outcome:?}");
        }
        assert_eq!(kind(&judged(&world, world.issuing.leaf_of(Key::Rsa(2048)))), "not-applicable");
        assert_eq!(kind(&judged(&world, Certificate::from_der(b"no certificate"))), "not-applicable");
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::unanswered())), "undetermined");
        let refused = Offers::good().with(|offers| offers.chains[1].answer = Observed::Seen(refusal()));
        assert_eq!(kind(&world.judge_offers(&RULE, refused)), "not-applicable");
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::good().with(|offers| offers.chains.truncate(1)))), "not-applicable");
    }
}
