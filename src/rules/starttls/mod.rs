//! Practice 4: opportunistic TLS for everyone.

use std::net::{IpAddr, SocketAddr};

use super::{Context, rules, short, tried, why_not};
use crate::{
    facts::{Failure, Observed, Session, Turns, View},
    smtp::Reply,
};

rules! {
    starttls_not_offered,
    starttls_offered_to_some,
    starttls_masked,
    starttls_hidden,
    starttls_refused,
    data_before_handshake,
    tls_handshake_refused,
    plaintext_on_tls_port,
    starttls_offered_in_tls,
    auth_in_clear,
    requiretls_in_clear,
    slow_greeting,
    starttls_required,
}

mod counted;
mod visibility;

pub(super) use counted::dialogs;
pub use counted::unsteady;
use counted::{PutOff, accepted, answers, broken_off, count, masked_starttls, nearly_offered, put_off, turns};
pub use tls_handshake_refused::alert;
pub use visibility::{State, Visibility, Visible, visibility};

/// The rules of this topic that are about any TLS.
pub const TLS_HANDSHAKE_REFUSED: &str = tls_handshake_refused::RULE.id;
pub const PLAINTEXT_ON_TLS_PORT: &str = plaintext_on_tls_port::RULE.id;
pub const SLOW_GREETING: &str = slow_greeting::RULE.id;

/// Whether a server offers STARTTLS to one vantage point.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    /// The keyword is in the reply to EHLO.
    Offered,
    /// It is not.
    Absent,
    /// It is not, and a middlebox left its mark; the text says which.
    Masked(String),
    /// There is no reply to EHLO; the text says why.
    Unknown(String),
}

impl Offer {
    fn of(view: &View) -> Self {
        // Who knows no EHLO offers no extension (RFC 5321, 3.2).
        if view.session.helo.seen().is_some_and(Reply::is_positive) {
            return masked_command(view).map_or(Self::Absent, Self::Masked);
        }
        let Some(ehlo) = view.session.ehlo.seen() else {
            let why = why_not(view, &view.session.ehlo);
            return Self::Unknown(format!("{} gave no usable reply to EHLO to {}: {why}", view.address, view.vantage_text()));
        };
        if ehlo.offers("STARTTLS") {
            let masked = masked_starttls(&view.session);
            return masked.map_or(Self::Offered, |reply| Self::Masked(at_the_server(reply)));
        }
        if let Some(keyword) = ehlo.nearly_offers("STARTTLS") {
            return Self::Unknown(format!(
                "the reply to EHLO lists {}, which may be meant as STARTTLS",
                short(keyword.name.as_str())
            ));
        }
        // A greeting that is written over says nothing of keywords that can be read.
        match masked_keyword(&view.session) {
            Some(mark) => Self::Masked(mark),
            None if let Some(reply) = turned_away(&view.session) => {
                let (server, whom) = (view.address, view.vantage_text());
                let why = Failure::Blocked(reply.clone());
                Self::Unknown(format!("what {server} does not offer to {whom} says nothing of others: {why}"))
            }
            None => Self::Absent,
        }
    }
}

/// The mark of a middlebox in the reply to EHLO, or in what the server says to STARTTLS all the same.
fn masked_keyword(session: &Session) -> Option<String> {
    if let Some(keyword) = session.ehlo.seen()?.keywords.iter().find(|keyword| is_masked_keyword(keyword.name.as_str())) {
        return Some(format!("the reply to EHLO lists {}, which has as many letters as STARTTLS", keyword.name));
    }
    let reply = session.unoffered_starttls.seen().filter(|reply| reply.quotes_a_mask())?;
    Some(at_the_server(reply))
}

fn at_the_server(reply: &Reply) -> String {
    format!("STARTTLS reaches the server as something else: {}", short(&reply.to_string()))
}

