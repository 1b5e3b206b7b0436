//! What only `--active` asks: whether something from before TLS is remembered inside it.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{Dialog, QUIT_PATIENCE, seen};
use crate::{
    facts::{Failure, Injection, Observed, Session, Transaction},
    name::Name,
    probe::{
        failure::{io_failure, why_no_tls},
        handshake,
    },
    smtp::Reply,
    wire::WireText,
};

/// How long a server has at least to answer what it should have forgotten.
const INJECTION_PATIENCE: Duration = Duration::from_secs(2);

impl<'a> Dialog<'a, TcpStream> {
    /// Sends a command along with STARTTLS, and listens whether it is answered: by whom it came the server cannot know.
    /// None where the server hangs up on the two, which it may do by accident.
    pub(in crate::probe) async fn inject(
        mut self,
        name: &Name,
        ehlo: &str,
        commands: usize,
        session: &mut Session,
    ) -> Result<Option<Injection>, Failure> {
        self.offered(ehlo, session).await?;
        let asked = Instant::now();
        let wire = format!("STARTTLS\r\n{}", "NOOP\r\n".repeat(commands));
        self.stream.write_all(wire.as_bytes()).await.map_err(|error| io_failure(&error))?;
        let reply = match self.read_reply(self.patience.reply).await {
            Err(Failure::Closed | Failure::Reset) => return Ok(None),
            reply => reply?,
        };
        match reply.code {
            200..300 => {}
            // It takes STARTTLS alone, and not with more behind it: nothing is carried out in a TLS that is not begun.
            500.. => {
                self.leave().await;
                return Ok(Some(Injection::BrokeOff));
            }
            // A temporary reply is no word about the two together, and counts as it would alone.
            _ => {
                session.starttls = Observed::Seen(reply.clone());
                return Err(why_no_tls(session));
            }
        }
        session.starttls = Observed::Seen(reply);
        if !self.buffer.is_empty() {
            return match self.before_tls() {
                Failure::Unsolicited(answer) => Ok(Some(Injection::AnsweredInClear(answer))),
                failure => Err(failure),
            };
        }
        // Who is slow to answer one command is slow to answer the other.
        let patience = INJECTION_PATIENCE.max(asked.elapsed() * 2).min(self.patience.reply);
        // It may have taken the command for TLS, or answered it in the clear and late: nobody knows.
        let mut inside = self.inside(name).await?;
        let answer = inside.listen(patience, ehlo).await;
        if !inside.is_over {
            inside.leave().await;
        }
        let _ = timeout(QUIT_PATIENCE, inside.stream.shutdown()).await;
        answer.map(Some)
    }

    /// Sends STARTTLS alone: whether nothing more comes with the reply to it.
    pub(in crate::probe) async fn alone(mut self, ehlo: &str, session: &mut Session) -> Result<(), Failure> {
        match self.until_starttls(ehlo, session).await {
            true => Ok(()),
            false => Err(why_no_tls(session)),
        }
    }

    /// Up to a reply to EHLO that offers STARTTLS.
    async fn offered(&mut self, ehlo: &str, session: &mut Session) -> Result<(), Failure> {
        if self.greeted(ehlo, session).await?.offers("STARTTLS") {
            return Ok(());
        }
        self.leave().await;
        session.starttls = Observed::NotAttempted("STARTTLS was not offered".to_owned());
        Err(why_no_tls(session))
    }

    /// Begins a mail transaction, then TLS, and asks whether the transaction is still open.
    pub(in crate::probe) async fn transaction(
        mut self,
        name: &Name,
        ehlo: &str,
        session: &mut Session,
    ) -> Result<Transaction, Failure> {
        self.offered(ehlo, session).await?;
        let reply = seen(self.ask("MAIL FROM:<>").await)?;
        if !reply.is_positive() {
            self.leave().await;
            // Exchange demands TLS with a temporary reply.
            let is_put_off = reply.is_transient() && !reply.demands_tls();
            return if is_put_off { Err(Failure::Throttled(reply)) } else { Ok(Transaction::NotBegun(reply)) };
        }
        // Some servers take a second one at any time: how this one minds it is seen here, to be known again.
        let nested = seen(self.ask("MAIL FROM:<>").await)?;
        let reply = seen(self.ask("STARTTLS").await)?;
        if !reply.is_positive() {
            self.leave().await;
            if !reply.is_transient() {
                return Ok(Transaction::NoTls(reply));
            }
            session.starttls = Observed::Seen(reply);
            return Err(why_no_tls(session));
        }
        session.starttls = Observed::Seen(reply);
        if !self.buffer.is_empty() {
            let failure = self.before_tls();
            session.tls = Observed::Failed(failure.clone());
            return Err(failure);
        }
        let mut inside = self.inside(name).await?;
        let reply = seen(inside.ask("MAIL FROM:<>").await)?;
        inside.leave().await;
        let _ = timeout(QUIT_PATIENCE, inside.stream.shutdown()).await;
        Ok(transaction(&nested, reply))
    }

