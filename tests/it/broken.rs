//! Dialogs that end at every byte, and answers to the ClientHello of every malformed kind: nothing is claimed of a server
//! that was not seen to its end, whatever it sent, and every look ends.

use std::{net::SocketAddr, time::Duration};

use mtalab::{
    check,
    facts::{Depth, Facts, Target, Vantage},
    name::Name,
    probe::{self, Patience},
    report::Report,
};
use rstest::rstest;
use time::macros::datetime;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// What a server says before TLS: at connect, to EHLO and to STARTTLS.
const WORDS: [&str; 3] = [
    "220 mx.example.test ESMTP\r\n",
    "250-mx.example.test at your service\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
    "220 2.0.0 Ready to start TLS\r\n",
];

/// Says the words up to so many bytes of them; then `answer`, if the ClientHello came.
async fn serve(stream: TcpStream, mut left: usize, answer: &[u8]) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    for (number, words) in WORDS.iter().enumerate() {
        if number > 0 {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
        }
        let said = &words.as_bytes()[..words.len().min(left)];
        stream.write_all(said).await?;
        left -= said.len();
        if said.len() < words.len() || left == 0 {
            return stream.shutdown().await;
        }
    }
    let mut hello = [0; 8192];
    let _ = stream.read(&mut hello).await?;
    stream.write_all(answer).await?;
    stream.shutdown().await
}

/// The report on a server that says so much and then answers so, looked at in that depth.
async fn judged(depth: Depth, bytes: usize, answer: &'static [u8]) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = serve(stream, bytes, answer).await;
            });
        }
    });
    let target = Target { name: Name::parse("mx.example.test").unwrap(), port: 25 };
    let patience = Patience { depth, ..Patience::lab() }.waiting(Duration::from_secs(2));
    let looked = probe::observe(&target, address, Vantage::default(), &patience);
    let view = tokio::time::timeout(Duration::from_secs(60), looked).await.expect("every look ends");
    server.abort();
    check::judge(Facts::new(target, vec![view]), &[], datetime!(2026-03-01 12:00 UTC))
}

/// Nothing is wrong with what was seen, so nothing may be found.
fn assert_nothing_claimed(report: &Report, of: &str) {
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.rule, &finding.violation.message)).collect();
    assert!(found.is_empty(), "{of}: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_that_ends_at_any_byte_shows_nothing() {
    let all: usize = WORDS.iter().map(|words| words.len()).sum();
    let cuts = (0..=all).map(|bytes| async move { (bytes, judged(Depth::Quick, bytes, b"").await) });
    for (bytes, report) in futures::future::join_all(cuts).await {
        assert_nothing_claimed(&report, &format!("after {bytes} of {all} bytes"));
        let view = &report.facts.views[0];
        assert_eq!(view.connections, 3, "a connection that ends is tried again: {bytes}");
    }
}

/// A ServerHello of TLS 1.2 whose lengths are in order up to the place where the table says otherwise.
const HELLO: &[u8] = &[
    0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
    25, 26, 27, 28, 29, 30, 31, 32, 0, 0xc0, 0x2f, 0,
];

#[rstest]
#[case::nothing(b"")]
#[case::one_byte(b"\x16")]
#[case::half_a_header(b"\x16\x03\x03")]
#[case::no_content(b"\x16\x03\x03\x00\x00")]
#[case::too_long_a_record(b"\x16\x03\x03\xff\xff")]
#[case::unknown_content(b"\x63\x03\x03\x00\x01\x00")]
#[case::unknown_version(b"\x16\x09\x09\x00\x04\x02\x00\x00\x00")]
#[case::http(b"HTTP/1.1 400 Bad Request\r\n\r\n")]
#[case::ssh(b"SSH-2.0-OpenSSH_9.2\r\n")]
#[case::zeros(&[0; 512])]
#[case::ones(&[0xff; 512])]
#[case::ssl2_error(b"\x80\x03\x00\x00\x01")]
#[case::ssl2_nonsense(b"\x80\x02\x04\x00")]
#[case::empty_alert(b"\x15\x03\x03\x00\x00")]
#[case::half_an_alert(b"\x15\x03\x03\x00\x01\x02")]
#[case::long_alert(b"\x15\x03\x03\x00\x03\x02\x28\x00")]
#[case::unknown_level(b"\x15\x03\x03\x00\x02\x07\x28")]
#[case::close_notify(b"\x15\x03\x03\x00\x02\x01\x00")]
#[case::a_warning_alone(b"\x15\x03\x03\x00\x02\x01\x70")]
#[case::application_data(b"\x17\x03\x03\x00\x04abcd")]
#[case::change_cipher_spec(b"\x14\x03\x03\x00\x01\x01")]
#[case::odd_change_cipher_spec(b"\x14\x03\x03\x00\x02\x01\x01")]
#[case::heartbeat(b"\x18\x03\x03\x00\x03\x01\x40\x00")]
#[case::a_client_hello(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00")]
#[case::finished_first(b"\x16\x03\x03\x00\x04\x14\x00\x00\x00")]
#[case::certificate_first(b"\x16\x03\x03\x00\x07\x0b\x00\x00\x03\x00\x00\x00")]
#[case::unknown_message(b"\x16\x03\x03\x00\x04\x77\x00\x00\x00")]
#[case::hello_request(b"\x16\x03\x03\x00\x04\x00\x00\x00\x00")]
#[case::empty_server_hello(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00")]
#[case::message_without_end(b"\x16\x03\x03\x00\x04\x02\xff\xff\xff")]
#[case::half_a_server_hello(HELLO.split_at(20).0)]
#[case::server_hello_alone(HELLO)]
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_answer_shows_nothing(#[case] answer: &'static [u8]) {
    for depth in [Depth::Quick, Depth::Standard] {
        assert_nothing_claimed(&judged(depth, usize::MAX, answer).await, depth.name());
    }
}
