//! Replies: reading them from a stream of bytes, within bounds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::WireText;

/// One complete reply, RFC 5321, 4.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// The text of each line, without code, separator and line end.
    pub lines: Vec<WireText>,
    /// Whether a line ended in LF alone, which RFC 5321, 2.3.8 forbids.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare_lf: bool,
}

impl Reply {
    /// Whether the code is 2xx.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the code is 4xx: the peer asks to try again later.
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// What is said by a server that closes, whatever it was asked (RFC 5321, 3.8): a 421 at the head of some bytes, or the
    /// first line of one.
    pub fn closing(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"421") {
            return None;
        }
        let mut reader = ReplyReader::default();
        if let Some(reply) = bytes.iter().map_while(|byte| reader.push(*byte).ok()).flatten().next() {
            return Some(reply);
        }
        let text = match &bytes[3..] {
            [] => &[][..],
            [b' ' | b'-', text @ ..] => text.split(|byte| *byte == b'\n').next().unwrap_or_default(),
            _ => return None,
        };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let text = &text[..text.len().min(ReplyReader::MAX_LINE)];
        Some(Self { code: 421, lines: vec![WireText::from_bytes(text)], bare_lf: false })
    }

    /// Whether a refusal of a command says that the command itself is not known (RFC 5321, 4.2.4): in clear words, or with
    /// nothing but the code. What else 500 and 502 are said of (names, networks, errors) is no word about the command.
    pub fn is_about_the_command(&self) -> bool {
        matches!(self.code, 500 | 502)
            && !self.is_about_the_name()
            && match self.calls_the_command_unknown() {
                // That the address is written down says nothing of it.
                true => !self.is_about_a_policy(),
                false => self.is_bare() && !self.is_about_the_client(),
            }
    }

    /// Whether there is no text besides an enhanced status code.
    fn is_bare(&self) -> bool {
        match self.lines.as_slice() {
            [line] => line.as_str().trim().is_empty() || self.enhanced_code().is_some() && !line.as_str().trim().contains(' '),
            _ => false,
        }
    }

    fn calls_the_command_unknown(&self) -> bool {
        const COMMAND: [&str; 5] = ["command", "commands", "verb", "ehlo", "keyword"];
        let text = self.to_string().to_ascii_lowercase();
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let is = |word: &str, any: &[&str]| any.iter().any(|stem| word.starts_with(stem));
        words.iter().enumerate().any(|(at, word)| {
            let is_denied = at > 0 && words[at - 1] == "not";
            // Said of commands only.
            if is(word, &["unrecogni", "unimplemented"]) || is_denied && is(word, &["recogni", "implemented"]) {
                return true;
            }
            let is_unknown =
                is(word, &["unknown", "unsupported", "invalid"]) || is_denied && is(word, &["supported", "known", "understood"]);
            // "unknown SMTP command", "EHLO is not supported".
            let beside = &words[at.saturating_sub(3)..words.len().min(at + 3)];
            is_unknown && beside.iter().any(|word| COMMAND.contains(word))
        })
    }

    /// Whether a refusal is about the name that was given in EHLO.
    pub fn is_about_the_name(&self) -> bool {
        let is_said_to_helo = self.speaks_of(&["helo", "ehlo"]);
        if self.speaks_of(&["client host"]) && !is_said_to_helo {
            return false;
        }
        self.speaks_of(&[
            "fqdn",
            "fully-qualified",
            "fully qualified",
            "address literal",
            "domain literal",
            "invalid domain",
            "unknown domain",
            "domain name",
            "requires domain",
            "invalid host",
            "unknown host",
            "ehlo host",
            "helo host",
            "helo name",
            "ehlo name",
            "helo argument",
            "ehlo argument",
            "bad helo",
            "bad ehlo",
            "invalid helo",
            "invalid ehlo",
            "helo rejected",
            "ehlo rejected",
            "helo command rejected",
            "ehlo command rejected",
            "host not found",
        ]) || self.code != 555 && self.speaks_of(&["5.5.4"]) // 555 is about parameters (RFC 5321, 4.1.1.11).
    }

    /// Whether a refusal is about who asks: a policy, a list, a limit (X.7.N of RFC 3463).
    pub fn is_about_the_client(&self) -> bool {
        self.is_about_a_policy() || self.speaks_of(&["your network", "your ip", "your host"])
    }

    fn is_about_a_policy(&self) -> bool {
        self.speaks_of(&[
            "5.7.",
            "4.7.",
            "denied",
            "block",
            "too many",
            "limit",
            "reject",
            "listed",
            "policy",
            "reputation",
            "not allowed",
            "not permitted",
            "not welcome",
        ])
    }

    /// Whether a refusal of STARTTLS asks to come back later: the server is busy, or this client has met a limit. 454 is its
    /// code for any passing trouble of TLS (RFC 3207, 4), and that may last: Postfix limits new TLS sessions with it, and
    /// says it where its key cannot be read. Some say with a permanent code that a limit was met.
    pub fn asks_to_come_back(&self) -> bool {
        if self.code < 400 || self.turns_the_client_away() {
            return false;
        }
        if !self.is_transient() {
            return self.speaks_of_a_limit();
        }
        // A fault of TLS that is named is one, whatever is said of later.
        if self.code == 454 && self.names_tls() && !self.counts_connections() && !self.speaks_of(&["busy", "overload"]) {
            return false;
        }
        // "Too many open files" is a fault.
        match self.speaks_of(&["too many"]) {
            true => self.speaks_of(&["session", "connection"]),
            false => self.speaks_of(&["again later", "try later", "too busy", "is busy", "overload"]) || self.speaks_of_a_limit(),
        }
    }

    fn names_tls(&self) -> bool {
        let text = self.to_string().to_ascii_lowercase();
        let is_tls = |word: &str| matches!(word, "tls" | "starttls" | "ssl") || word.starts_with("certificate");
        text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_tls)
    }

    /// Whether it speaks of connections, of sessions or of a rate.
    pub fn counts_connections(&self) -> bool {
        let text = self.to_string().to_ascii_lowercase();
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        self.speaks_of(&["connection", "session"]) || words.any(|word| word == "rate") || self.speaks_of_a_limit()
    }

    /// Whether it says that this client did too much of something: that will be over, whatever the code.
    pub(super) fn speaks_of_a_limit(&self) -> bool {
        let is_too_many = self.speaks_of(&["too many"]) && self.speaks_of(&["session", "connection"]);
        is_too_many || self.speaks_of(&["rate limit", "ratelimit", "rate-limit", "connection limit", "slow down", "throttl"])
    }

    /// Whether it says that the server has no room for mail, and not that the client came too often (4.3.1 of RFC 3463).
    pub fn says_it_is_full(&self) -> bool {
        self.code == 452 || self.enhanced_code().is_some_and(|code| (code.subject, code.detail) == (3, 1))
    }

    /// Whether the server says that it never takes mail, from nobody (RFC 7504, 3). The code alone does not: others say it to
    /// clients that they do not let in, or that broke the rules.
    pub fn takes_no_mail(&self) -> bool {
        const NEVER: [&str; 8] = [
            "not accept mail",
            "not accept email",
            "not accept any mail",
            "not accept e-mail",
            "accepts no mail",
            "accept no mail",
            "no mail accepted",
            "not receive mail",
        ];
        self.code == 521 && self.speaks_of(&NEVER) && !self.turns_the_client_away() && !self.is_about_the_client()
    }

    /// Whether a refusal quotes the command as something wrote it over: all X, as many as the command has letters, or four.
    pub fn quotes_a_mask(&self) -> bool {
        if self.code < 400 {
            return false;
        }
        let text = self.to_string();
        let is_mask = |word: &str| word.len() >= 4 && word.bytes().all(|byte| byte == b'X');
        let bare = |word: &str| is_mask(word.trim_end_matches(['.', ',', ';', ':']));
        let is_quoted = |mark: char| text.split(mark).skip(1).any(|rest| is_mask(first_word(rest)));
        ['"', '\'', '`', '<', '\u{2018}', '\u{201c}'].into_iter().any(is_quoted)
            // Without marks it may be an ornament, unless the command is what the refusal is about.
            || matches!(self.code, 500..=503) && text.split(' ').any(bare)
    }

    /// Whether STARTTLS is refused with it. RFC 3207, 4 knows 501 and 454; of other temporary replies nobody knows whether
    /// they are about TLS. What is said of the client, or of a limit, is not said of TLS.
    pub fn refuses_starttls(&self) -> bool {
        match self.code {
            _ if self.turns_the_client_away() || self.asks_to_come_back() => false,
            454 => true,
            code => !(200..300).contains(&code) && !(400..500).contains(&code),
        }
    }

    pub(super) fn speaks_of(&self, words: &[&str]) -> bool {
        let text = self.to_string().to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// The enhanced status code at the head of the first line (RFC 2034, 4), if there is one.
    pub fn enhanced_code(&self) -> Option<EnhancedCode> {
        let text = self.lines.first()?.as_str();
        EnhancedCode::parse(text.split(' ').next()?).filter(|code| u16::from(code.class) == self.code / 100)
    }
}

