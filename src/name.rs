//! Domain names as mail and certificates use them: parsing, comparison, and
//! matching a reference identifier against presented ones.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fully qualified domain name in A-label form: lower case, no trailing dot.
///
/// U-labels are converted when parsed, so two names that mean the same host are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left after the trailing dot is removed.
    #[error("a name cannot be empty")]
    Empty,
    /// RFC 1035, 2.3.4: 253 characters in text form.
    #[error("a name has at most 253 characters, this one has {0}")]
    TooLong(usize),
    /// RFC 1035, 2.3.4: labels have 1 to 63 characters.
    #[error("the label `{0}` is empty or longer than 63 characters")]
    Label(String),
    /// The name holds a character that no host name has.
    #[error("the character {0:?} cannot stand in a host name")]
    Character(char),
    /// The U-label form cannot be converted (UTS 46).
    #[error("the internationalised name cannot be converted to A-labels")]
    Idna,
}

impl Name {
    /// Parses a host name; accepts U-labels, any case and one trailing dot.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let ascii =
            if text.is_ascii() { text.to_ascii_lowercase() } else { idna::domain_to_ascii(text).map_err(|_| NameError::Idna)? };
        if ascii.len() > 253 {
            return Err(NameError::TooLong(ascii.len()));
        }
        for label in ascii.split('.') {
            // Underscores are no host names (RFC 952) but real servers use them.
            if let Some(bad) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_".contains(*c))) {
                return Err(NameError::Character(bad));
            }
            if label.is_empty() || label.len() > 63 {
                return Err(NameError::Label(label.to_owned()));
            }
        }
        Ok(Self(ascii))
    }

    /// The A-label text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name has more than one label; `EX01` has not.
    pub fn is_qualified(&self) -> bool {
        self.0.contains('.')
    }

    /// Whether it is that domain, or below it.
    pub fn is_within(&self, domain: &Self) -> bool {
        self == domain || self.0.strip_suffix(&domain.0).is_some_and(|rest| rest.ends_with('.'))
    }

    /// Whether `presented`, a DNS-ID of a certificate, covers this reference identifier.
    ///
    /// It is taken as it stands: A-labels in any case, no final dot, nothing converted (RFC 9525, 6.3).
    /// Only the whole left-most label may be a wildcard, and it stands for exactly one label.
    pub fn is_matched_by(&self, presented: &str) -> bool {
        match presented.strip_prefix("*.") {
            None => presented.eq_ignore_ascii_case(&self.0),
            Some(parent) => self.0.split_once('.').is_some_and(|(_, own)| parent.eq_ignore_ascii_case(own)),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A host name.", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mx.example.test", "mx.example.test", true)]
    #[case("mx.example.test", "MX.Example.TEST", true)]
    #[case("mx.example.test", "mx.example.test.", false)]
    #[case("mx.example.test", "*.example.test.", false)]
    #[case("mx.example.test", "*.example.test", true)]
    #[case("mx.example.test", "*.test", false)]
    #[case("a.mx.example.test", "*.example.test", false)]
    #[case("example.test", "*.example.test", false)]
    #[case("mx1.example.test", "mx*.example.test", false)]
    #[case("mx.example.test", "www.example.test", false)]
    #[case("mx.example.test", "*", false)]
    #[case("mx", "*.mx", false)]
    #[case("xn--bcher-kva.test", "XN--bcher-kva.test", true)]
    #[case("bücher.test", "xn--bcher-kva.test", true)]
    #[case("xn--bcher-kva.test", "bücher.test", false)]
    #[case("mx.test", "*.test", true)]
    #[case("mx.example.test", "mx.example.test\0.evil.test", false)]
    fn wildcards_stand_for_one_whole_label(#[case] reference: &str, #[case] presented: &str, #[case] expected: bool) {
        assert_eq!(Name::parse(reference).unwrap().is_matched_by(presented), expected);
    }

    #[rstest]
    #[case("", NameError::Empty)]
    #[case(".", NameError::Empty)]
    #[case("a..b", NameError::Label(String::new()))]
    #[case("a b", NameError::Character(' '))]
    #[case("a\u{1b}[31m", NameError::Character('\u{1b}'))]
    fn what_is_no_name_says_why(#[case] text: &str, #[case] expected: NameError) {
        assert_eq!(Name::parse(text), Err(expected));
    }
}
