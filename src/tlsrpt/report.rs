//! Reports of TLSRPT (RFC 8460, 4): what a sender saw of a domain's TLS, read strictly.
//!
//! A report is JSON, mostly packed with gzip, alone or as a part of a mail (`application/tlsrpt+gzip`, `application/tlsrpt+json`;
//! RFC 8460, 5.3). Whatever is not as the RFC has it is either an error, where the numbers cannot be believed, or a note.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use mail_parser::{MessageParser, MimeHeaders};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{finding::ResultType, name::Name, wire::WireText};

/// No report that is worth reading is larger, unpacked; those of the largest senders have some 100 KiB.
pub const MAX_REPORT: usize = 16 * 1024 * 1024;
/// Nor is the mail or the file that brings it.
pub const MAX_INPUT: usize = 64 * 1024 * 1024;
const MAX_POLICIES: usize = 10_000;
const MAX_DETAILS: usize = 10_000;
/// A mail with more parts than these is none of a reporter.
const MAX_PARTS: usize = 100;

/// Why something is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Of the packed or of the unpacked.
    #[error("it has more than {0} bytes, and a report has not")]
    TooLarge(usize),
    /// Cut off, or packed with a wrong length or checksum.
    #[error("it cannot be unpacked: {0}")]
    Packed(String),
    /// A mail that brings none.
    #[error("it is a mail, and none of its parts is a report (`application/tlsrpt+gzip` or `application/tlsrpt+json`)")]
    NoPart,
    /// Neither JSON nor gzip nor a mail, or JSON of another form.
    #[error("it is no report: {0}")]
    Form(String),
    /// Fields that contradict each other or cannot be.
    #[error("{0}")]
    Wrong(String),
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who sends it, in own words.
    pub organization: WireText,
    /// The domain of who sends it: that of the contact, or of the mail that brought it.
    pub submitter: Option<Name>,
    /// Its ID.
    pub id: WireText,
    /// From when.
    pub start: OffsetDateTime,
    /// Until when.
    pub end: OffsetDateTime,
    /// What was seen of each policy.
    pub policies: Vec<PolicyReport>,
    /// What is not as the RFC has it.
    pub notes: Vec<String>,
}

/// What was seen of one policy of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyReport {
    /// `tlsa`, `sts` or `no-policy-found`.
    pub kind: WireText,
    /// The domain that mail was for.
    pub domain: Name,
    /// Sessions that were as the policy wants them.
    pub successes: u64,
    /// Sessions that were not.
    pub failures: u64,
    /// Those by reason.
    pub details: Vec<Detail>,
}

/// Failures of one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The result type, where it is one of RFC 8460.
    pub result_type: Option<ResultType>,
    /// As the report has it.
    pub result_text: WireText,
    /// The MX host, where it is named.
    pub host: Option<WireText>,
    /// How many sessions.
    pub sessions: u64,
}

/// Reads the reports of a file: one in JSON, packed or not, or all of a mail.
pub fn read(bytes: &[u8]) -> Result<Vec<Report>, ReportError> {
    if bytes.len() > MAX_INPUT {
        return Err(ReportError::TooLarge(MAX_INPUT));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return json(&unpack(bytes)?).map(|report| vec![report]);
    }
    let first = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start().first();
    match first {
        Some(b'{' | b'[') => json(bytes).map(|report| vec![report]),
        _ => mail(bytes),
    }
}

fn mail(bytes: &[u8]) -> Result<Vec<Report>, ReportError> {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Err(ReportError::Form("neither JSON, nor gzip, nor a mail".to_owned()));
    };
    let sender = message.from().and_then(|from| from.first()).and_then(|from| from.address.as_deref()).and_then(domain_of);
    let submitter = message.header_raw("TLS-Report-Submitter").map(str::trim).and_then(|name| Name::parse(name).ok());
    let mut reports = Vec::new();
    for part in message.parts.iter().take(MAX_PARTS) {
        let Some(kind) = part.content_type() else { continue };
        let name = part.attachment_name().unwrap_or_default();
        let subtype = kind.subtype().unwrap_or_default().to_ascii_lowercase();
        let is_report = kind.ctype().eq_ignore_ascii_case("application")
            && (subtype.starts_with("tlsrpt") || name.ends_with(".json.gz") || name.ends_with(".json"));
        if !is_report {
            continue;
        }
        let content = part.contents();
        let mut report = if content.starts_with(&[0x1f, 0x8b]) { json(&unpack(content)?)? } else { json(content)? };
        report.submitter = submitter.clone().or_else(|| report.submitter.take()).or_else(|| sender.clone());
        reports.push(report);
    }
    if reports.is_empty() { Err(ReportError::NoPart) } else { Ok(reports) }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, ReportError> {
    let mut unpacked = Vec::new();
    let most = u64::try_from(MAX_REPORT).unwrap_or(u64::MAX) + 1;
    // The length and the checksum at the end are compared by the decoder.
    MultiGzDecoder::new(bytes).take(most).read_to_end(&mut unpacked).map_err(|error| ReportError::Packed(error.to_string()))?;
    if unpacked.len() > MAX_REPORT { Err(ReportError::TooLarge(MAX_REPORT)) } else { Ok(unpacked) }
}

