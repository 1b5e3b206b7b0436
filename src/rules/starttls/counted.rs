//! In how many connections of a view what became of STARTTLS: servers may take turns behind one address, and one look tells
//! nothing of the others.

use super::{data_before_handshake, short, turned_away};
use crate::{
    facts::{Beginning, Failure, Observed, Session, Turns, View},
    smtp::{Keyword, Reply},
};

/// So much may be an accident, of many connections.
const A_FEW: u32 = 3;

/// Whoever limits clients lets each of them in so often at least.
const LEAST_LIMIT: u32 = 5;

/// The dialogs of a view as far as they are kept, each with how often it was so: the sessions, oldest first, and what other
/// connections began with.
pub(in crate::rules) fn dialogs(view: &View) -> impl Iterator<Item = (&Session, u32)> {
    let others = view.beginnings.others.iter().map(|beginning| (&beginning.session, beginning.times));
    sessions(view).map(|session| (session, 1)).chain(others)
}

fn sessions(view: &View) -> impl Iterator<Item = &Session> {
    view.earlier.iter().chain([&view.session])
}

/// In how many connections of a view something was so, of those that are kept.
pub(super) fn count(view: &View, is_so: impl Fn(&Session) -> bool) -> u32 {
    dialogs(view).filter(|(session, _)| is_so(session)).map(|(_, times)| times).fold(0, u32::saturating_add)
}

/// In how many connections of a view STARTTLS was offered, and in how many not.
pub(super) fn turns(view: &View) -> Turns {
    let yes = count(view, |session| is_offered(session) == Some(true));
    let others = view.beginnings.ready.saturating_add(view.beginnings.offered);
    Turns { yes: yes.saturating_add(others), no: count(view, |session| is_offered(session) == Some(false)) }
}

/// Whether STARTTLS was offered in a session: who knows no EHLO offers no extension (RFC 5321, 3.2).
fn is_offered(session: &Session) -> Option<bool> {
    let is_old = session.helo.seen().is_some_and(Reply::is_positive);
    let is_offered = match &session.ehlo {
        Observed::Seen(ehlo) if ehlo.offers("STARTTLS") => Some(true),
        Observed::Seen(ehlo) => ehlo.nearly_offers("STARTTLS").is_none().then_some(false),
        _ => is_old.then_some(false),
    };
    // Who is not welcome need not be told what others are offered.
    is_offered.filter(|is_offered| *is_offered || turned_away(session).is_none())
}

/// In how many connections of a view a keyword was listed that may be meant as STARTTLS, and the keyword.
pub(super) fn nearly_offered(view: &View) -> Option<(u32, &Keyword)> {
    let near = |session: &Session| {
        session.ehlo.seen().is_some_and(|ehlo| !ehlo.offers("STARTTLS") && ehlo.nearly_offers("STARTTLS").is_some())
    };
    let (session, _) = dialogs(view).find(|(session, _)| near(session))?;
    Some((count(view, near), session.ehlo.seen()?.nearly_offers("STARTTLS")?))
}

/// What shows that STARTTLS, which was offered, reached the server as something else.
pub(super) fn masked_starttls(session: &Session) -> Option<&Reply> {
    session.starttls.seen().filter(|reply| reply.quotes_a_mask())
}

/// In how many connections of a view STARTTLS was accepted when asked for, and in how many refused; and the last refusal.
pub(super) fn answers(view: &View) -> (Turns, Option<&Reply>) {
    fn refusal(session: &Session) -> Option<&Reply> {
        session.starttls.seen().filter(|reply| reply.refuses_starttls() && !reply.quotes_a_mask())
    }
    let no = count(view, |session| refusal(session).is_some());
    (Turns { yes: accepted(view), no }, dialogs(view).filter_map(|(session, _)| refusal(session)).last())
}

/// In how many connections of a view STARTTLS was accepted.
pub(super) fn accepted(view: &View) -> u32 {
    count(view, |session| session.starttls.seen().is_some_and(Reply::is_positive)).saturating_add(view.beginnings.ready)
}

/// In how many connections of a view TLS came about, and in how many it broke off, where that was so often that it is no hiccup.
/// What refuses or puts off is counted elsewhere.
pub(super) fn broken_off(view: &View) -> Option<Turns> {
    let of_hellos = view.offers.seen().map(|offers| offers.hellos).unwrap_or_default();
    let of_sessions = sessions(view).map(|session| u32::from(breaks_off(session))).sum::<u32>();
    let ended = |beginning: &&Beginning| {
        breaks_off(&beginning.session)
            // Without a word to EHLO it may be a limit, unless others are let in afterwards.
            || breaks_off_at_ehlo(&beginning.session) && view.beginnings.last_ready > beginning.first
    };
    let of_beginnings = view.beginnings.others.iter().filter(ended).map(|beginning| beginning.times).fold(0, u32::saturating_add);
    let yes = of_hellos.yes.saturating_add(count(view, |session| session.tls.seen().is_some()));
    let all = Turns { yes, no: of_hellos.no.saturating_add(of_sessions).saturating_add(of_beginnings) };
    let is_a_fifth = |turns: Turns| turns.no.saturating_mul(4) >= turns.yes;
    // A few of many hellos may get lost; the usual client comes seldom. A command is answered, or something is wrong.
    let is_often = (of_hellos.no > A_FEW + 1 && is_a_fifth(of_hellos))
        || (of_sessions > 0 && is_a_fifth(all))
        || is_no_accident(Turns { yes, no: of_beginnings });
    (all.is_mixed() && is_often).then_some(all)
}

