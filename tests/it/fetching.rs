//! What certificates point to, fetched from web servers that mean no good, and asked about with another tool.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use mtalab::{
    facts::{Errand, Failure, Observed, Resource},
    probe::fetch::Fetcher,
};
use rstest::rstest;

/// A web server that answers every request with these bytes, and then holds the connection or closes it.
fn web_server(answer: Vec<u8>, is_held: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
            if is_held {
                thread::sleep(Duration::from_secs(60));
            }
        }
    });
    address
}

async fn fetched(what: Resource, answer: Vec<u8>, is_held: bool) -> Observed<mtalab::facts::Body> {
    let address = web_server(answer, is_held);
    let fixed = HashMap::from([(("pki.example.test".to_owned(), 80), address)]);
    let fetcher = Fetcher { fixed, asks_dns: false, patience: Duration::from_secs(2) };
    let url = "http://pki.example.test/x".into();
    let errand = Errand { certificate: String::new(), what, url, request: vec![0x30, 0] };
    fetcher.fetch(vec![errand]).await.remove(0).answer
}

fn ok(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[rstest]
#[case::redirect(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n".to_vec(), "HTTP status 302")]
#[case::not_found(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), "HTTP status 404")]
#[case::page(ok(b"\n <html>log in</html>"), "a web page came instead")]
#[case::smtp(b"220 mx.example.test ESMTP\r\n".to_vec(), "not HTTP: invalid HTTP version parsed")]
#[case::nothing(Vec::new(), "connection closed by the server")]
#[case::cut_short(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0".to_vec(), "connection closed by the server")]
#[case::too_long(ok(&[0x30; 70_000]), "more than 65536 bytes")]
#[case::endless_header([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 300_000]].concat(), "not HTTP: message head is too large")]
#[tokio::test]
async fn a_web_server_that_means_no_good_is_told_of(#[case] answer: Vec<u8>, #[case] expected: &str) {
    let answer = fetched(Resource::Ocsp, answer, false).await;
    assert_eq!(answer.why_not(), expected, "{answer:?}");
}

#[tokio::test]
async fn nobody_waits_for_a_web_server_that_hangs() {
    let answer = fetched(Resource::Crl, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0".to_vec(), true).await;
    assert_eq!(answer, Observed::Failed(Failure::TimedOut { millis: 2000 }));
}

#[tokio::test]
async fn bytes_that_mean_nothing_are_kept_as_unreadable() {
    let Observed::Seen(mtalab::facts::Body::Crl(list)) = fetched(Resource::Crl, ok(&[0xff; 100]), false).await else {
        panic!("not a list")
    };
    assert!(list.details().is_err());
}
