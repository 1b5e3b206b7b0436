//! Handshakes that an OpenSSL built with all that is old completes: restricted to exactly what was chosen, so that
//! it cannot choose otherwise.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    sync::OnceLock,
};

use openssl::{
    bn::BigNum,
    dh::Dh,
    error::ErrorStack,
    pkey::PKey,
    provider::Provider,
    ssl::{
        self, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode,
        SslVersion,
    },
    stack::Stack as NameStack,
    x509::{X509, X509Name},
};
use tokio_openssl::SslStream;

use super::{
    Replayed, flight,
    hello::Hello,
    stack::{Choice, Exchange, Stack},
};
use crate::{lab::dh, scenario::ClientCertificateFault, tls::Version};

/// SSL_OP_NO_EXTENDED_MASTER_SECRET and SSL_OP_NO_ENCRYPT_THEN_MAC, which the `openssl` crate has no names for.
const NO_EXTENDED_MASTER_SECRET: SslOptions = SslOptions::from_bits_retain(1 << 0);
const NO_ENCRYPT_THEN_MAC: SslOptions = SslOptions::from_bits_retain(1 << 19);

/// An OpenSSL that answers this hello with this choice as the stack does; none where it cannot.
pub(super) fn server(
    stack: &Stack,
    hello: &Hello,
    choice: &Choice,
    client_certificate: Option<ClientCertificateFault>,
) -> Option<Ssl> {
    // OpenSSL is built without compression, and cannot be told to keep silent about secure renegotiation.
    let compresses = stack.compression && hello.compressions.contains(&1);
    let is_silent = !stack.secure_renegotiation && hello.offers_secure_renegotiation();
    if choice.version < Version::Tls13 && (compresses || is_silent) {
        return None;
    }
    let version = match choice.version {
        Version::Ssl2 => return None,
        Version::Ssl3 => SslVersion::SSL3,
        Version::Tls10 => SslVersion::TLS1,
        Version::Tls11 => SslVersion::TLS1_1,
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    };
    // Any error means that OpenSSL lacks a part of the choice.
    let context = context(stack, choice, version, client_certificate).ok()?;
    // It may still not like the hello, where the stack does: the client shall not meet that.
    let mut rehearsal = ssl::SslStream::new(Ssl::new(&context).ok()?, Rehearsal(&hello.bytes)).ok()?;
    let is_answered = rehearsal.accept().is_err_and(|error| error.code() == ErrorCode::WANT_READ);
    if is_answered { Ssl::new(&context).ok() } else { None }
}

/// Completes the handshake.
pub(super) async fn accept(ssl: Ssl, stream: Replayed) -> io::Result<SslStream<Replayed>> {
    let mut stream = SslStream::new(ssl, stream)?;
    Pin::new(&mut stream).accept().await.map_err(|error| error.into_io_error().unwrap_or_else(io::Error::other))?;
    Ok(stream)
}

/// With what was chosen, and nothing else.
fn context(
    stack: &Stack,
    choice: &Choice,
    version: SslVersion,
    client_certificate: Option<ClientCertificateFault>,
) -> Result<SslContext, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
    allow_all(&mut context)?;
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    // Suites, groups and schemes have their registered names in OpenSSL too.
    let suite = choice.suite.name().unwrap_or_default();
    if choice.suite.is_tls13() {
        context.set_ciphersuites(suite)?
    } else {
        context.set_cipher_list(suite)?
    }
    if let Some(group) = choice.group {
        context.set_groups_list(group.name().unwrap_or_default())?;
    }
    if Exchange::of(choice.suite) == Some(Exchange::Dhe) {
        let group = dh::group(stack.dh_group(choice));
        let (prime, generator) = (BigNum::from_slice(&group.prime)?, BigNum::from_u32(group.generator.into())?);
        context.set_tmp_dh(&*Dh::from_pqg(prime, None, generator)?)?;
    }
    let mut schemes: Vec<_> = choice.scheme.iter().filter_map(|scheme| scheme.name()).map(str::to_owned).collect();
    if client_certificate.is_some() {
        // For the client, which is told all of them; with a question mark, since OpenSSL need not have them.
        schemes.extend(stack.schemes.iter().filter_map(|scheme| scheme.name()).map(|name| format!("?{name}")));
    }
    if !schemes.is_empty() {
        context.set_sigalgs_list(&schemes.join(":"))?;
    }
    if let Some(credential) = choice.credential {
        for (index, der) in credential.chain.iter().enumerate() {
            let certificate = X509::from_der(der)?;
            if index == 0 { context.set_certificate(&certificate)? } else { context.add_extra_chain_cert(certificate)? }
        }
        context.set_private_key(&*PKey::private_key_from_pem(credential.key_pem.as_bytes())?)?;
    }
    if let Some(asked) = client_certificate {
        let mut names = NameStack::new()?;
        for der in flight::authorities(usize::from(asked.ca_bytes.unwrap_or(0))) {
            names.push(X509Name::from_der(&der)?)?;
        }
        context.set_client_ca_list(names);
        let demand = if asked.required == Some(true) { SslVerifyMode::FAIL_IF_NO_PEER_CERT } else { SslVerifyMode::NONE };
        // The lab has no opinion of its clients.
        context.set_verify_callback(SslVerifyMode::PEER | demand, |_, _| true);
    }
    // The first of the schemes decides, not the client's first.
    let mut options = SslOptions::CIPHER_SERVER_PREFERENCE;
    options.set(NO_EXTENDED_MASTER_SECRET, !stack.extended_master_secret);
    options.set(NO_ENCRYPT_THEN_MAC, !stack.encrypts_then_macs(choice.suite));
    options.set(SslOptions::NO_TICKET, !stack.session_tickets);
    context.set_options(options);
    // No session is kept, so it gets no id.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    Ok(context.build())
}

