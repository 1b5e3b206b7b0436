//! `mtalab logs` over the logs that the lab's own MTAs wrote (`scripts/log-fixtures`), and over what logs should not be.

use std::{fs, io::Write as _, path::Path};

use assert_cmd::Command;
use mtalab::{
    logs::{Counts, Direction, MOST_PARTNERS, Reader, Review, text},
    name::Name,
};
use rstest::rstest;
use time::macros::datetime;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logs").join(name)).unwrap()
}

fn review_of(bytes: &[u8], must_tls: &[&str]) -> Review {
    let must_tls: Vec<_> = must_tls.iter().map(|name| Name::parse(name).unwrap()).collect();
    let mut reader = Reader::new(&must_tls, MOST_PARTNERS);
    reader.read("the log", datetime!(2026-12-01 00:00 UTC), bytes).unwrap();
    reader.finish(datetime!(2026-12-01 00:00 UTC))
}

fn counts(tls: u64, clear: u64, unknown: u64, failed: u64) -> Counts {
    Counts { tls, clear, unknown, failed }
}

fn messages(review: &Review, direction: Direction) -> Counts {
    review.directions.iter().find(|summary| summary.direction == direction).unwrap().messages
}

/// Counted by hand: grep in the file for what each MTA writes of a message, and for its TLS.
#[rstest]
// In: a and d in the clear, b, c twice, e and f inside. Out: clear.test in the clear; good, must.good, wrong, expired,
// selfsigned, ancient, one, two and again0 to again3 inside; five of must.* held up.
// OpenSSL 1.1.1 takes TLS 1.0 for must.ancient.test.
#[case("postfix-bullseye.log", counts(5, 2, 0, 0), counts(13, 1, 0, 4))]
#[case("postfix-bookworm.log", counts(5, 2, 0, 0), counts(12, 1, 0, 5))]
#[case("postfix-trixie.log", counts(5, 2, 0, 0), counts(12, 1, 0, 5))]
#[case("postfix-sid.log", counts(5, 2, 0, 0), counts(12, 1, 0, 5))]
// Exim takes TLS 1.0 for must.ancient.test, too.
#[case("exim-bullseye.log", counts(5, 2, 0, 0), counts(9, 1, 0, 4))]
#[case("exim-bookworm.log", counts(5, 2, 0, 0), counts(9, 1, 0, 4))]
#[case("exim-trixie.log", counts(5, 2, 0, 0), counts(9, 1, 0, 4))]
// Its server refuses the EHLO of d; what it receives it hands on: five of its deliveries.
#[case("sendmail-bookworm.log", counts(4, 1, 0, 0), counts(15, 1, 0, 3))]
// Its server has no TLS that works in that release; e and f are not taken.
#[case("opensmtpd-bookworm.log", counts(0, 1, 0, 0), counts(10, 1, 0, 0))]
// TLS 1.0 fails, and ancient.test gets its message in the clear.
#[case("opensmtpd-trixie.log", counts(4, 1, 0, 0), counts(12, 2, 0, 0))]
#[case("chasquid-bookworm.log", counts(0, 0, 12, 0), counts(0, 0, 11, 1))]
#[case("courier-bookworm.log", counts(0, 0, 0, 0), counts(0, 0, 0, 0))]
#[case("exchange-receive.log", counts(1, 1, 0, 0), counts(0, 0, 0, 0))]
#[case("exchange-send.log", counts(0, 0, 0, 0), counts(2, 0, 0, 0))]
fn every_log_is_counted_as_by_hand(#[case] name: &str, #[case] inbound: Counts, #[case] outbound: Counts) {
    let review = review_of(&fixture(name), &[]);
    assert_eq!(messages(&review, Direction::Inbound), inbound, "inbound");
    assert_eq!(messages(&review, Direction::Outbound), outbound, "outbound");
    assert_eq!(review.lines.unknown, 0, "{:?}", review.unknown_lines);
    insta::with_settings!({ snapshot_suffix => name.trim_end_matches(".log") }, {
        insta::assert_snapshot!("log", text(&review, 120));
    });
}

/// Every sum over the days is the sum of its direction.
#[test]
fn days_add_up() {
    let review = review_of(&fixture("postfix-bookworm.log"), &[]);
    let [day] = &review.days[..] else { panic!("{:?}", review.days) };
    assert_eq!(day.day, "2026-11-29");
    assert_eq!((day.inbound, day.outbound), (messages(&review, Direction::Inbound), messages(&review, Direction::Outbound)));
}

