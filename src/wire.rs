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

/// The last place up to `end` where an escaped text can be cut: none within a character, and none within an escape, which
/// would read as another.
pub fn whole(text: &str, end: usize) -> usize {
    let mut at = 0;
    while at < text.len() {
        let next = at + first_unit(&text[at..]);
        if next > end {
            break;
        }
        at = next;
    }
    at
}

/// The bytes of the first character, or of the escape that stands for one.
fn first_unit(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let Some(escape) = text.strip_prefix('\\') else { return first };
    let rest = match escape.as_bytes() {
        [b'x', one, two, ..] if one.is_ascii_hexdigit() && two.is_ascii_hexdigit() => 3,
        // Six digits at most.
        [b'u', b'{', digits @ ..] => digits.iter().take(7).position(|byte| *byte == b'}').map_or(1, |end| end + 3),
        [] => 0,
        _ => escape.chars().next().map_or(0, char::len_utf8),
    };
    first + rest
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            '\0'..='\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_blank(c) => out.extend(c.escape_unicode()),
            // `escape_debug` leaves letters of every script alone and escapes what is not printable,
            // format characters and bidirectional overrides included.
            _ => out.extend(c.escape_debug()),
        }
    }
}

/// Letters and signs that show nothing: fillers of Hangul, blank patterns, and what fonts need not draw (UAX 44,
/// Default_Ignorable_Code_Point).
fn is_blank(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
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
    #[case(r"ab\x00cd", 2, 2)]
    #[case(r"ab\x00cd", 5, 2)]
    #[case(r"ab\x00cd", 6, 6)]
    #[case(r"\u{9b}a", 5, 0)]
    #[case(r"\u{9b}a", 6, 6)]
    #[case(r"\\x00", 1, 0)]
    #[case(r"\\x00", 3, 3)]
    #[case("é", 1, 0)]
    #[case(r"\u{123456789}", 2, 2)]
    #[case("abc", 9, 3)]
    #[case(r"a\", 2, 2)]
    fn escapes_are_not_cut(#[case] text: &str, #[case] end: usize, #[case] expected: usize) {
        assert_eq!(whole(text, end), expected);
    }

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
    #[case("\u{3164}\u{2800}\u{115f}\u{ffa0}\u{1d159}".as_bytes(), r"\u{3164}\u{2800}\u{115f}\u{ffa0}\u{1d159}")]
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
