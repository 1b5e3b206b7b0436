//! The report for programs: a versioned format of its own around the facts as they are.
//!
//! [`read`] takes back only what was observed. Verdicts are for readers; `mtalab merge` and
//! `mtalab reproduce` judge anew, so a forged report cannot bring its own verdicts.

mod domain;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{ExitClass, Report, StoreName, not_asked};
use crate::{
    facts::{Facts, MAX_VIEWS},
    finding::{Finding, Outcome, Practice, ResultType, Severity, Verdict},
    rules::{Ending, NameRow, Product, Rule, Visibility, policy::Policy},
    senders::Row,
};

pub use domain::{
    FORMAT as DOMAIN_FORMAT, read as read_domain, schema as domain_schema, to_json as domain_to_json,
    to_json_line as domain_to_json_line,
};

/// The name of the format.
pub const FORMAT: &str = "mtalab-report";
/// The version of the format: it grows when an old reader would go wrong.
pub const VERSION: u64 = 1;
/// The largest report that is read back.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The report as pretty JSON in a stable order. It is safe to show: what is not printable
/// is written as `\u` escapes.
#[expect(clippy::expect_used, reason = "an unwritable report is a defect of this file, not of a server")]
pub fn to_json(report: &Report) -> String {
    let json = serde_json::to_string_pretty(&document(report))
        .expect("there are no maps, and every time has a year from 0 to 9999 as ASN.1 and RFC 3339 have");
    let mut out = escape_unprintable(&json);
    out.push('\n');
    out
}

/// The JSON Schema of the format.
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// What a report says was observed.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedReport {
    /// What was seen.
    pub facts: Facts,
    /// When it was judged.
    pub judged_at: OffsetDateTime,
    /// What its maker wanted readers to know.
    pub notes: Vec<String>,
    /// Whom its maker trusted.
    pub stores: Vec<StoreName>,
}

/// Why a file is no report. The file is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ReportReadError {
    /// It is larger than [`MAX_BYTES`].
    #[error("it has {0} bytes, and a report has at most {MAX_BYTES}")]
    TooLarge(usize),
    /// It ends in the middle.
    #[error("the file is empty or cut off at line {line}, column {column}: copy the whole report")]
    CutOff {
        /// Where it ends, counted from 1.
        line: usize,
        /// Where it ends, counted from 1.
        column: usize,
    },
    /// It is not JSON, or not the JSON of a report.
    #[error("not a report: {0}; expected the output of `mtalab check --format json`")]
    NotAReport(String),
    /// It was made by a later mtalab.
    #[error("the report has format version {0}, and this mtalab reads version {VERSION}: use a newer mtalab")]
    Newer(u64),
    /// It claims to be a report and breaks the format.
    #[error("the report is damaged: {}", crate::wire::WireText::from(.0.to_string()))]
    Damaged(#[source] serde_json::Error),
    /// It holds more views than a target may have.
    #[error("the report holds {0} views, and a target has at most {MAX_VIEWS}")]
    TooManyViews(usize),
}

/// Reads a report back: the facts, never the verdicts.
pub fn read(bytes: &[u8]) -> Result<SavedReport, ReportReadError> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(with = "time::serde::rfc3339")]
        judged_at: OffsetDateTime,
        #[serde(default)]
        notes: Vec<String>,
        #[serde(default)]
        trust_stores: Vec<StoreName>,
        facts: Facts,
    }
    check_head(bytes, FORMAT, VERSION)?;
    let body: Body = serde_json::from_slice(bytes).map_err(ReportReadError::Damaged)?;
    if body.facts.views.len() > MAX_VIEWS {
        return Err(ReportReadError::TooManyViews(body.facts.views.len()));
    }
    Ok(SavedReport { facts: body.facts, judged_at: body.judged_at, notes: body.notes, stores: body.trust_stores })
}

