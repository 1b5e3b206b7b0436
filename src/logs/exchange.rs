//! The protocol logs of Exchange's connectors: comma-separated lines behind a head that names the fields. Their events are `+`
//! (connected), `-` (disconnected), `>` (said by Exchange), `<` (said by the other side) and `*` (what Exchange notes). The
//! shape is that of Microsoft's page on protocol logging, the notes on TLS are as public logs have them.

use std::borrow::Cow;

use super::{
    Known,
    ledger::{Direction, Product, Protection, Session, Tally, is_here},
    recent::Recent,
    text::{cut, domain_of, field, has, word},
};
use crate::tls::Version;

/// Reads the lines of one file after the other; sessions may go on in the next file.
#[derive(Debug)]
pub(super) struct Exchange {
    columns: Columns,
    direction: Direction,
    sessions: Recent<Vec<u8>, Open>,
}

/// Where the fields stand.
#[derive(Debug, Default)]
struct Columns {
    session: usize,
    remote: usize,
    event: usize,
    data: usize,
    context: usize,
    connector: usize,
}

#[derive(Debug, Default)]
struct Open {
    session: Option<Session>,
    sender: Vec<u8>,
    recipients: Vec<Vec<u8>>,
    is_user: bool,
    is_data: bool,
    messages: u64,
}

/// More recipients of one message are counted with the last domain that was kept.
const MAX_RECIPIENTS: usize = 100;

impl Default for Exchange {
    fn default() -> Self {
        let columns = Columns { connector: 1, session: 2, remote: 5, event: 6, data: 7, context: 8 };
        Self { columns, direction: Direction::Inbound, sessions: Recent::new(65_536) }
    }
}

impl Exchange {
    pub(super) fn read(&mut self, line: &[u8], tally: &mut Tally) -> Known {
        if line.first() == Some(&b'#') {
            self.head(line);
            return Known::Yes;
        }
        let fields = split(line);
        let get = |at: usize| fields.get(at).map_or(&b""[..], |field| field.as_ref());
        let columns = &self.columns;
        let (id, remote, event) = (get(columns.session), get(columns.remote), get(columns.event));
        let (data, context, connector) = (get(columns.data), get(columns.context), get(columns.connector));
        if id.is_empty() || fields.len() <= columns.event {
            return Known::No;
        }
        // `SERVER\Connector`: the server stands for the machine. Send connectors are called by their own name only.
        let server = cut(connector, b"\\").map_or(&b""[..], |(server, _)| server);
        tally.enter(server, Product::Exchange);
        // A protocol log that is on holds all of a session.
        tally.shows_tls(self.direction);
        let address = memchr::memrchr(b':', remote).map_or(remote, |at| &remote[..at]);
        let address = address.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(address);
        let host = [b"[", address, b"]"].concat();
        let is_inbound = self.direction == Direction::Inbound;
        let open = self.sessions.entry(id.to_vec());
        // Who commands, and who replies.
        let (is_command, is_reply) = match event {
            b"<" => (is_inbound, !is_inbound),
            b">" => (!is_inbound, is_inbound),
            b"+" => {
                *open = Open::default();
                return Known::Yes;
            }
            b"-" => {
                if let Some(open) = self.sessions.remove(&id.to_vec())
                    && open.session.is_none()
                    && open.messages > 0
                    && !is_here(address)
                {
                    tally.connection(self.direction, &host, Protection::Clear, false);
                }
                return Known::Yes;
            }
            b"*" => {
                // What is noted stands in one of both.
                for note in [data, context] {
                    if let Some(session) = negotiated(note, tally) {
                        open.session = Some(session);
                        tally.connection(self.direction, &host, Protection::Tls(session), false);
                    } else if has(note, b"TLS negotiation failed") || has(note, b"Tls negotiation failed") {
                        tally.failed_connection(self.direction, &host, note);
                    }
                }
                return Known::Yes;
            }
            _ => return Known::No,
        };
        if is_command {
            open.command(data);
        } else if is_reply && open.is_data && !data.starts_with(b"354") {
            open.is_data = false;
            let is_taken = data.starts_with(b"250");
            let (sender, recipients) = (std::mem::take(&mut open.sender), std::mem::take(&mut open.recipients));
            if !is_taken {
                return Known::Yes;
            }
            open.messages += 1;
            let protection = open.session.map_or(Protection::Clear, Protection::Tls);
            if is_here(address) {
                tally.local += 1;
            } else if open.is_user {
                tally.submissions += 1;
            } else if is_inbound {
                tally.message(self.direction, Some(domain_of(&sender)), &host, protection);
            } else {
                for recipient in &recipients {
                    tally.message(self.direction, Some(domain_of(recipient)), &host, protection);
                }
            }
        } else if is_reply && has(data, b"5.7.3 STARTTLS is required") && !is_inbound {
            tally.failed_connection(self.direction, &host, data);
        }
        Known::Yes
    }

