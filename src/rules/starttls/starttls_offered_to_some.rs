use super::{Address, Offer, changed, dialogs, help_evidence, masked_keyword, nearly_offered, turns, vantage_points};
use crate::facts::Turns;
use crate::rules::{Context, Outcome, ResultType, Violation, nothing_tried, rule, short};

rule! {
    /// STARTTLS is offered to some and not to others.
    ///
    /// ## What it checks
    ///
    /// One address of the server lists STARTTLS in its reply to EHLO for some vantage points, and does
    /// not for others; or for the same one in some connections only. The more is asked (`--probe`), the surer that is seen.
    ///
    /// ## Why it matters
    ///
    /// Those left out send in clear text, or not at all if they insist on TLS. Whoever tests from an
    /// address that is left out concludes that TLS is off, and looks for the fault in the wrong place.
    ///
    /// ## Remedy
    ///
    /// Offer STARTTLS to everyone.
    ///
    /// - Postfix: `postconf -X smtpd_discard_ehlo_keyword_address_maps`, or remove the clients from that map.
    /// - Exim: `tls_advertise_hosts = *`.
    /// - Sendmail: no `S` for the clients in `Srv_Features` of the access map.
    /// - OpenSMTPD: `tls pki mx.example.org` in each `listen` line.
    /// - Exchange: the connector whose `RemoteIPRanges` fit the client best decides; give each one
    ///   that the internet reaches `Tls` in its `AuthMechanism`.
    /// - Several servers behind one address: look for the one without a certificate.
    /// - Between them: an inspecting firewall or proxy may treat networks differently.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4
    /// - RFC 8460, 4.3.1
    "starttls-offered-to-some" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &Context) -> Outcome {
    let addresses = Address::all(context);
    if addresses.is_empty() {
        return nothing_tried(context);
    }
    let violations: Vec<Violation> = addresses.iter().filter_map(violation).collect();
    if !violations.is_empty() {
        return Outcome::Violated(violations);
    }
    if let Some(why) = addresses.iter().find_map(Address::unknown) {
        return Outcome::Undetermined(why.to_owned());
    }
    let near = addresses.iter().flat_map(|address| &address.views).find_map(|(_, view, _)| Some((view, nearly_offered(view)?)));
    if let Some((view, (times, keyword))) = near {
        let all = turns(view).all() + times;
        return Outcome::Undetermined(format!(
            "in {times} of {all} connections to {} the reply to EHLO lists {}, which may be meant as STARTTLS",
            view.address,
            short(keyword.name.as_str())
        ));
    }
    match addresses.iter().any(|address| address.views.len() > 1) {
        true => Outcome::Passed(String::new()),
        false => Outcome::NotApplicable("each address was looked at from one vantage point only".to_owned()),
    }
}

