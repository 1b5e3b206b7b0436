//! The deeper looks at TLS, against OpenSSL behind an SMTP front that may be in a bad mood.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mtalab::{
    facts::{
        Alpn, Answer, Depth, Features, GroupList, HelloTrait, Observed, Offered, Offers, Possession, Preference, Sni, Target,
        Vantage, View,
    },
    name::Name,
    probe::{self, Patience},
    tls::{Authentication, Group, SuiteFamily, Version},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// `openssl s_server`, ended with the test.
struct Backend {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// None where this machine has no OpenSSL.
fn openssl(arguments: &[&str]) -> Option<Backend> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let make = |name: &str, algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::new(["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        (file(&format!("{name}.pem"), &certificate.pem()), file(&format!("{name}.key"), &key.serialize_pem()))
    };
    let rsa = make("rsa", &rcgen::PKCS_RSA_SHA256);
    let ecdsa = make("ecdsa", &rcgen::PKCS_ECDSA_P256_SHA256);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-rev", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
    command.arg("-cert").arg(rsa.0).arg("-key").arg(rsa.1).arg("-dcert").arg(ecdsa.0).arg("-dkey").arg(ecdsa.1);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = command.spawn().ok()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let backend = Backend { process, address, _folder: folder };
    for _ in 0..200 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Some(backend);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("openssl s_server does not listen");
}

/// How the front treats its clients.
#[derive(Clone, Copy, Default)]
struct Mood {
    /// Every so many-th connection is closed after its ClientHello.
    drops_every: Option<u32>,
    /// Every so many-th connection comes to another server, which has nothing in common with anybody.
    refuses_every: Option<u32>,
    /// The only connection that is refused.
    refuses_only: Option<u32>,
    /// From this connection on it is another server, which refuses everybody.
    changes_at: Option<u32>,
    /// What a refusal is replaced by: the connection is closed.
    refuses_by_closing: bool,
    /// After so many connections all others are answered 421.
    total: Option<u32>,
    /// More than so many at one time are answered 421.
    at_one_time: Option<u32>,
    /// After so many connections, the next three are answered 421.
    throttles_after: Option<u32>,
    greeting_delay: Duration,
    /// Hellos longer than this are met with silence and a close.
    longest_hello: Option<usize>,
    /// Hellos with this are met with an alert, or closed.
    stumbles_over: Option<(Trait, Option<u8>)>,
}

/// What there may be in a hello.
#[derive(Clone, Copy, Debug)]
enum Trait {
    Deflate,
    Extension(u16),
    TwoRecords,
    ManySchemes,
    EmptyKeyShare,
}

impl Trait {
    fn is_in(self, hello: &[u8]) -> bool {
        // Type, version and length of the record, type and length of the message, version and random, then the session.
        if hello[0] != 22 {
            return false;
        }
        let record = 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        let mut message = hello[5..record.min(hello.len())].to_vec();
        if hello.len() > record + 5 {
            message.extend(&hello[record + 5..]);
        }
        let number = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
        let suites = 38 + 1 + usize::from(message[38]);
        let methods = suites + 2 + number(suites);
        let mut at = methods + 1 + usize::from(message[methods]) + 2;
        let has_deflate = message[methods] > 1;
        let mut extensions = Vec::new();
        while at + 4 <= message.len() {
            let (code, length) = (number(at), number(at + 2));
            extensions.push((code, length));
            at += 4 + length;
        }
        match self {
            Self::Deflate => has_deflate,
            Self::Extension(wanted) => extensions.iter().any(|(code, _)| *code == usize::from(wanted)),
            Self::TwoRecords => hello.len() > record,
            Self::ManySchemes => extensions.iter().any(|(code, length)| *code == 13 && *length > 2 + 2 * 16),
            Self::EmptyKeyShare => extensions.contains(&(51, 2)),
        }
    }
}

#[derive(Default)]
struct Seen {
    connections: AtomicU32,
    open: AtomicU32,
    most_open: AtomicU32,
}

/// An SMTP server whose TLS is that of `backend`.
async fn front(backend: SocketAddr, mood: Mood) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = counted.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let open = counted.open.fetch_add(1, Ordering::SeqCst) + 1;
                counted.most_open.fetch_max(open, Ordering::SeqCst);
                let _ = serve(stream, backend, mood, number, open).await;
                counted.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, seen)
}

