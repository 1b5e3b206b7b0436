//! chasquid and Courier: their logs name messages, and say of TLS only where it failed. Their messages are of unknown protection.

use super::{
    Known,
    ledger::{Direction, Protection, Tally, is_here},
    reason,
    text::{cut, domain_of, field, has, host_key, name_and_address, word},
};

/// The log of mails (`mail_log_path`): `ADDRESS:PORT`, or the ID of a message, and what became of it; and the log of the
/// daemon: `conn.go:298 SMTP.Conn ADDRESS:PORT: error: ...`.
pub(super) fn chasquid(text: &[u8], tally: &mut Tally) -> Known {
    if let Some((_, rest)) = cut(text, b"SMTP.Conn ") {
        let (peer, words) = cut(rest, b": ").unwrap_or((rest, b""));
        if let Some(words) = words.strip_prefix(b"error: STARTTLS failed: ") {
            tally.failed_connection(Direction::Inbound, &bracketed(peer), words);
        }
        return Known::Yes;
    }
    if let Some((who, rest)) = cut(text, b" from=") {
        let (sender, rest) = word(rest);
        if let Some((_, peer)) = cut(rest, b"queued ip=") {
            let (peer, _) = word(peer);
            if is_here(without_port(peer)) {
                tally.local += 1;
            } else {
                tally.message(Direction::Inbound, Some(domain_of(sender)), &bracketed(peer), Protection::Unknown);
            }
            return Known::Yes;
        }
        if let Some((recipient, rest)) = rest.strip_prefix(b"to=").map(word) {
            let domain = domain_of(recipient);
            if rest.starts_with(b"sent") {
                tally.message(Direction::Outbound, Some(domain), domain, Protection::Unknown);
            } else if let Some((_, why)) = cut(rest, b"failed (").and_then(|(_, rest)| cut(rest, b"): "))
                && reason::is_tls(why)
            {
                tally.failed_message(Direction::Outbound, domain, domain, reason::result(why), why);
            }
            return Known::Yes;
        }
        return if rest.starts_with(b"all done")
            || has(rest, b"completed")
            || has(who, b"rejected")
            || has(rest, b"queued")
            || has(rest, b"failed")
        {
            Known::Yes
        } else {
            Known::No
        };
    }
    const WORDS: &[&[u8]] = &[b"daemon ", b"_ ", b"E ", b"I ", b"W "];
    if WORDS.iter().any(|word| text.starts_with(word)) || has(text, b" auth ") || has(text, b".go:") {
        Known::Yes
    } else {
        Known::No
    }
}

/// `courieresmtpd: started,ip=[::ffff:10.0.0.1]`, `courierd: newmsg,id=...: dns; helo (name [::ffff:10.0.0.1])`,
/// `courieresmtp: id=...,from=<...>,addr=<...>,...,success: delivered: mx.test [::ffff:10.0.0.1]`.
pub(super) fn courier(service: &[u8], text: &[u8], tally: &mut Tally) -> Known {
    match service {
        b"courierd" => {
            if let Some(rest) = text.strip_prefix(b"newmsg,id=") {
                let Some((_, peer)) = cut(rest, b": dns; ") else { return Known::Yes };
                // `helo (name [address])`: what a client calls itself is no name.
                let inner = cut(peer, b"(").map_or(peer, |(_, inner)| inner);
                let (name, address) = name_and_address(inner);
                if is_here(address) {
                    tally.local += 1;
                } else {
                    let bracketed = [b"[", plain(address), b"]"].concat();
                    tally.message(Direction::Inbound, None, host_key(name, &bracketed), Protection::Unknown);
                }
            }
            Known::Yes
        }
        b"courieresmtp" => {
            let Some(recipient) = field(text, b"addr=<", b">") else { return Known::Yes };
            let domain = domain_of(recipient);
            if let Some((_, peer)) = cut(text, b",success: delivered: ") {
                let (name, address) = name_and_address(peer);
                let bracketed = [b"[", plain(address), b"]"].concat();
                tally.message(Direction::Outbound, Some(domain), host_key(name, &bracketed), Protection::Unknown);
            } else if (has(text, b",status: deferred") || has(text, b",status: failure")) && reason::is_tls(text) {
                tally.failed_message(Direction::Outbound, domain, domain, reason::result(text), text);
            }
            Known::Yes
        }
        b"courieresmtpd" if has(text, b"STARTTLS failed: ") => {
            let (_, rest) = cut(text, b"ip=[").unwrap_or((b"", b""));
            let (address, words) = cut(rest, b"], ").unwrap_or((rest, b""));
            tally.failed_connection(Direction::Inbound, &[b"[", plain(address), b"]"].concat(), words);
            Known::Yes
        }
        b"courieresmtpd" | b"courierlocal" | b"courierfilter" | b"courieruucp" | b"courierfax" | b"courierdsn"
        | b"courieresmtpd-ssl" => Known::Yes,
        _ => Known::No,
    }
}

fn plain(address: &[u8]) -> &[u8] {
    address.strip_prefix(b"::ffff:").unwrap_or(address)
}

fn without_port(peer: &[u8]) -> &[u8] {
    let peer = memchr::memrchr(b':', peer).map_or(peer, |at| &peer[..at]);
    peer.strip_prefix(b"[").and_then(|peer| peer.strip_suffix(b"]")).unwrap_or(peer)
}

fn bracketed(peer: &[u8]) -> Vec<u8> {
    [b"[", without_port(peer), b"]"].concat()
}
