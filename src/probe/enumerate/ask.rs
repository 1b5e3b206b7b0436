//! One question, one connection: asked until it is answered or patience ends, and every answer remembered.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::timeout};

use super::{middle::Middle, shape::Bearing};
use crate::{
    facts::{Beginnings, Failure, Question, Refusal, Session, Sni, Switch, Target, Turns},
    hello::{ClientHello, Flight},
    probe::{
        Patience,
        budget::{Budget, interrupted},
        connect, connect_failure,
        dialog::{Dialog, Exchange},
        handshake::{Handshake, Wanted},
        timed_out,
    },
    smtp::ClientName,
    tls::{Alert, Version},
};

/// How often a question is asked to which nothing usable comes back.
const TRIES: usize = 3;
/// How often a refusal without words must be there again, with a hello beside it each time that is answered.
const ROUNDS: u32 = 2;
/// How often where nothing comes back at all: each try takes as long as patience lasts.
const SILENT_TRIES: usize = 2;

/// Asks one address, and remembers what it said.
pub(in crate::probe) struct Asker<'a> {
    pub target: &'a Target,
    pub address: SocketAddr,
    pub source: Option<IpAddr>,
    pub ehlo: Option<&'a ClientName>,
    pub patience: &'a Patience,
    pub budget: &'a Budget,
    heard: Mutex<Vec<Heard>>,
    bearing: Mutex<Bearing>,
    connections: AtomicU32,
    /// How many connections of the view were opened before.
    before: u32,
    /// How they began.
    beginnings: Mutex<Beginnings>,
    /// Whether the server was ready for TLS, for each connection that showed it, by its number in the view.
    readiness: Mutex<Vec<(u32, bool)>>,
    /// The refusals without words that were found out to be some, each once.
    wordless: Mutex<Vec<Refusal>>,
    /// The offers that were refused, each as it was asked.
    refused: Mutex<Vec<ClientHello>>,
    /// Whether a hello was lost once and answered the next time.
    has_lost: AtomicBool,
    /// How many were.
    regained: AtomicU32,
    /// Whether the next hello waits, to see whether the server speaks before it.
    listens: AtomicBool,
    /// What became of hellos of 256 to 511 bytes.
    pub(super) middle: Middle,
}

/// An answer in TLS, and what it answered.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub asked: ClientHello,
    pub sni: Sni,
    pub flight: Flight,
    /// Which of all connections it was, from 0 on.
    pub number: u32,
}

impl Heard {
    /// Whether an offer to the target's own name was taken.
    pub fn is_taken(&self) -> bool {
        self.sni == Sni::Target && self.flight.alert.is_none() && self.is_in_version()
    }

    /// Whether anything was chosen of it, in whatever version.
    pub fn has_chosen(&self) -> bool {
        self.flight.hello.is_some() && self.flight.alert.is_none()
    }

    /// Whether an offer was refused: with an alert that says so, or with an older version.
    pub fn is_refused(&self) -> bool {
        let asked = asked_version(&self.asked);
        let is_older = self.flight.hello.as_ref().is_some_and(|hello| hello.version < asked);
        self.flight.alert.map_or(is_older, |alert| is_refusal(alert, asked))
    }

    /// Whether an older version was chosen, or the version alone refused.
    pub fn is_refused_for_version(&self) -> bool {
        self.is_refused() && self.flight.alert.is_none_or(|alert| alert == Alert::PROTOCOL_VERSION)
    }

    /// Whether it goes on in the version that was asked for.
    pub fn is_in_version(&self) -> bool {
        self.flight.hello.as_ref().is_some_and(|hello| hello.version == asked_version(&self.asked))
    }
}

/// What a server said to an offer.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// It went on with the handshake in the version asked for.
    Took(Box<Flight>),
    /// It would not; with the flight in which it chose another version, where it did.
    Refused(Refusal, Option<Box<Flight>>),
}

/// What one question has cost so far.
pub(super) struct Tally {
    what: String,
    start: Instant,
    answered: u32,
    unanswered: u32,
    bytes: u64,
}

