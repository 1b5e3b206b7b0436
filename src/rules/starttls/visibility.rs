//! Who sees STARTTLS, and who does not: a row for each address, vantage point and name given in EHLO, and what all of
//! them mean together. It decides no verdict; the rules beside it do.

use serde::Serialize;

use super::{Offer, starttls_refused, turns};
use crate::{
    facts::{Failure, Observed, Turns, View},
    rules::{Context, Product, Role, listed, short},
    smtp::Reply,
    wire::WireText,
};

/// Who sees STARTTLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Visibility {
    /// One for each view, in their order; none where TLS begins with the first byte.
    pub rows: Vec<Visible>,
    /// What the rows mean, in one sentence; empty where there are none.
    pub meaning: String,
}

/// What became of STARTTLS at one address, for one vantage point and one name given in EHLO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Visible {
    /// Which view it is, counted from 0.
    pub view: usize,
    /// In how many connections the reply to EHLO listed it, and in how many not.
    pub advertised: Turns,
    /// The reply to the command, where it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<WireText>,
    /// Whether a handshake was finished.
    pub is_encrypted: bool,
    /// What that comes to.
    pub state: State,
}

/// What becomes of STARTTLS in one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is advertised, accepted, and a handshake was finished.
    Works,
    /// It is not advertised.
    Off,
    /// It is not advertised, and accepted all the same.
    Hidden,
    /// Something before the server writes over it.
    Masked,
    /// It is advertised in some connections and not in others.
    Flapping,
    /// It is advertised, and refused when asked for.
    Refused,
    /// It is accepted, and no handshake was finished.
    Broken,
    /// The server asks to come back later.
    Throttled,
    /// The server turns this source away.
    Blocked,
    /// No answer came in time.
    Slow,
    /// Nothing was seen, for another reason.
    Unseen,
}

impl State {
    /// For tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Off => "off",
            Self::Hidden => "hidden",
            Self::Masked => "masked",
            Self::Flapping => "comes and goes",
            Self::Refused => "refused",
            Self::Broken => "handshake fails",
            Self::Throttled => "throttled",
            Self::Blocked => "blocked",
            Self::Slow => "no answer in time",
            Self::Unseen => "not seen",
        }
    }

    fn of(view: &View, offer: &Offer) -> Self {
        let session = &view.session;
        let Turns { yes, no } = turns(view);
        match offer {
            _ if yes > 0 && no > 0 => Self::Flapping,
            Offer::Masked(_) => Self::Masked,
            Offer::Absent if session.unoffered_starttls.seen().is_some_and(Reply::is_positive) => Self::Hidden,
            Offer::Absent => Self::Off,
            Offer::Offered => match (&session.starttls, &session.tls) {
                (_, Observed::Seen(_)) => Self::Works,
                (Observed::Seen(reply), _) if reply.is_positive() => Self::Broken,
                (Observed::Seen(reply), _) if starttls_refused::is_refusal(reply) => Self::Refused,
                (Observed::Seen(_), _) => Self::Throttled,
                (unseen, _) => Self::without(unseen),
            },
            Offer::Unknown(_) if session.connection.seen().is_none() => Self::without(&session.connection),
            Offer::Unknown(_) if session.greeting.seen().is_none() => Self::without(&session.greeting),
            Offer::Unknown(_) => Self::without(&session.ehlo),
        }
    }

    fn without<T>(unseen: &Observed<T>) -> Self {
        match unseen {
            Observed::Failed(Failure::Throttled(_)) => Self::Throttled,
            Observed::Failed(Failure::Blocked(_)) => Self::Blocked,
            Observed::Failed(Failure::TimedOut { .. }) => Self::Slow,
            _ => Self::Unseen,
        }
    }
}

/// Who sees STARTTLS; `products` name what stands before the server.
pub fn visibility(context: &Context, products: &[Product]) -> Visibility {
    if context.facts.target.is_implicit() {
        return Visibility::default();
    }
    let views = &context.facts.views;
    let row = |(index, view): (usize, &View)| {
        let session = &view.session;
        let reply = session.starttls.seen().or(session.unoffered_starttls.seen());
        Visible {
            view: index,
            advertised: turns(view),
            reply: reply.map(|reply| WireText::from(short(&reply.to_string()))),
            is_encrypted: session.tls.seen().is_some(),
            state: State::of(view, &Offer::of(view)),
        }
    };
    let rows: Vec<Visible> = views.iter().enumerate().map(row).collect();
    let meaning = meaning(views, &rows, products);
    Visibility { rows, meaning }
}

/// One sentence: what becomes of STARTTLS for whom, and where that is mended.
fn meaning(views: &[View], rows: &[Visible], products: &[Product]) -> String {
    let mut states: Vec<State> = Vec::new();
    for row in rows {
        if !states.contains(&row.state) {
            states.push(row.state);
        }
    }
    let has_several = views.iter().any(|view| view.address != views[0].address);
    let name = |view: &View| match has_several {
        true => format!("{} to {}", view.vantage_text(), view.address),
        false => view.vantage_text(),
    };
    let clauses = states.iter().map(|state| {
        let of_state: Vec<&Visible> = rows.iter().filter(|row| row.state == *state).collect();
        let whom = match (rows.len(), of_state.len()) {
            (1, _) => None,
            (all, of_state) if all == of_state => Some("everyone who looked".to_owned()),
            _ => {
                let mut names: Vec<String> = of_state.iter().map(|row| name(&views[row.view])).collect();
                names.dedup();
                Some(listed(names.iter(), 5, ", "))
            }
        };
        clause(*state, whom.as_deref(), &of_state, products)
    });
    let clauses: Vec<String> = clauses.collect();
    if clauses.is_empty() {
        return String::new();
    }
    let place = match (states.as_slice(), rows.len()) {
        ([State::Off | State::Hidden], 1) => ", as seen from one place: others may be offered it (--from, --ehlo, merge)",
        ([State::Off], _) => ": it is switched off at the server, or the server has no certificate",
        _ if states.contains(&State::Masked) => ": switch off the inspection there; the server behind it may be right",
        _ if states.contains(&State::Flapping) => {
            ": look for the one of several servers behind the address that has no certificate"
        }
        _ if states.contains(&State::Off) && states.contains(&State::Works) => {
            ": look at the server's lists of clients and at what stands between"
        }
        _ if states.contains(&State::Refused) => ": the fault is in the server's key and certificate files, as its log says",
        _ => "",
    };
    format!("STARTTLS {}{place}", clauses.join("; it "))
}

