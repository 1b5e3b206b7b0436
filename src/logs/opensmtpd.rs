//! Lines of OpenSMTPD 6.8 to 7: each begins with the ID of a session. `smtp tls` and `mta tls` tell of TLS, `cert-check` (named
//! `server-cert-check` before 6.8) of the certificate.

use super::{
    Known,
    ledger::{Direction, Protection, Session, Tally, Trust, is_here, version},
    reason,
    recent::Recent,
    text::{cut, domain_of, field, has, host_key, word},
};

#[derive(Debug)]
pub(super) struct Opensmtpd {
    sessions: Recent<Vec<u8>, Open>,
}

#[derive(Debug, Default)]
struct Open {
    host: Vec<u8>,
    is_here: bool,
    session: Option<Session>,
    is_user: bool,
    messages: u64,
    /// A message whose sender is not known yet.
    is_open: bool,
}

impl Default for Opensmtpd {
    fn default() -> Self {
        Self { sessions: Recent::new(65_536) }
    }
}

/// Whether a line begins with the ID of a session.
pub(super) fn is_id(word: &[u8]) -> bool {
    word.len() == 16 && word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Opensmtpd {
    pub(super) fn read(&mut self, text: &[u8], tally: &mut Tally) -> Known {
        let (id, rest) = word(text);
        if let Some(rest) = text.strip_prefix(b"smtp-out: Error on session ") {
            let (id, why) = cut(rest, b": ").unwrap_or((rest, b""));
            if reason::is_tls(why) {
                tally.shows_tls(Direction::Outbound);
                let open = self.open(id);
                open.session = None;
                tally.failed_connection(Direction::Outbound, &open.host, why);
            }
            return Known::Yes;
        }
        if !is_id(id) {
            const WORDS: &[&[u8]] = &[
                b"info: ",
                b"warn: ",
                b"debug: ",
                b"fatal: ",
                b"smtpd: ",
                b"OpenSMTPD",
                b"table-",
                b"lka: ",
                b"control: ",
                b"queue: ",
                b"mta: ",
                b"smtp-out: ",
                b"smtp-in: ",
            ];
            return if WORDS.iter().any(|word| text.starts_with(word)) { Known::Yes } else { Known::No };
        }
        let (subsystem, rest) = word(rest);
        match subsystem {
            b"smtp" => self.server(id, rest, tally),
            b"mta" => self.client(id, rest, tally),
            b"mda" | b"bounce" | b"scheduler" | b"lka" | b"filter" | b"proc" => Known::Yes,
            _ => Known::No,
        }
    }

    fn server(&mut self, id: &[u8], rest: &[u8], tally: &mut Tally) -> Known {
        let (event, rest) = word(rest);
        match event {
            b"connected" => {
                // It tells of every session inside TLS, at every log level.
                tally.shows_tls(Direction::Inbound);
                let address = field(rest, b"address=", b" ").unwrap_or_default();
                let name = field(rest, b"host=", b" ").unwrap_or_default();
                let name = if name == b"<unknown>" { b"" } else { name };
                let host = host_key(name, &[b"[", address, b"]"].concat()).to_vec();
                let open = Open { host, is_here: address == b"local" || is_here(address), ..Open::default() };
                self.sessions.insert(id.to_vec(), open);
            }
            b"tls" => {
                tally.shows_tls(Direction::Inbound);
                let session = session(rest, tally);
                let open = self.open(id);
                open.session = Some(session);
                if !open.is_here {
                    tally.connection(Direction::Inbound, &open.host, Protection::Tls(session), false);
                }
            }
            b"authentication" => self.open(id).is_user = has(rest, b"result=ok"),
            b"message" => {
                let is_inside = field(rest, b"proto=", b" ").is_some_and(|name| name.starts_with(b"ESMTPS"));
                let open = self.open(id);
                open.messages += 1;
                open.is_open = true;
                let protection = match open.session {
                    Some(session) => Protection::Tls(session),
                    None if is_inside => Protection::Tls(Session::default()),
                    None => Protection::Clear,
                };
                if open.is_here {
                    tally.local += 1;
                } else if open.is_user {
                    tally.submissions += 1;
                } else {
                    if open.host.is_empty() && !is_inside {
                        tally.message(Direction::Inbound, None, b"", Protection::Unknown);
                        return Known::Yes;
                    }
                    tally.message(Direction::Inbound, None, &open.host, protection);
                }
            }
            b"envelope" => {
                let sender = cut(rest, b"from=<").and_then(|(_, rest)| cut(rest, b">")).map_or(&b""[..], |(sender, _)| sender);
                let open = self.open(id);
                // One line for each recipient: the first stands for the message.
                if open.is_open && !open.is_here && !open.is_user {
                    let protection = open.session.map_or(Protection::Clear, Protection::Tls);
                    open.is_open = false;
                    tally.partner(Direction::Inbound, domain_of(sender), protection);
                }
            }
            b"disconnected" => {
                let Some(open) = self.sessions.remove(&id.to_vec()) else { return Known::Yes };
                if open.is_here {
                    return Known::Yes;
                }
                let why = cut(rest, b"reason=").map_or(rest, |(_, why)| why);
                if open.session.is_none() && has(why, b"SSL routines") {
                    tally.failed_connection(Direction::Inbound, &open.host, why);
                } else if open.session.is_none() && open.messages > 0 {
                    tally.connection(Direction::Inbound, &open.host, Protection::Clear, false);
                }
            }
            b"failed-command" | b"bad-input" | b"cert-check" | b"client-cert-check" | b"filter-response" => {}
            _ => return Known::No,
        }
        Known::Yes
    }

    fn open(&mut self, id: &[u8]) -> &mut Open {
        self.sessions.entry(id.to_vec())
    }

    fn client(&mut self, id: &[u8], rest: &[u8], tally: &mut Tally) -> Known {
        let (event, rest) = word(rest);
        match event {
            b"connecting" => {
                tally.shows_tls(Direction::Outbound);
                let name = field(rest, b"host=", b" ").unwrap_or_default();
                let url = field(rest, b"address=", b" ").unwrap_or_default();
                let address = cut(url, b"://").map_or(url, |(_, address)| address);
                let bare = memchr::memrchr(b':', address).map_or(address, |at| &address[..at]);
                let host = host_key(name, &[b"[", bare, b"]"].concat()).to_vec();
                self.sessions.insert(id.to_vec(), Open { host, is_here: is_here(bare), ..Open::default() });
            }
            b"tls" => {
                tally.shows_tls(Direction::Outbound);
                let session = session(rest, tally);
                let open = self.open(id);
                open.session = Some(session);
                if !open.is_here {
                    tally.connection(Direction::Outbound, &open.host, Protection::Tls(session), false);
                }
            }
            b"cert-check" | b"server-cert-check" => {
                let is_valid = has(rest, b"\"verified\"") || has(rest, b"\"success\"") || has(rest, b"\"valid\"");
                let trust = if is_valid { Trust::Verified } else { Trust::Untrusted };
                let open = self.open(id);
                if let Some(session) = &mut open.session {
                    session.trust = Some(trust);
                    tally.judged(Direction::Outbound, trust);
                }
            }
            b"delivery" => return self.delivery(id, rest, tally),
            b"error" => {
                let open = self.open(id);
                let why = cut(rest, b"reason=").map_or(rest, |(_, why)| why);
                if reason::is_tls(why) && !open.is_here {
                    tally.failed_connection(Direction::Outbound, &open.host, why);
                }
            }
            b"disconnected" => _ = self.sessions.remove(&id.to_vec()),
            b"connected" | b"connection" | b"ssl_check_name:" | b"smtp-error" | b"auth" | b"tls-upgrade" | b"bad-input" => {}
            _ => return Known::No,
        }
        Known::Yes
    }

    fn delivery(&mut self, id: &[u8], rest: &[u8], tally: &mut Tally) -> Known {
        // `from=<...> to=<...> rcpt=<...> source="..." relay="..." delay=... result="Ok" stat="..."`: what is in `stat` was said by
        // the other side.
        let Some((_, behind)) = cut(rest, b" to=<") else { return Known::No };
        let Some((recipient, fields)) = cut(behind, b"> ") else { return Known::No };
        let (fields, stat) = cut(fields, b" stat=\"").unwrap_or((fields, b""));
        let domain = domain_of(recipient);
        let result = field(fields, b"result=\"", b"\"").unwrap_or_default();
        let known = self.sessions.get_mut(&id.to_vec());
        let relay = field(fields, b"relay=\"", b"\"").unwrap_or_default();
        let host = match &known {
            Some(open) if !open.host.is_empty() => open.host.clone(),
            // `10.0.0.1 (mx.test)`
            _ => field(relay, b"(", b")").filter(|name| !name.is_empty()).unwrap_or(relay).to_vec(),
        };
        if known.as_ref().is_some_and(|open| open.is_here) || is_here(relay) {
            tally.local += 1;
            return Known::Yes;
        }
        if result == b"Ok" {
            let protection = match known {
                Some(open) => open.session.map_or(Protection::Clear, Protection::Tls),
                None => Protection::Unknown,
            };
            tally.message(Direction::Outbound, Some(domain), &host, protection);
        } else if reason::is_tls(stat) {
            let host = if host.is_empty() || host == b"<>" { domain } else { &host };
            tally.failed_message(
                Direction::Outbound,
                domain,
                host,
                reason::result(stat),
                stat.strip_suffix(b"\"").unwrap_or(stat),
            );
        }
        Known::Yes
    }
}

/// `ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256`
fn session(rest: &[u8], tally: &mut Tally) -> Session {
    let text = field(rest, b"ciphers=", b" ").unwrap_or(rest);
    let (name, suite) = cut(text, b":").unwrap_or((text, b""));
    let suite = cut(suite, b":").map_or(suite, |(suite, _)| suite);
    Session { version: version(name), suite: tally.suite(suite), trust: None }
}
