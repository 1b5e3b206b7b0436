//! Lines of Postfix, 2.x to 3.11: what `smtp_tls_loglevel` and `smtpd_tls_loglevel` 1 show, the lines of deliveries with their
//! `tls=` (3.11), and the summaries of `disconnect from` (3.0), which tell of STARTTLS even at level 0.
//!
//! Client and server log the TLS of a connection in a line without a queue ID, and what follows of the same process belongs to
//! it. With `smtp_tls_connection_reuse` the process `tlsproxy` logs the same line, which is not counted twice, and the reason
//! why a certificate was not taken, which is remembered for the host.

use super::{
    Known,
    ledger::{Direction, Protection, Session, Tally, Trust, is_here, version},
    reason,
    recent::Recent,
    text::{cut, domain_of, has, host_key, name_and_address, word},
};
use crate::finding::ResultType;

/// Processes and messages whose state is held at one time, at the most half of it.
const MOST: usize = 65_536;

/// What was read of the processes and messages on the way.
#[derive(Debug)]
pub(super) struct Postfix {
    clients: Recent<(usize, u64), Client>,
    servers: Recent<(usize, u64), Server>,
    /// Messages that were taken, until the queue manager says who sent them.
    taken: Recent<(usize, Vec<u8>), Protection>,
    /// Why the certificate of a host was not taken.
    reasons: Recent<(usize, Vec<u8>), (ResultType, Vec<u8>)>,
}

/// The last session of a process that sends.
#[derive(Debug)]
struct Client {
    relay: Vec<u8>,
    /// None for a connection in the clear, which no line tells of before the message.
    session: Option<Session>,
    /// The message that went through it; another one needs a line of its own.
    message: Vec<u8>,
}

/// The connection that a process serves.
#[derive(Debug, Default)]
struct Server {
    session: Option<Session>,
    messages: u32,
    has_failed: bool,
    /// The library's words belong to a failure that is not counted yet.
    waits_for_words: bool,
}

impl Default for Postfix {
    fn default() -> Self {
        Self { clients: Recent::new(MOST), servers: Recent::new(MOST), taken: Recent::new(MOST), reasons: Recent::new(1024) }
    }
}

impl Postfix {
    /// `service` is what stands behind the last slash of the program: `smtp`, `smtpd`, `qmgr`.
    pub(super) fn read(&mut self, source: usize, service: &[u8], pid: u64, text: &[u8], tally: &mut Tally) -> Known {
        match service {
            b"smtp" | b"lmtp" => self.client((source, pid), text, tally),
            b"smtpd" => self.server((source, pid), text, tally),
            b"qmgr" | b"oqmgr" => self.queue(source, text, tally),
            b"tlsproxy" => {
                // It knows the address only. Of a handshake that it served it says `service=smtpd`.
                if let Some(rest) = text.strip_prefix(b"TLS handshake failed for service=smtp peer=")
                    && let Some((address, _)) = cut(rest, b"]:")
                {
                    let host = [address, b"]"].concat();
                    tally.failed_connection(Direction::Outbound, &host, b"TLS handshake failed");
                }
                self.verification(source, text);
                Known::Yes
            }
            _ => Known::Yes,
        }
    }

    fn client(&mut self, process: (usize, u64), text: &[u8], tally: &mut Tally) -> Known {
        if let Some((relay, session, is_reused)) = established(text, b"to ", tally) {
            tally.shows_tls(Direction::Outbound);
            let (name, address) = name_and_address(relay);
            if !is_here(address) {
                tally.connection(Direction::Outbound, host_key(name, &relay[name.len()..]), Protection::Tls(session), is_reused);
            }
            self.clients.insert(process, Client { relay: relay.to_vec(), session: Some(session), message: Vec::new() });
            return Known::Yes;
        }
        if let Some((message, rest)) = cut(text, b": to=<") {
            return self.delivery(process, message, rest, tally);
        }
        if let Some(rest) = text.strip_prefix(b"SSL_connect error to ") {
            let peer = cut(rest, b"]").map_or(rest, |(peer, _)| peer);
            let (name, _) = name_and_address(peer);
            tally.failed_connection(Direction::Outbound, host_key(name, &peer[name.len()..]), b"SSL_connect error");
            return Known::Yes;
        }
        if self.verification(process.0, text) {
            return Known::Yes;
        }
        const WORDS: &[&[u8]] = &[
            b"connect to ",
            b"warning: ",
            b"fatal: ",
            b"panic: ",
            b"error: ",
            b"setting up TLS connection to ",
            b"table ",
            b"initializing the client-side TLS engine",
            b"statistics: ",
            b"Host offered STARTTLS: ",
            b"SSL_connect:",
            b"save session ",
            b"looking for session ",
            b"reloaded session ",
            b"using DANE RR: ",
            b"refresh",
            b"rewriting ",
            b"remove session ",
        ];
        const OF_MESSAGES: &[&[u8]] = &[
            b"host ",
            b"lost connection with ",
            b"conversation with ",
            b"enabling PIX",
            b"Cannot start TLS: ",
            b"server features: ",
            b"TLS is required",
            b"Server certificate ",
            b"non-delivery",
            b"replace: ",
            b"breaking line ",
            b"sender ",
            b"passing ",
            b"client=",
            b"delivery temporarily suspended",
            b"TLS ",
        ];
        known(text, WORDS, OF_MESSAGES)
    }

