//! Observation: opens connections, records what came, judges nothing.
//!
//! [`observe`] looks at one address from one vantage point. It holds one dialog
//! (greeting, EHLO, STARTTLS, handshake, EHLO, QUIT) and repeats it, within the budget
//! of connections, only when the server gave no answer that it would give again. Where more is asked for,
//! `enumerate` follows with questions of its own, within the same budget.

mod budget;
mod dialog;
pub mod dns;
mod ecdsa;
mod enumerate;
mod failure;
pub mod fetch;
mod handshake;
pub mod policy;
mod possession;
pub mod reach;
pub mod resolve;

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

pub use budget::{Budget, Progress, Watch};

use crate::{
    facts::{Connection, Delivery, Depth, Failure, Injection, Observed, Session, Target, Vantage, View},
    name::Name,
    smtp::{ClientName, Reply},
    wire::WireText,
};
use dialog::Dialog;
use enumerate::Asker;
use handshake::Refused;
#[cfg(any(test, fuzzing))]
pub(crate) use possession::{verify, verify_key_exchange};

/// How long to wait, how much and how often to ask, and who may end it early.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For the TCP connection.
    pub connect: Duration,
    /// For the complete greeting. RFC 5321, 4.5.3.2.1 allows a server five minutes.
    pub greeting: Duration,
    /// For each complete reply after it.
    pub reply: Duration,
    /// For the whole TLS handshake.
    pub handshake: Duration,
    /// Connections per address and source for the session, retries included; at quick depth there are no others.
    pub max_connections: u32,
    /// The pause before the first retry; it doubles with each one.
    pub backoff: Duration,
    /// How much is asked.
    pub depth: Depth,
    /// Whether it is tried what a server may take for an attack.
    pub active: bool,
    /// Connections to one address side by side. One means lock-step.
    pub parallel: usize,
    /// The least time between the beginnings of two connections to one address.
    pub interval: Duration,
    /// Connections per address for everything together.
    pub ceiling: u32,
    /// Shows how far it is, and ends it early.
    pub watch: Watch,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(60),
            reply: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            max_connections: 3,
            backoff: Duration::from_secs(2),
            depth: Depth::Quick,
            active: false,
            parallel: 1,
            interval: Duration::ZERO,
            ceiling: 400,
            watch: Watch::default(),
        }
    }
}

impl Patience {
    /// For the lab, where nothing is slow by accident and no stranger is bothered.
    pub fn lab() -> Self {
        Self {
            connect: Duration::from_secs(5),
            greeting: Duration::from_secs(20),
            reply: Duration::from_secs(20),
            handshake: Duration::from_secs(20),
            backoff: Duration::from_millis(10),
            ..Self::default()
        }
    }

    /// The same, but each answer and each handshake is waited for so long.
    pub fn waiting(self, wait: Duration) -> Self {
        Self { greeting: wait, reply: wait, handshake: wait, ..self }
    }
}

/// Looks at one address of the target from one vantage point.
pub async fn observe(target: &Target, address: SocketAddr, vantage: Vantage, patience: &Patience) -> View {
    observe_within(target, address, vantage, patience, &Budget::new(patience)).await
}

