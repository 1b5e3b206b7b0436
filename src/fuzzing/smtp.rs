//! The readers of SMTP: replies, EHLO keywords, the escaping of both, and the lab's of commands.

use std::{collections::BTreeMap, sync::LazyLock};

use futures::FutureExt as _;
use tokio::runtime::Runtime;

use super::{Pieces, SIZES};
use crate::{
    lab::{
        ServerOrder, embedded,
        persona::{self, Persona},
    },
    plan::{Issuance, Plan},
    scenario::Corpus,
    smtp::{Ehlo, Reply, ReplyReader},
    verify,
    wire::WireText,
};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

/// A server without a fault. Its certificate is never shown.
static ORDER: LazyLock<ServerOrder> = LazyLock::new(|| {
    let corpus = Corpus::embedded().expect("the corpus of this build");
    let cases = verify::load(&corpus, &["baseline/ecdsa".to_owned()]).expect("a scenario of the corpus");
    let plan = Plan::resolve("fuzz", &cases[0].scenario, &cases[0].kind, Issuance::now()).expect("a plan");
    ServerOrder { plan: plan.server, sources: BTreeMap::new() }
});

/// Replies, one after the other.
pub fn reply(input: &[u8]) {
    let mut rest = input;
    while let Some((reply, length)) = next_reply(rest) {
        assert!(length <= ReplyReader::MAX_BYTES && reply.lines.len() <= ReplyReader::MAX_LINES);
        assert!((200..600).contains(&reply.code) && !reply.lines.is_empty());
        assert!(reply.enhanced_code().is_none_or(|code| u16::from(code.class) == reply.code / 100));
        let kept = reply.lines.iter().map(|line| line.as_str().len()).sum::<usize>();
        assert!(kept <= 4 * length, "{kept} bytes are kept of {length}");
        // Where nothing was escaped, the text is what was sent.
        if reply.lines.iter().all(|line| !line.as_str().contains('\\')) {
            let again = written(&reply);
            let expected = Reply { bare_lf: false, ..reply };
            assert_eq!(next_reply(again.as_bytes()), Some((expected, again.len())));
        }
        rest = &rest[length..];
    }
}

/// The texts of a reply to EHLO, one in each line.
pub fn ehlo(input: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let reply = Reply { code: 250, lines: lines.iter().map(|line| WireText::from_bytes(line)).collect(), bare_lf: false };
    let read = Ehlo::from_reply(&reply);
    let words = |line: &&[u8]| -> Vec<WireText> {
        let words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.map(WireText::from_bytes).collect()
    };
    let expected: Vec<_> = lines.iter().map(words).collect();
    assert_eq!(read.domain, expected[0].first().cloned().unwrap_or_default());
    assert_eq!(read.keywords.len(), lines.len() - 1);
    for (keyword, words) in read.keywords.iter().zip(&expected[1..]) {
        let (name, parameters) = words.split_first().map_or((WireText::default(), &[][..]), |(name, rest)| (name.clone(), rest));
        assert_eq!((&keyword.name, &keyword.parameters[..]), (&name, parameters));
    }
    let is_starttls = |line: &&[u8]| {
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"STARTTLS"))
    };
    assert_eq!(read.offers("STARTTLS"), lines[1..].iter().any(is_starttls));
}

/// Any bytes, escaped.
pub fn wire_text(input: &[u8]) {
    let text = WireText::from_bytes(input);
    assert!(text.as_str().chars().all(|c| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c)), "{text:?}");
    assert!(text.as_str().len() <= 4 * input.len());
    assert_eq!(unescaped(text.as_str()), input, "two inputs could look the same");
    assert_eq!(WireText::from(text.as_str().to_owned()), text, "it does not read back the same");
}

/// A client of the lab: the place of a kind of server among all, sizes of pieces, then commands. Whatever they are, each
/// gets one reply.
pub fn commands(input: &[u8]) {
    let Some((kind, input)) = input.split_first() else { return };
    let Some(pieces) = Pieces::of(input) else { return };
    let kinds = persona::kinds();
    let persona = Persona::find(kinds[usize::from(*kind) % kinds.len()]).expect("a known kind");
    // Time-outs ask for a runtime, though nothing here takes time.
    let _runtime = RUNTIME.enter();
    let said_to =
        |commands| embedded::replies_to(&ORDER, persona, commands).now_or_never().expect("such a connection never waits");
    let whole = said_to(Pieces { sizes: [u8::MAX; SIZES], next: 0, rest: pieces.rest });
    let mut rest = &whole[..];
    let mut replies = 0;
    while let Some((_, length)) = next_reply(rest) {
        rest = &rest[length..];
        replies += 1;
    }
    assert!(rest.is_empty(), "the lab said what is no reply: {:?}", WireText::from_bytes(rest));
    let lines = pieces.rest.iter().filter(|byte| **byte == b'\n').count();
    assert!(replies <= 1 + lines, "{replies} replies to {lines} lines");
    assert_eq!(said_to(pieces), whole, "in pieces it reads otherwise than at once");
}

/// The reply at the head, and its length.
fn next_reply(bytes: &[u8]) -> Option<(Reply, usize)> {
    let mut reader = ReplyReader::default();
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(reply) = reader.push(*byte).ok()? {
            return Some((reply, at + 1));
        }
    }
    None
}

fn written(reply: &Reply) -> String {
    let last = reply.lines.len() - 1;
    let separator = |at| if at == last { ' ' } else { '-' };
    reply.lines.iter().enumerate().map(|(at, line)| format!("{}{}{line}\r\n", reply.code, separator(at))).collect()
}

/// The bytes that an escaped text was made of.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (bytes, length) = match rest.as_bytes() {
            [b'\\', b'\\', ..] => (vec![b'\\'], 2),
            [b'\\', b'x', ..] => (vec![u8::from_str_radix(&rest[2..4], 16).expect("two digits")], 4),
            [b'\\', b'u', b'{', ..] => {
                let end = rest.find('}').expect("a closed escape");
                let code = u32::from_str_radix(&rest[3..end], 16).expect("digits");
                (char::from_u32(code).expect("a character").to_string().into_bytes(), end + 1)
            }
            _ => (c.to_string().into_bytes(), c.len_utf8()),
        };
        out.extend(bytes);
        rest = &rest[length..];
    }
    out
}
