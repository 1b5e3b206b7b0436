//! The client's side of one SMTP dialog, with a transcript.

mod active;
mod deliver;

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    Patience,
    failure::{in_the_middle, io_failure, not_smtp, refusal, why_no_tls},
    handshake::{self, Refused},
    timed_out,
};
use crate::{
    facts::{ClientCertificate, Failure, Line, Observed, Session, Speaker, View},
    hello::{Flight, FlightReader, goodbye},
    name::Name,
    smtp::{Ehlo, Reply, ReplyReader},
    tls::{Alert, Version},
    wire::WireText,
};

/// How long to wait for the reply to QUIT: politeness that is not worth a minute.
const QUIT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a server is listened to that should have spoken TLS.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);

/// A connection inside TLS.
type Secured = tokio_rustls::client::TlsStream<handshake::Watched>;

/// A dialog in progress. It never speaks before it was spoken to (RFC 5321, 4.3.1): only `--active`
/// ends a silent one with a ClientHello.
pub(super) struct Dialog<'a, S> {
    stream: S,
    /// What was received and not yet read as a reply.
    buffer: Vec<u8>,
    patience: &'a Patience,
    /// Whether TLS begins with the first byte.
    is_implicit: bool,
    transcript: Vec<Line>,
    start: Instant,
    /// Whether the server has closed, or said with 421 that it does (RFC 5321, 3.8).
    is_over: bool,
    /// Bytes sent and received in the clear.
    bytes: u64,
    /// How long it waits before the hello, to see whether the server says anything that it was not asked for.
    listens: Duration,
}

/// What came of a ClientHello that no handshake follows.
pub(super) struct Exchange {
    /// The server's answer.
    pub flight: Result<Flight, Failure>,
    /// Whether the server was ready for TLS at all.
    pub began_tls: bool,
    /// Bytes sent and received.
    pub bytes: u64,
    /// What was said up to the hello, and in its place.
    pub session: Session,
}

impl Exchange {
    /// No dialog at all.
    pub fn none(failure: Failure) -> Self {
        Self { flight: Err(failure), began_tls: false, bytes: 0, session: Session::not_attempted("there was no dialog") }
    }
}

impl<'a, S> Dialog<'a, S> {
    /// The dialog goes on inside TLS: nothing that was read before counts any more (RFC 3207, 4.2).
    fn inside_tls(stream: S, patience: &'a Patience, is_implicit: bool, transcript: Vec<Line>, start: Instant) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            patience,
            is_implicit,
            transcript,
            start,
            is_over: false,
            bytes: 0,
            listens: Duration::ZERO,
        }
    }
}