    /// A line of a recipient, from behind `to=<` on. What the other side said is at its end, in brackets: nothing is read there.
    fn delivery(&mut self, process: (usize, u64), message: &[u8], rest: &[u8], tally: &mut Tally) -> Known {
        // A quoted local part may hold anything.
        let from = if rest.starts_with(b"\"") { rest.windows(2).position(|pair| pair == b"\"@").unwrap_or(0) } else { 0 };
        let Some((recipient, rest)) = cut(&rest[from..], b">, ") else { return Known::No };
        let Some((_, rest)) = (if rest.starts_with(b"relay=") { Some((rest, &rest[6..])) } else { cut(rest, b", relay=") })
        else {
            return Known::No;
        };
        let Some((relay, rest)) = cut(rest, b", ") else { return Known::No };
        let Some((fields, status)) = cut(rest, b"status=") else { return Known::No };
        let (status, words) = word(status);
        let words = words.strip_prefix(b"(").unwrap_or(words);
        let words = words.strip_suffix(b")").unwrap_or(words);
        let (name, address) = name_and_address(relay);
        if address.starts_with(b"private/") || address.starts_with(b"/") || is_here(address) {
            tally.local += 1;
            return Known::Yes;
        }
        let domain = domain_of(recipient);
        let host = host_key(name, &relay[name.len()..]);
        let said = said(fields);
        if said.is_some() {
            tally.shows_tls(Direction::Outbound);
        }
        if status != b"sent" {
            let is_failed = reason::is_tls(words) || matches!(said, Some(Said::NotMet));
            if is_failed && matches!(status, b"deferred" | b"bounced" | b"undeliverable") {
                let key = (process.0, relay.to_vec());
                let known = if words.starts_with(b"Server certificate not ") { self.reasons.get_mut(&key) } else { None };
                let (result, words) = match known {
                    Some((result, known)) => (*result, known.clone()),
                    None => (reason::result(words), words.to_vec()),
                };
                let host = if host == b"none" { domain } else { host };
                tally.failed_message(Direction::Outbound, domain, host, result, &words);
            }
            return Known::Yes;
        }
        let (mut is_known, mut session) = (false, None);
        if let Some(client) = self.clients.get_mut(&process).filter(|client| client.relay == relay) {
            if client.message.is_empty() {
                client.message.extend_from_slice(message);
            }
            if client.message == message {
                (is_known, session) = (true, client.session);
            }
        }
        let protection = match (session, said) {
            (_, Some(Said::Clear)) => Protection::Clear,
            (Some(session), _) => Protection::Tls(session),
            (None, Some(Said::Met)) => Protection::Tls(Session::default()),
            (None, Some(Said::NotMet | Said::Open)) => Protection::Unknown,
            (None, None) => Protection::Clear,
        };
        if !is_known && protection == Protection::Clear {
            // The further recipients of the message go the same way. `conn_use` is 2 or more where a connection is taken again.
            tally.connection(Direction::Outbound, host, protection, has(fields, b"conn_use="));
            self.clients.insert(process, Client { relay: relay.to_vec(), session: None, message: message.to_vec() });
        }
        tally.message(Direction::Outbound, Some(domain), host, protection);
        Known::Yes
    }

    /// Why the certificate of a host was not taken; the delivery's own line does not say.
    fn verification(&mut self, source: usize, text: &[u8]) -> bool {
        let Some((_, rest)) = cut(text, b"ertificate verification failed for ") else { return false };
        let Some((relay, why)) = cut(rest, b": ") else { return true };
        let why = why[..why.len().min(300)].to_vec();
        self.reasons.insert((source, relay[..relay.len().min(512)].to_vec()), (reason::result(&why), why));
        true
    }