impl Tally {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), start: Instant::now(), answered: 0, unanswered: 0, bytes: 0 }
    }

    /// For a part of the question that is asked beside the rest of it.
    pub fn beside(&self) -> Self {
        Self::new(self.what.clone())
    }

    /// Counts what was asked on the way to the same answer.
    pub fn absorb(&mut self, other: Self) {
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.bytes += other.bytes;
    }

    /// None where nothing was asked after all.
    pub fn into_question(self) -> Option<Question> {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Self { what, answered, unanswered, bytes, .. } = self;
        (answered + unanswered > 0).then_some(Question { what, answered, unanswered, bytes, millis })
    }
}

impl<'a> Asker<'a> {
    pub fn new(
        target: &'a Target,
        address: SocketAddr,
        source: Option<IpAddr>,
        ehlo: Option<&'a ClientName>,
        patience: &'a Patience,
        budget: &'a Budget,
        before: u32,
    ) -> Self {
        Self {
            target,
            address,
            source,
            ehlo,
            patience,
            budget,
            heard: Mutex::default(),
            bearing: Mutex::default(),
            connections: AtomicU32::new(0),
            before,
            beginnings: Mutex::default(),
            readiness: Mutex::default(),
            wordless: Mutex::default(),
            refused: Mutex::default(),
            has_lost: AtomicBool::new(false),
            regained: AtomicU32::new(0),
            listens: AtomicBool::new(false),
            middle: Middle::default(),
        }
    }

    /// Waits with the next hello: an alert was heard, and it may not have been the answer to one.
    pub(super) fn listen(&self) {
        self.listens.store(true, Ordering::Relaxed);
    }

    /// How many connections were opened.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How one more connection of the view began, by its number from 1 on.
    pub(in crate::probe) fn began(&self, number: u32, session: Session) {
        lock(&self.readiness).extend(session.readiness().map(|is_ready| (number, is_ready)));
        lock(&self.beginnings).add(number, session);
    }

    /// How all of them began; `earlier` is what the sessions before them showed of the server's readiness.
    pub(in crate::probe) fn beginnings(&self, earlier: &[(u32, bool)]) -> Beginnings {
        let mut order = [earlier, &lock(&self.readiness)].concat();
        order.sort_unstable();
        Beginnings { switch: Switch::of(&order), ..lock(&self.beginnings).clone() }
    }

    /// How many hellos were answered, and how many of them were lost before.
    pub(super) fn hellos(&self) -> Turns {
        let answered = u32::try_from(lock(&self.heard).len()).unwrap_or(u32::MAX);
        Turns { yes: answered, no: self.regained.load(Ordering::Relaxed) }
    }

