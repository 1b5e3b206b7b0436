//! The reply to EHLO: the name that the server gives itself, and its keywords.

use serde::{Deserialize, Serialize};

use super::Reply;
use crate::wire::WireText;

/// A positive reply to EHLO, RFC 5321, 4.1.1.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ehlo {
    /// The first word of the first line: the name that the server gives itself.
    pub domain: WireText,
    /// One for each line after the first, in the order of the reply.
    pub keywords: Vec<Keyword>,
}

/// One line of the reply: an EHLO keyword and its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keyword {
    /// As it was sent; compare with [`Keyword::is`].
    pub name: WireText,
    /// The words after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<WireText>,
}

impl Ehlo {
    /// Reads the lines of a positive reply.
    pub fn from_reply(reply: &Reply) -> Self {
        Self {
            domain: reply.lines.first().and_then(|line| line.words().next()).unwrap_or_default(),
            keywords: reply.lines.iter().skip(1).map(Keyword::from_line).collect(),
        }
    }

    /// Whether the server offers this service extension. Exactly this keyword, in any
    /// case (RFC 5321, 4.1.1.1): `X-ANONYMOUSTLS` and `X-NOSTARTTLS` are not `STARTTLS`.
    pub fn offers(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|k| k.is(keyword))
    }

    /// The keyword that goes on with bytes that no keyword has: some clients take it for this service extension, some do not.
    pub fn nearly_offers(&self, keyword: &str) -> Option<&Keyword> {
        let is_near = |name: &str| {
            let (start, rest) = name.split_at_checked(keyword.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(keyword) && rest.starts_with(|next: char| !next.is_ascii_alphanumeric() && next != '-')
        };
        self.keywords.iter().find(|known| is_near(known.name.as_str()))
    }
}

impl Keyword {
    fn from_line(line: &WireText) -> Self {
        let mut words = line.words();
        Self { name: words.next().unwrap_or_default(), parameters: words.collect() }
    }

    /// Whether this is `keyword`, in any case.
    pub fn is(&self, keyword: &str) -> bool {
        self.name.as_str().eq_ignore_ascii_case(keyword)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn ehlo(lines: &[&str]) -> Ehlo {
        Ehlo::from_reply(&Reply { code: 250, lines: lines.iter().map(|l| WireText::from(*l)).collect(), bare_lf: false })
    }

    #[rstest]
    #[case(&["mx", "STARTTLS"], true)]
    #[case(&["mx", "starttls"], true)]
    #[case(&["mx", "PIPELINING", "StartTLS "], true)]
    #[case(&["mx", "STARTTLS REQUIRED"], true)]
    #[case(&["mx", "STARTTLS\t"], true)]
    #[case(&["mx", "\tSTARTTLS\tREQUIRED"], true)]
    #[case(&["mx", "STARTTLS\\x09"], false)]
    #[case(&["mx", "STARTTLS\0"], false)]
    #[case(&["mx", "X-ANONYMOUSTLS"], false)]
    #[case(&["mx", "X-NOSTARTTLS"], false)]
    #[case(&["mx", "STARTTLSX"], false)]
    #[case(&["mx", "XXXXXXXA"], false)]
    #[case(&["STARTTLS"], false)]
    #[case(&[], false)]
    fn starttls_is_exactly_that_keyword(#[case] lines: &[&str], #[case] offered: bool) {
        assert_eq!(ehlo(lines).offers("STARTTLS"), offered);
    }

    #[rstest]
    #[case("STARTTLS\0", true)]
    #[case("starttls=yes", true)]
    #[case("STARTTLS", false)]
    #[case("STARTTLS-2", false)]
    #[case("STARTTLSX", false)]
    #[case("NOSTARTTLS\0", false)]
    fn a_keyword_with_odd_bytes_behind_it_is_near(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(ehlo(&["mx", line]).nearly_offers("STARTTLS").is_some(), expected);
    }

    #[test]
    fn the_first_line_names_the_server() {
        let ehlo = ehlo(&["mx.example.test Hello [127.0.0.1]", "SIZE 10240000", "AUTH LOGIN PLAIN"]);
        assert_eq!(ehlo.domain.as_str(), "mx.example.test");
        assert_eq!(ehlo.keywords[1].parameters.len(), 2);
    }

    proptest! {
        #[test]
        fn any_lines_are_read(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let reply = Reply { code: 250, lines: lines.iter().map(|l| WireText::from_bytes(l)).collect(), bare_lf: false };
            prop_assert_eq!(Ehlo::from_reply(&reply).keywords.len(), lines.len().saturating_sub(1));
        }
    }
}