/// Whether these bytes are a report of that format and version, as far as can be told from its head.
fn check_head(bytes: &[u8], format: &'static str, version: u64) -> Result<(), ReportReadError> {
    #[derive(Deserialize)]
    struct Head {
        format: Option<String>,
        version: Option<u64>,
    }
    if bytes.len() > MAX_BYTES {
        return Err(ReportReadError::TooLarge(bytes.len()));
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| match error.is_eof() {
        true => ReportReadError::CutOff { line: error.line(), column: error.column() },
        false => ReportReadError::NotAReport(crate::wire::WireText::from(error.to_string()).to_string()),
    })?;
    if head.format.as_deref() != Some(format) {
        return Err(ReportReadError::NotAReport(format!("the field `format` is not `{format}`")));
    }
    match head.version {
        Some(own) if own == version => Ok(()),
        Some(newer) if newer > version => Err(ReportReadError::Newer(newer)),
        _ => Err(ReportReadError::NotAReport("the field `version` is missing or no version".to_owned())),
    }
}

/// A report of the mtalab checker.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Report", deny_unknown_fields)]
struct Document<'a> {
    /// Always `mtalab-report`.
    format: &'static str,
    /// The version of this format.
    version: u64,
    /// What made the report.
    tool: Tool,
    /// The moment of judgement.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    judged_at: OffsetDateTime,
    /// What the verdicts come to, where warnings do not count as violations.
    exit: ExitClass,
    /// Whom the check trusted.
    trust_stores: &'a [StoreName],
    /// The guideline that it was judged by.
    policy: PolicyName<'a>,
    /// The seven practices, in order.
    practices: Vec<PracticeEntry<'a>>,
    /// Every observed defect, the worst first.
    findings: Vec<FindingEntry<'a>>,
    /// What each rule said.
    rules: Vec<RuleEntry<'a>>,
    /// Every name that the server goes by, and how it compares with the one that senders look up.
    names: &'a [NameRow],
    /// When which certificate ends, the soonest first.
    endings: &'a [Ending],
    /// Which software the server and what stands before it look like; a hint.
    products: &'a [Product],
    /// Who sees STARTTLS.
    starttls: &'a Visibility,
    /// What every kind of sender would do with a message, as far as this host: how it goes on from there is the host's affair.
    senders: &'a [Row],
    /// The questions that this depth of check does not ask.
    not_asked: Vec<&'static str>,
    /// What else a reader must know.
    notes: &'a [String],
    /// What was seen. All of the above follows from it, the trust stores and the moment.
    facts: &'a Facts,
}

/// The program and its version.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

/// A guideline, without what it says.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PolicyName<'a> {
    /// As `--policy` takes it.
    name: &'a str,
    title: &'a str,
    /// Where it comes from.
    source: &'a str,
}

/// The verdict of one practice.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PracticeEntry<'a> {
    /// 1 to 7.
    number: u8,
    id: Practice,
    title: &'static str,
    verdict: Verdict,
    /// Why, in words.
    reason: &'a str,
}

/// One observed defect.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct FindingEntry<'a> {
    /// The id of the rule that it violates.
    rule: &'static str,
    practice: Practice,
    severity: Severity,
    /// What a sender would report (RFC 8460, 4.3).
    result_type: Option<ResultType>,
    message: &'a str,
    evidence: &'a [String],
    /// Where it was seen: indices into `facts.views`.
    views: &'a [usize],
}

/// What one rule said.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RuleEntry<'a> {
    id: &'static str,
    title: &'static str,
    practice: Practice,
    severity: Severity,
    outcome: OutcomeWord,
    /// Why, in words; of a violated rule the findings tell.
    reason: Option<&'a str>,
}

/// What a rule said, in a word.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OutcomeWord {
    /// Observed and right.
    Passed,
    /// The rule does not concern this target.
    NotApplicable,
    /// A fact that the rule needs is missing.
    Undetermined,
    /// The defect was observed.
    Violated,
}

fn document(report: &Report) -> Document<'_> {
    Document {
        format: FORMAT,
        version: VERSION,
        tool: Tool { name: "mtalab", version: env!("CARGO_PKG_VERSION") },
        judged_at: report.now,
        exit: report.exit_class(Severity::Fail),
        trust_stores: &report.stores,
        policy: PolicyName { name: &report.policy.name, title: &report.policy.title, source: &report.policy.source },
        practices: report
            .practices
            .iter()
            .map(|line| PracticeEntry {
                number: line.practice.number(),
                id: line.practice,
                title: line.practice.title(),
                verdict: line.verdict,
                reason: &line.reason,
            })
            .collect(),
        findings: report.findings.iter().map(finding_entry).collect(),
        rules: report.outcomes.iter().map(|(rule, outcome)| rule_entry(report.policy, rule, outcome)).collect(),
        names: &report.names,
        endings: &report.endings,
        products: &report.products,
        starttls: &report.visibility,
        senders: &report.senders,
        not_asked: not_asked(&report.facts),
        notes: &report.notes,
        facts: &report.facts,
    }
}