    /// The dialog goes on inside TLS.
    async fn inside(self, name: &Name) -> Result<Dialog<'a, TlsStream<handshake::Watched>>, Failure> {
        let Self { stream, patience, is_implicit, transcript, start, .. } = self;
        let result = handshake::connect(stream, &handshake::Wanted::usual(name), patience.handshake).await;
        let (stream, _) = result.outcome?;
        Ok(Dialog::inside_tls(stream, patience, is_implicit, transcript, start))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<'_, S> {
    /// Listens inside TLS for an answer to the command that came before it. Where none comes in time, EHLO shows whether
    /// the server was only slow: then two replies come to one command.
    async fn listen(&mut self, patience: Duration, ehlo: &str) -> Result<Injection, Failure> {
        match self.read_reply(patience).await {
            Ok(reply) => return answered(reply),
            // Half a reply is no silence.
            Err(Failure::TimedOut { .. }) if self.bytes == 0 => {}
            Err(failure) => return Err(failure),
        }
        let first = seen(self.ask(&format!("EHLO {ehlo}")).await)?;
        // Keywords answer EHLO, and replies come in the order of the commands: the one before got none, whatever comes behind.
        let has_keywords = |reply: &Reply| reply.code == 250 && reply.lines.len() > 1;
        if has_keywords(&first) {
            return Ok(Injection::Discarded);
        }
        // One line alone may be the answer to the other, and that to EHLO as late as patience lasts.
        match self.read_reply(self.patience.reply).await {
            Ok(second) if second.code == 421 => Err(Failure::Throttled(second)),
            Ok(second) if has_keywords(&second) || first.code != 250 => {
                // Who answers EHLO twice does so again.
                match self.answers_twice(patience, ehlo).await? {
                    true => Ok(Injection::Discarded),
                    false => answered(first),
                }
            }
            // Either may be the answer to EHLO, and the other something that was not asked for.
            Ok(second) => Err(Failure::Unsolicited(WireText::from(second.to_string()))),
            // It waits for the next command.
            Err(Failure::TimedOut { .. }) if first.code == 250 => {
                self.is_over = false;
                Ok(Injection::Discarded)
            }
            Err(Failure::TimedOut { .. }) => Err(Failure::EhloRefused(first)),
            Err(failure) => Err(failure),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<'_, S> {
    /// Whether one EHLO gets two replies.
    async fn answers_twice(&mut self, patience: Duration, ehlo: &str) -> Result<bool, Failure> {
        seen(self.ask(&format!("EHLO {ehlo}")).await)?;
        match self.read_reply(patience).await {
            Ok(reply) if reply.code == 421 => Err(Failure::Throttled(reply)),
            Ok(_) => Ok(true),
            Err(Failure::TimedOut { .. }) => {
                self.is_over = false;
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Whatever is said to it inside TLS, a refusal included, shows that it was read there. None of these does: the server is
/// busy, or greets once more.
fn answered(reply: Reply) -> Result<Injection, Failure> {
    let words = WireText::from(reply.to_string());
    match reply.code {
        220 => Err(Failure::Unsolicited(words)),
        400..500 => Err(Failure::Throttled(reply)),
        _ => Ok(Injection::AnsweredInTls(words)),
    }
}

/// What the second MAIL, inside TLS, says of the first, which another within it was answered with `nested`.
fn transaction(nested: &Reply, reply: Reply) -> Transaction {
    // 503 is said of either: a second MAIL, or one before EHLO (RFC 5321, 4.1.4). The words tell.
    let says = |any: &[&str]| {
        let words = reply.to_string().to_ascii_lowercase();
        any.iter().any(|word| words.contains(word))
    };
    if reply.is_positive() {
        return if nested.code == 503 { Transaction::Forgotten } else { Transaction::Unclear(reply) };
    }
    if reply.code != 503 {
        return Transaction::Unclear(reply);
    }
    if says(&["helo", "ehlo"]) {
        Transaction::Forgotten
    } else if says(&["nested", "already"]) || nested.lines == reply.lines && nested.code == 503 {
        Transaction::Kept(reply)
    } else {
        Transaction::Unclear(reply)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::{probe::Patience, smtp::ReplyReader};

    fn reply(line: &str) -> Reply {
        let mut reader = ReplyReader::default();
        format!("{line}\r\n").bytes().find_map(|byte| reader.push(byte).unwrap()).unwrap()
    }

    /// What a server that says these things at once, and those to EHLO, is found to do.
    #[rstest]
    #[case("", &["250-mx", "250 SIZE"], "discarded")]
    #[case("", &["250 mx"], "discarded")]
    #[case("250 2.0.0 Ok", &[], "answered")]
    #[case("503 5.5.1 Send EHLO first", &[], "answered")]
    #[case("354 go", &[], "answered")]
    #[case("", &["250 2.0.0 Ok", "250-mx", "250 SIZE"], "answered")]
    #[case("", &["250-mx", "250 SIZE", "250 spurious"], "discarded")]
    #[case("", &["250 mx", "250 spurious"], "unknown")]
    #[case("", &["250 2.0.0 Ok", "421 4.4.2 closing"], "unknown")]
    #[case("", &["502 5.5.1 what"], "unknown")]
    #[case("421 4.4.2 closing", &[], "unknown")]
    #[case("450 4.7.1 later", &[], "unknown")]
    #[case("220 mx again", &[], "unknown")]
    #[case("xyz", &[], "unknown")]
    #[tokio::test]
    async fn an_answer_inside_tls_shows_what_was_read_there(
        #[case] at_once: &str,
        #[case] to_ehlo: &[&str],
        #[case] expected: &str,
        #[values(true, false)] is_whole: bool,
    ) {
        // What is cut off is no answer, and no silence.
        let end = if is_whole { "\r\n" } else { "" };
        let at_once = if at_once.is_empty() { String::new() } else { format!("{at_once}{end}") };
        // The second time nothing is left to be answered but EHLO.
        let again: Vec<&str> = to_ehlo.iter().copied().skip_while(|line| !line.starts_with("250-")).collect();
        let found = listened(&at_once, [to_ehlo, &again]).await;
        assert_eq!(found, if is_whole || at_once.is_empty() { expected } else { "unknown" });
    }

    /// Some answer EHLO twice, whatever came before TLS.
    #[tokio::test]
    async fn who_answers_every_ehlo_twice_has_read_nothing() {
        let twice = &["250 mx", "250-mx", "250 SIZE"][..];
        assert_eq!(listened("", [twice, twice]).await, "discarded");
        assert_eq!(listened("", [twice, &["250-mx", "250 SIZE"]]).await, "answered");
        assert_eq!(listened("", [twice, &["250-mx", "250 SIZE", "421 4.4.2 closing"]]).await, "unknown");
    }

    /// What is made of a server that says these things at once, and those to one EHLO and the next.
    async fn listened(at_once: &str, to_ehlo: [&[&str]; 2]) -> &'static str {
        let (stream, mut server) = tokio::io::duplex(4096);
        server.write_all(at_once.as_bytes()).await.unwrap();
        let replies = to_ehlo.map(|lines| lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        let serve = tokio::spawn(async move {
            for reply in replies {
                let mut command = [0; 512];
                let _ = server.read(&mut command).await;
                // Who has heard enough has gone.
                let _ = server.write_all(reply.as_bytes()).await;
            }
            tokio::time::sleep(Duration::from_secs(3600)).await;
        });
        let patience = Patience::lab().waiting(Duration::from_millis(250));
        let (transcript, start) = (Vec::new(), Instant::now());
        let mut dialog = Dialog {
            stream,
            buffer: Vec::new(),
            patience: &patience,
            is_implicit: false,
            transcript,
            start,
            is_over: false,
            bytes: 0,
            listens: Duration::ZERO,
        };
        let found = match dialog.listen(Duration::from_millis(100), "me.example.org").await {
            Ok(Injection::Discarded) => "discarded",
            Ok(_) => "answered",
            Err(_) => "unknown",
        };
        serve.abort();
        found
    }

    #[rstest]
    #[case("503 5.5.1 Error: nested MAIL command", "250 2.1.0 Ok", "forgotten")]
    #[case("250 2.1.0 Ok", "250 2.1.0 Ok", "unclear")]
    #[case("503 nested MAIL", "503 5.5.1 Send EHLO first", "forgotten")]
    #[case("503 5.5.1 Error: nested MAIL command", "503 5.5.1 Error: nested MAIL command", "kept")]
    #[case("503 Sender, be patient", "503 Sender, be patient", "kept")]
    #[case("250 Ok", "503 5.5.0 Sender already specified", "kept")]
    #[case("503 nested MAIL", "503 Sender must say hi first", "unclear")]
    #[case("503 nested MAIL", "530 5.7.0 no", "unclear")]
    fn a_second_mail_tells_only_beside_another(#[case] nested: &str, #[case] inside: &str, #[case] expected: &str) {
        let word = match transaction(&reply(nested), reply(inside)) {
            Transaction::Forgotten => "forgotten",
            Transaction::Kept(_) => "kept",
            Transaction::Unclear(_) => "unclear",
            Transaction::NotBegun(_) | Transaction::NoTls(_) => "another",
        };
        assert_eq!(word, expected);
    }
}
