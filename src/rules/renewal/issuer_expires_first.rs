use time::Duration;

use super::{Line, ahead, date, each_above};
use crate::rules::{Context, Outcome, Violation, rule};

rule! {
    /// A CA's certificate expires before the server's.
    ///
    /// ## What it checks
    ///
    /// An intermediate of the certification path, or the root above it, expires within 30 days, and before the
    /// server's own certificate does.
    ///
    /// ## Why it matters
    ///
    /// On that day the path is refused although the server's own certificate, the one in the calendar,
    /// is still valid. OpenSSL and Schannel hold a root to its dates, rustls does not.
    ///
    /// ## Remedy
    ///
    /// Ask the CA for its next intermediate and send that one. Often it is there already, and has only not
    /// been replaced in the file. If it is the root that ends, ask for a certificate under another one.
    ///
    /// - Postfix: replace the intermediate in the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: replace it in the file of `tls_certificate`.
    /// - Sendmail: replace it in the file of `confCACERT`, then restart it.
    /// - OpenSMTPD: replace it in the file of `pki mx.example.org cert`, then restart it.
    /// - Exchange: import it into the store of intermediate authorities of the machine; Schannel sends what it finds there.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1.3
    "issuer-expires-first" { practice: Renewal, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_above(context, |line| {
        let Line { leaf, above, intermediates, .. } = line;
        let first = above.iter().enumerate().filter(|(_, (_, issuer))| {
            let (end, left) = (issuer.not_after, issuer.not_after - context.now);
            (Duration::ZERO..=Duration::days(30)).contains(&left) && end < leaf.not_after
        });
        let violations = first.map(|(place, (what, issuer))| {
            let (kind, senders) = match place < *intermediates {
                true => ("the intermediate ", ""),
                false => ("", "; OpenSSL and Schannel refuse the path from then on, rustls does not look"),
            };
            let replaced = match line.is_replaced(context, place) {
                true => "; another certificate of that CA is sent and takes its place, but for GnuTLS 3.7: remove this one",
                false => "",
            };
            let left = ahead(issuer.not_after - context.now);
            let (end, own) = (date(issuer.not_after, context.now), date(leaf.not_after, context.now));
            Violation::new(format!("{kind}{what} expires {left}, before the server's certificate"))
                .evidence(format!("valid until {end}; the server's until {own}{senders}{replaced}"))
        });
        let violations: Vec<Violation> = violations.collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{NOW, World, kind, messages};

    #[test]
    fn a_root_that_ends_first_is_told_of() {
        let mut world = World::correct();
        let root = world.root.until(NOW + Duration::days(20));
        world.stores[0].anchors = vec![root.der().to_vec().into()];
        assert_eq!(messages(&world.judge(&RULE)), ["the root (CN=World Root CA) expires in 20 days, before the server's certificate"]);
        // While the store has another certificate of it, nothing breaks.
        world.stores[0].anchors.push(world.root.certificate.der().to_vec().into());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// No moment of judgement is so far away that days cannot be counted from it.
    #[test]
    fn the_ends_of_time_are_judged() {
        use crate::rules::{Context, of_servers};
        let world = World::correct();
        let facts = world.facts(1);
        for now in [time::macros::datetime!(9999-12-31 23:59:59 UTC), time::macros::datetime!(0001-01-01 0:00 UTC)] {
            for rule in of_servers() {
                rule.judge(&Context::new(&facts, &world.stores, crate::rules::policy::default(), now));
            }
        }
    }

    /// Days that are left of the intermediate and of the server's certificate.
    #[rstest]
    #[case(20, 60, "violated")]
    #[case(30, 60, "violated")]
    #[case(31, 60, "passed")]
    #[case(20, 10, "passed")]
    #[case(-1, 60, "passed")]
    fn it_must_be_soon_and_first(#[case] issuer: i64, #[case] leaf: i64, #[case] expected: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("CA", |params| params.not_after = NOW + Duration::days(issuer));
        let own = issuing.leaf(|params| params.not_after = NOW + Duration::days(leaf));
        world.chain = vec![own, issuing.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }
}
