//! Servers that are no mail servers, or bad ones: `check` says what they are and ends.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rstest::rstest;

use crate::cli::{mtalab, run};

/// Answers every connection with `behave` in a thread of its own.
fn serve(behave: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behave = behave.clone();
            std::thread::spawn(move || behave(stream));
        }
    });
    address
}

fn check(address: SocketAddr) -> (i32, String, String) {
    run(mtalab().args(["check", "mx.example.test", "--patience", "2s", "--transcript", "--connect", &address.to_string()]))
}

/// Whatever the server does: one report, nothing that acts on a terminal, no claim about STARTTLS.
fn assert_inconclusive((code, out, err): (i32, String, String), says: &str) {
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains(says), "{out}");
    assert!(!out.contains('\u{1b}') && !out.contains('\u{7}'), "{out:?}");
    assert!(!out.contains("not offered"), "{out}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn a_port_that_speaks_http() {
    let address = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    assert_inconclusive(check(address), "not SMTP");
}

#[test]
fn a_port_that_says_nothing() {
    let address = serve(|stream| {
        std::thread::sleep(Duration::from_secs(10));
        drop(stream);
    });
    assert_inconclusive(check(address), "no answer within 2 s");
}

#[test]
fn an_endless_greeting() {
    let address = serve(|mut stream| while stream.write_all(b"220-still greeting\r\n").is_ok() {});
    assert_inconclusive(check(address), "the reply has more than");
}

#[test]
fn an_endless_line() {
    let address = serve(|mut stream| while stream.write_all(&[b'2'; 1024]).is_ok() {});
    assert_inconclusive(check(address), "longer than 4096 bytes");
}

#[test]
fn a_greeting_that_drips() {
    let address = serve(|mut stream| {
        for byte in b"220 mx.example.test ESMTP and much more of it\r\n" {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    assert_inconclusive(check(address), "no answer within 2 s");
}

#[rstest]
#[case(b"220 mx.example.test \x1b[2J\x1b]0;owned\x07 ESMTP\r\n")]
#[case(b"220 \xff\xfe\x00\x9b31m\r\n")]
#[case("220 mx.example.test \u{202e}PTMSE\r\n".as_bytes())]
fn escape_sequences_are_shown_as_text(#[case] greeting: &'static [u8]) {
    let address = serve(move |mut stream| {
        let _ = stream.write_all(greeting);
        let mut byte = [0; 512];
        while matches!(stream.read(&mut byte), Ok(read) if read > 0) {
            let _ = stream.write_all(b"421 \x1b[31mgo away\r\n");
        }
    });
    let (code, out, err) = check(address);
    // The name in the greeting was seen and may be wrong; nothing else was.
    assert_eq!(code, if out.contains("fail  greeting-name") { 1 } else { 3 }, "{out}{err}");
    assert!(out.chars().all(|c| !c.is_control() || c == '\n'), "{out:?}");
    assert!(!out.contains('\u{202e}'));
}

#[test]
fn replies_before_the_question_are_no_answers() {
    let address = serve(|mut stream| {
        let _ = stream.write_all(b"220 mx.example.test ESMTP\r\n250-mx.example.test\r\n250 PIPELINING\r\n");
        let mut byte = [0; 512];
        let _ = stream.read(&mut byte);
    });
    assert_inconclusive(check(address), "before it was asked");
}

/// Each line says that it is the last one: what follows it cannot be told from an answer to something else.
#[test]
fn a_keyword_behind_the_last_line_is_no_absence() {
    let address =
        serve(|mut stream| converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &[b"250 mx\r\n250 STARTTLS\r\n250 SIZE\r\n"]));
    assert_inconclusive(check(address), "before it was asked");
}

#[test]
fn an_address_named_twice_is_asked_once() {
    let address = serve(drop);
    let from = ["--from", "127.0.0.5", "--from", "127.0.0.5"];
    let connect = ["check", "mx.example.test", "--patience", "2s", "--connect", &address.to_string()].map(str::to_owned);
    let (code, out, err) = run(mtalab().args(connect).args(from));
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains("connections   3\n"), "{out}");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mtalab")).arg("list").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the output"));
}

#[test]
fn an_endless_trust_store_is_refused() {
    let (code, _, err) = run(mtalab().args(["check", "mx.example.test", "--connect", "127.0.0.1:1", "--trust", "/dev/zero"]));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no regular file"), "{err}");
}

#[test]
fn throttling_is_not_the_absence_of_tls() {
    let address = serve(|mut stream| {
        let _ = stream.write_all(b"421 4.7.0 mx.example.test Error: too many connections\r\n");
    });
    let (code, out, err) = check(address);
    assert_inconclusive((code, out.clone(), err), "too many connections");
    assert!(out.contains("connections   3\n"), "{out}");
}

