//! Personas: what kinds of server say, word by word. Pure data, in `lab/<product>/<kind>.toml`.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::{
    scenario::{DhGroupName, Order, TlsVersion},
    tls::{Alert, Group, SignatureScheme, Suite, Version},
};

/// What one kind of server says. Texts are whole reply lines with `{placeholders}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Persona {
    /// The product and its version.
    pub title: String,
    /// The product family: `postfix`, `exim`, `exchange`.
    pub family: String,
    /// The Debian release whose package it is; the snapshots are those of a real one of that release.
    pub release: Option<String>,
    /// Whether its software is sold and not packaged, so that containers run the lab's own server with this persona.
    #[serde(default)]
    pub proprietary: bool,
    /// The kind of server whose image runs it, where it is that server with other settings.
    pub runs_on: Option<String>,
    /// What it says at connect.
    pub greeting: Greetings,
    /// Its reply to EHLO.
    pub ehlo: EhloReply,
    /// Its replies to STARTTLS.
    pub starttls: StarttlsReplies,
    /// The TLS versions that it offers unless a scenario says otherwise; those of `stock` if absent.
    pub tls: Option<TlsRange>,
    /// TLS as the product ships it on its operating system.
    pub stock: Stock,
    /// Its replies to the other commands; `.` is the end of the data.
    pub commands: BTreeMap<String, Saying>,
}

/// What is said at connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Greetings {
    /// Ready.
    pub ready: Saying,
    /// Too busy.
    pub throttled: Saying,
    /// Not for this source.
    pub blocked: Saying,
    /// To each command after that but QUIT; without it the connection is closed at once.
    pub after_blocked: Option<Saying>,
    /// To EHLO after that, where it is answered all the same.
    pub ehlo_after_blocked: Option<Saying>,
}

/// The reply to EHLO.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EhloReply {
    /// The text of the first line, without code.
    pub first: String,
    /// The other lines before TLS, STARTTLS among them.
    pub keywords: Vec<String>,
    /// The other lines inside TLS, where they are more than the absence of STARTTLS.
    pub keywords_in_tls: Option<Vec<String>>,
    /// Where this is known from.
    pub source: String,
}

/// The replies to STARTTLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StarttlsReplies {
    /// 220.
    pub ready: Saying,
    /// 454.
    pub unavailable: Saying,
    /// To a client that it was not offered to.
    pub not_offered: Saying,
    /// Inside TLS.
    pub already_active: Saying,
    /// To MAIL without TLS, where TLS is required.
    pub required: Saying,
    /// To the first command inside TLS of a client that had to show a certificate and did not; the connection ends.
    /// Without it the handshake fails.
    pub no_client_certificate: Option<Saying>,
}

/// The TLS versions of a product that is well looked after.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsRange {
    /// The lowest.
    pub min: TlsVersion,
    /// The highest.
    pub max: TlsVersion,
    /// The stock stack chooses group and scheme even where a scenario sets nothing; if absent, rustls does.
    pub exact: Option<bool>,
    /// Where this is known from.
    pub source: String,
}

/// How a stack chooses its group of finite-field Diffie-Hellman.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DhChoice {
    /// It has one.
    Fixed(DhGroupName),
    /// By the strength of the certificate's key or, where there is none, of the cipher, as OpenSSL does by itself.
    ByStrength,
}

/// For which suites a stack confirms encrypt-then-MAC (RFC 7366).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptThenMac {
    /// For none.
    Never,
    /// For those with a block cipher, as RFC 7366, 3, says.
    Cbc,
    /// For those without encryption too, as OpenSSL does.
    CbcAndNull,
}

/// The TLS stack of a product, as it comes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stock {
    /// The versions.
    pub versions: Vec<Version>,
    /// The suites of all versions, in its order.
    pub suites: Vec<Suite>,
    /// The key exchange groups, in its order.
    pub groups: Vec<Group>,
    /// The schemes that it signs with, in its order.
    pub schemes: Vec<SignatureScheme>,
    /// The group of finite-field Diffie-Hellman up to TLS 1.2.
    pub dh_group: DhChoice,
    /// Whose order of suites decides.
    pub preference: Order,
    /// Whether the extended master secret is confirmed (RFC 7627).
    pub extended_master_secret: bool,
    /// For which suites encrypt-then-MAC is confirmed (RFC 7366).
    pub encrypt_then_mac: EncryptThenMac,
    /// Whether session tickets are confirmed (RFC 5077).
    pub session_tickets: bool,
    /// Whether an ECDSA certificate is sent only to who offers its curve, too (RFC 8422, 5.1); each stack does so for the
    /// curves that hardly anybody offers.
    #[serde(default)]
    pub holds_to_curve: bool,
    /// Whether it reads supported_versions where it does not have TLS 1.3; stacks that are older do not (RFC 8446, 4.2.1).
    pub supported_versions: bool,
    /// The only protocol that it takes by ALPN; it refuses others (RFC 7301, 3.2). It ignores what is offered if absent.
    pub alpn: Option<String>,
    /// What it says to a client that has nothing newer than SSL 3.0; `handshake_failure` if absent.
    pub ssl3_alert: Option<Alert>,
    /// Where this is known from.
    pub source: String,
}

