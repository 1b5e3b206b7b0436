//! Reminders, through the binary: what ends is told to people, calendars and monitoring, and other programs read it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command as Program, Stdio},
};

use rcgen::{CertificateParams, DnType, KeyPair};
use rstest::rstest;
use serde_json::Value;

use super::cli::{mtalab, run, up};

/// A lab that is up as long as this lives.
struct Lab {
    up: Child,
    home: tempfile::TempDir,
    said: Value,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.up.kill();
        let _ = self.up.wait();
    }
}

impl Lab {
    fn of(scenario: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (up, said) = up(home.path(), scenario, "postfix");
        Self { up, home, said }
    }

    fn text(&self, key: &str) -> String {
        self.said[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.said)).to_owned()
    }

    /// What a reminder of its server, or of its domain, takes.
    fn watched(&self) -> Vec<String> {
        let domain = &self.said["domain"];
        let of = |key: &str| domain[key].as_str().map_or_else(|| domain[key].to_string(), str::to_owned);
        let mut arguments = match domain.is_null() {
            true => vec![self.text("host"), "--connect".to_owned(), self.text("address")],
            false => vec![
                of("name"),
                "--resolver".to_owned(),
                self.text("address"),
                "--dns-anchor".to_owned(),
                of("dns_anchor_file"),
                "--smtp-port".to_owned(),
                of("smtp_port"),
                "--policy-port".to_owned(),
                of("policy_host").rsplit_once(':').unwrap().1.to_owned(),
                "--reach".to_owned(),
                "127.0.0.0/8".to_owned(),
            ],
        };
        arguments.extend(["--trust".to_owned(), self.text("ca_file")]);
        arguments
    }

    fn remind(&self, arguments: &[&str]) -> (i32, String, String) {
        run(mtalab().arg("remind").args(self.watched()).args(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, out, err) = self.remind(&[&["--format", "json"], arguments].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
    }
}

#[rstest]
#[case::good("baseline/good", 0, 0, "OK - 3 certificates", "days")]
#[case::soon(
    "certificate/expires-in-20-days",
    0,
    1,
    "WARNING - the server's certificate of mx.lab.test:25 expires in",
    "[warning]"
)]
#[case::very_soon(
    "certificate/expires-in-3-days",
    1,
    2,
    "CRITICAL - the server's certificate of mx.lab.test:25 expires in 2 days |",
    "[critical]"
)]
#[case::issuer_first("certificate/issuer-expires-soon", 0, 1, "WARNING - certificate 2 (", "the whole path is refused")]
#[case::expired("certificate/expired", 1, 2, "CRITICAL - the server's certificate of mx.lab.test:25 expired", "ago")]
#[case::unseen("starttls/closed-after-220", 3, 3, "UNKNOWN - mx.lab.test: no certificate was seen", "not known")]
fn people_and_monitoring_are_told_alike(
    #[case] scenario: &str,
    #[case] code: i32,
    #[case] plugin_code: i32,
    #[case] line: &str,
    #[case] words: &str,
) {
    let lab = Lab::of(scenario);
    let (said, out, err) = lab.remind(&[]);
    assert_eq!(said, code, "{out}{err}");
    assert!(out.contains(words), "{out}");
    let (said, out, err) = lab.remind(&["--format", "nagios"]);
    assert_eq!(said, plugin_code, "{out}{err}");
    assert!(out.starts_with(&format!("TLS {line}")), "{out}");
    assert_eq!(err, "");
    let performance = out.lines().next().unwrap().split_once(" | ");
    assert_eq!(performance.is_some(), code != 3, "{out}");
    if let Some((_, data)) = performance {
        assert!(data.starts_with('\'') && data.contains(";30:;7:"), "{data}");
    }
}

#[test]
fn a_domain_is_told_of_with_its_policy_host() {
    let lab = Lab::of("mta-sts/policy-host-expired");
    let said = lab.json(&[]);
    let of_policy: Vec<&Value> =
        said["certificates"].as_array().unwrap().iter().filter(|one| one["watched"] == "mta-sts.lab.test:443").collect();
    assert_eq!(of_policy[0]["certificate"], "the certificate of the policy host of MTA-STS", "{said:#}");
    assert_eq!(of_policy[0]["urgency"], "critical");
    assert!(of_policy[0]["days_left"].as_i64().unwrap() < 0);
    assert!(of_policy.len() >= 2, "its issuer is watched too: {said:#}");
}

