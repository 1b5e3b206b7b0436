//! From the bytes of a file to a consistent [`Scenario`]: syntax, then structure
//! (see [`structure`](super::structure)), then what its parts say of each other
//! (see [`contradictions`](super::contradictions)).

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use serde_json::Value;
use toml::de::DeTable;

use super::{
    contradictions::{Places, contradictions},
    error::{ScenarioError, ScenarioErrors, show_path},
    structure::differences,
    types::Scenario,
};

/// A scenario is a page of text; nothing larger is read.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file and what it is called in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as the user knows it.
    pub name: String,
    /// The content, whatever it is.
    pub bytes: Vec<u8>,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system said so.
    #[error("cannot read {}", show_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Not a regular file.
    #[error("{} is not a regular file", show_path(.0))]
    NotAFile(PathBuf),
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("{} has more than {MAX_FILE_BYTES} bytes, no scenario is that large", show_path(.0))]
    TooLarge(PathBuf),
}

/// Reads a file, and not one byte more than the limit.
pub fn read_file(path: &Path) -> Result<SourceFile, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    // Before opening: opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile(path.to_owned()));
    }
    let mut bytes = Vec::new();
    // The size may grow after it was asked for, so the read is bounded too.
    if metadata.len() <= MAX_FILE_BYTES {
        File::open(path).map_err(failed)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if metadata.len().max(bytes.len() as u64) > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge(path.to_owned()));
    }
    Ok(SourceFile { name: path.display().to_string(), bytes })
}

/// Reads a scenario, or reports every mistake in it.
///
/// Mistakes of syntax hide those of structure, and these hide contradictions: a table
/// that was guessed would only bring up mistakes that are none.
///
/// The schema is the one that [`schema`](super::schema()) makes. To make it takes longer than to read a file: make it once.
pub fn parse(source: &SourceFile, schema: &Value) -> Result<Scenario, ScenarioErrors> {
    let text = text(source)?;
    let fail = |errors: Vec<ScenarioError>| {
        if errors.is_empty() { Ok(()) } else { Err(ScenarioErrors::new(&source.name, text, errors)) }
    };
    let (table, syntax) = DeTable::parse_recoverable(text);
    fail(syntax.iter().map(|error| syntax_error(error, text)).collect())?;
    fail(differences(schema, text, table.get_ref()))?;
    let mut scenario = Scenario::deserialize(toml::Deserializer::from(table.clone()))
        .map_err(|error| ScenarioErrors::new(&source.name, text, vec![syntax_error(&error, text)]))?;
    fail(contradictions(&scenario, &Places(table.get_ref())))?;
    // Some editors end lines so; in the prose it means nothing.
    scenario.why = scenario.why.replace("\r\n", "\n");
    scenario.compound = scenario.compound.map(|text| text.replace("\r\n", "\n"));
    Ok(scenario)
}

fn text(source: &SourceFile) -> Result<&str, ScenarioErrors> {
    let refuse = |text: &str, errors| Err(ScenarioErrors::new(&source.name, text, errors));
    if source.bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("larger than {MAX_FILE_BYTES} bytes: no scenario is that large");
        return refuse("", vec![ScenarioError::of_file(message)]);
    }
    let Ok(text) = str::from_utf8(&source.bytes) else {
        let (mut lossy, mut errors) = (String::new(), Vec::new());
        for chunk in source.bytes.utf8_chunks() {
            lossy.push_str(chunk.valid());
            if let Some(byte) = chunk.invalid().first() {
                let start = lossy.len();
                lossy.push('\u{fffd}');
                let error = ScenarioError::at(start..lossy.len(), format!("not UTF-8: the byte 0x{byte:02x}"));
                errors.push(error.label("not UTF-8").help("save the file as UTF-8"));
            }
        }
        return refuse(&lossy, errors);
    };
    if text.trim().is_empty() {
        let message = "empty: a scenario needs at least `title`, `why`, `clauses`, `practice`, `[server]` and `[expect]`";
        let help = "`mtalab show baseline/good` prints one to start from";
        return refuse("", vec![ScenarioError::of_file(message).help(help)]);
    }
    Ok(text)
}