/// Switches on what OpenSSL leaves out for good reasons.
fn allow_all(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    /// RC4, IDEA and SEED are in a provider of their own; it stays for the life of the process.
    static LEGACY: OnceLock<Provider> = OnceLock::new();
    if LEGACY.get().is_none() {
        let provider = Provider::try_load(None, "legacy", true)?;
        LEGACY.get_or_init(|| provider);
    }
    context.clear_options(SslOptions::NO_SSLV3);
    context.set_security_level(0);
    security::allow_all(context);
    Ok(())
}

/// A client that says its hello and waits.
struct Rehearsal<'a>(&'a [u8]);

impl Read for Rehearsal<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Rehearsal<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(unsafe_code, reason = "the `openssl` crate does not have this function")]
mod security {
    use std::ffi::{c_int, c_void};

    use openssl::{error::ErrorStack, ssl::SslContextBuilder};

    type Callback = extern "C" fn(*const c_void, *const c_void, c_int, c_int, c_int, *mut c_void, *mut c_void) -> c_int;

    unsafe extern "C" {
        fn SSL_CTX_set_security_callback(context: *mut c_void, callback: Callback);
    }

    /// Level 0 still refuses groups of less than 1024 bits.
    pub(super) fn allow_all(context: &mut SslContextBuilder) {
        // SAFETY: the context is alive, OpenSSL has this signature in ssl.h, and the callback touches none of its pointers.
        unsafe { SSL_CTX_set_security_callback(context.as_ptr().cast(), allow) }
    }

    extern "C" fn allow(
        _: *const c_void,
        _: *const c_void,
        _: c_int,
        _: c_int,
        _: c_int,
        _: *mut c_void,
        _: *mut c_void,
    ) -> c_int {
        // OpenSSL 3.6 leaves "unknown security bits" in the queue of errors, and takes it later for the handshake's.
        let _ = ErrorStack::get();
        1
    }
}

