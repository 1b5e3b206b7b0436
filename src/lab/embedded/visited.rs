//! Who comes when, and what each client does in its connection: for servers that count, and for those who want to know how
//! senders use TLS.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::wire::WireText;

/// One connection, from its begin to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Visited {
    /// Where it came from.
    pub client: IpAddr,
    /// What it calls itself.
    pub helo: WireText,
    /// Whether STARTTLS was offered to it.
    pub offered: bool,
    /// Whether it asked for TLS.
    pub asked: bool,
    /// What was negotiated; none where no handshake was finished.
    pub tls: Option<Negotiated>,
    /// Why the handshake failed, or what ended the connection before its time.
    pub failure: Option<WireText>,
    /// Messages that were taken without TLS.
    pub messages_in_clear: u32,
    /// Messages that were taken inside TLS.
    pub messages_in_tls: u32,
    /// Whether it took its leave.
    pub quit: bool,
}

/// A finished handshake, as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Negotiated {
    /// `TLSv1.3`.
    pub version: String,
    /// The suite, by the name that the library has for it.
    pub suite: String,
    /// The name that the client asked for.
    pub server_name: Option<WireText>,
    /// Whether it showed a certificate.
    pub client_certificate: bool,
}

impl Visited {
    pub(super) fn new(client: IpAddr) -> Self {
        Self {
            client,
            helo: WireText::default(),
            offered: false,
            asked: false,
            tls: None,
            failure: None,
            messages_in_clear: 0,
            messages_in_tls: 0,
            quit: false,
        }
    }
}

/// How many visits wait to be told; more are counted only.
const WAITING: usize = 1024;

/// Where visits are told; nobody waits for whoever listens.
#[derive(Clone, Debug)]
pub struct Teller {
    to: mpsc::Sender<Visited>,
    lost: Arc<AtomicU64>,
    /// How long one connection may last.
    pub(super) limit: Duration,
}

impl Teller {
    /// With the end to listen at.
    pub fn new(limit: Duration) -> (Self, mpsc::Receiver<Visited>) {
        let (to, from) = mpsc::channel(WAITING);
        (Self { to, lost: Arc::default(), limit }, from)
    }

    /// How many visits were not told, since too many came at once.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn tell(&self, visited: Visited) {
        if self.to.try_send(visited).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Who came when, for servers that count.
#[derive(Default)]
pub(super) struct Visits {
    all: AtomicU32,
    open: AtomicU32,
    /// Within the last minute.
    recent: Mutex<VecDeque<Instant>>,
}

/// One visit; it ends when this is dropped.
pub(super) struct Visit<'a> {
    visits: &'a Visits,
    /// From 1 on.
    pub(super) number: u32,
    /// How many there are with this one, now and in the last minute.
    pub(super) at_once: u32,
    pub(super) in_a_minute: usize,
    /// What the client did.
    seen: Mutex<Visited>,
}

impl Visits {
    pub(super) fn begin(&self, client: IpAddr) -> Visit<'_> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|came| came.elapsed() < Duration::from_secs(60));
        recent.push_back(Instant::now());
        Visit {
            visits: self,
            number: self.all.fetch_add(1, Ordering::SeqCst) + 1,
            at_once: self.open.fetch_add(1, Ordering::SeqCst) + 1,
            in_a_minute: recent.len(),
            seen: Mutex::new(Visited::new(client)),
        }
    }
}

impl Visit<'_> {
    pub(super) fn note(&self, change: impl FnOnce(&mut Visited)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.visits.open.fetch_sub(1, Ordering::SeqCst);
    }
}