async fn serve(stream: TcpStream, backend: SocketAddr, mood: Mood, number: u32, open: u32) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if mood.at_one_time.is_some_and(|most| open > most)
        || mood.throttles_after.is_some_and(|after| number % (after + 3) >= after)
        || mood.total.is_some_and(|total| number > total)
    {
        return stream.write_all(b"421 4.7.0 mx.example.test too many connections\r\n").await;
    }
    tokio::time::sleep(mood.greeting_delay).await;
    stream.write_all(b"220 mx.example.test ESMTP\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "STARTTLS" => break,
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => stream.write_all(b"250-mx.example.test\r\n250 starttls\r\n").await?,
        }
    }
    stream.write_all(b"220 go\r\n").await?;
    let mut hello = vec![0; 8192];
    let mut length = stream.read(&mut hello).await?;
    if mood.drops_every.is_some_and(|every| number.is_multiple_of(every))
        || mood.longest_hello.is_some_and(|longest| length > longest)
    {
        return Ok(());
    }
    if let Some((what, alert)) = mood.stumbles_over
        && what.is_in(&hello[..length])
    {
        return match alert {
            Some(alert) => stream.write_all(&[21, 3, 1, 0, 2, 2, alert]).await,
            None => Ok(()),
        };
    }
    if mood.refuses_every.is_some_and(|every| number.is_multiple_of(every))
        || mood.refuses_only == Some(number)
        || mood.changes_at.is_some_and(|at| number >= at)
    {
        // handshake_failure (RFC 8446, 6).
        return stream.write_all(&[21, 3, 1, 0, 2, 2, 40]).await;
    }
    let mut stream = stream.into_inner();
    let mut behind = TcpStream::connect(backend).await?;
    while length > 0 {
        behind.write_all(&hello[..length]).await?;
        length = 0;
    }
    if mood.refuses_by_closing {
        let mut answer = [0; 1];
        // The type of an alert (RFC 8446, 5.1).
        if behind.peek(&mut answer).await? == 0 || answer == [21] {
            return Ok(());
        }
    }
    tokio::io::copy_bidirectional(&mut stream, &mut behind).await.map(drop)
}

async fn look(address: SocketAddr, patience: Patience) -> View {
    let target = Target { name: Name::parse("mx.example.test").unwrap(), port: 25 };
    probe::observe(&target, address, Vantage::default(), &patience).await
}

fn patience(depth: Depth) -> Patience {
    Patience { depth, ..Patience::lab() }
}

fn offers(view: &View) -> &Offers {
    view.offers.seen().unwrap_or_else(|| panic!("{}", view.offers.why_not()))
}

const EVERYTHING: &[&str] =
    &["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0", "-min_protocol", "TLSv1", "-groups", "X25519:P-256:P-384"];

/// What must be known of the server of [`EVERYTHING`] as soon as anything is, and nothing that is wrong.
fn assert_nothing_wrong(offers: &Offers) {
    assert_nothing_denied(offers);
    assert!(offers.versions.iter().any(|offer| offer.answer.seen() == Some(&Answer::Accepted)), "{:?}", offers.versions);
    assert!(offers.chains.iter().any(|chain| chain.certificates.seen().is_some()), "{:?}", offers.chains);
}

/// What must never be said of it.
fn assert_nothing_denied(offers: &Offers) {
    assert_nothing_refused(offers);
    let found = offers.intolerance.seen().cloned().unwrap_or_default();
    // What was lost is said to be unknown.
    let said: Vec<_> = found.into_iter().filter(|intolerance| intolerance.how.seen().is_some()).collect();
    assert_eq!(said, [], "it can bear any hello");
}

