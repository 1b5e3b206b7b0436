//! Lines of Sendmail at LogLevel 9 (its default) and above: `STARTTLS=client` and `STARTTLS=server` before the lines of the
//! same process, `proto=ESMTPS` in the line of what is received.

use super::{
    Known,
    ledger::{Direction, Protection, Session, Tally, Trust, is_here, version},
    reason,
    recent::Recent,
    text::{cut, domain_of, field, has, host_key, name_and_address},
};

#[derive(Debug)]
pub(super) struct Sendmail {
    /// The last session of a process that sends, and with whom; or why it was refused.
    clients: Recent<(usize, u64), Client>,
    servers: Recent<(usize, u64), Session>,
}

#[derive(Debug)]
struct Client {
    relay: Vec<u8>,
    session: Session,
    refused: Option<Vec<u8>>,
}

impl Default for Sendmail {
    fn default() -> Self {
        Self { clients: Recent::new(65_536), servers: Recent::new(65_536) }
    }
}

impl Sendmail {
    pub(super) fn read(&mut self, source: usize, pid: u64, text: &[u8], tally: &mut Tally) -> Known {
        let process = (source, pid);
        if let Some(rest) = text.strip_prefix(b"STARTTLS=client, ") {
            return self.client(process, rest, tally);
        }
        if let Some(rest) = text.strip_prefix(b"STARTTLS=server, ") {
            return self.server(process, rest, tally);
        }
        if let Some(rest) = text.strip_prefix(b"ruleset=tls_server, ") {
            let relay = field(rest, b"relay=", b",").unwrap_or_default();
            let why = cut(rest, b"reject=").map_or(rest, |(_, why)| why);
            let refused = Some(why[..why.len().min(300)].to_vec());
            match self.clients.get_mut(&process).filter(|client| is_same(&client.relay, relay)) {
                Some(client) => client.refused = refused,
                None => {
                    let client = Client { relay: relay.to_vec(), session: Session::default(), refused };
                    self.clients.insert(process, client);
                }
            }
            return Known::Yes;
        }
        let Some((_, rest)) = cut(text, b": ") else { return Known::No };
        if let Some(rest) = rest.strip_prefix(b"from=") {
            return self.from(process, rest, tally);
        }
        if let Some(rest) = rest.strip_prefix(b"to=") {
            return self.to(process, rest, tally);
        }
        const WORDS: &[&[u8]] = &[
            b"starting daemon",
            b"STARTTLS",
            b"AUTH=",
            b"ruleset=",
            b"NOQUEUE",
            b"SYSERR",
            b"restarting ",
            b"daemon ",
            b"alias",
            b"rejecting ",
            b"grew ",
            b"gethostby",
        ];
        // What is behind a queue ID and neither of these says nothing of TLS.
        let (id, _) = cut(text, b": ").unwrap_or((text, b""));
        let is_message = id.len() >= 12 && id.iter().all(u8::is_ascii_alphanumeric);
        if is_message || WORDS.iter().any(|word| text.starts_with(word)) { Known::Yes } else { Known::No }
    }

    fn client(&mut self, process: (usize, u64), rest: &[u8], tally: &mut Tally) -> Known {
        let Some(relay) = field(rest, b"relay=", b",") else { return other(rest) };
        tally.shows_tls(Direction::Outbound);
        if let Some(session) = session(rest, tally) {
            tally.connection(Direction::Outbound, host_key(relay, relay), Protection::Tls(session), false);
            self.clients.insert(process, Client { relay: relay.to_vec(), session, refused: None });
            return Known::Yes;
        }
        tally.failed_connection(Direction::Outbound, host_key(relay, relay), field(rest, b"reason=", b",").unwrap_or(rest));
        Known::Yes
    }

    fn server(&mut self, process: (usize, u64), rest: &[u8], tally: &mut Tally) -> Known {
        let Some(relay) = field(rest, b"relay=", b",") else { return other(rest) };
        tally.shows_tls(Direction::Inbound);
        let host = peer(relay);
        match session(rest, tally) {
            Some(session) => {
                tally.connection(Direction::Inbound, host, Protection::Tls(session), false);
                self.servers.insert(process, session);
            }
            None => tally.failed_connection(Direction::Inbound, host, field(rest, b"reason=", b",").unwrap_or(rest)),
        }
        Known::Yes
    }

