//! What was seen, as plain serialisable data. No opinions: those are [`crate::rules`]'.

mod beginnings;
mod certificate;
mod crl;
mod delivery;
mod distinguished;
mod domain;
mod encoded;
mod fetched;
mod merge;
mod ocsp;
mod offers;
pub mod usual;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use beginnings::{Beginning, Beginnings, Switch, Turns};
pub(crate) use certificate::hex;
pub use certificate::{Certificate, CertificateDetails, KeyAlgorithm, PublicKey, SanEntry, SignatureHash};
pub use crl::{Crl, CrlDetails};
pub use delivery::Delivery;
pub(crate) use distinguished::value as string_value;
pub use domain::{
    Absence, Alias, Answer as DnsAnswer, Bogus, BogusCause, DnsFailure, DomainFacts, FormerPolicy, HostFacts, MtaStsFacts,
    MxRecord, PassedOver, PolicyBody, PolicyFetch, PolicyResponse, Proof, TlsaLookup,
};
pub use encoded::{Details, Encoded};
pub use fetched::{Body, Errand, Fetched, Resource};
pub use merge::{MAX_VIEWS, MergeError, merge};
pub use ocsp::{OcspAnswer, OcspDetails, OcspResponse, RevocationStatus, reason_name};
pub use offers::{
    Alpn, Answer, ClientCertificate, Depth, DhGroup, Features, GroupList, HelloTrait, Intolerance, Narrowed, Offered, Offers,
    Preference, Question, Refusal, SchemeList, ServedChain, Sni, Taken, VersionOffer,
};

use crate::{
    name::Name,
    smtp::{ClientName, Ehlo, Reply},
    tls::Alert,
    wire::WireText,
};

/// Everything observed of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// What was checked.
    pub target: Target,
    /// One for each address and vantage point, in the order asked.
    pub views: Vec<View>,
    /// The names that DNS has for the addresses, where it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointers: Vec<Pointer>,
    /// What the check was told to fetch, wherever certificates point to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_to_fetch: Vec<Resource>,
    /// What the certificates point to, as far as it was to be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetched: Vec<Fetched>,
    /// The certificates of the server's own disk, where its owner showed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installed: Vec<Certificate>,
}

impl Facts {
    /// What was seen of a target, and nothing besides.
    pub fn new(target: Target, views: Vec<View>) -> Self {
        Self { target, views, pointers: Vec::new(), told_to_fetch: Vec::new(), fetched: Vec::new(), installed: Vec::new() }
    }
}

/// The PTR records of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// The address.
    pub address: IpAddr,
    /// The names that they give; empty where there are no such records.
    pub names: Observed<Vec<WireText>>,
}

/// The server in question: the name that senders look up, and the port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The reference identifier: what the certificate must name.
    pub name: Name,
    /// Usually 25.
    pub port: u16,
}

impl Target {
    /// Whether TLS begins with the first byte there (RFC 8314, 3.3).
    pub fn is_implicit(&self) -> bool {
        self.port == 465
    }
}

/// One address seen from one vantage point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Where it was seen from.
    pub vantage: Vantage,
    /// What was connected to.
    pub address: SocketAddr,
    /// TCP connections opened for this view, retries included.
    pub connections: u32,
    /// The dialog of the last connection.
    pub session: Session,
    /// The dialogs of earlier connections, oldest first, where a retry was needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Session>,
    /// How the other connections began.
    #[serde(default)]
    pub beginnings: Beginnings,
    /// What else was asked of its TLS.
    #[serde(default = "View::no_offers")]
    pub offers: Observed<Offers>,
    /// What is said to MAIL without TLS. No recipient and no message follows.
    #[serde(default = "View::no_mail")]
    pub mail_in_clear: Observed<Reply>,
    /// What became of a command that came with STARTTLS in one piece.
    #[serde(default = "View::no_injection")]
    pub injection: Observed<Injection>,
    /// What became of a mail transaction that was begun before TLS.
    #[serde(default = "View::no_transaction")]
    pub transaction: Observed<Transaction>,
}

/// What becomes of a mail transaction that is begun before TLS: the server must forget it (RFC 3207, 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transaction {
    /// Inside TLS another one can be begun where none could within the first, or the client has to introduce itself first.
    Forgotten,
    /// None can be begun before TLS, says this reply.
    NotBegun(Reply),
    /// What is said inside TLS fits either.
    Unclear(Reply),
    /// Inside TLS it is still open, says this reply.
    Kept(Reply),
    /// The server does not begin TLS in the middle of one, and says this.
    NoTls(Reply),
}

/// What becomes of a command that a client sends with STARTTLS in one piece: nobody could tell it from one that
/// somebody in between has put there (CVE-2011-0411).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// It was forgotten, as it must be (RFC 3207, 4.2).
    Discarded,
    /// The server refused the two together, or hung up on them each time, before TLS.
    BrokeOff,
    /// It was answered in the clear, after the 220.
    AnsweredInClear(WireText),
    /// It was answered inside TLS.
    AnsweredInTls(WireText),
}

