use time::OffsetDateTime;

use crate::{
    facts::{Observed, Resource},
    rules::{
        Context, Outcome, ResultType, Violation, each_stapled,
        revocation::{self, Learned, Subject, source_text},
        rule, short,
    },
};

rule! {
    /// The CA took the certificate back.
    ///
    /// ## What it checks
    ///
    /// What the CA says of the server's certificate and of the intermediates above it: in the OCSP response
    /// that the server staples, and, with `--revocation`, from the OCSP responder and the list of revoked
    /// certificates that each of them names. An answer counts when the CA signed it, or a responder of
    /// the CA, and when it holds now. Where there is no such answer for a certificate, the rule cannot tell.
    ///
    /// ## Why it matters
    ///
    /// A CA revokes a certificate because its key leaked, because it was issued by mistake, or because a new
    /// one took its place. Few mail servers ask; those that do refuse it, and whoever has the key can stand
    /// in for the server with all the others.
    ///
    /// ## Remedy
    ///
    /// Find out why it was revoked. Make a new key, have a new certificate issued for it and install both;
    /// if an intermediate was revoked, send the CA's current one.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.3
    /// - RFC 6960, 2.2
    /// - RFC 6066, 8
    "certificate-revoked" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    let is_asked = context.facts.told_to_fetch.contains(&Resource::Ocsp);
    each_stapled(context, |chain, judgement, staple| {
        let (mut violations, mut good, mut doubt, mut excused) = (Vec::new(), Vec::new(), None, None);
        for (place, subject) in revocation::subjects(context.facts, chain, judgement).iter().enumerate() {
            let stapled = match staple {
                Observed::Seen(Some(response)) if place == 0 => {
                    Some(("the staple", String::new(), subject.of_ocsp(response, context.now)))
                }
                _ => None,
            };
            if !is_asked && stapled.is_none() {
                continue;
            }
            let fetched = subject.learned(context.facts, context.now).into_iter();
            let fetched = fetched.map(|(f, learned)| (source_text(f.what), format!(" {}", short(f.url.as_str())), learned));
            let learned: Vec<Source> = stapled.into_iter().chain(fetched).collect();
            match revoked(subject, &learned, context.now) {
                Some(violation) => violations.push(violation),
                None => match learned.iter().find(|(.., learned)| matches!(learned, Learned::Good(_))) {
                    Some((source, ..)) => good.push(format!("{} was not revoked, says {source}", subject.what)),
                    None if let Some(why) = subject.why_beyond_revocation() => excused = Some(format!("{} {why}", subject.what)),
                    None => _ = doubt.get_or_insert_with(|| unknown(subject, &learned)),
                },
            }
        }
        match (violations.is_empty(), doubt) {
            (false, _) => Outcome::Violated(violations),
            // A staple that does not hold has a rule of its own; who did not ask further does not doubt.
            (true, Some(why)) if is_asked => Outcome::Undetermined(excused.into_iter().chain(good).chain([why]).collect::<Vec<_>>().join("; ")),
            (true, _) if !good.is_empty() => {
                Outcome::Passed(excused.into_iter().chain(good).collect::<Vec<_>>().join("; "))
            }
            (true, _) if let Some(why) = excused => Outcome::NotApplicable(why),
            (true, _) if is_asked => Outcome::NotApplicable("there is no CA that could revoke it".to_owned()),
            (true, _) => Outcome::NotApplicable("not asked; --revocation does".to_owned()),
        }
    })
}

