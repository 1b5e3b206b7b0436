//! Who sees STARTTLS, and who does not: a row for each address, vantage point and name given in EHLO, and what all of
//! them mean together. It decides no verdict; the rules beside it do.

use serde::Serialize;

use super::{
    Offer, accepted, answers, broken_off, count, data_before_handshake, dialogs, is_one_place, masked_keyword, masked_starttls,
    nearly_offered, put_off, starttls_hidden, turned_away, turns, why_not,
};
use crate::{
    facts::{Failure, Observed, Session, Switch, Turns, View},
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
    /// In how many connections the command was accepted when asked for, and in how many refused.
    pub accepted: Turns,
    /// In how many connections TLS came about once it was accepted, and in how many it broke off; where it was now the one and now
    /// the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshakes: Option<Turns>,
    /// In how many connections the command was accepted, and in how many put off; where no limit explains that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_off: Option<Turns>,
    /// In how many connections nothing was said in the clear behind the reply to the command, and in how many something was; where it was in
    /// some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_clear: Option<Turns>,
    /// In how many connections the keyword was as it should be, and in how many another that may be meant as it; where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearly: Option<Turns>,
    /// In how many connections the command reached the server, and in how many as something else; where it did not in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked: Option<Turns>,
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
    /// It is advertised, accepted, a handshake was finished, and EHLO was answered inside.
    Works,
    /// It is not advertised.
    Off,
    /// It is not advertised, and accepted all the same.
    Hidden,
    /// Something before the server writes over it.
    Masked,
    /// It is advertised in some connections and not in others, or accepted in some and refused in others, or comes about in some
    /// and breaks off in others.
    Flapping,
    /// The name given in EHLO is refused.
    NameRefused,
    /// It is advertised, and refused when asked for.
    Refused,
    /// It is advertised, and a temporary reply that may be about anything puts it off.
    PutOff,
    /// It is accepted, and no handshake was finished, or EHLO inside was not answered as it should be.
    Broken,
    /// The server asks to come back later.
    Throttled,
    /// The server turns this source away.
    Blocked,
    /// The server says that it never takes mail (RFC 7504).
    NoMail,
    /// EHLO itself is answered 530: something is demanded before the server says what it offers.
    DemandsFirst,
    /// The server minds what name DNS has for this source's address, or that it has none.
    NoReverseName,
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
            Self::Broken => "broken",
            Self::Throttled => "throttled",
            Self::Blocked => "blocked",
            Self::NoMail => "takes no mail",
            Self::DemandsFirst => "demands first",
            Self::NoReverseName => "no reverse name",
            Self::Slow => "no answer in time",
            Self::Unseen => "not seen",
        }
    }

    /// Whether it is what the server, or something before it, does to STARTTLS.
    fn is_of_the_server(self) -> bool {
        matches!(self, Self::Off | Self::Hidden | Self::Masked | Self::Refused | Self::Broken)
    }

    fn of(view: &View, offer: &Offer) -> Self {
        let session = &view.session;
        let is_taken = session.unoffered_starttls.seen().is_some_and(|reply| reply.code == 220);
        match offer {
            _ if super::unsteady(view).is_some() => Self::Flapping,
            Offer::Masked(_) => Self::Masked,
            Offer::Absent if is_taken && starttls_hidden::says_it_to_anything(session).is_none() => Self::Hidden,
            Offer::Absent => Self::Off,
            Offer::Offered => match (&session.starttls, &session.tls) {
                (_, Observed::Seen(_)) => match &session.ehlo_after {
                    Observed::Failed(Failure::Blocked(reply)) => Self::turned_away(reply),
                    Observed::Failed(Failure::Throttled(reply)) if reply.asks_to_come_back() => Self::Throttled,
                    // What this end did says nothing of the server.
                    Observed::Failed(Failure::Local(_)) => Self::Unseen,
                    Observed::Failed(_) => Self::Broken,
                    _ => Self::Works,
                },
                _ if let Some(reply) = turned_away(session) => Self::turned_away(reply),
                (_, Observed::Failed(Failure::Throttled(_))) => Self::Throttled,
                (Observed::Seen(reply), _) if reply.is_positive() => Self::Broken,
                (Observed::Seen(reply), _) if reply.refuses_starttls() => Self::Refused,
                (Observed::Seen(reply), _) if reply.asks_to_come_back() => Self::Throttled,
                (Observed::Seen(_), _) => Self::PutOff,
                (unseen, _) => Self::without(unseen),
            },
            Offer::Unknown(_) if let Some(reply) = turned_away(session) => Self::turned_away(reply),
            Offer::Unknown(_) if session.connection.seen().is_none() => Self::without(&session.connection),
            Offer::Unknown(_) if session.greeting.seen().is_none() => Self::without(&session.greeting),
            Offer::Unknown(_) => Self::without(&session.ehlo),
        }
    }

    fn turned_away(reply: &Reply) -> Self {
        match reply.minds_the_reverse_name() {
            true => Self::NoReverseName,
            false if reply.takes_no_mail() => Self::NoMail,
            false if reply.asks_to_come_back() => Self::Throttled,
            false => Self::Blocked,
        }
    }

    fn without<T>(unseen: &Observed<T>) -> Self {
        match unseen {
            Observed::Failed(Failure::Throttled(_)) => Self::Throttled,
            // RFC 3207, 4: EHLO is among the commands that are never answered so.
            Observed::Failed(Failure::EhloRefused(reply)) if reply.code == 530 => Self::DemandsFirst,
            Observed::Failed(Failure::EhloRefused(reply)) if reply.asks_to_come_back() => Self::Throttled,
            Observed::Failed(Failure::EhloRefused(reply)) if reply.is_about_the_name() => Self::NameRefused,
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
            handshakes: broken_off(view),
            put_off: put_off(view).map(|put_off| put_off.turns),
            nearly: nearly_offered(view).map(|(no, _)| Turns { yes: turns(view).yes, no }).filter(|turns| turns.is_mixed()),
            in_clear: Some(data_before_handshake::turns(view)).filter(|turns| turns.is_mixed()),
            masked: Some(Turns { yes: accepted(view), no: count(view, |session| masked_starttls(session).is_some()) })
                .filter(|turns| turns.is_mixed()),
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
            State::Off | State::Hidden if rows.iter().any(|row| row.state == State::Works) => 3,
            State::Refused | State::Broken => 2,
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
        let clause = clause(*state, whom.as_deref(), &of_state, views, products);
        // Of one alone it ends the sentence; beside others it would be taken for theirs.
        match advice(*state, &of_state, views).filter(|_| states.len() > 1) {
            Some(advice) => format!("{clause} ({advice})"),
            None => clause,
        }
    });
    let clauses: Vec<String> = clauses.collect();
    if clauses.is_empty() {
        return String::new();
    }
    // Whether several source addresses are several places only their names tell.
    let mut places: Vec<_> = views.iter().map(|view| &view.vantage.label).collect();
    places.sort();
    places.dedup();
    let by = By::of(views, rows);
    let place = match (states.as_slice(), places.len()) {
        ([State::Off | State::Hidden], 1) => ", as seen from one place: others may be offered it (--from, --ehlo, merge)".to_owned(),
        ([State::Off], _) => {
            ": it is switched off at the server, the server has no certificate, or something right before it takes it away or hides who asks".to_owned()
        }
        _ if is_by_address(views, rows)
            && states.contains(&State::Works)
            && states.iter().any(|state| state.is_of_the_server()) =>
        {
            ": look at the server at that address and at what stands before it".to_owned()
        }
        _ if states.contains(&State::Masked) && states.contains(&State::Works) => match by {
            By::Client => ": what inspects stands on the way of that client, at either end".to_owned(),
            By::Name(same) => format!(": {same}, so what inspects goes by the name, or stands on one of several ways"),
            By::Either => ": what inspects goes by the client or by the name that it gives".to_owned(),
            By::Time => {
                ": the client was the same each time, so what inspects stands on one of several ways, or stood there once".to_owned()
            }
        },
        _ if states.contains(&State::Masked) => ": switch off the inspection there; only then it shows what the server offers".to_owned(),
        _ if rows
            .iter()
            .any(|row| row.state == State::Flapping && dialogs(&views[row.view]).any(|(session, _)| masked_keyword(session).is_some())) =>
        {
            ": one of several ways to the server is inspected, and what inspects it writes over the keyword".to_owned()
        }
        _ if rows.iter().any(|row| row.masked.is_some()) => {
            ": one of several ways to the server is inspected, and what inspects it writes over the command".to_owned()
        }
        _ if states.contains(&State::Flapping) => at_times(rows, views),
        _ if states.contains(&State::Works) && (states.contains(&State::Off) || states.contains(&State::Hidden)) => match by {
            By::Client => ": look at the server's lists of clients and at what stands between".to_owned(),
            By::Name(same) => format!(": {same}, so look at what goes by the name given in EHLO"),
            By::Either => {
                ": look at the server's lists of clients, at what goes by the name given in EHLO, and at what stands between".to_owned()
            }
            By::Time => IN_TIME.to_owned(),
        },
        _ if states.contains(&State::Works) && (states.contains(&State::Refused) || states.contains(&State::Broken)) => {
            match by {
                By::Client => ": look at what the server does for the one client and not for the other".to_owned(),
                By::Name(_) => ": look at what the server does for the one name and not for the other".to_owned(),
                By::Either => ": look at what the server does for the one client or name and not for the other".to_owned(),
                By::Time => IN_TIME.to_owned(),
            }
        }
        _ if states.contains(&State::Refused) && has_no_tls(rows) => {
            ": the usual cause is the server's key or certificate file; its log says which".to_owned()
        }
        _ if states.contains(&State::Refused) || states.contains(&State::PutOff) => {
            ": the reply to the command says why".to_owned()
        }
        ([state], _) => {
            let all: Vec<&Visible> = rows.iter().collect();
            advice(*state, &all, views).map_or_else(String::new, |advice| format!("; {advice}"))
        }
        _ => String::new(),
    };
    let caveat = match states.contains(&State::Works) && by != By::Time && was_seen_once(rows) {
        true => "; with one look at each, servers that take turns look the same",
        false => "",
    };
    format!("STARTTLS {}{place}{caveat}", clauses.join("; it "))
}

