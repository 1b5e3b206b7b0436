//! The command line, through its binary: what a person types and reads.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Stdio,
};

use assert_cmd::Command;
use rstest::rstest;

/// The program, in an environment of its own.
pub(crate) fn mtalab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtalab"));
    command.env_remove("CLICOLOR_FORCE").env("NO_COLOR", "1").current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Exit code, standard output and standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what is printed is UTF-8");
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_whole_corpus_passes_on_the_embedded_backend() {
    let (code, out, err) = run(mtalab().arg("run"));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(" 0 failed, 0 not possible, 0 broken"), "{out}");
    assert_eq!(err, "", "a pipe gets no progress bar");
}

#[test]
fn one_scenario_by_its_id_on_one_kind() {
    let (code, out, _) = run(mtalab().args(["run", "certificate/expired", "--kind", "postfix"]));
    assert_eq!(code, 0);
    assert!(out.starts_with("pass          certificate/expired@postfix\n"), "{out}");
}

#[test]
fn a_wrong_expectation_fails_and_shows_the_transcript() {
    let folder = tempfile::tempdir().unwrap();
    let topic = folder.path().join("certificate");
    fs::create_dir(&topic).unwrap();
    let scenario = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/certificate/expired.toml")).unwrap();
    let wrong = scenario.replace(r#"must = ["certificate-expired"]"#, r#"must = ["self-signed"]"#);
    assert_ne!(wrong, scenario);
    fs::write(topic.join("expired.toml"), wrong).unwrap();
    let (code, out, _) = run(mtalab().args(["run", "--kind", "postfix", "--scenarios"]).arg(folder.path()));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("`self-signed` must be found and was not"), "{out}");
    assert!(out.contains("`certificate-expired` must not be found and was"), "{out}");
    assert!(out.contains("STARTTLS") && out.contains("220 2.0.0 Ready to start TLS"), "{out}");
}

#[test]
fn the_doctor_tells_a_good_corpus_from_a_bad_one() {
    let without_docker = |command: &mut Command| run(command.env("DOCKER_HOST", "unix:///nowhere/docker.sock"));
    let (code, out, err) = without_docker(mtalab().arg("doctor"));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("✓ controls that must pass"), "{out}");
    assert!(out.contains("✓ a control that must fail"), "{out}");

    let folder = tempfile::tempdir().unwrap();
    let topic = folder.path().join("baseline");
    fs::create_dir(&topic).unwrap();
    let good = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/baseline/good.toml")).unwrap();
    fs::write(topic.join("good.toml"), good.replace("[expect]\n", "[expect]\nmust = [\"certificate-expired\"]\n")).unwrap();
    let (code, out, _) = without_docker(mtalab().args(["doctor", "--scenarios"]).arg(folder.path()));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("✗ controls that must pass"), "{out}");
}

#[test]
#[cfg(feature = "docker")]
fn the_doctor_says_that_an_engine_is_missing() {
    let arguments = ["doctor", "--backend", "docker"];
    let (code, out, _) = run(mtalab().args(arguments).env("DOCKER_HOST", "unix:///nowhere/docker.sock"));
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("✗ docker"), "{out}");
}

#[test]
fn a_snapshot_that_differs_fails_and_shows_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let topic = folder.path().join("baseline");
    fs::create_dir(&topic).unwrap();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/baseline");
    fs::copy(scenarios.join("good.toml"), topic.join("good.toml")).unwrap();
    let snapshot = fs::read_to_string(scenarios.join("good.postfix.snap")).unwrap();
    fs::write(topic.join("good.postfix.snap"), snapshot.replace("ESMTP Postfix", "ESMTP Postfax")).unwrap();
    let (code, out, _) = run(mtalab().args(["run", "--kind", "postfix", "--scenarios"]).arg(folder.path()));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("- ") && out.contains("Postfax"), "{out}");
}

#[rstest]
#[case(&["explain", "certificate-expird"], 2, "`certificate-expired`")]
#[case(&["explain", "nosuch"], 2, "lists all of them")]
#[case(&["check", "mx.example.test", "--connect", "127.0.0.1:0"], 2, "port 0")]
#[case(&["check", "mx.example.test", "--connect", "localhost"], 2, "such as 192.0.2.1:25")]
#[case(&["check", "mx.example.test", "--patience", "0s"], 2, "expected 1s to 1h")]
#[case(&["show", "certificate/expird"], 2, "certificate/expired")]
#[case(&["run", "no-such-topic/x"], 2, "")]
#[case(&["run", "--kind", "postfax"], 2, "postfax")]
#[case(&["run", "--filter", "no such text"], 2, "no scenario is left")]
#[case(&["run", "--scenarios", "no/such/folder"], 2, "no/such/folder")]
#[case(&["check", "192.0.2.1"], 2, "--connect")]
#[case(&["check", "a b"], 2, "not a host name")]
#[case(&["check", "mx.example.test:99999"], 2, "1 to 65535")]
#[case(&["check", "mx.example.test", "--connect", "127.0.0.1:1", "--trust", "no-such.pem"], 4, "no-such.pem")]
#[case(&["check", "mx.example.test", "--connect", "127.0.0.1:1", "--trust", "Cargo.toml"], 2, "no certificate in it")]
#[case(&["merge", "no-such.json"], 4, "no-such.json")]
#[case(&["merge", "Cargo.toml"], 2, "not a report")]
#[case(&["down", "nobody"], 2, "nobody")]
#[case(&["nonsense"], 2, "nonsense")]
fn a_mistake_gets_one_clear_error(#[case] arguments: &[&str], #[case] code: i32, #[case] says: &str) {
    let (actual, out, err) = run(mtalab().args(arguments));
    assert_eq!(actual, code, "{out}{err}");
    assert!(err.contains(says), "{err}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn a_port_where_nobody_listens_is_inconclusive() {
    let (code, out, _) = run(mtalab().args(["check", "mx.example.test", "--connect", "127.0.0.1:1"]));
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("connection refused"), "{out}");
    assert!(!out.contains("not offered"), "{out}");
}