fn domain_of(address: &str) -> Option<Name> {
    let (_, domain) = address.trim().rsplit_once('@')?;
    Name::parse(domain.trim_end_matches('>')).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Body {
    organization_name: Option<String>,
    date_range: Range,
    contact_info: Option<String>,
    report_id: Option<String>,
    policies: Vec<PolicyBody>,
    /// No version is there in RFC 8460; a form that comes after it will say so.
    version: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Range {
    start_datetime: String,
    end_datetime: String,
}

#[derive(Deserialize)]
struct PolicyBody {
    policy: PolicyHead,
    summary: Summary,
    #[serde(rename = "failure-details", default)]
    details: Option<Vec<DetailBody>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PolicyHead {
    policy_type: String,
    policy_domain: String,
}

/// The RFC's schema has `session`, its text `sessions`; both are seen.
#[derive(Deserialize)]
struct Summary {
    #[serde(rename = "total-successful-session-count", alias = "total-successful-sessions-count")]
    successes: u64,
    #[serde(rename = "total-failure-session-count", alias = "total-failure-sessions-count")]
    failures: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DetailBody {
    result_type: String,
    receiving_mx_hostname: Option<String>,
    #[serde(default)]
    failed_session_count: Option<u64>,
}

fn json(bytes: &[u8]) -> Result<Report, ReportError> {
    if bytes.len() > MAX_REPORT {
        return Err(ReportError::TooLarge(MAX_REPORT));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let body: Body =
        serde_json::from_slice(bytes).map_err(|error| ReportError::Form(WireText::from(&*error.to_string()).to_string()))?;
    let mut notes = Vec::new();
    match &body.version {
        None => {}
        Some(serde_json::Value::String(version)) if version.eq_ignore_ascii_case("TLSRPTv1") => {}
        Some(version) => {
            let version = WireText::from(&*version.to_string());
            return Err(ReportError::Wrong(format!("it is of version {version}, and this program knows that of RFC 8460 only")));
        }
    }
    let moment = |text: &str, which: &str| {
        OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| ReportError::Wrong(format!("its {which}, `{}`, is no date-time of RFC 3339", WireText::from(text))))
    };
    let (start, end) = (moment(&body.date_range.start_datetime, "start")?, moment(&body.date_range.end_datetime, "end")?);
    if end < start {
        return Err(ReportError::Wrong(format!("it ends ({end}) before it starts ({start})")));
    }
    if body.policies.len() > MAX_POLICIES {
        return Err(ReportError::Wrong(format!("it has {} policies; {MAX_POLICIES} are read at the most", body.policies.len())));
    }
    let policies = body.policies.into_iter().map(|policy| one(policy, &mut notes)).collect::<Result<Vec<_>, _>>()?;
    Ok(Report {
        organization: WireText::from(body.organization_name.unwrap_or_default().as_str()),
        submitter: body.contact_info.as_deref().and_then(domain_of),
        id: WireText::from(body.report_id.unwrap_or_default().as_str()),
        start,
        end,
        policies,
        notes,
    })
}

fn one(body: PolicyBody, notes: &mut Vec<String>) -> Result<PolicyReport, ReportError> {
    let PolicyHead { policy_type, policy_domain } = body.policy;
    let domain = Name::parse(&policy_domain)
        .map_err(|error| ReportError::Wrong(format!("`{}` is no domain: {error}", WireText::from(&*policy_domain))))?;
    let kind = WireText::from(&*policy_type);
    if !matches!(policy_type.as_str(), "tlsa" | "sts" | "no-policy-found") {
        notes.push(format!("{domain}: `{kind}` is no kind of policy that RFC 8460 knows"));
    }
    let details = body.details.unwrap_or_default();
    if details.len() > MAX_DETAILS {
        return Err(ReportError::Wrong(format!(
            "{domain}: {} failure details; {MAX_DETAILS} are read at the most",
            details.len()
        )));
    }
    let details: Vec<_> = details
        .into_iter()
        .map(|detail| {
            let result_type = ResultType::from_id(&detail.result_type);
            let result_text = WireText::from(&*detail.result_type);
            if result_type.is_none() {
                notes.push(format!("{domain}: `{result_text}` is no result type of RFC 8460"));
            }
            let host = detail.receiving_mx_hostname.as_deref().map(WireText::from);
            // A detail without a count is at least one.
            Detail { result_type, result_text, host, sessions: detail.failed_session_count.unwrap_or(1) }
        })
        .collect();
    let told = details.iter().try_fold(0u64, |sum, detail| sum.checked_add(detail.sessions));
    if details.is_empty() != (body.summary.failures == 0) || told.is_none_or(|told| told > body.summary.failures) {
        notes.push(format!(
            "{domain}: the summary counts {} failures, the details {}",
            body.summary.failures,
            told.map_or("more than can be".to_owned(), |told| told.to_string())
        ));
    }
    Ok(PolicyReport { kind, domain, successes: body.summary.successes, failures: body.summary.failures, details })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// The shape of RFC 8460, appendix B, with names of this lab.
    pub(crate) const SAMPLE: &str = r#"{"organization-name":"Partner","date-range":{"start-datetime":"2026-11-28T00:00:00Z","end-datetime":"2026-11-28T23:59:59Z"},
"contact-info":"tls-report@partner.test","report-id":"5065427c-23d3","policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1"],
"policy-domain":"Lab.test","mx-host":["*.mail.lab.test"]},"summary":{"total-successful-session-count":5326,"total-failure-session-count":303},
"failure-details":[{"result-type":"certificate-expired","sending-mta-ip":"2001:db8::1","receiving-mx-hostname":"mx1.lab.test","failed-session-count":100},
{"result-type":"starttls-not-supported","receiving-mx-hostname":"mx2.lab.test","failed-session-count":203}]}]}"#;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn mail_of(packed: &[u8]) -> Vec<u8> {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(packed);
        let lines: Vec<_> = encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!(
            "From: tlsrpt@sender.test\r\nTLS-Report-Domain: lab.test\r\nTLS-Report-Submitter: submitter.test\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA \
             report.\r\n--b\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: \
             attachment; filename=\"a!b!1!2.json.gz\"\r\n\r\n{}\r\n--b--\r\n",
            lines.join("\r\n")
        )
        .into_bytes()
    }

    #[test]
    fn json_gzip_and_mail_say_the_same() {
        let plain = read(SAMPLE.as_bytes()).unwrap();
        assert_eq!(plain, read(&packed(SAMPLE.as_bytes())).unwrap());
        let mail = read(&mail_of(&packed(SAMPLE.as_bytes()))).unwrap();
        assert_eq!(mail[0].policies, plain[0].policies);
        assert_eq!(plain[0].submitter, Some(Name::parse("partner.test").unwrap()));
        assert_eq!(mail[0].submitter, Some(Name::parse("submitter.test").unwrap()));
        let policy = &plain[0].policies[0];
        assert_eq!((policy.successes, policy.failures, policy.domain.as_str()), (5326, 303, "lab.test"));
        assert_eq!(policy.details[0].result_type, Some(ResultType::CertificateExpired));
        assert!(plain[0].notes.is_empty());
    }

    #[rstest]
    #[case::future(&[("\"report-id\"", "\"version\":\"TLSRPTv2\",\"report-id\"")], "version")]
    #[case::backwards(&[("2026-11-28T23", "2026-11-27T23")], "before it starts")]
    #[case::no_date(&[("2026-11-28T00:00:00Z", "yesterday")], "RFC 3339")]
    #[case::negative(&[("5326", "-1")], "no report")]
    #[case::too_many(&[("5326", "99999999999999999999999")], "no report")]
    #[case::no_domain(&[("Lab.test", "lab test\\u001b[31m")], "no domain")]
    #[case::no_policies(&[("\"policies\"", "\"others\"")], "policies")]
    fn what_cannot_be_believed_is_refused(#[case] changes: &[(&str, &str)], #[case] why: &str) {
        let text = changes.iter().fold(SAMPLE.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains('\u{1b}'), "{error}");
    }

    #[rstest]
    #[case("203", "204", "the summary counts 303 failures, the details 304")]
    #[case("203", "18446744073709551615", "more than can be")]
    #[case("certificate-expired", "certificate-odd", "no result type")]
    #[case("\"sts\"", "\"other\"", "no kind of policy")]
    fn what_is_odd_is_noted(#[case] from: &str, #[case] to: &str, #[case] note: &str) {
        let report = read(SAMPLE.replacen(from, to, 1).as_bytes()).unwrap();
        assert!(report[0].notes.iter().any(|known| known.contains(note)), "{:?}", report[0].notes);
    }

    #[test]
    fn lengths_that_lie_are_noticed() {
        let mut bytes = packed(SAMPLE.as_bytes());
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(matches!(read(&bytes), Err(ReportError::Packed(_))));
        assert!(matches!(read(&bytes[..last - 20]), Err(ReportError::Packed(_))));
        assert_eq!(read(&packed(&vec![b' '; MAX_REPORT + 1])), Err(ReportError::TooLarge(MAX_REPORT)));
        assert_eq!(read(b"From: a@b.test\r\nSubject: hello\r\n\r\nhello\r\n"), Err(ReportError::NoPart));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at in 0..SAMPLE.len(), byte: u8) {
            let _ = read(&bytes);
            let mut sample = SAMPLE.as_bytes().to_vec();
            sample[at] = byte;
            let _ = read(&sample);
            let _ = read(&mail_of(&sample));
        }
    }
}
