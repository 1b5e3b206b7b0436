//! TLS of the embedded servers.
//!
//! A server without a TLS fault is rustls alone. Any other reads the ClientHello first, decides as its
//! stack would, and then either lets rustls complete the handshake, restricted to exactly what was
//! decided, or answers with a flight of the lab's own, which ends there. With the feature `legacy-tls`
//! OpenSSL completes what rustls cannot, likewise restricted.

mod flight;
mod hello;
mod keys;
#[cfg(feature = "legacy-tls")]
mod legacy;
mod modern;
mod stack;

use std::{
    io::{self, Cursor},
    sync::Arc,
    time::Duration,
};

use rustls::{ServerConfig, crypto::aws_lc_rs, sign::SingleCertAndKey};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Chain, Join},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::visited::Negotiated;
use crate::{
    lab::persona::Persona,
    name::Name,
    plan::{Answer, Offer, ServerPlan, TlsPlan},
    scenario::{ClientCertificateFault, Flight, HandshakeEnd, HelloKind, SniFault, TlsVersion},
    tls::{Alert, Suite, Version},
    wire::WireText,
};
use flight::Content;
pub(crate) use hello::{Hello, HelloError};
use keys::Credential;
use stack::{Choice, Decision, Stack};

/// Why credentials cannot be served. The plan is at fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The key is no PKCS#8 PEM of a kind that is known here.
    #[error("cannot load the private key: {0}")]
    Key(String),
    /// The versions and the key do not go together.
    #[error("cannot configure TLS: {0}")]
    Config(#[from] rustls::Error),
}

/// How an embedded server speaks TLS.
pub(super) enum Tls {
    /// As rustls does.
    Plain(TlsAcceptor),
    /// As its stack decides.
    Stack(Box<Responder>),
}

/// A connection of which the first bytes are read again.
type Replayed = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;

/// Inside TLS, whichever library speaks it.
pub(super) type Inside = Box<dyn Secured>;

/// What there is to know of a connection inside TLS.
pub(super) trait Secured: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether the client showed a certificate.
    fn has_client_certificate(&self) -> bool;

    /// What was negotiated.
    fn negotiated(&self) -> Negotiated;

    /// The connection below TLS.
    fn below(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin);
}

impl Secured for TlsStream<Replayed> {
    fn has_client_certificate(&self) -> bool {
        self.get_ref().1.peer_certificates().is_some()
    }

    fn negotiated(&self) -> Negotiated {
        let connection = self.get_ref().1;
        let version = connection.protocol_version().and_then(|version| Version::from_code(version.into()));
        let suite = connection.negotiated_cipher_suite().map(|suite| Suite(u32::from(u16::from(suite.suite()))));
        Negotiated {
            version: version.map_or_else(String::new, |version| version.name().to_owned()),
            suite: suite.map_or_else(String::new, |suite| suite.to_string()),
            server_name: connection.server_name().map(WireText::from),
            client_certificate: self.has_client_certificate(),
        }
    }

    fn below(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        self.get_mut().0
    }
}

#[cfg(feature = "legacy-tls")]
impl Secured for tokio_openssl::SslStream<Replayed> {
    fn has_client_certificate(&self) -> bool {
        self.ssl().peer_certificate().is_some()
    }

    fn negotiated(&self) -> Negotiated {
        let ssl = self.ssl();
        let name = ssl.servername(openssl::ssl::NameType::HOST_NAME);
        Negotiated {
            version: ssl.version_str().to_owned(),
            suite: ssl.current_cipher().and_then(|cipher| cipher.standard_name()).unwrap_or_default().to_owned(),
            server_name: name.map(WireText::from),
            client_certificate: self.has_client_certificate(),
        }
    }

    fn below(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        self.get_mut()
    }
}

