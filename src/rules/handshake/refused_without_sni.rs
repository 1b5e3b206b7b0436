use crate::{
    facts::{Certificate, Sni},
    rules::{
        Context, Outcome, ResultType, Violation, certificate_text, constraints,
        offers::{each_offers, passed, violated},
        path::{self, End},
        rule,
    },
};

rule! {
    /// What is sent without a server name is refused by senders that verify.
    ///
    /// ## What it checks
    ///
    /// A hello without server name indication is answered with another chain than one with the target's name, and that
    /// one has a fault which this one has not: it does not lead to a trust anchor, breaks a constraint, is not valid
    /// today, or does not name the host.
    ///
    /// ## Why it matters
    ///
    /// Many senders give no name: Postfix does so for DANE alone unless `smtp_tls_servername` is set. Opportunistic TLS
    /// works for them. Those that verify see the certificate that is wrong, and defer the mail.
    ///
    /// ## Remedy
    ///
    /// Make the chain of the MX name the default one.
    ///
    /// - Postfix: the certificates of `smtpd_tls_chain_files` are the default; those of `tls_server_sni_maps`
    ///   are sent to those that ask.
    /// - Exim: the expansion of `tls_certificate` must give the certificate of the MX where `$tls_in_sni` is
    ///   empty.
    /// - Exchange: the certificate for SMTP is chosen by the FQDN of the connector, not by the name in the
    ///   hello.
    ///
    /// ## References
    ///
    /// - RFC 6066, 3
    /// - RFC 7672, 8.1
    "refused-without-sni" { practice: OpportunisticTls, severity: Warn, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let nameless = asked.offers.chains.iter().find(|chain| chain.sni == Sni::None);
        let Some(nameless) = nameless.and_then(|chain| chain.certificates.seen()).filter(|chain| !chain.is_empty()) else {
            return Outcome::NotApplicable("no certificate was seen that is sent without a server name".to_owned());
        };
        let own = context.chains(asked.index);
        if own.is_empty() {
            return Outcome::NotApplicable("no certificate was seen with the server's name".to_owned());
        }
        if own.iter().any(|chain| chain.certificates == nameless.as_slice()) {
            return passed();
        }
        let of_own: Vec<Judged> = own.iter().map(|chain| faults(context, chain.certificates)).collect();
        let known: Vec<&str> = of_own.iter().flat_map(|judged| &judged.faults).map(|(kind, _)| *kind).collect();
        let Judged { faults, doubt } = faults(context, nameless);
        let doubt = doubt.or_else(|| of_own.into_iter().find_map(|judged| judged.doubt));
        let is_of_path = |kind: &str| kind == "path" || kind == "trust";
        let faults: Vec<String> = faults
            .into_iter()
            .filter(|(kind, _)| !(known.contains(kind) || doubt.is_some() && is_of_path(kind)))
            .map(|(_, words)| words)
            .collect();
        match (faults.is_empty(), doubt) {
            (true, Some(why)) => return Outcome::Undetermined(why),
            (true, None) => return passed(),
            (false, _) => {}
        }
        let violation = Violation::new("clients that give no server name and verify refuse what they are sent");
        violated(faults.into_iter().fold(violation, Violation::evidence))
    })
}

