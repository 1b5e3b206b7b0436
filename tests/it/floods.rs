//! Servers that never stop: a check of any of them ends, claims nothing, and stays within a bound of memory.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;

/// What a check takes at most, whatever it is sent; a friendly server costs 20.
const MAX_MEBIBYTES: u64 = 64;
/// A check that waits two seconds for each answer, three times, has ended by then.
const DEADLINE: Duration = Duration::from_secs(60);
/// Who looks deeper comes back to a server that turns it away, after longer and longer pauses: three minutes in all.
const DEEP_DEADLINE: Duration = Duration::from_secs(200);

/// Where the flood begins.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Greeting,
    Ehlo,
    Starttls,
    Handshake,
}

/// Says what belongs before the stage, then the beginning once and the rest for ever.
fn flood(stage: Stage, begins: &'static [u8], goes_on: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(pour(stream, stage, begins, goes_on)));
        }
    });
    address
}

fn pour(mut stream: TcpStream, stage: Stage, begins: &[u8], goes_on: &[u8]) -> std::io::Result<()> {
    let before: [&[u8]; 3] = [b"220 mx.example.test ESMTP\r\n", b"250-mx.example.test\r\n250 STARTTLS\r\n", b"220 go\r\n"];
    for said in &before[..stage as usize] {
        stream.write_all(said)?;
        if stream.read(&mut [0; 4096])? == 0 {
            return Ok(());
        }
    }
    stream.write_all(begins)?;
    let rest = goes_on.repeat(16 * 1024 / goes_on.len() + 1);
    loop {
        stream.write_all(&rest)?;
    }
}

/// The most memory that a process ever had, in MiB; none where the system does not tell.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes / 1024)
}

/// A record of TLS 1.2 that holds a handshake message, or the beginning of one: type, version, length, then the message.
const ENDLESS_MESSAGE: &[u8] = &[22, 3, 3, 0, 8, 2, 0xff, 0xff, 0xff, 0, 0, 0, 0];
const MORE_OF_IT: &[u8] = &[22, 3, 3, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
/// Warnings that no_renegotiation makes (RFC 5246, 7.2.2).
const WARNING: &[u8] = &[21, 3, 3, 0, 2, 1, 100];
const EMPTY_RECORD: &[u8] = &[22, 3, 3, 0, 0];
/// Encrypted data before there are keys, as large as records get.
const DATA: &[u8] = &[23, 3, 3, 0x40, 0];
/// A record of SSL 2.0 of the greatest length.
const SSL2: &[u8] = &[0xff, 0xff, 4];

#[rstest]
#[case::greeting_line(Stage::Greeting, b"220 ", b"x")]
#[case::greeting_lines(Stage::Greeting, b"", b"220-and so on\r\n")]
#[case::greeting_short_lines(Stage::Greeting, b"", b"220-\r\n")]
#[case::greeting_line_feeds(Stage::Greeting, b"", b"\n")]
#[case::greeting_zeros(Stage::Greeting, b"", b"\0")]
#[case::greeting_escapes(Stage::Greeting, b"220-", b"\x1b[2J\x1b]0;x\x07\r\n220-")]
#[case::greeting_half_a_character(Stage::Greeting, b"220 ", b"\xe2\x80")]
#[case::ehlo_line(Stage::Ehlo, b"250-", b"x")]
#[case::ehlo_lines(Stage::Ehlo, b"", b"250-KEYWORD with words\r\n")]
#[case::ehlo_starttls_for_ever(Stage::Ehlo, b"", b"250-STARTTLS\r\n")]
#[case::ehlo_replies(Stage::Ehlo, b"", b"250 OK\r\n")]
#[case::ehlo_then_zeros(Stage::Ehlo, b"250-mx\r\n250 STARTTLS\r\n", b"\0")]
#[case::starttls_line(Stage::Starttls, b"220 ", b"x")]
#[case::starttls_lines(Stage::Starttls, b"", b"220-go\r\n")]
#[case::starttls_then_more(Stage::Starttls, b"220 go\r\n", b"250 OK\r\n")]
#[case::handshake_zeros(Stage::Handshake, b"", b"\0")]
#[case::handshake_ones(Stage::Handshake, b"", b"\xff")]
#[case::handshake_text(Stage::Handshake, b"", b"250 OK\r\n")]
#[case::handshake_endless_message(Stage::Handshake, ENDLESS_MESSAGE, MORE_OF_IT)]
#[case::handshake_warnings(Stage::Handshake, b"", WARNING)]
#[case::handshake_empty_records(Stage::Handshake, b"", EMPTY_RECORD)]
#[case::handshake_data(Stage::Handshake, DATA, b"x")]
#[case::handshake_ssl2(Stage::Handshake, SSL2, b"x")]
#[case::handshake_hellos(Stage::Handshake, b"", &[22, 3, 3, 0, 4, 2, 0, 0, 0])]
fn a_flood_is_bounded(#[case] stage: Stage, #[case] begins: &'static [u8], #[case] goes_on: &'static [u8]) {
    assert_bounded(stage, begins, goes_on, "quick");
}

/// Many questions, and a flood in answer to each.
#[rstest]
#[case::in_the_clear(Stage::Starttls, b"220 go\r\n", b"250 OK\r\n")]
#[case::in_the_handshake(Stage::Handshake, b"", EMPTY_RECORD)]
fn many_floods_are_bounded(#[case] stage: Stage, #[case] begins: &'static [u8], #[case] goes_on: &'static [u8]) {
    assert_bounded(stage, begins, goes_on, "full");
}

fn assert_bounded(stage: Stage, begins: &'static [u8], goes_on: &'static [u8], depth: &str) {
    let address = flood(stage, begins, goes_on).to_string();
    let arguments = ["check", "mx.example.test", "--patience", "2s", "--active", "--probe", depth, "--connect", &address];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtalab"));
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (start, mut most) = (Instant::now(), 0);
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()).unwrap_or(0));
        let deadline = if depth == "quick" { DEADLINE } else { DEEP_DEADLINE };
        assert!(start.elapsed() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(most <= MAX_MEBIBYTES, "{most} MiB");
    assert!(matches!(output.status.code(), Some(1 | 3)), "{:?}: {out}{err}", output.status);
    assert!(!out.contains("not offered") && !err.contains("panicked"), "{out}{err}");
    assert!(out.chars().all(|c| !c.is_control() || c == '\n'), "{out:?}");
}