#[rstest]
#[case("dane/rollover", "record-without-certificate", 0)]
#[case("dane/mismatch", "no-record-fits", 1)]
fn tlsa_records_that_fit_nothing_are_told_of(#[case] scenario: &str, #[case] kind: &str, #[case] code: i32) {
    let lab = Lab::of(scenario);
    let said = lab.json(&[]);
    assert_eq!(said["rollovers"][0]["kind"], kind, "{said:#}");
    assert_eq!(lab.remind(&[]).0, code);
}

#[test]
fn a_next_certificate_is_held_to_the_records() {
    let lab = Lab::of("dane/good");
    let key = KeyPair::generate().unwrap();
    let next = CertificateParams::new(vec!["mx.lab.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = lab.home.path().join("next.pem");
    fs::write(&path, next.pem()).unwrap();
    let said = lab.json(&["--next", path.to_str().unwrap()]);
    assert_eq!(said["rollovers"][0]["kind"], "next-not-published", "{said:#}");
    assert!(said["rollovers"][0]["text"].as_str().unwrap().contains("`3 1 1 "), "{said:#}");
    assert_eq!(lab.json(&[])["rollovers"], Value::Array(Vec::new()));
}

/// Debian's Python has its libraries; another one may come first.
fn python(script: &str, file: &Path) -> Option<String> {
    for program in ["/usr/bin/python3", "python3"] {
        let Ok(output) = Program::new(program).args(["-c", script]).arg(file).stdin(Stdio::null()).output() else { continue };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Some(String::from_utf8(output.stdout).unwrap());
        }
        assert!(said.contains("ModuleNotFoundError"), "{said}");
    }
    missing("Python with icalendar and prometheus-client");
    None
}

#[expect(clippy::print_stderr, reason = "a test cannot be ignored while it runs; it says so instead")]
fn missing(what: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what} is not installed");
    eprintln!("skipped: {what} is not installed");
}

/// What the library understands of a calendar, and what it holds against it.
const CALENDAR: &str = "
import icalendar, json, sys
calendar = icalendar.Calendar.from_ical(open(sys.argv[1], 'rb').read())
assert not calendar.errors, calendar.errors
for name in ('VERSION', 'PRODID'): assert name in calendar, name
events = []
for event in calendar.walk('VEVENT'):
    assert not event.errors, event.errors
    for name in ('UID', 'DTSTAMP', 'DTSTART', 'SEQUENCE'): assert name in event, name
    alarms = event.walk('VALARM')
    for alarm in alarms:
        assert not alarm.errors, alarm.errors
        assert set(alarm.keys()) == {'ACTION', 'DESCRIPTION', 'TRIGGER'}, alarm.keys()
    attendees = event.get('ATTENDEE', [])
    events.append({
        'uid': str(event['UID']), 'sequence': int(event['SEQUENCE']), 'stamp': event['DTSTAMP'].dt.isoformat(),
        'start': event['DTSTART'].dt.isoformat(), 'summary': str(event['SUMMARY']), 'description': str(event['DESCRIPTION']),
        'alarms': sorted(alarm['TRIGGER'].dt.total_seconds() for alarm in alarms),
        'attendees': [str(one) for one in (attendees if isinstance(attendees, list) else [attendees])],
        'organizer': str(event.get('ORGANIZER', '')),
    })
print(json.dumps(events))
";

