//! Certificates: what they say, what is proved with their keys, and what is judged of a chain.

use std::{
    fmt::Debug,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use rustls::SignatureScheme;
use serde::Serialize;
use serde_json::Value;
use time::{OffsetDateTime, macros::datetime};

use crate::{
    check,
    facts::{
        Beginnings, Certificate, CertificateDetails, Connection, Details, Encoded, Facts, Observed, Possession, Session, Target,
        Vantage, View,
    },
    name::Name,
    probe,
    report::{Report, json, redact::Redactor, text},
    rules::{self, Context, policy},
    tls,
    trust::TrustStore,
};

pub(super) const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
/// Of a report, besides what it repeats of the certificates.
const REPORT: usize = 1 << 20;
/// Eight certificates of a path with three responders and three lists each, and three issuers of the last.
const MAX_ERRANDS: usize = 8 * 6 + 3;

/// One certificate as DER.
pub fn certificate(input: &[u8]) {
    assert_kept::<CertificateDetails>(input);
}

/// A signature: its scheme (0 where none is said), then certificate and signature with a length of two bytes each,
/// then what is signed.
pub fn possession(input: &[u8]) {
    let Some((scheme, rest)) = input.split_first_chunk() else { return };
    let Some((certificate, rest)) = vector16(rest) else { return };
    let Some((signed, message)) = vector16(rest) else { return };
    let scheme = u16::from_be_bytes(*scheme);
    let verify = |message: &[u8]| match scheme {
        0 => probe::verify_key_exchange(message, certificate, None, signed),
        _ => {
            let verified = probe::verify(message, certificate, SignatureScheme::from(scheme), signed);
            let again = probe::verify_key_exchange(message, certificate, Some(tls::SignatureScheme(scheme)), signed);
            assert_eq!(verified, again);
            verified
        }
    };
    if matches!(verify(message), Possession::Proven(_)) {
        let other = verify(&[message, b"!"].concat());
        assert!(matches!(other, Possession::Refuted(_)), "the same signature is right for two messages: {other:?}");
    }
}

/// A chain in the form of a Certificate message, judged and reported; the last certificate is trusted.
pub fn judgement(input: &[u8]) {
    let mut rest = input;
    let mut chain = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<3>() {
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        let (der, after) = after.split_at(length.min(after.len()));
        chain.push(Certificate::from_der(der));
        rest = after;
    }
    let anchors = chain.last().map(|certificate| certificate.der().to_vec().into()).into_iter().collect();
    let store = TrustStore { name: "fuzz".to_owned(), public: true, anchors };
    let facts = facts(chain);
    let context = Context::new(&facts, std::slice::from_ref(&store), policy::default(), NOW);
    let errands = rules::errands(&context).into_iter().chain(rules::issuer_errands(&context));
    assert!(errands.count() <= MAX_ERRANDS, "a chain sends its reader to too many places");
    drop(context);
    reported(facts, store, input.len());
}

/// Facts judged, and the report: in both its forms it is bounded by what the facts were read from, and printable.
pub(super) fn reported(facts: Facts, store: TrustStore, length: usize) -> Report {
    let report = check::judge(facts, &[store], NOW);
    let shown = json::to_json(&report);
    assert!(shown.len() <= REPORT + 64 * length, "a report of {} bytes on {length}", shown.len());
    let read = json::read(shown.as_bytes()).unwrap_or_else(|why| panic!("the report does not read back: {why}"));
    assert_eq!(read.facts, report.facts);
    let text = text::render_redacted(&report, &text::TextOptions::snapshot(), &Redactor::new(&report.facts));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "the report holds a control character");
    report
}

/// What came as DER is kept as it came, and what it says is printable, bounded, and the same when it is read back.
pub(super) fn assert_kept<D: Details + Serialize + PartialEq + Debug>(input: &[u8]) {
    let kept = Encoded::<D>::from_der(input);
    assert_eq!(kept.der(), input);
    let shown = serde_json::to_value(&kept).unwrap_or_else(|why| panic!("it cannot be shown: {why}"));
    assert_printable(&shown);
    let length = shown.to_string().len();
    assert!(length <= 4096 + 64 * input.len(), "{length} bytes are shown of {}", input.len());
    assert_eq!(serde_json::from_value::<Encoded<D>>(shown).ok(), Some(kept), "it does not read back the same");
}

fn vector16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// A server that showed this chain.
pub(super) fn facts(chain: Vec<Certificate>) -> Facts {
    let mut session = Session::not_attempted("only the chain is of interest");
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    session.connection = Observed::Seen(Connection { source: SocketAddr::new(source, 40_000) });
    session.certificates = Observed::Seen(chain);
    let view = View {
        vantage: Vantage { source: Some(source), ..Vantage::default() },
        address: SocketAddr::from(([198, 51, 100, 10], 25)),
        connections: 1,
        session,
        earlier: Vec::new(),
        beginnings: Beginnings::default(),
        offers: View::no_offers(),
        mail_in_clear: View::no_mail(),
        injection: View::no_injection(),
        transaction: View::no_transaction(),
    };
    let name = Name::parse("mx.example.test").expect("a name");
    Facts::new(Target { name, port: 25 }, vec![view])
}

fn assert_printable(value: &Value) {
    match value {
        Value::String(text) => assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text:?}"),
        Value::Array(items) => items.iter().for_each(assert_printable),
        Value::Object(items) => items.values().for_each(assert_printable),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
