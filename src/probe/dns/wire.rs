//! One question to one resolver, as it stands on the wire, and the answer as it came: with the signatures (DO), and not checked by
//! the resolver (CD), which would otherwise keep what is bogus to itself (RFC 4035, 3.2.2).

use std::{net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{facts::DnsFailure, wire::WireText};

/// What fits through any path unfragmented (DNS flag day 2020); the rest comes by TCP.
const PAYLOAD: u16 = 1232;
/// Datagrams that are looked at in the search for the answer: others may be forged, or late.
const MAX_STRAY: usize = 16;

/// The text of a name, without the final dot; `.` for the root.
pub(super) fn text(name: &Name) -> WireText {
    let text = name.to_ascii();
    let text = if text == "." { text } else { text.trim_end_matches('.').to_owned() };
    // What is not printable is escaped already (RFC 4343, 2.1).
    WireText::from(text)
}

/// Asks each of the resolvers in turn, until one answers.
pub(super) async fn ask(
    servers: &[SocketAddr],
    name: &Name,
    kind: RecordType,
    patience: Duration,
    attempts: usize,
) -> Result<Message, DnsFailure> {
    let mut last = DnsFailure::Other { name: text(name), why: WireText::from("no resolver is known") };
    for _ in 0..attempts.max(1) {
        for server in servers {
            match timeout(patience, exchange(*server, name, kind)).await {
                Ok(Ok(message)) => match message.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(message),
                    ResponseCode::ServFail => last = DnsFailure::ServerFailure(text(name)),
                    code => last = DnsFailure::Code { name: text(name), code: code.to_string() },
                },
                Ok(Err(why)) => last = DnsFailure::Other { name: text(name), why: WireText::from(&*why) },
                Err(_) => last = DnsFailure::TimedOut(text(name)),
            }
        }
    }
    Err(last)
}

async fn exchange(server: SocketAddr, name: &Name, kind: RecordType) -> Result<Message, String> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.metadata.checking_disabled = true;
    question.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.enable_dnssec();
    edns.set_max_payload(PAYLOAD);
    question.set_edns(edns);
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    let is_answer = |message: &Message| {
        message.metadata.id == question.metadata.id
            && message.metadata.message_type == MessageType::Response
            && message.queries.first().is_none_or(|query| query.name() == name && query.query_type() == kind)
    };
    let io = |error: std::io::Error| error.to_string();
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await.map_err(io)?;
    socket.connect(server).await.map_err(io)?;
    socket.send(&bytes).await.map_err(io)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    for _ in 0..MAX_STRAY {
        let length = socket.recv(&mut buffer).await.map_err(io)?;
        let Ok(message) = Message::from_vec(&buffer[..length]) else { continue };
        if !is_answer(&message) {
            continue;
        }
        return if message.metadata.truncation { over_tcp(server, &bytes, is_answer).await } else { Ok(message) };
    }
    Err("none of the datagrams that came is the answer".to_owned())
}

async fn over_tcp(server: SocketAddr, question: &[u8], is_answer: impl Fn(&Message) -> bool) -> Result<Message, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(server).await.map_err(io)?;
    let length = u16::try_from(question.len()).map_err(|error| error.to_string())?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await.map_err(io)?;
    let length = stream.read_u16().await.map_err(io)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(io)?;
    let message = Message::from_vec(&answer).map_err(|error| format!("the answer cannot be read: {error}"))?;
    if is_answer(&message) { Ok(message) } else { Err("the answer is to another question".to_owned()) }
}