impl View {
    /// Why nothing about STARTTLS is asked where TLS begins with the first byte.
    pub const IMPLICIT: &str = "TLS begins with the first byte on this port";

    /// A session, and nothing besides. Its address is none until it is set.
    pub fn of(vantage: Vantage, session: Session) -> Self {
        Self {
            vantage,
            address: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 25),
            connections: 1,
            session,
            earlier: Vec::new(),
            beginnings: Beginnings::default(),
            offers: Self::no_offers(),
            mail_in_clear: Self::no_mail(),
            injection: Self::no_injection(),
            transaction: Self::no_transaction(),
        }
    }

    /// Nothing was asked but what one session shows.
    pub fn no_offers() -> Observed<Offers> {
        Observed::NotAttempted(format!("not asked at --probe {}", Depth::Quick.name()))
    }

    /// It takes another connection.
    pub fn no_mail() -> Observed<Reply> {
        Observed::NotAttempted(format!("not asked at --probe {}", Depth::Quick.name()))
    }

    /// It may be taken for an attack, and is asked only when told.
    pub fn no_transaction() -> Observed<Transaction> {
        Observed::NotAttempted("not asked; --active does".to_owned())
    }

    /// It may be taken for an attack, and is asked only when told.
    pub fn no_injection() -> Observed<Injection> {
        Observed::NotAttempted("not asked; --active does".to_owned())
    }

    /// `192.0.2.1`, `partner (192.0.2.1)`, or `192.0.2.1 as mail.example.org`.
    pub fn vantage_text(&self) -> String {
        let place = match (&self.vantage.label, self.source()) {
            (Some(label), Some(source)) => format!("{label} ({source})"),
            (Some(label), None) => label.to_string(),
            (None, Some(source)) => source.to_string(),
            (None, None) => "this machine".to_owned(),
        };
        match &self.vantage.ehlo {
            Some(name) => format!("{place} as {name}"),
            None => place,
        }
    }

    /// Whether a client certificate was asked for, in the session or in what was asked besides.
    pub fn client_certificate(&self) -> &Observed<ClientCertificate> {
        let besides = self.offers.seen().map(|offers| &offers.client_certificate);
        match (&self.session.client_certificate, besides) {
            (Observed::Seen(ClientCertificate::NotRequested), Some(requested @ Observed::Seen(_))) => requested,
            (seen @ Observed::Seen(_), _) => seen,
            (_, Some(besides)) => besides,
            (unseen, None) => unseen,
        }
    }

    /// The source address that the server saw, as far as this end knows.
    pub fn source(&self) -> Option<IpAddr> {
        match &self.session.connection {
            Observed::Seen(connection) => Some(connection.source.ip()),
            _ => self.vantage.source,
        }
    }
}

/// A place that a server is looked at from, and who the client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vantage {
    /// A name for people, `partner` for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<WireText>,
    /// The source address that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The name, or address literal, to give in EHLO; without one it is the address literal of the source (RFC 5321, 4.1.4), which every
    /// server can check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ehlo: Option<ClientName>,
}

/// Evidence, its absence, or the fact that nobody asked: never to be confused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Observed<T> {
    /// The peer answered.
    Seen(T),
    /// It was asked, and no usable answer came.
    Failed(Failure),
    /// It was not asked; the text says why.
    NotAttempted(String),
}

impl<T> Observed<T> {
    /// The evidence, if there is any.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            _ => None,
        }
    }

    /// Why there is no evidence; empty where there is.
    pub fn why_not(&self) -> String {
        match self {
            Self::Seen(_) => String::new(),
            Self::Failed(failure) => failure.to_string(),
            Self::NotAttempted(why) => why.clone(),
        }
    }
}