/// Whole dialogs with a client that is as old as the server; and flights beside those of the lab's own bytes.
#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tls_parser::{
        TlsMessage, TlsMessageHandshake as Message, parse_dh_params, parse_ecdh_params, parse_tls_message_handshake,
    };
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpStream,
    };

    use super::{
        super::{
            keys::Credential,
            stack::Decision,
            tests::{handshake, hello, plan, start},
        },
        *,
    };
    use crate::{
        lab::{embedded::EmbeddedServer, persona::Persona},
        tls::Suite,
    };

    /// A client that takes whatever it gets, up to a version.
    fn client(version: SslVersion) -> SslContextBuilder {
        let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
        allow_all(&mut context).unwrap();
        context.set_min_proto_version(Some(SslVersion::SSL3)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        context.set_cipher_list("ALL:COMPLEMENTOFALL").unwrap();
        context.set_ciphersuites("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256").unwrap();
        context.set_groups_list("x25519:secp256r1:secp384r1:secp521r1:x448:secp192r1:sect163k1:ffdhe2048").unwrap();
        context
    }

    async fn reply(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> String {
        let mut lines = String::new();
        loop {
            let start = lines.len();
            assert!(stream.read_line(&mut lines).await.unwrap() > 0, "closed behind {lines:?}");
            if lines.as_bytes()[start + 3] == b' ' {
                return lines;
            }
        }
    }

    /// Greeting, EHLO, STARTTLS, the handshake, EHLO inside TLS, QUIT; what was said to that EHLO.
    async fn converse(server: &EmbeddedServer, context: SslContextBuilder) -> (SslStream<TcpStream>, String) {
        let mut stream = BufReader::new(TcpStream::connect(server.address).await.unwrap());
        assert!(reply(&mut stream).await.starts_with("220 "));
        stream.write_all(b"EHLO client.test\r\n").await.unwrap();
        assert!(reply(&mut stream).await.contains("STARTTLS"));
        stream.write_all(b"STARTTLS\r\n").await.unwrap();
        assert!(reply(&mut stream).await.starts_with("220 "));
        let ssl = Ssl::new(&context.build()).unwrap();
        let mut stream = SslStream::new(ssl, stream.into_inner()).unwrap();
        Pin::new(&mut stream).connect().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"EHLO client.test\r\n").await.unwrap();
        let said = reply(&mut stream).await;
        if said.starts_with("250") {
            stream.write_all(b"QUIT\r\n").await.unwrap();
            reply(&mut stream).await;
        }
        // close_notify, then the end.
        assert_eq!(stream.read_line(&mut String::new()).await.unwrap(), 0);
        (stream.into_inner(), said)
    }

    #[rstest]
    #[case("SSLv3", "TLS_RSA_WITH_RC4_128_MD5", "", 0)]
    #[case("SSLv3", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "", 0)]
    #[case("SSLv3", "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", "dh-group = 'own-1024'", 1024)]
    #[case("TLSv1", "TLS_RSA_WITH_RC4_128_SHA", "", 0)]
    #[case("TLSv1", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "", 0)]
    #[case("TLSv1", "TLS_RSA_WITH_IDEA_CBC_SHA", "", 0)]
    #[case("TLSv1", "TLS_RSA_WITH_SEED_CBC_SHA", "", 0)]
    #[case("TLSv1", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "dh-group = 'own-512'", 512)]
    #[case("TLSv1", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "dh-group = 'modp768'", 768)]
    #[case("TLSv1", "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", "dh-group = 'modp1024'", 1024)]
    #[case("TLSv1", "TLS_DH_anon_WITH_RC4_128_MD5", "dh-group = 'modp768'", 768)]
    #[case("TLSv1", "TLS_ECDH_anon_WITH_NULL_SHA", "", 253)]
    #[case("TLSv1", "TLS_ECDHE_RSA_WITH_RC4_128_SHA", "groups = ['secp192r1']", 192)]
    #[case("TLSv1.1", "TLS_RSA_WITH_AES_128_CBC_SHA", "", 0)]
    #[case("TLSv1.1", "TLS_DH_anon_WITH_AES_256_CBC_SHA", "dh-group = 'unsafe-2048'", 2048)]
    #[case("TLSv1.2", "TLS_RSA_WITH_NULL_SHA256", "", 0)]
    #[case("TLSv1.2", "TLS_RSA_WITH_AES_128_GCM_SHA256", "", 0)]
    #[case("TLSv1.2", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "dh-group = 'composite-2048'", 2048)]
    #[case("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "schemes = ['rsa_pkcs1_sha1']", 253)]
    #[case("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "no-extended-master-secret = true", 253)]
    #[case("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "groups = ['sect163k1']", 163)]
    #[case("TLSv1.3", "TLS_AES_128_CCM_SHA256", "", 253)]
    #[case("TLSv1.3", "TLS_AES_128_GCM_SHA256", "groups = ['secp521r1']", 521)]
    #[case("TLSv1.3", "TLS_AES_128_GCM_SHA256", "groups = ['ffdhe2048']", 2048)]
    #[tokio::test]
    async fn old_handshakes_are_completed(
        #[case] version: &str,
        #[case] suite: &str,
        #[case] more: &str,
        #[case] temporary_bits: u32,
    ) {
        let named = if version == "TLSv1" { "TLSv1.0" } else { version };
        let server = start("postfix", &format!("[fault.tls]\nversions = ['{named}']\nsuites = ['{suite}']\n{more}")).await;
        let (stream, said) = converse(&server, client(SslVersion::TLS1_3)).await;
        let ssl = stream.ssl();
        assert_eq!(ssl.version_str(), version);
        assert_eq!(ssl.current_cipher().and_then(|cipher| cipher.standard_name()), Some(suite));
        assert_eq!(ssl.peer_tmp_key().map_or(0, |key| key.bits()), temporary_bits);
        assert_eq!(ssl.peer_certificate().is_none(), suite.contains("_anon_"));
        assert!(said.starts_with("250-mx.lab.test\r\n") && !said.contains("STARTTLS"), "{said}");
    }

    /// Postfix' EHLO fails without a certificate (421), where it demands one.
    #[rstest]
    #[case(false, "421")]
    #[case(true, "250")]
    #[tokio::test]
    async fn client_certificates_are_asked_for_in_old_versions(#[case] shows: bool, #[case] code: &str) {
        let lines = "compound = 'x'\nfault.tls.versions = ['TLSv1.0']\nfault.client-certificate.required = true";
        let server = start("postfix", lines).await;
        let mut context = client(SslVersion::TLS1);
        if shows {
            let own = plan("postfix", "").await.server.credentials;
            context.set_certificate(&X509::from_der(&own.chain[0]).unwrap()).unwrap();
            context.set_private_key(&PKey::private_key_from_pem(own.key_pem.as_bytes()).unwrap()).unwrap();
        }
        let (stream, said) = converse(&server, context).await;
        assert!(said.starts_with(code), "{said}");
        assert_eq!(stream.ssl().version_str(), "TLSv1");
    }

    /// What a parser reads in a flight, but for what is random.
    fn read(messages: &[u8], suite: Suite, version: Version) -> Vec<String> {
        let (mut left, mut seen) = (messages, Vec::new());
        while !left.is_empty() {
            let (rest, TlsMessage::Handshake(message)) = parse_tls_message_handshake(left).unwrap() else { panic!("{left:?}") };
            seen.push(match message {
                Message::ServerHello(hello) => {
                    let extensions = tls_parser::parse_tls_extensions(hello.ext.unwrap_or(&[])).unwrap().1;
                    let codes: Vec<_> =
                        extensions.iter().map(|extension| tls_parser::TlsExtensionType::from(extension).0).collect();
                    format!("{:?} {:?} {:?} {:?} {codes:?}", hello.version, hello.cipher, hello.compression, hello.session_id)
                }
                Message::ServerKeyExchange(exchange) => {
                    let name = suite.name().unwrap();
                    let (signed, parameters) = if name.contains("_ECDH") {
                        let (signed, parameters) = parse_ecdh_params(exchange.parameters).unwrap();
                        (signed, format!("{:?} {}", parameters.curve_params, parameters.public.point.len()))
                    } else {
                        let (signed, parameters) = parse_dh_params(exchange.parameters).unwrap();
                        (signed, format!("{:?} {:?}", parameters.dh_p, parameters.dh_g))
                    };
                    let scheme = if version == Version::Tls12 { signed.get(..2) } else { None };
                    format!("{parameters} {scheme:?} {}", !signed.is_empty())
                }
                Message::CertificateRequest(mut request) => {
                    // OpenSSL puts first what it signs with itself.
                    request.sig_hash_algs.iter_mut().for_each(|schemes| schemes.sort_unstable());
                    format!("{:?} {:?}", request.sig_hash_algs, request.unparsed_ca)
                }
                other => format!("{other:?}"),
            });
            left = rest;
        }
        seen
    }

    /// Keeps what is said.
    struct Recorded<'a>(Rehearsal<'a>, Vec<u8>);

    impl Read for Recorded<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Recorded<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Every suite in every version, with a certificate of either kind.
    #[rstest]
    #[case("postfix", "")]
    #[case("postfix", "certificate.key = 'ecdsa-p256'")]
    #[case("postfix", "fault.client-certificate.ca-bytes = 4000")]
    #[case("exchange-2010", "")]
    #[case("exim", "fault.tls = { no-extended-master-secret = true, no-encrypt-then-mac = true, no-session-tickets = true }")]
    #[tokio::test]
    async fn openssl_says_what_the_lab_would_say_itself(#[case] kind: &str, #[case] lines: &str) {
        let plan = plan(kind, lines).await.server;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let credentials = [Credential::new(&plan.credentials, &provider).unwrap()];
        let mut stack = Stack::new(&plan.tls, Persona::find(kind).unwrap());
        let (mut compared, mut raw) = (0, Vec::new());
        for version in [Version::Ssl3, Version::Tls10, Version::Tls11, Version::Tls12] {
            stack.versions = vec![version];
            for suite in Suite::up_to_tls12() {
                stack.suites = vec![suite];
                let hello = Hello::read(&mut hello(version, suite).as_slice()).await.unwrap();
                let Decision::Choose(choice) = stack.decide(&hello, &credentials) else { continue };
                let Some(ssl) = server(&stack, &hello, &choice, plan.tls.client_certificate) else {
                    raw.push((version, suite.to_string()));
                    continue;
                };
                let mut stream = ssl::SslStream::new(ssl, Recorded(Rehearsal(&hello.bytes), Vec::new())).unwrap();
                assert_eq!(stream.accept().unwrap_err().code(), ErrorCode::WANT_READ);
                let ours = flight::messages(&stack, &hello, &choice, plan.tls.client_certificate).unwrap();
                let ours: Vec<u8> = ours.into_iter().flat_map(|(_, message)| message).collect();
                let theirs = handshake(&stream.get_ref().1, version);
                assert_eq!(read(&theirs, suite, version), read(&ours, suite, version), "{version} {suite}");
                compared += 1;
            }
        }
        raw.retain(|(_, suite)| client(SslVersion::TLS1_2).set_cipher_list(suite).is_ok());
        assert!(raw.is_empty(), "OpenSSL has {raw:?}");
        assert!(compared > 50, "{compared}");
    }
}