#[test]
fn a_source_that_this_machine_does_not_have_is_its_own_fault() {
    let (code, out, err) = run(mtalab().args(["check", "mx.example.test", "--connect", "127.0.0.1:1", "--from", "192.0.2.77"]));
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("--from 192.0.2.77: this machine cannot use that source address"), "{err}");
}

#[rstest]
#[case("--vantage", " ", "nothing to be seen")]
#[case("--vantage", "\u{200b}\u{2060}", "nothing to be seen")]
#[case("--ehlo", "[2001:db8::1]", "an address literal is")]
fn labels_and_names_that_are_none_are_refused(#[case] option: &str, #[case] value: &str, #[case] why: &str) {
    let (code, out, err) = run(mtalab().args(["check", "mx.example.test", "--connect", "127.0.0.1:1", option, value]));
    assert_eq!(code, 2, "{out}{err}");
    assert!(err.contains(why), "{err}");
}

#[test]
fn an_address_literal_is_a_name_for_ehlo() {
    let literal = ["--ehlo", "[192.0.2.1]", "--ehlo", "[IPv6:2001:db8::1]"];
    let (code, out, err) = run(mtalab().args(["check", "mx.example.test", "--connect", "127.0.0.1:1"]).args(literal));
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains("as [192.0.2.1]") && out.contains("as [IPv6:2001:db8::1]"), "{out}");
}

#[test]
fn a_relay_interferes_where_it_is_told_to() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || server.accept().map(|(mut stream, _)| stream.write_all(b"220 mx.example.test ESMTP\r\n")));
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_mtalab"))
        .args(["relay", &to, "--at", "greeting", "--do", "replace", "--with", "554 not you"])
        .stdout(Stdio::piped())
        .spawn();
    let mut relay = program.unwrap();
    let mut line = String::new();
    BufReader::new(relay.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let place: serde_json::Value = serde_json::from_str(&line).unwrap();
    let mut said = String::new();
    BufReader::new(TcpStream::connect(place["address"].as_str().unwrap()).unwrap()).read_line(&mut said).unwrap();
    relay.kill().unwrap();
    relay.wait().unwrap();
    assert_eq!(said, "554 not you\r\n");
}

#[rstest]
#[case(&["--at", "ehlo:0", "--do", "split"], "`ehlo:0` is none of")]
#[case(&["--at", "greeting", "--do", "shout"], "unknown variant `shout`")]
#[case(&["--at", "greeting", "--do", "delay"], "`by` belongs to")]
#[case(&["--at", "greeting"], "--do")]
fn a_relay_is_told_what_a_scenario_tells_it(#[case] arguments: &[&str], #[case] why: &str) {
    let (code, out, err) = run(mtalab().args(["relay", "127.0.0.1:1"]).args(arguments));
    assert_eq!(code, 2, "{out}{err}");
    assert!(err.contains(why), "{err}");
}

#[test]
fn explain_lists_every_rule_and_shows_each_page() {
    let (code, list, _) = run(mtalab().arg("explain"));
    assert_eq!(code, 0);
    for rule in mtalab::rules::catalogue() {
        assert!(list.contains(rule.id), "{}", rule.id);
        let (code, page, _) = run(mtalab().args(["explain", rule.id]));
        assert_eq!(code, 0);
        assert!(page.contains(rule.title()), "{page}");
    }
}

#[test]
fn snapshots_are_not_written_where_they_cannot_be() {
    let (code, _, err) = run(mtalab().args(["run", "--scenarios", "/proc", "--update-snapshots"]));
    assert_ne!(code, 0);
    assert!(err.starts_with("error:"), "{err}");
    let folder = tempfile::tempdir().unwrap();
    let topic = folder.path().join("baseline");
    fs::create_dir(&topic).unwrap();
    fs::copy("scenarios/baseline/good.toml", topic.join("good.toml")).unwrap();
    // A folder in the file's place stops root as well.
    fs::create_dir(topic.join("good.postfix.snap")).unwrap();
    let (code, out, err) =
        run(mtalab().args(["run", "--kind", "postfix", "--update-snapshots", "--scenarios"]).arg(folder.path()));
    assert_ne!(code, 0, "{out}{err}");
    assert!(err.contains("good.postfix.snap"), "{err}");
}