/// Why no usable answer came, and so who is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// This machine could not even try: no route, no such source address.
    #[error("this machine could not try: {0}")]
    Local(String),
    /// The connection was refused.
    #[error("connection refused")]
    Refused,
    /// The network says that the address cannot be reached.
    #[error("address unreachable")]
    Unreachable,
    /// The connection was reset.
    #[error("connection reset by the server")]
    Reset,
    /// The server closed the connection.
    #[error("connection closed by the server")]
    Closed,
    /// Nothing, or not enough, came in time.
    #[error("no answer within {} s", millis / 1000)]
    TimedOut {
        /// How long was waited.
        millis: u64,
    },
    /// 421 or another 4xx: the server asks to come back later. Not an answer to the question.
    #[error("the server asks to come back later: {0}")]
    Throttled(Reply),
    /// 5xx to the connection itself, or words of whatever code about who asks: this source is not welcome. Not an answer to the
    /// question.
    #[error("{why}: {reply}", why = Self::why_blocked(.0), reply = .0)]
    Blocked(Reply),
    /// EHLO was not answered with 250.
    #[error("EHLO was answered {0}")]
    EhloRefused(Reply),
    /// The bytes are no SMTP; the first of them are quoted.
    #[error("not SMTP: {0}")]
    NotSmtp(String),
    /// Bytes arrived where the server had to wait for the TLS handshake or the next command.
    #[error("the server sent `{0}` before it was asked")]
    Unsolicited(WireText),
    /// The answer to the hello of TLS is no TLS; its first line is quoted.
    #[error("the server sent `{0}` where TLS had to begin")]
    NotTls(WireText),
    /// TLS was never begun: STARTTLS was not offered, or refused.
    #[error("TLS was not begun: {0}")]
    NotBegun(String),
    /// The TLS handshake failed; with the alert if one was received.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// What was fetched by HTTP did not come; why.
    #[error("{0}")]
    Http(String),
    /// DNS gave no answer.
    #[error("{0}")]
    Dns(DnsFailure),
}

impl Failure {
    /// What a server says that has trouble of its own, which may be over the next time (RFC 8446, 6.2).
    pub const INTERNAL_ERROR: &str = "the server sent the alert internal_error";
    /// What a client says that knows TLS 1.2 and 1.3, and was answered with an older version.
    pub const OLDER_VERSION: &str = "the server chose a version older than TLS 1.2";
    /// What comes behind the words about an alert that no hello was sent for.
    pub const UNASKED: &str = " before it was sent a hello";

    fn why_blocked(reply: &Reply) -> &'static str {
        match reply.minds_the_reverse_name() {
            true => "the server minds this source's reverse name in DNS, or that there is none",
            false if reply.takes_no_mail() => "the server says that it takes no mail, from nobody",
            false => "the server turns this source away",
        }
    }

    /// A reply that is no answer to the question: of a server that asks to come back, or that minds who asks.
    pub fn put_off(reply: Reply) -> Self {
        if reply.turns_the_client_away() { Self::Blocked(reply) } else { Self::Throttled(reply) }
    }

    /// The server ended the handshake with an alert.
    pub fn alert(alert: Alert) -> Self {
        Self::Tls(format!("the server sent the alert {alert}"))
    }

    /// The server sent an alert where it had to wait for a hello.
    pub fn unasked_alert(alert: Alert) -> Self {
        Self::Tls(format!("the server sent the alert {alert}{}", Self::UNASKED))
    }

    /// Whether it is the alert of a server that was not yet sent a hello.
    pub fn is_unasked_alert(&self) -> bool {
        matches!(self, Self::Tls(why) if why.ends_with(Self::UNASKED))
    }

    /// Whether the server said with an alert what is wrong.
    pub fn is_alert(&self) -> bool {
        !self.is_unasked_alert() && matches!(self, Self::Tls(why) if why.starts_with("the server sent the alert "))
    }

    /// What the server said in the clear where TLS had to begin.
    pub fn in_clear(&self) -> Option<&WireText> {
        match self {
            // Who says 421 closes, and goes on with nothing (RFC 5321, 3.8).
            Self::Unsolicited(text) | Self::NotTls(text) if text.as_str().starts_with("421") => None,
            Self::Unsolicited(text) => Some(text),
            // It may also be what somebody else scrambled: only a reply of SMTP is known to be one.
            Self::NotTls(text) => match text.as_str().as_bytes() {
                [b'2'..=b'5', tens, ones, b' ' | b'-', ..] if tens.is_ascii_digit() && ones.is_ascii_digit() => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether asking again may help: the server gave no answer that it would repeat.
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Reset | Self::Closed | Self::Throttled(_) => true,
            Self::Tls(why) => why == Self::INTERNAL_ERROR || self.is_unasked_alert(),
            _ => false,
        }
    }
}

/// One dialog: connect, greeting, EHLO, STARTTLS, handshake, EHLO, QUIT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The TCP connection.
    pub connection: Observed<Connection>,
    /// What the server says first: 220 with its name.
    pub greeting: Observed<Reply>,
    /// The reply to the first EHLO.
    pub ehlo: Observed<Ehlo>,
    /// The reply to HELP, which proves nothing: asked only where STARTTLS is not
    /// offered, since people mistake it for evidence.
    pub help: Observed<Reply>,
    /// The reply to HELO: asked only of a server that does not know EHLO (RFC 5321, 3.2).
    #[serde(default = "Session::not_asked")]
    pub helo: Observed<Reply>,
    /// The reply to STARTTLS, positive or not.
    pub starttls: Observed<Reply>,
    /// The reply to STARTTLS where it was not offered.
    #[serde(default = "Session::not_asked")]
    pub unoffered_starttls: Observed<Reply>,
    /// The finished handshake.
    pub tls: Observed<TlsSession>,
    /// The chain as it was sent; may be seen though the handshake failed later.
    pub certificates: Observed<Vec<Certificate>>,
    /// The OCSP response that was stapled to it (RFC 6066, 8; RFC 8446, 4.4.2.1); seen and none where none was.
    #[serde(default = "Session::no_staple")]
    pub staple: Observed<Option<OcspResponse>>,
    /// Whether the server proved that it holds the key of the first certificate.
    pub possession: Observed<Possession>,
    /// Whether the handshake asked this client for a certificate; it has none to show.
    pub client_certificate: Observed<ClientCertificate>,
    /// The reply to the second EHLO, inside TLS.
    pub ehlo_after: Observed<Ehlo>,
    /// The reply to QUIT.
    pub quit: Observed<Reply>,
    /// Every line sent and received, in order.
    pub transcript: Vec<Line>,
}

