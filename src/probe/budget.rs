//! How many connections one address gets, how fast, and when it is left alone.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep_until},
};

use super::Patience;
use crate::facts::Failure;

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Turned away so often in a row, one leaves. With the default pauses that is three minutes, and so
/// longer than the minute over which servers count.
const TURNED_AWAY: u32 = 8;
/// So often in a row it spoke out of turn or no SMTP, and one leaves: waiting makes that no better.
const NONSENSE: u32 = 3;
/// So many hellos in a row that nothing came back to, and one leaves.
const SILENCES: u32 = 12;
/// So many hellos in a row that nothing usable came back to, and one leaves.
const LOSSES: u32 = 24;

/// The connections of one address: shared by everything that wants to ask it something.
#[derive(Debug)]
pub struct Budget {
    slots: Semaphore,
    interval: Duration,
    ceiling: u32,
    backoff: Duration,
    watch: Watch,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    opened: u32,
    /// No connection before this moment.
    next: Instant,
    /// Times in a row that no TLS could be spoken.
    turned_away: u32,
    /// Hellos in a row that were left without a word.
    silences: u32,
    /// Times in a row that anything was lost, for the length of the pause.
    losses: u32,
    /// Why nothing more is asked.
    closed: Option<Failure>,
    /// The source that asks.
    source: Option<Option<IpAddr>>,
}

impl Budget {
    /// The budget of one address.
    pub fn new(patience: &Patience) -> Self {
        let state = State { opened: 0, next: Instant::now(), turned_away: 0, silences: 0, losses: 0, closed: None, source: None };
        Self {
            slots: Semaphore::new(patience.parallel.max(1)),
            interval: patience.interval,
            ceiling: patience.ceiling,
            backoff: patience.backoff,
            watch: patience.watch.clone(),
            state: Mutex::new(state),
        }
    }

    /// Waits until one more connection may be opened; `Err` when none may be any more.
    pub(super) async fn permit(&self) -> Result<Permit<'_>, Failure> {
        let slot = self.slots.acquire().await.map_err(|_| Failure::Local("nothing more is asked".to_owned()))?;
        loop {
            let until = {
                let mut state = self.state();
                if let Some(failure) = &state.closed {
                    return Err(failure.clone());
                }
                if self.watch.is_stopped() {
                    return Err(interrupted());
                }
                if state.opened >= self.ceiling {
                    return Err(Failure::Local(format!("{} connections were opened, and no more may be", state.opened)));
                }
                let now = Instant::now();
                if state.next <= now {
                    state.next = now + self.interval;
                    state.opened += 1;
                    self.watch.opened();
                    return Ok(Permit { budget: self, _slot: slot });
                }
                state.next
            };
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.watch.stopped() => return Err(interrupted()),
            }
        }
    }

    /// Another vantage point is about to ask: its pauses begin anew, since it was turned away by nobody yet. What another
    /// source met with says nothing of this one; the connections are counted for all of them together.
    pub(crate) fn turns_to_another(&self, source: Option<IpAddr>) {
        let mut state = self.state();
        state.losses = 0;
        if state.source != Some(source) {
            (state.turned_away, state.silences, state.closed) = (0, 0, None);
        }
        state.source = Some(source);
    }

    /// Why nothing more is asked, where that is so.
    pub(super) fn closed(&self) -> Option<Failure> {
        self.state().closed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection that may be open. It says at its end how it went.
pub(super) struct Permit<'a> {
    budget: &'a Budget,
    _slot: SemaphorePermit<'a>,
}

impl Permit<'_> {
    /// The server answered.
    pub fn answered(self) {
        let mut state = self.budget.state();
        (state.turned_away, state.silences, state.losses) = (0, 0, 0);
    }

    /// TLS began, and then nothing usable came.
    pub fn lost(self, failure: &Failure) {
        let mut state = self.budget.state();
        state.turned_away = 0;
        if matches!(failure, Failure::TimedOut { .. }) {
            state.silences += 1;
        }
        // A dropped connection is no request to stay away: a tenth of the pause is enough, and the whole one the most.
        self.pause(&mut state, self.budget.backoff / 10, self.budget.backoff, failure);
    }

    /// The server did not even let TLS begin: 421, a refused connection, a lost one.
    pub fn turned_away(self, failure: &Failure) {
        let mut state = self.budget.state();
        state.turned_away += 1;
        if matches!(failure, Failure::Unsolicited(_) | Failure::NotSmtp(_)) && state.turned_away >= NONSENSE {
            state.closed = Some(failure.clone());
        }
        self.pause(&mut state, self.budget.backoff, MAX_PAUSE, failure);
    }

    fn pause(&self, state: &mut State, shortest: Duration, longest: Duration, failure: &Failure) {
        let pause = shortest.saturating_mul(1 << state.losses.min(10)).min(longest);
        state.losses += 1;
        if state.turned_away >= TURNED_AWAY || state.silences >= SILENCES || state.losses >= LOSSES {
            state.closed = Some(failure.clone());
        }
        state.next = state.next.max(Instant::now() + pause);
    }
}

