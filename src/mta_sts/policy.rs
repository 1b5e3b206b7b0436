//! The policy file (RFC 8461, 3.2): read strictly, and every mistake told with its line.

use std::fmt;

use crate::name::Name;

/// The largest `max_age`: a year (RFC 8461, 3.2).
pub const MAX_AGE: u64 = 31_557_600;
/// What senders are advised to read at most (RFC 8461, 3.3).
pub const MAX_POLICY_BYTES: usize = 64 * 1024;
/// Mistakes that are told of one file.
const MAX_ERRORS: usize = 20;
/// MX patterns that are kept; a domain has fewer MX.
const MAX_PATTERNS: usize = 1000;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What senders are to do.
    pub mode: Mode,
    /// How long they may keep it, in seconds.
    pub max_age: u64,
    /// The MX that it allows.
    pub mx: Vec<MxPattern>,
    /// What is not as the RFC has it and makes nothing invalid.
    pub lapses: Vec<Lapse>,
}

/// What senders are to do with an MX that does not fit (RFC 8461, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// They must not deliver to it.
    Enforce,
    /// They deliver, and report it.
    Testing,
    /// They act as if there were no policy.
    None,
}

impl Mode {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One `mx`: a host name, or `*.` and a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MxPattern(String);

impl MxPattern {
    /// Reads one; the name is in A-labels and without a final dot.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !label.starts_with('-') && !label.ends_with('-')
        };
        let is_name = Name::parse(name).is_ok() && !name.ends_with('.') && name.split('.').all(is_label);
        is_name.then(|| Self(text.to_ascii_lowercase()))
    }

    /// Whether that MX is allowed: `*` stands for the whole left-most label (RFC 8461, 4.1).
    pub fn matches(&self, mx: &Name) -> bool {
        mx.is_matched_by(&self.0)
    }

    /// As it is written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What senders bear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// The grammar has no empty lines.
    #[error("line {0} is empty")]
    EmptyLine(usize),
    /// All but the first are ignored (RFC 8461, 3.2).
    #[error("line {line} repeats `{field}`, and is ignored")]
    Repeated {
        /// Counted from 1.
        line: usize,
        /// `version`, `mode` or `max_age`.
        field: String,
    },
}

/// One mistake, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The line, counted from 1; none where something is missing from the whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub fault: PolicyFault,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// What is wrong with a policy. Texts are as they came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// More than senders read.
    #[error("it has more than {MAX_POLICY_BYTES} bytes")]
    TooLong,
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// RFC 8461, 3.2: UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Which is no part of any field's name.
    #[error("it begins with a byte order mark")]
    ByteOrderMark,
    /// Lines end in LF or CRLF (RFC 8461, 3.2).
    #[error("a CR without a LF does not end a line")]
    BareCr,
    /// A page for people.
    #[error("this is a web page and no policy")]
    WebPage,
    /// Not `name: value`.
    #[error("`{0}` is not of the form `name: value`")]
    Field(String),
    /// A value that no field may have.
    #[error("the value of `{0}` is empty or holds what is not printable")]
    Value(String),
    /// Not `STSv1`.
    #[error("`{0}` is no version; expected `STSv1`")]
    Version(String),
    /// None of the three.
    #[error("`{0}` is no mode; expected `enforce`, `testing` or `none`")]
    Mode(String),
    /// No number of seconds.
    #[error("`{0}` is no max_age: up to 10 digits, at most {MAX_AGE}")]
    MaxAge(String),
    /// No name and no pattern.
    #[error("`{0}` is no host name, and no `*.` before one")]
    Mx(String),
    /// More than are read.
    #[error("it has more than {MAX_PATTERNS} lines `mx`")]
    ManyMx,
    /// RFC 8461, 3.2: required once.
    #[error("there is no `{0}`")]
    Missing(&'static str),
}

impl Policy {
    /// Reads a policy, or tells every mistake.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<PolicyError>> {
        let whole = |fault| Err(vec![PolicyError { line: None, fault }]);
        if bytes.len() > MAX_POLICY_BYTES {
            return whole(PolicyFault::TooLong);
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return whole(PolicyFault::Empty);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
                return Err(vec![PolicyError { line: Some(line), fault: PolicyFault::NotUtf8 }]);
            }
        };
        if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
            return whole(PolicyFault::WebPage);
        }
        Reading::default().read(text)
    }

    /// Whether the policy allows that MX.
    pub fn allows(&self, mx: &Name) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(mx))
    }
}

#[derive(Default)]
struct Reading {
    version: bool,
    mode: Option<Mode>,
    max_age: Option<u64>,
    mx: Vec<MxPattern>,
    /// Names of fields that were there, right or wrong.
    seen: Vec<&'static str>,
    lapses: Vec<Lapse>,
    errors: Vec<PolicyError>,
}