fn assert_nothing_refused(offers: &Offers) {
    for version in [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13] {
        assert_ne!(offers.offers_version(version), Offered::No, "{version}");
    }
    assert_ne!(offers.offers_version(Version::Ssl3), Offered::Yes);
    assert_ne!(offers.offers_version(Version::Ssl2), Offered::Yes);
    for family in [SuiteFamily::Null, SuiteFamily::Anonymous, SuiteFamily::StaticKey, SuiteFamily::Dhe, SuiteFamily::Aead] {
        assert_ne!(offers.version(Version::Tls12).unwrap().suites.family(family), Offered::No, "{family:?}");
    }
    for group in [0x1d, 0x17, 0x18].map(Group) {
        let is_complete = offers.groups.complete.contains(&GroupList::All);
        assert!(!is_complete || offers.groups.accepted.contains(&group), "{:?}", offers.groups);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_lists_everything_for_what_arithmetic_allows() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, seen) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Full)).await;
    let offers = offers(&view);
    assert_nothing_wrong(offers);
    for version in [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13] {
        assert_eq!(offers.offers_version(version), Offered::Yes, "{version}");
        assert_eq!(offers.version(version).unwrap().suites.complete, [SuiteFamily::All], "{version}");
    }
    for version in [Version::Ssl2, Version::Ssl3] {
        assert_eq!(offers.offers_version(version), Offered::No, "{version}: {:?}", offers.version(version));
    }
    let tls12 = offers.version(Version::Tls12).unwrap();
    assert!(tls12.suites.accepted.len() > 60, "{}", tls12.suites.accepted.len());
    assert_eq!(tls12.preference.seen(), Some(&Preference::Client));
    assert_eq!(offers.offers_family(SuiteFamily::Anonymous), Offered::Yes);
    assert_eq!(offers.offers_family(SuiteFamily::Rc4), Offered::No);
    assert_eq!(offers.groups.accepted.len(), 3, "{:?}", offers.groups);
    assert_eq!(offers.curves.accepted.len(), 3, "{:?}", offers.curves);
    assert!(offers.schemes.accepted.len() > 5, "{:?}", offers.schemes);
    assert!(!offers.dh.is_empty());
    let Some(Features {
        version: Version::Tls12,
        secure_renegotiation: true,
        extended_master_secret: true,
        encrypt_then_mac: Some(true),
        session_ticket: true,
        compression: false,
        ocsp_staple: None,
    }) = offers.features.seen()
    else {
        panic!("{:?}", offers.features)
    };
    assert_eq!(offers.alpn.seen(), Some(&Alpn::Ignored));
    for kind in [Authentication::Rsa, Authentication::Ecdsa] {
        let chain = offers.chains.iter().find(|chain| chain.authentication == kind && chain.sni == Sni::Target).unwrap();
        assert_eq!(chain.certificates.seen().unwrap().len(), 1);
        assert!(matches!(chain.possession.seen(), Some(Possession::Proven(_))), "{:?}", chain.possession);
    }
    for sni in [Sni::None, Sni::Foreign] {
        let chain = offers.chains.iter().find(|chain| chain.sni == sni).unwrap();
        assert_eq!(chain.answer.seen(), Some(&Answer::Accepted));
        assert!(chain.certificates.seen().is_some(), "{:?}", chain.certificates);
    }

    // One connection for each thing that was accepted, one for each list, two more at most, and the session.
    let accepted = offers.versions.iter().map(|offer| offer.suites.accepted.len()).sum::<usize>()
        + offers.groups.accepted.len()
        + offers.curves.accepted.len()
        + offers.schemes.accepted.len();
    // Four versions and two refused ones; groups, curves, the schemes of each certificate; two other names and ALPN; and
    // what was refused once more, for servers that take turns.
    let once_more = offers.questions.iter().find(|question| question.what == "the same once more").unwrap();
    let once_more = usize::try_from(once_more.answered).unwrap();
    assert!((2..=16).contains(&once_more), "{once_more}");
    let lists = 6 + 4 + 3 + once_more;
    let asked = usize::try_from(offers.connections()).unwrap();
    assert!(asked <= accepted + lists + 2, "{asked} for {accepted} and {lists}: {:#?}", offers.questions);
    // The session, and MAIL in the clear.
    assert_eq!(view.connections, offers.connections() + 2);
    assert_eq!(seen.connections.load(Ordering::SeqCst), view.connections);
    assert!(offers.questions.iter().all(|question| question.unanswered == 0), "{:#?}", offers.questions);
}

