//! What goes wrong at a stage of the dialog, as the plan has it.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{sleep, timeout},
};

use super::{ALERT, Connection, IDLE, MAX_MESSAGE, Next, OK};
use crate::scenario::{BreakKind, Stage};

/// How long the greeting of a server that tests its clients breaks off.
const TEASER: Duration = Duration::from_millis(1500);
/// Between two bytes of a dripping server.
const DRIP: Duration = Duration::from_secs(1);
/// What a connection that is reset lives at least.
const RESET_AFTER: Duration = Duration::from_millis(100);
/// What other servers say that listen at the same port by mistake.
const WEB_PAGE: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
const SSH: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Begins the greeting and waits: whoever speaks before its end is no mail server (postscreen(8), pregreet test).
    pub(super) async fn speaks_early(&mut self, greeting: &str) -> io::Result<bool> {
        self.say(&greeting.replacen("220 ", "220-", 1)).await?;
        let is_early = timeout(TEASER, self.stream.fill_buf()).await.is_ok();
        if is_early {
            self.say("521 5.5.1 Protocol error").await?;
        }
        Ok(is_early)
    }

    /// What goes wrong at a stage in the clear, where it is this one; `says` is what was to be said.
    pub(super) async fn trouble(&mut self, stage: Stage, says: &str) -> io::Result<Option<Next>> {
        let fault = &self.dialog.order.plan.dialog;
        if self.in_tls && fault.implicit_tls.is_none() && stage != Stage::Quit {
            return Ok(None);
        }
        if let Some(delay) = fault.delay.filter(|delay| delay.of == stage) {
            sleep(delay.by.0).await;
        }
        let Some(broken) = fault.breaks.filter(|broken| broken.at == stage) else { return Ok(None) };
        match broken.r#do {
            BreakKind::Close => {}
            BreakKind::Reset => {
                // The client is to know that it was connected.
                sleep(RESET_AFTER).await;
                return Ok(Some(Next::Reset));
            }
            BreakKind::Silence => self.wait_for_the_end().await?,
            BreakKind::HalfLine => self.send(&says.as_bytes()[..says.len().min(3)]).await?,
            BreakKind::WebPage => self.send(WEB_PAGE.as_bytes()).await?,
            BreakKind::Ssh => {
                self.send(SSH.as_bytes()).await?;
                self.wait_for_the_end().await?;
            }
            BreakKind::Garbage => self.send(&[0x80, 0, 0xff, 0x1b, b'[', b'2', b'J', 7, 0, 0xc3, 0x28, b'\r', b'\n']).await?,
            BreakKind::EndlessLine => loop {
                self.send(&[b'x'; 4096]).await?;
            },
            BreakKind::EndlessLines => loop {
                self.send("250-and so on\r\n".repeat(256).as_bytes()).await?;
            },
            BreakKind::Plaintext => {
                self.send(OK).await?;
                self.wait_for_the_end().await?;
            }
            BreakKind::Alert => self.send(&ALERT).await?,
            BreakKind::Drip => {
                for byte in self.filled(says, "").bytes() {
                    self.send(&[byte]).await?;
                    sleep(DRIP).await;
                }
            }
        }
        Ok(Some(Next::Close))
    }

    /// Reads on and says nothing, until the client has gone or patience ends.
    pub(super) async fn wait_for_the_end(&mut self) -> io::Result<()> {
        let mut rest = (&mut self.stream).take(MAX_MESSAGE);
        let _ = timeout(IDLE, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
        Ok(())
    }
}
