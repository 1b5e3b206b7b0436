//! What certificates cost: `cargo bench --bench certificates` prints the tables of docs/performance.md.
//!
//! ```text
//! cargo bench --bench certificates              both tables
//! cargo bench --bench certificates -- issued    certificates issued, by kind of key, with a cold and a warm cache of keys
//! cargo bench --bench certificates -- judged    chains made to be expensive, read and judged
//! ```
//!
//! Times are CPU time of the one thread that does the work, so that what else the machine does counts little; only those of
//! keys made anew are wall time, since each takes a process of its own.

#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

use mtalab::{
    check,
    facts::{Beginnings, Certificate, Connection, Facts, Observed, Session, Target, Vantage, View},
    name::Name,
    plan::{Issuance, Plan},
    scenario::{Corpus, Key},
    trust::TrustStore,
    verify::{self, Case},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair,
    NameConstraints, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use time::OffsetDateTime;

const HOST: &str = "mx.lab.test";
const KEYS: [(&str, Key); 6] = [
    ("ecdsa-p256", Key::EcdsaP256),
    ("ecdsa-p384", Key::EcdsaP384),
    ("ed25519", Key::Ed25519),
    ("rsa-2048", Key::Rsa2048),
    ("rsa-3072", Key::Rsa3072),
    ("rsa-4096", Key::Rsa4096),
];
/// What one plan of a baseline issues: a root, an intermediate, and a server's certificate, which is signed twice: once for
/// its timestamps.
const CERTIFICATES: u32 = 3;
/// In a child that issues with nothing cached: the kind of key.
const COLD: &str = "MTALAB_BENCH_COLD";

fn main() {
    if let Ok(name) = std::env::var(COLD) {
        let case = baseline(KEYS.iter().find(|(known, _)| *known == name).expect("a kind of key").1);
        // Once only: then the key is in the cache.
        let start = Instant::now();
        issue(&case);
        println!("{}", start.elapsed().as_nanos());
        return;
    }
    // Cargo adds an argument of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_asked = |table: &str| words.is_empty() || words.iter().any(|word| word == table);
    if is_asked("issued") {
        issued();
    }
    if is_asked("judged") {
        judged();
    }
}

/// CPU time of this thread for one call, repeated until it is much more than the tick by which the kernel counts.
fn cpu<T>(what: impl Fn() -> T) -> Duration {
    let spent = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says what a thread spent");
        Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number"))
    };
    let (before, mut calls) = (spent(), 0);
    loop {
        drop(std::hint::black_box(what()));
        calls += 1;
        let time = spent() - before;
        if time > Duration::from_millis(100) {
            return time / calls;
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn case(id: &str) -> Case {
    let cases = verify::load(&Corpus::embedded().expect("the corpus"), &[id.to_owned()]).expect("it parses");
    cases.into_iter().find(|case| case.kind == "postfix").expect("it runs as Postfix")
}

fn baseline(key: Key) -> Case {
    let mut case = case("baseline/good");
    case.scenario.certificate.key = Some(key);
    case
}

fn issue(case: &Case) -> Plan {
    Plan::resolve(&case.id, &case.scenario, &case.kind, Issuance::now()).expect("a plan")
}

fn issued() {
    println!("| key of the server | plan, keys made anew (wall) | plan, RSA keys cached | certificates per second, cached |");
    println!("| --- | --- | --- | --- |");
    for (name, key) in KEYS {
        // RSA keys are cached by the process and on the disk, so each sample has both of its own.
        let cold = |_| {
            let folder = tempfile::tempdir().expect("a folder");
            let program = std::env::current_exe().expect("this program");
            let output = Command::new(program).env(COLD, name).env("MTALAB_CACHE_DIR", folder.path()).output().expect("it runs");
            let text = String::from_utf8(output.stdout).expect("a number");
            Duration::from_nanos(text.trim().parse().expect("a number"))
        };
        let cold = median((0..11).map(cold).collect());
        let case = baseline(key);
        issue(&case);
        let warm = median((0..11).map(|_| cpu(|| issue(&case))).collect());
        let rate = f64::from(CERTIFICATES) / warm.as_secs_f64();
        println!("| {name} | {} | {} | {rate:.0} |", millis(cold), millis(warm));
    }
}

fn judged() {
    let p256: Vec<_> = (0..64).map(|_| HostileKey::Real(KeyPair::generate().expect("a key"))).collect();
    let rsa = |number, bits| -> Vec<_> { (0..number).map(|number| HostileKey::rsa(number, bits)).collect() };
    let chains = [
        ("baseline", planned("baseline/good")),
        ("20 certificates", planned("certificate/twenty-certificates")),
        ("a circle", planned("certificate/circle")),
        ("10,000 names", planned("certificate/ten-thousand-names")),
        ("1,000 names under a CA that excludes 1,000 others", constrained(1_000)),
        ("10,000 names under a CA that excludes 10,000 others", constrained(10_000)),
        ("64 CAs of one name and key identifier, P-256", namesakes(p256)),
        ("64 of them with RSA of 4096 bits, all signatures wrong", namesakes(rsa(64, 4096))),
        ("64 of them with RSA of 8192 bits, all signatures wrong", namesakes(rsa(64, 8192))),
        ("48 of them with RSA of 16384 bits, all signatures wrong", namesakes(rsa(48, 16_384))),
    ];
    println!("| chain | KiB | read | judged, all rules |");
    println!("| --- | --- | --- | --- |");
    for (name, (ders, mut stores)) in chains {
        // The whole list of Mozilla is searched too, as in a check.
        stores.push(TrustStore::mozilla());
        let size = ders.iter().map(Vec::len).sum::<usize>() / 1024;
        let read = || ders.iter().map(|der| Certificate::from_der(der)).collect::<Vec<_>>();
        let facts = facts(read());
        let judge = || check::judge(facts.clone(), &stores, OffsetDateTime::now_utc());
        let samples = if cpu(judge) > Duration::from_secs(1) { 3 } else { 11 };
        let reading = median((0..samples).map(|_| cpu(read)).collect());
        let judging = median((0..samples).map(|_| cpu(judge)).collect());
        println!("| {name} | {size} | {} | {} |", millis(reading), millis(judging));
    }
}

type Chain = (Vec<Vec<u8>>, Vec<TrustStore>);

/// What the server of a scenario sends.
fn planned(id: &str) -> Chain {
    let plan = issue(&case(id));
    (plan.server.credentials.chain, vec![plan.trust])
}

/// A server that showed this chain.
fn facts(chain: Vec<Certificate>) -> Facts {
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
    Facts::new(Target { name: Name::parse(HOST).expect("a name"), port: 25 }, vec![view])
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Each name is compared with each subtree, and none of them matches.
fn constrained(number: usize) -> Chain {
    let key = KeyPair::generate().expect("a key");
    let mut above = authority("Constrained CA");
    let subtrees = |tail: &str| (0..number).map(|number| format!("{number}.{tail}")).collect::<Vec<_>>();
    let excluded_subtrees = subtrees("b").into_iter().map(GeneralSubtree::DnsName).collect();
    above.name_constraints = Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
    let params = CertificateParams::new(subtrees("a")).expect("names");
    let root = authority("Root CA");
    let by = |params: &CertificateParams, above: &CertificateParams| {
        params.signed_by(&key, &Issuer::from_params(above, &key)).expect("a certificate").der().to_vec()
    };
    let anchors = vec![root.self_signed(&key).expect("a certificate").der().to_vec().into()];
    (vec![by(&params, &above), by(&above, &root)], vec![TrustStore { name: "own".to_owned(), public: true, anchors }])
}

/// CAs of one name and key identifier: who signed what must be tried out. Of those that are looked at, each one was signed
/// by the one that is tried last.
fn namesakes(keys: Vec<HostileKey>) -> Chain {
    const LOOKED_AT: usize = 32;
    let mut params = authority("Namesake CA");
    params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
    params.use_authority_key_identifier_extension = true;
    let chain = keys.iter().enumerate().map(|(place, key)| {
        let signer = &keys[(place + LOOKED_AT - 1) % LOOKED_AT];
        let mut own = if place == 0 { CertificateParams::new([HOST.to_owned()]).expect("a name") } else { params.clone() };
        own.use_authority_key_identifier_extension = true;
        own.signed_by(key, &Issuer::from_params(&params, signer)).expect("a certificate").der().to_vec()
    });
    (chain.collect(), Vec::new())
}

/// A key of somebody who wants its readers to work.
enum HostileKey {
    Real(KeyPair),
    /// Nobody knows the factors of this modulus, and nobody has to: a signature that is wrong is checked all the same.
    Rsa(Vec<u8>),
}

impl HostileKey {
    fn rsa(number: usize, bits: usize) -> Self {
        let mut modulus = vec![0xc5; bits / 8];
        modulus[8..16].copy_from_slice(&number.to_be_bytes());
        Self::Rsa(yasna::construct_der(|writer| {
            writer.write_sequence(|out| {
                out.next().write_bigint_bytes(&modulus, true);
                // The largest exponent that libraries take.
                out.next().write_u64((1 << 33) - 1);
            });
        }))
    }
}

impl PublicKeyData for HostileKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Real(key) => key.der_bytes(),
            Self::Rsa(public) => public,
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Real(key) => key.algorithm(),
            Self::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for HostileKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Real(key) => key.sign(message),
            // Besides the modulus, the key takes less than 32 bytes.
            Self::Rsa(public) => Ok(vec![0x5a; public.len() / 32 * 32]),
        }
    }
}
