//! Makes the seeds in `fuzz/corpus` anew: what the checker and the lab's servers say to each other, recorded in between
//! and cut up for the targets. One of each kind is kept, named by what it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use sha1::{Digest as _, Sha1};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{
    facts::{Depth, Target, Vantage},
    hello::{Flight, FlightReader, Parameters},
    lab::embedded::{EmbeddedServer, Hello},
    plan::{Issuance, Plan, WebAnswer},
    probe::{self, Patience},
    scenario::Corpus,
    smtp::ReplyReader,
    tls::Version,
    verify,
};

use super::{
    revocation::{SERIAL, public_key},
    x509::NOW,
};

/// Servers that between them show everything that there is to read.
const SCENARIOS: &[&str] = &[
    "baseline/ed25519",
    "certificate/foreign-common-name",
    "certificate/md5",
    "certificate/misordered-chain",
    "certificate/rsa-512",
    "certificate/self-signed",
    "handshake/alert-internal-error",
    "handshake/client-certificate-requested",
    "handshake/client-certificate-required",
    "handshake/tls13-intolerant-alert",
    "revocation/good-by-both",
    "revocation/must-staple",
    "smtp/blocked",
    "smtp/throttled",
    "starttls/masked",
    "starttls/refused",
    "tls/anonymous",
    "tls/compression",
    "tls/dh-512",
    "tls/export",
    "tls/hello-retry",
    "tls/post-quantum",
    "tls/ssl2",
    "tls/ssl3",
    "tls/stock-exchange-2010",
    "tls/stock-postfix",
    "tls/two-certificates",
];

/// Received lines as servers write them, and as they should not.
const RECEIVED: &[(&str, &[u8])] = &[
    ("postfix", b"Received: from a.example (a.example [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature ECDSA (prime256v1) server-digest SHA256)\r\n\t(No client certificate requested)\r\n\tby b.example (Postfix) with ESMTPS id 4X for <u@b.example>;\r\n\tThu,  1 Jan 2026 00:00:00 +0000 (UTC)\r\n\r\n"),
    ("exim", b"Received: from [192.0.2.1] (helo=a.example)\r\n\tby b.example with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.96)\r\n\t(envelope-from <u@a.example>)\r\n\tid 1abc-0001-XY\r\n\tfor u@b.example;\r\n\tThu, 01 Jan 2026 00:00:00 +0000\r\n\r\n"),
    ("exchange", b"Received: from A.example (192.0.2.1) by B.example (192.0.2.2) with Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.1.2507.6; Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"),
    ("several", b"Received: by c.example with LMTP id z; Thu, 1 Jan 2026 00:00:02 +0000\nReceived: from b.example by c.example with ESMTP; Thu, 1 Jan 2026 00:00:01 +0000\nReceived: from a.example (a.example. [2001:db8::1])\n by b.example with ESMTPS id y (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); Thu, 1 Jan 2026 00:00:00 +0000\nSubject: x\n\nReceived: of the body\n"),
    ("nested", b"Received: from a (((((((((((((((((((b))))))))))) \\) \"q\\\"uoted\" by c with ESMTPA; \x00\x1b[31m\xff\n\n"),
];

/// Records of up to that size and pieces of that size make a small seed hardly larger.
const SIZES: [u8; 4] = [3, 0, 14, 255];
/// A seed that is larger slows every run down.
const MAX_SEED: usize = 8 * 1024;

/// What each side said on one connection.
#[derive(Default)]
struct Talk {
    client: Mutex<Vec<u8>>,
    server: Mutex<Vec<u8>>,
}

