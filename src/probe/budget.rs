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
use crate::facts::{Failure, Narrowed};

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Turned away so often in a row, one leaves. With the default pauses that is three minutes, and so
/// longer than the minute over which servers count.
const TURNED_AWAY: u32 = 8;
/// So often in a row it spoke out of turn or no SMTP, and one leaves: waiting makes that no better.
const NONSENSE: u32 = 3;
/// So often in a row it said that this source is not welcome, and one leaves: that is no matter of minutes.
const BLOCKS: u32 = 2;
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
    /// How many of them, the last ones, because of the source.
    blocked: u32,
    /// Hellos in a row that were left without a word.
    silences: u32,
    /// Times in a row that anything was lost, for the length of the pause.
    losses: u32,
    /// Why nothing more is asked.
    closed: Option<Failure>,
    /// The source that asks.
    source: Option<Option<IpAddr>>,
    /// How many connections may be open at one time.
    lanes: usize,
    /// How many slots are to be given up, since there are fewer lanes now.
    surplus: usize,
    /// How many are open.
    open: usize,
    /// Why there are fewer lanes than were allowed.
    narrowed: Option<Failure>,
}

impl Budget {
    /// The budget of one address.
    pub fn new(patience: &Patience) -> Self {
        let state = State {
            opened: 0,
            next: Instant::now(),
            turned_away: 0,
            blocked: 0,
            silences: 0,
            losses: 0,
            closed: None,
            source: None,
            lanes: patience.parallel.max(1),
            surplus: 0,
            open: 0,
            narrowed: None,
        };
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
        let slot = loop {
            let slot = self.slots.acquire().await.map_err(|_| Failure::Local("nothing more is asked".to_owned()))?;
            let mut state = self.state();
            if state.surplus == 0 {
                break slot;
            }
            state.surplus -= 1;
            slot.forget();
        };
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
                    state.open += 1;
                    self.watch.opened();
                    return Ok(Permit { budget: self, lanes: state.lanes, is_beside: state.open > 1, _slot: slot });
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
            (state.turned_away, state.blocked, state.silences, state.closed) = (0, 0, 0, None);
        }
        state.source = Some(source);
    }

    /// To how many connections at one time it came down, where that is fewer than were allowed.
    pub(super) fn narrowed(&self) -> Option<Narrowed> {
        let state = self.state();
        let lanes = u32::try_from(state.lanes).unwrap_or(u32::MAX);
        state.narrowed.clone().map(|why| Narrowed { lanes, why })
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
    /// How many might be open at one time when it was opened.
    lanes: usize,
    /// Whether others were open then.
    is_beside: bool,
    _slot: SemaphorePermit<'a>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.state().open -= 1;
    }
}

