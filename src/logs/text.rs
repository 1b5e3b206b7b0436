//! Taking lines of a log apart, as bytes: what stands in them came from anybody.

use memchr::{memchr, memmem, memrchr};

/// What is before and behind the first place of a mark.
pub(super) fn cut<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = match mark {
        [byte] => memchr(*byte, text)?,
        _ => memmem::find(text, mark)?,
    };
    Some((&text[..at], &text[at + mark.len()..]))
}

/// What is behind the first place of a mark, up to one of the ends.
pub(super) fn field<'a>(text: &'a [u8], mark: &[u8], ends: &[u8]) -> Option<&'a [u8]> {
    let (_, rest) = cut(text, mark)?;
    let end = rest.iter().position(|byte| ends.contains(byte)).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Whether a text is in another.
pub(super) fn has(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// The word up to the first space, and what is behind it.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    cut(text, b" ").unwrap_or((text, b""))
}

/// The domain of a mail address, with or without angle brackets; empty where there is none, as in that of a bounce.
pub(super) fn domain_of(address: &[u8]) -> &[u8] {
    let address = address.strip_prefix(b"<").unwrap_or(address);
    let address = address.strip_suffix(b">").unwrap_or(address);
    memrchr(b'@', address).map_or(b"", |at| &address[at + 1..])
}

/// A number in decimal.
pub(super) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether an address is one of this machine: what comes from there or goes there crosses no network.
pub(super) fn is_loopback(address: &[u8]) -> bool {
    let address = address.strip_prefix(b"IPv6:").unwrap_or(address);
    address.starts_with(b"127.") || address == b"::1" || address.starts_with(b"::ffff:127.")
}

/// `name[address]`, with whatever is behind it: the name and the address.
pub(super) fn name_and_address(peer: &[u8]) -> (&[u8], &[u8]) {
    let Some((name, rest)) = cut(peer, b"[") else { return (peer, b"") };
    (name.trim_ascii_end(), cut(rest, b"]").map_or(rest, |(address, _)| address))
}

/// How a host is called in a report: its name, or its address in brackets where nobody knows a name.
pub(super) fn host_key<'a>(name: &'a [u8], bracketed: &'a [u8]) -> &'a [u8] {
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() || name == b"unknown" { bracketed } else { name }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"<a@b.test>", b"b.test")]
    #[case(b"a@b.test", b"b.test")]
    #[case(b"<\"a@b\"@c.test>", b"c.test")]
    #[case(b"<>", b"")]
    #[case(b"postmaster", b"")]
    fn the_domain_is_behind_the_last_at(#[case] address: &[u8], #[case] domain: &[u8]) {
        assert_eq!(domain_of(address), domain);
    }

    #[rstest]
    #[case(b"mx.test[10.0.0.1]:25", b"mx.test", b"10.0.0.1")]
    #[case(b"mx.test. [10.0.0.1]", b"mx.test.", b"10.0.0.1")]
    #[case(b"none", b"none", b"")]
    #[case(b"x[10.0", b"x", b"10.0")]
    fn peers_have_names_and_addresses(#[case] peer: &[u8], #[case] name: &[u8], #[case] address: &[u8]) {
        assert_eq!(name_and_address(peer), (name, address));
    }
}
