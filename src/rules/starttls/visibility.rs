//! Who sees STARTTLS, and who does not: a row for each address, vantage point and name given in EHLO, and what all of
//! them mean together. It decides no verdict; the rules beside it do.

use serde::Serialize;

use super::{Offer, answers, masked_keyword, sessions, starttls_hidden, turns, why_not};
use crate::{
    facts::{Failure, Observed, Turns, View},
    rules::{Context, Product, Role, listed, short},
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
    /// In how many connections the command was accepted when asked for, and in how many refused.
    pub accepted: Turns,
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
    /// It is advertised in some connections and not in others, or accepted in some and refused in others.
    Flapping,
    /// The name given in EHLO is refused.
    NameRefused,
    /// It is advertised, and refused when asked for.
    Refused,
    /// It is advertised, and a temporary reply that may be about anything puts it off.
    PutOff,
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
            Self::NameRefused => "name refused",
            Self::Refused => "refused",
            Self::PutOff => "put off",
            Self::Broken => "handshake fails",
            Self::Throttled => "throttled",
            Self::Blocked => "blocked",
            Self::Slow => "no answer in time",
            Self::Unseen => "not seen",
        }
    }

    /// Whether it is what the server, or something before it, does to STARTTLS.
    fn is_of_the_server(self) -> bool {
        matches!(self, Self::Off | Self::Hidden | Self::Masked | Self::Refused)
    }

    fn of(view: &View, offer: &Offer) -> Self {
        let session = &view.session;
        let is_mixed = |turns: Turns| turns.yes > 0 && turns.no > 0;
        let is_taken = session.unoffered_starttls.seen().is_some_and(|reply| reply.code == 220);
        match offer {
            _ if is_mixed(turns(view)) || is_mixed(answers(view).0) => Self::Flapping,
            Offer::Masked(_) => Self::Masked,
            Offer::Absent if is_taken && starttls_hidden::says_it_to_anything(session).is_none() => Self::Hidden,
            Offer::Absent => Self::Off,
            Offer::Offered => match (&session.starttls, &session.tls) {
                (_, Observed::Seen(_)) => Self::Works,
                (_, Observed::Failed(Failure::Throttled(_))) => Self::Throttled,
                (Observed::Seen(reply), _) if reply.is_positive() => Self::Broken,
                (Observed::Seen(reply), _) if reply.refuses_starttls() => Self::Refused,
                (Observed::Seen(reply), _) if reply.asks_to_come_back() => Self::Throttled,
                (Observed::Seen(_), _) => Self::PutOff,
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
            Observed::Failed(Failure::EhloRefused(reply)) if reply.is_about_the_name() => Self::NameRefused,
            Observed::Failed(Failure::EhloRefused(reply)) if reply.is_about_the_client() => Self::Blocked,
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
            accepted: answers(view).0,
            reply: reply.map(|reply| WireText::from(short(&reply.to_string()))),
            is_encrypted: session.tls.seen().is_some(),
            state: State::of(view, &Offer::of(view)),
        }
    };
    let rows: Vec<Visible> = views.iter().enumerate().map(row).collect();
    let meaning = meaning(views, &rows, products);
    Visibility { rows, meaning }
}

const EVERYONE: &str = "everyone who looked";

