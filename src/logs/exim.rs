//! Lines of Exim's main log. `X=` (log selector `tls_cipher`, on by default) tells of TLS in the very line of a message, `CV=`
//! (`tls_certificate_verified`) of the certificate, and `P=` of the protocol of what is received: `esmtps` is inside TLS.

use super::{
    Known,
    ledger::{Direction, Protection, Session, Tally, Trust, is_here, version},
    reason,
    text::{cut, domain_of, field, has, host_key, name_and_address, word},
};

/// Whether a line behind its stamp begins with a message's ID: `1xXZzw-00000J-2R`, or `1vNQIN-00000000gLq-0sVf` since 4.97.
pub(super) fn is_id(word: &[u8]) -> bool {
    matches!(word.len(), 16 | 23)
        && word[6] == b'-'
        && word[word.len() - if word.len() == 16 { 3 } else { 5 }] == b'-'
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// `text` is what stands behind the stamp, and behind the process ID where that is logged.
pub(super) fn read(text: &[u8], tally: &mut Tally) -> Known {
    let (first, rest) = word(text);
    if !is_id(first) {
        return apart(text, tally);
    }
    let (mark, rest) = word(rest);
    match mark {
        b"<=" => received(rest, tally),
        b"=>" | b"->" | b">>" => delivered(rest, tally),
        b"==" | b"**" => held(rest, tally),
        // A cut-through delivery is another's; the rest says nothing of TLS, or is said again by the line of the recipient.
        _ => Known::Yes,
    }
}

/// Fields of a message's line stand before what others said (`C="`, and behind `: `), and before the subject (`T="`).
fn own_fields(text: &[u8]) -> &[u8] {
    [&b" C=\""[..], b" T=\"", b"]: "].iter().fold(text, |text, mark| cut(text, mark).map_or(text, |(before, _)| before))
}

/// `H=name (helo) [address]`: how the host is called, and its address. The name is the one that was looked up, and what
/// the client calls itself is in brackets.
fn host(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = cut(text, b"H=")?;
    let (_, bracketed) = cut(rest, b" [").or_else(|| rest.strip_prefix(b"[").map(|_| (&b""[..], &rest[1..])))?;
    let (address, _) = cut(bracketed, b"]")?;
    let (name, _) = word(rest);
    let name = if name.starts_with(b"(") || name.starts_with(b"[") { b"" } else { name };
    let start = rest.len() - bracketed.len() - 1;
    Some((host_key(name, &rest[start..=start + address.len() + 1]), address))
}

/// `X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256`, and `CV=`.
fn session(text: &[u8], direction: Direction, tally: &mut Tally) -> Option<Session> {
    let cipher = field(text, b" X=", b" ")?;
    let (name, rest) = cut(cipher, b":").unwrap_or((cipher, b""));
    let suite = cut(rest, b":").map_or(rest, |(suite, _)| suite);
    let trust = match field(text, b" CV=", b" ") {
        Some(b"dane") => Some(Trust::Verified),
        // Exim asks hosts that it delivers to for their names, too, wherever it asks at all.
        Some(b"yes") if direction == Direction::Outbound => Some(Trust::Verified),
        Some(b"yes") => Some(Trust::Trusted),
        // Of a client it does not say whether there was a certificate.
        Some(b"no") if direction == Direction::Outbound => Some(Trust::Untrusted),
        _ => None,
    };
    Some(Session { version: version(name), suite: tally.suite(suite), trust })
}

fn received(rest: &[u8], tally: &mut Tally) -> Known {
    let (sender, rest) = word(rest);
    let fields = own_fields(rest);
    let Some(protocol) = field(fields, b" P=", b" ").or_else(|| field(fields, b"P=", b" ")) else { return Known::No };
    if protocol.starts_with(b"local") || !protocol.windows(4).any(|word| word.eq_ignore_ascii_case(b"smtp")) {
        tally.local += 1;
        return Known::Yes;
    }
    let Some((host, address)) = host(fields) else { return Known::No };
    if is_here(address) {
        tally.local += 1;
        return Known::Yes;
    }
    // `esmtpsa`: who says who he is.
    if protocol.ends_with(b"a") {
        tally.submissions += 1;
        return Known::Yes;
    }
    // The protocol tells even where the suite is not logged.
    tally.shows_tls(Direction::Inbound);
    let session = session(fields, Direction::Inbound, tally);
    let protection = match (session, protocol.ends_with(b"s")) {
        (Some(session), _) => Protection::Tls(session),
        (None, true) => Protection::Tls(Session::default()),
        (None, false) => Protection::Clear,
    };
    tally.message(Direction::Inbound, Some(domain_of(sender)), host, protection);
    // There is no line for a connection; that of its message stands for it.
    tally.connection(Direction::Inbound, host, protection, false);
    Known::Yes
}

/// The recipient: `user@domain`, or `user <user@domain>`.
fn recipient(rest: &[u8]) -> (&[u8], &[u8]) {
    let (first, fields) = word(rest);
    match fields.strip_prefix(b"<").and_then(|inner| cut(inner, b">")) {
        Some((address, fields)) => (address, fields),
        None => (first, fields),
    }
}

fn delivered(rest: &[u8], tally: &mut Tally) -> Known {
    let (address, rest) = recipient(rest);
    let fields = own_fields(rest);
    let Some((host, at)) = host(fields) else {
        // To a file, a pipe, another message.
        tally.local += 1;
        return Known::Yes;
    };
    if is_here(at) {
        tally.local += 1;
        return Known::Yes;
    }
    let session = session(fields, Direction::Outbound, tally);
    if session.is_some() {
        tally.shows_tls(Direction::Outbound);
    }
    let protection = session.map_or(Protection::Clear, Protection::Tls);
    tally.message(Direction::Outbound, Some(domain_of(address)), host, protection);
    // `*` behind the address: the connection of the message before is used again.
    let is_reused = cut(fields, b"]").is_some_and(|(_, rest)| rest.starts_with(b"*"));
    tally.connection(Direction::Outbound, host, protection, is_reused);
    Known::Yes
}

fn held(rest: &[u8], tally: &mut Tally) -> Known {
    let (address, rest) = recipient(rest);
    // `R=router T=transport defer (-37) H=name [address]: why`, or without a host: `... T=transport: why`.
    let (fields, why) = cut(rest, b"]: ").or_else(|| cut(rest, b": ")).unwrap_or((rest, b""));
    if !reason::is_tls(why) {
        return Known::Yes;
    }
    let domain = domain_of(address);
    let with_end = &rest[..(fields.len() + 1).min(rest.len())];
    let host = host(with_end).map_or(domain, |(host, _)| host);
    tally.failed_message(Direction::Outbound, domain, host, reason::result(why), why);
    Known::Yes
}

/// Lines that belong to no message.
fn apart(text: &[u8], tally: &mut Tally) -> Known {
    if let Some(rest) = text.strip_prefix(b"TLS error on connection from ") {
        // `name (helo) [address] (gnutls_handshake): words`
        let (peer, words) = cut(rest, b"]").unwrap_or((rest, b""));
        let (name, address) = name_and_address(peer);
        let (name, _) = word(name);
        let name = if name.starts_with(b"(") { b"" } else { name };
        if !is_here(address) {
            let bracketed = [b"[", address, b"]"].concat();
            let words = cut(words, b": ").map_or(words, |(_, words)| words);
            tally.failed_connection(Direction::Inbound, host_key(name, &bracketed), words);
        }
        return Known::Yes;
    }
    const WORDS: &[&[u8]] = &[
        b"exim ",
        b"Start queue run",
        b"End queue run",
        b"no host name found",
        b"no IP address found",
        b"SMTP ",
        b"H=",
        b"unexpected ",
        b"lost connection",
        b"TLS ",
        b"Warning: ",
        b"Connection from ",
        b"rejected ",
        b"refused ",
        b"too many ",
        b"daemon ",
        b"pid ",
        b"SIGHUP",
        b"cwd=",
        b"syntax error",
        b"no MAIL in SMTP connection",
        b"ident connection",
        b"temporarily rejected",
        b"U=",
        b"[",
        b"1 ",
        b"DKIM",
        b"Failed to ",
        b"failed to ",
        b"socket ",
        b"dovecot_login ",
        b"plain_login ",
        b"login_server ",
        b"plain_server ",
        b"VRFY",
        b"unable to ",
        b"list matching forced",
        b"fixed_",
        b"no immediate delivery",
        b"queue_run",
        b"Could not ",
        b"PIPECONNECT",
    ];
    if WORDS.iter().any(|word| text.starts_with(word)) || has(text, b"rejected") || has(text, b"authenticator failed") {
        Known::Yes
    } else {
        Known::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_called_by_the_name_that_was_looked_up() {
        assert_eq!(host(b" H=mx.test (helo) [10.0.0.1] P=esmtp"), Some((&b"mx.test"[..], &b"10.0.0.1"[..])));
        assert_eq!(host(b" H=(mx.test) [10.0.0.1] P=esmtp"), Some((&b"[10.0.0.1]"[..], &b"10.0.0.1"[..])));
        assert_eq!(host(b" H=[10.0.0.1] P=esmtp"), Some((&b"[10.0.0.1]"[..], &b"10.0.0.1"[..])));
        assert_eq!(host(b" P=local"), None);
    }

    #[test]
    fn ids_are_old_or_new() {
        assert!(is_id(b"1xXZzw-00000J-2R") && is_id(b"1vNQIN-00000000gLq-0sVf"));
        assert!(!is_id(b"1xXZzw-00000J_2R") && !is_id(b"exim"));
    }
}