    fn head(&mut self, line: &[u8]) {
        if has(line, b"#Log-type:") {
            self.direction = if has(line, b"Send") { Direction::Outbound } else { Direction::Inbound };
        }
        if let Some((_, names)) = cut(line, b"#Fields:") {
            let names: Vec<&[u8]> = names.trim_ascii().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
            let at = |name: &[u8]| names.iter().position(|known| *known == name).unwrap_or(usize::MAX);
            self.columns = Columns {
                session: at(b"session-id"),
                remote: at(b"remote-endpoint"),
                event: at(b"event"),
                data: at(b"data"),
                context: at(b"context"),
                connector: at(b"connector-id"),
            };
        }
    }
}

impl Open {
    fn command(&mut self, data: &[u8]) {
        let (verb, rest) = word(data);
        match &*verb.to_ascii_uppercase() {
            b"MAIL" => {
                self.sender = address(rest);
                self.recipients.clear();
            }
            b"RCPT" if self.recipients.len() < MAX_RECIPIENTS => self.recipients.push(address(rest)),
            b"AUTH" => self.is_user = true,
            b"DATA" => self.is_data = true,
            // Only the last chunk ends a message.
            b"BDAT" => self.is_data = has(&rest.to_ascii_uppercase(), b"LAST"),
            b"RSET" => {
                self.sender.clear();
                self.recipients.clear();
            }
            _ => {}
        }
    }
}

/// `FROM:<a@b.test> SIZE=1`
fn address(rest: &[u8]) -> Vec<u8> {
    let address = field(rest, b"<", b">").unwrap_or_default();
    address[..address.len().min(320)].to_vec()
}

/// `TLS protocol SP_PROT_TLS1_2_SERVER negotiation succeeded using bulk encryption algorithm CALG_AES_256 with strength ...`
fn negotiated(note: &[u8], tally: &mut Tally) -> Option<Session> {
    let rest = cut(note, b"TLS protocol ")?.1;
    let (protocol, rest) = word(rest);
    rest.strip_prefix(b"negotiation succeeded")?;
    let protocol = protocol.strip_prefix(b"SP_PROT_").unwrap_or(protocol);
    let version = [
        (&b"TLS1_3"[..], Version::Tls13),
        (b"TLS1_2", Version::Tls12),
        (b"TLS1_1", Version::Tls11),
        (b"TLS1", Version::Tls10),
        (b"SSL3", Version::Ssl3),
        (b"SSL2", Version::Ssl2),
    ];
    let version = version.iter().find(|(name, _)| protocol.starts_with(name)).map(|(_, version)| *version);
    let part = |mark: &[u8]| field(rest, mark, b" ").unwrap_or_default();
    let parts = [part(b"key exchange algorithm "), part(b"bulk encryption algorithm "), part(b"MAC hash algorithm ")];
    Some(Session { version, suite: tally.suite(&parts.join(&b' ')), trust: None })
}

/// The fields of a line; quotes around one are taken off, and doubled ones in it are one (RFC 4180).
fn split(line: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (field, behind) = unquote(quoted);
            fields.push(Cow::Owned(field));
            match behind.strip_prefix(b",") {
                Some(next) => rest = next,
                None => return fields,
            }
        } else {
            match cut(rest, b",") {
                Some((field, next)) => {
                    fields.push(Cow::Borrowed(field));
                    rest = next;
                }
                None => {
                    fields.push(Cow::Borrowed(rest));
                    return fields;
                }
            }
        }
    }
}

fn unquote(quoted: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut field = Vec::new();
    let mut rest = quoted;
    while let Some((part, behind)) = cut(rest, b"\"") {
        field.extend_from_slice(part);
        match behind.strip_prefix(b"\"") {
            Some(next) => {
                field.push(b'"');
                rest = next;
            }
            None => return (field, behind),
        }
    }
    // A quote that is never closed.
    field.extend_from_slice(rest);
    (field, b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off() {
        let fields = split(b"a,\"b,\"\"c\"\"\",,d");
        let fields: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
        assert_eq!(fields, [&b"a"[..], b"b,\"c\"", b"", b"d"]);
        assert_eq!(split(b"a,\"never closed").len(), 2);
    }

    #[test]
    fn words_of_failures_have_result_types() {
        assert_eq!(
            crate::logs::reason::result(b"TLS negotiation failed with error UntrustedRoot"),
            crate::finding::ResultType::CertificateNotTrusted
        );
    }
}
