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
    facts::{Failure, Injection, Transaction},
    name::Name,
    probe::{failure::io_failure, handshake},
    smtp::Reply,
    wire::WireText,
};

/// How long a server has at least to answer what it should have forgotten.
const INJECTION_PATIENCE: Duration = Duration::from_secs(2);

impl<'a> Dialog<'a, TcpStream> {
    /// Sends a command along with STARTTLS, and listens whether it is answered: by whom it came the server cannot know.
    /// None where the server hangs up on the two, which it may do by accident.
    pub(in crate::probe) async fn inject(mut self, name: &Name, ehlo: &str) -> Result<Option<Injection>, Failure> {
        if !self.greeted(ehlo).await?.offers("STARTTLS") {
            return Err(Failure::Tls("STARTTLS was not offered".to_owned()));
        }
        let asked = Instant::now();
        self.stream.write_all(b"STARTTLS\r\nNOOP\r\n").await.map_err(|error| io_failure(&error))?;
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
            _ => return Err(Failure::Throttled(reply)),
        }
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

    /// Begins a mail transaction, then TLS, and asks whether the transaction is still open.
    pub(in crate::probe) async fn transaction(mut self, name: &Name, ehlo: &str) -> Result<Transaction, Failure> {
        self.greeted(ehlo).await?;
        let reply = seen(self.ask("MAIL FROM:<>").await)?;
        if !reply.is_positive() {
            self.leave().await;
            return if reply.is_transient() { Err(Failure::Throttled(reply)) } else { Ok(Transaction::NotBegun(reply)) };
        }
        // Some servers take a second one at any time: how this one minds it is seen here, to be known again.
        let nested = seen(self.ask("MAIL FROM:<>").await)?;
        let reply = seen(self.ask("STARTTLS").await)?;
        if !reply.is_positive() {
            self.leave().await;
            return Ok(Transaction::NoTls(reply));
        }
        if !self.buffer.is_empty() {
            return Err(self.before_tls());
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
        Ok(Dialog { stream, buffer: Vec::new(), patience, is_implicit, transcript, start, is_over: false, bytes: 0 })
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
        // Keywords answer EHLO. One line alone may be the answer to the other, and that to EHLO as late as patience lasts.
        let is_to_ehlo = first.code == 250 && first.lines.len() > 1;
        match self.read_reply(if is_to_ehlo { patience } else { self.patience.reply }).await {
            Ok(second) if second.code == 421 => Err(Failure::Throttled(second)),
            Ok(_) => answered(first),
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
        let (stream, mut server) = tokio::io::duplex(4096);
        // What is cut off is no answer, and no silence.
        let end = if is_whole { "\r\n" } else { "" };
        if !at_once.is_empty() {
            server.write_all(format!("{at_once}{end}").as_bytes()).await.unwrap();
        }
        let to_ehlo: String = to_ehlo.iter().map(|line| format!("{line}\r\n")).collect();
        let serve = tokio::spawn(async move {
            let mut command = [0; 512];
            let _ = server.read(&mut command).await;
            server.write_all(to_ehlo.as_bytes()).await.unwrap();
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
        };
        let found = match dialog.listen(Duration::from_millis(100), "me.example.org").await {
            Ok(Injection::Discarded) => "discarded",
            Ok(_) => "answered",
            Err(_) => "unknown",
        };
        assert_eq!(found, if is_whole || at_once.is_empty() { expected } else { "unknown" });
        serve.abort();
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
