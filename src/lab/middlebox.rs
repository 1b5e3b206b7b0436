//! What a relay does to what passes through it in the clear, and to the records after that.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::sleep,
};

use crate::scenario::{RelayAction, RelayFault, RelayStage};

/// Between two bytes that drip.
const DRIP: Duration = Duration::from_millis(100);
/// Between the two pieces of what is split.
const APART: Duration = Duration::from_millis(200);
/// Longer lines are none.
const MAX_LINE: u64 = 16 * 1024;
/// The reply parameters that an ASA knows by default; it writes over all others.
const KNOWN_TO_ASA: [&str; 9] = ["8BITMIME", "AUTH", "BINARYMIME", "CHECKPOINT", "DSN", "ETRN", "PIPELINING", "SIZE", "VRFY"];

/// What the server is about to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Greeting,
    Ehlo,
    Starttls,
    Other,
}

/// Carries a connection, and interferes as it was told.
pub(super) async fn pass(client: TcpStream, server: TcpStream, fault: &RelayFault) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let pending = Arc::new(Mutex::new(Pending::Greeting));
    let up = commands(from_client, to_server, fault, Arc::clone(&pending));
    let down = replies(from_server, to_client, fault, pending);
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut down => ended,
        ended = &mut up => {
            ended?;
            down.await
        }
    }
}

