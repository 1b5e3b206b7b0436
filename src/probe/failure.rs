//! Why a dialog got no further: what is no answer, and whose fault that is.

use std::io;

use super::handshake;
use crate::{
    facts::{Failure, Observed, Session},
    smtp::{Reply, ReplyError},
};

pub(super) fn in_the_middle(what: &str) -> Failure {
    Failure::Tls(format!("the server {what} the connection in the middle of its answer"))
}

/// What it is instead, where its first bytes tell.
pub(super) fn not_smtp(bytes: &[u8], error: &ReplyError) -> Failure {
    let known: [(&[u8], &str); 6] = [
        (b"SSH-", "an SSH server answers"),
        (b"HTTP/", "a web server answers"),
        (b"+OK", "a POP3 server answers"),
        (b"* OK", "an IMAP server answers"),
        (&[0x16, 3], "the server speaks TLS from the first byte"),
        (&[0x15, 3], "the server speaks TLS from the first byte"),
    ];
    Failure::NotSmtp(match known.iter().find(|(start, _)| bytes.starts_with(start)) {
        Some((_, what)) => format!("{what}: {error}"),
        None => error.to_string(),
    })
}

/// Why a dialog did not get as far as TLS.
pub(super) fn why_no_tls(session: &Session) -> Failure {
    if let Observed::Failed(failure) = &session.greeting {
        return failure.clone();
    }
    if let Observed::Failed(failure) = &session.ehlo {
        return failure.clone();
    }
    match (&session.starttls, &session.tls) {
        (Observed::Failed(failure), _) | (_, Observed::Failed(failure)) => failure.clone(),
        (Observed::Seen(reply), _) if reply.turns_the_client_away() => Failure::Blocked(reply.clone()),
        (Observed::Seen(reply), _) if reply.is_transient() || reply.asks_to_come_back() => Failure::Throttled(reply.clone()),
        (Observed::Seen(reply), _) => Failure::NotBegun(format!("STARTTLS was answered {reply}")),
        (Observed::NotAttempted(why), _) => Failure::NotBegun(why.clone()),
    }
}

/// A reply that turns the client away: it says nothing about what the server can do.
pub(super) fn refusal(reply: &Reply) -> Option<Failure> {
    match reply.code {
        200..300 => None,
        400..500 => Some(Failure::put_off(reply.clone())),
        500.. => Some(Failure::Blocked(reply.clone())),
        code => Some(Failure::NotSmtp(format!("{code} is no greeting"))),
    }
}

pub(super) fn io_failure(error: &io::Error) -> Failure {
    lost_connection(error).unwrap_or_else(|| handshake::tls_failure(error))
}

/// What an error says of a connection that is no more: no answer, whatever was asked.
pub(super) fn lost_connection(error: &io::Error) -> Option<Failure> {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut, UnexpectedEof,
    };
    match error.kind() {
        // TimedOut is the kernel's, of an established connection: the peer is gone.
        ConnectionReset | BrokenPipe | ConnectionAborted | TimedOut => Some(Failure::Reset),
        HostUnreachable | NetworkUnreachable => Some(Failure::Unreachable),
        UnexpectedEof => Some(Failure::Closed),
        _ => None,
    }
}