/// One sentence: what becomes of STARTTLS for whom, and where that is mended.
fn meaning(views: &[View], rows: &[Visible], products: &[Product]) -> String {
    let mut states: Vec<State> = Vec::new();
    for row in rows {
        if !states.contains(&row.state) {
            states.push(row.state);
        }
    }
    // The next step stands behind the clause that it is about.
    if states.iter().filter(|state| **state != State::Works).count() > 1 {
        states.sort_by_key(|state| match state {
            State::Masked => 5,
            State::Flapping => 4,
            State::Off if rows.iter().any(|row| row.state == State::Works) => 3,
            State::Refused => 2,
            State::PutOff => 1,
            _ => 0,
        });
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
            (all, of_state) if all == of_state => Some(EVERYONE.to_owned()),
            _ => {
                let mut names: Vec<String> = of_state.iter().map(|row| name(&views[row.view])).collect();
                names.dedup();
                Some(listed(names.iter(), 5, ", "))
            }
        };
        clause(*state, whom.as_deref(), &of_state, views, products)
    });
    let clauses: Vec<String> = clauses.collect();
    if clauses.is_empty() {
        return String::new();
    }
    // Whether several source addresses are several places only their names tell.
    let mut places: Vec<_> = views.iter().map(|view| &view.vantage.label).collect();
    places.sort();
    places.dedup();
    let place = match (states.as_slice(), places.len()) {
        ([State::Off | State::Hidden], 1) => ", as seen from one place: others may be offered it (--from, --ehlo, merge)",
        ([State::Off], _) => {
            ": it is switched off at the server, the server has no certificate, or something right before it takes it away"
        }
        _ if is_by_address(views, rows)
            && states.contains(&State::Works)
            && states.iter().any(|state| state.is_of_the_server()) =>
        {
            ": look at the server at that address and at what stands before it"
        }
        _ if states.contains(&State::Masked) && states.contains(&State::Works) => {
            ": what inspects stands on the way of that client, at either end"
        }
        _ if states.contains(&State::Masked) => ": switch off the inspection there; only then it shows what the server offers",
        _ if rows
            .iter()
            .any(|row| row.state == State::Flapping && sessions(&views[row.view]).any(|s| masked_keyword(s).is_some())) =>
        {
            ": one of several ways to the server is inspected, and what inspects it writes over the keyword"
        }
        _ if states.contains(&State::Flapping) => {
            ": look for the one of several servers behind the address that has no certificate"
        }
        _ if states.contains(&State::Off) && states.contains(&State::Works) && was_seen_once(rows) => {
            ": look at the server's lists of clients and at what stands between; with one look at each, servers that take turns \
             look the same"
        }
        _ if states.contains(&State::Off) && states.contains(&State::Works) => {
            ": look at the server's lists of clients and at what stands between"
        }
        _ if states.contains(&State::Refused) && states.contains(&State::Works) => {
            ": look at what the server does for the one client and not for the other"
        }
        _ if states.contains(&State::Refused) && has_no_tls(rows) => {
            ": the usual cause is the server's key or certificate file; its log says which"
        }
        _ if states.contains(&State::Refused) || states.contains(&State::PutOff) => ": the reply to the command says why",
        ([State::Throttled], _) => "; ask again later, with fewer connections (--rate)",
        ([State::Blocked], _) => "; ask from another address (--from), or have this one let in",
        ([State::NameRefused], _) => "; give another (--ehlo)",
        ([State::Slow], _) => "; wait longer (--patience)",
        _ => "",
    };
    format!("STARTTLS {}{place}", clauses.join("; it "))
}

/// Whether each address of several is the same to all, and the same client meets another state at another.
fn is_by_address(views: &[View], rows: &[Visible]) -> bool {
    let pairs = || rows.iter().flat_map(|one| rows.iter().map(move |other| (one, other)));
    let is_at_one = |one: &Visible, other: &Visible| views[one.view].address == views[other.view].address;
    let is_by_one = |one: &Visible, other: &Visible| views[one.view].vantage_text() == views[other.view].vantage_text();
    pairs().all(|(one, other)| !is_at_one(one, other) || one.state == other.state)
        && pairs().any(|(one, other)| is_by_one(one, other) && one.state != other.state)
}

/// Whether nobody who was not offered it looked twice.
fn was_seen_once(rows: &[Visible]) -> bool {
    rows.iter().filter(|row| row.state == State::Off).all(|row| row.advertised.no <= 1)
}

/// Whether the command was answered 454, which says that TLS cannot be had at present (RFC 3207, 4).
fn has_no_tls(rows: &[Visible]) -> bool {
    let replies = rows.iter().filter(|row| row.state == State::Refused).filter_map(|row| row.reply.as_ref());
    replies.into_iter().all(|reply| reply.as_str().starts_with("454"))
}

