//! Practice 5 in one line: who would stop sending.
//!
//! A partner that insists on TLS does so by the policies of its product, so each of them that stops fails the practice; it
//! warns where a sender that insists on nothing delivers in the clear though TLS was offered. Who pins a certificate has his
//! own reasons, and who matches the CN only is told in a notice (RFC 8461, 4.2; RFC 7435, 3).

use super::{Demand, DomainRow, Fate, Row, Told, no_hop};
use crate::{
    facts::{Depth, Facts, Sni, View},
    finding::{Practice, Verdict},
    practice::PracticeLine,
};

/// How many reasons are told.
const MOST: usize = 3;

/// The line of the practice.
pub fn line(rows: &[Row], facts: &Facts) -> PracticeLine {
    let (verdict, reason) = judge(rows, facts);
    PracticeLine { practice: Practice::EnforceableTls, verdict, reason }
}

fn judge(rows: &[Row], facts: &Facts) -> (Verdict, String) {
    if let Some(why) = no_hop(facts.target.port) {
        return (Verdict::NotApplicable, why.to_owned());
    }
    let Some(Judged { verdict, mut reason, .. }) = judge_rows(rows) else {
        return (Verdict::Inconclusive, "what senders do cannot be told: nothing was observed".to_owned());
    };
    if verdict != Verdict::Pass {
        return (verdict, reason);
    }
    let unseen: Vec<&View> = facts.views.iter().filter(|view| !is_seen_without_name(view)).collect();
    // It belongs to that depth, and did not come to it.
    if unseen.iter().any(|view| view.offers.seen().is_some_and(|offers| offers.depth != Depth::Quick)) {
        let what = "what a hello without a server name gets, which Postfix and others send, could not be told";
        return (Verdict::Inconclusive, what.to_owned());
    }
    if !unseen.is_empty() {
        reason.push_str(
            "; what a hello without a server name gets, which Postfix and others send, was not seen (--probe standard)",
        );
    }
    (Verdict::Pass, reason)
}

/// What senders make of practice 5.
#[derive(Debug)]
pub struct Judged<'a, R> {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The sender that decides first; none where all is right.
    pub by: Option<&'a R>,
}

/// What they make of it for a whole domain; none where nothing is known of any.
pub fn judge_domain(rows: &[DomainRow]) -> Option<Judged<'_, DomainRow>> {
    judge_rows(rows)
}

/// Those whose stopping fails the practice: who demands DANE whatever the domain says, or pins a certificate, has agreed on it.
fn counts<R: Told>(row: &&R) -> bool {
    use Demand::{Dane, DaneOrSts, Encryption, IfPossible, Sts, Verification};
    matches!(row.demand(), IfPossible | Encryption | Verification | Dane | Sts | DaneOrSts)
}

/// Those that stop, of whom it counts.
pub fn stopped<R: Told>(rows: &[R]) -> Vec<&R> {
    rows.iter().filter(counts).filter(|row| row.fate().stops()).collect()
}

fn judge_rows<R: Told>(rows: &[R]) -> Option<Judged<'_, R>> {
    let with = |fate: Fate| rows.iter().filter(counts).filter(|row| row.fate() == fate).collect::<Vec<_>>();
    let judged = |verdict, reason, by| Some(Judged { verdict, reason, by });
    let (stopped, unknown, in_clear) = (stopped(rows), with(Fate::Unknown), with(Fate::Clear));
    if let Some(first) = stopped.first() {
        return judged(Verdict::Fail, format!("would stop sending: {}", told(&stopped)), Some(*first));
    }
    if let Some(first) = unknown.first() {
        let is_everybody = unknown.len() == rows.iter().filter(counts).count();
        let who = if is_everybody { "what senders do".to_owned() } else { names(&unknown) };
        return judged(Verdict::Inconclusive, format!("{who} cannot be told: {}", first.why()), Some(*first));
    }
    if rows.is_empty() {
        return None;
    }
    if let Some(first) = in_clear.first() {
        return judged(Verdict::Warn, format!("would send in the clear: {}", told(&in_clear)), Some(*first));
    }
    let mut reason = "every kind of sender delivers encrypted, and those that verify the certificate do".to_owned();
    if let Some(row) = rows.iter().find(|row| row.demand() == Demand::CommonName && row.fate().stops()) {
        let (product, policy) = row.who();
        reason.push_str(&format!("; notice: {product} {policy} would stop: {}", row.why()));
    }
    judged(Verdict::Pass, reason, None)
}

/// Whether it was seen what clients get that send no server name.
fn is_seen_without_name(view: &View) -> bool {
    view.offers
        .seen()
        .is_some_and(|offers| offers.chains.iter().any(|chain| chain.sni == Sni::None && chain.answer.seen().is_some()))
}

/// Who, and why: those with one reason together.
fn told<R: Told>(rows: &[&R]) -> String {
    let mut by_reason: Vec<(&str, Vec<&R>)> = Vec::new();
    for row in rows {
        match by_reason.iter_mut().find(|(why, _)| *why == row.why()) {
            Some((_, same)) => same.push(row),
            None => by_reason.push((row.why(), vec![row])),
        }
    }
    let more = by_reason.len().saturating_sub(MOST);
    let mut parts: Vec<String> = by_reason.iter().take(MOST).map(|(why, same)| format!("{} ({why})", names(same))).collect();
    if more > 0 {
        parts.push(format!("and {more} more reasons"));
    }
    parts.join("; ")
}