fn get(pending: &Mutex<Pending>) -> Pending {
    *pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next line with its end; empty where there is none any more.
async fn read_line(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    Ok(line)
}

/// The client's direction: commands line by line until TLS begins.
async fn commands(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fault: &RelayFault,
    pending: Arc<Mutex<Pending>>,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    loop {
        let mut line = read_line(&mut from).await?;
        if line.is_empty() {
            return to.shutdown().await;
        }
        let verb = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default().to_ascii_uppercase();
        let next = match verb.as_slice() {
            b"EHLO" => Pending::Ehlo,
            b"STARTTLS" => Pending::Starttls,
            _ => Pending::Other,
        };
        *pending.lock().unwrap_or_else(PoisonError::into_inner) = next;
        if fault.asa.is_some() && next == Pending::Starttls {
            line[..verb.len()].fill(b'X');
        }
        to.write_all(&line).await?;
        if next == Pending::Starttls && fault.asa.is_none() {
            // What comes now is a ClientHello, or another command if the server refuses: either passes as it is.
            tokio::io::copy(&mut from, &mut to).await?;
            return to.shutdown().await;
        }
    }
}

/// The server's direction: replies line by line until TLS begins, then records.
async fn replies(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fault: &RelayFault,
    pending: Arc<Mutex<Pending>>,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    loop {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        while lines.last().is_none_or(|line| line.get(3) == Some(&b'-')) {
            let line = read_line(&mut from).await?;
            if line.is_empty() {
                return to.shutdown().await;
            }
            lines.push(line);
        }
        let of = get(&pending);
        if fault.asa.is_some() {
            mask(of, &mut lines);
        }
        let is_ready = of == Pending::Starttls && lines.last().is_some_and(|line| line.starts_with(b"220"));
        let place = match (fault.at, of) {
            (Some(RelayStage::Greeting), Pending::Greeting) | (Some(RelayStage::Starttls), Pending::Starttls) => {
                Some(lines.len())
            }
            (Some(RelayStage::Ehlo(line)), Pending::Ehlo) => Some(usize::from(line)).filter(|line| *line <= lines.len()),
            _ => None,
        };
        match (place, fault.r#do) {
            (Some(place), Some(action)) => {
                if say_with(&mut to, lines, place - 1, action, fault).await? == Said::TheEnd {
                    // Dropped, it would say goodbye where the connection is to be reset.
                    to.forget();
                    return Ok(());
                }
            }
            _ => to.write_all(&lines.concat()).await?,
        }
        if is_ready && fault.asa.is_none() {
            return records(from, to, fault).await;
        }
    }
}

/// What an ASA leaves of a reply.
fn mask(of: Pending, lines: &mut [Vec<u8>]) {
    match of {
        Pending::Greeting => {
            for byte in lines.iter_mut().flat_map(|line| line.iter_mut().skip(4)) {
                if !byte.is_ascii_whitespace() && !matches!(byte, b'0' | b'2') {
                    *byte = b'*';
                }
            }
        }
        Pending::Ehlo => {
            let mut letters = b'A'..=b'Z';
            for line in lines.iter_mut().skip(1) {
                let end = line[4..].iter().position(u8::is_ascii_whitespace).map_or(line.len(), |end| end + 4);
                let keyword = String::from_utf8_lossy(&line[4..end]).to_ascii_uppercase();
                if end > 4 && !KNOWN_TO_ASA.contains(&keyword.as_str()) {
                    let end = line.len() - line.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
                    line[4..end].fill(b'X');
                    line[end - 1] = letters.next().unwrap_or(b'Z');
                }
            }
        }
        Pending::Starttls | Pending::Other => {}
    }
}

#[derive(PartialEq, Eq)]
enum Said {
    All,
    /// The connection has ended.
    TheEnd,
}

/// Passes a reply on, and does to the line at that place what was told.
async fn say_with(
    to: &mut OwnedWriteHalf,
    mut lines: Vec<Vec<u8>>,
    place: usize,
    action: RelayAction,
    fault: &RelayFault,
) -> io::Result<Said> {
    if action == RelayAction::Remove {
        lines.remove(place);
    } else if action == RelayAction::Replace {
        lines[place] = replaced(&lines[place], fault.with.as_deref().unwrap_or_default());
    }
    if matches!(action, RelayAction::Remove | RelayAction::Replace) {
        // Still one reply: only its last line has no hyphen.
        let last = lines.len().saturating_sub(1);
        for (index, line) in lines.iter_mut().enumerate().filter(|(_, line)| line.len() > 3) {
            line[3] = if index == last { b' ' } else { b'-' };
        }
        to.write_all(&lines.concat()).await?;
        return Ok(Said::All);
    }
    to.write_all(&lines[..place].concat()).await?;
    let said = pass_on(to, &lines[place], action, fault).await?;
    if said == Said::All {
        to.write_all(&lines[place + 1..].concat()).await?;
    }
    Ok(said)
}

/// Another line instead of that: whole with its code, or only the text behind the code.
fn replaced(line: &[u8], with: &str) -> Vec<u8> {
    let has_code = match with.as_bytes() {
        [a, b, c, rest @ ..] => [a, b, c].into_iter().all(u8::is_ascii_digit) && matches!(rest, [] | [b' ' | b'-', ..]),
        _ => false,
    };
    let head = if has_code { &[][..] } else { &line[..line.len().min(4)] };
    [head, with.as_bytes(), b"\r\n"].concat()
}

/// Passes one line or record on, as it was told to.
async fn pass_on(to: &mut OwnedWriteHalf, piece: &[u8], action: RelayAction, fault: &RelayFault) -> io::Result<Said> {
    match action {
        RelayAction::Delay => {
            sleep(fault.by.map_or(Duration::ZERO, |by| by.0)).await;
            to.write_all(piece).await?;
        }
        RelayAction::Drip => {
            for byte in piece {
                to.write_all(&[*byte]).await?;
                sleep(DRIP).await;
            }
        }
        RelayAction::Split => {
            let (first, rest) = piece.split_at(piece.len() / 2);
            to.write_all(first).await?;
            sleep(APART).await;
            to.write_all(rest).await?;
        }
        RelayAction::Close => {
            to.shutdown().await?;
            return Ok(Said::TheEnd);
        }
        RelayAction::Reset => {
            to.as_ref().set_zero_linger()?;
            return Ok(Said::TheEnd);
        }
        RelayAction::Replace => to.write_all(fault.with.as_deref().unwrap_or_default().as_bytes()).await?,
        // What is done to connections is done before anything is said.
        RelayAction::Remove | RelayAction::Refuse | RelayAction::Drop => {}
    }
    Ok(Said::All)
}

/// The server's records of TLS (RFC 8446, 5.1).
async fn records(mut from: BufReader<OwnedReadHalf>, mut to: OwnedWriteHalf, fault: &RelayFault) -> io::Result<()> {
    let Some(RelayStage::Record(place)) = fault.at else {
        tokio::io::copy(&mut from, &mut to).await?;
        return to.shutdown().await;
    };
    for number in 1u8.. {
        let mut header = [0; 5];
        if from.read_exact(&mut header).await.is_err() {
            return to.shutdown().await;
        }
        let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        from.read_exact(&mut record).await?;
        let record = [&header[..], &record].concat();
        if number != place {
            to.write_all(&record).await?;
            continue;
        }
        let action = fault.r#do.unwrap_or(RelayAction::Split);
        if pass_on(&mut to, &record, action, fault).await? == Said::TheEnd {
            to.forget();
            return Ok(());
        }
        break;
    }
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Pending::Greeting, &["220 mx2.lab.test ESMTP Postfix\r\n"], &["220 **2********* ***** *******\r\n"])]
    #[case(
        Pending::Ehlo,
        &["250-mx.lab.test\r\n", "250-SIZE 1000\r\n", "250-STARTTLS\r\n", "250 CHUNKING\r\n"],
        &["250-mx.lab.test\r\n", "250-SIZE 1000\r\n", "250-XXXXXXXA\r\n", "250 XXXXXXXB\r\n"]
    )]
    #[case(Pending::Other, &["250 2.0.0 Ok\r\n"], &["250 2.0.0 Ok\r\n"])]
    fn an_asa_leaves_only_what_it_knows(#[case] of: Pending, #[case] lines: &[&str], #[case] expected: &[&str]) {
        let mut lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        mask(of, &mut lines);
        let masked: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        assert_eq!(masked, expected);
    }

    #[rstest]
    #[case("XXXXXXXA", "250-XXXXXXXA\r\n")]
    #[case("250 XXXXXXXA", "250 XXXXXXXA\r\n")]
    #[case("454", "454\r\n")]
    #[case("2500", "250-2500\r\n")]
    #[case("", "250-\r\n")]
    fn a_text_without_a_code_stands_behind_the_code(#[case] with: &str, #[case] expected: &str) {
        assert_eq!(String::from_utf8(replaced(b"250-STARTTLS\r\n", with)).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_reset_is_no_goodbye() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (to_client, _) = listener.accept().await.unwrap();
        let to_server = TcpStream::connect(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"220 mx.lab.test\r\n").await.unwrap();
        let fault = RelayFault { at: Some(RelayStage::Greeting), r#do: Some(RelayAction::Reset), ..RelayFault::default() };
        pass(to_client, to_server, &fault).await.unwrap();
        let read = client.read(&mut [0; 64]).await;
        assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    }
}
