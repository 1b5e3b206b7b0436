//! One SMTP dialog, as a persona holds it and the plan's fault bends it.

mod trouble;

use std::{io, net::IpAddr, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    tls::{Inside, Tls},
    visited::{Teller, Visit, Visits},
};
use crate::{
    lab::{ServerOrder, persona::Persona},
    plan::{Answer, GreetingPlan, Offer},
    scenario::{BreakKind, InTurn, LineEnds, PairFault, Stage},
    wire::WireText,
};

/// What a server needs for each connection.
pub(super) struct Dialog {
    pub persona: &'static Persona,
    pub order: ServerOrder,
    /// None where TLS is off.
    pub tls: Option<Tls>,
    pub visits: Visits,
    /// Whom to tell what clients do.
    pub teller: Option<Teller>,
}

/// RFC 5321, 4.5.3.2.7: a server waits five minutes for a command.
const IDLE: Duration = Duration::from_secs(300);
/// Longer command lines end the connection.
const MAX_LINE: u64 = 4096;
/// Longer messages are swallowed up to here, then the connection ends.
const MAX_MESSAGE: u64 = 64 * 1024 * 1024;

/// How the plaintext part of a connection ended.
#[derive(PartialEq, Eq)]
enum Next {
    Close,
    Reset,
    /// With the commands that came along in the same piece, where the server keeps them.
    StartTls(Vec<u8>),
}

/// A record of TLS: handshake_failure, fatal (RFC 8446, 6).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// What a server says in the clear where TLS should begin.
const OK: &[u8] = b"250 2.0.0 Ok\r\n";
/// What servers say that know HELO only.
const NO_EHLO: &str = "502 5.5.1 Error: command not implemented";
/// Temporary, and no word of TLS.
const PUT_OFF: &str = "451 4.3.0 Error: queue file write error";
/// What somebody else adds to the 220.
const FOLLOWS: &str = "250 2.1.0 injected";
/// What Postfix says to a second MAIL.
const NESTED: &str = "503 5.5.1 Error: nested MAIL command";

impl Dialog {
    /// Holds the whole dialog with one client.
    pub async fn hold(&self, stream: TcpStream, client: IpAddr) -> io::Result<()> {
        let visit = self.visits.begin(client);
        let Some(teller) = &self.teller else { return self.hold_visit(stream, client, &visit).await };
        let held = timeout(teller.limit, self.hold_visit(stream, client, &visit)).await;
        match &held {
            Ok(Ok(())) => {}
            Ok(Err(error)) => visit.note(|seen| seen.failure = Some(WireText::from(error.to_string()))),
            Err(_) => visit.note(|seen| seen.failure = Some(WireText::from("it did not come to an end"))),
        }
        visit.note(|seen| teller.tell(seen.clone()));
        held.unwrap_or(Ok(()))
    }

    async fn hold_visit(&self, mut stream: TcpStream, client: IpAddr, visit: &Visit<'_>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let is_implicit = self.order.plan.dialog.implicit_tls.is_some();
        let mut has_mail = false;
        let kept = if is_implicit {
            Vec::new()
        } else {
            let mut plain = Connection {
                dialog: self,
                client,
                visit,
                helo: String::new(),
                in_tls: false,
                has_mail: false,
                stream: BufReader::new(stream),
            };
            let next = match plain.greet().await? {
                None => plain.commands().await?,
                Some(end) => end,
            };
            has_mail = plain.has_mail && self.order.plan.dialog.keeps_transaction.is_some();
            // What a client sent after STARTTLS in the clear is discarded with the buffer (RFC 3207, 4.2).
            stream = plain.stream.into_inner();
            match next {
                Next::StartTls(kept) => kept,
                Next::Close => return stream.shutdown().await,
                Next::Reset => return stream.set_zero_linger(),
            }
        };
        let Some(tls) = &self.tls else { return Ok(()) };
        if self.order.plan.dialog.breaks.is_some_and(|broken| (broken.at, broken.r#do) == (Stage::Quit, BreakKind::Reset)) {
            // Below TLS the connection is out of reach at its end.
            stream.set_zero_linger()?;
        }
        let accepted = timeout(IDLE, tls.accept(stream, self.is_among(&self.order.plan.other_certificate_to, client))).await?;
        let Some(stream) = accepted? else {
            visit.note(|seen| seen.failure = Some(WireText::from("the handshake ends here, as the scenario has it")));
            return Ok(());
        };
        visit.note(|seen| seen.tls = Some(stream.negotiated()));
        let stream = BufReader::new(stream);
        let mut inside = Connection { dialog: self, client, visit, helo: String::new(), in_tls: true, has_mail, stream };
        if is_implicit && inside.greet().await?.is_some() {
            return inside.stream.shutdown().await;
        }
        for line in kept.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let verb = String::from_utf8_lossy(line).trim().to_ascii_uppercase();
            inside.say_about(self.persona.reply_to(&verb), &verb).await?;
        }
        if let Some(refusal) = self.refusal_without_certificate(inside.stream.get_ref()) {
            inside.read_line().await?;
            inside.say(refusal).await?;
            return inside.stream.shutdown().await;
        }
        if inside.commands().await? == Next::Reset {
            return Ok(());
        }
        if self.order.plan.tls.no_close_notify {
            return inside.stream.get_mut().below().shutdown().await;
        }
        inside.stream.shutdown().await
    }