fn events(file: &Path) -> Option<Vec<Value>> {
    let lines = fs::read_to_string(file).unwrap();
    assert!(lines.split_terminator("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{lines}");
    Some(serde_json::from_str::<Value>(&python(CALENDAR, file)?).unwrap().as_array().unwrap().clone())
}

#[test]
fn another_library_reads_the_calendar_and_an_update_takes_its_place() {
    let lab = Lab::of("certificate/expires-in-20-days");
    let file = lab.home.path().join("team.ics");
    let write = |more: &[&str]| {
        let team = ["--attendee", "ops@example.org", "--attendee", "o'neil+tls@example.org", "--alarm", "7d", "--alarm", "36h"];
        let (code, out, err) = lab.remind(&[&["-o", file.to_str().unwrap()], &team[..], more].concat());
        assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
        events(&file)
    };
    let Some(first) = write(&[]) else { return };
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::DAY;
    let tomorrow = tomorrow.format(&time::format_description::well_known::Rfc3339).unwrap();
    let second = write(&["--now", &tomorrow]).unwrap();
    assert_eq!(first.len(), 3, "the server's, its issuer's, the root's");
    for (old, new) in first.iter().zip(&second) {
        assert_eq!((&old["uid"], &old["start"]), (&new["uid"], &new["start"]));
        assert!(old["sequence"].as_i64() < new["sequence"].as_i64() && old["stamp"].as_str() < new["stamp"].as_str());
        assert_eq!(old["alarms"], serde_json::json!([-604_800.0, -129_600.0]));
        assert_eq!(old["attendees"], serde_json::json!(["mailto:ops@example.org", "mailto:o%27neil+tls@example.org"]));
        assert_eq!(old["organizer"], "mailto:ops@example.org");
    }
    let json = lab.json(&[]);
    assert_eq!(first[0]["uid"], json["certificates"][0]["uid"]);
    assert_eq!(&first[0]["start"].as_str().unwrap()[..19], &json["certificates"][0]["at"].as_str().unwrap()[..19]);
    assert!(
        !fs::read_dir(lab.home.path()).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".mtalab"))
    );
}

/// A renewed certificate at the same place has the UID of the old one.
#[test]
fn another_certificate_at_the_same_place_has_the_same_uid() {
    let uid = |scenario: &str| Lab::of(scenario).json(&[])["certificates"][0]["uid"].clone();
    assert_eq!(uid("certificate/expires-in-3-days"), uid("certificate/expired"));
}

#[test]
fn a_calendar_program_shows_the_end() {
    let lab = Lab::of("certificate/expires-in-3-days");
    let file = lab.home.path().join("team.ics");
    lab.remind(&["-o", file.to_str().unwrap()]);
    let folder = lab.home.path().join("calendar");
    fs::create_dir(&folder).unwrap();
    let calcurse = |arguments: &[&str]| {
        let folder = folder.to_str().unwrap();
        let all = ["-q", "-D", folder, "-C", folder];
        Program::new("calcurse").args(all).args(arguments).env("HOME", folder).env("TZ", "UTC").output()
    };
    let Ok(imported) = calcurse(&["-i", file.to_str().unwrap()]) else { return missing("calcurse") };
    assert!(imported.status.success(), "{imported:?}");
    let shown = calcurse(&["-Q", "--days", "5"]).unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("the server's certificate of mx.lab.test:25 expires"), "{shown}");
}

#[test]
fn another_library_reads_the_metrics() {
    let lab = Lab::of("dane/rollover");
    let file = lab.home.path().join("mtalab.prom");
    assert_eq!(lab.remind(&["-o", file.to_str().unwrap()]).0, 0);
    assert!(fs::read_to_string(&file).unwrap().ends_with("# EOF\n"));
    let script = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = text_string_to_metric_families(open(sys.argv[1]).read())
print(json.dumps({f.name: [f.type, f.unit, f.documentation != '', len(f.samples)] for f in families}))";
    let Some(said) = python(script, &file) else { return };
    let said: BTreeMap<String, Value> = serde_json::from_str(&said).unwrap();
    assert_eq!(said["mtalab_certificate_end_timestamp_seconds"], serde_json::json!(["gauge", "seconds", true, 3]));
    assert_eq!(said["mtalab_tlsa_rollovers"], serde_json::json!(["gauge", "", true, 1]));
    assert_eq!(said["mtalab_reminders_unknown"][3], 1);
}

/// A certificate whose names are up to no good, in a folder of its own.
fn hostile(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "x".repeat(10_000));
    let path = folder.path().join("a;b,c\"|'\n\u{1b}[31m.pem");
    fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    (folder, path)
}