#[test]
fn garbage_instead_of_a_handshake_is_no_verdict_on_starttls() {
    let address = serve(|mut stream| {
        let _ = stream.write_all(b"220 mx.example.test ESMTP\r\n");
        let mut bytes = [0; 4096];
        for answer in [&b"250-mx.example.test\r\n250 STARTTLS\r\n"[..], b"220 go\r\n", &[0x17; 300]] {
            if !matches!(stream.read(&mut bytes), Ok(read) if read > 0) {
                return;
            }
            let _ = stream.write_all(answer);
        }
    });
    // A record of a version that there is not, as good as noise.
    assert_inconclusive(check(address), "\\x17\\x17\\x17");
}

/// Line ends and separators that no RFC allows and every client reads over.
#[rstest]
#[case(b"220 mx.example.test ESMTP\r\r\n", b"250-mx.example.test\r\r\n250-STARTTLS\r\r\n250 SIZE\r\r\n")]
#[case(b"220 mx.example.test\tESMTP\r\n", b"250-mx.example.test\tHello\r\n250-STARTTLS\t\r\n250 SIZE\r\n")]
fn odd_separators_do_not_hide_starttls(#[case] greeting: &'static [u8], #[case] ehlo: &'static [u8]) {
    let address = serve(move |mut stream| converse(&mut stream, greeting, &[ehlo, b"220 go\r\n"]));
    let (_, out, err) = check(address);
    assert!(out.contains("STARTTLS") && !out.contains("starttls-not-offered"), "{out}{err}");
    assert!(!out.contains("greeting-name") && !out.contains("ehlo-name"), "{out}");
}

/// A 421 in answer to a command is no answer: the next connection is asked again, and speaks for the server.
#[test]
fn throttling_in_answer_to_starttls_is_asked_again() {
    const EHLO: &[u8] = b"250-mx.example.test\r\n250 STARTTLS\r\n";
    let connections: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let address = serve(|mut stream| {
        let is_first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        let starttls: &[u8] = if is_first { b"421 4.7.0 later\r\n" } else { b"454 4.7.0 TLS not available\r\n" };
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &[EHLO, starttls, b"221 bye\r\n"]);
    });
    let (code, out, err) = check(address);
    // The refusal is heard twice before it is believed.
    assert_eq!((code, connections.load(Ordering::Relaxed)), (1, 3), "{out}{err}");
    assert!(out.contains("starttls-refused"), "{out}");
}

/// What one connection was offered and the next was not is neither "not offered" nor "offered".
#[test]
fn an_offer_that_comes_and_goes_is_said_to() {
    let connections: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let address = serve(|mut stream| {
        let is_first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        let ehlo: &[u8] = if is_first { b"250-mx.example.test\r\n250 STARTTLS\r\n" } else { b"250 mx.example.test\r\n" };
        // The first connection ends at STARTTLS without a word.
        let rest: &[&[u8]] = if is_first { &[ehlo] } else { &[ehlo, b"502 no help\r\n", b"221 bye\r\n"] };
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", rest);
    });
    let (code, out, err) = check(address);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("at one time and not at another") && !out.contains("starttls-not-offered"), "{out}");
}

/// Ctrl-C, and what `timeout` sends.
#[rstest]
#[case::ctrl_c("-INT")]
#[case::told_to_end("-TERM")]
fn what_is_known_at_an_interruption_is_printed(#[case] signal: &str) {
    let connections: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let address = serve(|mut stream| {
        connections.fetch_add(1, Ordering::Relaxed);
        let replies: [&[u8]; 2] = [b"250-mx.example.test\r\n250 STARTTLS\r\n", b"220 go\r\n"];
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &replies);
    });
    let arguments = ["check", "mx.example.test", "--probe", "full", "--connect", &address.to_string()].map(str::to_owned);
    let mut checker = Command::new(env!("CARGO_BIN_EXE_mtalab"));
    let child = checker.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The handshake is tried three times at most; what follows are the questions.
    while connections.load(Ordering::Relaxed) < 5 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{out}");
    for known in ["interrupted: what was not asked", "220 mx.example.test ESMTP", "takes"] {
        assert!(out.contains(known), "{known} is missing in {out}");
    }
}

/// What was to be asked is not said to belong to a deeper check.
#[test]
fn a_deep_check_of_a_server_that_is_not_there_does_not_claim_to_be_quick() {
    let address = serve(drop);
    let arguments = ["check", "mx.example.test", "--probe", "full", "--connect", &address.to_string()].map(str::to_owned);
    let (code, out, err) = run(mtalab().args(arguments));
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains("anything about TLS: the dialog never got that far"), "{out}");
    assert!(!out.contains("SSLv3"), "{out}");
}