/// What one of two servers behind an address refuses says nothing of the other.
#[rstest::rstest]
#[case(Depth::Standard, 2)]
#[case(Depth::Standard, 3)]
#[case(Depth::Full, 2)]
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_take_turns_are_not_taken_for_one(#[case] depth: Depth, #[case] every: u32) {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood { refuses_every: Some(every), ..Mood::default() }).await;
    let view = look(address, patience(depth)).await;
    let offers = offers(&view);
    assert_nothing_wrong(offers);
    assert!(offers.versions.iter().any(|offer| !offer.suites.accepted.is_empty()), "{:?}", offers.versions);
    assert!(offers.intolerance.seen().is_none_or(Vec::is_empty), "{:?}", offers.intolerance);
    assert!(offers.groups.complete.is_empty() && offers.curves.complete.is_empty() && offers.schemes.complete.is_empty());
    assert!(offers.chains.iter().all(|chain| !matches!(chain.answer, Observed::Seen(Answer::Refused(_)))), "{:?}", offers.chains);
}

/// Where the usual hello was refused, and a part of it is taken, the whole is sent once more.
#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_of_the_usual_hello_is_asked_again() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood { refuses_only: Some(1), ..Mood::default() }).await;
    let view = look(address, patience(Depth::Quick)).await;
    assert!(view.session.tls.seen().is_some(), "{}", view.session.tls.why_not());
    assert!(view.earlier[0].tls.why_not().contains("handshake_failure"), "{}", view.earlier[0].tls.why_not());
    assert_eq!(view.connections, 3);
}

/// Nothing that was refused after the change is believed, though much was taken before.
#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_changes_for_good_is_noticed(#[values(Depth::Standard, Depth::Full)] depth: Depth) {
    let Some(backend) = openssl(EVERYTHING) else { return };
    for at in 3..12 {
        let (address, _) = front(backend.address, Mood { changes_at: Some(at), ..Mood::default() }).await;
        assert_nothing_denied(offers(&look(address, patience(depth)).await));
    }
}

/// Schannel refuses without a word, and OpenSSL 3 with an internal error where no hash is left to sign with.
#[rstest::rstest]
#[case::by_closing(&["-cipher", "ALL:@SECLEVEL=0", "-min_protocol", "TLSv1.2", "-groups", "X25519:P-256"], true)]
#[case::with_an_internal_error(&["-cipher", "DEFAULT:@SECLEVEL=1", "-min_protocol", "TLSv1", "-groups", "X25519:P-256"], false)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_without_words_is_known_to_be(
    #[case] arguments: &[&str],
    #[case] refuses_by_closing: bool,
    #[values(Depth::Standard, Depth::Full)] depth: Depth,
) {
    let Some(backend) = openssl(arguments) else { return };
    let mood = Mood { refuses_by_closing, ..Mood::default() };
    let (address, _) = front(backend.address, mood).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(depth) }).await;
    let offers = offers(&view);
    for version in [Version::Tls10, Version::Tls11] {
        assert_eq!(offers.offers_version(version), Offered::No, "{version}: {:?}", offers.version(version));
    }
    assert_eq!(offers.version(Version::Tls12).unwrap().suites.family(SuiteFamily::Rc4), Offered::No);
    if depth == Depth::Full {
        assert_eq!((offers.groups.accepted.len(), &offers.groups.complete[..]), (2, &[GroupList::All][..]));
    }
    let (address, _) = front(backend.address, Mood { drops_every: Some(4), ..mood }).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(depth) }).await;
    assert_ne!(self::offers(&view).offers_version(Version::Tls12), Offered::No);
    assert_ne!(self::offers(&view).offers_version(Version::Tls13), Offered::No);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_asks_about_a_dozen() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Standard)).await;
    let offers = offers(&view);
    assert_nothing_wrong(offers);
    let once_more = offers.questions.iter().find(|question| question.what == "the same once more").unwrap();
    assert!((8..=18).contains(&(offers.connections() - once_more.answered)), "{:#?}", offers.questions);
    assert!((2..=12).contains(&once_more.answered), "{once_more:?}");
    let tls12 = offers.version(Version::Tls12).unwrap();
    for family in [SuiteFamily::Null, SuiteFamily::Anonymous, SuiteFamily::StaticKey, SuiteFamily::Dhe, SuiteFamily::Aead] {
        assert_eq!(tls12.suites.family(family), Offered::Yes, "{family:?}");
    }
    for family in [SuiteFamily::Export, SuiteFamily::Rc4, SuiteFamily::SingleDes] {
        assert_eq!(tls12.suites.family(family), Offered::No, "{family:?}");
    }
}