impl<'a> Dialog<'a, TcpStream> {
    pub(super) fn new(stream: TcpStream, patience: &'a Patience, is_implicit: bool) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            patience,
            is_implicit,
            transcript: Vec::new(),
            start: Instant::now(),
            is_over: false,
            bytes: 0,
            listens: Duration::ZERO,
        }
    }

    /// Waits so long before the hello.
    pub(super) fn listening(self, listens: Duration) -> Self {
        Self { listens, ..self }
    }

    /// Holds the dialog up to STARTTLS, sends these bytes where a ClientHello is due, reads what is answered in the
    /// clear, and says goodbye.
    pub(super) async fn exchange(mut self, ehlo: &str, hello: &[u8], version: Version) -> Exchange {
        let mut session = Session::not_attempted("the dialog did not get that far");
        let began_tls = self.is_implicit || self.until_starttls(ehlo, &mut session).await;
        if !began_tls {
            self.say_helo_instead(ehlo, &mut session).await;
            self.quit(&mut session).await;
            return Exchange { flight: Err(why_no_tls(&session)), began_tls, bytes: self.bytes, session };
        }
        let mut reader = FlightReader::default();
        let read = async {
            self.stream.write_all(hello).await.map_err(|error| io_failure(&error))?;
            let mut chunk = [0; 8192];
            loop {
                let count = match self.stream.read(&mut chunk).await {
                    // An end in the middle is no word about the offer, and neither is it silence.
                    Ok(0) if reader.bytes() > 0 => return Err(in_the_middle("closed")),
                    Ok(0) => return Err(Failure::Closed),
                    Ok(count) => count,
                    Err(error) => match io_failure(&error) {
                        Failure::Reset if reader.bytes() > 0 => return Err(in_the_middle("reset")),
                        failure => return Err(failure),
                    },
                };
                match reader.push(&chunk[..count]) {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    // What is no TLS from its first byte on may be words, and those are kept.
                    Err(_) if reader.bytes() == count && !handshake::is_tls(&chunk[..count]) => {
                        return Err(handshake::not_tls(&chunk[..count]));
                    }
                    Err(error) => {
                        let closing = Reply::closing(&chunk[..count]);
                        return Err(closing.map_or_else(|| Failure::Tls(error.to_string()), Failure::put_off));
                    }
                }
            }
        };
        let outcome = timeout(self.patience.handshake, read).await.unwrap_or_else(|_| Err(timed_out(self.patience.handshake)));
        let bytes = self.bytes + count(hello.len()) + count(reader.bytes());
        let flight = outcome.map(|()| reader.into_flight());
        if let Ok(Flight { alert: None, ssl2: None, hello: answered, .. }) = &flight {
            let version = answered.as_ref().map_or(version, |hello| hello.version);
            let _ = timeout(QUIT_PATIENCE, self.stream.write_all(&goodbye(version))).await;
        }
        let _ = timeout(QUIT_PATIENCE, self.stream.shutdown()).await;
        // What arrived meanwhile is taken, or the system would answer it with a reset.
        let mut chunk = [0; 8192];
        while matches!(self.stream.try_read(&mut chunk), Ok(count) if count > 0) {}
        if let Err(failure) = &flight
            && failure.in_clear().is_some()
        {
            session.tls = Observed::Failed(failure.clone());
        }
        Exchange { flight, began_tls, bytes, session }
    }

    /// Holds the dialog up to STARTTLS and does a handshake as it is wanted; quits inside TLS.
    pub(super) async fn shake(
        mut self,
        ehlo: &str,
        wanted: &handshake::Wanted,
        session: &mut Session,
    ) -> Result<handshake::Handshake, Failure> {
        if !self.is_implicit && !self.until_starttls(ehlo, session).await {
            self.quit(session).await;
            return Err(why_no_tls(session));
        }
        let mut result = handshake::connect(self.stream, wanted, self.patience.handshake).await;
        if let Err(failure) = &result.outcome
            && failure.in_clear().is_some()
        {
            session.tls = Observed::Failed(failure.clone());
        }
        if let Ok((stream, _)) = &mut result.outcome {
            let _ = timeout(QUIT_PATIENCE, async {
                stream.write_all(b"QUIT\r\n").await?;
                stream.flush().await?;
                // The farewell itself is of no interest, only that it was said.
                let mut farewell = [0; 512];
                let _ = stream.read(&mut farewell).await?;
                stream.shutdown().await
            })
            .await;
        }
        Ok(result)
    }

    /// Asks in the clear whether mail may be sent; no recipient is named and no message follows.
    pub(super) async fn mail_in_clear(mut self, ehlo: &str, session: &mut Session) -> Result<Reply, Failure> {
        self.greeted(ehlo, session).await?;
        let reply = seen(self.ask("MAIL FROM:<>").await)?;
        if reply.is_positive() {
            self.ask("RSET").await;
        }
        self.leave().await;
        Ok(reply)
    }

    /// Up to the reply to EHLO.
    async fn greeted(&mut self, ehlo: &str, session: &mut Session) -> Result<Ehlo, Failure> {
        let greeting = self.read_reply(self.patience.greeting).await?;
        let refused = refusal(&greeting);
        session.greeting = Observed::Seen(greeting);
        if let Some(refused) = refused {
            return Err(refused);
        }
        session.ehlo = self.say_ehlo(ehlo).await;
        seen(session.ehlo.clone())
    }

    /// Holds the dialog to its end and fills the session with what was seen. True where the server answered the
    /// handshake and would not go on with it before it had shown its certificate: something plainer may show more.
    pub(super) async fn hold(mut self, name: &Name, ehlo: &str, session: &mut Session) -> Option<Refused> {
        if self.is_implicit {
            session.starttls = Observed::NotAttempted(View::IMPLICIT.to_owned());
        }
        let secured = self.is_implicit || self.until_starttls(ehlo, session).await;
        if !secured
            && self.patience.active
            && self.bytes == 0
            && matches!(session.greeting, Observed::Failed(Failure::TimedOut { .. }))
        {
            self.hello_instead(name, session).await;
            return None;
        }
        if !secured {
            self.ask_why(ehlo, session).await;
            self.quit(session).await;
            session.transcript = self.transcript;
            return None;
        }
        let (inside, refusal) = self.shake_hands(name, session).await;
        if let Some(mut inside) = inside {
            if inside.is_implicit {
                inside.greet_inside(ehlo, session).await;
            } else {
                session.ehlo_after = inside.say_ehlo(ehlo).await;
            }
            inside.quit(session).await;
            // close_notify; what the server does about it no longer matters.
            let _ = timeout(QUIT_PATIENCE, inside.stream.shutdown()).await;
            session.transcript = inside.transcript;
        }
        refusal
    }

    /// Does the usual handshake, fills the session with what it shows, and gives the dialog inside; or how it was refused.
    async fn shake_hands(self, name: &Name, session: &mut Session) -> (Option<Dialog<'a, Secured>>, Option<Refused>) {
        let Self { stream, patience, is_implicit, mut transcript, start, .. } = self;
        let result = handshake::connect(stream, &handshake::Wanted::usual(name), patience.handshake).await;
        // What fails after the certificate is another matter than what was offered.
        let refusal = result.refusal.filter(|_| result.certificates.is_none());
        session.certificates = match result.certificates {
            Some(certificates) => Observed::Seen(certificates),
            None => Observed::NotAttempted("the handshake ended before the certificate".to_owned()),
        };
        if let Some(staple) = result.staple {
            session.staple = Observed::Seen(staple);
        }
        if let Some(possession) = result.possession {
            session.possession = Observed::Seen(possession);
        }
        match (result.certificate_request, &result.outcome) {
            (Some(ca_bytes), _) => session.client_certificate = Observed::Seen(ClientCertificate::Requested { ca_bytes }),
            (None, Ok(_)) => session.client_certificate = Observed::Seen(ClientCertificate::NotRequested),
            (None, Err(_)) => {}
        }
        let event = match &result.outcome {
            Ok((_, tls)) => format!("{} {}", tls.version, tls.suite),
            Err(failure) => failure.to_string(),
        };
        transcript.push(line(Speaker::Event, event.as_bytes(), start));
        match result.outcome {
            Ok((stream, tls)) => {
                session.tls = Observed::Seen(tls);
                let inside = Dialog::inside_tls(stream, patience, is_implicit, transcript, start);
                (Some(inside), refusal)
            }
            Err(failure) => {
                if session.certificates.seen().is_none() {
                    session.certificates = Observed::Failed(failure.clone());
                }
                session.tls = Observed::Failed(failure);
                session.transcript = transcript;
                (None, refusal)
            }
        }
    }

    /// Where no greeting came in its time, the server may have waited for a ClientHello. With `--active` it gets one on the
    /// connection that would be closed now; what it says of TLS there is nothing that a sender would see.
    async fn hello_instead(mut self, name: &Name, session: &mut Session) {
        let result = handshake::connect(self.stream, &handshake::Wanted::usual(name), QUIT_PATIENCE).await;
        if result.outcome.is_ok() || result.certificates.is_some() || result.refusal.is_some() {
            let failure = Failure::NotSmtp("the server speaks TLS from the first byte".to_owned());
            self.transcript.push(line(Speaker::Event, failure.to_string().as_bytes(), self.start));
            session.greeting = Observed::Failed(failure);
        }
        if let Ok((mut stream, _)) = result.outcome {
            let _ = timeout(QUIT_PATIENCE, stream.shutdown()).await;
        }
        session.transcript = self.transcript;
    }

    /// Where STARTTLS is not offered: what people take for evidence, and what the server says to the command all the same.
    /// A server that does not know EHLO is greeted in the old way.
    async fn ask_why(&mut self, ehlo: &str, session: &mut Session) {
        match &session.ehlo {
            Observed::Seen(offered) if !offered.offers("STARTTLS") => {
                session.help = self.ask("HELP").await;
                // 211 and 214 answer HELP (RFC 5321, 4.1.1.8): 250 is the rest of a reply that came in pieces.
                if let Observed::Seen(rest) = &session.help
                    && rest.code == 250
                {
                    session.ehlo = Observed::Failed(Failure::Unsolicited(WireText::from(rest.to_string())));
                    let why = "it is not known what was offered";
                    session.starttls = Observed::NotAttempted(why.to_owned());
                    session.tls = Observed::NotAttempted(why.to_owned());
                    session.certificates = Observed::NotAttempted(why.to_owned());
                    self.is_over = true;
                }
                if self.is_over {
                    return;
                }
                session.unoffered_starttls = self.ask("STARTTLS").await;
                // It waits for a handshake now, and not for a farewell.
                self.is_over |= session.unoffered_starttls.seen().is_some_and(|reply| reply.code == 220);
            }
            _ => _ = self.say_helo_instead(ehlo, session).await,
        }
    }

    /// Greets a server that does not know EHLO in the old way; true where it takes that.
    async fn say_helo_instead(&mut self, ehlo: &str, session: &mut Session) -> bool {
        if matches!(&session.ehlo, Observed::Failed(Failure::EhloRefused(reply)) if reply.is_about_the_command()) {
            session.helo = self.ask(&format!("HELO {ehlo}")).await;
        }
        session.helo.seen().is_some_and(Reply::is_positive)
    }

    /// What the server says first, in the clear.
    pub(super) async fn greeting(mut self) -> Result<Reply, Failure> {
        self.read_reply(self.patience.greeting.min(GREETING_PATIENCE)).await
    }

    /// Takes what the server says where it has to wait for a hello. What has come already is taken without waiting.
    async fn wait_before_hello(&mut self) {
        let mut chunk = [0; 512];
        let count = match self.listens {
            Duration::ZERO => self.stream.try_read(&mut chunk),
            wait => timeout(wait, self.stream.read(&mut chunk)).await.unwrap_or_else(|_| Err(io::ErrorKind::WouldBlock.into())),
        };
        self.buffer.extend_from_slice(&chunk[..count.unwrap_or_default()]);
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
        // What follows the last line of the reply may be the rest of it, by a server that does not know how to say so.
        if !offered.offers("STARTTLS") && !self.buffer.is_empty() {
            session.ehlo = Observed::Failed(self.behind_the_reply());
            return false;
        }
        if !offered.offers("STARTTLS") {
            let why = "STARTTLS was not offered".to_owned();
            session.starttls = Observed::NotAttempted(why.clone());
            session.tls = Observed::NotAttempted(why.clone());
            session.certificates = Observed::NotAttempted(why);
            return false;
        }
        session.starttls = self.ask("STARTTLS").await;
        match &session.starttls {
            // RFC 3207, 4 says 220; senders take every positive reply.
            Observed::Seen(reply) if reply.is_positive() => {}
            Observed::Seen(reply) => {
                let why = format!("STARTTLS was answered {reply}");
                session.tls = Observed::NotAttempted(why.clone());
                session.certificates = Observed::NotAttempted(why);
                return false;
            }
            _ => return false,
        }
        if self.buffer.is_empty() {
            self.wait_before_hello().await;
        }
        if !self.buffer.is_empty() {
            session.tls = Observed::Failed(self.before_tls());
            return false;
        }
        true
    }
}

