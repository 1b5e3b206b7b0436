//! Ready means that the server answered, by its greeting or by TLS: not that a port opened or a log line appeared.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::{EXECUTABLE, container::Container};

/// How long a server may take to greet.
const READY: Duration = Duration::from_secs(30);
/// Between two looks at a server that is not ready.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two looks at whether its container still runs.
const LOOK: Duration = Duration::from_millis(500);
/// How long one connection may take to greet, a container's first one included.
const GREETING: Duration = Duration::from_secs(5);

/// What a server is known to be ready by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It greets, with whatever code.
    Greeting,
    /// It lets one client in, and turns away the next.
    SecondGreeting,
    /// It answers a ClientHello with a record: TLS begins with the first byte.
    Record,
}

impl Sign {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Greeting, Self::SecondGreeting, Self::Record];

    /// Its name on the command line of the program in a container.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::SecondGreeting => "second-greeting",
            Self::Record => "record",
        }
    }
}

/// A ClientHello of TLS 1.2 with one suite and nothing else (RFC 5246, 7.4.1.2): whoever speaks TLS takes it, or says with an
/// alert that not.
fn hello() -> Vec<u8> {
    let (head, random, tail) = ([22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3], [0; 32], [0, 0, 2, 0xc0, 0x2f, 1, 0]);
    [&head[..], &random, &tail].concat()
}

/// Waits for the sign, from this machine or from a container; an error says what was seen instead. An open port is no sign,
/// since Docker's proxies and a starting server open it before anything answers.
pub(super) async fn wait_until_ready(
    server: &Container,
    address: SocketAddr,
    sign: Sign,
    from: Option<&Container>,
) -> Result<(), String> {
    let looking = async {
        match from {
            None => answers(address, sign).await,
            Some(container) => {
                let command = [EXECUTABLE, "ready", &address.to_string(), "--sign", sign.name()].map(str::to_owned);
                container.exec(&command, None).await.map(drop).map_err(|error| error.to_string())
            }
        }
    };
    tokio::select! {
        answer = looking => answer,
        () = ended(server) => Err("it ended".to_owned()),
    }
}

/// Looks at a server until it gives the sign; an error says what it did instead.
pub async fn answers(address: SocketAddr, sign: Sign) -> Result<(), String> {
    let deadline = Instant::now() + READY;
    let mut seen = "no connection".to_owned();
    while Instant::now() < deadline {
        match first_words(address, sign).await {
            Ok(said) if sign == Sign::SecondGreeting && said.starts_with(b"220") => continue,
            Ok(said) if is_sign(sign, &said) => return Ok(()),
            Ok(said) => seen = format!("nothing that it is known by but `{}`", crate::wire::WireText::from_bytes(&said)),
            Err(error) => seen = error.to_string(),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("{seen}, for {} seconds", READY.as_secs()))
}

/// Waits until somebody listens there; an error says what was seen instead.
pub(super) async fn accepts(address: SocketAddr) -> Result<(), String> {
    let deadline = Instant::now() + READY;
    loop {
        match TcpStream::connect(address).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(format!("{error}, for {} seconds", READY.as_secs())),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Returns once a container has ended.
async fn ended(container: &Container) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !container.is_running().await {
            return;
        }
    }
}

/// What a server says first, to a hello where it waits for one: up to the end of a line or a record's head, at most 512 bytes.
async fn first_words(address: SocketAddr, sign: Sign) -> std::io::Result<Vec<u8>> {
    let attempt = async {
        let mut stream = TcpStream::connect(address).await?;
        let mut said = Vec::new();
        let mut chunk = [0; 512];
        if sign == Sign::Record {
            stream.write_all(&hello()).await?;
        }
        while !is_sign(sign, &said) && !said.contains(&b'\n') && said.len() < chunk.len() {
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            said.extend_from_slice(&chunk[..read]);
        }
        // It is well-mannered to leave with QUIT; a server that has hung up need not hear it.
        if sign != Sign::Record {
            let _ = stream.write_all(b"QUIT\r\n").await;
        }
        Ok(said)
    };
    tokio::time::timeout(GREETING, attempt).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// Whether it is a whole line of a reply (RFC 5321, 4.2), or a record that answers a hello: a handshake or an alert
/// (RFC 8446, 5.1).
fn is_sign(sign: Sign, said: &[u8]) -> bool {
    match (sign, said) {
        (Sign::Record, said) => matches!(said, [21 | 22, 3, ..]),
        (_, [code @ .., b'\n']) => matches!(code, [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ' | b'-' | b'\r', ..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Sign::Greeting, b"220 mx.lab.test ESMTP\r\n", true)]
    #[case(Sign::Greeting, b"554-mx.lab.test\r\n", true)]
    #[case(Sign::Greeting, b"220 mx", false)]
    #[case(Sign::Greeting, b"SSH-2.0-x\r\n", false)]
    #[case(Sign::Greeting, b"", false)]
    #[case(Sign::Greeting, b"\x16\x03\x03\x00\x02", false)]
    #[case(Sign::Record, b"\x15\x03\x03\x00\x02\x02\x28", true)]
    #[case(Sign::Record, b"220 mx.lab.test ESMTP\r\n", false)]
    fn only_a_whole_reply_line_or_a_record_is_one(#[case] sign: Sign, #[case] said: &[u8], #[case] is_one: bool) {
        assert_eq!(is_sign(sign, said), is_one);
    }
}