/// The same lines out of a journal, in both of its forms.
#[test]
fn a_journal_says_the_same() {
    let plain = String::from_utf8(fixture("postfix-bookworm.log")).unwrap();
    let (mut export, mut json) = (String::new(), String::new());
    for line in plain.lines() {
        let (head, text) = line[16..].split_once(": ").unwrap();
        let (host, tag) = head.split_once(' ').unwrap();
        let (program, pid) = tag.trim_end_matches(']').split_once('[').unwrap();
        // 2026-11-29, noon.
        let moment = "1795953600000000";
        export.push_str(&format!(
            "__REALTIME_TIMESTAMP={moment}\n_HOSTNAME={host}\nSYSLOG_IDENTIFIER={program}\n_PID={pid}\nMESSAGE={text}\n\n"
        ));
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        json.push_str(&format!(
            "{{\"__REALTIME_TIMESTAMP\":\"{moment}\",\"_HOSTNAME\":\"{host}\",\"SYSLOG_IDENTIFIER\":\"{program}\",\"_PID\":\"{pid}\",\"MESSAGE\":\"{text}\"}}\n"
        ));
    }
    let plain = review_of(plain.as_bytes(), &[]);
    for journal in [export, json] {
        let review = review_of(journal.as_bytes(), &[]);
        assert_eq!((&review.directions, &review.partners), (&plain.directions, &plain.partners));
        assert_eq!(review.days, plain.days);
    }
}

/// Stamps of rsyslog's newer form, of RFC 5424 and with a month in another language.
#[test]
fn stamps_of_any_form_are_read() {
    let plain = String::from_utf8(fixture("postfix-bookworm.log")).unwrap();
    let expected = review_of(plain.as_bytes(), &[]);
    let iso = plain.replace("Nov 29 ", "2026-11-29T").replace(" mta postfix", ".123456+01:00 mta postfix");
    assert_eq!(review_of(iso.as_bytes(), &[]).directions, expected.directions);
    assert_eq!(review_of(iso.as_bytes(), &[]).days, expected.days);
    let german = plain.replace("Nov 29 ", "29. Nov ");
    let review = review_of(german.as_bytes(), &[]);
    assert_eq!(review.directions, expected.directions);
    assert_eq!(review.undated.all(), 20);
}

/// Level 0: only the summaries of connections tell of STARTTLS, and nothing of what is sent.
#[test]
fn a_log_level_that_hides_tls_is_told() {
    let lines = String::from_utf8(fixture("postfix-bookworm.log")).unwrap();
    let hidden: Vec<_> = lines.lines().filter(|line| !line.contains(" TLS connection ")).collect();
    let review = review_of(hidden.join("\n").as_bytes(), &[]);
    assert_eq!(messages(&review, Direction::Outbound), counts(0, 0, 13, 5));
    assert_eq!(messages(&review, Direction::Inbound), counts(0, 0, 7, 0));
    assert_eq!(review.verdict, mtalab::finding::Verdict::Inconclusive);
    assert!(review.warnings.iter().any(|text| text.contains("smtp_tls_loglevel = 1")), "{:?}", review.warnings);
    assert!(review.warnings.iter().any(|text| text.contains("smtpd_tls_loglevel = 1")), "{:?}", review.warnings);
    // Since 3.11 the line of a delivery says it by itself.
    let lines = String::from_utf8(fixture("postfix-sid.log")).unwrap();
    let hidden: Vec<_> = lines.lines().filter(|line| !line.contains(" TLS connection ")).collect();
    let review = review_of(hidden.join("\n").as_bytes(), &[]);
    // `may?` beside a session that was used again is no answer.
    assert_eq!(messages(&review, Direction::Outbound), counts(9, 1, 3, 5));
}

#[test]
fn partners_with_agreed_tls_are_told_of() {
    let review = review_of(&fixture("postfix-bookworm.log"), &["clear.test"]);
    assert_eq!(review.verdict, mtalab::finding::Verdict::Fail);
    assert!(review.reason.contains("clear.test"), "{}", review.reason);
    let review = review_of(&fixture("postfix-bookworm.log"), &["good.test"]);
    assert_ne!(review.verdict, mtalab::finding::Verdict::Fail);
}