    fn server(&mut self, process: (usize, u64), text: &[u8], tally: &mut Tally) -> Known {
        if text.starts_with(b"connect from ") {
            self.servers.insert(process, Server::default());
            return Known::Yes;
        }
        if let Some(rest) = text.strip_prefix(b"disconnect from ") {
            self.disconnect(process, rest, tally);
            return Known::Yes;
        }
        if let Some((message, rest)) = cut(text, b": client=") {
            return self.message(process, message, rest, tally);
        }
        if let Some((peer, session, is_reused)) = established(text, b"from ", tally) {
            tally.shows_tls(Direction::Inbound);
            let (name, address) = name_and_address(peer);
            if !is_here(address) {
                tally.connection(Direction::Inbound, host_key(name, &peer[name.len()..]), Protection::Tls(session), is_reused);
            }
            match self.servers.get_mut(&process) {
                Some(server) => server.session = Some(session),
                None => self.servers.insert(process, Server { session: Some(session), ..Server::default() }),
            }
            return Known::Yes;
        }
        if text.starts_with(b"SSL_accept error from ") {
            if self.servers.get_mut(&process).is_none() {
                self.servers.insert(process, Server::default());
            }
            if let Some(server) = self.servers.get_mut(&process) {
                (server.has_failed, server.waits_for_words) = (true, true);
            }
            // It is counted with the words of the library, or at the end of the connection.
            return Known::Yes;
        }
        const WORDS: &[&[u8]] = &[
            b"warning: ",
            b"fatal: ",
            b"panic: ",
            b"error: ",
            b"lost connection after ",
            b"timeout after ",
            b"NOQUEUE: ",
            b"improper ",
            b"too many errors after ",
            b"setting up TLS connection from ",
            b"initializing the server-side TLS engine",
            b"table ",
            b"proxy-accept",
            b"SSL_accept:",
            b"statistics: ",
            b"discarding EHLO keywords: ",
            b"SASL ",
            b"connect to ",
            b"using ",
            b"save session ",
            b"looking up session ",
            b"reloaded session ",
            b"Issuing session ticket",
            b"refresh",
            b"remove session ",
            b"milter inspect",
            b"TLS SNI ",
            b"reject",
            b"hangup after ",
            b"TLS ",
        ];
        const OF_MESSAGES: &[&[u8]] = &[
            b"reject: ",
            b"filter: ",
            b"hold: ",
            b"redirect: ",
            b"warn: ",
            b"info: ",
            b"discard: ",
            b"prepend: ",
            b"milter-",
            b"bcc: ",
            b"replace: ",
            b"reject_warning: ",
            b"permit: ",
            b"defer: ",
            b"to=<",
            b"delay",
        ];
        if let Some(words) = text.strip_prefix(b"warning: TLS library problem: ") {
            if let Some(server) = self.servers.get_mut(&process)
                && server.waits_for_words
            {
                server.waits_for_words = false;
                // Which host it is comes at the end; the words are kept for the process until then.
                let key = (process.0, process.1.to_string().into_bytes());
                self.reasons.insert(key, (reason::result(words), words[..words.len().min(300)].to_vec()));
            }
            return Known::Yes;
        }
        known(text, WORDS, OF_MESSAGES)
    }

    fn message(&mut self, process: (usize, u64), message: &[u8], rest: &[u8], tally: &mut Tally) -> Known {
        let (peer, more) = match cut(rest, b", ") {
            Some((peer, more)) => (peer, more),
            None => (rest, &b""[..]),
        };
        if has(more, b"sasl_method=") || has(more, b"sasl_username=") {
            tally.submissions += 1;
            return Known::Yes;
        }
        let (name, address) = name_and_address(peer);
        if is_here(address) {
            tally.local += 1;
            return Known::Yes;
        }
        let protection = match self.servers.get_mut(&process) {
            Some(server) => {
                server.messages += 1;
                server.session.map_or(Protection::Clear, Protection::Tls)
            }
            // The beginning of the connection is not in this log.
            None => Protection::Unknown,
        };
        tally.message(Direction::Inbound, None, host_key(name, &peer[name.len()..]), protection);
        self.taken.insert((process.0, message[..message.len().min(64)].to_vec()), protection);
        Known::Yes
    }