/// `mtalab up` of the story, with its state in a folder of its own, and what it says of itself.
fn story(home: &Path, kind: &str) -> (std::process::Child, serde_json::Value) {
    up(home, "vantage/the-story", kind)
}

pub(crate) fn up(home: &Path, scenario: &str, kind: &str) -> (std::process::Child, serde_json::Value) {
    use std::{
        io::{BufRead as _, BufReader},
        process::Stdio,
    };
    let mut up = std::process::Command::new(env!("CARGO_BIN_EXE_mtalab"))
        .args(["up", scenario, "--kind", kind])
        .env("XDG_RUNTIME_DIR", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(up.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (up, serde_json::from_str(&line).unwrap())
}

#[test]
fn a_lab_stays_up_until_it_is_told_to_end() {
    use std::io::{Read as _, Write as _};
    let home = tempfile::tempdir().unwrap();
    let (mut up, lab) = story(home.path(), "exchange-2010");
    let (id, address) = (lab["id"].as_str().unwrap(), lab["address"].as_str().unwrap());
    assert!(fs::read_to_string(lab["ca_file"].as_str().unwrap()).unwrap().contains("BEGIN CERTIFICATE"));

    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"HELP\r\nQUIT\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.contains("220 mx.lab.test Microsoft ESMTP MAIL Service ready at"), "{said}");
    assert!(said.contains("214 HELO EHLO STARTTLS"), "HELP lists STARTTLS to everyone: {said}");

    let in_lab = |arguments: &[&str]| run(mtalab().env("XDG_RUNTIME_DIR", home.path()).args(arguments));
    let (_, ps, _) = in_lab(&["ps"]);
    assert!(ps.contains(id) && ps.contains("vantage/the-story@exchange-2010"), "{ps}");
    let (code, out, err) = in_lab(&["down", id]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(up.wait().unwrap().success());
    // Labs in Docker of tests beside this one are listed, too.
    let (code, ps, _) = in_lab(&["ps"]);
    assert!(code == 0 && !ps.contains(id), "{ps}");
    assert!(!Path::new(lab["ca_file"].as_str().unwrap()).exists());
}

/// What a checker has to be told besides the address: the file on the server's disk, and the CA's web server.
#[test]
fn a_lab_that_is_up_says_what_it_has_besides_the_server() {
    let home = tempfile::tempdir().unwrap();
    let (mut server, lab) = up(home.path(), "certificate/not-reloaded", "postfix");
    let text = |key: &str| lab[key].as_str().unwrap().to_owned();
    let check = ["check", &text("host"), "--connect", &text("address"), "--trust", &text("ca_file")];
    let (_, report, err) = run(mtalab().args(check).args(["--certificate", &text("certificate_file")]));
    assert!(report.contains("certificate-not-reloaded"), "{report}{err}");
    server.kill().unwrap();
    server.wait().unwrap();
    let (mut server, lab) = up(home.path(), "revocation/revoked-by-ocsp", "postfix");
    assert!(lab["certificate_file"].is_null() && lab["web"]["host"].is_string(), "{lab}");
    assert!(lab["web"]["address"].as_str().unwrap().parse::<std::net::SocketAddr>().is_ok(), "{lab}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn reports_from_two_places_become_one() {
    let home = tempfile::tempdir().unwrap();
    let (mut up, lab) = story(home.path(), "postfix");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut reports = Vec::new();
    for vantage in lab["vantages"].as_array().unwrap() {
        let arguments = ["check", "mx.lab.test", "--format", "json", "--connect"];
        let (name, source) = (text(&vantage["name"]), text(&vantage["source"]));
        let (_, json, err) = run(mtalab().args(arguments).arg(text(&lab["address"])).args([
            "--trust",
            &text(&lab["ca_file"]),
            "--from",
            &source,
            "--vantage",
            &name,
        ]));
        let path = home.path().join(format!("{name}.json"));
        fs::write(&path, json).unwrap();
        assert_eq!(err, "");
        reports.push(path);
    }
    let home_alone = fs::read_to_string(&reports[0]).unwrap();
    assert!(
        home_alone.contains("starttls-not-offered")
            && !home_alone.contains("\"certificate-expired\",\n      \"practice\": \"renewal\",\n      \"severity\"")
    );
    let (code, merged, err) = run(mtalab().arg("merge").args(&reports).args(["--trust", &text(&lab["ca_file"])]));
    assert_eq!(code, 1, "{merged}{err}");
    assert!(merged.contains("starttls-offered-to-some") && merged.contains("certificate-expired"), "{merged}");
    up.kill().unwrap();
    up.wait().unwrap();
}