/// The parser's own message; its spans are bytes of the text.
fn syntax_error(error: &toml::de::Error, text: &str) -> ScenarioError {
    let span = error.span().unwrap_or(0..0);
    // A span inside a character could not be shown.
    let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (span.end.max(start)..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    ScenarioError::at(start..end, format!("not TOML: {}", error.message())).label("here")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::scenario::{Knob, Known, schema};

    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        schema(&Known {
            rules: &["certificate-expired", "weak-rsa-key", "starttls-not-offered"],
            kinds: &["postfix", "exchange-2019"],
            policies: &["mtalab", "ncsc-nl-2025"],
        })
    });

    const VALID: &str = r#"title = "The certificate expired three days ago"
why = """
Partners who enforce TLS
defer every message."""
clauses = ["RFC 5280, 4.1.2.5"]
practice = "renewal"

[server]
kinds = ["postfix", "exchange-2019"]
host = "mx.lab.test"

[certificate]
key = "ecdsa-p256"

[vantage.office]
title = "the partner's office"

[vantage.home]
title = "the consultant's home"

[fault]
expired = "3 days"

[expect]
must = ["certificate-expired"]
must-not = ["*"]
verdicts = { renewal = "fail" }

[expect.from.home]
must-not = ["starttls-not-offered"]
"#;

    fn read(text: impl Into<Vec<u8>>) -> Result<Scenario, ScenarioErrors> {
        parse(&SourceFile { name: "case.toml".to_owned(), bytes: text.into() }, &SCHEMA)
    }

    /// The mistakes of the valid file after one edit.
    fn after(old: &str, new: &str) -> String {
        assert_eq!(VALID.matches(old).count(), 1, "{old:?} must stand once in the valid file");
        read(VALID.replace(old, new)).expect_err("the edit is a mistake").render(false)
    }

    #[test]
    fn a_valid_file_is_read_whole() {
        let scenario = read(VALID).unwrap();
        assert_eq!(scenario.fault.active(), [("expired", Knob::Validity)]);
        assert_eq!(scenario.server.kinds, ["postfix", "exchange-2019"]);
        assert_eq!(scenario.vantage.keys().collect::<Vec<_>>(), ["home", "office"]);
        assert_eq!(scenario.expect.from["home"].must_not, ["starttls-not-offered"]);
    }

    #[rstest]
    // Structure.
    #[case::unknown_key("host =", "hots =", &["case.toml:10:1", "unknown key `hots` in `[server]`", "did you mean `host`?", "keys: kinds, host, port, add-keywords"])]
    #[case::underscore("must-not = [\"*\"]", "must_not = [\"*\"]", &["case.toml:26:1", "did you mean `must-not`?"])]
    #[case::wrong_table("key = \"ecdsa-p256\"", "weak-key = 1024", &["case.toml:13:1", "`weak-key` is a key of `[fault]`"])]
    #[case::unknown_table("[certificate]", "[certificat]", &["case.toml:12:2", "did you mean `certificate`?"])]
    #[case::string_for_table("[fault]\nexpired = \"3 days\"", "[expect.from.office]\nmust = 1", &["`expect.from.office.must` must be an array, not an integer", "put it into brackets: [1]"])]
    #[case::float_for_version("[certificate]\nkey = \"ecdsa-p256\"", "[tls]\nmin = 1.2", &["case.toml:13:7", "`tls.min` must be a string, not a float", "quote it: \"1.2\""])]
    #[case::missing_key("kinds = [\"postfix\", \"exchange-2019\"]", "", &["case.toml:8:1", "`[server]` needs the key `kinds`", "The kinds of server"])]
    #[case::missing_at_the_top("practice = \"renewal\"", "", &["case.toml:1:1", "a scenario needs the key `practice`"])]
    #[case::bad_enumeration("ecdsa-p256", "ecdsa-p265", &["case.toml:13:7", "unknown value `ecdsa-p265` in `certificate.key`", "did you mean `ecdsa-p256`?", "values: rsa-2048"])]
    #[case::bad_practice("practice = \"renewal\"", "practice = \"renewals\"", &["case.toml:6:12", "did you mean `renewal`?", "values: public-ca"])]
    #[case::bad_verdict("\"fail\"", "\"failed\"", &["case.toml:27:24", "`expect.verdicts.renewal`", "did you mean `fail`?"])]
    #[case::bad_verdict_key("{ renewal", "{ renewel", &["unknown key `renewel` in `[expect.verdicts]`", "did you mean `renewal`?"])]
    #[case::out_of_range("expired = \"3 days\"", "weak-key = 4096", &["case.toml:22:12", "`fault.weak-key` must be a number from 512 to 2047"])]
    #[case::beyond_every_number("expired = \"3 days\"", "weak-key = 99999999999999999999", &["must be a number from 512 to 2047"])]
    #[case::fault_that_is_false("expired = \"3 days\"", "self-signed = false", &["case.toml:22:15", "either `true` or absent", "remove the line"])]
    // Names and values.
    #[case::unknown_persona("\"exchange-2019\"", "\"exchange-2016\"", &["case.toml:9:21", "unknown kind of server `exchange-2016`", "did you mean `exchange-2019`?", "kinds: postfix, exchange-2019"])]
    #[case::duplicate_kind("\"exchange-2019\"", "\"postfix\"", &["case.toml:9:21", "`postfix` stands twice in `server.kinds`"])]
    #[case::no_kind("kinds = [\"postfix\", \"exchange-2019\"]", "kinds = []", &["case.toml:9:9", "`server.kinds` cannot be empty"])]
    #[case::unknown_rule("must = [\"certificate-expired\"]", "must = [\"certificat-expired\"]", &["case.toml:25:9", "unknown rule `certificat-expired` in `expect.must`", "did you mean `certificate-expired`?"])]
    #[case::star_in_must("must = [\"certificate-expired\"]", "must = [\"*\"]", &["case.toml:25:9", "unknown rule `*`"])]
    #[case::bad_host("mx.lab.test", "mx lab.test", &["case.toml:10:8", "`server.host`: the character ' ' cannot stand in a host name"])]
    #[case::wildcard_host("mx.lab.test", "*.lab.test", &["case.toml:10:8", "'*' cannot stand in a host name"])]
    #[case::wildcard_inside("key = \"ecdsa-p256\"", "names = [\"mx*.lab.test\"]", &["case.toml:13:10", "the whole first label"])]
    #[case::u_label("key = \"ecdsa-p256\"", "names = [\"bücher.test\"]", &["case.toml:13:10", "write the A-labels: `xn--bcher-kva.test`"])]
    #[case::negative("\"3 days\"", "\"-3 days\"", &["case.toml:22:11", "`fault.expired`: a duration cannot be negative", "write the length alone"])]
    #[case::zero("\"3 days\"", "\"0s\"", &["case.toml:22:11", "a duration cannot be zero"])]
    #[case::eternity("\"3 days\"", "\"101 years\"", &["case.toml:22:11", "longer than 100 years"])]
    #[case::no_duration("\"3 days\"", "\"soon\"", &["case.toml:22:11", "not a duration such as `3 days`"])]
    #[case::keyword("host = \"mx.lab.test\"", "add-keywords = [\"SIZE  1\"]", &["case.toml:10:17", "`SIZE  1` is no EHLO keyword"])]
    #[case::starttls_as_keyword("host = \"mx.lab.test\"", "omit-keywords = [\"starttls\"]", &["case.toml:10:18", "the lab decides where it is offered", "`starttls-off`"])]
    #[case::two_line_title("The certificate expired three days ago", "one\\ntwo", &["case.toml:1:9", "`title` holds the character U+000A"])]
    #[case::escape_sequence("\"3 days\"", "\"\\u001b[2J\"", &["case.toml:22:11", "`fault.expired` holds the character U+001B"])]
    #[case::bidirectional("defer every", "\u{202e}defer every", &["`why` holds the character U+202E"])]
    #[case::blank_title("The certificate expired three days ago", "  ", &["case.toml:1:9", "`title` cannot be empty"])]
    #[case::vantage_name("[vantage.home]", "[vantage.\"Ho me\"]", &["case.toml:18:10", "`Ho me` cannot be the name of a vantage point"])]
    // Contradictions.
    #[case::two_faults("expired = \"3 days\"", "expired = \"3 days\"\ngreeting-name = \"EX01\"", &["case.toml:23:1", "2 faults without `compound`", "another fault", "one fault", "compound ="])]
    #[case::compound_of_one("practice =", "compound = \"both\"\npractice =", &["case.toml:6:1", "`compound` is for two faults or more, this scenario has 1", "remove the line"])]
    #[case::same_knob("expired = \"3 days\"", "expired = \"3 days\"\nnot-yet-valid = \"1 day\"", &["case.toml:23:1", "the faults `expired` and `not-yet-valid` contradict each other: both decide when the certificate is valid"])]
    #[case::key_and_weak_key("expired = \"3 days\"", "weak-key = 1024", &["case.toml:13:1", "`certificate.key` contradicts the fault `weak-key`: both decide the key"])]
    #[case::validity("key = \"ecdsa-p256\"", "valid-for = \"9 days\"", &["case.toml:13:1", "`certificate.valid-for` contradicts the fault `expired`"])]
    #[case::unknown_vantage("expired = \"3 days\"", "starttls-only-to = [\"offices\"]", &["case.toml:22:21", "there is no vantage point `offices`", "did you mean `office`?", "vantage points: home, office"])]
    #[case::everyone("expired = \"3 days\"", "starttls-only-to = [\"office\", \"home\"]", &["case.toml:22:1", "names every vantage point"])]
    #[case::expect_from_unknown("[expect.from.home]", "[expect.from.hme]", &["case.toml:29:14", "there is no vantage point `hme`", "did you mean `home`?"])]
    #[case::versions("[certificate]\nkey = \"ecdsa-p256\"", "[tls]\nmin = \"1.3\"\nmax = \"1.2\"", &["case.toml:13:1", "`tls.min` is higher than `tls.max`"])]
    // TLS.
    #[case::bad_version("expired = \"3 days\"", "tls.versions = [\"TLSv1.4\"]", &["case.toml:22:17", "unknown value `TLSv1.4` in `fault.tls.versions`", "did you mean `TLSv1.0`?", "values: SSLv2, SSLv3"])]
    #[case::bad_suite("expired = \"3 days\"", "tls.suites = [\"TLS_RSA_WITH_RC4_SHA\"]", &["case.toml:22:15", "unknown value `TLS_RSA_WITH_RC4_SHA`", "TLS_RSA_WITH_RC4_128_SHA"])]
    #[case::bad_group("expired = \"3 days\"", "tls.groups = [\"curve25519\"]", &["case.toml:22:15", "unknown value `curve25519` in `fault.tls.groups`", "x25519"])]
    #[case::bad_dh_group("expired = \"3 days\"", "tls.dh-group = \"modp102\"", &["case.toml:22:16", "did you mean `modp1024`?"])]
    #[case::bad_tls_key("expired = \"3 days\"", "tls.version = [\"SSLv3\"]", &["unknown key `version` in `[fault.tls]`", "did you mean `versions`?"])]
    #[case::turns_of_none("expired = \"3 days\"", "dialog = { turns = { starttls = \"masked\", times = 2, of = 2 } }", &["case.toml:22", "`turns` that are all alike are none: 2 of 2"])]
    #[case::empty_tls("expired = \"3 days\"", "tls = {}", &["case.toml:22:1", "`[fault.tls]` says nothing: that is no fault"])]
    #[case::range_and_versions("expired = \"3 days\"", "tls.versions = [\"SSLv3\"]\n[tls]\nmax = \"1.2\"", &["case.toml:24:1", "`tls.max` contradicts `fault.tls.versions`: both decide what TLS offers"])]
    #[case::range_and_stock("[certificate]\nkey = \"ecdsa-p256\"", "[tls]\nstock = true\nmin = \"1.3\"", &["case.toml:14:1", "`tls.min` contradicts `tls.stock`"])]
    #[case::bad_end("expired = \"3 days\"", "handshake = { at = \"done\", do = \"alert:handshake-failure\" }", &["unknown value `alert:handshake-failure` in `fault.handshake.do`", "did you mean `alert:handshake_failure`?"])]
    #[case::bad_flight("expired = \"3 days\"", "handshake = { at = \"serverhello\", do = \"close\" }", &["did you mean `server-hello`?", "values: client-hello"])]
    #[case::half_a_break("expired = \"3 days\"", "handshake = { do = \"close\" }", &["case.toml:22:13", "`[fault.handshake]` needs the key `at`"])]
    #[case::intolerant_of_nothing("expired = \"3 days\"", "intolerant-of = { do = \"close\" }", &["`[fault.intolerant-of]` needs the key `of`"])]
    #[case::asks_for_nothing("expired = \"3 days\"", "client-certificate = {}", &["case.toml:22:1", "`fault.client-certificate` says nothing"])]
    #[case::second_of_the_same_kind("key = \"ecdsa-p256\"", "key = \"ecdsa-p256\"\nsecond-key = \"ecdsa-p384\"", &["case.toml:14:1", "`certificate.second-key` is ECDSA as the first key is", "one RSA, one ECDSA"])]
    #[case::second_that_is_missing("expired = \"3 days\"", "second-expired = \"3 days\"", &["case.toml:22:1", "`fault.second-expired` needs a second certificate"])]
    #[case::bad_policy("practice =", "policy = \"ncsc\"\npractice =", &["case.toml:6:10", "unknown policy `ncsc` in `policy`", "policies: mtalab, ncsc-nl-2025"])]
    #[case::bad_depth("practice =", "probe = \"deep\"\npractice =", &["case.toml:6:9", "unknown value `deep` in `probe`", "values: quick, standard, full"])]
    #[case::names_elsewhere("key = \"ecdsa-p256\"", "names = [\"www.lab.test\"]", &["case.toml:13:1", "does not cover the host `mx.lab.test`", "`wrong-names`"])]
    #[case::foreign_cn("key = \"ecdsa-p256\"", "common-name = \"www.lab.test\"", &["case.toml:13:1", "neither the host", "`foreign-common-name`"])]
    #[case::right_greeting("expired = \"3 days\"", "greeting-name = \"MX.lab.test\"", &["case.toml:22:1", "`fault.greeting-name` names the host `mx.lab.test`: that is no fault"])]
    #[case::right_names("expired = \"3 days\"", "wrong-names = [\"*.lab.test\"]", &["case.toml:22:1", "that is no fault"])]
    #[case::short_host("mx.lab.test", "EX01", &["case.toml:10:8", "`EX01` is not fully qualified", "`greeting-name`"])]
    #[case::must_and_must_not("must-not = [\"*\"]", "must-not = [\"certificate-expired\"]", &["case.toml:26:13", "`certificate-expired` is both in `must` and in `must-not`"])]
    #[case::star_and_more("must-not = [\"*\"]", "must-not = [\"*\", \"weak-rsa-key\"]", &["case.toml:26:13", "already means every other rule"])]
    #[case::says_nothing("must-not = [\"starttls-not-offered\"]", "", &["case.toml:29:14", "`[expect.from.home]` says nothing"])]
    fn each_mistake_is_placed_and_explained(#[case] old: &str, #[case] new: &str, #[case] fragments: &[&str]) {
        let rendered = after(old, new);
        for fragment in fragments {
            assert!(rendered.contains(fragment), "{fragment:?} is not in:\n{rendered}");
        }
        assert_eq!(rendered.matches("error: ").count(), 1, "one mistake, one error:\n{rendered}");
    }

    #[test]
    fn two_faults_on_one_knob_are_not_excused_by_compound() {
        let text = VALID
            .replace("practice =", "compound = \"both\"\npractice =")
            .replace("[expect]", "expires-in = \"1 day\"\n[expect]");
        let rendered = read(text).unwrap_err().render(false);
        assert!(rendered.contains("`expired` and `expires-in` contradict each other"), "{rendered}");
    }

    #[test]
    fn exclusive_faults_are_not_excused_by_compound() {
        let text = VALID
            .replace("practice =", "compound = \"both\"\npractice =")
            .replace("expired = ", "self-signed = true\nissuer-expired = ");
        let errors = read(text).unwrap_err();
        assert_eq!(errors.count(), 1);
        assert!(errors.render(false).contains("a self-signed certificate has no issuer that could expire"), "{errors}");
    }

    #[test]
    fn a_flood_of_mistakes_ends_soon() {
        let errors = read("=\n".repeat(100_000)).unwrap_err();
        assert!(errors.count() >= 100_000);
        assert!(errors.render(false).len() < 10_000);
    }

    #[test]
    fn two_faults_with_a_reason_are_accepted() {
        let text = VALID
            .replace("practice =", "compound = \"renewal and rename went wrong together\"\npractice =")
            .replace("[expect]", "wrong-names = [\"mx*.lab.test\", \"EX01\"]\n[expect]");
        assert_eq!(read(text).unwrap().fault.active().len(), 2);
    }

    #[test]
    fn all_mistakes_of_structure_are_shown_at_once() {
        let text = VALID.replace("host =", "hots =").replace("\"3 days\"", "\"-3 days\"").replace("practice = \"renewal\"\n", "");
        insta::assert_snapshot!(read(text).unwrap_err(), @r#"
        error: a scenario needs the key `practice`
         --> case.toml:1:1
          |
        1 | title = "The certificate expired three days ago"
          | ^ no `practice`
          |
          = help: `practice`: The practice that it concerns.

        error: unknown key `hots` in `[server]`
         --> case.toml:9:1
          |
        9 | hots = "mx.lab.test"
          | ^^^^ unknown
          |
          = help: did you mean `host`?
          = help: keys: kinds, host, port, add-keywords, omit-keywords

        error: `fault.expired`: a duration cannot be negative
          --> case.toml:21:11
           |
        21 | expired = "-3 days"
           |           ^^^^^^^^^ no duration
           |
           = help: the key says past or future: write the length alone
        "#);
    }

    #[test]
    fn all_contradictions_are_shown_at_once() {
        let text = VALID.replace("[expect]", "weak-key = 512\nexpires-in = \"1h\"\n[expect]").replace("from.home", "from.hom");
        insta::assert_snapshot!(read(text).unwrap_err(), @r#"
        error: `certificate.key` contradicts the fault `weak-key`: both decide the key
          --> case.toml:13:1
           |
        13 | key = "ecdsa-p256"
           | ^^^ the correct world says this
        ...
        24 | weak-key = 512
           | -------- and the fault that
           |
           = help: remove one of them

        error: 3 faults without `compound`: which of them would a checker have missed?
          --> case.toml:24:1
           |
        22 | expired = "3 days"
           | ------- one fault
        23 |
        24 | weak-key = 512
           | ^^^^^^^^ another fault
           |
           = help: keep one fault, or say at the top why they belong together: compound = "…"

        error: the faults `expired` and `expires-in` contradict each other: both decide when the certificate is valid
          --> case.toml:25:1
           |
        22 | expired = "3 days"
           | ------- and this one
        ...
        25 | expires-in = "1h"
           | ^^^^^^^^^^ this fault
           |
           = help: keep one, and write a second scenario

        error: there is no vantage point `hom`
          --> case.toml:31:14
           |
        31 | [expect.from.hom]
           |              ^^^ unknown
           |
           = help: did you mean `home`?
           = help: vantage points: home, office
           = help: a table `[vantage.hom]` would make it one
        "#);
    }

    #[test]
    fn all_mistakes_of_syntax_are_shown_at_once() {
        let text =
            VALID.replace("key = \"ecdsa-p256\"", "key = ecdsa").replace("[server]", "[server").replace("\"3 days\"", "\"3 days");
        insta::assert_snapshot!(read(text).unwrap_err(), @r#"
        error: not TOML: unclosed table, expected `]`
         --> case.toml:8:8
          |
        8 | [server
          |        ^ here

        error: not TOML: string values must be quoted, expected literal string
          --> case.toml:13:7
           |
        13 | key = ecdsa
           |       ^^^^^ here

        error: not TOML: invalid basic string, expected `"`
          --> case.toml:22:18
           |
        22 | expired = "3 days
           |                  ^ here
        "#);
    }

    #[test]
    fn a_key_that_stands_twice_is_a_mistake() {
        let rendered = after("host = \"mx.lab.test\"", "host = \"mx.lab.test\"\nhost = \"mx.lab.test\"");
        assert!(rendered.contains("case.toml:11:1") && rendered.contains("duplicate key"), "{rendered}");
    }

    #[test]
    fn a_file_that_is_not_utf8_says_where() {
        let mut bytes = b"title = \"caf\xe9\"\nwhy = \"".to_vec();
        bytes.extend([0xff, b'"']);
        insta::assert_snapshot!(read(bytes).unwrap_err(), @r#"
        error: not UTF-8: the byte 0xe9
         --> case.toml:1:13
          |
        1 | title = "caf�"
          |             ^ not UTF-8
          |
          = help: save the file as UTF-8

        error: not UTF-8: the byte 0xff
         --> case.toml:2:8
          |
        2 | why = "�"
          |        ^ not UTF-8
          |
          = help: save the file as UTF-8
        "#);
    }

    #[rstest]
    #[case("")]
    #[case(" \n\t\r\n")]
    fn an_empty_file_says_what_is_needed(#[case] text: &str) {
        let rendered = read(text).unwrap_err().render(false);
        assert!(
            rendered.contains("empty: a scenario needs at least `title`") && rendered.contains("--> case.toml"),
            "{rendered}"
        );
    }

    #[test]
    fn a_huge_file_is_one_clear_error() {
        let errors = read(vec![b'='; 10 << 20]).unwrap_err();
        assert_eq!(errors.count(), 1);
        assert!(errors.render(false).contains("larger than 1048576 bytes"));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.toml");
        // Sparse: it has a size, but no content.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read_file(&path), Err(ReadError::TooLarge(_))));
        assert!(matches!(read_file(folder.path()), Err(ReadError::NotAFile(_))));
        assert!(matches!(read_file(&folder.path().join("none")), Err(ReadError::Io { .. })));
    }

    #[test]
    fn lines_may_end_as_on_windows() {
        let file = SourceFile { name: "case.toml".to_owned(), bytes: VALID.replace('\n', "\r\n").into_bytes() };
        let scenario = parse(&file, &SCHEMA).unwrap();
        assert!(scenario.why.contains('\n') && !scenario.why.contains('\r'), "{:?}", scenario.why);
    }

    #[rstest]
    #[case::title("The certificate expired three days ago", "x".repeat(101), "`title` has 101 characters, at most 100 are possible")]
    #[case::vantages("[vantage.home]", (0..8).map(|i| format!("[vantage.v{i}]\ntitle = \"x\"\n")).chain(["[vantage.home]".to_owned()]).collect(), "`[vantage]` has 10 keys, at most 8 are possible")]
    #[case::names("key = \"ecdsa-p256\"", format!("names = [{}]", (0..65).map(|i| format!("\"h{i}.test\",")).collect::<String>()), "`certificate.names` has 65 entries, at most 64 are possible")]
    fn what_is_too_much_is_refused(#[case] old: &str, #[case] new: String, #[case] expected: &str) {
        let rendered = after(old, &new);
        assert!(rendered.contains(expected), "{rendered}");
    }

    #[test]
    fn a_long_line_is_cut() {
        let rendered = after("host = ", &format!("h{} = ", "o".repeat(500_000)));
        assert!(rendered.len() < 5_000, "{} bytes", rendered.len());
    }

    #[test]
    fn the_nesting_is_bounded() {
        for text in ["[".repeat(100_000), "a.".repeat(100_000), format!("a = {}", "{ a = ".repeat(50_000))] {
            read(text).unwrap_err();
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let scenario = read(
            "title = 'a'\nwhy = 'b'\nclauses = []\npractice = 'renewal'\nserver.kinds = ['postfix']\nexpect.must-not = ['*']",
        )
        .unwrap();
        assert_eq!(scenario.server.host.as_str(), "mx.lab.test");
        assert!(scenario.vantage.is_empty() && scenario.fault.active().is_empty());
    }

    /// Any consistent scenario, as text, with the faults that it has.
    fn valid() -> impl Strategy<Value = (String, usize)> {
        let faults = proptest::sample::subsequence(
            vec![
                "expired = '3 days'",
                "weak-key = 1024",
                "weak-signature = 'sha1'",
                "wrong-names = ['*', 'EX01']",
                "greeting-refused = '421'",
                "starttls-masked = true",
                "missing-intermediate = true",
                "tls = { versions = ['SSLv3', 'TLSv1.2'], suites = ['TLS_RSA_WITH_RC4_128_SHA'], dh-group = 'own-512' }",
                "sni = 'required'",
                "client-certificate = { ca-bytes = 100, required = true }",
                "intolerant-of = { of = 'large-hello', do = 'alert:decode_error' }",
                "slow-handshake = '1s'",
            ],
            0..=12,
        );
        let world = proptest::sample::select(vec![
            "",
            "[tls]\nmin = '1.2'",
            "[tls]\nmin = '1.3'\nmax = '1.3'",
            "[tls]\nstock = true\npreference = 'server'",
        ]);
        // A range of versions and the versions of a fault contradict each other.
        let is_consistent =
            |(faults, world): &(Vec<&str>, &str)| !world.contains("min") || !faults.iter().any(|f| f.starts_with("tls"));
        let both = (faults, world).prop_filter("consistent", is_consistent);
        (both, "[a-zA-Zé ]{0,40}", "[a-z]{1,10}(\\.[a-z]{1,10}){1,3}").prop_map(|((faults, world), words, host)| {
            let compound = if faults.len() > 1 { "compound = 'together'" } else { "" };
            let count = faults.len();
            let faults = faults.join("\n");
            let text = format!(
                "title = 'x{words}'\nwhy = 'x'\nclauses = []\npractice = 'identity'\n{compound}\n[server]\nkinds = ['postfix']\n\
                 host = '{host}'\n{world}\n[fault]\n{faults}\n[expect]\nmust = ['weak-rsa-key']\n"
            );
            (text, count)
        })
    }

    proptest! {
        #[test]
        fn valid_combinations_are_read((text, faults) in valid()) {
            prop_assert_eq!(read(text).map(|scenario| scenario.fault.active().len()), Ok(faults));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
            if let Err(errors) = read(bytes) {
                let is_quiet = !errors.render(false).contains('\u{1b}');
                prop_assert!(is_quiet);
            }
        }

        #[test]
        fn mutations_do_no_harm(at in 0..VALID.len(), removed in 0..12_usize, added in "[\\PC\"'=\\[\\]{}\n\r\t\u{1b}\u{202e}.#-]{0,6}") {
            let mut bytes = VALID.as_bytes().to_vec();
            bytes.splice(at..(at + removed).min(VALID.len()), added.into_bytes());
            if let Err(errors) = read(bytes) {
                let rendered = errors.render(false);
                prop_assert!(rendered.contains("case.toml"));
                let is_quiet = !rendered.contains(['\u{1b}', '\u{202e}']);
                prop_assert!(is_quiet);
                // The schema is at least as strict as the types.
                prop_assert!(!rendered.contains("not TOML: unknown field") && !rendered.contains("not TOML: missing field"));
            }
        }
    }
}
