//! One Received line, as the servers of the field write it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::WireText;

/// What a line says of the connection, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The message did not come over a network: it was made, filtered or handed on within one host.
    Local,
    /// It came inside TLS.
    Tls,
    /// The line does not say; some servers never do.
    Silent,
    /// It came in the clear: the protocol is one that would have another name inside TLS (RFC 3848).
    Clear,
}

impl Protection {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "within the host",
            Self::Tls => "TLS",
            Self::Silent => "does not say",
            Self::Clear => "in the clear",
        }
    }
}

/// What one line says. Texts are escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Received {
    /// The name that the client gave.
    pub from: Option<WireText>,
    /// What the server itself knows of the client: its address and its name in DNS.
    pub known_as: Option<WireText>,
    /// The server that wrote the line.
    pub by: Option<WireText>,
    /// The protocol: `ESMTPS` (RFC 3848).
    pub with: Option<WireText>,
    /// Whether it was inside TLS.
    pub protection: Protection,
    /// The version of TLS, where it is stated.
    pub version: Option<String>,
    /// The suite, where it is stated, as the server calls it.
    pub suite: Option<WireText>,
    /// When, as the server has it.
    pub date: Option<WireText>,
}

/// How much of one value is kept, in bytes of the escaped text.
const MAX_VALUE: usize = 255;
/// How deep comments may nest.
const MAX_DEPTH: usize = 16;

/// A word, or a comment with what stands in it.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Comment(&'a str),
}

impl Received {
    /// Reads what stands behind the colon.
    pub(super) fn read(value: &WireText) -> Self {
        let text = value.as_str();
        // The date is behind the last semicolon outside of comments; a comment may hold one, too.
        let (stamp, date) = match text.rfind(';') {
            Some(at) if !text[at..].contains(')') || text[at..].contains('(') => (&text[..at], Some(&text[at + 1..])),
            _ => (text, None),
        };
        let tokens = tokens(stamp);
        let mut line = Self {
            from: None,
            known_as: None,
            by: None,
            with: None,
            protection: Protection::Silent,
            version: None,
            suite: None,
            date: date.map(str::trim).filter(|date| !date.is_empty()).map(kept),
        };
        let mut place = 0;
        while let Some(token) = tokens.get(place) {
            let next = |step: usize| match tokens.get(place + step) {
                Some(Token::Word(word)) => Some(*word),
                _ => None,
            };
            if let Token::Word(word) = token {
                match word.to_ascii_lowercase().as_str() {
                    "from" if line.from.is_none() && line.by.is_none() => {
                        line.from = next(1).map(kept);
                        if let Some(Token::Comment(comment)) = tokens.get(place + 2) {
                            line.known_as = Some(kept(comment));
                        }
                    }
                    "by" if line.by.is_none() => line.by = next(1).map(kept),
                    "with" if line.with.is_none() => line.with = Some(kept(&protocol(&tokens[place + 1..]))),
                    "cipher" | "tls" => line.suite = line.suite.take().or_else(|| next(1).map(kept)),
                    _ => {}
                }
            }
            place += 1;
        }
        for token in &tokens {
            if let Token::Comment(comment) = token {
                line.read_comment(comment);
            }
        }
        line.protection = line.protection();
        line
    }