/// Whether TLS was asked for, and nothing came of it that anybody had said.
fn breaks_off(session: &Session) -> bool {
    let is_implicit = matches!(&session.starttls, Observed::NotAttempted(why) if why == View::IMPLICIT);
    let is_accepted = is_implicit || session.starttls.seen().is_some_and(Reply::is_positive);
    match (&session.starttls, &session.tls) {
        (_, Observed::Failed(Failure::Throttled(_) | Failure::Blocked(_) | Failure::Local(_))) => false,
        (_, Observed::Failed(_)) => is_accepted,
        (Observed::Failed(Failure::Throttled(_) | Failure::Blocked(_) | Failure::Local(_)), _) => false,
        (Observed::Failed(_), _) => true,
        _ => false,
    }
}

fn breaks_off_at_ehlo(session: &Session) -> bool {
    use Failure::{Closed, EhloRefused, NotSmtp, Reset, TimedOut};
    match &session.ehlo {
        // Of a client that is not known by then to be unwelcome.
        Observed::Failed(EhloRefused(reply)) => {
            session.helo.seen().is_none()
                && !reply.is_about_the_name()
                && !reply.is_about_the_client()
                && !reply.asks_to_come_back()
        }
        Observed::Failed(Closed | Reset | NotSmtp(_) | TimedOut { .. }) => true,
        _ => false,
    }
}

/// Whether something happened too often in connections for an accident: more than a few times, and in a tenth of them.
fn is_no_accident(turns: Turns) -> bool {
    turns.no > A_FEW && turns.no.saturating_mul(9) >= turns.yes
}

/// What put STARTTLS off in some connections of a view that others had it in.
pub(super) struct PutOff<'a> {
    /// In how many it was accepted, and in how many put off.
    pub turns: Turns,
    /// What was said.
    pub reply: &'a Reply,
}

/// Where STARTTLS was accepted in some connections and put off in others, so often and in such an order that it is no limit that
/// this client met by coming often: that lets it in for longer first, or lasts.
pub(super) fn put_off(view: &View) -> Option<PutOff<'_>> {
    let numbered = (1..).zip(sessions(view));
    let others = view.beginnings.others.iter().map(|beginning| (beginning.first, &beginning.session));
    let all: Vec<(u32, &Reply)> =
        numbered.chain(others).filter_map(|(first, session)| Some((first, put_off_with(session)?))).collect();
    let (_, reply) = all.first()?;
    let turns = Turns { yes: accepted(view), no: count(view, |session| put_off_with(session).is_some()) };
    let is_no_limit =
        |first: u32, reply: &Reply| !is_of_this_client(reply) || first <= LEAST_LIMIT && view.beginnings.last_ready > first;
    let is_often = turns.is_mixed() && is_no_accident(turns);
    (is_often && all.iter().any(|(first, reply)| is_no_limit(*first, reply))).then_some(PutOff { turns, reply })
}

fn is_of_this_client(reply: &Reply) -> bool {
    reply.code == 421 || reply.asks_to_come_back() || reply.turns_the_client_away()
}

/// The reply that STARTTLS was put off with: neither accepted nor refused.
fn put_off_with(session: &Session) -> Option<&Reply> {
    match &session.starttls {
        Observed::Seen(reply) if !reply.is_positive() && !reply.refuses_starttls() => Some(reply),
        Observed::Failed(Failure::Throttled(reply) | Failure::Blocked(reply)) => Some(reply),
        _ => None,
    }
}

/// Why it cannot be said what becomes of TLS in a view: it was one thing in one connection and another in the next.
pub fn unsteady(view: &View) -> Option<String> {
    if turns(view).is_mixed() {
        return Some("STARTTLS is offered at one time and not at another".to_owned());
    }
    if let Some((times, keyword)) = nearly_offered(view).filter(|_| turns(view).yes > 0) {
        let keyword = short(keyword.name.as_str());
        return Some(format!("STARTTLS is offered as {keyword} in {times} connections, and as it should be in others"));
    }
    if answers(view).0.is_mixed() {
        return Some("STARTTLS is accepted at one time and refused at another".to_owned());
    }
    let masked = count(view, |session| masked_starttls(session).is_some());
    if masked > 0 && accepted(view) > 0 {
        return Some(format!("something writes over STARTTLS in {masked} connections, and not in others"));
    }
    let in_clear = data_before_handshake::turns(view);
    if in_clear.is_mixed() {
        return Some(format!("clear text follows the reply to STARTTLS in {} of {} connections", in_clear.no, in_clear.all()));
    }
    if let Some(PutOff { turns, .. }) = put_off(view) {
        return Some(format!("STARTTLS is put off in {} of {} connections", turns.no, turns.all()));
    }
    let turns = broken_off(view)?;
    Some(format!("TLS breaks off in {} of {} connections", turns.no, turns.all()))
}