/// What becomes of it for whom; for nobody in particular where one vantage point is all there is.
fn clause(state: State, whom: Option<&str>, rows: &[&Visible], views: &[View], products: &[Product]) -> String {
    let is_for_all = whom == Some(EVERYONE);
    let whom = |preposition: &str| whom.map_or_else(String::new, |whom| format!(" {preposition} {whom}"));
    let is_advertised = rows.iter().any(|row| row.advertised.yes > 0);
    match state {
        State::Works => format!("works{}", whom("for")),
        State::Off => format!("is off{}", whom("for")),
        State::Hidden if is_for_all => "is advertised to nobody who looked, and accepted all the same".to_owned(),
        State::Hidden => format!("is not advertised{}, and accepted all the same", whom("to")),
        State::Masked => {
            let middlebox = products.iter().find(|product| product.role == Role::Middlebox);
            let name = middlebox.map_or("a middlebox", |product| product.name);
            format!("is not to be seen{} behind {name}, which writes over what passes", whom("by"))
        }
        State::Flapping => {
            let sum = |turns: fn(&Visible) -> Turns| {
                rows.iter().map(|row| turns(row)).fold((0, 0), |(yes, all), turns| (yes + turns.yes, all + turns.yes + turns.no))
            };
            let (word, (yes, all)) = match sum(|row| row.advertised) {
                (yes, all) if yes < all => ("advertised", (yes, all)),
                _ => ("accepted", sum(|row| row.accepted)),
            };
            format!("comes and goes{}, {word} in {yes} of {all} connections", whom("for"))
        }
        State::Refused => format!("is advertised{}, and refused when asked for", whom("to")),
        State::PutOff => format!("is advertised{}, and put off when asked for", whom("to")),
        State::Broken
            if let Some(reply) =
                rows.iter().find_map(|row| row.reply.as_ref()).filter(|reply| !reply.as_str().starts_with("220")) =>
        {
            format!(
                "is advertised{}, and asked for it answers `{reply}` instead of 220; no usual handshake was finished",
                whom("to")
            )
        }
        State::Broken => format!("is accepted{}, and no usual handshake was finished", whom("from")),
        State::Throttled if is_advertised => {
            format!("is advertised{}, and the server asks to come back later for it", whom("to"))
        }
        State::Slow if is_advertised => format!("is advertised{}, and no answer came when it was asked for", whom("to")),
        State::Unseen if is_advertised => format!("is advertised{}, and no answer came to the command", whom("to")),
        State::NameRefused => format!("could not be seen{}: the name given in EHLO is refused", whom("by")),
        State::Throttled => format!("could not be seen{}: the server asks to come back later", whom("by")),
        State::Blocked => format!("could not be seen{}: the server turns the client away", whom("by")),
        State::Slow => format!("could not be seen{}: no answer came in time", whom("by")),
        State::Unseen => {
            let why = rows.first().map(|row| &views[row.view]).map(|view| match (&view.session.ehlo, Offer::of(view)) {
                // The reply was seen, and what it lists can be read in two ways.
                (Observed::Seen(_), Offer::Unknown(why)) => why,
                (unseen, _) => short(&why_not(view, unseen)),
            });
            format!("could not be seen{}: {}", whom("by"), why.unwrap_or_default())
        }
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
    #[case::off_from_one_machine(
        |views: &mut [View]| views.iter_mut().for_each(World::without_starttls),
        "STARTTLS is off for everyone who looked, as seen from one place: others"
    )]
    #[case::off(
        |views: &mut [View]| {
            views.iter_mut().for_each(World::without_starttls);
            views[1].vantage.label = Some("partner".into());
        },
        "STARTTLS is off for everyone who looked: it is switched off"
    )]
    #[case::hidden(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.unoffered_starttls = Observed::Seen(reply(220, "go ahead"));
        },
        "STARTTLS is advertised to nobody who looked, and accepted all the same"
    )]
    #[case::at_one_of_two_addresses(
        |views: &mut [View]| {
            World::without_starttls(&mut views[1]);
            views[1].session.connection = views[0].session.connection.clone();
            views[1].address.set_port(26);
        },
        "STARTTLS works for 192.0.2.1 to 198.51.100.10:25; it is off for 192.0.2.1 to 198.51.100.10:26: look at the server at that"
    )]
    #[case::garbled(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.ehlo = ehlo("mx.example.test", &["SIZE", "STARTTLS\0"]);
        },
        "STARTTLS could not be seen by everyone who looked: the reply to EHLO lists STARTTLS\\x00, which may be meant"
    )]
    #[case::blocked_at_ehlo(
        |views: &mut [View]| for view in views {
            let words = "5.7.1 Client host blocked; contact the postmaster of this domain";
            view.session.ehlo = Observed::Failed(Failure::EhloRefused(reply(554, words)));
        },
        "STARTTLS could not be seen by everyone who looked: the server turns the client away; ask from another address"
    )]
    #[case::the_next_step_is_about_the_last_clause(
        |views: &mut [View]| {
            views[0].session.starttls = Observed::Seen(reply(454, "TLS not available"));
            views[0].session.tls = Observed::NotAttempted("refused".to_owned());
            views[1].session.ehlo = Observed::Failed(Failure::EhloRefused(reply(554, "5.7.1 Client host blocked")));
        },
        "STARTTLS could not be seen by 192.0.2.2: the server turns the client away; it is advertised to 192.0.2.1, and refused when asked for: the usual cause"
    )]
    #[case::asked_for_in_vain(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Failed(Failure::TimedOut { millis: 1000 });
            view.session.tls = Observed::NotAttempted("no reply".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and no answer came when it was asked for; wait longer"
    )]
    #[case::name_refused(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.ehlo = Observed::Failed(Failure::EhloRefused(reply(550, "5.7.1 need FQDN")));
        },
        "STARTTLS could not be seen by everyone who looked: the name given in EHLO is refused; give another"
    )]
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
        "STARTTLS is advertised to everyone who looked, and refused when asked for: the usual cause is the server's key"
    )]
    #[case::masked(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.ehlo = ehlo("mx.example.test", &["PIPELINING", "XXXXXXXA"]);
        },
        "STARTTLS is not to be seen by everyone who looked behind Cisco ASA, which writes over what passes: switch off"
    )]
    #[case::flapping(
        |views: &mut [View]| {
            let offered = views[0].session.clone();
            World::without_starttls(&mut views[0]);
            views[0].earlier = vec![offered.clone(), offered];
        },
        "STARTTLS comes and goes for 192.0.2.1, advertised in 2 of 3 connections; it works for 192.0.2.2: look for the one"
    )]
    #[case::refused_in_turns(
        |views: &mut [View]| {
            let mut refused = views[0].session.clone();
            refused.starttls = Observed::Seen(reply(454, "4.7.0 TLS not available"));
            views[0].earlier = vec![refused.clone(), refused];
        },
        "STARTTLS comes and goes for 192.0.2.1, accepted in 1 of 3 connections; it works for 192.0.2.2: look for the one"
    )]
    #[case::masked_in_turns(
        |views: &mut [View]| for view in views {
            let mut masked = view.session.clone();
            masked.ehlo = ehlo("mx.example.test", &["PIPELINING", "XXXXXXXA"]);
            view.earlier = vec![masked];
        },
        "STARTTLS comes and goes for everyone who looked, advertised in 2 of 4 connections: one of several ways"
    )]
    #[case::a_masked_greeting_alone(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.greeting = Observed::Seen(reply(220, "*****************************"));
        },
        "STARTTLS is off for everyone who looked"
    )]
    #[case::everything_is_220(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.help = Observed::Seen(reply(220, "ok"));
            view.session.unoffered_starttls = Observed::Seen(reply(220, "ok"));
        },
        "STARTTLS is off for everyone who looked"
    )]
    #[case::put_off(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Seen(reply(451, "4.3.0 local error"));
            view.session.tls = Observed::NotAttempted("put off".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and put off when asked for: the reply"
    )]
    #[case::not_220(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Seen(reply(214, "help"));
            view.session.tls = Observed::Failed(Failure::TimedOut { millis: 1000 });
        },
        "STARTTLS is advertised to everyone who looked, and asked for it answers `214 help` instead of 220; no usual"
    )]
    #[case::by_name(
        |views: &mut [View]| {
            views[1].session.connection = views[0].session.connection.clone();
            views[1].vantage.ehlo = Some("mail.example.org".parse().unwrap());
            World::without_starttls(&mut views[1]);
        },
        "STARTTLS works for 192.0.2.1; it is off for 192.0.2.1 as mail.example.org: look at the server's lists of clients and \
         at what stands between; with one look at each, servers that take turns"
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