    /// What is said to a client that had to show a certificate and did not, where the handshake does not say it.
    fn refusal_without_certificate(&self, stream: &Inside) -> Option<&'static str> {
        let asked = self.order.plan.tls.client_certificate?;
        let is_shown = stream.has_client_certificate();
        let refusal = self.persona.starttls.no_client_certificate.as_ref()?;
        (asked.required == Some(true) && !is_shown).then_some(refusal.says.as_str())
    }

    /// Whether mail is refused without TLS: Postfix insists on it where it demands a certificate.
    fn requires_tls(&self) -> bool {
        let tls = &self.order.plan.tls;
        let is_demanded = tls.client_certificate.is_some_and(|asked| asked.required == Some(true));
        tls.required || (is_demanded && self.persona.starttls.no_client_certificate.is_some())
    }

    /// Whether EHLO offers STARTTLS to this client.
    fn offers_starttls_to(&self, client: IpAddr) -> bool {
        match &self.order.plan.offer {
            Offer::Everyone => true,
            Offer::Nobody | Offer::Masked => false,
            Offer::OnlyTo(names) => self.is_among(names, client),
        }
    }

    /// Whether a client comes from one of these vantage points.
    fn is_among(&self, vantages: &[String], client: IpAddr) -> bool {
        vantages.iter().any(|name| self.order.sources.get(name) == Some(&client))
    }
}

/// What a server says to these commands in the clear, for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) async fn replies_to(order: &ServerOrder, persona: &'static Persona, commands: impl AsyncRead + Unpin) -> Vec<u8> {
    let dialog = Dialog { persona, order: order.clone(), tls: None, visits: Visits::default(), teller: None };
    let client = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let visit = dialog.visits.begin(client);
    let stream = BufReader::new(tokio::io::join(commands, Vec::new()));
    let mut connection =
        Connection { dialog: &dialog, client, visit: &visit, helo: String::new(), in_tls: false, has_mail: false, stream };
    // A client that goes away in mid-dialog is none of the server's errors.
    let _ = connection.commands().await;
    connection.stream.into_inner().into_inner().1
}