/// A server that decides before rustls does.
pub(super) struct Responder {
    plan: TlsPlan,
    host: Name,
    stack: Stack,
    credentials: Vec<Credential>,
    /// What is sent where the host is not asked for by name.
    nameless: Vec<Credential>,
    /// Whether the handshake of a client that has to show a certificate goes on without.
    waits_for_certificate: bool,
}

const UNEXPECTED_MESSAGE: Alert = Alert(10);
const UNRECOGNIZED_NAME: Alert = Alert(112);
/// A client that wants more of a flight than there is gets no more time.
const LINGER: Duration = Duration::from_secs(10);
/// A client that is told nothing goes before that.
const SILENCE: Duration = Duration::from_secs(300);
/// Between two bytes of a dripping server.
const DRIP: Duration = Duration::from_secs(1);
/// A client says no more after its ClientHello.
const MAX_ANSWER: u64 = 1 << 18;

/// The TLS of a plan; none where it is off for everyone.
pub(super) fn of(plan: &ServerPlan, persona: &'static Persona) -> Result<Option<Tls>, TlsSetupError> {
    if matches!(plan.offer, Offer::Nobody | Offer::Masked) || plan.answer != Answer::Handshake {
        return Ok(None);
    }
    let is_plain = plan.tls.is_plain() && plan.nameless.is_none();
    let provider = aws_lc_rs::default_provider();
    let first = Credential::new(&plan.credentials, &provider)?;
    let range = persona.tls.as_ref().filter(|range| range.exact.is_none());
    if let (true, Some(range), None, true) = (is_plain, range, &plan.second, first.is_for_rustls()) {
        let all = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
        let settings = &plan.tls.settings;
        let offered = settings.min.unwrap_or(range.min)..=settings.max.unwrap_or(range.max);
        let versions: Vec<_> = all.iter().filter(|(version, _)| offered.contains(version)).map(|(_, v)| *v).collect();
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(first.certified)));
        return Ok(Some(Tls::Plain(TlsAcceptor::from(Arc::new(config)))));
    }
    let second = plan.second.as_ref().map(|second| Credential::new(second, &provider)).transpose()?;
    let nameless = plan.nameless.as_ref().map(|nameless| Credential::new(nameless, &provider)).transpose()?;
    let stack = Stack::new(&plan.tls, persona);
    Ok(Some(Tls::Stack(Box::new(Responder {
        // Messages behind the ServerHello are in the clear up to TLS 1.2 only.
        stack: if plan.tls.handshake.is_some() { stack.in_the_clear() } else { stack },
        plan: plan.tls.clone(),
        host: plan.host.clone(),
        credentials: std::iter::once(first).chain(second).collect(),
        nameless: nameless.into_iter().collect(),
        waits_for_certificate: persona.starttls.no_client_certificate.is_some(),
    }))))
}

impl Tls {
    /// Shakes hands; none where the handshake ends without TLS, as it was planned. A stranger gets another certificate.
    pub async fn accept(&self, stream: TcpStream, is_stranger: bool) -> io::Result<Option<Inside>> {
        match self {
            Self::Plain(acceptor) => Ok(Some(Box::new(acceptor.accept(replay(Vec::new(), stream)).await?))),
            Self::Stack(responder) => responder.accept(stream, is_stranger).await,
        }
    }
}

/// The connection as it was before `bytes` were read of it.
fn replay(bytes: Vec<u8>, stream: TcpStream) -> Replayed {
    let (read, write) = stream.into_split();
    tokio::io::join(Cursor::new(bytes).chain(read), write)
}

