//! Ready means that the greeting was read: not that a port opened or a log line appeared.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::container::Container;

/// How long a server may take to greet.
const READY: Duration = Duration::from_secs(30);
/// Between two looks at a server that is not ready.
const PAUSE: Duration = Duration::from_millis(10);
/// How long one connection may take to greet, a container's first one included.
const GREETING: Duration = Duration::from_secs(5);

/// Waits for a reply line; an error says what was seen instead. An open port is no sign, since
/// Docker's proxies and a starting server open it before anything answers.
pub(super) async fn wait_until_ready(container: &Container, address: SocketAddr, is_let_in_once: bool) -> Result<(), String> {
    let deadline = Instant::now() + READY;
    let mut next_look = Instant::now() + Duration::from_millis(500);
    let mut seen = "no connection".to_owned();
    while Instant::now() < deadline {
        match greeting(address).await {
            Ok(line) if is_let_in_once && line.starts_with("220") => continue,
            Ok(line) if is_reply(&line) => return Ok(()),
            Ok(line) => seen = format!("no greeting but `{}`", crate::wire::WireText::from(line.as_str())),
            Err(error) => seen = error.to_string(),
        }
        if Instant::now() >= next_look {
            if !container.is_running().await {
                return Err("it ended".to_owned());
            }
            next_look = Instant::now() + Duration::from_millis(500);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("{seen}, for {} seconds", READY.as_secs()))
}

/// The first line that a server says, at most 512 bytes of it.
async fn greeting(address: SocketAddr) -> std::io::Result<String> {
    let attempt = async {
        let mut stream = TcpStream::connect(address).await?;
        let mut said = Vec::new();
        let mut chunk = [0; 512];
        while !said.contains(&b'\n') && said.len() < chunk.len() {
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            said.extend_from_slice(&chunk[..read]);
        }
        // It is well-mannered to leave with QUIT; a server that has hung up need not hear it.
        let _ = stream.write_all(b"QUIT\r\n").await;
        Ok(String::from_utf8_lossy(&said).into_owned())
    };
    tokio::time::timeout(GREETING, attempt).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// Whether a line is the start of a reply (RFC 5321, 4.2).
fn is_reply(line: &str) -> bool {
    let mut bytes = line.bytes();
    let has_code = bytes.by_ref().take(3).filter(u8::is_ascii_digit).count() == 3;
    has_code && matches!(bytes.next(), Some(b' ' | b'-' | b'\r')) && line.ends_with('\n')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("220 mx.lab.test ESMTP\r\n", true)]
    #[case("554-mx.lab.test\r\n", true)]
    #[case("220 mx", false)]
    #[case("SSH-2.0-x\r\n", false)]
    #[case("", false)]
    fn only_a_whole_reply_line_is_a_greeting(#[case] line: &str, #[case] is_one: bool) {
        assert_eq!(is_reply(line), is_one);
    }
}