impl Reading {
    fn read(mut self, text: &str) -> Result<Policy, Vec<PolicyError>> {
        let body = match text.strip_prefix('\u{feff}') {
            Some(rest) => {
                self.error(1, PolicyFault::ByteOrderMark);
                rest
            }
            None => text,
        };
        let mut lines: Vec<&str> = body.split('\n').collect();
        // The last line need not be ended.
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        for (index, line) in lines.into_iter().enumerate() {
            if self.errors.len() >= MAX_ERRORS {
                return Err(self.errors);
            }
            self.line(index + 1, line.strip_suffix('\r').unwrap_or(line));
        }
        for field in ["version", "mode", "max_age"] {
            if !self.seen.contains(&field) {
                self.errors.push(PolicyError { line: None, fault: PolicyFault::Missing(field) });
            }
        }
        // RFC 8461, 3.2: at least one, unless the mode is none.
        if self.mx.is_empty() && !self.seen.contains(&"mx") && self.mode != Some(Mode::None) {
            self.errors.push(PolicyError { line: None, fault: PolicyFault::Missing("mx") });
        }
        match (self.version, self.mode, self.max_age) {
            (true, Some(mode), Some(max_age)) if self.errors.is_empty() => {
                Ok(Policy { mode, max_age, mx: self.mx, lapses: self.lapses })
            }
            _ => Err(self.errors),
        }
    }

    fn error(&mut self, line: usize, fault: PolicyFault) {
        self.errors.push(PolicyError { line: Some(line), fault });
    }

    fn lapse(&mut self, lapse: Lapse) {
        if self.lapses.len() < MAX_ERRORS {
            self.lapses.push(lapse);
        }
    }