/// Lets whoever waits for an observation see how far it is, and end it early: what is known by then is kept.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    stop: watch::Sender<bool>,
    progress: Mutex<Progress>,
}

/// How far an observation is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Connections opened so far.
    pub connections: u32,
    /// The question that was asked last; empty before the first.
    pub question: String,
}

impl Watch {
    /// Asks nothing more. Connections that are open are dropped.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Whether [`Self::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        *self.0.stop.borrow()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Returns when [`Self::stop`] is called.
    pub(super) async fn stopped(&self) {
        let mut stop = self.0.stop.subscribe();
        // The sender lives as long as `self`.
        let _ = stop.wait_for(|is_stopped| *is_stopped).await;
    }

    pub(super) fn asks(&self, question: &str) {
        question.clone_into(&mut self.lock().question);
    }

    fn opened(&self) {
        self.lock().connections += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn interrupted() -> Failure {
    Failure::Local("it was interrupted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience { backoff: Duration::from_millis(1), ..Patience::default() }
    }

    #[tokio::test]
    async fn the_ceiling_is_kept() {
        let budget = Budget::new(&Patience { ceiling: 2, ..patience() });
        for _ in 0..2 {
            budget.permit().await.unwrap().answered();
        }
        let failure = budget.permit().await.err().unwrap();
        assert_eq!(failure.to_string(), "this machine could not try: 2 connections were opened, and no more may be");
    }

    #[tokio::test]
    async fn who_is_always_turned_away_leaves() {
        let budget = Budget::new(&patience());
        for _ in 0..TURNED_AWAY {
            budget.permit().await.unwrap().turned_away(&Failure::Refused);
        }
        assert_eq!(budget.permit().await.err(), Some(Failure::Refused));
    }

    #[tokio::test]
    async fn so_does_who_never_gets_a_usable_answer() {
        let budget = Budget::new(&patience());
        for _ in 0..LOSSES {
            budget.permit().await.unwrap().lost(&Failure::Closed);
        }
        assert_eq!(budget.permit().await.err(), Some(Failure::Closed));
    }

    #[tokio::test]
    async fn an_answer_between_makes_patient_again() {
        let budget = Budget::new(&patience());
        for _ in 0..5 {
            for _ in 0..3 {
                budget.permit().await.unwrap().turned_away(&Failure::Refused);
            }
            budget.permit().await.unwrap().answered();
        }
    }

    #[tokio::test]
    async fn connections_keep_their_distance() {
        let budget = Budget::new(&Patience { interval: Duration::from_millis(20), parallel: 4, ..patience() });
        let start = Instant::now();
        let four = [budget.permit(), budget.permit(), budget.permit(), budget.permit()];
        for permit in futures::future::join_all(four).await {
            permit.unwrap().answered();
        }
        assert!(start.elapsed() >= Duration::from_millis(60));
    }

    #[tokio::test]
    async fn pauses_grow_for_one_vantage_point_only() {
        let budget = Budget::new(&Patience { backoff: Duration::from_millis(20), ..patience() });
        let start = Instant::now();
        for _ in 0..4 {
            budget.turns_to_another(None);
            budget.permit().await.unwrap().turned_away(&Failure::Refused);
        }
        // 20, 40 and 80 ms it would be otherwise.
        assert!(start.elapsed() < Duration::from_millis(130), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn who_turns_one_source_away_may_answer_another() {
        let budget = Budget::new(&patience());
        let (one, other) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        budget.turns_to_another(one);
        for _ in 0..TURNED_AWAY {
            budget.permit().await.unwrap().turned_away(&Failure::Refused);
        }
        // Under another name it is the same source.
        budget.turns_to_another(one);
        assert_eq!(budget.permit().await.err(), Some(Failure::Refused));
        budget.turns_to_another(other);
        budget.permit().await.unwrap().answered();
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let slow = Patience { interval: Duration::from_secs(3600), ..patience() };
        let budget = Budget::new(&slow);
        budget.permit().await.unwrap().answered();
        let (permit, ()) = tokio::join!(budget.permit(), async { slow.watch.stop() });
        assert_eq!(permit.err(), Some(interrupted()));
        assert_eq!(slow.watch.progress().connections, 1);
    }
}