/// `Postfix verify, secure; Exim tls_verify_hosts`.
pub fn names<R: Told>(rows: &[&R]) -> String {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for (product, policy) in rows.iter().map(|row| row.who()) {
        match parts.iter_mut().find(|(known, _)| *known == product) {
            Some((_, policies)) if policies.contains(&policy) => {}
            Some((_, policies)) => policies.push(policy),
            None => parts.push((product, vec![policy])),
        }
    }
    let part = |(product, policies): &(&str, Vec<&str>)| format!("{product} {}", policies.join(", "));
    parts.iter().map(part).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Failure, Observed, Session, View},
        rules::test_facts::{World, reply},
        senders::predict,
    };

    fn judged(change: impl FnOnce(&mut View)) -> (Verdict, String) {
        let world = World::correct();
        let mut facts = world.facts(1);
        change(&mut facts.views[0]);
        judge(&predict(&world.context(&facts)), &facts)
    }

    /// A limit or a list is of this client, and says nothing of partners.
    #[rstest]
    #[case(454, "4.7.0 Error: too many new TLS sessions from unknown[192.0.2.1]", Verdict::Inconclusive)]
    #[case(454, "4.3.3 TLS not available, try again later", Verdict::Fail)]
    #[case(451, "4.3.0 Error: queue file write error", Verdict::Inconclusive)]
    #[case(554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", Verdict::Inconclusive)]
    #[case(550, "5.7.0 rate limit exceeded", Verdict::Inconclusive)]
    #[case(454, "4.7.0 TLS not available due to local problem", Verdict::Fail)]
    #[case(502, "5.5.1 not implemented", Verdict::Fail)]
    fn what_is_said_of_the_client_is_not_said_of_senders(#[case] code: u16, #[case] text: &str, #[case] expected: Verdict) {
        let (verdict, reason) = judged(|view| {
            view.session.starttls = Observed::Seen(reply(code, text));
            view.session.tls = Observed::NotAttempted("refused".to_owned());
        });
        assert_eq!(verdict, expected, "{reason}");
    }

    #[rstest]
    #[case::closing(Failure::Throttled(reply(421, "4.7.0 too many")))]
    #[case::silent(Failure::TimedOut { millis: 1000 })]
    #[case::closed(Failure::Closed)]
    fn no_reply_to_starttls_leaves_it_open(#[case] failure: Failure) {
        let (verdict, reason) = judged(|view| {
            view.session.starttls = Observed::Failed(failure);
            view.session.tls = Observed::NotAttempted("no reply".to_owned());
        });
        assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
    }

    /// Postfix takes it for STARTTLS, and was not seen to go on.
    #[test]
    fn a_keyword_with_an_equals_sign_does_not_stop_postfix() {
        let world = World::correct();
        let mut facts = world.facts(1);
        facts.views[0].session.ehlo = crate::rules::test_facts::ehlo("mx.example.test", &["STARTTLS=1"]);
        let context = world.context(&facts);
        let hosts = crate::senders::host::hosts(&context);
        assert!(matches!(hosts[0].tls(&crate::senders::client::POSTFIX), crate::senders::host::Tls::Unknown(_)));
        assert!(matches!(hosts[0].tls(&crate::senders::client::EXIM), crate::senders::host::Tls::NotOffered(_)));
    }

    /// A quick look does not ask what a hello without a name gets; a deeper one that was cut short did not come to it.
    #[rstest]
    #[case::quick(Depth::Quick, Verdict::Pass)]
    #[case::standard(Depth::Standard, Verdict::Inconclusive)]
    fn what_was_to_be_asked_and_was_not_leaves_it_open(#[case] depth: Depth, #[case] expected: Verdict) {
        let offers = crate::facts::Offers { depth, ..crate::facts::Offers::good() }
            .with(|offers| offers.chains.retain(|chain| chain.sni != Sni::None));
        let (verdict, reason) = judged(|view| view.offers = Observed::Seen(offers));
        assert_eq!(verdict, expected, "{reason}");
    }

    /// Where what a hello may hold was asked and lost, it may be what a sender's own has.
    #[test]
    fn hellos_that_were_lost_leave_it_open() {
        let offers = crate::facts::Offers::good().with(|offers| offers.intolerance = Observed::Failed(Failure::Closed));
        let (verdict, reason) = judged(|view| view.offers = Observed::Seen(offers));
        assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
    }

    #[test]
    fn a_421_inside_tls_leaves_it_open() {
        let busy = Failure::Throttled(reply(421, "4.3.2 busy"));
        let (verdict, reason) = judged(|view| view.session.ehlo_after = Observed::Failed(busy));
        assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
    }

    /// What ended before it came to TLS is no connection without it.
    #[rstest]
    #[case::throttled(421, "4.7.0 busy")]
    #[case::greylisted(451, "4.7.1 greylisted")]
    fn who_is_put_off_once_and_then_served_is_served(#[case] code: u16, #[case] text: &str) {
        let (verdict, reason) = judged(|view| {
            let mut before = Session::not_attempted("put off");
            before.greeting = Observed::Seen(reply(code, text));
            before.ehlo = Observed::Failed(Failure::put_off(reply(code, text)));
            view.earlier = vec![before];
        });
        assert_eq!(verdict, Verdict::Pass, "{reason}");
    }

    #[test]
    fn who_breaks_off_once_and_then_goes_on_is_not_known() {
        let (verdict, reason) = judged(|view| {
            let mut broken = view.session.clone();
            broken.tls = Observed::Failed(Failure::Closed);
            view.earlier = vec![broken];
        });
        assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
        assert!(reason.contains("TLS breaks off in 1 of 2 connections"), "{reason}");
    }
}