/// Why a sender that verifies refuses a chain.
struct Judged {
    /// Kinds of reason, each in words.
    faults: Vec<(&'static str, String)>,
    /// Why its path cannot be judged to the end.
    doubt: Option<String>,
}

fn faults(context: &Context, chain: &[Certificate]) -> Judged {
    let (mut faults, mut doubt) = (Vec::new(), None);
    let judgement = path::judge(chain, context.stores, context.now);
    let is_any_trusted = context.stores.iter().any(|store| !store.anchors.is_empty());
    match &judgement.end {
        End::Trusted { .. } => {
            let of_path = constraints::faults(chain, &judgement, context.stores, context.now);
            match of_path.found.into_iter().next() {
                Some(why) => faults.push(("path", why)),
                None => doubt = of_path.doubt.map(str::to_owned),
            }
        }
        End::Undecided(why) => doubt = Some(why.clone()),
        End::SelfSigned => faults.push(("trust", "its certificate is self-signed".to_owned())),
        _ if is_any_trusted => faults.push(("trust", "its certificate does not lead to a trust anchor".to_owned())),
        _ => {}
    }
    let off = judgement.path.iter().find_map(|index| {
        let details = chain.get(*index)?.details().ok()?;
        let what = certificate_text(chain, *index);
        if details.not_after < context.now {
            Some(format!("{what} expired on {}", details.not_after.date()))
        } else {
            (details.not_before > context.now).then(|| format!("{what} is not valid before {}", details.not_before.date()))
        }
    });
    faults.extend(off.map(|words| ("dates", words)));
    let host = &context.facts.target.name;
    if let Ok(leaf) = chain[0].details()
        && !leaf.dns_names().any(|name| host.is_matched_by(name.as_str()))
    {
        faults.push(("names", format!("it does not name {host}")));
    }
    Judged { faults, doubt }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::{
        facts::{Depth, Observed, Offers},
        rules::test_facts::{NOW, World, kind},
    };

    fn judged(world: &World, sent: Vec<Certificate>) -> Outcome {
        world.judge_offers(&RULE, Offers::good().with(|offers| offers.chains[1].certificates = Observed::Seen(sent)))
    }

    #[rstest]
    #[case::another_that_is_right(|world: &World| vec![world.issuing.leaf(|_| {}), world.issuing.certificate.clone()], None)]
    #[case::incomplete(|world: &World| vec![world.chain[0].clone()], Some("its certificate does not lead to a trust anchor"))]
    #[case::self_signed(|_: &World| vec![World::self_signed()], Some("its certificate is self-signed"))]
    #[case::expired(
        |world: &World| vec![world.issuing.leaf(|p| p.not_after = NOW - Duration::days(3)), world.issuing.certificate.clone()],
        Some("the server's certificate expired on 2026-02-26")
    )]
    #[case::of_another_host(
        |world: &World| {
            let names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
            vec![world.issuing.leaf(|p| p.subject_alt_names = names), world.issuing.certificate.clone()]
        },
        Some("it does not name mx.example.test")
    )]
    fn another_chain_is_judged(#[case] sent: fn(&World) -> Vec<Certificate>, #[case] words: Option<&str>) {
        let world = World::correct();
        let outcome = judged(&world, sent(&world));
        match (words, &outcome) {
            (Some(words), Outcome::Violated(violations)) => assert_eq!(violations[0].evidence, [words]),
            (words, outcome) => assert_eq!((words, kind(outcome)), (None, "passed")),
        }
    }

    /// What is not compared to the end is no fault, and no "passed".
    #[test]
    fn what_cannot_be_told_of_the_path_is_left_open() {
        let world = World::correct();
        let names = |tail: &'static str| (0..1100).map(move |number| format!("{number}.{tail}"));
        let issuing = world.root.intermediate_with("Issuing CA", |params| {
            let excluded_subtrees = names("b").map(rcgen::GeneralSubtree::DnsName).collect();
            params.name_constraints = Some(rcgen::NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
        });
        let leaf = issuing.leaf(|params| {
            params.subject_alt_names.extend(names("a").map(|name| rcgen::SanType::DnsName(name.try_into().unwrap())));
        });
        assert_eq!(kind(&judged(&world, vec![leaf, issuing.certificate])), "undetermined");
    }

    /// What is wrong with the chain of the name as well has a rule of its own.
    #[test]
    fn only_what_is_worse_counts() {
        let mut world = World::correct();
        world.chain.truncate(1);
        let sent = vec![world.issuing.leaf(|_| {})];
        assert_eq!(kind(&judged(&world, sent)), "passed");
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