const IN_TIME: &str = ": the client was the same each time, so servers take turns, or something has changed meanwhile";

/// What to look for where it comes and goes: the order of the connections tells causes apart.
fn at_times(rows: &[Visible], views: &[View]) -> String {
    let flapping = || rows.iter().filter(|row| row.state == State::Flapping);
    let switch = |row: &Visible| views[row.view].beginnings.switch;
    let switches: Vec<Switch> = flapping().filter_map(switch).collect();
    match switches.first() {
        Some(Switch { connection, is_ready: false }) if switches.len() == flapping().count() => format!(
            ": from connection {connection} on it was not to be had any more: a limit, something on the way that stops who comes \
             often, or a restart looks like this; ask again later, with fewer connections (--rate)"
        ),
        Some(Switch { connection, is_ready: true }) if switches.len() == flapping().count() => {
            format!(": from connection {connection} on it was there: a server that was mended or restarted looks like this; ask again")
        }
        _ if flapping().all(|row| row.nearly.is_some()) => {
            ": one of several servers behind the address, or something on one of several ways, garbles the keyword".to_owned()
        }
        _ if flapping().all(|row| row.in_clear.is_some()) => {
            ": one of several servers behind the address, or something on one of several ways, says more than it should".to_owned()
        }
        _ if flapping().all(|row| row.put_off.is_some()) => {
            ": one of several servers behind the address is in trouble, or a limit is met; the reply to the command says why".to_owned()
        }
        _ if flapping().all(|row| row.handshakes.is_some()) => {
            ": one of several servers behind the address, or a process that fails now and then, looks like this; the server's log tells"
                .to_owned()
        }
        _ => ": one of several servers behind the address has no certificate, or a limit is met, or something stands on one of \
              several ways"
            .to_owned(),
    }
}