/// The seeds by target and name.
#[derive(Default)]
struct Seeds(BTreeMap<(&'static str, String), Vec<u8>>);

impl Seeds {
    fn add(&mut self, target: &'static str, name: &str, parts: &[&[u8]]) {
        let bytes = parts.concat();
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let words: Vec<_> = name.split(|c| !is_plain(&c)).filter(|word| !word.is_empty()).collect();
        if !words.is_empty() && bytes.len() <= MAX_SEED {
            self.0.entry((target, words.join("-").to_lowercase())).or_insert(bytes);
        }
    }
}

#[tokio::test]
#[ignore = "writes fuzz/corpus anew; `just fuzz-seeds` does that"]
async fn write() {
    let corpus = Corpus::embedded().unwrap();
    let mut seeds = Seeds::default();
    for id in SCENARIOS {
        for case in verify::load(&corpus, &[(*id).to_owned()]).unwrap() {
            for talk in talks(&case).await {
                let (client, server) = (talk.client.lock().unwrap(), talk.server.lock().unwrap());
                cut_up(&mut seeds, &case.kind, &client, &server);
            }
        }
    }
    for case in verify::load(&corpus, &["revocation/".to_owned()]).unwrap() {
        cut_answers(&mut seeds, &case.id, &verify::resolve(&case, Issuance { now: NOW, seed: None }).await.unwrap());
    }
    for (name, message) in RECEIVED {
        seeds.add("received", name, &[*message]);
    }
    seeds.add("wire_text", "escapes", &[b"\x1b[31m red \\ \xff \xe2\x80\xae M\xc3\xbcller\t\0"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let _ = fs::remove_dir_all(&root);
    for ((target, name), bytes) in seeds.0 {
        fs::create_dir_all(root.join(target)).unwrap();
        fs::write(root.join(target).join(name), bytes).unwrap();
    }
}

/// Everything that a full check of the case's server and that server say.
async fn talks(case: &verify::Case) -> Vec<Arc<Talk>> {
    let plan = verify::resolve(case, Issuance { now: NOW, seed: None }).await.unwrap();
    let server = EmbeddedServer::start(&plan).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let talks = Arc::new(Mutex::new(Vec::new()));
    let recording = tokio::spawn(record(listener, server.address, Arc::clone(&talks)));
    let target = Target { name: plan.server.host.clone(), port: 25 };
    let patience = Patience { depth: Depth::Full, ..Patience::lab() };
    probe::observe(&target, address, Vantage::default(), &patience).await;
    recording.abort();
    std::mem::take(&mut *talks.lock().unwrap())
}

async fn record(listener: TcpListener, server: SocketAddr, talks: Arc<Mutex<Vec<Arc<Talk>>>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let talk = Arc::new(Talk::default());
        talks.lock().unwrap().push(Arc::clone(&talk));
        tokio::spawn(async move {
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = TcpStream::connect(server).await.unwrap().into_split();
            tokio::join!(pass(client_in, server_out, &talk.client), pass(server_in, client_out, &talk.server));
        });
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, kept: &Mutex<Vec<u8>>) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        kept.lock().unwrap().extend(&chunk[..count]);
        if to.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Cuts one connection up.
fn cut_up(seeds: &mut Seeds, kind: &str, client: &[u8], server: &[u8]) {
    const STARTTLS: &[u8] = b"STARTTLS\r\n";
    let end = client.windows(STARTTLS.len()).position(|part| part == STARTTLS).map(|at| at + STARTTLS.len());
    let (commands, asked) = client.split_at(end.unwrap_or(client.len()));
    let lines = commands.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let verbs: Vec<_> = lines.map(|line| word(line.split(|byte| *byte == b' ').next().unwrap_or(line))).collect();
    seeds.add("commands", &verbs.join("-"), &[&[0], &SIZES, commands]);
    let mut rest = server;
    for verb in ["greeting".to_owned()].into_iter().chain(verbs) {
        let Some(length) = reply_length(rest) else { break };
        let (reply, after) = rest.split_at(length);
        rest = after;
        let code = word(&reply[..3]);
        seeds.add("reply", &format!("{kind}-{verb}-{code}"), &[reply]);
        let texts: Vec<_> = reply.split(|byte| *byte == b'\n').filter_map(|line| line.get(4..)).collect();
        seeds.add("wire_text", &format!("{kind}-{verb}-{code}"), &[texts[0]]);
        if (verb.as_str(), code.as_str()) == ("ehlo", "250") {
            seeds.add("ehlo", &format!("{kind}-{}-lines", texts.len()), &[&texts.join(&b'\n')]);
        }
    }
    let Some(hello) = futures::FutureExt::now_or_never(Hello::read(&mut &*asked)).and_then(Result::ok) else { return };
    seeds.add("client_hello", &hello_name(&hello), &[&SIZES, &hello.bytes]);
    let mut reader = FlightReader::default();
    if reader.push(rest).is_ok() {
        let length = answer_length(rest);
        cut_flight(seeds, &hello, &rest[..length], &reader.into_flight());
    }
}

/// What the CA of a scenario says of the server's certificate, as if it were that of the target.
fn cut_answers(seeds: &mut Seeds, id: &str, plan: &Plan) {
    let chain: Vec<_> = plan.server.credentials.chain.iter().map(|der| X509Certificate::from_der(der).unwrap().1).collect();
    let key = Sha1::digest(&chain[1].public_key().subject_public_key.data);
    let changes = [(chain[0].raw_serial(), &SERIAL[..]), (&key[..], &Sha1::digest(public_key())[..])];
    let published = plan.publication.iter().flat_map(|publication| &publication.resources);
    let published = published.filter_map(|resource| match &resource.answer {
        WebAnswer::Body(body) if ["/ocsp/server", "/server.crl"].contains(&&*resource.path) => Some(body),
        _ => None,
    });
    for (number, answer) in published.chain(&plan.server.credentials.staple).enumerate() {
        let answer = changes.iter().fold(answer.clone(), |answer, (from, to)| replaced(answer, from, to));
        seeds.add("revocation", &format!("{}-{number}", id.trim_start_matches("revocation/")), &[&answer]);
    }
}

/// The same with other bytes of the same length wherever these are.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for at in 0..=bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..][..from.len()].copy_from_slice(to);
        }
    }
    bytes
}

fn cut_flight(seeds: &mut Seeds, asked: &Hello, bytes: &[u8], flight: &Flight) {
    let name = flight_name(flight);
    seeds.add("flight", &name, &[&SIZES, bytes]);
    let messages = messages(bytes);
    if !messages.is_empty() {
        seeds.add("messages", &name, &[&SIZES, &messages]);
    }
    let chain = flight.certificates.clone().or_else(|| flight.ssl2.as_ref().map(|hello| vec![hello.certificate.clone()]));
    let chain = chain.unwrap_or_default();
    let mut list = Vec::new();
    let mut algorithms = BTreeSet::new();
    for der in &chain {
        list.extend(&u32::try_from(der.len()).unwrap().to_be_bytes()[1..]);
        list.extend(der);
        let certificate = crate::facts::Certificate::from_der(der);
        let details = certificate.details().unwrap();
        let marks = [
            (!details.ocsp_responders.is_empty(), "-ocsp"),
            (!details.crl_places.is_empty(), "-list"),
            (details.must_staple, "-must-staple"),
            (details.timestamps > 0, "-timestamps"),
        ];
        let marks = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark).collect::<String>();
        let name = format!("{}-{}{marks}", details.key, details.signature_algorithm);
        seeds.add("certificate", &if details.is_ca { format!("ca-{name}") } else { name.clone() }, &[der]);
        algorithms.insert(name);
    }
    if !chain.is_empty() {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        seeds.add("judgement", &format!("{}-of-{}", chain.len(), algorithms.join("-")), &[&list]);
    }
    let (Some(hello), Some(exchange)) = (&flight.hello, &flight.key_exchange) else { return };
    let place = Version::ALL.iter().position(|version| *version == hello.version).unwrap();
    let suite = u16::try_from(hello.suite.0).unwrap().to_be_bytes();
    let name = format!("{}-{}", hello.version.name(), exchange_name(&exchange.parameters));
    let body = body_of(&messages, 12);
    let is_signed = if exchange.signature.is_some() { "signed" } else { "anonymous" };
    seeds.add("key_exchange", &format!("{name}-{is_signed}"), &[&suite, &[u8::try_from(place).unwrap()], body]);
    let (Some(signature), Some(der)) = (&exchange.signature, chain.first()) else { return };
    let scheme = signature.scheme.map_or(0, |scheme| scheme.0);
    let name = signature.scheme.map_or_else(|| "no-scheme".to_owned(), |scheme| scheme.to_string());
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let signed = [&asked.random[..], &hello.random, &signature.parameters].concat();
    let parts: &[&[u8]] = &[&scheme.to_be_bytes(), &length(der), der, &length(&signature.bytes), &signature.bytes, &signed];
    seeds.add("possession", &name, parts);
}

