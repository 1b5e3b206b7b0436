//! Hand-built facts and rules for the tests of the report.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    facts::{
        Alpn, Answer, Beginnings, Certificate, Connection, Facts, Failure, HelloTrait, Intolerance, Line, Observed, Offers,
        Possession, Question, Refusal, Session, Speaker, Target, TlsSession, Vantage, View,
    },
    finding::{Outcome, Practice, ResultType, Severity, Violation},
    name::Name,
    report::Report,
    rules::{self, Context, Rule, policy},
    smtp::{Ehlo, Keyword, Reply},
    tls::{Alert, Group, Suite, SuiteFamily, Version},
    trust::TrustStore,
    wire::WireText,
};

pub(super) const NOW: OffsetDateTime = datetime!(2026-03-01 12:30:45 UTC);

const fn rule(id: &'static str, practice: Practice, severity: Severity, result: Option<ResultType>, page: &'static str) -> Rule {
    Rule {
        id,
        practice,
        severity,
        result_type: result,
        page,
        judge: rules::Judge::Server(|_| Outcome::NotApplicable(String::new())),
    }
}

pub(super) static SELF_SIGNED: Rule = rule(
    "self-signed",
    Practice::PublicCa,
    Severity::Fail,
    Some(ResultType::CertificateNotTrusted),
    " The certificate is self-signed.\n\n ## What it checks\n\n Whether it signs itself.\n\n ## Remedy\n\n \
     Order one from a public CA.\n\n ## References\n\n - RFC 5280, 6.1\n",
);
pub(super) static OLD_HASH: Rule = rule(
    "old-hash",
    Practice::StrongKeys,
    Severity::Warn,
    None,
    " The signature uses an old hash.\n\n ## Remedy\n\n Reissue it.\n\n ## References\n\n - RFC 9155, 1\n",
);
pub(super) static LOOSE_NAME: Rule = rule(
    "loose-name",
    Practice::Identity,
    Severity::Notice,
    None,
    " The CN names something else.\n\n ## Remedy\n\n Leave the CN out.\n\n ## References\n\n - RFC 9525, 2\n",
);
pub(super) static ADDRESS_RESTRICTED: Rule = rule(
    "starttls-address-restricted",
    Practice::OpportunisticTls,
    Severity::Fail,
    Some(ResultType::StarttlsNotSupported),
    " STARTTLS is offered to some client addresses only.\n\n ## Remedy\n\n Offer it to everyone.\n\n \
     - Postfix: `smtpd_discard_ehlo_keyword_address_maps =` without an entry that discards `starttls` for the outside \
     world; then `postfix reload`.\n - Exim: `tls_advertise_hosts = *`.\n - Exchange: one receive connector with the range \
     `0.0.0.0-255.255.255.255`.\n\n ## References\n\n - RFC 3207, 4\n - RFC 7435, 3\n",
);
pub(super) static EXPIRED: Rule = rule(
    "expired",
    Practice::Renewal,
    Severity::Fail,
    Some(ResultType::CertificateExpired),
    " The certificate has expired.\n\n ## What it checks\n\n The end of validity.\n\n ```\n openssl x509 -enddate\n ```\n\n \
     ## Why it matters\n\n Senders that enforce TLS\n stop delivering.\n\n ## Remedy\n\n Renew it.\n\n - Postfix: replace the \
     file of `smtpd_tls_chain_files`,\n   then `postfix reload`.\n\n ## References\n\n - RFC 5280, 4.1.2.5\n",
);

pub(super) fn reply(code: u16, lines: &[&str]) -> Reply {
    Reply { code, lines: lines.iter().map(|line| WireText::from(*line)).collect(), bare_lf: false }
}