/// The letters and digits at the head of a text.
fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// As it stood on the wire: `250-first` / `250 last`, joined by " / ".
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.lines.len().saturating_sub(1);
        for (i, line) in self.lines.iter().enumerate() {
            let separator = if i == last { ' ' } else { '-' };
            let joint = if i == 0 { "" } else { " / " };
            write!(f, "{joint}{}{separator}{line}", self.code)?;
        }
        Ok(())
    }
}

/// An enhanced status code, RFC 3463: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl EnhancedCode {
    fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| -> Option<u16> {
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok())?
        };
        let mut parts = text.split('.');
        let class = number(parts.next()?)?;
        let code = Self { class: u8::try_from(class).ok()?, subject: number(parts.next()?)?, detail: number(parts.next()?)? };
        (parts.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(code)
    }
}

/// Why bytes are not an SMTP reply. The peer is at fault in each case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line does not begin with a reply code and a separator.
    #[error("`{0}` is not an SMTP reply")]
    Syntax(WireText),
    /// The lines of one reply carry different codes (RFC 5321, 4.2.1).
    #[error("the reply mixes the codes {0} and {1}")]
    MixedCodes(u16, u16),
    /// A line is longer than [`ReplyReader::MAX_LINE`] bytes.
    #[error("a reply line is longer than {} bytes", ReplyReader::MAX_LINE)]
    LineTooLong,
    /// The reply is longer than [`ReplyReader::MAX_LINES`] lines or [`ReplyReader::MAX_BYTES`] bytes.
    #[error("the reply has more than {} lines or {} bytes", ReplyReader::MAX_LINES, ReplyReader::MAX_BYTES)]
    TooLong,
}