/// One reply and where it is known from; what has no source is marked `assumed`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Saying {
    /// The reply's lines, separated by line feeds.
    pub says: String,
    /// The source.
    pub source: String,
}

/// `.toml` files only: the folder also holds what the Docker backend builds images from.
#[derive(rust_embed::Embed)]
#[folder = "lab/"]
#[include = "*/*.toml"]
struct Files;

impl Persona {
    /// The persona of that kind.
    pub fn find(kind: &str) -> Option<&'static Self> {
        all().get(kind)
    }

    /// Its reply to a command that has no reply of its own kind here.
    pub fn reply_to<'a>(&'a self, verb: &str) -> &'a str {
        self.commands.get(verb).or_else(|| self.commands.get("unknown")).map_or("500 unrecognized command", |saying| &saying.says)
    }

    /// The EHLO lines after the first, before or inside TLS; STARTTLS is left to the server.
    pub fn keywords(&self, in_tls: bool) -> &[String] {
        match &self.ehlo.keywords_in_tls {
            Some(keywords) if in_tls => keywords,
            _ => &self.ehlo.keywords,
        }
    }
}

/// The kinds of server that the lab knows, in alphabetical order.
pub fn kinds() -> Vec<&'static str> {
    all().keys().map(String::as_str).collect()
}

fn all() -> &'static BTreeMap<String, Persona> {
    static ALL: LazyLock<BTreeMap<String, Persona>> = LazyLock::new(|| {
        let read = |path: std::borrow::Cow<'static, str>| {
            let kind = path.rsplit('/').next()?.strip_suffix(".toml")?.to_owned();
            let file = Files::get(&path)?;
            Some((kind, parse(std::str::from_utf8(&file.data).ok()?)))
        };
        Files::iter().filter_map(read).collect()
    });
    &ALL
}

#[expect(clippy::expect_used, reason = "the files are compiled in, and a test reads each of them")]
fn parse(text: &str) -> Persona {
    toml::from_str(text).expect("a persona file of this build is valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::ReplyReader;

    fn sayings(persona: &Persona) -> Vec<&Saying> {
        let Greetings { ready, throttled, blocked, after_blocked, ehlo_after_blocked } = &persona.greeting;
        let tls = &persona.starttls;
        let fixed = [ready, throttled, blocked, &tls.ready, &tls.unavailable, &tls.not_offered, &tls.already_active];
        let rare = [&tls.no_client_certificate, after_blocked, ehlo_after_blocked].into_iter().flatten();
        fixed.into_iter().chain(rare).chain(persona.commands.values()).collect()
    }

    #[test]
    fn every_persona_is_valid_smtp_and_names_its_sources() {
        assert!(kinds().len() >= 4, "{:?}", kinds());
        for (kind, persona) in all() {
            assert!(persona.keywords(false).iter().any(|k| k == "STARTTLS"), "{kind} never offers STARTTLS");
            assert!(!persona.ehlo.source.is_empty() && !persona.stock.source.is_empty());
            assert!(persona.tls.as_ref().is_none_or(|range| range.min <= range.max && !range.source.is_empty()));
            assert!(!persona.stock.suites.is_empty() && persona.stock.versions.is_sorted(), "{kind}");
            for saying in sayings(persona) {
                assert!(!saying.source.is_empty(), "{kind}: {:?} has no source", saying.says);
                let mut reader = ReplyReader::default();
                let wire = saying.says.replace('\n', "\r\n") + "\r\n";
                let replies: Vec<_> = wire.bytes().filter_map(|byte| reader.push(byte).expect("SMTP syntax")).collect();
                assert_eq!(replies.len(), 1, "{kind}: {:?}", saying.says);
            }
            for verb in ["HELO", "HELP", "NOOP", "RSET", "MAIL", "RCPT", "DATA", ".", "QUIT", "unknown"] {
                assert!(persona.commands.contains_key(verb), "{kind} has no reply to {verb}");
            }
        }
    }
}