/// The same within a budget that others may take from: whoever asks the same address.
pub async fn observe_within(
    target: &Target,
    address: SocketAddr,
    vantage: Vantage,
    patience: &Patience,
    budget: &Budget,
) -> View {
    let ehlo = vantage.ehlo.as_ref();
    let mut sessions = Vec::new();
    let mut connections = 0;
    let mut refusal = None;
    if patience.max_connections == 0 {
        sessions.push(Session::not_attempted("no connection was left for it at this depth"));
    }
    while connections < patience.max_connections {
        // An alert may have been no answer to the hello that it came behind.
        let has_alert = matches!(sessions.last(), Some(Session { tls: Observed::Failed(Failure::Tls(_)), .. }));
        let listens = if has_alert { patience.backoff / 10 } else { Duration::ZERO };
        match hold_within(target, address, vantage.source, ehlo, patience, budget, listens).await {
            Ok((session, refused)) => {
                connections += 1;
                sessions.push(session);
                refusal = refused;
            }
            Err(failure) => {
                if sessions.is_empty() {
                    let not_allowed = Session::not_attempted("no connection was opened");
                    // What another vantage point met with was not said to this one.
                    let connection = match failure {
                        Failure::Local(_) => Observed::Failed(failure),
                        other => Observed::NotAttempted(format!("nothing more was asked of this address: {other}")),
                    };
                    sessions.push(Session { connection, ..not_allowed });
                }
                break;
            }
        }
        if sessions.last().is_none_or(|last| !is_worth_another(target, last)) {
            break;
        }
    }
    let readiness: Vec<(u32, bool)> =
        (1..).zip(&sessions).filter_map(|(number, session)| Some((number, session.readiness()?))).collect();
    let mut session = take_furthest(&mut sessions);
    let asker = Asker::new(target, address, vantage.source, ehlo, patience, budget, connections);
    let mut offers = match patience.depth {
        Depth::Quick => match refusal {
            Some(refused) if connections < patience.max_connections => {
                let left = patience.max_connections - connections;
                Observed::Seen(enumerate::fallback(&asker, refused, left).await)
            }
            _ => View::no_offers(),
        },
        depth if is_ready_for_tls(target, &session, refusal) => Observed::Seen(enumerate::offers(&asker, depth, &session).await),
        _ => Observed::NotAttempted("the server was never ready for TLS".to_owned()),
    };
    // Who takes a part of the usual hello may have refused the whole of it by accident: once more, where a connection is left.
    let is_explained = offers.seen().is_none_or(|offers| asker.explains_refusal(offers));
    let opened = if patience.depth == Depth::Quick { connections + asker.connections() } else { connections };
    if refusal.is_some_and(|refused| refused.alert.is_some())
        && !is_explained
        && opened < patience.max_connections
        && let Ok((again, _)) = hold_within(target, address, vantage.source, ehlo, patience, budget, Duration::ZERO).await
    {
        connections += 1;
        sessions.extend([session, again]);
        session = take_furthest(&mut sessions);
        if let (Observed::Seen(_), Observed::Seen(offers)) = (&session.tls, &mut offers) {
            enumerate::is_not_alike(offers);
        }
    }
    let opened = AtomicU32::new(connections + asker.connections());
    let one = One { address, source: vantage.source, ehlo, patience, budget, opened, asker: &asker };
    let is_offered = session.ehlo.seen().is_some_and(|ehlo| ehlo.offers("STARTTLS"));
    if target.is_implicit() && matches!(session.tls, Observed::Failed(_)) && refusal.is_none() {
        let asked = async { one.dialog().await?.0.greeting().await };
        let was_greeted = matches!(&session.tls, Observed::Failed(failure) if failure.in_clear().is_some_and(|text| text.as_str().starts_with('2')));
        match one.ask("whether the server speaks in the clear", asked).await {
            Observed::Seen(greeting) => match failure::refusal(&greeting) {
                // Whoever turns clients away before TLS begins may do so in the clear; who greeted one of two is no TLS server.
                Some(_) if was_greeted => {}
                Some(turned_away) => session.tls = Observed::Failed(turned_away),
                None => {
                    session.tls = Observed::Failed(Failure::Unsolicited(WireText::from(greeting.to_string())));
                    session.greeting = Observed::Seen(greeting);
                }
            },
            // Another server than one for mail: it says which by itself.
            Observed::Failed(failure @ Failure::NotSmtp(_)) if !was_greeted => session.tls = Observed::Failed(failure),
            _ => {}
        }
    }
    let mail_in_clear = match patience.depth {
        _ if target.is_implicit() => Observed::NotAttempted(View::IMPLICIT.to_owned()),
        Depth::Quick => View::no_mail(),
        _ if is_offered => {
            let asked = async {
                let (dialog, mut begun) = one.dialog().await?;
                dialog.mail_in_clear(&begun.ehlo, &mut begun.session).await
            };
            one.ask("MAIL without TLS", asked).await
        }
        _ => Observed::NotAttempted("STARTTLS was not offered".to_owned()),
    };
    let (injection, transaction) = match session.tls {
        Observed::Seen(_) if patience.active && target.is_implicit() => {
            let why = View::IMPLICIT.to_owned();
            (Observed::NotAttempted(why.clone()), Observed::NotAttempted(why))
        }
        Observed::Seen(_) if patience.active => {
            let injection = one.injection(&target.name, &sessions, &session).await;
            let kept = async {
                let (dialog, mut begun) = one.dialog().await?;
                dialog.transaction(&target.name, &begun.ehlo, &mut begun.session).await
            };
            (injection, one.ask("a transaction begun before TLS", kept).await)
        }
        Observed::Seen(_) => (View::no_injection(), View::no_transaction()),
        _ => {
            let why = "the usual handshake was not finished".to_owned();
            (Observed::NotAttempted(why.clone()), Observed::NotAttempted(why))
        }
    };
    let connections = one.opened.into_inner();
    let beginnings = asker.beginnings(&readiness);
    View { vantage, address, connections, session, earlier: sessions, beginnings, offers, mail_in_clear, injection, transaction }
}