    fn line(&mut self, number: usize, line: &str) {
        if line.contains('\r') {
            return self.error(number, PolicyFault::BareCr);
        }
        let line = line.trim_end_matches([' ', '\t']);
        if line.is_empty() {
            return self.lapse(Lapse::EmptyLine(number));
        }
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.len() <= 32
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_name(name)) else {
            return self.error(number, PolicyFault::Field(line.to_owned()));
        };
        let value = value.trim_start_matches([' ', '\t']);
        if value.is_empty() || value.chars().any(char::is_control) {
            self.note_seen(name);
            return self.error(number, PolicyFault::Value(name.to_owned()));
        }
        let is_repeated = name != "mx" && self.seen.contains(&name);
        self.note_seen(name);
        match name {
            _ if is_repeated => self.lapse(Lapse::Repeated { line: number, field: name.to_owned() }),
            "version" if value == "STSv1" => self.version = true,
            "version" => self.error(number, PolicyFault::Version(value.to_owned())),
            "mode" => match value {
                "enforce" => self.mode = Some(Mode::Enforce),
                "testing" => self.mode = Some(Mode::Testing),
                "none" => self.mode = Some(Mode::None),
                _ => self.error(number, PolicyFault::Mode(value.to_owned())),
            },
            "max_age" => {
                let is_number = value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit());
                match value.parse::<u64>().ok().filter(|age| is_number && *age <= MAX_AGE) {
                    Some(age) => self.max_age = Some(age),
                    None => self.error(number, PolicyFault::MaxAge(value.to_owned())),
                }
            }
            "mx" => match MxPattern::parse(value) {
                Some(_) if self.mx.len() >= MAX_PATTERNS => self.error(number, PolicyFault::ManyMx),
                Some(pattern) => self.mx.push(pattern),
                None => self.error(number, PolicyFault::Mx(value.to_owned())),
            },
            // Unknown fields are for later versions (RFC 8461, 3.2).
            _ => {}
        }
    }

    fn note_seen(&mut self, name: &str) {
        let known = ["version", "mode", "max_age", "mx"].into_iter().find(|known| *known == name);
        self.seen.extend(known);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// RFC 8461, 3.2.
    const EXAMPLE: &str =
        "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n";

    fn errors(text: &str) -> Vec<String> {
        Policy::parse(text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case(EXAMPLE.to_owned())]
    #[case(EXAMPLE.replace('\n', "\r\n"))]
    #[case(EXAMPLE.trim_end().to_owned())]
    #[case(EXAMPLE.replace(": ", ":\t "))]
    #[case(EXAMPLE.replace("mode", "x-later: thing and more\nmode"))]
    #[case(EXAMPLE.replace('\n', " \n"))]
    fn the_example_of_the_rfc_is_read_in_all_its_forms(#[case] text: String) {
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age, policy.mx.len()), (Mode::Enforce, 604_800, 3));
        assert_eq!(policy.lapses, []);
        let allows = |name: &str| policy.allows(&Name::parse(name).unwrap());
        assert!(allows("mail.example.com") && allows("MX.example.net"));
        assert!(!allows("example.net") && !allows("a.b.example.net") && !allows("mx.example.com"));
    }

    #[test]
    fn what_is_repeated_is_ignored_and_told() {
        let policy = Policy::parse(format!("{EXAMPLE}\nmode: none\nmax_age: x\n").as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        let told: Vec<_> = policy.lapses.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["line 7 is empty", "line 8 repeats `mode`, and is ignored", "line 9 repeats `max_age`, and is ignored"]
        );
    }

    #[test]
    fn no_mx_is_needed_where_there_is_no_policy_to_enforce() {
        assert_eq!(Policy::parse(b"version: STSv1\nmode: none\nmax_age: 86400").unwrap().mode, Mode::None);
        assert_eq!(errors("version: STSv1\nmode: testing\nmax_age: 86400"), ["there is no `mx`"]);
    }

    #[rstest]
    #[case("", &["it is empty"])]
    #[case("\r\n\n", &["it is empty"])]
    #[case("<!DOCTYPE html><html>", &["this is a web page and no policy"])]
    #[case("\u{feff}version: STSv1\nmode: none\nmax_age: 1", &["line 1: it begins with a byte order mark"])]
    #[case("version: STSv1\rmode: none\rmax_age: 1\r",
        &["line 1: a CR without a LF does not end a line", "there is no `version`", "there is no `mode`", "there is no `max_age`", "there is no `mx`"])]
    #[case("version: STSv2\nmode: none\nmax_age: 1", &["line 1: `STSv2` is no version; expected `STSv1`"])]
    #[case("version: STSv1\nmode: report\nmx: a.b\nmax_age: 1",
        &["line 2: `report` is no mode; expected `enforce`, `testing` or `none`"])]
    #[case("version: STSv1\nmode: enforce\nnmx: a.b\nmax_age: 1", &["there is no `mx`"])]
    #[case("version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 31557601",
        &["line 4: `31557601` is no max_age: up to 10 digits, at most 31557600"])]
    #[case("version: STSv1\nmode: enforce\nmx: a.b", &["there is no `max_age`"])]
    #[case("version: STSv1\nmode: enforce\nmx: .a.b\nmx: a.b.\nmx: *\nmx: bücher.test\nmx: a.*.b\nmx: a_b.c\nmax_age: 1",
        &["line 3: `.a.b` is no host name, and no `*.` before one", "line 4: `a.b.` is no host name, and no `*.` before one",
          "line 5: `*` is no host name, and no `*.` before one", "line 6: `bücher.test` is no host name, and no `*.` before one",
          "line 7: `a.*.b` is no host name, and no `*.` before one", "line 8: `a_b.c` is no host name, and no `*.` before one"])]
    #[case("version: STSv1\nmode none\nmax_age: +1", &["line 2: `mode none` is not of the form `name: value`",
        "line 3: `+1` is no max_age: up to 10 digits, at most 31557600", "there is no `mode`", "there is no `mx`"])]
    #[case("version : STSv1\nmode: none\nmax_age: 1", &["line 1: `version : STSv1` is not of the form `name: value`", "there is no `version`"])]
    #[case("version: STSv1\nmode:\nmx: a.b\nmax_age: 1", &["line 2: the value of `mode` is empty or holds what is not printable"])]
    fn mistakes_are_told_with_their_line(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(errors(text), expected);
    }

    #[test]
    fn what_is_long_or_odd_is_bounded() {
        let long = format!("{EXAMPLE}{}", "x: y\n".repeat(20_000));
        assert_eq!(errors(&long), ["it has more than 65536 bytes"]);
        assert_eq!(errors(&"?\n".repeat(5000)).len(), MAX_ERRORS);
        let latin = Policy::parse(b"version: STSv1\nmode: \xe9\n").unwrap_err();
        assert_eq!(latin, [PolicyError { line: Some(2), fault: PolicyFault::NotUtf8 }]);
        assert_eq!(errors(&"mx: a.b\n".repeat(3000)).first().unwrap(), "line 1001: it has more than 1000 lines `mx`");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_with_a_reason(bytes: Vec<u8>, text in "((version|mode|mx|max_age|x)(: ?|:|)(STSv1|none|[*.a-z0-9]{0,9})(\r?\n|\r)){0,8}") {
            for input in [&bytes[..], text.as_bytes()] {
                match Policy::parse(input) {
                    Ok(policy) => prop_assert!(policy.max_age <= MAX_AGE && (policy.mode == Mode::None || !policy.mx.is_empty())),
                    Err(errors) => prop_assert!(!errors.is_empty()),
                }
            }
        }
    }
}