#[rstest]
#[case("a\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:forged")]
#[case("\u{1b}[2J\u{202e}|'x'=1\"} 1\n# EOF\nforged 1\\")]
fn hostile_names_forge_nothing(#[case] name: &str) {
    let (folder, path) = hostile(name);
    let ask = |format: &str| run(mtalab().arg("remind").arg(&path).args(["--format", format]));
    for format in ["text", "json", "ics", "nagios", "openmetrics"] {
        let (code, out, err) = ask(format);
        assert_eq!(code, 0, "{format}: {out}{err}");
        assert!(!out.contains(['\u{1b}', '\u{202e}', '\0']), "{format}: {out}");
        assert!(out.len() < 6_000, "{format}: {}", out.len());
        assert!(!out.lines().any(|line| line.trim_start().starts_with("forged") || line.starts_with("SUMMARY:forged")), "{out}");
    }
    let (_, out, _) = ask("nagios");
    assert_eq!(out.lines().next().unwrap().matches('|').count(), 1, "{out}");
    let file = folder.path().join("out.ics");
    fs::write(&file, ask("ics").1).unwrap();
    if let Some(events) = events(&file) {
        assert_eq!(events.len(), 1);
        assert!(events[0]["description"].as_str().unwrap().contains(r#"a;b,c"|'\x0a\x1b[31m.pem"#), "{events:#?}");
    }
    fs::write(&file, ask("openmetrics").1).unwrap();
    let script = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(sum(len(f.samples) for f in text_string_to_metric_families(open(sys.argv[1]).read())))";
    if let Some(said) = python(script, &file) {
        assert_eq!(said.trim(), "3");
    }
}

#[test]
fn a_file_is_told_of_whatever_its_form() {
    use rcgen::{BasicConstraints, CertifiedIssuer, IsCa};
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let (pem, der) = (folder.path().join("chain.pem"), folder.path().join("leaf.der"));
    let chain = format!("{}{}{}{}", key.serialize_pem(), leaf.pem(), issuer.pem(), issuer.pem());
    fs::write(&pem, chain).unwrap();
    fs::write(&der, leaf.der()).unwrap();
    let (code, out, err) = run(mtalab().arg("remind").args([&pem, &der]).args(["--format", "json"]));
    assert_eq!(code, 0, "{out}{err}");
    let said: Value = serde_json::from_str(&out).unwrap();
    let roles: Vec<&str> = said["certificates"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["end-entity", "trust-anchor", "end-entity"], "{said:#}");
}

#[test]
fn a_key_is_no_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    for (name, bytes) in [("key.pem", key.serialize_pem().into_bytes()), ("key.der", key.serialize_der())] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (code, out, err) = run(mtalab().arg("remind").arg(&path));
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("it holds a private key and no certificate") && err.lines().count() == 1, "{err}");
        let (code, out, err) = run(mtalab().arg("remind").arg(&path).args(["--format", "nagios"]));
        assert_eq!((code, err.as_str()), (3, ""), "{out}");
        assert!(out.starts_with("TLS UNKNOWN - "), "{out}");
    }
}

#[rstest]
#[case(&["./Cargo.toml"], 2, "no certificate in it")]
#[case(&["./no-such.pem"], 4, "no-such.pem")]
#[case(&["mx.pem"], 2, "./mx.pem")]
#[case(&["a b"], 2, "not a host name")]
#[case(&["example.test", "--warning", "3"], 2, "--critical is at most --warning")]
#[case(&["a.test", "b.test", "--connect", "127.0.0.1:1"], 2, "name one only")]
#[case(&["mx.example.test:25", "--next", "./x.pem"], 4, "x.pem")]
#[case(&["example.test", "--attendee", "nobody"], 2, "expected a mailbox")]
#[case(&["example.test", "--attendee", "a@b.test\r\nX:y"], 2, "expected a mailbox")]
#[case(&["example.test", "--alarm", "0s"], 2, "expected 1m to 366d")]
#[case(&[], 2, "DOMAIN")]
fn a_mistake_gets_one_clear_error(#[case] arguments: &[&str], #[case] code: i32, #[case] says: &str) {
    let (actual, out, err) = run(mtalab().arg("remind").args(arguments));
    assert_eq!(actual, code, "{out}{err}");
    assert!(err.contains(says) && !err.contains("panicked"), "{err}");
}

#[test]
fn a_file_that_cannot_be_written_is_one_clear_error() {
    let (folder, path) = hostile("x");
    let out = folder.path().join("out.ics");
    fs::create_dir(&out).unwrap();
    for place in [out.to_str().unwrap(), "/no/such/folder/out.ics", "/dev/full", "/proc/out.ics"] {
        let (code, out, err) = run(mtalab().arg("remind").arg(&path).args(["--format", "ics", "-o", place]));
        assert!(matches!(code, 2 | 4), "{out}{err}");
        assert!(err.starts_with(&format!("error: cannot write {place}: ")) && err.lines().count() == 1, "{err}");
    }
}
