//! How those connections began of which no whole dialog is kept.

use std::{fmt, mem::discriminant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failure, Observed, Session};
use crate::smtp::Reply;

/// How connections besides the sessions of a view began, up to the hello of TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beginnings {
    /// In how many of them STARTTLS was offered and accepted, and nothing came behind that.
    pub ready: u32,
    /// The last of these among the connections of the view, counted from 1; 0 where there is none.
    pub last_ready: u32,
    /// In how many others it was offered, and not asked for.
    #[serde(default)]
    pub offered: u32,
    /// How others began that were greeted: each way once.
    pub others: Vec<Beginning>,
    /// Where the server's readiness for TLS changed once and for all, the sessions included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Switch>,
}

/// One way in which connections began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// How many did so.
    pub times: u32,
    /// The first of them among the connections of the view, counted from 1.
    pub first: u32,
    /// What was said in that one up to the hello.
    pub session: Session,
}

impl Beginnings {
    /// So many ways are told apart; a server that has more of them is not worth more.
    const MOST: usize = 24;

    /// Counts one more, by its number among the connections of the view.
    pub fn add(&mut self, number: u32, session: Session) {
        if !session.greeting.seen().is_some_and(Reply::is_positive) {
            return;
        }
        if session.readiness() == Some(true) && !matches!(session.tls, Observed::Failed(_)) {
            self.ready += 1;
            self.last_ready = self.last_ready.max(number);
            return;
        }
        let is_offered = session.ehlo.seen().is_some_and(|ehlo| ehlo.offers("STARTTLS"));
        if is_offered && matches!(session.starttls, Observed::NotAttempted(_)) {
            self.offered += 1;
            return;
        }
        if let Some(known) = self.others.iter_mut().find(|known| is_alike(&known.session, &session)) {
            known.times += 1;
            if number < known.first {
                (known.first, known.session) = (number, session);
            }
        } else if self.others.len() < Self::MOST {
            self.others.push(Beginning { times: 1, first: number, session });
        }
    }
}

/// Whether two dialogs began in the same way; the words of replies may hold what is new each time.
fn is_alike(one: &Session, other: &Session) -> bool {
    fn failure<T>(observed: &Observed<T>) -> Option<&Failure> {
        match observed {
            Observed::Failed(failure) => Some(failure),
            _ => None,
        }
    }
    let keywords = |session: &Session| session.ehlo.seen().map(|ehlo| ehlo.keywords.clone());
    let code = |session: &Session| {
        session.starttls.seen().map(|reply| (reply.code, reply.quotes_a_mask(), reply.turns_the_client_away()))
    };
    let ways = |session: &Session| {
        [failure(&session.ehlo), failure(&session.starttls), failure(&session.tls)].map(|failure| {
            let reply = match failure {
                Some(Failure::Throttled(reply) | Failure::Blocked(reply) | Failure::EhloRefused(reply)) => Some(reply.code),
                _ => None,
            };
            (failure.map(discriminant), failure.is_some_and(|failure| failure.in_clear().is_some()), reply)
        })
    };
    keywords(one) == keywords(other) && code(one) == code(other) && ways(one) == ways(other)
}

/// How often something was so, and how often not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// So many times it was.
    pub yes: u32,
    /// So many times it was not.
    pub no: u32,
}

impl Turns {
    /// Whether it was so at one time and not at another.
    pub fn is_mixed(self) -> bool {
        self.yes > 0 && self.no > 0
    }

    /// All of them.
    pub fn all(self) -> u32 {
        self.yes.saturating_add(self.no)
    }
}

/// The connection from which on a server was ready for TLS as it was not before, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Which one of the view it is, counted from 1.
    pub connection: u32,
    /// Whether it was ready from then on.
    pub is_ready: bool,
}

impl Switch {
    /// Connections with one and the same answer before and behind it, so that it is none by chance.
    const LEAST: usize = 3;

    /// Finds it in what became of the connections, by their numbers, in their order.
    pub fn of(order: &[(u32, bool)]) -> Option<Self> {
        let (_, first) = order.first()?;
        let before = order.iter().take_while(|(_, is_ready)| is_ready == first).count();
        let (connection, is_ready) = *order.get(before)?;
        let is_lasting = order[before..].iter().all(|(_, other)| *other == is_ready);
        (is_lasting && before.min(order.len() - before) >= Self::LEAST).then_some(Self { connection, is_ready })
    }
}

/// For sentences.
impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, since) = if self.is_ready { ("not ", "") } else { ("", "not ") };
        let number = self.connection;
        write!(f, "the server was {before}ready for it up to connection {}, and {since}from connection {number} on", number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{smtp::Ehlo, wire::WireText};

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply { code, lines: lines.iter().map(|line| (*line).into()).collect(), bare_lf: false }
    }

    fn session(starttls: Observed<Reply>, tls: Option<Failure>) -> Session {
        let mut session = Session::not_attempted("not so far");
        session.greeting = Observed::Seen(reply(220, &["mx.example.test ESMTP"]));
        session.ehlo = Observed::Seen(Ehlo::from_reply(&reply(250, &["mx.example.test", "STARTTLS"])));
        session.starttls = starttls;
        if let Some(failure) = tls {
            session.tls = Observed::Failed(failure);
        }
        session
    }

    #[test]
    fn ways_are_counted_each_once() {
        let ready = || session(Observed::Seen(reply(220, &["go"])), None);
        let clear = |text: &str| session(Observed::Seen(reply(220, &["go"])), Some(Failure::Unsolicited(WireText::from(text))));
        let mut beginnings = Beginnings::default();
        beginnings.add(1, Session::not_attempted("no connection"));
        beginnings.add(2, ready());
        beginnings.add(4, clear("250 one"));
        beginnings.add(3, clear("250 another"));
        beginnings.add(5, session(Observed::Failed(Failure::Closed), None));
        beginnings.add(6, session(Observed::Seen(reply(451, &["4.3.0 id 17"])), None));
        beginnings.add(7, session(Observed::Seen(reply(451, &["4.3.0 id 18"])), None));
        beginnings.add(8, ready());
        assert_eq!((beginnings.ready, beginnings.last_ready), (2, 8));
        assert_eq!(beginnings.others.iter().map(|way| (way.times, way.first)).collect::<Vec<_>>(), [(2, 3), (1, 5), (2, 6)]);
    }

    #[test]
    fn they_are_bounded() {
        let mut beginnings = Beginnings::default();
        for number in 1..1000 {
            let code = 400 + u16::try_from(number % 100).unwrap();
            beginnings.add(number, session(Observed::Seen(reply(code, &["no"])), None));
        }
        assert_eq!(beginnings.others.len(), Beginnings::MOST);
    }

    /// `+` is ready, `-` not, a space a connection that did not show it.
    #[rstest::rstest]
    #[case("+++++------", Some((6, false)))]
    #[case("++++ + ---", Some((8, false)))]
    #[case("---++++", Some((4, true)))]
    #[case("++---", None)]
    #[case("+++-", None)]
    #[case("+++---+", None)]
    #[case("+-+-+-+-", None)]
    #[case("+++", None)]
    #[case("", None)]
    fn a_change_for_good_is_told_from_turns(#[case] order: &str, #[case] expected: Option<(u32, bool)>) {
        let order: Vec<_> = (1..).zip(order.chars()).filter(|(_, c)| *c != ' ').map(|(number, c)| (number, c == '+')).collect();
        assert_eq!(Switch::of(&order).map(|switch| (switch.connection, switch.is_ready)), expected);
    }
}