/// A certificate that ends `days_left` after [`NOW`], with its issuer.
pub(super) fn chain(days_left: i64) -> Vec<Certificate> {
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let params = |cn: &str, names: &[&str]| {
        let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, cn);
        params.not_after = NOW + Duration::days(days_left);
        params.not_before = params.not_after - Duration::days(90);
        params
    };
    let (ca_key, leaf_key) = (key(), key());
    let mut ca = params("Example Test CA", &[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let leaf = params("mx1.example.test", &["mx1.example.test", "autodiscover.example.test"]).signed_by(&leaf_key, &issuer);
    vec![Certificate::from_der(leaf.unwrap().der()), Certificate::from_der(ca_certificate.der())]
}

fn facts(views: Vec<View>) -> Facts {
    Facts::new(Target { name: Name::parse("mx1.example.test").unwrap(), port: 25 }, views)
}

fn view(label: &str, source: &str, session: Session) -> View {
    let vantage = Vantage { label: Some(WireText::from(label)), source: Some(source.parse().unwrap()), ehlo: None };
    View {
        vantage,
        address: "192.0.2.10:25".parse().unwrap(),
        connections: 1,
        session,
        earlier: Vec::new(),
        beginnings: Beginnings::default(),
        offers: View::no_offers(),
        mail_in_clear: View::no_mail(),
        injection: View::no_injection(),
        transaction: View::no_transaction(),
    }
}

/// A server that refuses the connection.
pub(super) fn refused() -> Facts {
    let mut session = Session::not_attempted("there is no connection");
    session.connection = Observed::Failed(Failure::Refused);
    facts(vec![view("home", "203.0.113.9", session)])
}

fn dialog(source: &str, keywords: &[&str]) -> Session {
    let mut session = Session::not_attempted("STARTTLS is not offered");
    let greeting = "mx1.example.test Microsoft ESMTP MAIL Service ready at Sun, 1 Mar 2026 04:30:45 -0800";
    let keyword = |line: &&str| {
        let mut words = line.split(' ').map(WireText::from);
        Keyword { name: words.next().unwrap(), parameters: words.collect() }
    };
    session.connection = Observed::Seen(Connection { source: format!("{source}:50123").parse().unwrap() });
    session.greeting = Observed::Seen(reply(220, &[greeting]));
    let hello = format!("mx1.example.test Hello [{source}]");
    session.ehlo = Observed::Seen(Ehlo { domain: "mx1.example.test".into(), keywords: keywords.iter().map(keyword).collect() });
    session.quit = Observed::Seen(reply(221, &["2.0.0 Service closing transmission channel"]));
    let mut say = |from, text: &str, millis| session.transcript.push(Line { from, text: text.into(), millis });
    say(Speaker::Event, &format!("connected from {source}:50123"), 2);
    say(Speaker::Server, &format!("220 {greeting}"), 31);
    say(Speaker::Client, "EHLO check.example.test", 31);
    say(Speaker::Server, &format!("250-{hello}"), 33);
    for (i, line) in keywords.iter().enumerate() {
        say(Speaker::Server, &format!("250{}{line}", if i + 1 == keywords.len() { ' ' } else { '-' }), 33);
    }
    session
}

const KEYWORDS: [&str; 8] =
    ["SIZE 37748736", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING", "XRDST"];

/// A server that completes TLS, its certificate ending `days_left` after [`NOW`].
pub(super) fn encrypted(days_left: i64) -> View {
    let mut keywords = KEYWORDS.to_vec();
    keywords.insert(4, "STARTTLS");
    let source = "198.51.100.7";
    let mut session = dialog(source, &keywords);
    let quit = session.quit.clone();
    session.starttls = Observed::Seen(reply(220, &["2.0.0 SMTP server ready"]));
    session.help = Observed::NotAttempted("STARTTLS is offered".to_owned());
    session.tls = Observed::Seen(TlsSession {
        version: "TLSv1.3".to_owned(),
        suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        group: Some("x25519".to_owned()),
    });
    session.certificates = Observed::Seen(chain(days_left));
    session.possession = Observed::Seen(Possession::Proven("ecdsa_secp256r1_sha256".to_owned()));
    let mut after = session.ehlo.seen().unwrap().clone();
    after.keywords.retain(|keyword| !keyword.is("STARTTLS"));
    session.ehlo_after = Observed::Seen(after);
    session.quit = quit;
    for (from, text, millis) in [
        (Speaker::Client, "STARTTLS", 34),
        (Speaker::Server, "220 2.0.0 SMTP server ready", 36),
        (Speaker::Event, "TLS handshake finished: TLSv1.3", 61),
        (Speaker::Client, "QUIT", 62),
        (Speaker::Server, "221 2.0.0 Service closing transmission channel", 63),
    ] {
        session.transcript.push(Line { from, text: text.into(), millis });
    }
    view("partner", source, session)
}

/// The same server, which offers no STARTTLS to this address but lists it in HELP.
pub(super) fn clear() -> View {
    let source = "203.0.113.9";
    let mut session = dialog(source, &KEYWORDS);
    session.help = Observed::Seen(reply(214, &["This server supports the following commands:", "HELO EHLO STARTTLS RCPT DATA"]));
    view("home", source, session)
}

/// A report with what the rules derive of STARTTLS.
fn judged(facts: Facts, outcomes: Vec<(&'static Rule, Outcome)>, stores: &[TrustStore]) -> Report {
    let policy = policy::default();
    let visibility = rules::visibility(&Context::new(&facts, stores, policy, NOW), &[]);
    Report { visibility, ..Report::new(facts, outcomes, stores, policy, NOW) }
}

/// The story: STARTTLS for the partner only, and an expired certificate.
pub(super) fn story() -> Report {
    let facts = facts(vec![encrypted(-12), clear()]);
    let no_certificate = "no certificate was seen from home (203.0.113.9): STARTTLS is not offered";
    let expired =
        Violation { views: vec![0], ..Violation::new("the certificate expired 12 days ago").evidence("valid until 2026-02-17") };
    let restricted = Violation {
        views: vec![1],
        ..Violation::new("STARTTLS is offered to partner (198.51.100.7) and not to home (203.0.113.9)").evidence(
            "EHLO to home (203.0.113.9): SIZE, PIPELINING, DSN, ENHANCEDSTATUSCODES, 8BITMIME, BINARYMIME, CHUNKING, XRDST",
        )
    };
    let loose = Violation { views: vec![0], ..Violation::new("the CN names a host that no SAN names") };
    let outcomes = vec![
        (&SELF_SIGNED, Outcome::Undetermined(no_certificate.to_owned())),
        (&OLD_HASH, Outcome::Undetermined(no_certificate.to_owned())),
        (&LOOSE_NAME, Outcome::Violated(vec![loose])),
        (&ADDRESS_RESTRICTED, Outcome::Violated(vec![restricted])),
        (&EXPIRED, Outcome::Violated(vec![expired])),
    ];
    judged(facts, outcomes, &stores())
}

/// Nothing wrong, seen from one place.
pub(super) fn healthy() -> Report {
    let outcomes = vec![
        (&SELF_SIGNED, Outcome::Passed("the path ends in Example Test CA (lab)".to_owned())),
        (&OLD_HASH, Outcome::Passed("EC P-256, signed with ecdsa-with-SHA256".to_owned())),
        (&LOOSE_NAME, Outcome::Passed("mx1.example.test is a SAN".to_owned())),
        (&ADDRESS_RESTRICTED, Outcome::NotApplicable("seen from one vantage point only".to_owned())),
        (&EXPIRED, Outcome::Passed("the certificate is valid for 61 more days".to_owned())),
    ];
    judged(facts(vec![encrypted(61)]), outcomes, &stores())
}

/// A server that was asked everything and takes too much.
pub(super) fn offered() -> Report {
    let lost = || (SuiteFamily::Rc4, Failure::TimedOut { millis: 30_000 });
    let offers = Offers::good()
        .accept(Version::Tls10, &["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"])
        .client_order(Version::Tls10)
        .lose(Version::Ssl2)
        .dh(1024, "17")
        .with(|offers| {
            let tls10 = &mut offers.versions[2].suites;
            (tls10.complete, tls10.unknown) = (vec![SuiteFamily::Null, SuiteFamily::Export], vec![lost()]);
            offers.chains[0].certificates = Observed::Seen(chain(20));
            offers.chains[2].answer = Observed::Seen(Answer::Refused(Refusal::Alert(Alert(112))));
            offers.intolerance = Observed::Seen(vec![Intolerance {
                of: HelloTrait::Large,
                how: Observed::Seen("connection closed by the server".to_owned()),
            }]);
            let question =
                |what: &str, answered| Question { what: what.to_owned(), answered, unanswered: 1, bytes: 9_000, millis: 700 };
            offers.questions = vec![question("suites of TLSv1.0", 4), question("a hello without a server name", 1)];
        });
    let mut view = encrypted(61);
    view.offers = Observed::Seen(offers);
    view.connections = 9;
    judged(facts(vec![view]), vec![(&OLD_HASH, Outcome::Passed(String::new()))], &stores())
}

/// No connection at all.
pub(super) fn unreachable() -> Report {
    let why = "no certificate was seen from home (203.0.113.9): there is no connection";
    let outcomes = [&SELF_SIGNED, &OLD_HASH, &LOOSE_NAME, &ADDRESS_RESTRICTED, &EXPIRED];
    let outcomes = outcomes.map(|rule| (rule, Outcome::Undetermined(why.to_owned()))).to_vec();
    judged(refused(), outcomes, &stores())
}

/// Everything that a peer or a forged report controls, set to `text`.
pub(super) fn hostile(text: &str) -> Report {
    let wire = WireText::from(text);
    let mut view = encrypted(5);
    view.vantage.label = Some(wire.clone());
    let session = &mut view.session;
    session.greeting = Observed::Seen(reply(220, &[text, text]));
    session.ehlo = Observed::Seen(Ehlo {
        domain: wire.clone(),
        keywords: vec![Keyword { name: wire.clone(), parameters: vec![wire.clone()] }; 50],
    });
    session.help = Observed::Failed(Failure::NotSmtp(text.to_owned()));
    session.starttls = Observed::Failed(Failure::Unsolicited(wire.clone()));
    session.tls = Observed::Seen(TlsSession { version: text.to_owned(), suite: text.to_owned(), group: Some(text.to_owned()) });
    session.possession = Observed::Seen(Possession::Refuted(text.to_owned()));
    session.quit = Observed::NotAttempted(text.to_owned());
    session.transcript = vec![Line { from: Speaker::Server, text: wire.clone(), millis: u64::MAX }; 20];
    view.offers = Observed::Seen(hostile_offers(text, wire));
    let violation = Violation { views: vec![0, 7], ..Violation::new(text).evidence(text).evidence(text) };
    let outcomes = vec![
        (&SELF_SIGNED, Outcome::Undetermined(text.to_owned())),
        (&OLD_HASH, Outcome::Passed(text.to_owned())),
        (&LOOSE_NAME, Outcome::NotApplicable(text.to_owned())),
        (&EXPIRED, Outcome::Violated(vec![violation])),
    ];
    let stores = [TrustStore { name: text.to_owned(), public: false, anchors: Vec::new() }];
    let mut report = judged(facts(vec![view, clear()]), outcomes, &stores);
    report.notes.push(text.to_owned());
    report
}

fn hostile_offers(text: &str, wire: WireText) -> Offers {
    let failure = || Failure::Tls(text.to_owned());
    Offers::good().dh(u32::MAX, text).with(|offers| {
        offers.versions[0].answer = Observed::Failed(failure());
        offers.versions[1].suites.unknown = vec![(SuiteFamily::Rc4, failure()); 100];
        offers.versions[4].suites.accepted = (0..1000).map(Suite).collect();
        offers.versions = vec![offers.versions[4].clone(); 100];
        offers.groups.accepted = (0..1000).map(Group).collect();
        offers.dh = vec![offers.dh[0].clone(); 1000];
        offers.alpn = Observed::Seen(Alpn::Chosen(wire));
        offers.client_certificate = Observed::Failed(failure());
        offers.intolerance =
            Observed::Seen(vec![Intolerance { of: HelloTrait::Tls13, how: Observed::Seen(text.to_owned()) }; 100]);
        offers.chains[0].possession = Observed::Seen(Possession::Proven(text.to_owned()));
        offers.chains[1].answer = Observed::Failed(failure());
        offers.chains[1].certificates = Observed::NotAttempted(text.to_owned());
        let question =
            Question { what: text.to_owned(), answered: u32::MAX, unanswered: u32::MAX, bytes: u64::MAX, millis: u64::MAX };
        offers.questions = vec![question; 200];
    })
}

fn stores() -> [TrustStore; 1] {
    [TrustStore { name: "lab".to_owned(), public: true, anchors: Vec::new() }]
}
