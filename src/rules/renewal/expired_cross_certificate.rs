use super::{ago, ahead, date};
use crate::{
    facts::Certificate,
    rules::{
        Context, Outcome, Violation, certificate_text, each_path,
        path::{Judgement, Relation},
        rule,
    },
};

rule! {
    /// A certificate of another path is sent that is not valid now.
    ///
    /// ## What it checks
    ///
    /// Beside a valid path the server sends another certificate of one of its CAs, a cross-certificate for
    /// example, that has expired or is not valid yet.
    ///
    /// ## Why it matters
    ///
    /// OpenSSL and rustls find the valid path. GnuTLS 3.7, which Debian's Exim uses, does not where such a certificate of an
    /// intermediate is sent before the valid one. Old verifiers, OpenSSL before 1.1.0 among them, follow the certificates as sent
    /// and refuse when they meet the expired one, though the root that they trust would do.
    ///
    /// ## Remedy
    ///
    /// Send the certificate and the intermediates of the valid path only.
    ///
    /// - Postfix: remove it from the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: remove it from the file of `tls_certificate`.
    /// - Sendmail: remove it from the file of `confCACERT`.
    /// - OpenSMTPD: remove it from the file of `pki mx.example.org cert`.
    /// - Exchange: remove it from the computer's store "Intermediate Certification Authorities", and restart
    ///   the transport service.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1
    /// - RFC 4158, 2.4
    "expired-cross-certificate" { practice: Renewal, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let others = judgement.extra.iter().filter(|(_, relation)| *relation == Relation::Alternative);
        let invalid = others.filter_map(|(index, _)| {
            let details = chain[*index].details().ok()?;
            let (begin, end, now) = (details.not_before, details.not_after, context.now);
            let what = certificate_text(chain, *index);
            let violation = if end < now {
                Violation::new(format!("{what} is not needed and expired {}", ago(now - end)))
                    .evidence(format!("valid until {}", date(end, now)))
            } else if begin > now {
                Violation::new(format!("{what} is not needed and becomes valid {}", ahead(begin - now)))
                    .evidence(format!("valid from {}", date(begin, now)))
            } else {
                return None;
            };
            let is_first = is_taken_first(context, chain, judgement, *index);
            let words = "it is sent before the valid one of that CA: GnuTLS 3.7, which Debian's Exim uses, refuses the path";
            Some(if is_first { violation.evidence(words) } else { violation })
        });
        let violations: Vec<Violation> = invalid.collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

/// Whether a certificate is of an intermediate on the path, and sent before the one that is there. `certtool --verify` of GnuTLS
/// 3.7 takes it then; another one of a CA that the store has itself it leaves alone.
fn is_taken_first(context: &Context, chain: &[Certificate], judgement: &Judgement, index: usize) -> bool {
    let of = |index: usize| chain[index].details().ok().map(|details| (&details.subject, &details.key.sha256));
    let is_valid = |index: usize| {
        chain[index].details().is_ok_and(|details| details.not_before <= context.now && context.now <= details.not_after)
    };
    judgement.intermediates().iter().any(|valid| index < *valid && is_valid(*valid) && of(index) == of(*valid))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::rules::test_facts::{Authority, NOW, World, kind, messages};

    #[rstest]
    #[case(-3, "violated")]
    #[case(3, "passed")]
    fn only_an_expired_one_is_found(#[case] days: i64, #[case] expected: &str) {
        let mut world = World::correct();
        let former = Authority::root("Former Root CA");
        world.chain.push(former.certify_until(&world.root, NOW + Duration::days(days)));
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }

    /// A new certificate of the intermediate, put into the file too early.
    #[test]
    fn one_of_tomorrow_is_found_too() {
        let mut world = World::correct();
        let early = world.root.certify_with(&world.issuing, |params| params.not_before = NOW + Duration::days(3));
        world.chain.insert(1, early);
        let outcome = world.judge(&RULE);
        assert_eq!(messages(&outcome), ["certificate 2 (CN=Issuing CA) is not needed and becomes valid in 3 days"]);
        assert!(format!("{outcome:?}").contains("GnuTLS 3.7"));
    }

    #[test]
    fn gnutls_takes_the_first() {
        let mut world = World::correct();
        let expired = world.root.certify_until(&world.issuing, NOW - Duration::days(3));
        world.chain.insert(1, expired.clone());
        assert!(format!("{:?}", world.judge(&RULE)).contains("GnuTLS 3.7"));
        world.chain.remove(1);
        world.chain.push(expired);
        assert_eq!(kind(&world.judge(&RULE)), "violated");
        assert!(!format!("{:?}", world.judge(&RULE)).contains("GnuTLS 3.7"));
    }
}