/// What was asked for was seen, or it failed.
fn seen<T>(observed: Observed<T>) -> Result<T, Failure> {
    match observed {
        Observed::Seen(value) => Ok(value),
        Observed::Failed(failure) => Err(failure),
        Observed::NotAttempted(why) => Err(Failure::Local(why)),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<'_, S> {
    /// The beginning of the dialog where it begins inside TLS.
    async fn greet_inside(&mut self, ehlo: &str, session: &mut Session) {
        let greeting = match self.read_reply(self.patience.greeting).await {
            Ok(greeting) => greeting,
            Err(failure) => return session.greeting = Observed::Failed(failure),
        };
        let refused = refusal(&greeting);
        session.greeting = Observed::Seen(greeting);
        session.ehlo = match refused {
            Some(refused) => Observed::Failed(refused),
            None => self.say_ehlo(ehlo).await,
        };
        session.ehlo_after = session.ehlo.clone();
    }

    async fn say_ehlo(&mut self, name: &str) -> Observed<Ehlo> {
        match self.ask(&format!("EHLO {name}")).await {
            Observed::Seen(reply) if reply.code == 250 => Observed::Seen(Ehlo::from_reply(&reply)),
            // Whoever minds the name will mind it again, be the code a temporary one.
            Observed::Seen(reply) if reply.is_transient() && !reply.is_about_the_name() => {
                Observed::Failed(Failure::put_off(reply))
            }
            // Of the command, not of the client: a policy on names, or a server without extensions.
            Observed::Seen(reply) => Observed::Failed(Failure::EhloRefused(reply)),
            Observed::Failed(failure) => Observed::Failed(failure),
            Observed::NotAttempted(why) => Observed::NotAttempted(why),
        }
    }

    async fn quit(&mut self, session: &mut Session) {
        // Where nothing was understood, or nobody listens any more, there is nobody to say goodbye to.
        if session.greeting.seen().is_none() {
            return;
        }
        if self.is_over {
            let is_late = |reply: &Observed<Reply>| matches!(reply, Observed::Failed(Failure::TimedOut { .. }));
            let is_ehlo_late = matches!(session.ehlo, Observed::Failed(Failure::TimedOut { .. }));
            if is_ehlo_late
                || [&session.helo, &session.help, &session.starttls, &session.unoffered_starttls].into_iter().any(is_late)
            {
                self.transcript.push(line(Speaker::Client, b"QUIT", self.start));
                let _ = timeout(QUIT_PATIENCE, self.stream.write_all(b"QUIT\r\n")).await;
            }
            return;
        }
        session.quit = match timeout(QUIT_PATIENCE, self.ask("QUIT")).await {
            Ok(reply) => reply,
            Err(_) => Observed::Failed(timed_out(QUIT_PATIENCE)),
        };
    }

    /// Says QUIT where nobody keeps what is answered.
    async fn leave(&mut self) {
        let _ = timeout(QUIT_PATIENCE, self.ask("QUIT")).await;
    }

    /// What came after a reply that was the last for now. A server may say at any time that it closes (RFC 5321, 3.8).
    fn behind_the_reply(&self) -> Failure {
        let unsolicited = || Failure::Unsolicited(WireText::from_bytes(&self.buffer[..self.buffer.len().min(200)]));
        Reply::closing(&self.buffer).map_or_else(unsolicited, Failure::put_off)
    }

    /// What came with the reply to STARTTLS: in the clear it would be taken for TLS (RFC 3207, 4.2 and 6), and what begins
    /// like a record of TLS is no clear text.
    fn before_tls(&self) -> Failure {
        if !handshake::is_tls(&self.buffer) {
            return self.behind_the_reply();
        }
        match self.buffer.as_slice() {
            [21, 3, _, 0, 2, _, alert, ..] => Failure::unasked_alert(Alert(*alert)),
            _ => Failure::Tls("the server began TLS before it was sent a hello".to_owned()),
        }
    }

    /// Sends one command and reads its reply.
    async fn ask(&mut self, command: &str) -> Observed<Reply> {
        if !self.buffer.is_empty() {
            return Observed::Failed(self.behind_the_reply());
        }
        self.transcript.push(line(Speaker::Client, command.as_bytes(), self.start));
        let wire = format!("{command}\r\n");
        let sent = timeout(self.patience.reply, async {
            self.stream.write_all(wire.as_bytes()).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(Ok(())) => self.bytes += count(wire.len()),
            Ok(Err(error)) => return Observed::Failed(io_failure(&error)),
            Err(_) => return Observed::Failed(timed_out(self.patience.reply)),
        }
        match self.read_reply(self.patience.reply).await {
            // RFC 5321, 3.8: 421 may come at any time, in answer to anything.
            Ok(reply) if reply.code == 421 => Observed::Failed(Failure::put_off(reply)),
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
                        Err(error) => return Err(not_smtp(&self.buffer, &error)),
                    }
                }
                self.buffer.clear();
                taken = 0;
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await {
                    Ok(0) => return Err(Failure::Closed),
                    Ok(read) => {
                        self.bytes += count(read);
                        self.buffer.extend_from_slice(&chunk[..read]);
                    }
                    Err(error) => return Err(io_failure(&error)),
                }
            }
        });
        let outcome = read.await.unwrap_or_else(|_| Err(timed_out(patience)));
        self.is_over = match &outcome {
            Ok(reply) => reply.code == 421,
            // What comes after its time would be taken for the answer to the next command.
            Err(failure) => matches!(failure, Failure::Closed | Failure::Reset | Failure::TimedOut { .. }),
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

fn line(from: Speaker, text: &[u8], start: Instant) -> Line {
    Line { from, text: WireText::from_bytes(text), millis: millis_since(start) }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