/// In lock-step the questions follow each other, so their times cannot come to more than all of them took.
#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_timed_by_itself(#[values(Depth::Standard, Depth::Full)] depth: Depth) {
    let old = ["-cipher", "ALL:@SECLEVEL=0", "-min_protocol", "TLSv1", "-max_protocol", "TLSv1"];
    let Some(backend) = openssl(&old) else { return };
    let (address, _) = front(backend.address, Mood { greeting_delay: Duration::from_millis(20), ..Mood::default() }).await;
    let start = std::time::Instant::now();
    let view = look(address, patience(depth)).await;
    let wall = u64::try_from(start.elapsed().as_millis()).unwrap();
    let sum: u64 = offers(&view).questions.iter().map(|question| question.millis).sum();
    assert!(sum <= wall, "{sum} ms of {wall}: {:#?}", offers(&view).questions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suite_that_answers_for_several_versions_is_listed_once() {
    let old = ["-cipher", "ALL:@SECLEVEL=0", "-min_protocol", "TLSv1", "-max_protocol", "TLSv1"];
    let Some(backend) = openssl(&old) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Standard)).await;
    let tls10 = offers(&view).version(Version::Tls10).unwrap();
    assert_eq!(tls10.answer.seen(), Some(&Answer::Accepted));
    let accepted: std::collections::BTreeSet<_> = tls10.suites.accepted.iter().collect();
    assert_eq!(accepted.len(), tls10.suites.accepted.len(), "{:?}", tls10.suites.accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn curves_are_known_of_a_server_that_has_shared_keys_only() {
    let shared = ["-tls1_2", "-psk", "abcd1234", "-nocert", "-cipher", "PSK:@SECLEVEL=0", "-groups", "X25519:P-256"];
    let Some(backend) = openssl(&shared) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Full)).await;
    let curves = &offers(&view).curves;
    assert_eq!((&curves.accepted[..], &curves.unknown[..]), (&[Group(0x17), Group(0x1d)][..], &[][..]), "{curves:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_asks_nothing_more_of_a_good_server() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Quick)).await;
    assert_eq!((view.connections, view.offers.seen()), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_reads_the_chain_of_a_server_that_the_usual_handshake_cannot_talk_to() {
    let old = ["-cipher", "ALL:@SECLEVEL=0", "-min_protocol", "TLSv1", "-max_protocol", "TLSv1.1"];
    let Some(backend) = openssl(&old) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Quick)).await;
    assert_eq!(view.connections, 2);
    let offers = offers(&view);
    assert_eq!(offers.offers_version(Version::Tls12), Offered::No);
    assert_eq!(offers.offers_version(Version::Tls11), Offered::Yes);
    assert_eq!(offers.chains.len(), 1, "{:?}", offers.chains);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls13_alone_is_read_too() {
    let Some(backend) = openssl(&["-tls1_3", "-groups", "X25519:P-256"]) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, patience(Depth::Full)).await;
    let offers = offers(&view);
    assert_eq!(offers.offers_version(Version::Tls12), Offered::No, "{:?}", offers.versions);
    assert_eq!(offers.version(Version::Tls13).unwrap().suites.accepted.len(), 3);
    assert_eq!(offers.groups.accepted.len(), 2, "{:?}", offers.groups);
    assert_eq!(offers.alpn.seen(), Some(&Alpn::Ignored));
    let kinds: Vec<_> = offers.chains.iter().map(|chain| (chain.sni, chain.certificates.seen().is_some())).collect();
    assert_eq!(kinds, [(Sni::Target, true), (Sni::None, true), (Sni::Foreign, true)]);
    assert!(offers.client_certificate.seen().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_step_unless_asked_for_more() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, seen) = front(backend.address, Mood::default()).await;
    let alone = look(address, patience(Depth::Standard)).await;
    // Connections that are being closed may still be counted when the next one comes.
    assert!(seen.most_open.load(Ordering::SeqCst) <= 3);
    let beside = look(address, Patience { parallel: 4, ..patience(Depth::Standard) }).await;
    assert_nothing_wrong(offers(&beside));
    let versions = |view: &View| offers(view).versions.iter().map(|offer| offer.answer.clone()).collect::<Vec<_>>();
    assert_eq!(versions(&alone), versions(&beside));
}

