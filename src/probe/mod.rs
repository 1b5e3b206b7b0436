//! Observation: opens connections, records what came, judges nothing.
//!
//! [`observe`] looks at one address from one vantage point. It holds one dialog
//! (greeting, EHLO, STARTTLS, handshake, EHLO, QUIT) and repeats it, within the budget
//! of connections, only when the server gave no answer that it would give again.

mod dialog;
mod handshake;
mod possession;
pub mod resolve;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    facts::{Connection, Failure, Observed, Session, Target, Vantage, View},
    name::Name,
};
use dialog::Dialog;

/// How long to wait, and how often to ask.
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
    /// Connections per address and source, retries included.
    pub max_connections: u32,
    /// The pause before the first retry; it doubles with each one.
    pub backoff: Duration,
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
}

/// Looks at one address of the target from one vantage point.
///
/// `ehlo` is the name to give in EHLO; without one it is the address literal of the
/// source (RFC 5321, 4.1.4), which every server can check.
pub async fn observe(target: &Target, address: SocketAddr, vantage: Vantage, ehlo: Option<&Name>, patience: &Patience) -> View {
    let mut earlier = Vec::new();
    let mut connections = 0;
    let mut backoff = patience.backoff;
    let session = loop {
        connections += 1;
        let session = hold(target, address, vantage.source, ehlo, patience).await;
        if connections >= patience.max_connections || !is_worth_a_retry(&session) {
            break session;
        }
        earlier.push(session);
        tokio::time::sleep(backoff).await;
        backoff *= 2;
    };
    // The session that shows most speaks for the view; what the others saw is kept as evidence.
    let mut sessions = earlier;
    sessions.push(session);
    let furthest = (0..sessions.len()).max_by_key(|index| (progress(&sessions[*index]), *index)).unwrap_or_default();
    let session = sessions.remove(furthest);
    View { vantage, address, connections, session, earlier: sessions }
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

/// Whether the session broke off at a point where another try may get further.
fn is_worth_a_retry(session: &Session) -> bool {
    let failure = |failure: &Failure| failure.is_worth_a_retry();
    matches!(&session.connection, Observed::Failed(f) if failure(f))
        || matches!(&session.greeting, Observed::Failed(f) if failure(f))
        || matches!(&session.ehlo, Observed::Failed(f) if failure(f))
        || matches!(&session.starttls, Observed::Failed(f) if failure(f))
        || matches!(&session.tls, Observed::Failed(f) if failure(f))
}

async fn hold(target: &Target, address: SocketAddr, source: Option<IpAddr>, ehlo: Option<&Name>, patience: &Patience) -> Session {
    let mut session = Session::not_attempted("the dialog did not get that far");
    let stream = match timeout(patience.connect, connect(address, source)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            session.connection = Observed::Failed(connect_failure(&error, patience.connect));
            return session;
        }
        Err(_) => {
            session.connection = Observed::Failed(timed_out(patience.connect));
            return session;
        }
    };
    let source = match stream.local_addr() {
        Ok(source) => source,
        Err(error) => {
            session.connection = Observed::Failed(Failure::Local(error.to_string()));
            return session;
        }
    };
    session.connection = Observed::Seen(Connection { source });
    let ehlo = ehlo.map_or_else(|| address_literal(source.ip()), ToString::to_string);
    Dialog::new(stream, patience).hold(&target.name, &ehlo, &mut session).await;
    session
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

/// RFC 5321, 4.1.3: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
fn address_literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}