    fn from(&mut self, process: (usize, u64), rest: &[u8], tally: &mut Tally) -> Known {
        // Others say in it who they are: it is read up to the end of the address.
        let end = if rest.starts_with(b"<") { cut(rest, b">, ") } else { cut(rest, b", ") };
        let Some((sender, fields)) = end else { return Known::No };
        let Some(relay) = cut(fields, b"relay=").map(|(_, relay)| relay) else { return Known::Yes };
        let (name, address) = name_and_address(relay);
        if has(name, b"@") || is_here(address) || address.is_empty() {
            tally.local += 1;
            return Known::Yes;
        }
        if fields.windows(10).any(|part| part == b", nrcpts=0") {
            // Nobody took it.
            return Known::Yes;
        }
        if has(fields, b"auth=") {
            tally.submissions += 1;
            return Known::Yes;
        }
        let Some(protocol) = field(fields, b"proto=", b",") else { return Known::No };
        tally.shows_tls(Direction::Inbound);
        let is_inside = protocol.starts_with(b"ESMTPS") || protocol.starts_with(b"SMTPS");
        let protection = match self.servers.get_mut(&process) {
            _ if !is_inside => Protection::Clear,
            Some(session) => Protection::Tls(*session),
            None => Protection::Tls(Session::default()),
        };
        let host = peer(relay);
        if protection == Protection::Clear {
            tally.connection(Direction::Inbound, host, protection, false);
        }
        tally.message(Direction::Inbound, Some(domain_of(sender)), host, protection);
        Known::Yes
    }

    fn to(&mut self, process: (usize, u64), rest: &[u8], tally: &mut Tally) -> Known {
        let Some((recipients, fields)) = cut(rest, b", delay=").or_else(|| cut(rest, b", ctladdr=")) else { return Known::Yes };
        let Some((fields, status)) = cut(fields, b"stat=") else { return Known::Yes };
        if has(fields, b"mailer=local") || has(fields, b"mailer=prog") || has(fields, b"mailer=*file*") {
            tally.local += 1;
            return Known::Yes;
        }
        let Some(relay) = cut(fields, b"relay=").map(|(_, relay)| cut(relay, b", ").map_or(relay, |(relay, _)| relay)) else {
            return Known::Yes;
        };
        let (name, address) = name_and_address(relay);
        if is_here(address) {
            tally.local += 1;
            return Known::Yes;
        }
        let host = host_key(name, &relay[name.len()..]);
        let is_sent = status.starts_with(b"Sent");
        let client = self.clients.get_mut(&process).filter(|client| is_same(&client.relay, name));
        let refused = client.as_ref().and_then(|client| client.refused.clone());
        let protection = client.map_or(Protection::Clear, |client| Protection::Tls(client.session));
        for recipient in recipients.split(|byte| *byte == b',') {
            let domain = domain_of(recipient.trim_ascii());
            if is_sent {
                tally.message(Direction::Outbound, Some(domain), host, protection);
            } else if let Some(why) = &refused {
                tally.failed_message(Direction::Outbound, domain, host, reason::result(why), why);
            } else if has(status, b"TLS") && has(status, b"Deferred") {
                tally.failed_message(Direction::Outbound, domain, host, reason::result(status), status);
            }
        }
        Known::Yes
    }
}

fn other(rest: &[u8]) -> Known {
    const WORDS: &[&[u8]] =
        &[b"get_verify", b"cert-subject", b"error", b"warning", b"init", b"file ", b"fp=", b"depth=", b"TLS", b"SSL"];
    if WORDS.iter().any(|word| rest.starts_with(word)) { Known::Yes } else { Known::No }
}

/// `mx.test.` and `mx.test` are one.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let bare = |name: &[u8]| name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
    bare(one) == bare(other)
}

/// `name [address]`, `[address]`, with what may follow it.
fn peer(relay: &[u8]) -> &[u8] {
    let relay = cut(relay, b"]").map_or(relay, |(before, _)| &relay[..before.len() + 1]);
    let (name, _) = name_and_address(relay);
    host_key(name, relay)
}

/// `version=TLSv1.3, verify=OK, cipher=..., bits=256/256`
fn session(rest: &[u8], tally: &mut Tally) -> Option<Session> {
    let name = field(rest, b"version=", b",")?;
    let suite = field(rest, b"cipher=", b",").and_then(|suite| tally.suite(suite));
    let trust = match field(rest, b"verify=", b",").unwrap_or_default() {
        // By DANE.
        b"TRUSTED" => Some(Trust::Verified),
        b"OK" => Some(Trust::Trusted),
        b"FAIL" => Some(Trust::Untrusted),
        // No certificate was asked for, or none came.
        b"NOT" | b"NO" => Some(Trust::Anonymous),
        _ => None,
    };
    Some(Session { version: version(name), suite, trust })
}