/// Whoever's order decides: the lists are those that lock-step finds, for a few refusals more.
#[rstest::rstest]
#[case::by_the_clients_order(&[])]
#[case::by_the_servers_order(&["-serverpref"])]
#[tokio::test(flavor = "multi_thread")]
async fn side_by_side_finds_the_same_lists(#[case] more: &[&str]) {
    let Some(backend) = openssl(&[EVERYTHING, more].concat()) else { return };
    let (address, seen) = front(backend.address, Mood::default()).await;
    let alone = look(address, patience(Depth::Full)).await;
    let beside = look(address, Patience { parallel: 4, ..patience(Depth::Full) }).await;
    assert!(seen.most_open.load(Ordering::SeqCst) > 2);
    let lists = |view: &View| {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let offers = offers(view);
        let versions: Vec<_> = offers.versions.iter().map(|o| (o.version, o.answer.clone(), o.suites.clone())).collect();
        (
            versions,
            offers.version(Version::Tls12).unwrap().preference.clone(),
            sorted(offers.groups.accepted.iter().map(ToString::to_string).collect()),
            sorted(offers.curves.accepted.iter().map(ToString::to_string).collect()),
            sorted(offers.schemes.accepted.iter().map(ToString::to_string).collect()),
        )
    };
    assert_eq!(lists(&alone), lists(&beside));
    // Three versions with suites, groups, and schemes of two kinds: three refusals more for each, one suite asked twice; and
    // what was refused once more, within its bound.
    assert!(beside.connections <= alone.connections + 6 * 3 + 3 + 24, "{} and {}", alone.connections, beside.connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_make_nothing_refused() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    for every in [1, 2, 3] {
        for depth in [Depth::Standard, Depth::Full] {
            let (address, _) = front(backend.address, Mood { drops_every: Some(every), ..Mood::default() }).await;
            let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(depth) }).await;
            if every == 1 {
                assert_nothing_denied(offers(&view));
                assert!(offers(&view).versions.iter().all(|offer| offer.answer.seen().is_none()), "nothing was answered");
            } else {
                assert_nothing_wrong(offers(&view));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_is_waited_for_and_a_slow_greeting_borne() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let mood = Mood { throttles_after: Some(20), greeting_delay: Duration::from_millis(5), ..Mood::default() };
    let (address, _) = front(backend.address, mood).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(Depth::Full) }).await;
    let offers = offers(&view);
    assert_nothing_wrong(offers);
    assert!(offers.versions.iter().all(|offer| offer.suites.unknown.is_empty()), "{:?}", offers.versions);
}