fn word(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_lowercase()
}

fn reply_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = ReplyReader::default();
    bytes.iter().position(|byte| matches!(reader.push(*byte), Ok(Some(_)))).map(|at| at + 1)
}

/// Where an answer is complete, or its end.
fn answer_length(bytes: &[u8]) -> usize {
    let mut reader = FlightReader::default();
    bytes.iter().position(|byte| matches!(reader.push(&[*byte]), Ok(true))).map_or(bytes.len(), |at| at + 1)
}

/// The handshake messages of whole records.
fn messages(mut bytes: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let [22, _, _, high, low, rest @ ..] = bytes {
        let Some((fragment, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else { break };
        messages.extend(fragment);
        bytes = rest;
    }
    messages
}

/// The body of the first message of that type.
fn body_of(mut messages: &[u8], wanted: u8) -> &[u8] {
    while let [kind, a, b, c, rest @ ..] = messages {
        let (body, rest) = rest.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        if *kind == wanted {
            return body;
        }
        messages = rest;
    }
    &[]
}

fn hello_name(hello: &Hello) -> String {
    let version = Version::ALL.iter().rev().find(|version| hello.offers(**version, true)).map_or("unknown", |v| v.name());
    let parts = [
        (hello.server_name().is_some(), "-with-name"),
        (hello.groups().is_some(), "-with-groups"),
        (hello.records > 1, "-in-records"),
        (hello.suites.len() > 64, "-many-suites"),
        (hello.has_unknown_extension(), "-unknown-extension"),
        (hello.extension(21).is_some(), "-padded"),
    ];
    parts.iter().filter(|(is_so, _)| *is_so).fold(version.to_owned(), |name, (_, part)| name + part)
}

fn exchange_name(parameters: &Parameters) -> &'static str {
    match parameters {
        Parameters::FiniteField { .. } => "dh",
        Parameters::Curve(_) => "ecdh",
        Parameters::ExplicitCurve => "explicit-curve",
        Parameters::Rsa { .. } => "temporary-rsa",
        Parameters::Other => "other",
    }
}

fn flight_name(flight: &Flight) -> String {
    let Some(hello) = &flight.hello else {
        return flight
            .alert
            .map_or_else(|| if flight.ssl2.is_some() { "sslv2" } else { "nothing" }.to_owned(), |a| a.to_string());
    };
    let exchange = flight.key_exchange.as_ref().map(|exchange| exchange_name(&exchange.parameters));
    let parts = [
        if hello.is_retry { "-retry".to_owned() } else { String::new() },
        exchange.map_or_else(String::new, |name| format!("-{name}")),
        flight.certificates.as_ref().map_or_else(String::new, |chain| format!("-chain-of-{}", chain.len())),
        if flight.certificate_request.is_some() { "-request".to_owned() } else { String::new() },
        if hello.compression > 0 { "-compressed".to_owned() } else { String::new() },
        flight.alert.map_or_else(String::new, |alert| format!("-{alert}")),
    ];
    format!("{}{}", hello.version.name(), parts.concat())
}