/// What a server said that turns the client away, whatever it was asked.
fn turned_away(session: &Session) -> Option<&Reply> {
    fn blocked<T>(observed: &Observed<T>) -> Option<&Reply> {
        match observed {
            Observed::Failed(Failure::Blocked(reply)) => Some(reply),
            _ => None,
        }
    }
    let Session { greeting, ehlo, help, starttls, unoffered_starttls, tls, .. } = session;
    let to_ehlo = match ehlo {
        Observed::Failed(Failure::EhloRefused(reply)) => Some(reply),
        _ => None,
    };
    let replies = [help, starttls, unoffered_starttls].into_iter().filter_map(Observed::seen).chain(to_ehlo);
    [blocked(greeting), blocked(ehlo), blocked(help), blocked(starttls), blocked(unoffered_starttls), blocked(tls)]
        .into_iter()
        .flatten()
        .chain(replies.filter(|reply| reply.turns_the_client_away()))
        .next()
}

/// Whether a Cisco ASA or PIX wrote this over an EHLO keyword of the length of STARTTLS:
/// seven X and one more letter, which counts the keywords that it overwrote; or asterisks, as over greetings.
pub fn is_masked_keyword(keyword: &str) -> bool {
    let bytes = keyword.as_bytes();
    let is_counted = || bytes[..7].iter().all(|byte| *byte == b'X') && bytes[7].is_ascii_uppercase();
    bytes.len() == "STARTTLS".len() && (is_counted() || bytes.iter().all(|byte| *byte == b'*'))
}

/// Whether a greeting is written over with asterisks, as a Cisco ASA or PIX does; some
/// let single digits and letters through. Where a word can be read, the asterisks are an ornament.
pub fn is_masked_greeting(greeting: &Reply) -> bool {
    // A banner in a frame begins with asterisks, and can be read further down.
    let text = greeting.lines.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n");
    if text.split(|c: char| !c.is_alphabetic()).any(|word| word.chars().count() >= 4) {
        return false;
    }
    let asterisks = text.chars().filter(|c| *c == '*').count();
    asterisks >= 8 && asterisks * 2 > text.chars().filter(|c| !c.is_whitespace()).count()
}

/// What shows that a command did not reach the server as it was sent: the refusal quotes it as XXXX, or the greeting is
/// written over.
fn masked_command(view: &View) -> Option<String> {
    match (&view.session.ehlo, view.session.greeting.seen()) {
        (Observed::Failed(Failure::EhloRefused(reply)), _) if reply.quotes_a_mask() => {
            Some(format!("EHLO reaches the server as something else: {}", short(&reply.to_string())))
        }
        (_, Some(greeting)) if is_masked_greeting(greeting) => {
            Some(format!("the greeting is overwritten: {}", short(&greeting.to_string())))
        }
        _ => None,
    }
}

/// Who was offered what at one address of the server.
struct Address<'a> {
    address: SocketAddr,
    views: Vec<(usize, &'a View, Offer)>,
}

impl<'a> Address<'a> {
    /// The addresses that were tried, in the order asked.
    fn all(context: &Context<'a>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (index, view) in tried(context) {
            let seen = (index, view, Offer::of(view));
            match all.iter_mut().find(|known| known.address == view.address) {
                Some(known) => known.views.push(seen),
                None => all.push(Self { address: view.address, views: vec![seen] }),
            }
        }
        all
    }

    /// The views with one kind of offer.
    fn with(&self, is_wanted: impl Fn(&Offer) -> bool) -> Vec<(usize, &'a View)> {
        self.views.iter().filter(|(_, _, offer)| is_wanted(offer)).map(|(index, view, _)| (*index, *view)).collect()
    }

    /// The first reason why nothing is known of some vantage point.
    fn unknown(&self) -> Option<&str> {
        self.views.iter().find_map(|(_, _, offer)| match offer {
            Offer::Unknown(why) => Some(why.as_str()),
            _ => None,
        })
    }
}