    /// What is said of TLS in a comment: `using TLSv1.3 with cipher X (256/256 bits)`, `version=TLSv1.3 cipher=X bits=256`,
    /// `TLSv1.3:X:256:NO`, `TLS1.3`.
    fn read_comment(&mut self, comment: &str) {
        let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')' | '=');
        let words: Vec<&str> = comment.split(is_separator).filter(|word| !word.is_empty()).take(64).collect();
        let Some(at) = words.iter().position(|word| version(word).is_some()) else { return };
        if self.version.is_none() {
            self.version = version(words[at]);
        }
        if self.suite.is_none() {
            let named = words.iter().position(|word| *word == "cipher").and_then(|at| words.get(at + 1));
            let suite = named.or_else(|| words.get(at + 1).filter(|word| is_suite(word)));
            self.suite = suite.map(|suite| kept(suite));
        }
    }

    fn protection(&self) -> Protection {
        if self.version.is_some() {
            return Protection::Tls;
        }
        let Some(with) = &self.with else { return Protection::Silent };
        let with = with.as_str().to_ascii_uppercase();
        let first = with.split(' ').next().unwrap_or_default();
        match first {
            // RFC 3848 and RFC 6531, 4.3: S for TLS, A for authentication.
            "ESMTPS" | "ESMTPSA" | "LMTPS" | "LMTPSA" | "UTF8SMTPS" | "UTF8SMTPSA" | "UTF8LMTPS" | "UTF8LMTPSA" | "SMTPS"
            | "SMTPSA" | "HTTPS" | "ASMTPS" => Protection::Tls,
            "ESMTP" | "ESMTPA" | "SMTP" | "SMTPA" | "UTF8SMTP" | "UTF8SMTPA" | "ASMTP" => Protection::Clear,
            // Within one host, most of all.
            "LOCAL" | "LMTP" | "LMTPA" | "UTF8LMTP" | "SPAMD" | "BSMTP" | "UUCP" | "LOCAL-BSMTP" | "MAPI" => Protection::Local,
            _ => Protection::Silent,
        }
    }

    /// Whether the message came from the host that wrote the line before, by any of the names that are known.
    pub(super) fn is_from(&self, before: Option<&WireText>) -> bool {
        let Some(before) = before.map(|name| bare(name.as_str())) else { return false };
        if before.is_empty() {
            return false;
        }
        let same_host = self.protection == Protection::Local
            || self.from.is_none() && self.by.as_ref().is_some_and(|by| bare(by.as_str()) == before);
        let known = self.known_as.as_ref().map(|known| known.as_str().to_ascii_lowercase()).unwrap_or_default();
        let is_known = known.split(|c: char| !(c.is_ascii_alphanumeric() || "-._:".contains(c))).any(|word| word == before);
        same_host || is_known || self.from.as_ref().is_some_and(|from| bare(from.as_str()) == before)
    }
}

/// `ESMTPS`, or the words of a product: `Microsoft SMTP Server`.
fn protocol(tokens: &[Token]) -> String {
    let words = tokens.iter().map_while(|token| match token {
        Token::Word(word) if !["id", "for", "via", "by", "tls"].contains(&word.to_ascii_lowercase().as_str()) => Some(*word),
        _ => None,
    });
    words.take(4).collect::<Vec<_>>().join(" ")
}

/// `TLSv1.3`, however it is written; none where a word is no version.
fn version(word: &str) -> Option<String> {
    let word = word.to_ascii_uppercase().replace('_', ".");
    let number = word.strip_prefix("TLSV").or_else(|| word.strip_prefix("TLS")).or_else(|| word.strip_prefix("SSLV"))?;
    let is_ssl = word.starts_with("SSL");
    let known = match (is_ssl, number) {
        (false, "1.3" | "1.2" | "1.1") => format!("TLSv{number}"),
        // OpenSSL calls it by its first digit.
        (false, "1" | "1.0") => "TLSv1.0".to_owned(),
        (true, "3" | "2") => format!("SSLv{number}"),
        _ => return None,
    };
    Some(known)
}

/// Whether a word is the name of a suite and not that of a key size.
fn is_suite(word: &str) -> bool {
    word.len() > 5 && word.contains(['-', '_']) && !word.chars().all(|c| c.is_ascii_digit() || c == '/')
}

fn bare(name: &str) -> String {
    name.trim_matches(['[', ']', '.', ',']).to_ascii_lowercase()
}