/// Whatever stands in a log, nothing of it acts on a terminal.
#[test]
fn names_are_escaped() {
    let log = "2026-11-29 08:11:00 1xXZzw-00000J-2R <= a@\u{1b}[31mred.test H=(\u{1b}]0;x\u{7}) [192.0.2.1] P=esmtp S=215\n\
               2026-11-29 08:11:00 something \u{1b}[2J odd\n";
    let review = review_of(log.as_bytes(), &[]);
    assert!(!text(&review, 100).contains('\u{1b}') && !review.to_json().contains('\u{1b}'));
    assert!(text(&review, 100).contains(r"\x1b[31mred.test"));
}

/// What the other side says is at the end of a line, and is no field of it.
#[test]
fn others_write_no_fields() {
    let log = "Nov 29 08:10:50 mta postfix/smtp[1]: A: to=<\"x>, relay=y\"@b.test>, relay=mx.b.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, \
               dsn=2.0.0, status=sent (250 ok, tls=secure, status=deferred (Server certificate not verified))\n\
               2026-11-29 08:11:00 1xXZzw-00000J-2R => u@b.test R=r T=t H=mx.b.test [192.0.2.1] C=\"250 ok X=TLS1.3:A:256 CV=yes\"\n";
    let review = review_of(log.as_bytes(), &["b.test"]);
    // No line of either tells of TLS, so silence is no proof.
    assert_eq!(messages(&review, Direction::Outbound), counts(0, 0, 2, 0));
}

/// Memory does not grow with what is in a log.
#[test]
fn partners_beyond_a_number_are_counted_together() {
    let mut log = Vec::new();
    for number in 0..1000 {
        writeln!(log, "2026-11-29 08:11:00 1xXZzw-00000J-2R <= a@p{number}.test H=h{number}.test [192.0.2.1] P=esmtps S=215")
            .unwrap();
    }
    let mut reader = Reader::new(&[Name::parse("p999.test").unwrap()], 10);
    reader.read("x", datetime!(2026-12-01 00:00 UTC), log.as_slice()).unwrap();
    let review = reader.finish(datetime!(2026-12-01 00:00 UTC));
    assert_eq!((review.partners.len(), review.hosts.len()), (11, 10));
    assert_eq!((review.other_partners.tls, review.other_hosts.tls), (989, 990));
    assert!(review.partners[0].must_tls && review.partners[0].inbound.tls == 1);
}

#[rstest]
#[case(&["no-such-file.log"], 4, "cannot read no-such-file.log")]
#[case(&["."], 2, ". is a folder")]
#[case(&["Cargo.toml"], 2, "no line of this file is of an MTA")]
#[case(&["--tlsrpt", "Cargo.toml"], 2, "Cargo.toml: it is")]
#[case(&["tests/fixtures/logs/exim-trixie.log", "--check", "Cargo.toml"], 2, "it is no report of `mtalab check")]
fn mistakes_are_told_in_one_line(#[case] arguments: &[&str], #[case] code: i32, #[case] words: &str) {
    let output = Command::cargo_bin("mtalab")
        .unwrap()
        .arg("logs")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(words) && error.trim_end().lines().count() == 1, "{error}");
}

/// Logs, reports of others and a check in one view.
#[test]
fn one_view_per_partner() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let body = r#"{"organization-name":"Partner","date-range":{"start-datetime":"2026-11-28T00:00:00Z","end-datetime":"2026-11-28T23:59:59Z"},
"contact-info":"tls@tls.example","report-id":"1","policies":[{"policy":{"policy-type":"sts","policy-domain":"mta.test"},
"summary":{"total-successful-session-count":7,"total-failure-session-count":2},
"failure-details":[{"result-type":"certificate-expired","receiving-mx-hostname":"mx.mta.test","failed-session-count":2}]}]}"#;
    fs::write(&report, body).unwrap();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logs/postfix-bookworm.log");
    let run = |format: &str| {
        let mut command = Command::cargo_bin("mtalab").unwrap();
        command.arg("logs").arg(&log).arg("--tlsrpt").arg(&report).args(["--format", format]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let text = run("text");
    assert!(text.contains("what we see, what the log says, what others report"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    let partner = json["partners"].as_array().unwrap().iter().find(|line| line["domain"] == "tls.example").unwrap();
    assert_eq!((&partner["inbound"]["tls"], &partner["reported_by"]["failures"]), (&1.into(), &2.into()));
    assert_eq!(partner["reported_by"]["reasons"][0]["result_type"], "certificate-expired");
    let own = json["partners"].as_array().unwrap().iter().find(|line| line["domain"] == "mta.test").unwrap();
    assert_eq!(own["reported_on"]["successes"], 7);
}