impl Session {
    /// Reports of earlier versions say nothing of it.
    fn not_asked() -> Observed<Reply> {
        Observed::NotAttempted("not asked".to_owned())
    }

    /// Likewise.
    fn no_staple() -> Observed<Option<OcspResponse>> {
        Observed::NotAttempted("not asked".to_owned())
    }

    /// A session in which nothing was asked, for `why`.
    pub fn not_attempted(why: &str) -> Self {
        fn not<T>(why: &str) -> Observed<T> {
            Observed::NotAttempted(why.to_owned())
        }
        Self {
            connection: not(why),
            greeting: not(why),
            ehlo: not(why),
            help: not(why),
            helo: not(why),
            unoffered_starttls: not(why),
            starttls: not(why),
            tls: not(why),
            certificates: not(why),
            staple: not(why),
            possession: not(why),
            client_certificate: not(why),
            ehlo_after: not(why),
            quit: not(why),
            transcript: Vec::new(),
        }
    }
}

impl Session {
    /// Where the dialog broke off and why; `complete` where it did not.
    pub fn ended(&self) -> String {
        fn failure<'a, T>(stage: &'static str, observed: &'a Observed<T>) -> Option<(&'static str, &'a Failure)> {
            match observed {
                Observed::Failed(failure) => Some((stage, failure)),
                _ => None,
            }
        }
        let broke_off = failure("connection", &self.connection)
            .or_else(|| failure("greeting", &self.greeting))
            .or_else(|| failure("EHLO", &self.ehlo))
            .or_else(|| failure("STARTTLS", &self.starttls))
            .or_else(|| failure("TLS handshake", &self.tls))
            .or_else(|| failure("EHLO in TLS", &self.ehlo_after));
        broke_off.map_or_else(|| "complete".to_owned(), |(stage, failure)| format!("broke off at the {stage}: {failure}"))
    }

    /// Whether the server was ready for TLS; none where that did not show.
    pub fn readiness(&self) -> Option<bool> {
        match (&self.starttls, &self.ehlo) {
            (Observed::Seen(reply), _) if reply.is_positive() => Some(true),
            (Observed::Seen(reply), _) => reply.refuses_starttls().then_some(false),
            (_, Observed::Seen(ehlo)) if !ehlo.offers("STARTTLS") => ehlo.nearly_offers("STARTTLS").is_none().then_some(false),
            _ => self.helo.seen().is_some_and(Reply::is_positive).then_some(false),
        }
    }

    /// Whether another dialog got the same answers about TLS, and ended as this one did.
    pub fn is_repeated_by(&self, other: &Self) -> bool {
        let about_tls = |session: &Self| {
            let Self { ehlo, helo, help, starttls, unoffered_starttls, .. } = session;
            (ehlo.clone(), helo.clone(), help.clone(), starttls.clone(), unoffered_starttls.clone(), session.ended())
        };
        self.tls.seen().is_none() && about_tls(self) == about_tls(other)
    }
}

/// An established TCP connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The address that this end used.
    pub source: SocketAddr,
}

/// A finished TLS handshake, as the checker's own client negotiated it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSession {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// The IANA name of the suite.
    pub suite: String,
    /// The IANA name of the key exchange group, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The proof that the server holds the private key of its certificate: its signature
/// over the handshake (RFC 8446, 4.4.3; RFC 5246, 7.4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Possession {
    /// The signature is right; with the IANA name of its scheme.
    Proven(String),
    /// The signature is wrong.
    Refuted(String),
    /// This build cannot verify signatures of that scheme.
    NotVerified(String),
}

/// One line of the transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Who spoke.
    pub from: Speaker,
    /// What was said, escaped.
    pub text: WireText,
    /// Milliseconds since the connection was asked for.
    pub millis: u64,
}

/// A party of the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The checker.
    Client,
    /// The server.
    Server,
    /// Neither: what happened between them, such as the handshake.
    Event,
}