struct Connection<'a, S> {
    dialog: &'a Dialog,
    client: IpAddr,
    visit: &'a Visit<'a>,
    helo: String,
    in_tls: bool,
    /// Whether a mail transaction is open.
    has_mail: bool,
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// How the dialog ends with the greeting; none where it goes on.
    async fn greet(&mut self) -> io::Result<Option<Next>> {
        let greetings = &self.dialog.persona.greeting;
        let fault = &self.dialog.order.plan.dialog;
        let is_one_too_many = fault.at_once.is_some_and(|most| self.visit.at_once > most)
            || fault.per_minute.is_some_and(|most| self.visit.in_a_minute > most as usize);
        if is_one_too_many {
            self.say(&greetings.throttled.says).await?;
            return Ok(Some(Next::Close));
        }
        let is_blocked = self.dialog.is_among(&self.dialog.order.plan.blocks, self.client);
        let kind = if is_blocked { GreetingPlan::Blocked } else { self.dialog.order.plan.greeting };
        let greeting = match kind {
            GreetingPlan::Ready => &greetings.ready,
            GreetingPlan::Throttled => &greetings.throttled,
            GreetingPlan::Blocked => &greetings.blocked,
        };
        if let Some(end) = self.trouble(Stage::Greeting, &greeting.says).await? {
            return Ok(Some(end));
        }
        match self.other_words("greeting") {
            Some(says) => {
                self.say(&says).await?;
                return Ok(None);
            }
            None => {
                if fault.teaser.is_some() && self.speaks_early(&greeting.says).await? {
                    return Ok(Some(Next::Close));
                }
                self.say(&greeting.says).await?;
            }
        }
        // RFC 5321, 3.1: after a 554 greeting the server waits for QUIT; after 421 it closes.
        if let (GreetingPlan::Blocked, Some(refusal)) = (kind, &greetings.after_blocked) {
            while let Some(line) = self.read_line().await? {
                if line.eq_ignore_ascii_case("QUIT") {
                    self.say(self.dialog.persona.reply_to("QUIT")).await?;
                    break;
                }
                let is_ehlo = line.split(' ').next().is_some_and(|verb| verb.eq_ignore_ascii_case("EHLO"));
                let reply = greetings.ehlo_after_blocked.as_ref().filter(|_| is_ehlo).unwrap_or(refusal);
                self.say(&reply.says).await?;
            }
        }
        Ok((kind != GreetingPlan::Ready).then_some(Next::Close))
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The scenario's own words to a command in the clear.
    fn other_words(&self, verb: &str) -> Option<String> {
        let replies = &self.dialog.order.plan.dialog.replies;
        if self.in_tls { None } else { replies.get(verb).map(|lines| lines.join("\n")) }
    }

    async fn commands(&mut self) -> io::Result<Next> {
        while let Some(line) = self.read_line().await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    self.helo = argument.trim().to_owned();
                    self.visit.note(|seen| seen.helo = WireText::from(argument.trim()));
                    self.has_mail = false;
                    if let Some(end) = self.trouble(Stage::Ehlo, "250 ok").await? {
                        return Ok(end);
                    }
                    match self.other_words("EHLO") {
                        None if self.in_turn() == Some(InTurn::HeloOnly) && !self.in_tls => self.say(NO_EHLO).await?,
                        Some(says) => self.say(&says).await?,
                        None => self.say_ehlo().await?,
                    }
                }
                "STARTTLS" => {
                    if let Some(next) = self.starttls().await? {
                        return Ok(next);
                    }
                }
                "DATA" => {
                    self.say(self.dialog.persona.reply_to("DATA")).await?;
                    if !self.swallow_message().await? {
                        return Ok(Next::Close);
                    }
                    self.note_message();
                    self.say(self.dialog.persona.reply_to(".")).await?;
                }
                "BDAT" if self.dialog.persona.keywords(self.in_tls).iter().any(|keyword| keyword == "CHUNKING") => {
                    if !self.swallow_chunk(argument).await? {
                        return Ok(Next::Close);
                    }
                }
                "QUIT" => {
                    self.visit.note(|seen| seen.quit = true);
                    if let Some(end) = self.trouble(Stage::Quit, self.dialog.persona.reply_to("QUIT")).await? {
                        return Ok(end);
                    }
                    self.say(self.dialog.persona.reply_to("QUIT")).await?;
                    return Ok(Next::Close);
                }
                "MAIL" if self.dialog.requires_tls() && !self.in_tls => {
                    self.say(&self.dialog.persona.starttls.required.says).await?;
                }
                "MAIL" if self.has_mail => self.say(NESTED).await?,
                _ => {
                    if verb == "HELO" {
                        self.helo = argument.trim().to_owned();
                    }
                    self.has_mail = match verb.as_str() {
                        "MAIL" => true,
                        "RSET" | "HELO" => false,
                        _ => self.has_mail,
                    };
                    if let Some(says) = self.other_words(&verb) {
                        self.say(&says).await?;
                        continue;
                    }
                    self.say_about(self.dialog.persona.reply_to(&verb), &verb).await?;
                }
            }
        }
        Ok(Next::Close)
    }

    fn note_message(&self) {
        let in_tls = self.in_tls;
        self.visit.note(|seen| *(if in_tls { &mut seen.messages_in_tls } else { &mut seen.messages_in_clear }) += 1);
    }

    async fn starttls(&mut self) -> io::Result<Option<Next>> {
        self.visit.note(|seen| seen.asked = true);
        let replies = &self.dialog.persona.starttls;
        let plan = &self.dialog.order.plan;
        if let Some(end) = self.trouble(Stage::Starttls, &replies.ready.says).await? {
            return Ok(Some(end));
        }
        match plan.dialog.pair.filter(|_| !self.stream.buffer().is_empty()) {
            None => {}
            Some(PairFault::Closed) => return Ok(Some(Next::Close)),
            Some(PairFault::Refused) => {
                self.say("554 5.5.0 Error: SMTP protocol synchronization").await?;
                return Ok(None);
            }
        }
        if let Some(says) = self.other_words("STARTTLS") {
            self.say(&says).await?;
            return Ok(says.starts_with("220").then(|| self.start_tls()));
        }
        if self.in_tls {
            self.say(&replies.already_active.says).await?;
        } else if plan.offer == Offer::Masked || self.in_turn() == Some(InTurn::Masked) {
            // The middlebox writes X over the command, so the server sees one that it does not know.
            self.say_about(self.dialog.persona.reply_to("XXXX"), "XXXX").await?;
        } else if !self.offers_starttls() && plan.dialog.starttls_hidden.is_none() {
            self.say_about(&replies.not_offered.says, "STARTTLS").await?;
        } else if plan.answer == Answer::Unavailable || self.in_turn() == Some(InTurn::Refused) {
            self.say(&replies.unavailable.says).await?;
        } else if self.in_turn() == Some(InTurn::Closed) {
            return Ok(Some(Next::Close));
        } else if self.in_turn() == Some(InTurn::PutOff) {
            self.say(PUT_OFF).await?;
        } else if self.in_turn() == Some(InTurn::Followed) {
            self.say(&format!("{}\n{FOLLOWS}", replies.ready.says)).await?;
            return Ok(Some(self.start_tls()));
        } else if plan.dialog.breaks.is_some_and(|broken| (broken.at, broken.r#do) == (Stage::Handshake, BreakKind::Alert)) {
            // In one piece, so that no hello can come between.
            self.send(&[self.filled(&replies.ready.says, "").as_bytes(), &ALERT].concat()).await?;
            return Ok(Some(Next::Close));
        } else if plan.dialog.breaks.is_some_and(|broken| (broken.at, broken.r#do) == (Stage::Handshake, BreakKind::Plaintext)) {
            // Likewise.
            self.send(&[self.filled(&replies.ready.says, "").as_bytes(), OK].concat()).await?;
            self.wait_for_the_end().await?;
            return Ok(Some(Next::Close));
        } else {
            self.say(&replies.ready.says).await?;
            if self.in_turn() == Some(InTurn::Broken) {
                return Ok(Some(Next::Close));
            }
            if let Some(end) = self.trouble(Stage::Handshake, "").await? {
                return Ok(Some(end));
            }
            return Ok(Some(self.start_tls()));
        }
        Ok(None)
    }

    fn start_tls(&self) -> Next {
        let is_kept = self.dialog.order.plan.dialog.keeps_commands.is_some();
        Next::StartTls(if is_kept { self.stream.buffer().to_vec() } else { Vec::new() })
    }

    /// What becomes of STARTTLS in this connection, where it is another's turn.
    fn in_turn(&self) -> Option<InTurn> {
        self.dialog.order.plan.dialog.turns?.at(self.visit.number)
    }

    /// Whether this connection is offered STARTTLS.
    fn offers_starttls(&self) -> bool {
        let fault = &self.dialog.order.plan.dialog;
        let is_stranger =
            fault.starttls_only_for.as_ref().is_some_and(|names| !names.iter().any(|name| name.as_str() == self.helo));
        let is_left_out =
            matches!(self.in_turn(), Some(InTurn::Missing | InTurn::HeloOnly)) || is_stranger || fault.implicit_tls.is_some();
        self.dialog.offers_starttls_to(self.client) && !is_left_out
    }

    async fn say_ehlo(&mut self) -> io::Result<()> {
        let plan = &self.dialog.order.plan;
        let offered =
            if self.in_tls { plan.offered_in_tls } else { self.offers_starttls() && plan.dialog.starttls_hidden.is_none() };
        let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let mut lines = vec![self.dialog.persona.ehlo.first.clone()];
        for keyword in self.dialog.persona.keywords(self.in_tls) {
            if keyword == "STARTTLS" {
                let is_masked = plan.offer == Offer::Masked || self.in_turn() == Some(InTurn::Masked);
                if is_masked && !self.in_tls {
                    lines.push("XXXXXXXA".to_owned());
                } else if offered {
                    self.visit.note(|seen| seen.offered = true);
                    let is_garbled = self.in_turn() == Some(InTurn::Garbled) && !self.in_tls;
                    lines.push(if is_garbled { format!("{keyword}\0") } else { keyword.clone() });
                }
            } else if !plan.omit_keywords.iter().any(|omitted| omitted.eq_ignore_ascii_case(&word(keyword))) {
                lines.push(keyword.clone());
            }
        }
        if self.in_tls && offered && !lines.iter().any(|line| line == "STARTTLS") {
            lines.push("STARTTLS".to_owned());
        }
        lines.extend(plan.add_keywords.iter().cloned());
        let last = lines.len() - 1;
        let reply: Vec<_> =
            lines.iter().enumerate().map(|(i, line)| format!("250{}{line}", if i == last { ' ' } else { '-' })).collect();
        self.say(&reply.join("\n")).await
    }

    async fn say(&mut self, reply: &str) -> io::Result<()> {
        self.say_about(reply, "").await
    }

    async fn say_about(&mut self, reply: &str, verb: &str) -> io::Result<()> {
        let fault = &self.dialog.order.plan.dialog;
        if let Some(delay) = fault.delay.filter(|delay| delay.of == Stage::Every) {
            sleep(delay.by.0).await;
        }
        let text = self.filled(reply, verb);
        let text = match fault.line_ends {
            None => text,
            Some(LineEnds::Lf) => text.replace("\r\n", "\n"),
            Some(LineEnds::Cr) => text.replace("\r\n", "\r"),
        };
        match fault.latin_1 {
            None => self.send(text.as_bytes()).await,
            // Unicode begins with these letters.
            Some(_) => self.send(&text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<_>>()).await,
        }
    }

    /// The reply as it goes over the wire, with the placeholders filled.
    fn filled(&self, reply: &str, verb: &str) -> String {
        let plan = &self.dialog.order.plan;
        let helo = if self.helo.is_empty() { self.client.to_string() } else { self.helo.clone() };
        let mut text = reply.replace('\n', "\r\n");
        let values = [
            ("{greeting-name}", plan.greeting_name.as_str()),
            ("{ehlo-name}", &plan.ehlo_name),
            ("{host}", plan.host.as_str()),
            ("{client}", &self.client.to_string()),
            ("{date}", &date()),
            ("{starttls}", if !self.in_tls && self.offers_starttls() { "STARTTLS " } else { "" }),
            // Last, since these two are the client's own words: they are not searched again.
            ("{verb}", verb),
            ("{helo}", &helo),
        ];
        for (placeholder, value) in values {
            text = text.replace(placeholder, value);
        }
        text.push_str("\r\n");
        text
    }

    /// The next command line; none when the client has gone, fell silent, or sends no lines.
    async fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE);
        timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
        if line.pop_if(|last| *last == b'\n').is_none() {
            return Ok(None);
        }
        // telnet sends a typed or piped CR as CR NUL; servers written in C do not notice.
        while line.pop_if(|last| matches!(last, b'\r' | b'\0' | b' ')).is_some() {}
        // The client's words come back in replies (`Hello {helo}`): printable ones only.
        Ok(Some(String::from_utf8_lossy(&line).chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()))
    }

    /// Reads a piece of a message (RFC 3030, 2); false when it never comes to its end.
    async fn swallow_chunk(&mut self, argument: &str) -> io::Result<bool> {
        let mut words = argument.split_ascii_whitespace();
        let Some(size) = words.next().and_then(|size| size.parse::<u64>().ok()).filter(|size| *size <= MAX_MESSAGE) else {
            self.say("501 5.5.4 Syntax: BDAT count [LAST]").await?;
            return Ok(false);
        };
        let is_last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let mut chunk = (&mut self.stream).take(size);
        let read = timeout(IDLE, tokio::io::copy(&mut chunk, &mut tokio::io::sink())).await??;
        if read == size {
            if is_last {
                self.note_message();
            }
            self.say(if is_last { self.dialog.persona.reply_to(".") } else { "250 2.0.0 Ok" }).await?;
        }
        Ok(read == size)
    }

    /// Reads a message to its lone dot; false when it never comes.
    async fn swallow_message(&mut self) -> io::Result<bool> {
        let mut left = MAX_MESSAGE;
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.stream).take(left.min(64 * 1024));
            let read = timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
            left = left.saturating_sub(read as u64);
            if read == 0 || left == 0 {
                return Ok(false);
            }
            if line == b".\r\n" || line == b".\n" {
                return Ok(true);
            }
        }
    }
}

/// The wall clock in RFC 5322 form; redacted in snapshots.
fn date() -> String {
    OffsetDateTime::now_utc().format(&Rfc2822).unwrap_or_default()
}