fn kept(text: &str) -> WireText {
    let mut end = text.len().min(MAX_VALUE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // It is escaped already.
    WireText::from(text[..end].to_owned())
}

/// Words and comments (RFC 5322, 3.2.2); what is not closed ends with the text.
fn tokens(text: &str) -> Vec<Token<'_>> {
    const MOST: usize = 256;
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && tokens.len() < MOST {
        if let Some(inside) = rest.strip_prefix('(') {
            let mut depth = 1usize;
            let mut end = inside.len();
            let mut after = inside.len();
            for (at, c) in inside.char_indices() {
                match c {
                    '(' => depth = (depth + 1).min(MAX_DEPTH),
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    (end, after) = (at, at + 1);
                    break;
                }
            }
            tokens.push(Token::Comment(&inside[..end]));
            rest = inside[after..].trim_start();
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..end]));
            rest = rest[end..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::postfix(
        "from x (unknown [10.0.0.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256) (No client certificate requested) by h (Postfix) with ESMTPS id 1; Sat",
        Protection::Tls,
        Some("TLSv1.3"),
        Some("TLS_AES_256_GCM_SHA384")
    )]
    #[case::postfix_tls10(
        "from x (unknown [10.0.0.1]) (using TLSv1 with cipher AES256-SHA (256/256 bits)) by h (Postfix) with ESMTPS id 1",
        Protection::Tls,
        Some("TLSv1.0"),
        Some("AES256-SHA")
    )]
    #[case::postfix_clear("from x (unknown [10.0.0.1]) by h (Postfix) with ESMTP id 1; Sat", Protection::Clear, None, None)]
    #[case::exim(
        "from [10.0.0.1] (helo=x) by h with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.96) (envelope-from <a@b>) id 1",
        Protection::Tls,
        Some("TLSv1.3"),
        Some("TLS_AES_256_GCM_SHA384")
    )]
    #[case::exim_old(
        "from x ([10.0.0.1]) by h with esmtps (TLS1.2:ECDHE_RSA_AES_256_GCM_SHA384:256) (Exim 4.92) id 1",
        Protection::Tls,
        Some("TLSv1.2"),
        Some("ECDHE_RSA_AES_256_GCM_SHA384")
    )]
    #[case::sendmail(
        "from x ([10.0.0.1]) by h (8.17.1/8.17.1) with ESMTPS id 1 (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NOT)",
        Protection::Tls,
        Some("TLSv1.3"),
        Some("TLS_AES_256_GCM_SHA384")
    )]
    #[case::google(
        "from x (x. [10.0.0.1]) by mx.google.com with ESMTPS id 1 for <a@b> (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256); Sat",
        Protection::Tls,
        Some("TLSv1.3"),
        Some("TLS_AES_256_GCM_SHA384")
    )]
    #[case::microsoft(
        "from x (10.0.0.1) by y (10.0.0.2) with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20",
        Protection::Tls,
        Some("TLSv1.2"),
        Some("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
    )]
    #[case::microsoft_without(
        "from x (10.0.0.1) by y (10.0.0.2) with Microsoft SMTP Server id 15.1",
        Protection::Silent,
        None,
        None
    )]
    #[case::opensmtpd(
        "from x (h [10.0.0.1]) by mx (OpenSMTPD) with ESMTPS id a0 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO) for <a@b>",
        Protection::Tls,
        Some("TLSv1.3"),
        Some("TLS_AES_256_GCM_SHA384")
    )]
    #[case::qmail("(qmail 123 invoked by uid 89); 1 Mar 2025", Protection::Silent, None, None)]
    #[case::local("from root by h with local (Exim 4.96) id 1", Protection::Local, None, None)]
    #[case::lmtp("from h ([127.0.0.1]) by h with LMTP id 1", Protection::Local, None, None)]
    #[case::forged_word("from TLSv1.3 by ESMTPS with SMTP id 1", Protection::Clear, None, None)]
    #[case::unclosed("from x (using TLSv1.2 with cipher A-B", Protection::Tls, Some("TLSv1.2"), None)]
    #[case::nothing("", Protection::Silent, None, None)]
    fn lines_of_the_field(
        #[case] line: &str,
        #[case] protection: Protection,
        #[case] version: Option<&str>,
        #[case] suite: Option<&str>,
    ) {
        let read = Received::read(&WireText::from(line));
        assert_eq!(read.protection, protection, "{read:?}");
        assert_eq!(read.version.as_deref(), version, "{read:?}");
        if let Some(suite) = suite {
            assert_eq!(read.suite.as_ref().map(WireText::as_str), Some(suite), "{read:?}");
        }
    }

    #[rstest]
    #[case("from mx.b.test (mx.b.test [192.0.2.2]) by c with ESMTPS", "mx.b.test", true)]
    #[case("from other (mx.b.test [192.0.2.2]) by c with ESMTPS", "mx.b.test", true)]
    #[case("from other (unknown [192.0.2.2]) by c with ESMTPS", "mx.b.test", false)]
    #[case("by mx.b.test (Postfix, from userid 0) id 1", "mx.b.test", true)]
    #[case("from x (amx.b.test) by c with ESMTPS", "mx.b.test", false)]
    fn lines_join(#[case] line: &str, #[case] before: &str, #[case] expected: bool) {
        assert_eq!(Received::read(&WireText::from(line)).is_from(Some(&WireText::from(before))), expected);
    }

    #[test]
    fn what_was_escaped_is_not_escaped_again() {
        let read = Received::read(&WireText::from_bytes(b"from \x1b[2J by \xff with ESMTPS"));
        assert_eq!(read.from.unwrap().as_str(), "\\x1b[2J");
        assert_eq!(read.by.unwrap().as_str(), "\\xff");
    }
}