/// Who asks more at one time than a server bears comes down to what it bears, and learns the same.
#[tokio::test(flavor = "multi_thread")]
async fn fewer_are_asked_at_one_time_than_a_server_turns_away() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (alone, _) = front(backend.address, Mood::default()).await;
    let alone = look(alone, patience(Depth::Full)).await;
    let (address, _) = front(backend.address, Mood { at_one_time: Some(2), ..Mood::default() }).await;
    let patience = Patience { backoff: Duration::from_millis(20), parallel: 8, ..patience(Depth::Full) };
    let view = tokio::time::timeout(Duration::from_secs(60), look(address, patience)).await.expect("it ends");
    let (offers, alone) = (offers(&view), offers(&alone));
    let narrowed = offers.narrowed.as_ref().expect("it was turned away");
    assert!((1..=2).contains(&narrowed.lanes), "{narrowed:?}");
    assert!(narrowed.why.to_string().contains("too many connections"), "{narrowed:?}");
    assert_nothing_wrong(offers);
    let answers = |offers: &Offers| offers.versions.iter().map(|offer| offer.answer.clone()).collect::<Vec<_>>();
    assert_eq!(answers(offers), answers(alone));
    assert!(offers.versions.iter().all(|offer| offer.suites.unknown.is_empty()), "{:?}", offers.versions);
}

/// Who takes TLS 1.3 alone and has internal_error for all else refuses all else.
#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_tls13_alone_refuses_without_words_is_known(#[values(Depth::Standard, Depth::Full)] depth: Depth) {
    // The versions below are allowed, and no suite is left for them.
    let Some(backend) = openssl(&["-no_tls1_2", "-groups", "X25519:P-256"]) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(depth) }).await;
    let offers = offers(&view);
    for version in [Version::Tls10, Version::Tls11, Version::Tls12] {
        assert_eq!(offers.offers_version(version), Offered::No, "{version}: {:?}", offers.version(version));
    }
    assert_eq!(offers.offers_version(Version::Tls13), Offered::Yes);
    assert_eq!(offers.intolerance.seen(), Some(&Vec::new()));
}

/// Wherever the server turns its back, the questions end.
#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_for_good_leaves(#[values(Depth::Standard, Depth::Full)] depth: Depth) {
    let Some(backend) = openssl(&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-groups", "X25519:P-256"]) else {
        return;
    };
    for total in (1..40).step_by(3) {
        let (address, _) = front(backend.address, Mood { total: Some(total), ..Mood::default() }).await;
        let patience = Patience { backoff: Duration::from_micros(10), ..patience(depth) };
        let view = tokio::time::timeout(Duration::from_secs(30), look(address, patience)).await.expect("it ends");
        if let Some(offers) = view.offers.seen() {
            assert_ne!(offers.offers_version(Version::Tls12), Offered::No, "after {total}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_bear_a_large_hello_is_found_out_and_asked_with_small_ones() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood { longest_hello: Some(511), ..Mood::default() }).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(Depth::Standard) }).await;
    let offers = offers(&view);
    let found = offers.intolerance.seen().unwrap_or_else(|| panic!("{}", offers.intolerance.why_not()));
    assert_eq!(found.iter().map(|found| found.of).collect::<Vec<_>>(), [HelloTrait::Large]);
    assert_eq!(offers.offers_version(Version::Tls12), Offered::Yes);
}

/// One thing in a hello that is not borne is named, and nothing is said to be refused that a hello without it gets.
#[rstest::rstest]
#[case::compression(Trait::Deflate, HelloTrait::Compression)]
#[case::padding(Trait::Extension(21), HelloTrait::Padding)]
#[case::session_ticket(Trait::Extension(35), HelloTrait::SessionTicket)]
#[case::schemes(Trait::ManySchemes, HelloTrait::ManySchemes)]
#[case::its_own_name(Trait::Extension(0), HelloTrait::OwnName)]
#[case::two_records(Trait::TwoRecords, HelloTrait::Fragmented)]
#[tokio::test(flavor = "multi_thread")]
async fn one_thing_that_is_not_borne_is_named_and_left_out(
    #[case] over: Trait,
    #[case] expected: HelloTrait,
    #[values(None, Some(40))] alert: Option<u8>,
) {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood { stumbles_over: Some((over, alert)), ..Mood::default() }).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(Depth::Full) }).await;
    let offers = offers(&view);
    assert_nothing_refused(offers);
    let found = offers.intolerance.seen().unwrap_or_else(|| panic!("{}", offers.intolerance.why_not()));
    let seen: Vec<_> = found.iter().filter(|found| found.how.seen().is_some()).map(|found| found.of).collect();
    assert_eq!(seen, [expected]);
    for version in [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13] {
        assert_eq!(offers.offers_version(version), Offered::Yes, "{version}: {:?}", offers.version(version));
    }
}