    /// What was heard so far, in the order heard.
    pub(super) fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }

    /// The offers that were refused, with an alert or without words.
    pub(super) fn refused(&self) -> Vec<ClientHello> {
        lock(&self.refused).clone()
    }

    /// Forgets refusals that were not about what was offered.
    pub(super) fn forget(&self, is_meant: impl Fn(&ClientHello) -> bool) {
        lock(&self.heard).retain(|heard| heard.has_chosen() || !is_meant(&heard.asked));
        lock(&self.refused).retain(|hello| !is_meant(hello));
    }

    /// How refusals without words were worded, where hellos were lost by chance as well.
    pub(super) fn in_two_minds(&self) -> Option<Refusal> {
        lock(&self.wordless).first().copied().filter(|_| self.has_lost.load(Ordering::Relaxed))
    }

    /// What the server is known to bear in a hello.
    pub(super) fn bearing(&self) -> Bearing {
        *lock(&self.bearing)
    }

    pub(super) fn learn(&self, change: impl FnOnce(&mut Bearing)) {
        change(&mut lock(&self.bearing));
    }

    /// Asks with just that hello until there is an answer, or patience ends: then the last failure.
    pub(super) async fn ask_as_it_is(&self, hello: &ClientHello, sni: Sni, tally: &mut Tally) -> Result<Said, Failure> {
        let mut failures: Vec<Failure> = Vec::new();
        loop {
            match self.ask_once(hello, sni, tally).await {
                Ok(Said::Refused(Refusal::Alert(Alert::UNRECOGNIZED_NAME), _))
                    if sni == Sni::Target && hello.server_name.is_some() =>
                {
                    return self.ask_without_name(hello, tally).await;
                }
                Ok(said) => {
                    self.has_lost.fetch_or(!failures.is_empty(), Ordering::Relaxed);
                    // What was said in the clear is counted by how the connection began.
                    let lost = failures.iter().filter(|failure| failure.in_clear().is_none()).count();
                    self.regained.fetch_add(u32::try_from(lost).unwrap_or(u32::MAX), Ordering::Relaxed);
                    if matches!(said, Said::Refused(Refusal::Alert(_), _)) {
                        lock(&self.refused).push(hello.clone());
                    }
                    return Ok(said);
                }
                Err(Lost { began_tls: true, failure }) => {
                    let refusal = without_words(&failure);
                    let is_the_same = failures.iter().all(|before| without_words(before) == refusal);
                    let enough = match (&failure, refusal) {
                        (Failure::TimedOut { .. }, _) => SILENT_TRIES,
                        // Twice in a row, for servers that take turns.
                        (_, Some(refusal)) if lock(&self.wordless).contains(&refusal) => 2,
                        _ => TRIES,
                    };
                    failures.push(failure.clone());
                    if failures.len() < enough {
                        continue;
                    }
                    return match refusal.filter(|_| is_the_same) {
                        Some(refusal) => self.settle(hello, sni, refusal, tally).await.ok_or(failure),
                        None => Err(failure),
                    };
                }
                // Who is turned away comes again, until the budget says that it is enough.
                Err(Lost { began_tls: false, failure }) => {
                    if let Some(last) = self.last_word(&failure) {
                        return Err(last);
                    }
                }
            }
        }
    }

    /// A refused name says nothing of what was offered with it. Where it is refused twice and the same hello is taken
    /// without, no hello to come has it.
    async fn ask_without_name(&self, hello: &ClientHello, tally: &mut Tally) -> Result<Said, Failure> {
        let again = self.ask_once(hello, Sni::Target, tally).await.map_err(|lost| lost.failure)?;
        if !matches!(again, Said::Refused(Refusal::Alert(Alert::UNRECOGNIZED_NAME), _)) {
            return Ok(again);
        }
        let nameless = ClientHello { server_name: None, ..hello.clone() };
        let said = self.ask_once(&nameless, Sni::Target, tally).await.map_err(|lost| lost.failure)?;
        if matches!(said, Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _)) {
            self.learn(|bearing| bearing.name_refusal = Some(Refusal::Alert(Alert::UNRECOGNIZED_NAME)));
        }
        Ok(said)
    }

    /// Whether a hello that nothing usable came back to is refused in that way: it is there again each time, and a hello
    /// that was taken before is taken again in between. None where that is not so, or connections get lost on this way.
    async fn settle(&self, hello: &ClientHello, sni: Sni, refusal: Refusal, tally: &mut Tally) -> Option<Said> {
        let other = self.heard().into_iter().find(Heard::is_taken)?;
        let rounds = if lock(&self.wordless).contains(&refusal) { 1 } else { ROUNDS };
        for _ in 0..rounds {
            if self.has_lost.load(Ordering::Relaxed) {
                return None;
            }
            let beside = self.ask_once(&other.asked, other.sni, tally).await;
            if !matches!(beside, Ok(Said::Took(_))) {
                self.has_lost.store(true, Ordering::Relaxed);
                return None;
            }
            match self.ask_once(hello, sni, tally).await {
                Err(Lost { began_tls: true, failure }) if without_words(&failure) == Some(refusal) => {}
                said => {
                    self.has_lost.store(true, Ordering::Relaxed);
                    return said.ok();
                }
            }
        }
        let mut wordless = lock(&self.wordless);
        if !wordless.contains(&refusal) {
            wordless.push(refusal);
        }
        lock(&self.refused).push(hello.clone());
        Some(Said::Refused(refusal, None))
    }

    /// Asks once. What is no answer is an error, whatever came instead.
    pub(super) async fn ask_once(&self, hello: &ClientHello, sni: Sni, tally: &mut Tally) -> Result<Said, Lost> {
        self.patience.watch.asks(&tally.what);
        let permit = self.budget.permit().await.map_err(Lost::for_good)?;
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        // A tenth of the first pause: as long as anybody waits that was dropped.
        let is_listening = self.listens.swap(false, Ordering::Relaxed);
        let listens = if is_listening { self.patience.backoff / 10 } else { Duration::ZERO };
        let exchange = async {
            let (stream, ehlo) = match self.connect().await {
                Ok(connected) => connected,
                Err(failure) => {
                    return Exchange::none(failure);
                }
            };
            Dialog::new(stream, self.patience, self.target.is_implicit())
                .listening(listens)
                .exchange(&ehlo, &hello.to_bytes(), asked_version(hello))
                .await
        };
        let Exchange { flight, began_tls, bytes, session } = tokio::select! {
            exchange = exchange => exchange,
            () = self.patience.watch.stopped() => Exchange::none(interrupted()),
        };
        tally.bytes += bytes;
        self.began(self.before + number + 1, session);
        let said = flight.and_then(|flight| {
            if let Some(what) = hello.unoffered(&flight) {
                return Err(Failure::Tls(format!("the server chose {what}, which was not offered")));
            }
            let said = interpret(&flight, asked_version(hello));
            lock(&self.heard).push(Heard { asked: hello.clone(), sni, flight, number });
            said
        });
        match &said {
            Ok(_) => {
                tally.answered += 1;
                permit.answered();
            }
            Err(failure) => {
                tally.unanswered += 1;
                if failure.is_unasked_alert() {
                    self.listen();
                }
                if began_tls { permit.lost(failure) } else { permit.turned_away(failure) }
            }
        }
        said.map_err(|failure| Lost { began_tls, failure })
    }

    /// Does a whole handshake, for what TLS 1.3 says in cipher only.
    pub(super) async fn shake(&self, wanted: &Wanted, tally: &mut Tally) -> Result<Handshake, Failure> {
        let mut tries = 0;
        loop {
            self.patience.watch.asks(&tally.what);
            let permit = self.budget.permit().await?;
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            let shaken = async {
                let (stream, ehlo) = self.connect().await?;
                let mut session = Session::not_attempted("the dialog did not get that far");
                let shaken =
                    Dialog::new(stream, self.patience, self.target.is_implicit()).shake(&ehlo, wanted, &mut session).await;
                self.began(self.before + number + 1, session);
                shaken
            };
            let shaken = tokio::select! {
                shaken = shaken => shaken,
                () = self.patience.watch.stopped() => Err(interrupted()),
            };
            match shaken {
                Ok(handshake) => {
                    let Err(failure) = &handshake.outcome else {
                        tally.answered += 1;
                        permit.answered();
                        return Ok(handshake);
                    };
                    if handshake.refusal.is_some() || handshake.certificates.is_some() {
                        tally.answered += 1;
                        permit.answered();
                        return Ok(handshake);
                    }
                    let failure = failure.clone();
                    tally.unanswered += 1;
                    permit.lost(&failure);
                    tries += 1;
                    if tries >= TRIES {
                        return Err(failure);
                    }
                }
                Err(failure) => {
                    tally.unanswered += 1;
                    permit.turned_away(&failure);
                    if let Some(last) = self.last_word(&failure) {
                        return Err(last);
                    }
                }
            }
        }
    }

    /// Whether nothing more may be asked: it was interrupted, or the budget is spent.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.patience.watch.is_stopped() || self.budget.closed().is_some()
    }

    /// The failure after which it is of no use to come again.
    fn last_word(&self, failure: &Failure) -> Option<Failure> {
        let is_final = self.patience.watch.is_stopped() || matches!(failure, Failure::Local(_));
        is_final.then(|| failure.clone()).or_else(|| self.budget.closed())
    }

    async fn connect(&self) -> Result<(TcpStream, String), Failure> {
        let stream = match timeout(self.patience.connect, connect(self.address, self.source)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(connect_failure(&error, self.patience.connect)),
            Err(_) => return Err(timed_out(self.patience.connect)),
        };
        let source = stream.local_addr().map_err(|error| Failure::Local(error.to_string()))?;
        let ehlo = self.ehlo.map_or_else(|| ClientName::Literal(source.ip()).to_string(), ToString::to_string);
        Ok((stream, ehlo))
    }
}