/// Greets, then answers each line with the next reply; closes when there is none left.
fn converse(stream: &mut TcpStream, greeting: &[u8], replies: &[&[u8]]) {
    let mut line = [0; 512];
    if stream.write_all(greeting).is_err() {
        return;
    }
    for reply in replies {
        match stream.read(&mut line) {
            Ok(read) if read > 0 && stream.write_all(reply).is_ok() => {}
            _ => return,
        }
    }
    let _ = stream.read(&mut line);
}

/// Holds the dialog up to QUIT; EHLO is answered by the name that it gives.
fn knows_names(mut stream: TcpStream) {
    let mut line = [0; 512];
    let _ = stream.write_all(b"220 mx.example.test ESMTP\r\n");
    while let Ok(read @ 1..) = stream.read(&mut line) {
        let said = match &line[..read] {
            b"EHLO known.example.test\r\n" => "250-mx.example.test\r\n250 STARTTLS\r\n",
            said if said.starts_with(b"EHLO") => "250 mx.example.test\r\n",
            b"STARTTLS\r\n" => "454 4.7.0 TLS not available\r\n",
            _ => "502 5.5.1 no\r\n",
        };
        let _ = stream.write_all(said.as_bytes());
    }
}

/// All names that one source gives share its three connections; nobody is asked more often for having several.
#[test]
fn several_names_are_given_in_three_connections() {
    let connections: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let address = serve(move |stream| {
        connections.fetch_add(1, Ordering::Relaxed);
        knows_names(stream);
    });
    let names = ["--ehlo", "known.example.test", "--ehlo", "other.example.test"];
    let (code, out, err) = run(mtalab().args(["check", "mx.example.test", "--connect", &address.to_string()]).args(names));
    assert_eq!((code, connections.load(Ordering::Relaxed)), (1, 3), "{out}{err}");
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("is off for 127.0.0.1 as other.example.test"), "{out}");
    let four = ["--ehlo", "a.test", "--ehlo", "b.test", "--ehlo", "c.test", "--ehlo", "d.test"];
    let (code, _, err) = run(mtalab().args(["check", "mx.example.test", "--connect", &address.to_string()]).args(four));
    assert!(code == 2 && err.contains("under 3 names at most"), "{err}");
}

/// The pauses of one name are not those of the next.
#[test]
fn a_throttled_server_is_soon_left_alone_under_several_names() {
    let connections: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let address = serve(|mut stream| {
        connections.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(b"421 4.7.0 mx.example.test Error: too many connections\r\n");
    });
    let names = ["--ehlo", "a.example.test", "--ehlo", "b.example.test", "--ehlo", "c.example.test"];
    let start = std::time::Instant::now();
    let (code, out, err) = run(mtalab().args(["check", "mx.example.test", "--connect", &address.to_string()]).args(names));
    assert_eq!((code, connections.load(Ordering::Relaxed)), (3, 3), "{out}{err}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Nothing that a closing server says behind a complete reply is taken for the absence of one.
#[test]
fn a_421_behind_the_reply_is_told_as_one() {
    let address = serve(|mut stream| {
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &[b"250 mx\r\n421 4.3.2 closing\r\n"]);
    });
    assert_inconclusive(check(address), "the server asks to come back later: 421 4.3.2 closing");
}

/// Nor is it clear text that somebody put in front of TLS. Each connection is asked again as it is after any other 421.
#[test]
fn a_421_behind_the_220_is_told_as_one() {
    let connections: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let address = serve(|mut stream| {
        connections.fetch_add(1, Ordering::Relaxed);
        let ready: &[u8] = b"220 2.0.0 go ahead\r\n421 4.3.2 closing\r\n";
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &[b"250-mx\r\n250 STARTTLS\r\n", ready]);
    });
    assert_inconclusive(check(address), "the server asks to come back later: 421 4.3.2 closing");
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

/// A record of TLS is no clear text, though it comes too early.
#[test]
fn an_alert_behind_the_220_is_no_clear_text() {
    let address = serve(|mut stream| {
        let ready: &[u8] = b"220 2.0.0 go ahead\r\n\x15\x03\x01\x00\x02\x02\x50";
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &[b"250-mx\r\n250 STARTTLS\r\n", ready]);
    });
    let (_, out, err) = check(address);
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("the server sent the alert internal_error") && !out.contains("data-before-handshake"), "{out}{err}");
}

/// A reply in pieces that each say they are the last one: what answers HELP then is the rest of it.
#[test]
fn a_keyword_that_answers_help_is_no_absence() {
    let address = serve(|mut stream| {
        converse(&mut stream, b"220 mx.example.test ESMTP\r\n", &[b"250-mx\r\n250 SIZE\r\n", b"250 STARTTLS\r\n"]);
    });
    assert_inconclusive(check(address), "the server sent `250 STARTTLS`");
}
