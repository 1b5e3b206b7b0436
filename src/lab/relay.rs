//! A relay in front of any server: adds a round trip, loses connections, limits them.
//!
//! Tools are compared through it, since what a tool says of a slow or unwilling server
//! tells more than what it says of a good one.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::middlebox;
use crate::scenario::{RelayAction, RelayFault, RelayStage};

/// What a relay does to the connections that it passes on.
#[derive(Clone, Debug, Default)]
pub struct RelayOptions {
    /// Added to every round trip, the one that opens the connection included.
    pub round_trip: Duration,
    /// How long the greeting is held back.
    pub greeting_delay: Duration,
    /// Every connection whose number is a multiple of this is closed when its ClientHello has come; 0 for none.
    pub drop_hello: u32,
    /// After so many connections all others are answered 421; 0 for no limit.
    pub total: u32,
    /// More connections than that within a minute are answered 421; 0 for no limit.
    pub per_minute: u32,
    /// Whether EHLO keywords are written in lower case, which RFC 5321, 2.4 allows.
    pub lower_case: bool,
    /// How it interferes with what passes through it.
    pub fault: Option<RelayFault>,
    /// That happens to one connection of so many, drawn at random; zero and one mean each.
    pub faulty: u32,
}

/// What happened to the connections of a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCount {
    /// All of them.
    pub accepted: u32,
    /// Those that were closed at the ClientHello.
    pub dropped: u32,
    /// Those that were answered 421.
    pub refused: u32,
    /// Those in which the client said QUIT in the clear, or ended TLS with an alert.
    pub ended_politely: u32,
}

/// A relay, listening.
#[derive(Debug)]
pub struct Relay {
    gate: Gate,
    to: SocketAddr,
    options: RelayOptions,
    count: Mutex<RelayCount>,
    recent: Mutex<VecDeque<Instant>>,
}

/// Where clients come to.
#[derive(Debug)]
enum Gate {
    Open(TcpListener),
    /// Bound, so that nobody else can be there, and not listening: the system refuses.
    Refusing(TcpSocket),
    /// Listening, with a queue that is full: the system drops what comes. Held are those who fill it.
    Dropping {
        listener: TcpListener,
        _queue: Vec<TcpStream>,
    },
}

impl Gate {
    async fn bind(listen: SocketAddr, does: Option<RelayAction>) -> io::Result<Self> {
        /// What is not queued by then was dropped.
        const QUEUED: Duration = Duration::from_millis(200);
        /// More than any queue of length none holds.
        const MOST: usize = 16;
        if !matches!(does, Some(RelayAction::Refuse | RelayAction::Drop)) {
            return Ok(Self::Open(TcpListener::bind(listen).await?));
        }
        let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(listen)?;
        if does == Some(RelayAction::Refuse) {
            return Ok(Self::Refusing(socket));
        }
        let listener = socket.listen(0)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while let Ok(queued) = timeout(QUEUED, TcpStream::connect(address)).await {
            queue.push(queued?);
            if queue.len() > MOST {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "this system drops no connections"));
            }
        }
        Ok(Self::Dropping { listener, _queue: queue })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Open(listener) | Self::Dropping { listener, .. } => listener.local_addr(),
            Self::Refusing(socket) => socket.local_addr(),
        }
    }
}

/// Data waits in the relay for as long as a round trip takes; more than this is not read meanwhile.
const CHUNKS_IN_FLIGHT: usize = 256;
const CHUNK: usize = 16 * 1024;

