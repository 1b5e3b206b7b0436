//! One SMTP dialog, as a persona holds it and the plan's fault bends it.

use std::{io, net::IpAddr, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::tls::{Inside, Tls};
use crate::{
    lab::{ServerOrder, persona::Persona},
    plan::{Answer, GreetingPlan, Offer},
};

/// What a server needs for each connection.
pub(super) struct Dialog {
    pub persona: &'static Persona,
    pub order: ServerOrder,
    /// None where TLS is off.
    pub tls: Option<Tls>,
}

/// RFC 5321, 4.5.3.2.7: a server waits five minutes for a command.
const IDLE: Duration = Duration::from_secs(300);
/// Longer command lines end the connection.
const MAX_LINE: u64 = 4096;
/// Longer messages are swallowed up to here, then the connection ends.
const MAX_MESSAGE: u64 = 64 * 1024 * 1024;

/// How the plaintext part of a connection ended.
enum Next {
    Close,
    StartTls,
}

impl Dialog {
    /// Holds the whole dialog with one client.
    pub async fn hold(&self, stream: TcpStream, client: IpAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut plain = Connection { dialog: self, client, helo: String::new(), in_tls: false, stream: BufReader::new(stream) };
        if !plain.greet().await? || !matches!(plain.commands().await?, Next::StartTls) {
            return plain.stream.shutdown().await;
        }
        // What a client sent after STARTTLS in the clear is discarded with the buffer (RFC 3207, 4.2).
        let stream = plain.stream.into_inner();
        let Some(tls) = &self.tls else { return Ok(()) };
        let Some(stream) = timeout(IDLE, tls.accept(stream)).await?? else { return Ok(()) };
        let stream = BufReader::new(stream);
        let mut inside = Connection { dialog: self, client, helo: String::new(), in_tls: true, stream };
        if let Some(refusal) = self.refusal_without_certificate(inside.stream.get_ref()) {
            inside.read_line().await?;
            inside.say(refusal).await?;
            return inside.stream.shutdown().await;
        }
        inside.commands().await?;
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

    /// Whether EHLO offers STARTTLS to this client.
    fn offers_starttls_to(&self, client: IpAddr) -> bool {
        match &self.order.plan.offer {
            Offer::Everyone => true,
            Offer::Nobody | Offer::Masked => false,
            Offer::OnlyTo(names) => names.iter().any(|name| self.order.sources.get(name) == Some(&client)),
        }
    }
}

/// What a server says to these commands in the clear, for the fuzz targets.
#[cfg(any(test, fuzzing))]
pub(crate) async fn replies_to(order: &ServerOrder, persona: &'static Persona, commands: impl AsyncRead + Unpin) -> Vec<u8> {
    let dialog = Dialog { persona, order: order.clone(), tls: None };
    let client = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let stream = BufReader::new(tokio::io::join(commands, Vec::new()));
    let mut connection = Connection { dialog: &dialog, client, helo: String::new(), in_tls: false, stream };
    // A client that goes away in mid-dialog is none of the server's errors.
    let _ = connection.commands().await;
    connection.stream.into_inner().into_inner().1
}

struct Connection<'a, S> {
    dialog: &'a Dialog,
    client: IpAddr,
    helo: String,
    in_tls: bool,
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Whether the dialog goes on after the greeting.
    async fn greet(&mut self) -> io::Result<bool> {
        let greetings = &self.dialog.persona.greeting;
        let greeting = match self.dialog.order.plan.greeting {
            GreetingPlan::Ready => &greetings.ready,
            GreetingPlan::Throttled => &greetings.throttled,
            GreetingPlan::Blocked => &greetings.blocked,
        };
        self.say(&greeting.says).await?;
        // RFC 5321, 3.1: after a 554 greeting the server waits for QUIT; after 421 it closes.
        if let (GreetingPlan::Blocked, Some(refusal)) = (self.dialog.order.plan.greeting, &greetings.after_blocked) {
            while let Some(line) = self.read_line().await? {
                if line.eq_ignore_ascii_case("QUIT") {
                    self.say(self.dialog.persona.reply_to("QUIT")).await?;
                    break;
                }
                self.say(&refusal.says).await?;
            }
        }
        Ok(self.dialog.order.plan.greeting == GreetingPlan::Ready)
    }

    async fn commands(&mut self) -> io::Result<Next> {
        while let Some(line) = self.read_line().await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    self.helo = argument.trim().to_owned();
                    self.say_ehlo().await?;
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
                    self.say(self.dialog.persona.reply_to(".")).await?;
                }
                "QUIT" => {
                    self.say(self.dialog.persona.reply_to("QUIT")).await?;
                    return Ok(Next::Close);
                }
                _ => {
                    if verb == "HELO" {
                        self.helo = argument.trim().to_owned();
                    }
                    self.say_about(self.dialog.persona.reply_to(&verb), &verb).await?;
                }
            }
        }
        Ok(Next::Close)
    }

    async fn starttls(&mut self) -> io::Result<Option<Next>> {
        let replies = &self.dialog.persona.starttls;
        let plan = &self.dialog.order.plan;
        if self.in_tls {
            self.say(&replies.already_active.says).await?;
        } else if plan.offer == Offer::Masked {
            // The middlebox writes X over the command, so the server sees one that it does not know.
            self.say_about(self.dialog.persona.reply_to("XXXX"), "XXXX").await?;
        } else if !self.dialog.offers_starttls_to(self.client) {
            self.say_about(&replies.not_offered.says, "STARTTLS").await?;
        } else if plan.answer == Answer::Unavailable {
            self.say(&replies.unavailable.says).await?;
        } else {
            self.say(&replies.ready.says).await?;
            return Ok(Some(Next::StartTls));
        }
        Ok(None)
    }

    async fn say_ehlo(&mut self) -> io::Result<()> {
        let plan = &self.dialog.order.plan;
        let offered = if self.in_tls { plan.offered_in_tls } else { self.dialog.offers_starttls_to(self.client) };
        let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let mut lines = vec![self.dialog.persona.ehlo.first.clone()];
        for keyword in self.dialog.persona.keywords(self.in_tls) {
            if keyword == "STARTTLS" {
                match &plan.offer {
                    Offer::Masked if !self.in_tls => lines.push("XXXXXXXA".to_owned()),
                    _ if offered => lines.push(keyword.clone()),
                    _ => {}
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

    /// Fills the placeholders and sends the reply.
    async fn say_about(&mut self, reply: &str, verb: &str) -> io::Result<()> {
        let plan = &self.dialog.order.plan;
        let helo = if self.helo.is_empty() { self.client.to_string() } else { self.helo.clone() };
        let mut text = reply.replace('\n', "\r\n");
        let values = [
            ("{greeting-name}", plan.greeting_name.as_str()),
            ("{ehlo-name}", &plan.ehlo_name),
            ("{host}", plan.host.as_str()),
            ("{client}", &self.client.to_string()),
            ("{date}", &date()),
            // Last, since these two are the client's own words: they are not searched again.
            ("{verb}", verb),
            ("{helo}", &helo),
        ];
        for (placeholder, value) in values {
            text = text.replace(placeholder, value);
        }
        text.push_str("\r\n");
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
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