/// Reads one reply from bytes as they arrive; memory is bounded by its constants.
#[derive(Debug, Default)]
pub struct ReplyReader {
    line: Vec<u8>,
    code: Option<u16>,
    lines: Vec<WireText>,
    bytes: usize,
    bare_lf: bool,
}

impl ReplyReader {
    /// RFC 5321, 4.5.3.1.5 allows 512 bytes; real servers exceed it.
    pub const MAX_LINE: usize = 4096;
    /// Far above what any server has been seen to send.
    pub const MAX_LINES: usize = 1024;
    /// The bound on one reply.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Takes one byte; gives the reply when this byte completes it.
    ///
    /// Taking bytes one at a time leaves what follows the reply with the caller, who
    /// must notice what a server sends before it was asked.
    pub fn push(&mut self, byte: u8) -> Result<Option<Reply>, ReplyError> {
        self.bytes += 1;
        if self.bytes > Self::MAX_BYTES {
            return Err(ReplyError::TooLong);
        }
        if byte != b'\n' {
            self.line.push(byte);
            return if self.line.len() > Self::MAX_LINE { Err(ReplyError::LineTooLong) } else { Ok(None) };
        }
        self.bare_lf |= self.line.last() != Some(&b'\r');
        // Some servers end their lines in CR CR LF, and every client reads over it.
        while self.line.pop_if(|last| *last == b'\r').is_some() {}
        let line = std::mem::take(&mut self.line);
        self.take_line(&line)
    }