/// Takes the session that shows most, which speaks for the view; what the others saw is kept as evidence.
fn take_furthest(sessions: &mut Vec<Session>) -> Session {
    let furthest = (0..sessions.len()).max_by_key(|index| (progress(&sessions[*index]), *index)).unwrap_or_default();
    sessions.remove(furthest)
}

/// Holds one dialog, if the budget allows it.
async fn hold_within(
    target: &Target,
    address: SocketAddr,
    source: Option<IpAddr>,
    ehlo: Option<&ClientName>,
    patience: &Patience,
    budget: &Budget,
    listens: Duration,
) -> Result<(Session, Option<Refused>), Failure> {
    patience.watch.asks("the usual handshake");
    let permit = budget.permit().await?;
    let held = tokio::select! {
        held = hold(target, address, source, ehlo, patience, listens) => held,
        () = patience.watch.stopped() => (Session::not_attempted("it was interrupted"), None),
    };
    match worth_a_retry(&held.0) {
        Some(failure) => permit.turned_away(failure),
        None => permit.answered(),
    }
    Ok(held)
}

/// How many more connections what is asked with `--active` may take.
const MORE_IF_ACTIVE: u32 = 4;

/// Where a single question goes that needs a dialog of its own.
struct One<'a> {
    address: SocketAddr,
    source: Option<IpAddr>,
    ehlo: Option<&'a ClientName>,
    patience: &'a Patience,
    budget: &'a Budget,
    /// Connections opened for this view so far.
    opened: AtomicU32,
    /// Knows how connections began.
    asker: &'a Asker<'a>,
}

impl<'a> One<'a> {
    /// Asks once, if the depth and the budget allow it.
    async fn ask<T>(&self, what: &str, question: impl Future<Output = Result<T, Failure>>) -> Observed<T> {
        let more = if self.patience.active { MORE_IF_ACTIVE } else { 0 };
        if self.patience.depth == Depth::Quick && self.opened.load(Ordering::SeqCst) >= self.patience.max_connections + more {
            // It was asked for: that it was not done is no "does not apply".
            let why = format!("no connection was left for it at --probe {}", Depth::Quick.name());
            return Observed::Failed(Failure::Local(why));
        }
        self.patience.watch.asks(what);
        let permit = match self.budget.permit().await {
            Ok(permit) => permit,
            Err(failure) => return Observed::Failed(failure),
        };
        self.opened.fetch_add(1, Ordering::SeqCst);
        let asked = tokio::select! {
            asked = question => asked,
            () = self.patience.watch.stopped() => Err(budget::interrupted()),
        };
        match asked {
            Ok(seen) => {
                permit.answered();
                Observed::Seen(seen)
            }
            Err(failure) => {
                permit.turned_away(&failure);
                Observed::Failed(failure)
            }
        }
    }