/// What to try next where nothing was seen of it.
fn advice(state: State, rows: &[&Visible], views: &[View]) -> Option<&'static str> {
    let all = |is_so: &dyn Fn(&View) -> bool| rows.iter().all(|row| is_so(&views[row.view]));
    let is_full = |view: &View| match &view.session.ehlo {
        Observed::Failed(Failure::Throttled(reply)) => reply.says_it_is_full(),
        _ => false,
    };
    // Only who counts connections has use for fewer.
    let is_counted = |view: &View| throttling(&view.session).is_none_or(Reply::counts_connections);
    Some(match state {
        State::Throttled if all(&is_full) => "ask again later",
        State::Throttled if all(&is_counted) => "ask again later, with fewer connections (--rate)",
        State::Throttled => "ask again later",
        State::Blocked => "ask from another address (--from), or have this one let in",
        State::NoReverseName => "let DNS have a name for this source that leads back to it, or ask from another address (--from)",
        State::NameRefused => "give another (--ehlo)",
        State::NoMail => "mail has to go to another host",
        State::DemandsFirst => "let it answer EHLO, and demand TLS before MAIL",
        State::Slow if all(&|view| matches!(view.session.connection, Observed::Failed(_))) => {
            "a firewall that drops what comes to the port looks like this: ask from another address (--from)"
        }
        State::Slow if all(&|view| matches!(view.session.greeting, Observed::Failed(_))) => {
            "wait longer (--patience), or see whether it waits for TLS from the first byte (--active)"
        }
        State::Slow => "wait longer (--patience)",
        _ => return None,
    })
}

