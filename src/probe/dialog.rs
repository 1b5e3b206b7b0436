//! The client's side of one SMTP dialog, with a transcript.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Patience, handshake, timed_out};
use crate::{
    facts::{Failure, Line, Observed, Session, Speaker},
    name::Name,
    smtp::{Ehlo, Reply, ReplyReader},
    wire::WireText,
};

/// How long to wait for the reply to QUIT: politeness that is not worth a minute.
const QUIT_PATIENCE: Duration = Duration::from_secs(5);

/// A dialog in progress. It never speaks before it was spoken to (RFC 5321, 4.3.1).
pub(super) struct Dialog<'a, S> {
    stream: S,
    /// What was received and not yet read as a reply.
    buffer: Vec<u8>,
    patience: &'a Patience,
    transcript: Vec<Line>,
    start: Instant,
    /// Whether the server has closed, or said with 421 that it does (RFC 5321, 3.8).
    is_over: bool,
}

impl<'a> Dialog<'a, TcpStream> {
    pub(super) fn new(stream: TcpStream, patience: &'a Patience) -> Self {
        Self { stream, buffer: Vec::new(), patience, transcript: Vec::new(), start: Instant::now(), is_over: false }
    }

    /// Holds the dialog to its end and fills the session with what was seen.
    pub(super) async fn hold(mut self, name: &Name, ehlo: &str, session: &mut Session) {
        let secured = self.until_starttls(ehlo, session).await;
        if !secured {
            self.quit(session).await;
            session.transcript = self.transcript;
            return;
        }
        let Self { stream, patience, mut transcript, start, .. } = self;
        let result = handshake::connect(stream, name, patience.handshake).await;
        session.certificates = match result.certificates {
            Some(certificates) => Observed::Seen(certificates),
            None => Observed::NotAttempted("the handshake ended before the certificate".to_owned()),
        };
        if let Some(possession) = result.possession {
            session.possession = Observed::Seen(possession);
        }
        let event = match &result.outcome {
            Ok((_, tls)) => format!("{} {}", tls.version, tls.suite),
            Err(failure) => failure.to_string(),
        };
        transcript.push(line(Speaker::Event, event.as_bytes(), start));
        match result.outcome {
            Ok((stream, tls)) => {
                session.tls = Observed::Seen(tls);
                let mut inside = Dialog { stream, buffer: Vec::new(), patience, transcript, start, is_over: false };
                session.ehlo_after = inside.say_ehlo(ehlo).await;
                inside.quit(session).await;
                // close_notify; what the server does about it no longer matters.
                let _ = timeout(QUIT_PATIENCE, inside.stream.shutdown()).await;
                session.transcript = inside.transcript;
            }
            Err(failure) => {
                if session.certificates.seen().is_none() {
                    session.certificates = Observed::Failed(failure.clone());
                }
                session.tls = Observed::Failed(failure);
                session.transcript = transcript;
            }
        }
    }

