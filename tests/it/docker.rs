//! What a Docker run leaves behind: nothing, however it ends.
//!
//! Without Docker, or without the images, each test says so and passes; with `CI=true` it fails.

use std::{
    fs, io,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rstest::rstest;

use crate::cli::{mtalab, run};

/// Whether to go on; tells why not.
#[expect(clippy::print_stderr, reason = "a test cannot be ignored while it runs; it says so instead")]
pub fn is_ready() -> bool {
    let (code, images, error) = run(mtalab().args(["images", "list"]));
    let why = match (code, images.contains("not built")) {
        (0, false) => return true,
        (0, true) => "images not built, run `just images`".to_owned(),
        _ => error,
    };
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no Docker: {why}");
    eprintln!("skipped: no Docker: {why}");
    false
}

/// The containers and networks that carry the label of that process.
fn belongings(pid: u32) -> Vec<String> {
    let docker = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let format = "{{.Label \"mtalab.owner\"}} {{.ID}}";
    let mut all = docker(&["ps", "--all", "--filter", "label=mtalab.owner", "--format", format]);
    all.extend(docker(&["network", "ls", "--filter", "label=mtalab.owner", "--format", format]));
    all.retain(|line| line.split('/').nth(2) == Some(&pid.to_string()));
    all
}

/// A Docker run that has started containers.
fn started() -> Child {
    start(&["run", "certificate", "--kind", "postfix", "--backend", "docker"])
}

/// Starts a command and returns once it has its network and a container.
fn start(arguments: &[&str]) -> Child {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_mtalab")).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while belongings(child.id()).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was started");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be disturbed");
        thread::sleep(Duration::from_millis(50));
    }
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[rstest]
#[case::ctrl_c("-INT")]
#[case::told_to_end("-TERM")]
fn an_interrupted_run_removes_what_it_started(#[case] name: &str) {
    if !is_ready() {
        return;
    }
    let mut child = started();
    signal(&child, name);
    assert_ne!(child.wait().unwrap().code(), Some(0), "an interrupted run is no success");
    assert_eq!(belongings(child.id()), [""; 0]);
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_and_nothing_else_is() {
    if !is_ready() {
        return;
    }
    let mut killed = started();
    let mut beside = started();
    signal(&killed, "-KILL");
    killed.wait().unwrap();
    assert_ne!(belongings(killed.id()), [""; 0]);
    assert_swept(&[killed.id()]);
    // The run beside it was still alive, and passes.
    assert!(beside.wait().unwrap().success());
    assert_eq!(belongings(beside.id()), [""; 0]);
}

/// The next runs remove what those processes left. The engine may still be at work on what a killed run ordered last,
/// so that it appears behind the sweep of the run that comes at once; the run after that takes it.
fn assert_swept(killed: &[u32]) {
    let left = || killed.iter().flat_map(|pid| belongings(*pid)).collect::<Vec<_>>();
    let begun = Instant::now();
    loop {
        let (code, out, err) = run(mtalab().args(["run", "baseline/good", "--kind", "postfix", "--backend", "docker"]));
        assert_eq!(code, 0, "{out}{err}");
        if left().is_empty() || begun.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    assert_eq!(left(), [""; 0]);
}

/// How often a run is killed here; `just cleanliness` does it 50 times.
fn kills() -> usize {
    std::env::var("MTALAB_KILLS").map_or(6, |text| text.parse().expect("MTALAB_KILLS is a number"))
}

#[test]
fn a_run_may_be_killed_at_any_moment() {
    if !is_ready() {
        return;
    }
    let arguments = ["run", "starttls", "--kind", "postfix", "--backend", "docker"];
    let mut killed = Vec::new();
    for _ in 0..kills() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mtalab"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(rand::random_range(0..4000)));
        child.kill().unwrap();
        child.wait().unwrap();
        killed.push(child.id());
    }
    assert_swept(&killed);
}

/// In a network of its own this machine reaches no container, as if the engine were on another one.
#[test]
#[expect(clippy::print_stderr, reason = "a test cannot be ignored while it runs; it says so instead")]
fn an_engine_out_of_reach_has_all_vantage_points_in_containers() {
    if !is_ready() {
        return;
    }
    let apart = |command: &str| {
        let script = format!("ip link set lo up && exec \"$0\" {command}");
        Command::new("unshare").args(["--net", "sh", "-c", &script, env!("CARGO_BIN_EXE_mtalab")]).output().unwrap()
    };
    if !apart("--version").status.success() {
        eprintln!("skipped: this user cannot make a network namespace");
        return;
    }
    let output = apart("run baseline/good baseline/implicit-tls vantage/the-story --kind postfix --backend docker");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("3 passed, 0 failed"), "{said}");
    let up = apart("up baseline/good --kind postfix --backend docker");
    let said = String::from_utf8_lossy(&up.stderr);
    let lab: serde_json::Value = serde_json::from_slice(&up.stdout).unwrap();
    assert!(apart(&format!("down {}", lab["id"].as_str().unwrap())).status.success());
    assert!(said.contains("only that one reaches") && said.contains("ssh -N -L 2525:"), "{said}");
}