    fn disconnect(&mut self, process: (usize, u64), rest: &[u8], tally: &mut Tally) {
        let Some(server) = self.servers.remove(&process) else { return };
        let peer = cut(rest, b"]").map_or(rest, |(peer, _)| &rest[..peer.len() + 1]);
        let (name, address) = name_and_address(peer);
        if is_here(address) {
            return;
        }
        let host = host_key(name, &peer[name.len()..]);
        // `starttls=1` worked, `starttls=0/1` did not.
        let started = super::text::field(rest, b" starttls=", b" ");
        if server.has_failed || started.is_some_and(|count| count.starts_with(b"0/")) {
            let key = (process.0, process.1.to_string().into_bytes());
            let words = self.reasons.remove(&key).map_or(b"STARTTLS failed".to_vec(), |(_, words)| words);
            tally.failed_connection(Direction::Inbound, host, &words);
        } else if server.session.is_none() {
            match started {
                // The session's own line is hidden by the log level.
                Some(_) => {
                    tally.hidden(Direction::Inbound);
                    tally.connection(Direction::Inbound, host, Protection::Tls(Session::default()), false);
                }
                // Who sent no message showed nothing: health checks, scanners.
                None if server.messages > 0 => tally.connection(Direction::Inbound, host, Protection::Clear, false),
                None => {}
            }
        }
    }

    fn queue(&mut self, source: usize, text: &[u8], tally: &mut Tally) -> Known {
        if let Some((message, rest)) = cut(text, b": from=<")
            && let Some(protection) = self.taken.remove(&(source, message[..message.len().min(64)].to_vec()))
        {
            let sender = cut(rest, b">, ").map_or(rest, |(sender, _)| sender);
            tally.partner(Direction::Inbound, domain_of(sender), protection);
        }
        Known::Yes
    }
}

/// What `tls=` says since 3.11.
#[derive(Clone, Copy)]
enum Said {
    /// `may`, `secure`: there was TLS as the level wants it.
    Met,
    /// `may:none`: there was none, and the level allows that.
    Clear,
    /// `!secure`: what the level wants was not there.
    NotMet,
    /// `secure?`: it broke on the way; also what stands beside a session that is used again, as 3.11.7 was seen to write it.
    Open,
}

fn said(fields: &[u8]) -> Option<Said> {
    let value = super::text::field(fields, b", tls=", b", ")?;
    // Features that were asked for, such as REQUIRETLS, follow behind a slash.
    let level = cut(value, b"/").map_or(value, |(level, _)| level);
    Some(match level {
        _ if level.starts_with(b"!") => Said::NotMet,
        _ if level.ends_with(b"?") => Said::Open,
        _ if level == b"none" || level.ends_with(b":none") => Said::Clear,
        _ => Said::Met,
    })
}

/// `Trusted TLS connection established to mx.test[10.0.0.1]:25: TLSv1.3 with cipher NAME (256/256 bits) ...`; `reused` for
/// `established` where an open session is taken again.
fn established<'a>(text: &'a [u8], toward: &[u8], tally: &mut Tally) -> Option<(&'a [u8], Session, bool)> {
    let (trust, rest) = word(text);
    let trust = match trust {
        b"Verified" => Trust::Verified,
        b"Trusted" => Trust::Trusted,
        b"Untrusted" => Trust::Untrusted,
        b"Anonymous" => Trust::Anonymous,
        _ => return None,
    };
    let rest = rest.strip_prefix(b"TLS connection ")?;
    let (how, rest) = word(rest);
    let is_reused = match how {
        b"established" => false,
        b"reused" => true,
        _ => return None,
    };
    let (peer, rest) = cut(rest.strip_prefix(toward)?, b": ")?;
    let (name, rest) = cut(rest, b" with cipher ")?;
    let (suite, _) = word(rest);
    let session = Session { version: version(name), suite: tally.suite(suite), trust: Some(trust) };
    Some((peer, session, is_reused))
}

/// Whether a line is one that is known to say nothing of TLS; `of_messages` begin behind a queue ID.
fn known(text: &[u8], words: &[&[u8]], of_messages: &[&[u8]]) -> Known {
    let behind = cut(text, b": ").map_or(&b""[..], |(_, rest)| rest);
    let is_known = words.iter().any(|word| text.starts_with(word)) || of_messages.iter().any(|word| behind.starts_with(word));
    if is_known { Known::Yes } else { Known::No }
}