/// The vantage points that were offered STARTTLS at one time and not at another, by their places:
/// in two connections of one view, or in two views of the same place.
fn changed<'a>(address: &Address<'a>) -> Vec<(usize, &'a View)> {
    let offers = |view: &View| {
        let Turns { yes, no } = turns(view);
        [(yes, true), (no, false)]
            .into_iter()
            .filter(|(times, _)| *times > 0)
            .map(|(_, is_offered)| is_offered)
            .collect::<Vec<_>>()
    };
    let is_same = |a: &View, b: &View| {
        std::ptr::eq(a, b)
            || a.source() == b.source()
                && (&a.vantage.label, &a.vantage.ehlo) == (&b.vantage.label, &b.vantage.ehlo)
                && (a.vantage.label.is_some() || a.source().is_some_and(is_one_place))
    };
    let has_changed = |view: &View| {
        let at_this_place =
            address.views.iter().filter(|(_, other, _)| is_same(view, other)).flat_map(|(_, other, _)| offers(other));
        let at_this_place: Vec<bool> = at_this_place.collect();
        at_this_place.contains(&true) && at_this_place.contains(&false)
    };
    address.with(|_| true).into_iter().filter(|(_, view)| has_changed(view)).collect()
}

/// Whether an address means the same place in every report: many networks have the same private ones
/// (RFC 1918; RFC 6598; RFC 4193), and every machine has a loopback.
fn is_one_place(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || is_shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

/// The vantage points of some views, in words.
fn vantage_points(views: &[(usize, &View)]) -> String {
    let mut texts: Vec<String> = views.iter().map(|(_, view)| view.vantage_text()).collect();
    texts.dedup();
    super::listed(texts.iter(), 10, ", ")
}

/// What HELP says, which people take for evidence; none where it does not speak of STARTTLS.
fn help_evidence(views: &[(usize, &View)]) -> Option<String> {
    let lists = |reply: &Reply| reply.lines.iter().any(|line| line.as_str().to_ascii_uppercase().contains("STARTTLS"));
    let is_listed = views.iter().any(|(_, view)| view.session.help.seen().is_some_and(lists));
    is_listed.then(|| "HELP lists STARTTLS, which proves nothing: EHLO decides what is offered to whom".to_owned())
}

/// That a handshake was begun, and why it is not known what would have come of it.
fn not_finished<T>(view: &View, tls: &Observed<T>) -> String {
    let odd = view.session.starttls.seen().filter(|reply| reply.is_positive() && reply.code != 220);
    let odd = odd.map(|reply| format!(", which was begun though STARTTLS was answered `{}`,", short(&reply.to_string())));
    format!("the TLS handshake with {}{} was not finished: {}", view.address, odd.unwrap_or_default(), why_not(view, tls))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::reply;

    #[rstest]
    #[case("XXXXXXXA", true)]
    #[case("XXXXXXXB", true)]
    #[case("XXXXXXXX", true)]
    #[case("XXXXXXA", false)]
    #[case("XXXXXXXXA", false)]
    #[case("X-NOTLSA", false)]
    #[case("STARTTLS", false)]
    #[case("********", true)]
    #[case("*******", false)]
    #[case("*******A", false)]
    fn the_mark_of_the_middlebox_is_exact(#[case] keyword: &str, #[case] expected: bool) {
        assert_eq!(is_masked_keyword(keyword), expected);
    }

    #[rstest]
    #[case("*************************", true)]
    #[case("***************0*****0*0*0 ******2******200**", true)]
    #[case("mx.example.test ESMTP *** no spam ***", false)]
    #[case("mx.example.test ******** ESMTP", false)]
    #[case("****************************** mx.example.test ESMTP ******************************", false)]
    #[case("", false)]
    fn an_overwritten_greeting_is_mostly_asterisks(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_masked_greeting(&reply(220, text)), expected);
    }

    #[rstest]
    #[case(&["*****************", "* Authorised use only *", "mx.example.test ESMTP"], false)]
    #[case(&["*****************", "************0**2"], true)]
    fn all_lines_of_a_greeting_are_looked_at(#[case] lines: &[&str], #[case] expected: bool) {
        let greeting = Reply { lines: lines.iter().map(|line| (*line).into()).collect(), ..reply(220, "") };
        assert_eq!(is_masked_greeting(&greeting), expected);
    }
}