    /// The plaintext part. True when the server is ready for the handshake.
    async fn until_starttls(&mut self, ehlo: &str, session: &mut Session) -> bool {
        let greeting = match self.read_reply(self.patience.greeting).await {
            Ok(greeting) => greeting,
            Err(failure) => {
                session.greeting = Observed::Failed(failure);
                return false;
            }
        };
        let refused = refusal(&greeting);
        session.greeting = Observed::Seen(greeting);
        if let Some(refused) = refused {
            session.ehlo = Observed::Failed(refused);
            return false;
        }
        session.ehlo = self.say_ehlo(ehlo).await;
        let Observed::Seen(offered) = &session.ehlo else { return false };
        if !offered.offers("STARTTLS") {
            let why = "STARTTLS was not offered".to_owned();
            session.starttls = Observed::NotAttempted(why.clone());
            session.tls = Observed::NotAttempted(why.clone());
            session.certificates = Observed::NotAttempted(why);
            session.help = self.ask("HELP").await;
            return false;
        }
        session.starttls = self.ask("STARTTLS").await;
        match &session.starttls {
            Observed::Seen(reply) if reply.code == 220 => {}
            Observed::Seen(reply) => {
                let why = format!("STARTTLS was answered {reply}");
                session.tls = Observed::NotAttempted(why.clone());
                session.certificates = Observed::NotAttempted(why);
                return false;
            }
            _ => return false,
        }
        // Whatever follows the 220 in the clear would be taken for TLS (RFC 3207, 4.2 and 6).
        if !self.buffer.is_empty() {
            let failure = Failure::Unsolicited(WireText::from_bytes(&self.buffer[..self.buffer.len().min(200)]));
            session.tls = Observed::Failed(failure);
            return false;
        }
        true
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<'_, S> {
    async fn say_ehlo(&mut self, name: &str) -> Observed<Ehlo> {
        match self.ask(&format!("EHLO {name}")).await {
            Observed::Seen(reply) if reply.code == 250 => Observed::Seen(Ehlo::from_reply(&reply)),
            Observed::Seen(reply) if reply.is_transient() => Observed::Failed(Failure::Throttled(reply)),
            // Of the command, not of the client: a policy on names, or a server without extensions.
            Observed::Seen(reply) => Observed::Failed(Failure::EhloRefused(reply)),
            Observed::Failed(failure) => Observed::Failed(failure),
            Observed::NotAttempted(why) => Observed::NotAttempted(why),
        }
    }

    async fn quit(&mut self, session: &mut Session) {
        // Where nothing was understood, or nobody listens any more, there is nobody to say goodbye to.
        if self.is_over || session.greeting.seen().is_none() {
            return;
        }
        session.quit = match timeout(QUIT_PATIENCE, self.ask("QUIT")).await {
            Ok(reply) => reply,
            Err(_) => Observed::Failed(timed_out(QUIT_PATIENCE)),
        };
    }

    /// Sends one command and reads its reply.
    async fn ask(&mut self, command: &str) -> Observed<Reply> {
        if !self.buffer.is_empty() {
            return Observed::Failed(Failure::Unsolicited(WireText::from_bytes(&self.buffer[..self.buffer.len().min(200)])));
        }
        self.transcript.push(line(Speaker::Client, command.as_bytes(), self.start));
        let wire = format!("{command}\r\n");
        let sent = timeout(self.patience.reply, async {
            self.stream.write_all(wire.as_bytes()).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Observed::Failed(io_failure(&error)),
            Err(_) => return Observed::Failed(timed_out(self.patience.reply)),
        }
        match self.read_reply(self.patience.reply).await {
            // RFC 5321, 3.8: 421 may come at any time, in answer to anything.
            Ok(reply) if reply.code == 421 => Observed::Failed(Failure::Throttled(reply)),
            Ok(reply) => Observed::Seen(reply),
            Err(failure) => Observed::Failed(failure),
        }
    }

    /// Reads one complete reply within `patience`, however slowly its bytes drip.
    async fn read_reply(&mut self, patience: Duration) -> Result<Reply, Failure> {
        let mut reader = ReplyReader::default();
        let read = timeout(patience, async {
            let mut taken = 0;
            loop {
                while taken < self.buffer.len() {
                    let byte = self.buffer[taken];
                    taken += 1;
                    match reader.push(byte) {
                        Ok(None) => {}
                        Ok(Some(reply)) => {
                            self.buffer.drain(..taken);
                            return Ok(reply);
                        }
                        Err(error) => return Err(Failure::NotSmtp(error.to_string())),
                    }
                }
                self.buffer.clear();
                taken = 0;
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await {
                    Ok(0) => return Err(Failure::Closed),
                    Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                    Err(error) => return Err(io_failure(&error)),
                }
            }
        });
        let outcome = read.await.unwrap_or_else(|_| Err(timed_out(patience)));
        self.is_over = match &outcome {
            Ok(reply) => reply.code == 421,
            Err(failure) => matches!(failure, Failure::Closed | Failure::Reset),
        };
        match &outcome {
            Ok(reply) => {
                let last = reply.lines.len().saturating_sub(1);
                for (i, text) in reply.lines.iter().enumerate() {
                    let separator = if i == last { ' ' } else { '-' };
                    // The text is escaped already and must not be escaped twice.
                    let text = WireText::from(format!("{}{separator}{text}", reply.code));
                    self.transcript.push(Line { from: Speaker::Server, text, millis: millis_since(self.start) });
                }
            }
            Err(failure) => self.transcript.push(line(Speaker::Event, failure.to_string().as_bytes(), self.start)),
        }
        outcome
    }
}

/// A reply that turns the client away: it says nothing about what the server can do.
fn refusal(reply: &Reply) -> Option<Failure> {
    match reply.code {
        200..300 => None,
        400..500 => Some(Failure::Throttled(reply.clone())),
        _ => Some(Failure::Blocked(reply.clone())),
    }
}

fn io_failure(error: &io::Error) -> Failure {
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

fn line(from: Speaker, text: &[u8], start: Instant) -> Line {
    Line { from, text: WireText::from_bytes(text), millis: millis_since(start) }
}

fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