/// The reply that asks to come back later.
fn throttling(session: &Session) -> Option<&Reply> {
    fn failed<T>(observed: &Observed<T>) -> Option<&Reply> {
        match observed {
            Observed::Failed(Failure::Throttled(reply) | Failure::EhloRefused(reply)) => Some(reply),
            _ => None,
        }
    }
    let Session { greeting, ehlo, starttls, tls, ehlo_after, .. } = session;
    let put_off = [failed(greeting), failed(ehlo), failed(starttls), failed(tls), failed(ehlo_after)];
    put_off.into_iter().flatten().next().or_else(|| starttls.seen().filter(|reply| reply.asks_to_come_back()))
}

/// What STARTTLS goes by, where not by the address of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The source.
    Client,
    /// The name given in EHLO; with what shows that it is not the source.
    Name(&'static str),
    /// One of the two, or both together.
    Either,
    /// Nothing but the time.
    Time,
}

impl By {
    /// Looks which of them the states follow: whoever has the same, meets the same.
    fn of(views: &[View], rows: &[Visible]) -> Self {
        let is_counted = |row: &&Visible| row.state == State::Works || row.state.is_of_the_server();
        let counted: Vec<&Visible> = rows.iter().filter(is_counted).collect();
        let pairs = || counted.iter().flat_map(|one| counted.iter().map(move |other| (*one, *other)));
        let is_one_client = |one: &Visible, other: &Visible| {
            let (one, other) = (&views[one.view], &views[other.view]);
            (&one.vantage.label, one.source()) == (&other.vantage.label, other.source())
        };
        let is_one_name = |one: &Visible, other: &Visible| views[one.view].vantage.ehlo == views[other.view].vantage.ehlo;
        let differs = |is_one: &dyn Fn(&Visible, &Visible) -> bool| pairs().any(|(one, other)| !is_one(one, other));
        let decides = |is_one: &dyn Fn(&Visible, &Visible) -> bool| {
            let is_alike = |one: &Visible, other: &Visible| {
                views[one.view].address != views[other.view].address || !is_one(one, other) || one.state == other.state
            };
            differs(is_one) && pairs().all(|(one, other)| is_alike(one, other))
        };
        match (decides(&is_one_client), decides(&is_one_name)) {
            (true, false) => Self::Client,
            (false, true) if differs(&is_one_client) => Self::Name("it was the same for each client"),
            (false, true) => Self::Name("the client was the same each time"),
            (true, true) => Self::Either,
            (false, false) if decides(&|one, other| is_one_client(one, other) && is_one_name(one, other)) => Self::Either,
            // The same private address in two reports need not be the same client.
            (false, false) => match views[0].vantage.label.is_some() || views[0].source().is_some_and(is_one_place) {
                true => Self::Time,
                false => Self::Client,
            },
        }
    }
}

/// Whether each address of several is the same to all, and the same client meets another state at another.
fn is_by_address(views: &[View], rows: &[Visible]) -> bool {
    let pairs = || rows.iter().flat_map(|one| rows.iter().map(move |other| (one, other)));
    let is_at_one = |one: &Visible, other: &Visible| views[one.view].address == views[other.view].address;
    let is_by_one = |one: &Visible, other: &Visible| views[one.view].vantage_text() == views[other.view].vantage_text();
    pairs().all(|(one, other)| !is_at_one(one, other) || one.state == other.state)
        && pairs().any(|(one, other)| is_by_one(one, other) && one.state != other.state)
}

