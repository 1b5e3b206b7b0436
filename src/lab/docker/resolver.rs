//! The resolver of a domain's world in a container: Unbound, which validates from the lab's root and tells by the AD bit.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep, timeout},
};

use super::container::{Container, File};

/// The kind that its image has in `mtalab images`.
pub(super) const KIND: &str = "unbound";
/// Where its settings are in the container.
const SETTINGS: &str = "/etc/unbound/lab.conf";
const TEMPLATE: &str = include_str!("../../../lab/unbound/unbound.conf");
/// How long a name server may take to answer for the first time.
const READY: Duration = Duration::from_secs(30);
/// How long one answer is waited for.
const ANSWER: Duration = Duration::from_millis(500);
/// Between two questions to one that is not ready.
const PAUSE: Duration = Duration::from_millis(20);

/// What its image is built of.
pub(super) const CONTEXT: &[(&str, &str)] = &[("Dockerfile", include_str!("../../../lab/unbound/Dockerfile"))];

/// Its settings: the root that it trusts, and whom it asks.
pub(super) fn files(anchor: &str, name_server: IpAddr) -> Vec<File> {
    let mut text = TEMPLATE.to_owned();
    let _ = writeln!(text, "    trust-anchor: \"{}\"", anchor.trim());
    let _ = writeln!(text, "forward-zone:\n    name: \".\"\n    forward-addr: {name_server}");
    vec![File { path: SETTINGS, mode: 0o644, content: text.into_bytes() }]
}

/// What makes the programs of a container ask a resolver, and believe its AD bit, which the C library else hides from them.
pub(super) fn resolv_conf(resolver: IpAddr) -> String {
    format!("nameserver {resolver}\noptions edns0 trust-ad\n")
}

/// Waits until a name server answers what the keys of the root are; an error says what it did instead.
pub(super) async fn wait_until_it_answers(container: &Container, address: SocketAddr) -> Result<(), String> {
    let deadline = Instant::now() + READY;
    let mut seen = "no answer".to_owned();
    while Instant::now() < deadline {
        match timeout(ANSWER, ask_for_keys(address)).await {
            Ok(Ok(ResponseCode::NoError)) => return Ok(()),
            Ok(Ok(code)) => seen = format!("the answer {code}"),
            Ok(Err(error)) => seen = error.to_string(),
            Err(_) => {}
        }
        if !container.is_running().await {
            return Err("it ended".to_owned());
        }
        sleep(PAUSE).await;
    }
    Err(format!("{seen}, for {} seconds", READY.as_secs()))
}

async fn ask_for_keys(address: SocketAddr) -> std::io::Result<ResponseCode> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::root(), RecordType::DNSKEY));
    let socket = UdpSocket::bind(("0.0.0.0", 0)).await?;
    socket.connect(address).await?;
    socket.send(&question.to_vec().map_err(std::io::Error::other)?).await?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Ok(answer) = Message::from_vec(&buffer[..length])
            && answer.metadata.id == question.metadata.id
            && answer.metadata.message_type == MessageType::Response
        {
            return Ok(answer.metadata.response_code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_trusts_the_labs_root_and_asks_the_labs_servers() {
        let files = files(". 300 IN DNSKEY 257 3 15 AAAA\n", "172.18.0.3".parse().unwrap());
        let text = String::from_utf8(files[0].content.clone()).unwrap();
        let own = text.strip_prefix(TEMPLATE).unwrap();
        assert_eq!(
            own,
            "    trust-anchor: \". 300 IN DNSKEY 257 3 15 AAAA\"\nforward-zone:\n    name: \".\"\n    forward-addr: 172.18.0.3\n"
        );
    }
}