impl Relay {
    /// Listens at `listen` and passes on to `to`.
    pub async fn bind(listen: SocketAddr, to: SocketAddr, options: RelayOptions) -> io::Result<Self> {
        let at_once = options.fault.as_ref().filter(|fault| fault.at == Some(RelayStage::Connect));
        let gate = Gate::bind(listen, at_once.and_then(|fault| fault.r#do)).await?;
        Ok(Self { gate, to, options, count: Mutex::default(), recent: Mutex::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.gate.address()
    }

    /// What happened so far.
    pub fn count(&self) -> RelayCount {
        *lock(&self.count)
    }

    /// Serves until the future is dropped, which ends all connections.
    pub async fn serve(&self) -> io::Result<()> {
        let Gate::Open(listener) = &self.gate else { return std::future::pending().await };
        let mut connections = JoinSet::new();
        loop {
            let (client, _) = listener.accept().await?;
            let fate = self.fate();
            let (to, options) = (self.to, self.options.clone());
            connections.spawn(async move { pass(client, to, &options, fate).await.unwrap_or(Ending::Lost) });
            while let Some(ended) = connections.try_join_next() {
                if matches!(ended, Ok(Ending::Polite)) {
                    lock(&self.count).ended_politely += 1;
                }
            }
        }
    }

    /// Counts a connection and decides what becomes of it.
    fn fate(&self) -> Fate {
        const MINUTE: Duration = Duration::from_secs(60);
        let mut count = lock(&self.count);
        count.accepted += 1;
        let is_over_total = self.options.total > 0 && count.accepted > self.options.total;
        let is_over_rate = self.options.per_minute > 0 && {
            let mut recent = lock(&self.recent);
            let now = Instant::now();
            while recent.front().is_some_and(|earlier| now.duration_since(*earlier) >= MINUTE) {
                recent.pop_front();
            }
            recent.push_back(now);
            recent.len() > self.options.per_minute as usize
        };
        if is_over_total || is_over_rate {
            count.refused += 1;
            Fate::Refuse
        } else if self.options.drop_hello > 0 && count.accepted.is_multiple_of(self.options.drop_hello) {
            count.dropped += 1;
            Fate::DropHello
        } else if self.options.fault.is_some() && (self.options.faulty < 2 || rand::random_range(0..self.options.faulty) == 0) {
            Fate::Disturb
        } else {
            Fate::Pass
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    /// What the relay is told to do happens to it.
    Disturb,
    DropHello,
    Refuse,
}

/// How the client left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Polite,
    Lost,
}

async fn pass(mut client: TcpStream, to: SocketAddr, options: &RelayOptions, fate: Fate) -> io::Result<Ending> {
    client.set_nodelay(true)?;
    // Opening the connection costs a round trip as well, which a local one does not take.
    let delay = options.round_trip + options.greeting_delay;
    if !delay.is_zero() {
        sleep(delay).await;
    }
    if fate == Fate::Refuse {
        client.write_all(b"421 4.7.0 Error: too many connections from your address\r\n").await?;
        client.shutdown().await?;
        return Ok(Ending::Lost);
    }
    let server = TcpStream::connect(to).await?;
    server.set_nodelay(true)?;
    if let Some(fault) = options.fault.as_ref().filter(|_| fate == Fate::Disturb) {
        return middlebox::pass(client, server, fault).await.map(|()| Ending::Lost);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let half = options.round_trip / 2;
    let up = carry(from_client, to_server, half, Watch { drop_hello: fate == Fate::DropHello, ..Watch::default() });
    let down = carry(from_server, to_client, half, Watch { lower_case: options.lower_case, ..Watch::default() });
    tokio::pin!(up, down);
    // A client that is dropped loses both directions at once; otherwise each ends in its own time.
    tokio::select! {
        ending = &mut up => match ending? {
            Carried::Dropped => Ok(Ending::Lost),
            Carried::Ended(ending) => down.await.map(|_| ending),
        },
        _ = &mut down => match up.await? {
            Carried::Dropped => Ok(Ending::Lost),
            Carried::Ended(ending) => Ok(ending),
        },
    }
}

/// What one direction is looked at for.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    drop_hello: bool,
    lower_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    Dropped,
    Ended(Ending),
}

/// Carries one direction, each chunk as late as it came.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, watch: Watch) -> io::Result<Carried> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_IN_FLIGHT);
    let read = async move {
        let mut is_tls = false;
        let mut ending = Ending::Lost;
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = match from.read(&mut chunk).await {
                Ok(0) | Err(_) => return Carried::Ended(ending),
                Ok(length) => length,
            };
            chunk.truncate(length);
            if is_tls && watch.drop_hello {
                return Carried::Dropped;
            }
            if watch.lower_case && chunk.starts_with(b"250-") {
                chunk.make_ascii_lowercase();
            }
            // RFC 8446, 5.1: an alert has content type 21; inside TLS 1.3 it looks like data.
            let is_polite =
                if is_tls { matches!(chunk[0], 21 | 23) } else { chunk.to_ascii_uppercase().starts_with(b"QUIT\r\n") };
            ending = if is_polite { Ending::Polite } else { Ending::Lost };
            is_tls |= chunk.eq_ignore_ascii_case(b"STARTTLS\r\n");
            if sender.send((Instant::now() + delay, chunk)).await.is_err() {
                return Carried::Ended(ending);
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            // A timer rounds up to the next millisecond, which would make every way without a delay a slow one.
            if !delay.is_zero() {
                sleep_until(due).await;
            }
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::pin!(read, write);
    tokio::select! {
        // The channel is closed by now: what is in it still goes out.
        carried = &mut read => match carried {
            Carried::Dropped => Ok(carried),
            Carried::Ended(_) => write.await.map(|()| carried),
        },
        written = &mut write => written.map(|()| Carried::Ended(Ending::Lost)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    #[tokio::test]
    async fn who_refuses_is_told_from_who_drops() {
        for (action, is_refused) in [(RelayAction::Refuse, true), (RelayAction::Drop, false)] {
            let fault = RelayFault { at: Some(RelayStage::Connect), r#do: Some(action), ..RelayFault::default() };
            let options = RelayOptions { fault: Some(fault), ..RelayOptions::default() };
            let relay = Relay::bind("127.0.0.1:0".parse().unwrap(), server().await, options).await.unwrap();
            let came = timeout(Duration::from_millis(300), TcpStream::connect(relay.address().unwrap())).await;
            match came {
                Ok(connected) => assert!(is_refused && connected.unwrap_err().kind() == io::ErrorKind::ConnectionRefused),
                Err(_) => assert!(!is_refused),
            }
        }
    }

    /// A server that greets, answers every line with 250, and echoes what comes after STARTTLS.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    stream.write_all(b"220 mx.lab.test ESMTP\r\n").await?;
                    let mut line = String::new();
                    while stream.read_line(&mut line).await? > 0 {
                        stream
                            .write_all(if line == "STARTTLS\r\n" { b"220 go\r\n" } else { b"250-SIZE 1\r\n250 OK\r\n" })
                            .await?;
                        line.clear();
                    }
                    io::Result::Ok(())
                });
            }
        });
        address
    }

    async fn relay(options: RelayOptions) -> (SocketAddr, std::sync::Arc<Relay>) {
        let relay = std::sync::Arc::new(Relay::bind("127.0.0.1:0".parse().unwrap(), server().await, options).await.unwrap());
        let serving = std::sync::Arc::clone(&relay);
        tokio::spawn(async move { serving.serve().await });
        (relay.address().unwrap(), relay)
    }

    async fn read(stream: &mut BufReader<TcpStream>) -> String {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        line
    }

    async fn greeted(address: SocketAddr) -> (BufReader<TcpStream>, String) {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let greeting = read(&mut stream).await;
        (stream, greeting)
    }

    #[tokio::test]
    async fn a_round_trip_is_as_long_as_it_was_asked_to_be() {
        let round_trip = Duration::from_millis(40);
        let (address, _) = relay(RelayOptions { round_trip, ..RelayOptions::default() }).await;
        let start = Instant::now();
        let (mut stream, greeting) = greeted(address).await;
        assert!(greeting.starts_with("220 ") && start.elapsed() >= round_trip * 3 / 2, "{:?}", start.elapsed());
        let start = Instant::now();
        stream.write_all(b"NOOP\r\n").await.unwrap();
        read(&mut stream).await;
        assert!(start.elapsed() >= round_trip, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn every_second_hello_is_dropped_and_counted() {
        let (address, relay) = relay(RelayOptions { drop_hello: 2, ..RelayOptions::default() }).await;
        let mut answers = Vec::new();
        for _ in 0..4 {
            let (mut stream, _) = greeted(address).await;
            stream.write_all(b"STARTTLS\r\n").await.unwrap();
            assert_eq!(read(&mut stream).await, "220 go\r\n");
            stream.write_all(b"hello\r\n").await.unwrap();
            answers.push(!read(&mut stream).await.is_empty());
        }
        assert_eq!(answers, [true, false, true, false]);
        assert_eq!(relay.count(), RelayCount { accepted: 4, dropped: 2, ..relay.count() });
    }

    #[rstest]
    #[case(RelayOptions { total: 2, ..RelayOptions::default() })]
    #[case(RelayOptions { per_minute: 2, ..RelayOptions::default() })]
    #[tokio::test]
    async fn what_is_too_much_is_answered_421(#[case] options: RelayOptions) {
        let (address, relay) = relay(options).await;
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(greeted(address).await.1[..3].to_owned());
        }
        assert_eq!(codes, ["220", "220", "421"]);
        assert_eq!(relay.count().refused, 1);
    }

    #[tokio::test]
    async fn keywords_may_be_in_lower_case() {
        let (address, _) = relay(RelayOptions { lower_case: true, ..RelayOptions::default() }).await;
        let (mut stream, _) = greeted(address).await;
        stream.write_all(b"EHLO there\r\n").await.unwrap();
        assert_eq!(read(&mut stream).await, "250-size 1\r\n");
    }
}