    /// Whether nothing has arrived yet.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What has arrived of the unfinished line.
    pub fn partial_line(&self) -> WireText {
        WireText::from_bytes(&self.line)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let syntax = || ReplyError::Syntax(WireText::from_bytes(&line[..line.len().min(200)]));
        // RFC 5321, 4.2: %x32-35 %x30-35 %x30-39. The second digit is not held against servers.
        let (code, rest) = match line {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
                let digit = |byte: &u8| u16::from(byte - b'0');
                (digit(a) * 100 + digit(b) * 10 + digit(c), rest)
            }
            _ => return Err(syntax()),
        };
        let (is_last, text) = match rest {
            [] => (true, rest), // A bare code is a reply without text (RFC 5321, 4.2).
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(syntax()),
        };
        match self.code {
            // postscreen(8) begins a greeting, and ends it with its refusal.
            Some(220) if is_last && code >= 400 => {
                self.lines.clear();
                self.code = Some(code);
            }
            Some(first) if first != code => return Err(ReplyError::MixedCodes(first, code)),
            _ => self.code = Some(code),
        }
        self.lines.push(WireText::from_bytes(text));
        if self.lines.len() > Self::MAX_LINES {
            return Err(ReplyError::TooLong);
        }
        if !is_last {
            return Ok(None);
        }
        let done = std::mem::take(self);
        Ok(Some(Reply { code, lines: done.lines, bare_lf: done.bare_lf }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let mut reader = ReplyReader::default();
        for byte in bytes {
            if let Some(reply) = reader.push(*byte)? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    #[rstest]
    #[case("500 5.5.1 Command unrecognized. Your IP address has been logged\r\n", true)]
    #[case("502 5.5.1 not implemented, your IP is logged\r\n", true)]
    #[case("500 5.5.1 command unrecognized, your IP is blacklisted\r\n", false)]
    #[case("502 5.5.1 Error: command not implemented\r\n", true)]
    #[case("500 unknown command; our domain is example.org\r\n", true)]
    #[case("502 unimplemented (#5.5.1)\r\n", true)]
    #[case("500 5.5.1 Command unrecognized: \"XXXX\"\r\n", true)]
    #[case("500 Syntax error, command not recognised\r\n", true)]
    #[case("500 Unknown SMTP command\r\n", true)]
    #[case("502 EHLO is not supported\r\n", true)]
    #[case("502\r\n", true)]
    #[case("502 5.5.1\r\n", true)]
    #[case("502 no\r\n", false)]
    #[case("502 address literals not supported\r\n", false)]
    #[case("502 address literals in EHLO not supported\r\n", false)]
    #[case("500 5.5.4 domain literals not supported\r\n", false)]
    #[case("500 unknown host, denied by policy\r\n", false)]
    #[case("500 unknown domain name in HELO\r\n", false)]
    #[case("500 Helo command rejected: unknown host\r\n", false)]
    #[case("502 5.7.1 Your network is not supported here\r\n", false)]
    #[case("502 5.7.1 command not supported from your network\r\n", false)]
    #[case("500 5.7.0 too many errors\r\n", false)]
    #[case("500 unknown error\r\n", false)]
    #[case("500 5.5.4 need FQDN\r\n", false)]
    #[case("502 5.7.1 Access denied for your network\r\n", false)]
    #[case("550 5.7.1 Helo command rejected: Host not found\r\n", false)]
    fn who_does_not_know_a_command_is_told_from_who_minds_the_client(#[case] wire: &str, #[case] expected: bool) {
        assert_eq!(read(wire.as_bytes()).unwrap().unwrap().is_about_the_command(), expected);
    }

    #[rstest]
    #[case("500 5.5.1 Command unrecognized: \"XXXX\"", true)]
    #[case("500 5.5.1 Command unrecognized: \"XXXX mx.example.test\"", true)]
    #[case("500 5.3.3 Unrecognized command 'XXXXXXXX'", true)]
    #[case("500 5.5.1 <XXXXXXXX>: unknown", true)]
    #[case("550 5.5.1 <XXXX> unknown", true)]
    #[case("500 unknown command: XXXX", true)]
    #[case("502 XXXXXXXX not implemented.", true)]
    #[case("500 unknown command: STARTTLS", false)]
    #[case("502 XXX not implemented", false)]
    #[case("550 ticket XXXX", false)]
    #[case("500 'XXXXa'", false)]
    #[case("250 \"XXXX\"", false)]
    fn a_command_that_was_written_over_is_seen_however_it_is_quoted(#[case] wire: &str, #[case] expected: bool) {
        assert_eq!(read(format!("{wire}\r\n").as_bytes()).unwrap().unwrap().quotes_a_mask(), expected);
    }

    #[rstest]
    #[case("550 5.7.0 rate limit exceeded", true)]
    #[case("554 5.7.1 Too many connections, slow down", true)]
    #[case("554 5.7.0 Error: too many connections from 192.0.2.1", true)]
    #[case("454 4.7.0 Error: too many new TLS sessions", true)]
    #[case("554 5.7.1 Client host rejected: too many connections", false)]
    #[case("554 5.7.1 Too many connections; listed by zen.spamhaus.org", false)]
    #[case("550 5.3.0 limited to SMTP; unlisted verb", false)]
    #[case("454 4.7.0 TLS not available: too many open files", false)]
    #[case("454 4.7.0 TLS not available at this time, try again later", false)]
    #[case("454 4.3.3 TLS not available, try again later", false)]
    #[case("454 4.7.1 Unable to proceed, try again later: certificate expired", false)]
    #[case("454 4.7.0 TLS rate exceeded, try again later", true)]
    #[case("454 4.7.0 too busy for TLS, try again later", true)]
    #[case("454 4.7.0 try again later", true)]
    #[case("554 5.3.0 too many open files", false)]
    fn a_limit_is_one_whatever_the_code(#[case] wire: &str, #[case] expected: bool) {
        assert_eq!(read(format!("{wire}\r\n").as_bytes()).unwrap().unwrap().asks_to_come_back(), expected);
    }

    #[rstest]
    #[case("504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname\r\n", true)]
    #[case("501 5.5.4 Invalid argument\r\n", true)]
    #[case("555 5.5.4 Unsupported option\r\n", false)]
    #[case("450 4.7.1 <x>: Helo command rejected: Host not found\r\n", true)]
    #[case("501 5.0.0 Invalid domain name\r\n", true)]
    #[case("501 Syntactically invalid EHLO argument(s)\r\n", true)]
    #[case("550 5.7.1 need FQDN\r\n", true)]
    #[case("554 Client host blocked; contact the postmaster of this domain\r\n", false)]
    #[case("554 5.7.1 Client host rejected: Host not found\r\n", false)]
    #[case("554 your hostname is on our list\r\n", false)]
    fn who_minds_the_name_is_told_from_who_mentions_one(#[case] wire: &str, #[case] expected: bool) {
        assert_eq!(read(wire.as_bytes()).unwrap().unwrap().is_about_the_name(), expected);
    }

    #[rstest]
    #[case("521 mx.example.test does not accept mail\r\n", true)]
    #[case("521 5.3.2 Server does not accept mail\r\n", true)]
    #[case("521 5.3.2 Service currently unavailable\r\n", false)]
    #[case("521 5.5.1 Protocol error\r\n", false)]
    #[case("521 5.7.1 mx does not accept mail from your network\r\n", false)]
    #[case("521\r\n", false)]
    #[case("554 mx does not accept mail\r\n", false)]
    fn who_never_takes_mail_says_so(#[case] wire: &str, #[case] expected: bool) {
        assert_eq!(read(wire.as_bytes()).unwrap().unwrap().takes_no_mail(), expected);
    }

    #[rstest]
    #[case("220 mx ESMTP\r\n", "220 mx ESMTP")]
    #[case("220-mx teaser\r\n220 mx ESMTP\r\n", "220-mx teaser / 220 mx ESMTP")]
    #[case("250\r\n", "250 ")]
    #[case("250-\r\n250 \r\n", "250- / 250 ")]
    #[case("220 mx\n", "220 mx")]
    fn replies_are_read_as_they_stand(#[case] wire: &str, #[case] shown: &str) {
        assert_eq!(read(wire.as_bytes()).unwrap().unwrap().to_string(), shown);
    }

    #[rstest]
    #[case("HTTP/1.1 400 Bad Request\r\n")]
    #[case("SSH-2.0-OpenSSH_9.2\r\n")]
    #[case("22 x\r\n")]
    #[case("620 x\r\n")]
    #[case("220+x\r\n")]
    #[case("\r\n")]
    fn other_protocols_are_no_replies(#[case] wire: &str) {
        assert!(matches!(read(wire.as_bytes()), Err(ReplyError::Syntax(_))));
    }

    #[rstest]
    #[case(b"421 4.3.2 closing\r\nmore", Some("421 4.3.2 closing"))]
    #[case(b"421-a\r\n421 b\r\n", Some("421-a / 421 b"))]
    #[case(b"421 4.3.2 clo", Some("421 4.3.2 clo"))]
    #[case(b"421-a\r\n421", Some("421 a"))]
    #[case(b"421", Some("421 "))]
    #[case(b"4211", None)]
    #[case(b"250 ok\r\n421 4.3.2 closing\r\n", None)]
    fn who_closes_is_heard(#[case] wire: &[u8], #[case] shown: Option<&str>) {
        assert_eq!(Reply::closing(wire).map(|reply| reply.to_string()).as_deref(), shown);
    }

    #[test]
    fn codes_must_agree() {
        assert_eq!(read(b"250-a\r\n550 b\r\n"), Err(ReplyError::MixedCodes(250, 550)));
        let refused = read(b"220-mx ESMTP Postfix\r\n521 5.7.1 Blocked\r\n").unwrap();
        assert_eq!(refused.iter().map(Reply::to_string).collect::<Vec<_>>(), ["521 5.7.1 Blocked"]);
    }

    #[test]
    fn endless_replies_end() {
        assert_eq!(read(&b"250-x\r\n".repeat(100_000)), Err(ReplyError::TooLong));
        assert_eq!(read(&[b'2'; 100_000]), Err(ReplyError::LineTooLong));
    }

    #[rstest]
    #[case("454 4.7.0 TLS not available", Some((4, 7, 0)))]
    #[case("530 5.7.57 SMTP; Client was not authenticated", Some((5, 7, 57)))]
    #[case("250 1.2.3.4 is an address", None)]
    #[case("550 4.7.0 the class contradicts the code", None)]
    #[case("250 OK", None)]
    fn enhanced_codes_are_recognised(#[case] line: &str, #[case] expected: Option<(u8, u16, u16)>) {
        let reply = read(format!("{line}\r\n").as_bytes()).unwrap().unwrap();
        assert_eq!(reply.enhanced_code().map(|c| (c.class, c.subject, c.detail)), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reply_or_an_error_or_unfinished(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_written_is_read_back(code in 200u16..600, lines in prop::collection::vec("[ -\\[\\]-~]{0,80}", 1..20)) {
            let last = lines.len() - 1;
            let wire: String = lines.iter().enumerate()
                .map(|(i, line)| format!("{code}{}{line}\r\n", if i == last { ' ' } else { '-' })).collect();
            let reply = read(wire.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(reply.code, code);
            prop_assert_eq!(reply.lines.iter().map(WireText::as_str).collect::<Vec<_>>(), lines);
        }
    }
}
