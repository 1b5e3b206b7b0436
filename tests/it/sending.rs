//! `send`, `sink` and `trace` from outside: good days, floods, and servers that take a message and go.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rstest::rstest;
use serde_json::Value;

use crate::cli::{mtalab, run};

/// A sink with the face of a scenario, and where it is.
struct Sink {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Sink {
    fn start(scenario: &str, connections: usize) -> Self {
        let count = connections.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mtalab"))
            .args(["sink", scenario, "--format", "json", "--for", "60s", "--connections", &count])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).unwrap();
        Self { child, out, address: begun["address"].as_str().unwrap().to_owned() }
    }

    fn send(&self, policy: &str) -> (i32, String) {
        let arguments = ["send", "mx.lab.test", "--connect", &self.address, "--to", "a@lab.test", "--policy", policy];
        let (code, out, err) = run(mtalab().args(arguments));
        (code, out + &err)
    }

    /// What it says at its end.
    fn end(mut self) -> Value {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

#[rstest]
#[case::takes_any_certificate("certificate/expired", "postfix-encrypt", 0, 1, "delivers inside TLS", "postfix-may")]
#[case::refuses_it("certificate/expired", "postfix-verify", 1, 1, "does not deliver", "postfix-verify")]
#[case::without_tls("starttls/off", "exim-default", 0, 1, "where TLS is not offered", "exim-default")]
#[case::insists("starttls/off", "exim-require-tls", 1, 1, "does not deliver", "exim-require-tls")]
#[case::falls_back("starttls/refused-554", "postfix-may", 0, 1, "delivers in the clear where it fails", "postfix-may")]
#[case::speaks_none("baseline/good", "postfix-none", 0, 1, "does not ask for TLS", "postfix-none")]
fn a_policy_shows(
    #[case] scenario: &str,
    #[case] policy: &str,
    #[case] code: i32,
    #[case] connections: usize,
    #[case] words: &str,
    #[case] alike: &str,
) {
    let sink = Sink::start(scenario, connections);
    let (sent, out) = sink.send(policy);
    assert_eq!(sent, code, "{out}");
    let end = sink.end();
    let sender = &end["senders"][0];
    assert!(sender["words"].as_str().unwrap().contains(words), "{end:#}");
    assert!(sender["alike"].as_array().unwrap().iter().any(|id| id == alike), "{end:#}");
}

/// Connections that say nothing, nonsense, half a handshake, or data without end do not keep others out, and are all counted.
#[test]
fn a_sink_stands_a_flood() {
    const MANY: usize = 120;
    let sink = Sink::start("baseline/good", MANY + 1);
    let address: SocketAddr = sink.address.parse().unwrap();
    let mut open = Vec::new();
    for number in 0..MANY {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let words: &[u8] = match number % 4 {
            0 => b"",
            1 => b"\x16\x03\x01\xff\xff\x00garbage\r\n\r\n",
            2 => b"EHLO x\r\nSTARTTLS\r\n\x16\x03\x01\x00\x05half",
            _ => b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nwithout end",
        };
        let _ = stream.write_all(words);
        open.push(stream);
    }
    let (code, out) = sink.send("postfix-may");
    assert_eq!(code, 0, "{out}");
    drop(open);
    let end = sink.end();
    let did = &end["senders"][0]["did"];
    assert_eq!(did["connections"], MANY + 1, "{end:#}");
    assert_eq!((&did["messages_in_tls"], &did["messages_in_clear"]), (&Value::from(1), &Value::from(0)));
}

/// A server that takes a message: with an answer to its end, with none, or not at all.
#[rstest]
#[case::taken(Some("250 ok\r\n"), 0, "delivered in the clear")]
#[case::silent_end(None, 3, "it may arrive twice")]
#[case::refused(Some("554 no\r\n"), 1, "not delivered")]
#[case::closing(Some("421 later\r\n"), 1, "not delivered")]
fn a_server_may_take_a_message_and_go(#[case] end: Option<&'static str>, #[case] code: i32, #[case] words: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        out.write_all(b"220 mx.example.test\r\n").unwrap();
        let mut in_message = false;
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            match (in_message, line.as_str()) {
                (true, ".") => match end {
                    Some(reply) => {
                        out.write_all(reply.as_bytes()).unwrap();
                        in_message = false;
                    }
                    None => return,
                },
                (true, _) => {}
                (false, "DATA") => {
                    in_message = true;
                    out.write_all(b"354 go on\r\n").unwrap();
                }
                (false, _) => out.write_all(b"250 ok\r\n").unwrap(),
            }
        }
    });
    let (exit, out, err) = run(mtalab().args(["send", "mx.example.test", "--connect", &address, "--to", "a@example.test"]));
    assert_eq!(exit, code, "{out}{err}");
    assert!(out.contains(words), "{out}");
    let _ = server.join();
}

#[rstest]
#[case("a@b\r\nRCPT TO:<c@d>")]
#[case("<a@b>")]
#[case("a b@c")]
#[case("nobody")]
fn a_recipient_cannot_smuggle_commands(#[case] recipient: &str) {
    let (code, ..) = run(mtalab().args(["send", "mx.example.test", "--connect", "127.0.0.1:9", "--to", recipient]));
    assert_eq!(code, 2);
}

#[rstest]
#[case::inside("Received: from a (b [192.0.2.1]) by c with ESMTPS id 1; Sat\r\n\r\n", 0, "1 inside TLS")]
#[case::in_clear("Received: from a (b [192.0.2.1]) by c with ESMTP id 1; Sat\r\n\r\n", 1, "1 in the clear")]
#[case::silent("Received: by c with HTTP; Sat\r\n\r\n", 3, "1 that do not say")]
#[case::none("Subject: x\r\n\r\n", 3, "no Received line")]
#[case::escaped("Received: from \u{1b}[2J by \u{202e}c with ESMTPS\r\n\r\n", 0, "\\x1b[2J")]
fn a_message_tells_its_way(#[case] message: &str, #[case] code: i32, #[case] words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("message.eml");
    std::fs::write(&path, message).unwrap();
    let (exit, out, err) = run(mtalab().arg("trace").arg(&path));
    assert_eq!(exit, code, "{out}{err}");
    assert!(out.contains(words), "{out}");
    let (_, json, _) = run(mtalab().arg("trace").arg(&path).args(["--format", "json"]));
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
}

/// What is written for a partner is as strict as its server bears.
#[test]
fn a_partner_is_held_to_what_it_bears() {
    let sink = Sink::start("certificate/expired", 2);
    let (_, report, _) = run(mtalab().args(["check", "mx.lab.test", "--connect", &sink.address, "--format", "json"]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    std::fs::write(&path, report).unwrap();
    let (code, out, err) = run(mtalab().arg("enforce").arg(&path).args(["--domain", "lab.test"]));
    assert_eq!(code, 0, "{out}{err}");
    for line in ["lab.test fingerprint match=", "hosts_require_tls = *", "-RequireTLS $true -TlsAuthLevel EncryptionOnly"] {
        assert!(out.contains(line), "{line} is missing in\n{out}");
    }
    let _ = sink.send("postfix-may");
    sink.end();
}