/// What becomes of it for whom; for nobody in particular where one vantage point is all there is.
fn clause(state: State, whom: Option<&str>, rows: &[&Visible], products: &[Product]) -> String {
    let whom = |preposition: &str| whom.map_or_else(String::new, |whom| format!(" {preposition} {whom}"));
    match state {
        State::Works => format!("works{}", whom("for")),
        State::Off => format!("is off{}", whom("for")),
        State::Hidden => format!("is not advertised{}, and accepted all the same", whom("to")),
        State::Masked => {
            let middlebox = products.iter().find(|product| product.role == Role::Middlebox);
            format!("is stripped{} by {} before the server", whom("for"), middlebox.map_or("a middlebox", |product| product.name))
        }
        State::Flapping => {
            let (yes, no) = rows.iter().fold((0, 0), |(yes, no), row| (yes + row.advertised.yes, no + row.advertised.no));
            format!("comes and goes{}, advertised in {yes} of {} connections", whom("for"), yes + no)
        }
        State::Refused => format!("is advertised{}, and refused when asked for", whom("to")),
        State::Broken => format!("is accepted{}, and no usual handshake was finished", whom("from")),
        State::Throttled => format!("could not be seen{}: the server asks to come back later", whom("by")),
        State::Blocked => format!("could not be seen{}: the server turns the client away", whom("by")),
        State::Slow => format!("could not be seen{}: no answer came in time", whom("by")),
        State::Unseen => format!("could not be seen{}", whom("by")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, ehlo, reply};

    fn seen(count: usize, change: impl FnOnce(&mut [View])) -> Visibility {
        let world = World::correct();
        let mut facts = world.facts(count);
        change(&mut facts.views);
        let context = world.context(&facts);
        visibility(&context, &crate::rules::products(&context))
    }

    type Change = fn(&mut [View]);

    #[rstest]
    #[case::works(|_: &mut [View]| {}, "STARTTLS works for everyone who looked")]
    #[case::off(|views: &mut [View]| views.iter_mut().for_each(World::without_starttls), "STARTTLS is off for everyone who looked: it is")]
    #[case::off_for_one(
        |views: &mut [View]| World::without_starttls(&mut views[1]),
        "STARTTLS works for 192.0.2.1; it is off for 192.0.2.2: look at the server's lists"
    )]
    #[case::throttled(|views: &mut [View]| views.iter_mut().for_each(World::throttled), "STARTTLS could not be seen by everyone who looked: the server asks to come back later")]
    #[case::slow(|views: &mut [View]| World::timed_out(&mut views[0]), "STARTTLS could not be seen by 192.0.2.1: no answer came in time; it works")]
    #[case::refused(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Seen(reply(454, "4.7.0 TLS not available due to local problem"));
            view.session.tls = Observed::NotAttempted("refused".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and refused when asked for: the fault is in the server's key"
    )]
    #[case::masked(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.ehlo = ehlo("mx.example.test", &["PIPELINING", "XXXXXXXA"]);
        },
        "STARTTLS is stripped for everyone who looked by Cisco ASA before the server: switch off"
    )]
    #[case::flapping(
        |views: &mut [View]| {
            let offered = views[0].session.clone();
            World::without_starttls(&mut views[0]);
            views[0].earlier = vec![offered.clone(), offered];
        },
        "STARTTLS comes and goes for 192.0.2.1, advertised in 2 of 3 connections; it works for 192.0.2.2: look for the one"
    )]
    #[case::by_name(
        |views: &mut [View]| {
            views[1].session.connection = views[0].session.connection.clone();
            views[1].vantage.ehlo = Some("mail.example.org".parse().unwrap());
            World::without_starttls(&mut views[1]);
        },
        "STARTTLS works for 192.0.2.1; it is off for 192.0.2.1 as mail.example.org: look"
    )]
    fn the_sentence_says_for_whom_and_where(#[case] change: Change, #[case] expected: &str) {
        let visibility = seen(2, change);
        assert!(visibility.meaning.starts_with(expected), "{}", visibility.meaning);
    }

    #[test]
    fn one_place_does_not_speak_for_all() {
        let meaning = seen(1, |views| World::without_starttls(&mut views[0])).meaning;
        assert_eq!(meaning, "STARTTLS is off, as seen from one place: others may be offered it (--from, --ehlo, merge)");
    }

    #[test]
    fn on_a_port_of_tls_there_is_nothing_to_see() {
        let world = World::correct();
        let mut facts = world.facts(1);
        facts.target.port = 465;
        assert_eq!(visibility(&world.context(&facts), &[]), Visibility::default());
    }
}