impl Permit<'_> {
    /// The server answered.
    pub fn answered(self) {
        let mut state = self.budget.state();
        (state.turned_away, state.blocked, state.silences, state.losses) = (0, 0, 0, 0);
    }

    /// TLS began, and then nothing usable came.
    pub fn lost(self, failure: &Failure) {
        let mut state = self.budget.state();
        (state.turned_away, state.blocked) = (0, 0);
        if matches!(failure, Failure::TimedOut { .. }) {
            state.silences += 1;
        }
        // A dropped connection is no request to stay away: a tenth of the pause is enough, and the whole one the most. Who says
        // at once what is wrong need not be waited for: OpenSSL 3 has internal_error for versions that it cannot sign in.
        let shortest = if failure.is_alert() { Duration::ZERO } else { self.budget.backoff / 10 };
        self.pause(&mut state, shortest, self.budget.backoff, failure);
    }

    /// The server did not even let TLS begin: 421, a refused connection, a lost one.
    pub fn turned_away(self, failure: &Failure) {
        let mut state = self.budget.state();
        if self.is_of_too_many(&mut state, failure) {
            return;
        }
        state.turned_away += 1;
        let is_about_the_source = match failure {
            Failure::Blocked(_) => true,
            // A server without EHLO may be one of several that take turns.
            Failure::EhloRefused(reply) => !reply.is_about_the_command(),
            _ => false,
        };
        state.blocked = if is_about_the_source { state.blocked + 1 } else { 0 };
        let is_nonsense = matches!(failure, Failure::Unsolicited(_) | Failure::NotSmtp(_)) || failure.is_unasked_alert();
        if state.blocked >= BLOCKS || is_nonsense && state.turned_away >= NONSENSE {
            state.closed = Some(failure.clone());
        }
        self.pause(&mut state, self.budget.backoff, MAX_PAUSE, failure);
    }

    /// Whether it was turned away as one of several that were open, which is no request to stay away: a server may bear fewer at
    /// one time. Half as many are opened from then on; what had been opened before says nothing of them.
    fn is_of_too_many(&self, state: &mut State, failure: &Failure) -> bool {
        let may_be_a_limit = matches!(
            failure,
            Failure::Throttled(_) | Failure::Closed | Failure::Reset | Failure::Refused | Failure::TimedOut { .. }
        );
        if !may_be_a_limit || self.lanes == 1 || (self.lanes == state.lanes && !self.is_beside && state.open == 1) {
            return false;
        }
        if self.lanes == state.lanes {
            let lanes = state.lanes / 2;
            state.surplus += state.lanes - lanes;
            state.lanes = lanes;
            state.narrowed.get_or_insert_with(|| failure.clone());
            state.next = state.next.max(Instant::now() + self.budget.backoff);
        }
        true
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
    use crate::smtp::Reply;

    fn reply(code: u16, text: &str) -> Reply {
        Reply { code, lines: vec![text.into()], bare_lf: false }
    }

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

    /// Whoever is on a list is on it the next minute too.
    #[tokio::test]
    async fn who_is_blocked_leaves_after_a_second_time() {
        let budget = Budget::new(&patience());
        let blocked = Failure::Blocked(reply(554, "5.7.1 Client host blocked"));
        let name = Failure::EhloRefused(reply(550, "5.7.1 need FQDN"));
        for failure in [blocked, name] {
            budget.turns_to_another(None);
            budget.permit().await.unwrap().turned_away(&failure);
            budget.permit().await.unwrap().answered();
            for _ in 0..BLOCKS {
                budget.permit().await.unwrap().turned_away(&failure);
            }
            assert_eq!(budget.permit().await.err(), Some(failure));
            budget.turns_to_another(Some(IpAddr::from([192, 0, 2, 1])));
        }
    }

    #[tokio::test]
    async fn who_knows_no_ehlo_may_be_one_of_several() {
        let budget = Budget::new(&patience());
        for _ in 0..TURNED_AWAY - 1 {
            budget.permit().await.unwrap().turned_away(&Failure::EhloRefused(reply(502, "5.5.1 command not implemented")));
        }
        budget.permit().await.unwrap().answered();
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

    /// Two at one time are borne: that is found by halves, and no pause gets longer for what was open beside others.
    #[tokio::test]
    async fn fewer_are_opened_side_by_side_where_some_are_turned_away() {
        let budget = Budget::new(&Patience { parallel: 8, ..patience() });
        assert_eq!(budget.narrowed(), None);
        for lanes in [4, 2] {
            let mut permits = Vec::new();
            for _ in 0..lanes * 2 {
                permits.push(budget.permit().await.unwrap());
            }
            let later = permits.split_off(2);
            for permit in later {
                permit.turned_away(&Failure::Throttled(reply(421, "4.7.0 too many connections")));
            }
            permits.into_iter().for_each(Permit::answered);
            assert_eq!(budget.narrowed().map(|narrowed| narrowed.lanes), Some(lanes));
        }
        let two = [budget.permit().await.unwrap(), budget.permit().await.unwrap()];
        let third = tokio::time::timeout(Duration::from_millis(50), budget.permit()).await;
        assert!(third.is_err(), "a third was opened");
        two.into_iter().for_each(Permit::answered);
        assert_eq!(budget.state().losses, 0);
    }

    /// Who is turned away alone is not one too many.
    #[tokio::test]
    async fn a_limit_of_another_kind_is_waited_for() {
        let budget = Budget::new(&Patience { parallel: 8, ..patience() });
        budget.permit().await.unwrap().turned_away(&Failure::Throttled(reply(421, "4.7.0 try again later")));
        assert_eq!((budget.narrowed(), budget.state().turned_away), (None, 1));
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
