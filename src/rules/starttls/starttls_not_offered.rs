use super::{Address, Offer, changed, help_evidence, vantage_points};
use crate::{
    facts::Session,
    rules::{Context, Outcome, ResultType, Violation, nothing_tried, rule, short},
};

rule! {
    /// STARTTLS is not offered.
    ///
    /// ## What it checks
    ///
    /// The server answered EHLO and did not list STARTTLS, to none of the vantage points that got an
    /// answer from that address. Who was not asked may still be offered it: a server can choose by the
    /// client's address.
    ///
    /// ## Why it matters
    ///
    /// Mail from there is sent in clear text, or not at all if the sender insists on TLS.
    ///
    /// ## Remedy
    ///
    /// Offer STARTTLS to everyone. If it is meant to be offered, look from the partner's own network
    /// before you call it off: firewalls and lists of addresses decide who sees it.
    ///
    /// - Postfix: `smtpd_tls_security_level = may`; look at `smtpd_discard_ehlo_keywords` and
    ///   `smtpd_discard_ehlo_keyword_address_maps`.
    /// - Exim: `tls_advertise_hosts = *`.
    /// - Sendmail: `confSERVER_CERT` and `confSERVER_KEY`; no `S` for the client in `Srv_Features` of the access map.
    /// - OpenSMTPD: `tls pki mx.example.org` in the `listen` line.
    /// - Exchange: the receive connector that matches the client's address needs `Tls` in its `AuthMechanism`,
    ///   and a certificate for its `Fqdn`: event 12014 of MSExchangeTransport says that there is none.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4
    /// - RFC 5321, 4.1.1.1
    /// - RFC 8460, 4.3.1
    "starttls-not-offered" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &Context) -> Outcome {
    let addresses = Address::all(context);
    if addresses.is_empty() {
        return nothing_tried(context);
    }
    let violations: Vec<Violation> = addresses.iter().filter_map(|address| violation(address, addresses.len())).collect();
    if !violations.is_empty() {
        return Outcome::Violated(violations);
    }
    match addresses.iter().find_map(Address::unknown) {
        Some(why) => Outcome::Undetermined(why.to_owned()),
        None => Outcome::Passed(String::new()),
    }
}

fn violation(address: &Address, addresses: usize) -> Option<Violation> {
    let absent = address.with(|offer| *offer == Offer::Absent);
    let is_offered_to_some = !address.with(|offer| *offer == Offer::Offered).is_empty();
    if absent.is_empty() || is_offered_to_some || !changed(address).is_empty() {
        return None;
    }
    let by = if addresses > 1 { format!(" by {}", address.address) } else { String::new() };
    let mut violation = match absent.as_slice() {
        [_] => Violation::new(format!("STARTTLS is not offered to {}{by}", vantage_points(&absent))),
        several => {
            let count = several.len();
            Violation::new(format!("STARTTLS is offered to none of the {count} vantage points that were asked{by}"))
                .evidence(format!("asked from: {}", vantage_points(several)))
        }
    };
    violation.evidence.extend(help_evidence(&absent));
    violation.evidence.extend(absent.iter().find_map(|(_, view)| {
        let reply = view.session.unoffered_starttls.seen().filter(|reply| !reply.is_positive())?;
        Some(format!("the command all the same: {}", short(&reply.to_string())))
    }));
    if absent.iter().any(|(_, view)| is_in_first_line(&view.session)) {
        let why = "the reply to EHLO has STARTTLS in its first line, which names the server: keywords stand below it (RFC 5321, 4.1.1.1)";
        violation.evidence.push(why.to_owned());
    }
    if let Some((_, view)) = absent.iter().find(|(_, view)| view.session.helo.seen().is_some()) {
        violation.evidence.push(format!("it knows no EHLO: {}", short(&view.session.ehlo.why_not())));
    }
    violation.views = absent.iter().map(|(index, _)| *index).collect();
    Some(violation)
}

/// Whether the keyword stands where the server's name has to be, or beside it.
fn is_in_first_line(session: &Session) -> bool {
    session.ehlo.seen().is_some_and(|ehlo| ehlo.domain.as_str().eq_ignore_ascii_case("STARTTLS"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{
        facts::Observed,
        rules::test_facts::{World, ehlo, kind, messages, reply},
    };

    #[test]
    fn one_vantage_point_speaks_for_itself_alone() {
        let outcome = World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]));
        assert_eq!(messages(&outcome), ["STARTTLS is not offered to 192.0.2.1"]);
    }

    #[test]
    fn several_are_counted() {
        let outcome = World::correct().judge_from(3, &RULE, |views| views.iter_mut().for_each(World::without_starttls));
        assert_eq!(messages(&outcome), ["STARTTLS is offered to none of the 3 vantage points that were asked"]);
        let Outcome::Violated(found) = outcome else { unreachable!() };
        assert_eq!(found[0].views, [0, 1, 2]);
    }

    #[test]
    fn offered_to_some_is_another_rule() {
        let outcome = World::correct().judge_from(2, &RULE, |views| World::without_starttls(&mut views[1]));
        assert_eq!(kind(&outcome), "passed");
    }

    #[test]
    fn each_address_is_judged_alone() {
        let outcome = World::correct().judge_from(2, &RULE, |views| {
            World::without_starttls(&mut views[1]);
            views[1].address = "[2001:db8::10]:25".parse::<SocketAddr>().unwrap();
        });
        assert_eq!(messages(&outcome), ["STARTTLS is not offered to 192.0.2.2 by [2001:db8::10]:25"]);
    }

    #[test]
    fn help_is_evidence_of_nothing() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            World::without_starttls(&mut views[0]);
            views[0].session.help = Observed::Seen(reply(214, "HELO EHLO STARTTLS RCPT"));
        });
        assert!(format!("{outcome:?}").contains("HELP lists STARTTLS, which proves nothing"), "{outcome:?}");
    }

    #[test]
    fn no_answer_is_not_no() {
        let outcome = World::correct().judge_from(1, &RULE, |views| World::throttled(&mut views[0]));
        assert_eq!(kind(&outcome), "undetermined");
        assert!(format!("{outcome:?}").contains("too many connections"), "{outcome:?}");
    }

    /// Who is not welcome need not be told what others are offered.
    #[test]
    fn who_is_turned_away_is_no_measure() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            World::without_starttls(&mut views[0]);
            let words = "5.7.1 Client host rejected: blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1";
            views[0].session.unoffered_starttls = Observed::Seen(reply(550, words));
        });
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn a_masked_keyword_is_another_rule() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            World::without_starttls(&mut views[0]);
            views[0].session.ehlo = ehlo("mx.example.test", &["PIPELINING", "XXXXXXXA"]);
        });
        assert_eq!(kind(&outcome), "passed");
    }

    #[test]
    fn what_an_earlier_connection_was_offered_is_not_forgotten() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let offered = views[0].session.clone();
            World::without_starttls(&mut views[0]);
            views[0].earlier = vec![offered];
        });
        assert_eq!(kind(&outcome), "passed");
    }
}
