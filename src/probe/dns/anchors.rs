//! What DNSSEC is validated from: the keys of the root as IANA publishes them, or what a lab or a company has instead.

use hickory_proto::{
    dnssec::{
        Algorithm, DigestType, PublicKey as _, PublicKeyBuf, TrustAnchors,
        rdata::{DNSKEY, DS},
    },
    rr::Name,
};

use crate::dane::Tlsa;

/// Keys that are trusted without further proof, and what they are called.
#[derive(Clone, Debug)]
pub struct Anchors {
    /// For reports.
    pub name: String,
    pub(super) entries: Vec<(Name, Anchor)>,
}

#[derive(Clone, Debug)]
pub(super) enum Anchor {
    /// A key of the zone.
    Key(PublicKeyBuf),
    /// The digest of one.
    Digest(DS),
}

/// Why a text holds no trust anchors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// No record in it.
    #[error("no trust anchor in it; expected DNSKEY or DS records as in a zone file, `. DS 20326 8 2 E06D...` for example")]
    Empty,
    /// A line that is neither.
    #[error("line {0} is neither a DNSKEY nor a DS record, each on one line")]
    Line(usize),
}

impl Default for Anchors {
    fn default() -> Self {
        Self::iana()
    }
}

impl Anchors {
    /// The keys of the root, as compiled in.
    pub fn iana() -> Self {
        let root = TrustAnchors::default();
        let keys = (0..root.len()).filter_map(|index| root.get(index));
        let entries = keys.map(|key| (Name::root(), Anchor::Key(key.clone()))).collect();
        Self { name: "the root's keys as IANA publishes them".to_owned(), entries }
    }

    /// Reads DNSKEY and DS records in the form of zone files, one a line: `NAME [TTL] [IN] DNSKEY FLAGS 3 ALGORITHM KEY`, and
    /// `NAME [TTL] [IN] DS TAG ALGORITHM DIGEST-TYPE DIGEST`. What follows `;` is a comment.
    pub fn parse(name: &str, text: &str) -> Result<Self, AnchorError> {
        let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default().trim()).enumerate();
        let entries = lines.filter(|(_, line)| !line.is_empty());
        let entries =
            entries.map(|(index, line)| entry(line).ok_or(AnchorError::Line(index + 1))).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() { Err(AnchorError::Empty) } else { Ok(Self { name: name.to_owned(), entries }) }
    }

    /// The anchors of exactly that zone.
    pub(super) fn of<'a>(&'a self, zone: &'a Name) -> impl Iterator<Item = &'a Anchor> {
        self.entries.iter().filter(move |(name, _)| name == zone).map(|(_, anchor)| anchor)
    }
}

impl Anchor {
    /// Whether it trusts this key of the zone.
    pub(super) fn trusts(&self, zone: &Name, key: &DNSKEY) -> bool {
        match self {
            Self::Key(own) => {
                own.public_bytes() == key.public_key().public_bytes() && own.algorithm() == key.public_key().algorithm()
            }
            Self::Digest(digest) => {
                digest.algorithm() == key.public_key().algorithm()
                    && key.calculate_key_tag().is_ok_and(|tag| tag == digest.key_tag())
                    && digest.covers(zone, key).unwrap_or(false)
            }
        }
    }
}

fn entry(line: &str) -> Option<(Name, Anchor)> {
    use base64::Engine as _;
    let mut words = line.split_ascii_whitespace().peekable();
    let owner = words.next()?;
    let mut name = Name::from_ascii(owner).ok()?;
    name.set_fqdn(true);
    while words.next_if(|word| word.eq_ignore_ascii_case("IN") || word.bytes().all(|b| b.is_ascii_digit())).is_some() {}
    let kind = words.next()?;
    let number = |words: &mut dyn Iterator<Item = &str>| words.next()?.parse::<u16>().ok();
    let first = number(&mut words)?;
    let second = u8::try_from(number(&mut words)?).ok()?;
    let third = u8::try_from(number(&mut words)?).ok()?;
    let rest: String = words.filter(|word| !matches!(*word, "(" | ")")).collect();
    if kind.eq_ignore_ascii_case("DNSKEY") {
        let key = base64::engine::general_purpose::STANDARD.decode(rest).ok().filter(|key| !key.is_empty())?;
        // Zone keys of protocol 3 only (RFC 4034, 2.1); a revoked one is no anchor (RFC 5011, 2.1).
        let is_fit = first & 0x0100 != 0 && first & 0x0080 == 0 && second == 3;
        return is_fit.then(|| (name, Anchor::Key(PublicKeyBuf::new(key, Algorithm::from_u8(third)))));
    }
    if kind.eq_ignore_ascii_case("DS") {
        let digest = Tlsa::from_text(&format!("0 0 0 {rest}")).ok()?.data;
        return Some((name, Anchor::Digest(DS::new(first, Algorithm::from_u8(second), DigestType::from(third), digest))));
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn keys_and_digests_are_read() {
        let text =
            "; the lab's\n. 3600 IN DNSKEY 257 3 13 AAAA\n\nexample.test. DS 20326 8 2 E06D44B80B8F1D39 A95C0B0D7C65D084\n";
        let anchors = Anchors::parse("lab", text).unwrap();
        assert_eq!(anchors.entries.len(), 2);
        assert_eq!(anchors.of(&Name::root()).count(), 1);
        let Anchor::Digest(digest) = &anchors.entries[1].1 else { panic!("no digest") };
        assert_eq!((digest.key_tag(), digest.digest().len()), (20326, 16));
        assert_eq!(Anchors::iana().of(&Name::root()).count(), 2);
    }

    #[rstest]
    #[case("", AnchorError::Empty)]
    #[case("; nothing", AnchorError::Empty)]
    #[case("\n. A 127.0.0.1", AnchorError::Line(2))]
    #[case(". DNSKEY 257 3 13 !", AnchorError::Line(1))]
    #[case(". DNSKEY 385 3 13 AAAA", AnchorError::Line(1))]
    #[case(". DS 1 8 2 abc", AnchorError::Line(1))]
    #[case(". DS 1 8", AnchorError::Line(1))]
    fn what_is_no_anchor_says_where(#[case] text: &str, #[case] why: AnchorError) {
        assert_eq!(Anchors::parse("x", text).unwrap_err(), why);
    }
}
