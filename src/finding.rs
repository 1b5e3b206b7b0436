//! The vocabulary of judgement: practices, verdicts, severities, outcomes, findings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The seven practices of SMTP over TLS, the checker's scoreboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Practice {
    /// 1: a certificate from a public CA.
    PublicCa,
    /// 2: strong keys.
    StrongKeys,
    /// 3: CN and SAN match what DNS resolves to, and the greeting names it.
    Identity,
    /// 4: opportunistic TLS for everyone.
    OpportunisticTls,
    /// 5: TLS enforceable for partners.
    EnforceableTls,
    /// 6: TLS use monitored.
    MonitoredTls,
    /// 7: renewal reminders.
    Renewal,
}

impl Practice {
    /// All seven, in order.
    pub const ALL: [Self; 7] = [
        Self::PublicCa,
        Self::StrongKeys,
        Self::Identity,
        Self::OpportunisticTls,
        Self::EnforceableTls,
        Self::MonitoredTls,
        Self::Renewal,
    ];

    /// 1 to 7.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The kebab-case name of scenario files and reports.
    pub fn id(self) -> &'static str {
        match self {
            Self::PublicCa => "public-ca",
            Self::StrongKeys => "strong-keys",
            Self::Identity => "identity",
            Self::OpportunisticTls => "opportunistic-tls",
            Self::EnforceableTls => "enforceable-tls",
            Self::MonitoredTls => "monitored-tls",
            Self::Renewal => "renewal",
        }
    }

    /// The title of its line in a report.
    pub fn title(self) -> &'static str {
        match self {
            Self::PublicCa => "certificate from a public CA",
            Self::StrongKeys => "strong keys",
            Self::Identity => "names match",
            Self::OpportunisticTls => "opportunistic TLS for everyone",
            Self::EnforceableTls => "enforceable TLS for partners",
            Self::MonitoredTls => "monitored TLS",
            Self::Renewal => "renewal",
        }
    }
}

/// The judgement of one practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Observed, and as it should be.
    Pass,
    /// Works, and should be mended.
    Warn,
    /// Violated.
    Fail,
    /// Not enough evidence; never a polite word for "no".
    Inconclusive,
    /// The practice does not concern this target, or nothing here judges it.
    NotApplicable,
}

impl Verdict {
    /// The word in a report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// What a violated rule makes of its practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; the practice still passes.
    Notice,
    /// The practice warns.
    Warn,
    /// The practice fails.
    Fail,
}

/// The result types of RFC 8460, 4.3: what a sender would report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResultType {
    /// The recipient MX does not support STARTTLS.
    StarttlsNotSupported,
    /// The certificate does not name the host.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is not trusted.
    CertificateNotTrusted,
    /// Any other failure.
    ValidationFailure,
    /// No usable TLSA record fits.
    TlsaInvalid,
    /// DNSSEC proves nothing, or does not answer.
    DnssecInvalid,
    /// A sender that demands DANE finds no TLSA records.
    DaneRequired,
    /// The policy of MTA-STS cannot be fetched.
    StsPolicyFetchError,
    /// The policy of MTA-STS is none, or does not allow the MX.
    StsPolicyInvalid,
    /// The policy host's certificate is not valid.
    StsWebpkiInvalid,
}

impl ResultType {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::StarttlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
        Self::StsPolicyFetchError,
        Self::StsPolicyInvalid,
        Self::StsWebpkiInvalid,
    ];

    /// The one of this IANA name.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.id() == id)
    }

    /// The IANA name.
    pub fn id(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

/// What one rule says of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Observed and right; the text states it in words.
    Passed(String),
    /// The rule does not concern this target; the text says why.
    NotApplicable(String),
    /// A fact that the rule needs is missing; the text says why.
    Undetermined(String),
    /// The defect was observed.
    Violated(Vec<Violation>),
}

/// One observation of a defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong, in words that a mail administrator understands: one sentence
    /// fragment without a full stop.
    pub message: String,
    /// The observations that prove it, one a line.
    pub evidence: Vec<String>,
    /// The views that it was seen in, as indices into [`crate::facts::Facts::views`].
    pub views: Vec<usize>,
    /// What it makes of the practice, where that is milder than what its rule makes of it.
    pub severity: Option<Severity>,
}

impl Violation {
    /// A violation without a view; the rule that looks at each view adds it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), evidence: Vec::new(), views: Vec::new(), severity: None }
    }

    /// The same, made milder than its rule.
    #[must_use]
    pub fn graded(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }
}

/// A violation with what the report needs to know of its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// The practice that it belongs to.
    pub practice: Practice,
    /// What it makes of that practice.
    pub severity: Severity,
    /// What a sender would report, RFC 8460.
    pub result_type: Option<ResultType>,
    /// What was observed.
    pub violation: Violation,
}

impl fmt::Display for Practice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