/// A question without an answer.
pub(super) struct Lost {
    /// Whether the server was ready for TLS.
    pub began_tls: bool,
    pub failure: Failure,
}

impl Lost {
    fn for_good(failure: Failure) -> Self {
        Self { began_tls: false, failure }
    }
}

/// What a loss would mean if it were no accident: Schannel closes the connection where others send an alert, Courier says
/// close_notify first, OpenSSL finds an internal error where a version has no hash that it may sign with, and Java calls a
/// hello unexpected that has no group for it.
pub(super) fn without_words(failure: &Failure) -> Option<Refusal> {
    const NO_WORDS: [Alert; 4] = [Alert::CLOSE_NOTIFY, Alert::UNEXPECTED_MESSAGE, Alert::DECODE_ERROR, Alert::INTERNAL_ERROR];
    match failure {
        Failure::Closed | Failure::Reset => Some(Refusal::Closed),
        failure => NO_WORDS.into_iter().find(|alert| *failure == Failure::alert(*alert)).map(Refusal::Alert),
    }
}

/// The version that a hello asks for.
pub(super) fn asked_version(hello: &ClientHello) -> Version {
    hello.versions.iter().copied().max().unwrap_or(hello.version)
}

/// Whether a flight is an answer to an offer of that version, and which.
fn interpret(flight: &Flight, asked: Version) -> Result<Said, Failure> {
    if let Some(alert) = flight.alert {
        if is_refusal(alert, asked) {
            return Ok(Said::Refused(Refusal::Alert(alert), None));
        }
        return Err(Failure::alert(alert));
    }
    let chosen = match (&flight.hello, &flight.ssl2) {
        (Some(hello), _) => hello.version,
        (None, Some(_)) => Version::Ssl2,
        (None, None) => return Err(Failure::Closed),
    };
    if chosen == asked {
        return Ok(Said::Took(Box::new(flight.clone())));
    }
    if chosen > asked {
        return Err(Failure::Tls(format!("the server answered {asked} with {chosen}")));
    }
    Ok(Said::Refused(Refusal::OtherVersion(chosen), Some(Box::new(flight.clone()))))
}

