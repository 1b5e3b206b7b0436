//! What the Docker engine refuses: one clear sentence each, and nothing left behind. A way to the engine that answers some
//! requests itself stands for a full disk, images that are removed, and an engine without IPv6.
//!
//! Without Docker, or without the images, each test says so and passes; with `CI=true` it fails.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
};

use rstest::rstest;

use crate::{
    cli::{mtalab, run},
    docker::is_ready,
};

/// What is answered to a request that contains a text, instead of by the engine.
type Spoiled = (&'static str, u16, &'static str);

/// A way to the engine at `socket`, until the test ends. False where the engine is not at a socket of this machine.
fn spoil(socket: &Path, spoiled: &'static [Spoiled]) -> bool {
    let engine = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let Some(engine) = engine.strip_prefix("unix://").map(str::to_owned) else { return false };
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, UnixStream::connect(&engine)) else { break };
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            thread::spawn(move || pass(client, server, spoiled));
        }
    });
    true
}

/// Passes requests on until one is spoiled, which ends the connection.
fn pass(mut client: UnixStream, mut server: UnixStream, spoiled: &[Spoiled]) {
    let mut chunk = [0; 64 << 10];
    while let Ok(length @ 1..) = client.read(&mut chunk) {
        let request = String::from_utf8_lossy(&chunk[..length]);
        if let Some((_, status, body)) = spoiled.iter().find(|(text, ..)| request.contains(text)) {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n");
            let _ = write!(client, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let _ = server.shutdown(Shutdown::Both);
            return;
        }
        if server.write_all(&chunk[..length]).is_err() {
            return;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

/// Exit code and everything that was said.
fn run_spoiled(spoiled: &'static [Spoiled], arguments: &[&str]) -> Option<(i32, String)> {
    if !is_ready() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    if !spoil(&socket, spoiled) {
        return None;
    }
    let (code, out, err) = run(mtalab().env("DOCKER_HOST", format!("unix://{}", socket.display())).args(arguments));
    Some((code, out + &err))
}

const RUN: &[&str] = &["run", "baseline/good", "--kind", "postfix", "--backend", "docker"];
const BUILD: &[&str] = &["images", "build", "postfix"];
const FULL: &str = r#"{"message":"write /var/lib/docker/x: no space left on device"}"#;
const NONE: &str = r#"{"message":"No such image"}"#;
/// Errors of a build are in the stream of its lines.
const FULL_STREAM: &str = "{\"stream\":\"Step 1\\n\"}\n{\"errorDetail\":{\"message\":\"write /x: no space left on device\"},\"error\":\"write /x: no space left on device\"}\n";

#[rstest]
#[case::full_at_creation(&[("POST /containers/create", 500, FULL), ("/containers/create", 500, FULL)], RUN, 4, "no space is left on the engine's disk")]
#[case::full_at_start(&[("/start", 500, FULL)], RUN, 4, "no space is left on the engine's disk")]
#[case::full_in_a_build(&[("GET /images/mtalab-postfix", 404, NONE), ("/images/mtalab-postfix", 404, NONE), ("/build", 200, FULL_STREAM)], BUILD, 4, "no space is left on the engine's disk")]
#[case::no_image(&[("/images/mtalab-postfix", 404, NONE)], RUN, 4, "images not built: run `mtalab images build --release bookworm`")]
#[case::image_removed_in_between(&[("/containers/create", 404, NONE), ("/images/create", 404, NONE)], RUN, 4, "images not built: run `mtalab images build --release bookworm`")]
#[case::no_right_to_a_network(&[("/networks/create", 403, r#"{"message":"authorization denied by plugin"}"#)], RUN, 4, "cannot make a network: authorization denied by plugin")]
#[case::no_ipv6(&[("\"EnableIPv6\":true", 400, r#"{"message":"IPv6 is disabled"}"#)], &["run", "vantage/no-starttls-over-ipv6", "--kind", "postfix", "--backend", "docker"], 0, "the Docker engine makes no network with IPv6: IPv6 is disabled")]
fn what_the_engine_refuses_is_one_clear_sentence(
    #[case] spoiled: &'static [Spoiled],
    #[case] arguments: &[&str],
    #[case] expected: i32,
    #[case] sentence: &str,
) {
    let Some((code, said)) = run_spoiled(spoiled, arguments) else { return };
    assert!(said.contains(sentence), "{said}");
    assert_eq!(code, expected, "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
