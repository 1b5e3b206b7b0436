//! One test message, delivered as a sender would; each stage is told.

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Dialog, QUIT_PATIENCE, line};
use crate::{
    facts::{Delivery, Failure, Observed, Session, Speaker},
    name::Name,
    probe::{Letter, failure::io_failure, timed_out},
    smtp::Reply,
};

impl<'a> Dialog<'a, TcpStream> {
    /// Holds the dialog, with TLS where it is `with_tls` and offered, and asks `goes_on` before the message.
    pub(in crate::probe) async fn deliver(
        mut self,
        mut delivery: Delivery,
        name: &Name,
        ehlo: &str,
        letter: &Letter,
        with_tls: bool,
        goes_on: &mut (dyn FnMut(&Session) -> bool + Send),
    ) -> Delivery {
        let session = &mut delivery.session;
        if !with_tls {
            if let Err(failure) = self.greeted(ehlo, session).await {
                session.ehlo = Observed::Failed(failure);
            }
            if session.ehlo.seen().is_some() {
                return self.finish(letter, delivery).await;
            }
            session.transcript = self.transcript;
            return delivery;
        }
        if !self.until_starttls(ehlo, session).await {
            // A refusal of TLS leaves the connection open; what fails in it does not.
            let is_open = session.ehlo.seen().is_some() && !self.is_over && self.buffer.is_empty();
            if is_open && !matches!(session.tls, Observed::Failed(_)) && goes_on(session) {
                return self.finish(letter, delivery).await;
            }
            self.quit(session).await;
            session.transcript = self.transcript;
            return delivery;
        }
        let (inside, _) = self.shake_hands(name, session).await;
        let Some(mut inside) = inside else { return delivery };
        session.ehlo_after = inside.say_ehlo(ehlo).await;
        delivery.inside = true;
        if delivery.session.ehlo_after.seen().is_some() && goes_on(&delivery.session) {
            return inside.finish(letter, delivery).await;
        }
        inside.quit(&mut delivery.session).await;
        let _ = timeout(QUIT_PATIENCE, inside.stream.shutdown()).await;
        delivery.session.transcript = inside.transcript;
        delivery
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<'_, S> {
    /// MAIL, RCPT, DATA and the message; where one is refused, what follows is not sent.
    async fn finish(mut self, letter: &Letter, mut delivery: Delivery) -> Delivery {
        delivery.mail = self.ask(&format!("MAIL FROM:<{}>", letter.from)).await;
        if is_positive(&delivery.mail) {
            delivery.recipient = self.ask(&format!("RCPT TO:<{}>", letter.to)).await;
        }
        if is_positive(&delivery.recipient) {
            delivery.data = self.ask("DATA").await;
        }
        if delivery.data.seen().is_some_and(|reply| reply.code == 354) {
            delivery.message = self.send_message(&letter.text).await;
        }
        self.quit(&mut delivery.session).await;
        let _ = timeout(QUIT_PATIENCE, self.stream.shutdown()).await;
        delivery.session.transcript = self.transcript;
        delivery
    }

    /// The message with its dots doubled (RFC 5321, 4.5.2), and the reply to its end.
    async fn send_message(&mut self, text: &str) -> Observed<Reply> {
        let mut wire = String::new();
        for text in text.lines() {
            if text.starts_with('.') {
                wire.push('.');
            }
            wire.push_str(text);
            wire.push_str("\r\n");
        }
        wire.push_str(".\r\n");
        self.transcript.push(line(Speaker::Client, b"(the message)", self.start));
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
            Ok(reply) if reply.code == 421 => Observed::Failed(Failure::Throttled(reply)),
            Ok(reply) => Observed::Seen(reply),
            Err(failure) => Observed::Failed(failure),
        }
    }
}

fn is_positive(reply: &Observed<Reply>) -> bool {
    reply.seen().is_some_and(Reply::is_positive)
}