    /// What becomes of a command that comes with STARTTLS; `earlier` and `session` are what was seen where none came with it.
    async fn injection(&self, name: &Name, earlier: &[Session], session: &Session) -> Observed<Injection> {
        let inject = |commands: usize| {
            self.ask("a command that comes with STARTTLS", async move {
                let (dialog, mut begun) = self.dialog().await?;
                dialog.inject(name, &begun.ehlo, commands, &mut begun.session).await
            })
        };
        let ask = || inject(1);
        match ask().await {
            Observed::Seen(Some(Injection::AnsweredInClear(answer))) => {
                let is_clear =
                    |session: &Session| matches!(&session.tls, Observed::Failed(failure) if failure.in_clear().is_some());
                let beginnings = self.asker.beginnings(&[]);
                let others = beginnings.others.iter().map(|beginning| &beginning.session);
                let is_unasked = earlier.iter().chain([session]).chain(others).any(is_clear);
                let lines = |answer: &WireText| answer.as_str().matches("\\x0a").count();
                let unclear = Observed::Failed(Failure::Unsolicited(answer.clone()));
                if is_unasked {
                    return unclear;
                }
                // Two commands are answered twice, and what comes anyway comes once.
                match inject(2).await {
                    Observed::Seen(Some(Injection::AnsweredInClear(twice))) if lines(&twice) > lines(&answer) => {
                        Observed::Seen(Injection::AnsweredInClear(answer))
                    }
                    Observed::Seen(Some(Injection::AnsweredInClear(_))) => {
                        let alone = async {
                            let (dialog, mut begun) = self.dialog().await?;
                            dialog.alone(&begun.ehlo, &mut begun.session).await
                        };
                        match self.ask("STARTTLS alone", alone).await {
                            Observed::Seen(()) => Observed::Seen(Injection::AnsweredInClear(answer)),
                            _ => unclear,
                        }
                    }
                    _ => unclear,
                }
            }
            Observed::Seen(Some(injection)) => Observed::Seen(injection),
            // Once may be an accident; who hangs up each time does so because of the command.
            Observed::Seen(None) => match ask().await {
                Observed::Seen(again) => Observed::Seen(again.unwrap_or(Injection::BrokeOff)),
                _ => Observed::Failed(Failure::Closed),
            },
            Observed::Failed(failure) => Observed::Failed(failure),
            Observed::NotAttempted(why) => Observed::NotAttempted(why),
        }
    }

    /// A new connection, and what is to be known of its begin.
    async fn dialog(&self) -> Result<(Dialog<'a, TcpStream>, Begun<'a>), Failure> {
        let patience = self.patience;
        let stream = match timeout(patience.connect, connect(self.address, self.source)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(connect_failure(&error, patience.connect)),
            Err(_) => return Err(timed_out(patience.connect)),
        };
        let source = stream.local_addr().map_err(|error| Failure::Local(error.to_string()))?;
        let ehlo = self.ehlo.map_or_else(|| ClientName::Literal(source.ip()).to_string(), ToString::to_string);
        let session = Session::not_attempted("the dialog did not get that far");
        let number = self.opened.load(Ordering::SeqCst);
        Ok((Dialog::new(stream, patience, false), Begun { ehlo, session, number, asker: self.asker }))
    }
}

/// How a connection began; counted at its end, whatever that is.
struct Begun<'a> {
    /// The name to give in EHLO.
    ehlo: String,
    session: Session,
    number: u32,
    asker: &'a Asker<'a>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let session = std::mem::replace(&mut self.session, Session::not_attempted("counted"));
        self.asker.began(self.number, session);
    }
}

/// Whether more can be asked about TLS.
fn is_ready_for_tls(target: &Target, session: &Session, refusal: Option<Refused>) -> bool {
    match target.is_implicit() {
        true => refusal.is_some() || session.tls.seen().is_some(),
        false => session.starttls.seen().is_some_and(Reply::is_positive),
    }
}

/// Whether another connection may show more than this one did.
fn is_worth_another(target: &Target, last: &Session) -> bool {
    let is_offered = match last.helo.seen() {
        Some(reply) if reply.is_positive() => false,
        _ => last.ehlo.seen().is_none_or(|ehlo| ehlo.offers("STARTTLS")),
    };
    let is_refused = last
        .starttls
        .seen()
        .is_some_and(|reply| !reply.is_positive() && !reply.asks_to_come_back() && !reply.turns_the_client_away());
    // Servers may take turns behind one address: what one of them does not offer, or refuses, is not said of the address
    // while another look is left.
    let is_doubtful = !target.is_implicit() && (!is_offered || is_refused);
    worth_a_retry(last).is_some() || is_doubtful
}

/// How much of the server a session shows: certificates are worth more than an offer, an offer more
/// than the absence of one.
fn progress(session: &Session) -> usize {
    let offers = session.ehlo.seen().is_some_and(|ehlo| ehlo.offers("STARTTLS"));
    let stages = [
        session.connection.seen().is_some(),
        session.greeting.seen().is_some(),
        session.ehlo.seen().is_some(),
        offers,
        session.starttls.seen().is_some(),
        session.certificates.seen().is_some(),
        session.tls.seen().is_some(),
    ];
    stages.iter().rposition(|reached| *reached).map_or(0, |last| last + 1)
}