impl Responder {
    async fn accept(&self, mut stream: TcpStream, is_stranger: bool) -> io::Result<Option<Inside>> {
        let hello = match Hello::read(&mut stream).await {
            Ok(hello) => hello,
            Err(HelloError::Io(error)) => return Err(error),
            Err(HelloError::Syntax) => return refuse(stream, UNEXPECTED_MESSAGE, Version::Tls10).await,
        };
        sleep(self.plan.delay).await;
        if let Some(fault) = self.plan.intolerant_of.filter(|fault| is_of_kind(&hello, fault.of)) {
            return end(stream, fault.r#do.unwrap_or(HandshakeEnd::Close), Version::Tls10, &[]).await;
        }
        let asked = hello.server_name();
        let is_foreign = asked.is_some_and(|name| !name.eq_ignore_ascii_case(self.host.as_str()));
        let credentials = match self.plan.sni {
            Some(SniFault::Required) if asked.is_none() => return refuse(stream, UNRECOGNIZED_NAME, Version::Tls10).await,
            Some(SniFault::Strict) if asked.is_none() || is_foreign => {
                return refuse(stream, UNRECOGNIZED_NAME, Version::Tls10).await;
            }
            Some(SniFault::NamesRejected) if asked.is_some() => return refuse(stream, UNRECOGNIZED_NAME, Version::Tls10).await,
            Some(SniFault::ForeignRejected) if is_foreign => return refuse(stream, UNRECOGNIZED_NAME, Version::Tls10).await,
            Some(SniFault::OtherCertificate | SniFault::OtherCertificateSameKey) if asked.is_none() || is_foreign => {
                &self.nameless
            }
            _ if is_stranger => &self.nameless,
            _ => &self.credentials,
        };
        if hello.is_ssl2 && hello.version == Version::Ssl2.code() && self.stack.versions.contains(&Version::Ssl2) {
            let certificate = credentials.iter().find(|credential| credential.rsa_bits().is_some());
            let certificate = certificate.and_then(|credential| credential.chain.first()).map_or(&[][..], Vec::as_slice);
            stream.write_all(&flight::server_hello_ssl2(certificate, &self.stack.ssl2_kinds(&hello))).await?;
            return linger(stream, LINGER).await;
        }
        match self.stack.decide(&hello, credentials) {
            Decision::Refuse(alert) => match self.plan.handshake {
                Some(fault) if fault.at == Flight::ClientHello => end(stream, fault.r#do, Version::Tls10, &[]).await,
                _ => {
                    let how = self.plan.stack.as_ref().and_then(|stack| stack.refusal);
                    end(stream, how.unwrap_or(HandshakeEnd::Alert(alert)), Version::Tls10, &[]).await
                }
            },
            Decision::Choose(choice) => self.go_on(stream, hello, &choice, false).await,
            Decision::Retry(choice) => self.go_on(stream, hello, &choice, true).await,
        }
    }

    /// Answers with what was chosen: with a library where one can, otherwise with the lab's own bytes.
    async fn go_on(&self, stream: TcpStream, hello: Hello, choice: &Choice<'_>, is_retry: bool) -> io::Result<Option<Inside>> {
        let asked = self
            .plan
            .client_certificate
            .map(|asked| ClientCertificateFault { required: asked.required.filter(|_| !self.waits_for_certificate), ..asked });
        if self.is_for_rustls(&hello, choice) {
            let config = modern::config(choice, asked, self.stack.session_tickets);
            if let Some(config) = config.map_err(io::Error::other)? {
                let stream = replay(hello.bytes, stream);
                return Ok(Some(Box::new(TlsAcceptor::from(Arc::new(config)).accept(stream).await?)));
            }
        }
        #[cfg(feature = "legacy-tls")]
        if self.plan.handshake.is_none()
            && let Some(ssl) = legacy::server(&self.stack, &hello, choice, asked)
        {
            return Ok(Some(Box::new(legacy::accept(ssl, replay(hello.bytes, stream)).await?)));
        }
        if choice.version == Version::Tls13 {
            let mut stream = stream;
            let message = flight::server_hello_tls13(&hello, choice, is_retry);
            stream.write_all(&flight::records(Content::Handshake, choice.version, &message)).await?;
            return linger(stream, LINGER).await;
        }
        let messages = flight::messages(&self.stack, &hello, choice, self.plan.client_certificate).map_err(io::Error::other)?;
        self.send(stream, choice.version, messages).await
    }

    /// Whether rustls would answer this hello with this choice as the stack does.
    fn is_for_rustls(&self, hello: &Hello, choice: &Choice) -> bool {
        let is_plain = hello.schemes().is_some() && hello.groups().is_some() && !hello.is_ssl2;
        let stack = &self.stack;
        let compresses = stack.compression && hello.compressions.contains(&1);
        let confirms = stack.secure_renegotiation && stack.extended_master_secret && !compresses;
        let has_group = choice.group.is_some_and(modern::has_group);
        let is_modern = choice.version == Version::Tls13 || (choice.version == Version::Tls12 && confirms);
        let is_known = choice.credential.is_none_or(Credential::is_for_rustls);
        is_plain && has_group && is_modern && is_known && self.plan.handshake.is_none()
    }

    /// Sends the messages up to the one at which the handshake breaks off.
    async fn send(
        &self,
        mut stream: TcpStream,
        version: Version,
        messages: Vec<(Flight, Vec<u8>)>,
    ) -> io::Result<Option<Inside>> {
        let is_sent = |flight: Flight| self.plan.handshake.is_none_or(|fault| flight <= fault.at);
        let join = |messages: Vec<(Flight, Vec<u8>)>| -> Vec<u8> {
            messages.iter().flat_map(|(_, message)| flight::records(Content::Handshake, version, message)).collect()
        };
        let (sent, held): (Vec<_>, Vec<_>) = messages.into_iter().partition(|(flight, _)| is_sent(*flight));
        stream.write_all(&join(sent)).await?;
        match self.plan.handshake {
            Some(fault) => {
                if fault.at == Flight::Finished && !has_finished(&mut stream).await? {
                    return Ok(None);
                }
                end(stream, fault.r#do, version, &join(held)).await
            }
            // The keys of old suites are not computed: this is as far as it goes.
            None if has_finished(&mut stream).await? => refuse(stream, Alert::INTERNAL_ERROR, version).await,
            None => Ok(None),
        }
    }
}

fn is_of_kind(hello: &Hello, kind: HelloKind) -> bool {
    match kind {
        HelloKind::Tls13 => hello.offers(Version::Tls13, true),
        HelloKind::MiddleSizedHello => (256..512).contains(&hello.size),
        HelloKind::Tls12 => hello.offers(Version::Tls13, true) || hello.offers(Version::Tls12, true),
        HelloKind::HugeHello => hello.size > 1400,
        HelloKind::LargeHello => hello.size > 512,
        HelloKind::FragmentedHello => hello.records > 1,
        HelloKind::EmptyKeyShare => hello.extension(51).is_some_and(|shares| shares == [0, 0]),
        HelloKind::UnknownExtension => hello.has_unknown_extension(),
        HelloKind::Named => hello.server_name().is_some(),
        HelloKind::HybridGroup => hello.groups().is_some_and(|groups| groups.contains(&crate::tls::Group(0x11ec))),
        HelloKind::ManySuites => hello.suites.len() > 64,
    }
}

/// Ends the handshake with an alert.
async fn refuse(stream: TcpStream, alert: Alert, version: Version) -> io::Result<Option<Inside>> {
    end(stream, HandshakeEnd::Alert(alert), version, &[]).await
}

/// Ends the handshake; `held` is what would have come next.
async fn end(mut stream: TcpStream, how: HandshakeEnd, version: Version, held: &[u8]) -> io::Result<Option<Inside>> {
    match how {
        HandshakeEnd::Alert(alert) => stream.write_all(&flight::alert(alert, version)).await?,
        HandshakeEnd::Close => {}
        HandshakeEnd::Reset => {
            stream.set_zero_linger()?;
            return Ok(None);
        }
        // No content type of TLS.
        HandshakeEnd::Garbage => stream.write_all(&[0xaa; 64]).await?,
        HandshakeEnd::Silence => return linger(stream, SILENCE).await,
        HandshakeEnd::Drip => {
            // Where nothing was to come, it is a record that never ends.
            let held = if held.is_empty() { &[22, 3, 1, 0x40, 0][..] } else { held };
            for byte in held.iter().take(usize::try_from(SILENCE.as_secs() / DRIP.as_secs()).unwrap_or(0)) {
                stream.write_all(&[*byte]).await?;
                sleep(DRIP).await;
            }
            return linger(stream, SILENCE).await;
        }
    }
    stream.shutdown().await?;
    // What is unread when a socket closes resets it, and the client may lose the alert.
    linger(stream, LINGER).await
}

/// Reads on and forgets it, until the client has gone or the time is over.
async fn linger(stream: TcpStream, patience: Duration) -> io::Result<Option<Inside>> {
    let mut rest = stream.take(MAX_ANSWER);
    let _ = timeout(patience, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(None)
}

/// Whether the client's Finished comes: the record behind its ChangeCipherSpec.
async fn has_finished(stream: &mut TcpStream) -> io::Result<bool> {
    let deadline = Instant::now() + LINGER;
    let mut is_changed = false;
    let mut left = MAX_ANSWER;
    loop {
        let mut header = [0; 5];
        match timeout_at(deadline, stream.read_exact(&mut header)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Ok(false),
        }
        let size = u64::from(u16::from_be_bytes([header[3], header[4]]));
        left = left.saturating_sub(size);
        let mut body = stream.take(size);
        let read = timeout_at(deadline, tokio::io::copy(&mut body, &mut tokio::io::sink())).await??;
        match header[0] {
            _ if read < size || left == 0 => return Ok(false),
            20 => is_changed = true,
            22 if is_changed => return Ok(true),
            22 => {}
            _ => return Ok(false),
        }
    }
}

/// Each flight is read by parsers that others wrote: tls-parser, and OpenSSL's client.
#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, process::Stdio};

    use rstest::rstest;
    use tls_parser::{
        TlsMessage, TlsMessageHandshake as Message, parse_content_and_signature, parse_dh_params, parse_ecdh_params,
        parse_tls_message_handshake,
    };
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use crate::{
        lab::embedded::EmbeddedServer,
        plan::{Issuance, Plan},
        scenario::{Known, SourceFile, parse, schema},
        tls::{Group, SignatureScheme, Suite, Version},
    };

    /// The plan of a server of that kind with these lines in its scenario.
    pub(super) async fn plan(kind: &str, lines: &str) -> Plan {
        let text = format!(
            "title = 'x'\nwhy = 'x'\nclauses = []\npractice = 'strong-keys'\nserver.kinds = ['{kind}']\nexpect.must-not = ['*']\n{lines}"
        );
        let schema = schema(&Known { rules: &[], kinds: &[kind], policies: &[] });
        let scenario = parse(&SourceFile { name: "x".to_owned(), bytes: text.into_bytes() }, &schema).unwrap();
        let kind = kind.to_owned();
        let resolve = move || Plan::resolve("x/x", &scenario, &kind, Issuance::now()).unwrap();
        tokio::task::spawn_blocking(resolve).await.unwrap()
    }

    pub(super) async fn start(kind: &str, lines: &str) -> EmbeddedServer {
        EmbeddedServer::start(&plan(kind, lines).await).await.unwrap()
    }

    fn list<const N: usize>(bytes: &[u8]) -> Vec<u8> {
        super::flight::with_length::<N>(bytes)
    }

    /// A hello up to TLS 1.2 that offers one suite, every group and scheme, and everything that can be confirmed.
    pub(super) fn hello(version: Version, suite: Suite) -> Vec<u8> {
        let groups: Vec<u8> = Group::NAMED.iter().flat_map(|(group, _)| group.0.to_be_bytes()).collect();
        let schemes: Vec<u8> = SignatureScheme::NAMED.iter().flat_map(|(scheme, _)| scheme.0.to_be_bytes()).collect();
        let content =
            [(10_u16, list::<2>(&groups)), (11, vec![1, 0]), (13, list::<2>(&schemes)), (22, vec![]), (23, vec![]), (35, vec![])];
        let extensions: Vec<u8> =
            content.iter().flat_map(|(code, content)| [&code.to_be_bytes()[..], &list::<2>(content)].concat()).collect();
        let suites = [&suite.0.to_be_bytes()[2..], &[0x00, 0xff]].concat();
        let body = [&version.code().to_be_bytes()[..], &[7; 32], &[0], &list::<2>(&suites), &[2, 1, 0], &list::<2>(&extensions)];
        let message = [&[1][..], &list::<3>(&body.concat())].concat();
        [&[22, 3, 1][..], &list::<2>(&message)].concat()
    }

    /// What the server sends behind STARTTLS in answer to `hello`, until it waits.
    async fn ask(address: SocketAddr, hello: &[u8]) -> Vec<u8> {
        let mut stream = BufReader::new(tokio::net::TcpStream::connect(address).await.unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"STARTTLS\r\n").await.unwrap();
        stream.read_line(&mut line).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, hello).await.unwrap();
        // The client's half ends: the server sees a client that is gone, and stops waiting for it.
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        answer
    }

    /// The handshake messages of records that are all of that version.
    pub(super) fn handshake(mut bytes: &[u8], version: Version) -> Vec<u8> {
        let mut messages = Vec::new();
        while let [22, major, minor, high, low, rest @ ..] = bytes {
            assert_eq!(u16::from_be_bytes([*major, *minor]), version.code());
            let (fragment, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            messages.extend(fragment);
            bytes = rest;
        }
        assert_eq!(bytes, [0; 0], "no other records");
        messages
    }

    #[rstest]
    #[case("SSLv3", "TLS_RSA_WITH_RC4_128_SHA", "", 0)]
    #[case("SSLv3", "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", "", 2048)]
    #[case("TLSv1.0", "TLS_RSA_EXPORT_WITH_RC4_40_MD5", "", 0)]
    #[case("TLSv1.0", "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", "", 512)]
    #[case("TLSv1.0", "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "", 0)]
    #[case("TLSv1.1", "TLS_RSA_WITH_DES_CBC_SHA", "", 0)]
    #[case("TLSv1.1", "TLS_DH_anon_WITH_AES_128_CBC_SHA", "dh-group = 'modp768'", 768)]
    #[case("TLSv1.2", "TLS_RSA_WITH_NULL_SHA256", "", 0)]
    #[case("TLSv1.2", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "dh-group = 'composite-2048'", 2048)]
    #[case("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "groups = ['secp192r1']", 0)]
    #[case("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "schemes = ['rsa_pkcs1_md5']", 0)]
    #[tokio::test]
    async fn tls_parser_reads_every_flight(
        #[case] version: &str,
        #[case] suite: &str,
        #[case] more: &str,
        #[case] dh_bits: usize,
    ) {
        let server = start("postfix", &format!("[fault.tls]\nversions = ['{version}']\nsuites = ['{suite}']\n{more}")).await;
        let (version, suite) = (Version::from_name(version).unwrap(), Suite::from_name(suite).unwrap());
        let messages = handshake(&ask(server.address, &hello(version, suite)).await, version);
        let (mut left, mut seen) = (messages.as_slice(), Vec::new());
        while !left.is_empty() {
            let (rest, TlsMessage::Handshake(message)) = parse_tls_message_handshake(left).unwrap() else { panic!("{left:?}") };
            left = rest;
            match message {
                Message::ServerHello(hello) => {
                    seen.push("hello");
                    assert_eq!((hello.version.0, u32::from(hello.cipher.0)), (version.code(), suite.0));
                    assert_eq!(hello.compression.0, 0);
                    // tls-parser reads no extensions of SSL 3.0.
                    let extensions = hello.ext.unwrap_or(&[0xff, 1, 0, 1, 0]);
                    assert!(extensions.starts_with(&[0xff, 1, 0, 1, 0]), "{extensions:?}");
                }
                Message::Certificate(chain) => {
                    seen.push("certificate");
                    assert_eq!(chain.cert_chain.len(), 2);
                }
                Message::ServerKeyExchange(exchange) => {
                    seen.push("exchange");
                    let is_tls12 = version == Version::Tls12;
                    let name = suite.name().unwrap();
                    if name.contains("ECDH") && !name.contains("anon") {
                        parse_content_and_signature(exchange.parameters, parse_ecdh_params, is_tls12).unwrap();
                    } else if name.contains("DHE") {
                        let parsed = parse_content_and_signature(exchange.parameters, parse_dh_params, is_tls12);
                        assert_eq!(parsed.unwrap().1.0.dh_p.len() * 8, dh_bits);
                    } else if dh_bits > 0 {
                        assert_eq!(parse_dh_params(exchange.parameters).unwrap().1.dh_p.len() * 8, dh_bits);
                    }
                }
                Message::ServerDone(_) => seen.push("done"),
                other => panic!("{other:?}"),
            }
        }
        let is_static = suite.name().unwrap().starts_with("TLS_RSA_WITH");
        let is_anonymous = suite.name().unwrap().contains("anon");
        let expected = ["hello", "certificate", "exchange", "done"].into_iter();
        let skipped = |step: &&str| !(is_static && *step == "exchange" || is_anonymous && *step == "certificate");
        assert_eq!(seen, expected.filter(skipped).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn ssl2_is_answered_with_a_certificate_and_the_common_kinds() {
        let kinds = "'SSL_CK_RC4_128_WITH_MD5', 'SSL_CK_DES_64_CBC_WITH_MD5'";
        let server = start("postfix", &format!("fault.tls = {{ versions = ['SSLv2'], suites = [{kinds}] }}")).await;
        let body = [&[1, 0, 2, 0, 6, 0, 0, 0, 16, 1, 0, 0x80, 7, 0, 0xc0][..], &[9; 16]].concat();
        let answer = ask(server.address, &[&[0x80, body.len() as u8], &body[..]].concat()).await;
        assert_eq!(answer[2..7], [4, 0, 1, 0, 2]);
        assert_eq!(usize::from(u16::from_be_bytes([answer[0] & 0x7f, answer[1]])), answer.len() - 2);
        let [certificate, kinds, connection] = [7, 9, 11].map(|at| usize::from(u16::from_be_bytes([answer[at], answer[at + 1]])));
        assert_eq!((kinds, connection, 13 + certificate + kinds + connection), (3, 16, answer.len()));
        assert_eq!(answer[13], 0x30, "DER");
        assert_eq!(answer[13 + certificate..][..3], [1, 0, 0x80]);
    }

    #[rstest]
    // No version, an SSL 3.0 that the library was built without (as OpenSSL says it), then no suite in common.
    #[case("fault.tls = { versions = ['TLSv1.2'] }", Version::Tls10, [2, 70])]
    #[case("fault.tls = { versions = ['TLSv1.0'] }", Version::Ssl3, [2, 40])]
    #[case("fault.tls = { suites = ['TLS_RSA_WITH_RC4_128_SHA'] }", Version::Tls12, [2, 40])]
    #[case("fault.sni = 'required'", Version::Tls12, [2, 112])]
    #[case("fault.intolerant-of = { of = 'unknown-extension', do = 'alert:internal_error' }", Version::Tls12, [2, 40])]
    #[case("fault.intolerant-of = { of = 'tls13', do = 'close' }", Version::Tls12, [2, 40])]
    #[tokio::test]
    async fn what_is_refused_gets_an_alert(#[case] lines: &str, #[case] version: Version, #[case] alert: [u8; 2]) {
        let server = start("postfix", lines).await;
        let answer = ask(server.address, &hello(version, Suite(0x0a_0a0a & 0xffff))).await;
        assert_eq!((answer[0], &answer[5..]), (21, &alert[..]));
    }

    #[rstest]
    #[case("client-hello", "close", &[])]
    #[case("client-hello", "garbage", &[0xaa; 64])]
    #[case("client-hello", "alert:decode_error", &[21, 3, 3, 0, 2, 2, 50])]
    #[tokio::test]
    async fn a_handshake_breaks_off_at_once(#[case] at: &str, #[case] how: &str, #[case] expected: &[u8]) {
        let server = start("postfix", &format!("fault.handshake = {{ at = '{at}', do = '{how}' }}")).await;
        let answer = ask(server.address, &hello(Version::Tls12, Suite(0xc02f))).await;
        assert_eq!(answer, expected);
    }

    #[rstest]
    #[case("server-hello", &[2])]
    #[case("certificate", &[2, 11])]
    #[case("server-key-exchange", &[2, 11, 12])]
    #[case("done", &[2, 11, 12, 14])]
    #[tokio::test]
    async fn a_handshake_breaks_off_behind_each_message(#[case] at: &str, #[case] expected: &[u8]) {
        let server = start("postfix", &format!("fault.handshake = {{ at = '{at}', do = 'close' }}")).await;
        let messages = handshake(&ask(server.address, &hello(Version::Tls12, Suite(0xc02f))).await, Version::Tls12);
        let (mut left, mut kinds) = (messages.as_slice(), Vec::new());
        while let [kind, a, b, c, rest @ ..] = left {
            kinds.push(*kind);
            left = &rest[u32::from_be_bytes([0, *a, *b, *c]) as usize..];
        }
        assert_eq!(kinds, expected);
    }

    #[rstest]
    #[case("fault.tls = { versions = ['TLSv1.0'] }", &["-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0"], "New, SSLv3, Cipher is AES128-SHA", "Protocol  : TLSv1\n")]
    #[case("fault.tls = { versions = ['TLSv1.1'] }", &["-tls1_1", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"], "Peer signing digest: MD5-SHA1", "CN = mx.lab.test")]
    #[case("fault.tls = { suites = ['TLS_DHE_RSA_WITH_AES_128_GCM_SHA256'], dh-group = 'modp1024' }", &["-tls1_2", "-cipher", "DHE:@SECLEVEL=0"], "Server Temp Key: DH, 1024 bits", "DHE-RSA-AES128-GCM-SHA256")]
    #[case("fault.tls = { groups = ['secp521r1'] }", &["-tls1_2"], "Server Temp Key: ECDH, secp521r1, 521 bits", "CN = mx.lab.test")]
    #[case("fault.tls = { no-secure-renegotiation = true }", &["-tls1_2"], "unsafe legacy renegotiation disabled", "")]
    #[case("tls.stock = true", &["-tls1_2"], "Server Temp Key: X25519, 253 bits", "Secure Renegotiation IS supported")]
    #[case("tls.groups = ['secp384r1']", &["-tls1_3"], "Server Temp Key: ECDH, secp384r1, 384 bits", "TLSv1.3")]
    #[case("certificate.second-key = 'ecdsa-p256'", &["-tls1_2", "-cipher", "ECDSA"], "Peer signature type: ECDSA", "CN = mx.lab.test")]
    #[tokio::test]
    async fn openssl_goes_as_far_as_it_can(
        #[case] lines: &str,
        #[case] arguments: &[&str],
        #[case] one: &str,
        #[case] other: &str,
    ) {
        let server = start("postfix", lines).await;
        let mut command = tokio::process::Command::new("openssl");
        command.args(["s_client", "-starttls", "smtp", "-servername", "mx.lab.test", "-connect", &server.address.to_string()]);
        let command = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        let Ok(output) = tokio::time::timeout(std::time::Duration::from_secs(20), command).await.expect("it ends") else {
            // No OpenSSL here: the flights are read by tls-parser all the same.
            return;
        };
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains(one) && text.contains(other), "{text}");
    }
}