fn finding_entry(finding: &Finding) -> FindingEntry<'_> {
    FindingEntry {
        rule: finding.rule,
        practice: finding.practice,
        severity: finding.severity,
        result_type: finding.result_type,
        message: &finding.violation.message,
        evidence: &finding.violation.evidence,
        views: &finding.violation.views,
    }
}

fn rule_entry<'a>(policy: &Policy, rule: &'static Rule, outcome: &'a Outcome) -> RuleEntry<'a> {
    let (word, reason) = match outcome {
        Outcome::Passed(words) => (OutcomeWord::Passed, Some(words.as_str())),
        Outcome::NotApplicable(why) => (OutcomeWord::NotApplicable, Some(why.as_str())),
        Outcome::Undetermined(why) => (OutcomeWord::Undetermined, Some(why.as_str())),
        Outcome::Violated(_) => (OutcomeWord::Violated, None),
    };
    let (practice, severity) = (rule.practice, policy.severity(rule).unwrap_or(rule.severity));
    RuleEntry { id: rule.id, title: rule.title(), practice, severity, outcome: word, reason }
}

/// Writes as `\u` escapes what a terminal or an editor might act on; outside of ASCII it
/// stands in strings only, so the meaning stays.
fn escape_unprintable(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, '\n' | ' '..='~') || (!c.is_ascii() && c.escape_debug().len() == 1) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::report::samples;

    #[rstest]
    #[case(samples::story())]
    #[case(samples::healthy())]
    #[case(samples::offered())]
    #[case(samples::unreachable())]
    #[case(samples::hostile("\x1b[31m\u{9b}\u{202e}\u{e0001} ok"))]
    fn the_facts_are_read_back_and_the_schema_fits(#[case] report: Report) {
        let text = to_json(&report);
        let read = read(text.as_bytes()).unwrap();
        assert_eq!((read.judged_at, &read.notes), (report.now, &report.notes));
        assert_eq!(read.facts, report.facts);
        let schema = schema();
        let misfit = misfit(&schema, &schema, &serde_json::from_str(&text).unwrap(), "report");
        assert_eq!(misfit, None);
        assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && !"\u{202e}\u{e0001}".contains(c))));
    }

    #[test]
    fn the_judged_part_tells_what_the_text_tells() {
        let text = to_json(&samples::story());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["exit"], "violated");
        assert_eq!(value["judged_at"], "2026-03-01T12:30:45Z");
        let store = &value["trust_stores"][0];
        assert_eq!((&store["name"], &store["public"]), (&json!("lab"), &json!(true)));
        assert_eq!(store["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(value["policy"]["name"], "mtalab");
        assert_eq!(value["tool"], json!({ "name": "mtalab", "version": env!("CARGO_PKG_VERSION") }));
        let verdicts: Vec<_> = value["practices"].as_array().unwrap().iter().map(|p| p["verdict"].as_str().unwrap()).collect();
        let expected = ["inconclusive", "inconclusive", "pass", "fail", "not-applicable", "not-applicable", "fail"];
        assert_eq!(verdicts, expected);
        let found: Vec<_> = value["findings"].as_array().unwrap().iter().map(|f| (&f["rule"], &f["views"])).collect();
        assert_eq!(found[0], (&json!("starttls-address-restricted"), &json!([1])));
        assert_eq!(value["rules"][0]["outcome"], "undetermined");
        assert_eq!(value["rules"][4]["reason"], Value::Null);
    }

    #[test]
    fn forged_verdicts_and_details_are_not_read() {
        let honest = samples::story();
        let mut value: Value = serde_json::from_str(&to_json(&honest)).unwrap();
        value["practices"] = json!("all fine");
        value["findings"] = json!([]);
        value["facts"]["views"][0]["session"]["certificates"]["seen"][0]["details"]["not_after"] = json!("2099-01-01T00:00:00Z");
        assert_eq!(read(value.to_string().as_bytes()).unwrap().facts, honest.facts);
    }

    #[rstest]
    #[case("", "the file is empty or cut off at line 1, column 0: copy the whole report")]
    #[case("mx1: fine", "not a report: expected value at line 1 column 1; expected the output of `mtalab check --format json`")]
    #[case("{}", "not a report: the field `format` is not `mtalab-report`; expected the output of `mtalab check --format json`")]
    #[case(
        r#"{"format":"mtalab-report"}"#,
        "not a report: the field `version` is missing or no version; expected the output of `mtalab check --format json`"
    )]
    #[case(
        r#"{"format":"mtalab-report","version":2,"facts":[]}"#,
        "the report has format version 2, and this mtalab reads version 1: use a newer mtalab"
    )]
    #[case(r#"{"format":"mtalab-report","version":1}"#, "the report is damaged: missing field `judged_at` at line 1 column 38")]
    fn errors_say_what_to_do(#[case] text: &str, #[case] message: &str) {
        assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), message);
    }

    #[test]
    fn what_a_damaged_report_holds_is_escaped() {
        let text = to_json(&samples::unreachable()).replacen("\"not-attempted\"", "\"\\u001b[31m\\u0007\"", 1);
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(r"unknown variant `\x1b[31m\x07`"), "{error:?}");
    }

    #[test]
    fn a_report_is_bounded() {
        let large = vec![b' '; MAX_BYTES + 1];
        assert!(matches!(read(&large), Err(ReportReadError::TooLarge(_))));
        let mut report = samples::unreachable();
        report.facts.views = vec![report.facts.views[0].clone(); MAX_VIEWS + 1];
        assert!(matches!(read(to_json(&report).as_bytes()), Err(ReportReadError::TooManyViews(_))));
    }

    proptest! {
        #[test]
        fn a_report_cut_off_anywhere_is_an_error(at in 0.0..1.0f64) {
            let text = to_json(&samples::unreachable());
            let at = (at * (text.trim_end().len() as f64)) as usize;
            let is_cut_off = matches!(read(&text.as_bytes()[..at]), Err(ReportReadError::CutOff { .. }));
            prop_assert!(is_cut_off);
        }
    }

    /// Where a value does not fit the schema: the keywords that schemars writes for this format.
    fn misfit(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = root.pointer(reference.strip_prefix('#')?)?;
            return misfit(root, target, value, at);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(options) = schema[keyword].as_array() {
                let fits = options.iter().filter(|option| misfit(root, option, value, at).is_none()).count();
                if fits == 0 || (keyword == "oneOf" && fits > 1) {
                    return Some(format!("{at}: fits {fits} of {keyword}: {value}"));
                }
            }
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_kind = match &schema["type"] {
            Value::String(one) => one == kind,
            Value::Array(some) => some.iter().any(|one| one == kind),
            _ => true,
        };
        let is_listed = schema["enum"].as_array().is_none_or(|listed| listed.contains(value));
        let is_const = schema.get("const").is_none_or(|only| only == value);
        if !(is_kind && is_listed && is_const) {
            return Some(format!("{at}: {value} does not fit {schema}"));
        }
        if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
            return items.iter().enumerate().find_map(|(i, item)| misfit(root, schema, item, &format!("{at}[{i}]")));
        }
        let object = value.as_object()?;
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|name| !object.contains_key(*name)) {
            return Some(format!("{at}: {missing} is missing"));
        }
        object.iter().find_map(|(name, value)| match schema["properties"].get(name) {
            Some(schema) => misfit(root, schema, value, &format!("{at}.{name}")),
            None => (schema["additionalProperties"] == false).then(|| format!("{at}: {name} is unknown")),
        })
    }

    #[test]
    fn the_schema_is_strict_enough_to_mean_something() {
        let schema = schema();
        let mut value: Value = serde_json::from_str(&to_json(&samples::story())).unwrap();
        value["practices"][0]["verdict"] = json!("splendid");
        assert!(misfit(&schema, &schema, &value, "report").is_some());
        value["practices"][0]["verdict"] = json!("pass");
        value["extra"] = json!(1);
        assert_eq!(misfit(&schema, &schema, &value, "report"), Some("report: extra is unknown".to_owned()));
    }
}