/// What the session broke off with, where another try may get further.
fn worth_a_retry(session: &Session) -> Option<&Failure> {
    fn failure<T>(observed: &Observed<T>) -> Option<&Failure> {
        match observed {
            Observed::Failed(failure) if failure.is_worth_a_retry() => Some(failure),
            _ => None,
        }
    }
    failure(&session.connection)
        .or_else(|| failure(&session.greeting))
        .or_else(|| failure(&session.ehlo))
        .or_else(|| failure(&session.starttls))
        .or_else(|| failure(&session.tls))
}

async fn hold(
    target: &Target,
    address: SocketAddr,
    source: Option<IpAddr>,
    ehlo: Option<&ClientName>,
    patience: &Patience,
    listens: Duration,
) -> (Session, Option<Refused>) {
    let mut session = Session::not_attempted("the dialog did not get that far");
    let stream = match timeout(patience.connect, connect(address, source)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            session.connection = Observed::Failed(connect_failure(&error, patience.connect));
            return (session, None);
        }
        Err(_) => {
            session.connection = Observed::Failed(timed_out(patience.connect));
            return (session, None);
        }
    };
    let source = match stream.local_addr() {
        Ok(source) => source,
        Err(error) => {
            session.connection = Observed::Failed(Failure::Local(error.to_string()));
            return (session, None);
        }
    };
    session.connection = Observed::Seen(Connection { source });
    let ehlo = ehlo.map_or_else(|| ClientName::Literal(source.ip()).to_string(), ToString::to_string);
    let refusal =
        Dialog::new(stream, patience, target.is_implicit()).listening(listens).hold(&target.name, &ehlo, &mut session).await;
    (session, refusal)
}

/// A test message.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The sender; empty for none, as bounces have.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// The message, header and body.
    pub text: String,
}

/// Delivers one message, in one connection; `goes_on` is asked before the message, by what was seen of TLS by then.
pub async fn deliver(
    target: &Target,
    address: SocketAddr,
    vantage: &Vantage,
    patience: &Patience,
    letter: &Letter,
    with_tls: bool,
    goes_on: &mut (dyn FnMut(&Session) -> bool + Send),
) -> Delivery {
    let stream = match timeout(patience.connect, connect(address, vantage.source)).await {
        Ok(Ok(stream)) => stream,
        failed => {
            let failure = match failed {
                Ok(Err(error)) => connect_failure(&error, patience.connect),
                _ => timed_out(patience.connect),
            };
            let mut delivery = Delivery::begun();
            delivery.session.connection = Observed::Failed(failure);
            return delivery;
        }
    };
    let mut delivery = Delivery::begun();
    let source = match stream.local_addr() {
        Ok(source) => source,
        Err(error) => {
            delivery.session.connection = Observed::Failed(Failure::Local(error.to_string()));
            return delivery;
        }
    };
    delivery.session.connection = Observed::Seen(Connection { source });
    let ehlo = vantage.ehlo.clone().unwrap_or(ClientName::Literal(source.ip())).to_string();
    let dialog = Dialog::new(stream, patience, false);
    dialog.deliver(delivery, &target.name, &ehlo, letter, with_tls, goes_on).await
}

async fn connect(address: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        // A source that cannot be bound is this machine's fault, whatever the system calls it.
        socket
            .bind(SocketAddr::new(source, 0))
            .map_err(|error| std::io::Error::other(format!("cannot use the source address {source}: {error}")))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_failure(error: &std::io::Error, patience: Duration) -> Failure {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    match error.kind() {
        ConnectionRefused => Failure::Refused,
        ConnectionReset => Failure::Reset,
        HostUnreachable => Failure::Unreachable,
        // The kernel's own verdict, before any packet left: no route, IPv6 switched off.
        NetworkUnreachable => Failure::Local("no route to this address from here".to_owned()),
        TimedOut => timed_out(patience),
        _ => Failure::Local(error.to_string()),
    }
}

fn timed_out(after: Duration) -> Failure {
    Failure::TimedOut { millis: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) }
}