/// Who has none of the usual groups refuses the usual handshake for that, and not for its version.
#[rstest::rstest]
#[case("X448", None)]
#[case("ffdhe2048:ffdhe3072", None)]
#[case("P-521", None)]
#[case("brainpoolP256r1:brainpoolP384r1", Some(HelloTrait::NothingInTls13))]
#[tokio::test(flavor = "multi_thread")]
async fn groups_are_told_from_the_version(
    #[case] groups: &str,
    #[case] expected: Option<HelloTrait>,
    #[values(Depth::Standard, Depth::Full)] depth: Depth,
) {
    let Some(backend) = openssl(&["-groups", groups]) else { return };
    let (address, _) = front(backend.address, Mood::default()).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(depth) }).await;
    let offers = offers(&view);
    let found = offers.intolerance.seen().unwrap_or_else(|| panic!("{}", offers.intolerance.why_not()));
    let seen: Vec<_> = found.iter().filter(|found| found.how.seen().is_some()).map(|found| found.of).collect();
    assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
    let is_taken = if expected.is_none() { Offered::Yes } else { Offered::No };
    assert_eq!(offers.offers_version(Version::Tls13), is_taken);
}

/// Where the extension with which the schemes were asked is refused, none of them is known to be.
#[tokio::test(flavor = "multi_thread")]
async fn schemes_are_not_complete_where_their_question_is_refused() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let stumbles_over = Some((Trait::Extension(50), Some(47)));
    let (address, _) = front(backend.address, Mood { stumbles_over, ..Mood::default() }).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(Depth::Full) }).await;
    let offers = offers(&view);
    assert_eq!(offers.schemes.complete, []);
    assert!(offers.schemes.unknown.iter().any(|(_, why)| why.to_string().contains("signature_algorithms_cert")));
}

/// Where it cannot be left out, no refusal is believed.
#[rstest::rstest]
#[case(Trait::Extension(0xff01))]
#[case(Trait::EmptyKeyShare)]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_left_out_makes_nothing_refused(#[case] over: Trait, #[values(None, Some(40))] alert: Option<u8>) {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood { stumbles_over: Some((over, alert)), ..Mood::default() }).await;
    let view = look(address, Patience { backoff: Duration::from_millis(1), ..patience(Depth::Full) }).await;
    assert_nothing_refused(offers(&view));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_keeps_what_it_knows() {
    let Some(backend) = openssl(EVERYTHING) else { return };
    let (address, _) = front(backend.address, Mood { greeting_delay: Duration::from_millis(20), ..Mood::default() }).await;
    let patience = patience(Depth::Full);
    let watch = patience.watch.clone();
    let stop = async {
        while watch.progress().connections < 15 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        watch.stop();
    };
    let (view, ()) = tokio::join!(look(address, patience.clone()), stop);
    let offers = offers(&view);
    assert_nothing_wrong(offers);
    assert!(view.connections < 20, "{}", view.connections);
    assert_eq!(offers.offers_version(Version::Tls12), Offered::Yes);
    assert!(matches!(offers.offers_version(Version::Tls10), Offered::Unknown(_)));
}