fn violation(address: &Address) -> Option<Violation> {
    let offered = address.with(|offer| *offer == Offer::Offered);
    let absent = address.with(|offer| *offer == Offer::Absent);
    let changed = changed(address);
    if !changed.is_empty() {
        let whom = vantage_points(&changed);
        let mut violation = Violation::new(format!("{} offers STARTTLS to {whom} at one time and not at another", address.address));
        let counted = changed.iter().map(|(_, view)| turns(view));
        let sum = counted.fold(Turns::default(), |sum, turns| Turns { yes: sum.yes + turns.yes, no: sum.no + turns.no });
        violation.evidence.push(format!("it was offered in {} of {} connections", sum.yes, sum.yes + sum.no));
        let switch = changed.iter().find_map(|(_, view)| view.beginnings.switch);
        violation.evidence.extend(switch.map(|switch| switch.to_string()));
        let mask = changed.iter().find_map(|(_, view)| dialogs(view).find_map(|(session, _)| masked_keyword(session)));
        violation.evidence.extend(mask.map(|mark| format!("where it was not: {mark}")));
        violation.views = changed.iter().map(|(index, _)| *index).collect();
        return Some(violation);
    }
    if offered.is_empty() || absent.is_empty() {
        return None;
    }
    let (those, others) = (vantage_points(&offered), vantage_points(&absent));
    let mut violation = Violation::new(format!("{} offers STARTTLS to {those}, and not to {others}", address.address));
    if offered.iter().any(|(_, one)| absent.iter().any(|(_, other)| one.vantage_text() == other.vantage_text())) {
        let why = "the same private address in two reports is two places, or one at two times: name them with `check --vantage NAME`";
        violation.evidence.push(why.to_owned());
    }
    if absent.iter().all(|(_, view)| turns(view).no <= 1) {
        let why = "it was looked at once: several servers that take turns behind the address would look the same (--probe standard)";
        violation.evidence.push(why.to_owned());
    }
    violation.evidence.extend(help_evidence(&absent));
    violation.views = absent.iter().map(|(index, _)| *index).collect();
    Some(violation)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Connection, Failure, Observed, View},
        rules::test_facts::{World, kind, messages, reply},
    };

    #[test]
    fn those_left_out_are_named() {
        let outcome = World::correct().judge_from(3, &RULE, |views| {
            World::without_starttls(&mut views[1]);
            views[2].vantage.label = Some("partner".into());
        });
        let expected = "198.51.100.10:25 offers STARTTLS to 192.0.2.1, partner (192.0.2.3), and not to 192.0.2.2";
        assert_eq!(messages(&outcome), [expected]);
    }

    #[rstest]
    #[case::once(1, true)]
    #[case::twice(2, false)]
    fn after_one_look_turns_are_possible(#[case] looks: usize, #[case] expected: bool) {
        let outcome = World::correct().judge_from(2, &RULE, |views| {
            World::without_starttls(&mut views[1]);
            views[1].earlier = vec![views[1].session.clone(); looks - 1];
        });
        assert_eq!(format!("{outcome:?}").contains("take turns"), expected, "{outcome:?}");
    }

    #[rstest]
    #[case::a_public_address(None, "192.0.2.1", "at one time and not at another")]
    #[case::a_name(Some("home"), "192.168.1.10", "at one time and not at another")]
    #[case::a_private_address(None, "192.168.1.10", "to 192.168.1.10, and not to 192.168.1.10")]
    #[case::a_shared_address(None, "100.64.7.7", "and not to 100.64.7.7")]
    #[case::a_local_address(None, "fd00::1", "and not to fd00::1")]
    fn one_private_address_may_be_two_places(#[case] label: Option<&str>, #[case] source: &str, #[case] expected: &str) {
        let outcome = World::correct().judge_from(2, &RULE, |views| {
            for view in views.iter_mut() {
                view.vantage.label = label.map(Into::into);
                let source = std::net::SocketAddr::new(source.parse().unwrap(), 40_000);
                view.session.connection = Observed::Seen(Connection { source });
            }
            World::without_starttls(&mut views[1]);
        });
        assert!(messages(&outcome)[0].contains(expected), "{outcome:?}");
    }

    #[rstest]
    #[case::to_all(2, |_: &mut [View]| {}, "passed")]
    #[case::to_nobody(2, |views: &mut [View]| views.iter_mut().for_each(World::without_starttls), "passed")]
    #[case::one_vantage_point(1, |_: &mut [View]| {}, "not-applicable")]
    #[case::one_unknown(2, |views: &mut [View]| World::timed_out(&mut views[1]), "undetermined")]
    #[case::different_addresses(2, |views: &mut [View]| {
        World::without_starttls(&mut views[1]);
        views[1].address.set_port(26);
    }, "not-applicable")]
    fn without_a_difference_it_is_silent(
        #[case] vantage_points: usize,
        #[case] change: fn(&mut [View]),
        #[case] expected: &str,
    ) {
        assert_eq!(kind(&World::correct().judge_from(vantage_points, &RULE, change)), expected);
    }

    /// One place that is offered it at one time and not at another is not two places.
    #[test]
    fn the_same_place_at_two_times_is_not_some_clients() {
        let world = World::correct();
        let outcome = world.judge_from(2, &RULE, |views| {
            World::without_starttls(&mut views[1]);
            views[1].session.connection = views[0].session.connection.clone();
        });
        assert_eq!(messages(&outcome), ["198.51.100.10:25 offers STARTTLS to 192.0.2.1 at one time and not at another"]);
        let outcome = world.judge_from(1, &RULE, |views| {
            let offered = views[0].session.clone();
            World::without_starttls(&mut views[0]);
            views[0].earlier = vec![offered];
        });
        assert_eq!(messages(&outcome), ["198.51.100.10:25 offers STARTTLS to 192.0.2.1 at one time and not at another"]);
        let outcome = world.judge_from(1, &RULE, |views| {
            let mut other = views[0].clone();
            World::without_starttls(&mut other);
            views[0].earlier = vec![other.session];
        });
        assert_eq!(kind(&outcome), "violated");
    }

    /// Who knows no EHLO in one connection, and offers STARTTLS in the next, is several servers that take turns.
    #[test]
    fn a_server_without_ehlo_takes_its_turn() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let mut old = views[0].session.clone();
            old.ehlo = Observed::Failed(Failure::EhloRefused(reply(502, "5.5.1 command not implemented")));
            old.helo = Observed::Seen(reply(250, "mx.example.test"));
            old.starttls = Observed::NotAttempted("EHLO is not known".to_owned());
            views[0].earlier = vec![old];
        });
        assert_eq!(messages(&outcome), ["198.51.100.10:25 offers STARTTLS to 192.0.2.1 at one time and not at another"]);
    }
}