/// Whether an alert says no to what was offered. One that speaks of the server's own trouble, or of bytes that it
/// could not read, says nothing about the offer.
fn is_refusal(alert: Alert, asked: Version) -> bool {
    // handshake_failure, illegal_parameter, protocol_version, insufficient_security, inappropriate_fallback,
    // missing_extension, unsupported_extension, unrecognized_name, no_application_protocol (RFC 8446, 6.2).
    const REFUSALS: [u8; 9] = [40, 47, 70, 71, 86, 109, 110, 112, 120];
    // Whoever speaks SSL 2.0 answers it with a record of SSL 2.0: any alert of another protocol is a no, except the
    // end of the connection and the server's own trouble.
    REFUSALS.contains(&alert.0) || (asked == Version::Ssl2 && !matches!(alert.0, 0 | 80 | 90))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Failure::Reset, Some(Refusal::Closed))]
    #[case(Failure::alert(Alert(10)), Some(Refusal::Alert(Alert(10))))]
    #[case(Failure::alert(Alert(0)), Some(Refusal::Alert(Alert(0))))]
    #[case(Failure::alert(Alert(51)), None)]
    #[case(Failure::TimedOut { millis: 1 }, None)]
    fn some_losses_may_be_refusals(#[case] failure: Failure, #[case] expected: Option<Refusal>) {
        assert_eq!(without_words(&failure), expected);
    }

    #[rstest]
    #[case(40, Version::Tls12, true)]
    #[case(70, Version::Tls13, true)]
    #[case(0, Version::Tls12, false)]
    #[case(80, Version::Tls12, false)]
    #[case(50, Version::Tls12, false)]
    #[case(50, Version::Ssl2, true)]
    #[case(80, Version::Ssl2, false)]
    fn only_some_alerts_are_answers(#[case] alert: u8, #[case] asked: Version, #[case] is_answer: bool) {
        let flight = Flight { alert: Some(Alert(alert)), ..Flight::default() };
        assert_eq!(interpret(&flight, asked).is_ok(), is_answer);
    }
}