/// Whether everybody whom it did not work for looked once only.
fn was_seen_once(rows: &[Visible]) -> bool {
    let looks = rows.iter().filter_map(|row| match row.state {
        State::Off | State::Hidden | State::Masked => Some(row.advertised.no),
        State::Refused => Some(row.accepted.no),
        State::Broken => Some(row.accepted.yes),
        _ => None,
    });
    looks.max().is_some_and(|most| most <= 1)
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
            if is_advertised {
                return format!("is advertised{}, and {name} writes over the command", whom("to"));
            }
            format!("is not to be seen{} behind {name}, which writes over what passes", whom("by"))
        }
        State::Flapping => {
            let sum = |turns: fn(&Visible) -> Turns| {
                rows.iter().map(|row| turns(row)).fold((0, 0), |(yes, all), turns| (yes + turns.yes, all + turns.yes + turns.no))
            };
            let of = |turns: fn(&Visible) -> Option<Turns>| {
                let turns: Vec<Turns> = rows.iter().filter_map(|row| turns(row)).collect();
                let no: u32 = turns.iter().map(|turns| turns.no).sum();
                (no > 0).then(|| (no, turns.iter().map(|turns| turns.all()).sum::<u32>()))
            };
            let how = match (sum(|row| row.advertised), sum(|row| row.accepted)) {
                ((yes, all), _) if yes < all => format!("advertised in {yes} of {all} connections"),
                _ if let Some((no, all)) = of(|row| row.nearly) => {
                    format!("in {no} of {all} connections as a keyword that only some clients take for it")
                }
                (_, (yes, all)) if yes < all => format!("accepted in {yes} of {all} connections"),
                _ if let Some((no, all)) = of(|row| row.masked) => format!("written over in {no} of {all} connections"),
                _ if let Some((no, all)) = of(|row| row.in_clear) => {
                    format!("followed by clear text in {no} of {all} connections")
                }
                _ if let Some((no, all)) = of(|row| row.put_off) => format!("put off in {no} of {all} connections"),
                _ => of(|row| row.handshakes)
                    .map_or_else(String::new, |(no, all)| format!("broken off in {no} of {all} connections")),
            };
            format!("comes and goes{}, {how}", whom("for"))
        }
        State::Refused => format!("is advertised{}, and refused when asked for", whom("to")),
        State::PutOff => format!("is advertised{}, and put off when asked for", whom("to")),
        State::Broken if rows.iter().all(|row| row.is_encrypted) => {
            let why = rows.first().map(|row| &views[row.view]).map(|view| short(&why_not(view, &view.session.ehlo_after)));
            format!("is accepted{}, and no usable reply to EHLO came inside TLS: {}", whom("from"), why.unwrap_or_default())
        }
        State::Broken if rows.iter().any(|row| row.is_encrypted) => {
            format!("is accepted{}, and no usable reply to EHLO came inside TLS, where it came to TLS", whom("from"))
        }
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
        State::Unseen if is_advertised => {
            let why = rows.first().map(|row| &views[row.view]).map(|view| short(&why_not(view, &view.session.starttls)));
            format!("is advertised{}, and no usable answer came to the command: {}", whom("to"), why.unwrap_or_default())
        }
        State::Blocked if is_advertised => format!("is advertised{}, and the server turns the client away", whom("to")),
        State::NoReverseName if is_advertised => {
            format!("is advertised{}, and the server minds the client's reverse name in DNS, or that there is none", whom("to"))
        }
        State::NoMail => format!("could not be seen{}: the server says that it takes no mail, from nobody", whom("by")),
        State::DemandsFirst => format!(
            "could not be seen{}: EHLO itself is answered 530, though what is demanded must leave EHLO alone (RFC 3207, 4)",
            whom("by")
        ),
        State::NameRefused => format!("could not be seen{}: the name given in EHLO is refused", whom("by")),
        State::Throttled => format!("could not be seen{}: the server asks to come back later", whom("by")),
        State::Blocked => format!("could not be seen{}: the server turns the client away", whom("by")),
        State::NoReverseName => {
            format!("could not be seen{}: the server minds the client's reverse name in DNS, or that there is none", whom("by"))
        }
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
    use crate::{
        facts::{Beginning, Beginnings, Depth, Offers},
        rules::test_facts::{World, ehlo, reply},
    };

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
    #[case::closed_inside(
        |views: &mut [View]| views.iter_mut().for_each(|view| view.session.ehlo_after = Observed::Failed(Failure::Closed)),
        "STARTTLS is accepted from everyone who looked, and no usable reply to EHLO came inside TLS: "
    )]
    #[case::refused_inside(
        |views: &mut [View]| for view in views {
            view.session.ehlo_after = Observed::Failed(Failure::EhloRefused(reply(503, "5.5.1 bad sequence")));
        },
        "STARTTLS is accepted from everyone who looked, and no usable reply to EHLO came inside TLS: "
    )]
    #[case::closed_inside_for_one(
        |views: &mut [View]| views[0].session.ehlo_after = Observed::Failed(Failure::Closed),
        "STARTTLS is accepted from "
    )]
    #[case::busy_inside(
        |views: &mut [View]| for view in views {
            view.session.ehlo_after = Observed::Failed(Failure::Throttled(reply(421, "4.3.2 too busy")));
        },
        "STARTTLS is advertised to everyone who looked, and the server asks to come back later for it; ask again later"
    )]
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
        "STARTTLS could not be seen by 192.0.2.2: the server turns the client away (ask from another address (--from), or have this one let in); \
         it is advertised to 192.0.2.1, and refused when asked for: the usual cause"
    )]
    #[case::asked_for_in_vain(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Failed(Failure::TimedOut { millis: 1000 });
            view.session.tls = Observed::NotAttempted("no reply".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and no answer came when it was asked for; wait longer"
    )]
    #[case::no_connection(
        |views: &mut [View]| for view in views {
            view.session = crate::facts::Session::not_attempted("no connection");
            view.session.connection = Observed::Failed(Failure::TimedOut { millis: 1000 });
        },
        "STARTTLS could not be seen by everyone who looked: no answer came in time; a firewall that drops"
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
    #[case::slow(|views: &mut [View]| World::timed_out(&mut views[0]), "STARTTLS could not be seen by 192.0.2.1: no answer came in time (a firewall that drops")]
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
        "STARTTLS comes and goes for 192.0.2.1, advertised in 2 of 3 connections; it works for 192.0.2.2: one of several servers behind the address has no certificate, or a limit"
    )]
    #[case::refused_in_turns(
        |views: &mut [View]| {
            let mut refused = views[0].session.clone();
            refused.starttls = Observed::Seen(reply(454, "4.7.0 TLS not available"));
            views[0].earlier = vec![refused.clone(), refused];
        },
        "STARTTLS comes and goes for 192.0.2.1, accepted in 1 of 3 connections; it works for 192.0.2.2: one of several servers"
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
        "STARTTLS works for 192.0.2.1; it is off for 192.0.2.1 as mail.example.org: the client was the same each time, so look at \
         what goes by the name given in EHLO; with one look at each, servers that take turns"
    )]
    #[case::masked_by_name(
        |views: &mut [View]| {
            views[1].session.connection = views[0].session.connection.clone();
            views[1].vantage.ehlo = Some("mail.example.org".parse().unwrap());
            World::without_starttls(&mut views[1]);
            views[1].session.ehlo = ehlo("mx.example.test", &["PIPELINING", "XXXXXXXA"]);
        },
        "STARTTLS works for 192.0.2.1; it is not to be seen by 192.0.2.1 as mail.example.org behind Cisco ASA, which writes over \
         what passes: the client was the same each time, so what inspects goes by the name, or stands on one of several ways; \
         with one look at each, servers"
    )]
    #[case::masked_for_one(
        |views: &mut [View]| {
            World::without_starttls(&mut views[1]);
            views[1].session.ehlo = ehlo("mx.example.test", &["PIPELINING", "XXXXXXXA"]);
            views[1].earlier = vec![views[1].session.clone()];
        },
        "STARTTLS works for 192.0.2.1; it is not to be seen by 192.0.2.2 behind Cisco ASA, which writes over what passes: what \
         inspects stands on the way of that client, at either end"
    )]
    #[case::hidden_from_one(
        |views: &mut [View]| {
            World::without_starttls(&mut views[1]);
            views[1].session.unoffered_starttls = Observed::Seen(reply(220, "go ahead"));
        },
        "STARTTLS works for 192.0.2.1; it is not advertised to 192.0.2.2, and accepted all the same: look at the server's lists of \
         clients and at what stands between; with one look at each"
    )]
    #[case::refused_to_one(
        |views: &mut [View]| {
            views[1].session.starttls = Observed::Seen(reply(454, "4.7.0 TLS not available"));
            views[1].session.tls = Observed::NotAttempted("refused".to_owned());
        },
        "STARTTLS works for 192.0.2.1; it is advertised to 192.0.2.2, and refused when asked for: look at what the server does for \
         the one client and not for the other; with one look at each"
    )]
    #[case::at_two_times(
        |views: &mut [View]| {
            views[1].session.connection = views[0].session.connection.clone();
            World::without_starttls(&mut views[1]);
        },
        "STARTTLS works for 192.0.2.1; it is off for 192.0.2.1: the client was the same each time, so servers take turns, or"
    )]
    #[case::a_client_that_is_blocked_at_the_command(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Seen(reply(554, "5.7.1 Client host rejected: Access denied"));
            view.session.tls = Observed::NotAttempted("refused".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and the server turns the client away; ask from another address"
    )]
    #[case::a_client_that_is_blocked_and_offered_nothing(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.unoffered_starttls = Observed::Seen(reply(550, "5.7.1 Client host blocked using zen.spamhaus.org"));
        },
        "STARTTLS could not be seen by everyone who looked: the server turns the client away; ask from another address"
    )]
    #[case::a_client_without_a_name(
        |views: &mut [View]| for view in views {
            let words = reply(450, "4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]");
            view.session.ehlo = Observed::Failed(Failure::put_off(words));
        },
        "STARTTLS could not be seen by everyone who looked: the server minds the client's reverse name in DNS, or that there is \
         none; let DNS have a name"
    )]
    #[case::the_command_arrives_as_another(
        |views: &mut [View]| for view in views {
            World::without_starttls(view);
            view.session.unoffered_starttls = Observed::Seen(reply(500, "5.5.1 Command unrecognized: \"XXXX\""));
        },
        "STARTTLS is not to be seen by everyone who looked behind Cisco ASA, which writes over what passes: switch off"
    )]
    #[case::broken_off_once(
        |views: &mut [View]| {
            let mut broken = views[0].session.clone();
            broken.tls = Observed::Failed(Failure::Closed);
            views[0].earlier = vec![broken];
        },
        "STARTTLS comes and goes for 192.0.2.1, broken off in 1 of 2 connections; it works for 192.0.2.2: one of several servers \
         behind the address, or a process that fails"
    )]
    #[case::broken_off_at_times(
        |views: &mut [View]| for view in views {
            let hellos = Turns { yes: 26, no: 27 };
            view.offers = Observed::Seen(Offers { hellos, ..Offers::unasked(Depth::Standard) });
        },
        "STARTTLS comes and goes for everyone who looked, broken off in 54 of 108 connections: one of several"
    )]
    #[case::a_few_hellos_got_lost(
        |views: &mut [View]| for view in views {
            let hellos = Turns { yes: 26, no: 2 };
            view.offers = Observed::Seen(Offers { hellos, ..Offers::unasked(Depth::Standard) });
        },
        "STARTTLS works for everyone who looked"
    )]
    #[case::put_off_once(
        |views: &mut [View]| {
            views[0].earlier = vec![views[0].session.clone()];
            World::throttled(&mut views[1]);
            views[0].earlier = vec![views[1].session.clone()];
            views[1] = views[0].clone();
        },
        "STARTTLS works for everyone who looked"
    )]
    #[case::until_a_limit(
        |views: &mut [View]| for view in views {
            let switch = Some(Switch { connection: 6, is_ready: false });
            let mut session = view.session.clone();
            session.ehlo = ehlo("mx.example.test", &["SIZE"]);
            session.starttls = Observed::NotAttempted("not offered".to_owned());
            let others = vec![Beginning { times: 6, first: 6, session }];
            view.beginnings = Beginnings { ready: 4, last_ready: 5, others, switch, ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, advertised in 10 of 22 connections: from connection 6 on it was not to \
         be had any more: a limit"
    )]
    #[case::mended_meanwhile(
        |views: &mut [View]| for view in views {
            let switch = Some(Switch { connection: 4, is_ready: true });
            let session = Session { starttls: Observed::Seen(reply(454, "4.7.0 TLS not available")), ..view.session.clone() };
            let others = vec![Beginning { times: 3, first: 1, session }];
            view.beginnings = Beginnings { ready: 20, last_ready: 24, others, switch, ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, accepted in 42 of 48 connections: from connection 4 on it was there"
    )]
    #[case::put_off_in_turns(
        |views: &mut [View]| for view in views {
            let session = Session { starttls: Observed::Seen(reply(451, "4.3.0 local error")), ..view.session.clone() };
            view.beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 20, first: 2, session }], ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, put off in 40 of 82 connections: one of several servers behind the \
         address is in trouble"
    )]
    #[case::clear_text_in_turns(
        |views: &mut [View]| for view in views {
            let tls = Observed::Failed(Failure::Unsolicited("250 injected".into()));
            let session = Session { tls, ..view.session.clone() };
            view.beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 20, first: 2, session }], ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, followed by clear text in 40 of 82 connections: one of several servers"
    )]
    #[case::clear_text_once(
        |views: &mut [View]| for view in views {
            let tls = Observed::Failed(Failure::Unsolicited("250 injected".into()));
            let session = Session { tls, ..view.session.clone() };
            view.beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 1, first: 2, session }], ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, followed by clear text in 2 of 44 connections: one of several servers"
    )]
    #[case::closed_at_the_command_in_turns(
        |views: &mut [View]| for view in views {
            let tls = Observed::NotAttempted("not so far".to_owned());
            let session = Session { starttls: Observed::Failed(Failure::Closed), tls, ..view.session.clone() };
            view.beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 20, first: 2, session }], ..Beginnings::default() };
            view.offers = Observed::Seen(Offers { hellos: Turns { yes: 20, no: 0 }, ..Offers::unasked(Depth::Standard) });
        },
        "STARTTLS comes and goes for everyone who looked, broken off in 40 of 82 connections: one of several"
    )]
    #[case::garbled_in_turns(
        |views: &mut [View]| for view in views {
            let session = Session { ehlo: ehlo("mx.example.test", &["STARTTLS\0"]), ..Session::not_attempted("not so far") };
            view.beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 20, first: 2, session }], ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, in 40 of 82 connections as a keyword that only some clients take for it: one"
    )]
    #[case::written_over_in_turns(
        |views: &mut [View]| for view in views {
            let starttls = Observed::Seen(reply(500, "5.5.1 Command unrecognized: \"XXXXXXXX\""));
            let session = Session { starttls, tls: Observed::NotAttempted("refused".to_owned()), ..view.session.clone() };
            view.beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 20, first: 2, session }], ..Beginnings::default() };
        },
        "STARTTLS comes and goes for everyone who looked, written over in 40 of 82 connections: one of several ways"
    )]
    #[case::written_over(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Seen(reply(500, "5.5.1 Command unrecognized: \"XXXXXXXX\""));
            view.session.tls = Observed::NotAttempted("refused".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and Cisco ASA writes over the command: switch off the inspection"
    )]
    #[case::ehlo_answered_530(
        |views: &mut [View]| for view in views {
            view.session.ehlo = Observed::Failed(Failure::EhloRefused(reply(530, "5.7.0 Must issue a STARTTLS command first")));
        },
        "STARTTLS could not be seen by everyone who looked: EHLO itself is answered 530, though what is demanded must leave EHLO"
    )]
    #[case::ehlo_refused_for_its_verb(
        |views: &mut [View]| for view in views {
            view.session.ehlo = Observed::Failed(Failure::EhloRefused(reply(550, "5.3.0 limited to SMTP; unlisted verb")));
        },
        "STARTTLS could not be seen by everyone who looked: EHLO was answered 550 5.3.0 limited to SMTP; unlisted verb"
    )]
    #[case::ehlo_refused_for_an_option(
        |views: &mut [View]| for view in views {
            view.session.ehlo = Observed::Failed(Failure::EhloRefused(reply(555, "5.5.4 Unsupported option")));
        },
        "STARTTLS could not be seen by everyone who looked: EHLO was answered 555 5.5.4 Unsupported option"
    )]
    #[case::no_mail_ever(
        |views: &mut [View]| for view in views {
            let refused = reply(521, "mx.example.test does not accept mail");
            view.session = crate::facts::Session::not_attempted("turned away");
            view.session.greeting = Observed::Seen(refused.clone());
            view.session.ehlo = Observed::Failed(Failure::Blocked(refused));
        },
        "STARTTLS could not be seen by everyone who looked: the server says that it takes no mail, from nobody; mail has to go"
    )]
    #[case::full(
        |views: &mut [View]| for view in views {
            World::throttled(view);
            view.session.ehlo = Observed::Failed(Failure::Throttled(reply(452, "4.3.1 full")));
        },
        "STARTTLS could not be seen by everyone who looked: the server asks to come back later; ask again later"
    )]
    #[case::a_limit_in_permanent_words(
        |views: &mut [View]| for view in views {
            view.session.starttls = Observed::Seen(reply(554, "5.7.1 Too many connections, slow down"));
            view.session.tls = Observed::NotAttempted("refused".to_owned());
        },
        "STARTTLS is advertised to everyone who looked, and the server asks to come back later for it; ask again later, with fewer"
    )]
    #[case::one_is_throttled(
        |views: &mut [View]| World::throttled(&mut views[1]),
        "STARTTLS works for 192.0.2.1; it could not be seen by 192.0.2.2: the server asks to come back later (ask again later, with"
    )]
    fn the_sentence_says_for_whom_and_where(#[case] change: Change, #[case] expected: &str) {
        let visibility = seen(2, change);
        assert!(visibility.meaning.starts_with(expected), "{}", visibility.meaning);
    }

    /// Two sources with two names each.
    #[rstest]
    #[case::by_name(|_, name| name == 1, "it was the same for each client, so look at what goes by the name given in EHLO")]
    #[case::by_client(|client, _| client == 1, "look at the server's lists of clients and at what stands between")]
    #[case::by_both(|client, name| client == 1 && name == 1, "look at the server's lists of clients, at what goes by the name")]
    fn what_the_states_follow_is_said(#[case] is_off: fn(usize, usize) -> bool, #[case] expected: &str) {
        let visibility = seen(4, |views| {
            for index in 0..4 {
                let (client, name) = (index % 2, index / 2);
                views[index].session.connection = views[client].session.connection.clone();
                views[index].vantage.source = views[client].vantage.source;
                views[index].vantage.ehlo = Some(["a.example.org", "b.example.org"][name].parse().unwrap());
                if is_off(client, name) {
                    World::without_starttls(&mut views[index]);
                }
            }
        });
        assert!(visibility.meaning.contains(expected), "{}", visibility.meaning);
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