/// Who says it, where that is to be had, and what it comes to.
type Source = (&'static str, String, Learned);

fn revoked(subject: &Subject, learned: &[Source], now: OffsetDateTime) -> Option<Violation> {
    let (at, reason) = learned.iter().find_map(|(.., learned)| match learned {
        Learned::Revoked(at, reason) => Some((at, reason)),
        _ => None,
    })?;
    let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    // A day to come is odd, and the CA has spoken all the same.
    let words = if *at > now { "was revoked with a date to come," } else { "was revoked on" };
    let violation = Violation::new(format!("{} {words} {}{why}", subject.what, at.date()));
    Some(learned.iter().fold(violation, |violation, (source, place, learned)| {
        violation.evidence(match learned {
            Learned::Revoked(..) => format!("{source}{place} says so"),
            Learned::Good(_) => format!("{source}{place} says that it was not revoked"),
            Learned::Nothing(why) | Learned::Unverified(why) => format!("{source}{place} says nothing of use: {why}"),
        })
    }))
}

fn unknown(subject: &Subject, learned: &[Source]) -> String {
    let why = learned.iter().find_map(|(source, _, learned)| match learned {
        Learned::Nothing(why) | Learned::Unverified(why) => Some(format!("{source}: {why}")),
        _ => None,
    });
    let why = why.unwrap_or_else(|| subject.why_not_asked().to_owned());
    format!("whether {} was revoked is not known: {why}", subject.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use time::Duration;

    use crate::rules::test_facts::{NOW, World, kind};

    #[rstest]
    #[case(Duration::days(-1), "the server's certificate was revoked on 2026-02-28")]
    #[case(Duration::days(1), "the server's certificate was revoked with a date to come, 2026-03-02")]
    fn a_day_to_come_is_not_told_as_one_gone_by(#[case] off: Duration, #[case] words: &str) {
        let world = World::correct();
        let facts = world.facts(1);
        let context = world.context(&facts);
        let judgement = crate::rules::path::judge(&world.chain, &world.stores, NOW);
        let subjects = revocation::subjects(context.facts, &world.chain, &judgement);
        let learned = [("the staple", String::new(), Learned::Revoked(NOW + off, None))];
        assert_eq!(revoked(&subjects[0], &learned, NOW).unwrap().message, words);
    }

    /// RFC 9608, and certificates that are over sooner than a list would come.
    #[rstest]
    #[case::short_lived(6, None)]
    #[case::says_so(60, Some(rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 56], vec![5, 0])))]
    fn what_no_ca_revokes_is_not_doubted(#[case] days: i64, #[case] extension: Option<rcgen::CustomExtension>) {
        let mut world = World::correct();
        world.chain = vec![world.root.leaf(|params| {
            (params.not_before, params.not_after) = (NOW - Duration::days(1), NOW + Duration::days(days));
            params.custom_extensions.extend(extension);
        })];
        let mut facts = world.facts(1);
        facts.told_to_fetch = vec![Resource::Ocsp, Resource::Crl];
        let outcome = RULE.judge(&world.context(&facts));
        assert_eq!(kind(&outcome), "not-applicable", "{outcome:?}");
    }

    /// Baseline Requirements, 1.6.1: 10 days, and 7 from 2026-03-15 on.
    #[rstest]
    #[case(-4, 5, true)]
    #[case(-4, 7, false)]
    #[case(20, 26, true)]
    #[case(20, 28, false)]
    fn how_long_is_short_depends_on_when_it_began(#[case] from: i64, #[case] to: i64, #[case] expected: bool) {
        let mut world = World::correct();
        world.chain = vec![world.root.leaf(|params| {
            (params.not_before, params.not_after) = (NOW + Duration::days(from), NOW + Duration::days(to));
        })];
        let facts = world.facts(1);
        let judgement = crate::rules::path::judge(&world.chain, &world.stores, NOW);
        let subjects = revocation::subjects(&facts, &world.chain, &judgement);
        assert_eq!(subjects[0].why_beyond_revocation().is_some(), expected);
    }

    #[test]
    fn who_asks_is_not_told_good_in_silence() {
        let world = World::correct();
        let mut facts = world.facts(1);
        assert_eq!(kind(&RULE.judge(&world.context(&facts))), "not-applicable");
        facts.told_to_fetch = vec![Resource::Ocsp, Resource::Crl];
        let mut own = World::correct();
        own.chain = vec![World::self_signed()];
        let mut alone = own.facts(1);
        alone.told_to_fetch = vec![Resource::Ocsp, Resource::Crl];
        let why = "there is no CA that could revoke it";
        assert_eq!(RULE.judge(&own.context(&alone)), Outcome::NotApplicable(why.to_owned()));
        let outcome = RULE.judge(&world.context(&facts));
        let why = "whether the server's certificate was revoked is not known: it names nobody who could be asked";
        assert_eq!(outcome, Outcome::Undetermined(why.to_owned()));
    }
}