/// An engine that goes away in the middle, as a way to it that is cut.
#[test]
fn an_engine_that_stops_is_one_clear_sentence() {
    if !is_ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let engine = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let Some(engine) = engine.strip_prefix("unix://") else { return };
    let way = Way::to(engine, &socket);
    let mut child = Command::new(env!("CARGO_BIN_EXE_mtalab"))
        .args(["run", "starttls", "--kind", "postfix", "--backend", "docker"])
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let begun = Instant::now();
    while belongings(pid).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "nothing was started");
        thread::sleep(Duration::from_millis(50));
    }
    way.cut();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("Docker engine"), "{said}");
    let (code, out, err) = run(mtalab().args(["run", "baseline/good", "--kind", "postfix", "--backend", "docker"]));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(belongings(pid), [""; 0]);
}

/// A way to the engine's socket that can be cut.
struct Way {
    socket: PathBuf,
    ends: Arc<Mutex<Vec<UnixStream>>>,
}

impl Way {
    fn to(engine: &str, socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let ends = Arc::new(Mutex::new(Vec::new()));
        let (kept, engine) = (Arc::clone(&ends), engine.to_owned());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&engine)) else { break };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                kept.lock().unwrap().extend([client, server]);
            }
        });
        Self { socket: socket.to_owned(), ends }
    }

    fn cut(&self) {
        fs::remove_file(&self.socket).unwrap();
        self.ends.lock().unwrap().iter().for_each(|end| _ = end.shutdown(Shutdown::Both));
    }
}

/// A lab is kept only once it is up: before that, `up` owns it like any run.
#[rstest]
#[case::interrupted("-INT", false)]
#[case::killed("-KILL", true)]
fn a_lab_that_was_ended_while_it_started_is_not_kept(#[case] name: &str, #[case] is_swept_later: bool) {
    if !is_ready() {
        return;
    }
    let mut starting = start(&["up", "vantage/the-story", "--kind", "postfix", "--backend", "docker"]);
    signal(&starting, name);
    assert!(!starting.wait().unwrap().success());
    if is_swept_later {
        assert_ne!(belongings(starting.id()), [""; 0]);
        let (code, out, err) = run(mtalab().args(["run", "baseline/good", "--kind", "postfix", "--backend", "docker"]));
        assert_eq!(code, 0, "{out}{err}");
    }
    assert_eq!(belongings(starting.id()), [""; 0]);
}

#[test]
fn a_lab_in_containers_stays_until_down() {
    if !is_ready() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let in_lab = |arguments: &[&str]| run(mtalab().env("XDG_RUNTIME_DIR", home.path()).args(arguments));
    let (code, line, err) = in_lab(&["up", "certificate/rsa-1024", "--kind", "postfix", "--backend", "docker"]);
    assert_eq!(code, 0, "{err}");
    let lab: serde_json::Value = serde_json::from_str(&line).unwrap();
    let text = |key: &str| lab[key].as_str().unwrap();
    // Another run sweeps, and must not take it for a leftover of the process that has ended.
    let (code, out, _) = in_lab(&["run", "baseline/good", "--kind", "postfix", "--backend", "docker"]);
    assert_eq!(code, 0, "{out}");
    assert!(in_lab(&["ps"]).1.contains(text("id")));
    let (code, report, _) = in_lab(&["check", "mx.lab.test", "--connect", text("address"), "--trust", text("ca_file")]);
    assert_eq!(code, 1, "{report}");
    assert!(report.contains("weak-rsa-key") && report.contains("RSA 1024 bits"), "{report}");
    assert_eq!(in_lab(&["down", text("id")]).0, 0);
    // Labs of tests beside this one are listed, too.
    let (code, ps, _) = in_lab(&["ps"]);
    assert!(code == 0 && !ps.contains(text("id")), "{ps}");
}

#[rstest]
#[case("unix:///nonexistent/docker.sock")]
#[case("tcp://127.0.0.1:1")]
fn a_missing_engine_is_one_clear_sentence(#[case] host: &str) {
    let (code, out, err) = run(mtalab().env("DOCKER_HOST", host).args(["run", "baseline/good", "--backend", "docker"]));
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("no Docker engine answers") && err.contains("start it"), "{err}");
    assert_eq!(err.trim().lines().count(), 1, "{err}");
}

#[test]
fn an_engine_behind_ssh_has_a_way_round() {
    let host = "ssh://root@192.0.2.1";
    let (code, out, err) = run(mtalab().env("DOCKER_HOST", host).args(["run", "baseline/good", "--backend", "docker"]));
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("ssh -N -L /tmp/docker.sock:/var/run/docker.sock"), "{err}");
    assert_eq!(err.trim().lines().count(), 1, "{err}");
}
