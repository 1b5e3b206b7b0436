use std::collections::BTreeSet;

use time::Duration;

use crate::{
    facts::{CertificateDetails, Depth, Observed, Sni},
    rules::{
        Context, Outcome, Violation, listed, rule,
        offers::{each_offers, passed},
    },
};

rule! {
    /// The certificates of one server do not agree.
    ///
    /// ## What it checks
    ///
    /// A server that has certificates of several kinds sends each to those that ask for it. They name different
    /// hosts, or one expires 30 days or more before the other.
    ///
    /// ## Why it matters
    ///
    /// Which certificate a sender sees depends on what it offers. Half of the senders then meet a host mismatch
    /// or an expired certificate while the other half, and most people who look, see nothing wrong.
    ///
    /// ## Remedy
    ///
    /// Issue and renew the certificates together. Two of one kind are not for senders to choose between: several servers
    /// answer behind the address, and the renewal has to reach each.
    ///
    /// - Postfix: list both chains in `smtpd_tls_chain_files`, and let one renewal write both.
    /// - Exim: `tls_certificate` and `tls_privatekey` take lists of files with OpenSSL and GnuTLS.
    /// - Sendmail: `ServerCertFile` and `ServerKeyFile` take two files each, with a comma between them.
    /// - OpenSMTPD: it has one certificate for each name; look at what terminates TLS before it.
    /// - Exchange: one certificate is chosen for each FQDN; remove old ones with `Remove-ExchangeCertificate`.
    ///
    /// ## References
    ///
    /// - RFC 9525, 6.1
    /// - RFC 8446, 4.4.2.2
    "certificates-differ" { practice: StrongKeys, severity: Notice, result_type: None }
}

/// Renewals that run a few days apart are no fault.
const APART: Duration = Duration::days(30);

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let chains = context.chains(asked.index).iter();
        let leaves: Vec<(&str, &CertificateDetails)> =
            chains.filter_map(|chain| Some((chain.label()?, chain.certificates.first()?.details().ok()?))).collect();
        let Some((first, others)) = leaves.split_first().filter(|(_, others)| !others.is_empty()) else {
            let lost = asked.offers.chains.iter().filter(|chain| chain.sni == Sni::Target).find_map(|chain| match &chain.answer {
                Observed::Failed(failure) => Some(failure),
                _ => None,
            });
            return match lost {
                Some(failure) => {
                    Outcome::Undetermined(format!("whether there is a certificate of another kind is not known: {failure}"))
                }
                None if asked.offers.depth == Depth::Quick => asked.unasked(),
                None => Outcome::NotApplicable("one certificate was seen".to_owned()),
            };
        };
        let violations: Vec<Violation> = others.iter().flat_map(|other| differences(*first, *other)).collect();
        if violations.is_empty() { passed() } else { Outcome::Violated(violations) }
    })
}

fn differences((one, a): (&str, &CertificateDetails), (other, b): (&str, &CertificateDetails)) -> Vec<Violation> {
    let mut found = Vec::new();
    let names = |leaf: &CertificateDetails| {
        leaf.dns_names().map(|name| name.as_str().to_ascii_lowercase()).collect::<BTreeSet<_>>()
    };
    let (names_a, names_b) = (names(a), names(b));
    if names_a != names_b {
        let line = |what: &str, names: &BTreeSet<String>| format!("the {what}: {}", listed(names.iter(), 10, ", "));
        let violation = Violation::new(format!("the {one} and the {other} name different hosts"));
        found.push(violation.evidence(line(one, &names_a)).evidence(line(other, &names_b)));
    }
    let apart = a.not_after - b.not_after;
    if apart.abs() >= APART {
        let (sooner, later) = if apart.is_negative() { (one, other) } else { (other, one) };
        let days = apart.abs().whole_days();
        found.push(Violation::new(format!("the {sooner} expires {days} days before the {later}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Answer, Certificate, Failure, Offers},
        rules::test_facts::{Key, NOW, World, kind, messages},
    };

    /// A server that sends this certificate besides to those that ask for RSA.
    fn judged(world: &World, second: Certificate) -> Outcome {
        world.judge_offers(&RULE, Offers::good().with(|offers| offers.chains[0].certificates = Observed::Seen(vec![second])))
    }

    #[test]
    fn names_and_ends_are_compared() {
        let world = World::correct();
        assert_eq!(kind(&judged(&world, world.issuing.leaf_of(Key::Rsa(2048)))), "passed");
        let other = world.issuing.leaf_with(Key::Rsa(2048), |params| {
            params.not_after = NOW + Duration::days(20);
            params.subject_alt_names = vec![rcgen::SanType::DnsName("old.example.test".try_into().unwrap())];
        });
        let expected = [
            "the ECDSA certificate and the RSA certificate name different hosts",
            "the RSA certificate expires 40 days before the ECDSA certificate",
        ];
        assert_eq!(messages(&judged(&world, other)), expected);
    }

    #[test]
    fn one_certificate_agrees_with_itself() {
        let world = World::correct();
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::good())), "not-applicable");
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::unanswered())), "undetermined");
        let lost = Offers::good().chain(Sni::Target).with(|offers| {
            let last = offers.chains.last_mut().unwrap();
            last.answer = Observed::Failed(Failure::Closed);
            last.certificates = Observed::Failed(Failure::Closed);
        });
        assert_eq!(kind(&world.judge_offers(&RULE, lost)), "undetermined");
        let refused = Offers::good().with(|offers| offers.chains[1].answer = Observed::Seen(Answer::Accepted));
        assert_eq!(kind(&world.judge_offers(&RULE, refused)), "not-applicable");
    }
}
