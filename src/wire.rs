//! Text that came from the wire, made safe to show.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Bytes that a peer sent, held as printable text.
///
/// Everything that could act on a terminal, a page or a log (control characters,
/// escape sequences, bidirectional overrides, invalid UTF-8) is replaced by a
/// visible `\x1b` or `\u{202e}` when the value is made, so no consumer can forget
/// to. A backslash is doubled, so two different inputs never look the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "String", into = "String")]
pub struct WireText(String);

impl WireText {
    /// Escapes what a peer sent.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut out = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            escape_into(&mut out, chunk.valid());
            for byte in chunk.invalid() {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
        Self(out)
    }

    /// The escaped, printable form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words between spaces and tabs, escaped like the text itself.
    pub fn words(&self) -> impl Iterator<Item = Self> + use<'_> {
        const TAB: &str = "\\x09";
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(' ');
            while let Some(after) = rest.strip_prefix(TAB) {
                rest = after.trim_start_matches(' ');
            }
            let mut end = 0;
            while let Some(c) = rest[end..].chars().next() {
                if c == ' ' || rest[end..].starts_with(TAB) {
                    break;
                }
                // An escaped backslash is one character: what follows it begins anew.
                end += if rest[end..].starts_with("\\\\") { 2 } else { c.len_utf8() };
            }
            let (word, after) = rest.split_at(end);
            rest = after;
            (!word.is_empty()).then(|| Self(word.to_owned()))
        })
    }
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            '\0'..='\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            // `escape_debug` leaves letters of every script alone and escapes what is not printable,
            // format characters and bidirectional overrides included.
            _ => out.extend(c.escape_debug()),
        }
    }
}

impl From<&str> for WireText {
    fn from(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }
}

/// Reads an already escaped text back, from a report for example. What is printable
/// stays as it is; what is not is escaped, so a forged report cannot smuggle it in.
impl From<String> for WireText {
    fn from(text: String) -> Self {
        if text.chars().all(|c| matches!(c, ' '..='~')) {
            return Self(text);
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c == '\\' {
                out.push(c);
            } else {
                escape_into(&mut out, c.encode_utf8(&mut [0; 4]));
            }
        }
        Self(out)
    }
}

impl From<WireText> for String {
    fn from(text: WireText) -> Self {
        text.0
    }
}

impl fmt::Display for WireText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for WireText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest::rstest]
    #[case(b"a b", &["a", "b"])]
    #[case(b"\t a\t\tb ", &["a", "b"])]
    #[case(b"a\\x09b c", &["a\\\\x09b", "c"])]
    #[case(b"a\\\tb", &["a\\\\", "b"])]
    #[case(b" \t", &[])]
    fn words_are_between_spaces_and_tabs(#[case] wire: &[u8], #[case] expected: &[&str]) {
        let text = WireText::from_bytes(wire);
        assert_eq!(text.words().map(|word| word.as_str().to_owned()).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case(b"220 mx ESMTP", "220 mx ESMTP")]
    #[case(b"\x1b[31mred\x07", r"\x1b[31mred\x07")]
    #[case(b"a\xffb", r"a\xffb")]
    #[case("\u{202e}evil".as_bytes(), r"\u{202e}evil")]
    #[case("Müller".as_bytes(), "Müller")]
    #[case(b"back\\slash", r"back\\slash")]
    fn what_could_act_is_made_visible(#[case] bytes: &[u8], #[case] shown: &str) {
        assert_eq!(WireText::from_bytes(bytes).as_str(), shown);
    }

    proptest! {
        #[test]
        fn nothing_unprintable_survives(bytes: Vec<u8>) {
            let text = WireText::from_bytes(&bytes);
            let is_printable = text.as_str().chars().all(|c| !c.is_control() && c != '\u{202e}');
            prop_assert!(is_printable);
            prop_assert_eq!(WireText::from(text.as_str().to_owned()), text);
        }
    }
}
