//! Hand-built facts for the rules' own tests: a correct world, and the means to spoil it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock, Mutex},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use rsa::{pkcs1::EncodeRsaPublicKey as _, pkcs1v15::Pkcs1v15Sign};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime, macros::datetime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Context, Outcome, Rule};
use crate::{
    facts::{
        Beginnings, Certificate, ClientCertificate, Connection, Facts, Failure, Observed, Possession, Session, Target,
        TlsSession, Vantage, View,
    },
    name::Name,
    smtp::{Ehlo, Reply},
    trust::TrustStore,
};

/// The moment of judgement in every test.
pub const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// The name of the server.
pub const HOST: &str = "mx.example.test";

/// The kind of an outcome, for tables.
pub fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed(_) => "passed",
        Outcome::NotApplicable(_) => "not-applicable",
        Outcome::Undetermined(_) => "undetermined",
        Outcome::Violated(_) => "violated",
    }
}

/// The messages of a violated rule.
pub fn messages(outcome: &Outcome) -> Vec<&str> {
    match outcome {
        Outcome::Violated(violations) => violations.iter().map(|violation| violation.message.as_str()).collect(),
        other => panic!("not violated: {other:?}"),
    }
}

/// A reply of one line.
pub fn reply(code: u16, text: &str) -> Reply {
    Reply { code, lines: vec![text.into()], bare_lf: false }
}

/// A positive reply to EHLO with these lines after the first.
pub fn ehlo(domain: &str, keywords: &[&str]) -> Observed<Ehlo> {
    let lines = std::iter::once(domain).chain(keywords.iter().copied()).map(Into::into).collect();
    Observed::Seen(Ehlo::from_reply(&Reply { code: 250, lines, bare_lf: false }))
}

/// A server, those who look at it, and whom they trust.
pub struct World {
    /// The CA that the store trusts.
    pub root: Authority,
    /// Its intermediate, which issues the server's certificate.
    pub issuing: Authority,
    /// What the server sends.
    pub chain: Vec<Certificate>,
    /// One public store called `world`.
    pub stores: Vec<TrustStore>,
}

impl World {
    /// Nothing is wrong.
    pub fn correct() -> Self {
        static CORRECT: LazyLock<(Authority, Authority, Certificate)> = LazyLock::new(|| {
            let root = Authority::root("World Root CA");
            let issuing = root.intermediate("Issuing CA");
            let leaf = issuing.leaf(|_| {});
            (root, issuing, leaf)
        });
        let (root, issuing, leaf) = CORRECT.clone();
        let anchors = vec![root.certificate.der().to_vec().into()];
        Self {
            chain: vec![leaf, issuing.certificate.clone()],
            stores: vec![TrustStore { name: "world".to_owned(), public: true, anchors }],
            root,
            issuing,
        }
    }

    /// The server seen from so many vantage points.
    pub fn facts(&self, vantage_points: usize) -> Facts {
        let views = (0..vantage_points).map(|index| self.view(index)).collect();
        Facts::new(Target { name: Name::parse(HOST).unwrap(), port: 25 }, views)
    }

    fn view(&self, index: usize) -> View {
        let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1 + index as u8));
        let not_asked = || Observed::NotAttempted("not needed".to_owned());
        View {
            offers: View::no_offers(),
            mail_in_clear: View::no_mail(),
            injection: View::no_injection(),
            transaction: View::no_transaction(),
            earlier: Vec::new(),
            beginnings: Beginnings::default(),
            vantage: Vantage { source: Some(source), ..Vantage::default() },
            address: SocketAddr::from(([198, 51, 100, 10], 25)),
            connections: 1,
            session: Session {
                connection: Observed::Seen(Connection { source: SocketAddr::new(source, 40_000) }),
                greeting: Observed::Seen(reply(220, "mx.example.test ESMTP")),
                ehlo: ehlo(HOST, &["PIPELINING", "STARTTLS"]),
                help: not_asked(),
                helo: not_asked(),
                unoffered_starttls: not_asked(),
                starttls: Observed::Seen(reply(220, "2.0.0 Ready to start TLS")),
                tls: Observed::Seen(TlsSession {
                    version: "TLSv1.3".into(),
                    suite: "TLS_AES_256_GCM_SHA384".into(),
                    group: None,
                }),
                certificates: Observed::Seen(self.chain.clone()),
                staple: Observed::Seen(None),
                possession: Observed::Seen(Possession::Proven("ecdsa_secp256r1_sha256".to_owned())),
                client_certificate: Observed::Seen(ClientCertificate::NotRequested),
                ehlo_after: ehlo(HOST, &["PIPELINING"]),
                quit: Observed::Seen(reply(221, "2.0.0 Bye")),
                transcript: Vec::new(),
            },
        }
    }

    /// The context of a judgement in this world.
    pub fn context<'a>(&'a self, facts: &'a Facts) -> Context<'a> {
        Context::new(facts, &self.stores, super::policy::default(), NOW)
    }

    /// Judges as seen from one vantage point.
    pub fn judge(&self, rule: &Rule) -> Outcome {
        self.judge_from(1, rule, |_| {})
    }

    /// Judges as seen from several, after a change to what is seen.
    pub fn judge_from(&self, vantage_points: usize, rule: &Rule, change: impl FnOnce(&mut [View])) -> Outcome {
        let mut facts = self.facts(vantage_points);
        change(&mut facts.views);
        rule.judge(&self.context(&facts))
    }

    /// Judges another certificate of the issuing CA.
    pub fn judge_leaf(&self, rule: &Rule, change: impl FnOnce(&mut CertificateParams)) -> Outcome {
        let chain = vec![self.issuing.leaf(change), self.issuing.certificate.clone()];
        self.judge_from(1, rule, |views| views[0].session.certificates = Observed::Seen(chain))
    }

    /// The server answers EHLO and does not offer STARTTLS.
    pub fn without_starttls(view: &mut View) {
        let Observed::Seen(reply) = std::mem::replace(&mut view.session.greeting, Observed::NotAttempted(String::new())) else {
            panic!("no greeting")
        };
        let connection = view.session.connection.clone();
        view.session = Session {
            connection,
            greeting: Observed::Seen(reply),
            ehlo: ehlo(HOST, &["PIPELINING"]),
            ..Session::not_attempted("STARTTLS is not offered")
        };
    }

    /// Nothing answers.
    pub fn timed_out(view: &mut View) {
        let connection = Observed::Failed(Failure::TimedOut { millis: 30_000 });
        view.session = Session { connection, ..Session::not_attempted("not connected") };
    }

    /// The greeting is a 421.
    pub fn throttled(view: &mut View) {
        let greeting = Observed::Failed(Failure::Throttled(reply(421, "4.7.0 too many connections")));
        let connection = view.session.connection.clone();
        view.session = Session { connection, greeting, ..Session::not_attempted("no greeting") };
    }

    /// A certificate of the right name, signed by its own key.
    pub fn self_signed() -> Certificate {
        let params = leaf_params();
        Certificate::from_der(params.self_signed(&*LEAF_KEY.clone()).unwrap().der())
    }

    /// Adds an authority information access that says where the issuer can be fetched.
    pub fn add_ca_issuers(params: &mut CertificateParams, place: &str) {
        let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let ca_issuers = wrap(6, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02]);
        let description = wrap(0x30, &[ca_issuers, wrap(0x86, place.as_bytes())].concat());
        let access = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], wrap(0x30, &description));
        params.custom_extensions.push(access);
    }

    /// Replaces the CN, or removes it.
    pub fn set_common_name(params: &mut CertificateParams, name: Option<&str>) {
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
    }
}

static LEAF_KEY: LazyLock<Arc<TestKey>> = LazyLock::new(|| Key::P256.generate());

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new([HOST.to_owned()]).unwrap();
    World::set_common_name(&mut params, Some(HOST));
    params.not_before = NOW - Duration::days(30);
    params.not_after = NOW + Duration::days(60);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.custom_extensions.push(timestamp());
    params
}

/// A list with one signed certificate timestamp, which nobody verifies (RFC 6962, 3.2 and 3.3).
fn timestamp() -> CustomExtension {
    let behind_length = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let one = [&[0][..], &[7; 32], &[0; 8], &[0, 0, 4, 3], &behind_length(&[0x30; 8])].concat();
    let list = behind_length(&behind_length(&one));
    let content = [&[4, u8::try_from(list.len()).unwrap()][..], &list].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11_129, 2, 4, 2], content)
}

/// A CA: its certificate and its key.
#[derive(Clone)]
pub struct Authority {
    /// Its certificate.
    pub certificate: Certificate,
    params: CertificateParams,
    key: Arc<TestKey>,
}

impl Authority {
    /// A root of that CN.
    pub fn root(name: &str) -> Self {
        Self::root_with(Key::P256, name)
    }

    /// A root with that kind of key.
    pub fn root_with(key: Key, name: &str) -> Self {
        Self::root_of(key, name, |_| {})
    }

    /// A root with that kind of key, with changes.
    pub fn root_of(key: Key, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (Self::params(name), key.generate());
        change(&mut params);
        let certificate = Certificate::from_der(params.self_signed(&*key).unwrap().der());
        Self { certificate, params, key }
    }

    /// The same CA, that signs under another name.
    pub fn called(&self, name: DistinguishedName) -> Self {
        let mut other = self.clone();
        other.params.distinguished_name = name;
        other
    }

    /// A CA below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, |_| {})
    }

    /// A CA below this one, with changes.
    pub fn intermediate_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        self.intermediate_of(Key::P256, name, change)
    }

    /// A CA below this one with that kind of key, and with changes.
    pub fn intermediate_of(&self, key: Key, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = Self::params(name);
        params.not_after = NOW + Duration::days(1000);
        change(&mut params);
        let key = key.generate();
        Self { certificate: self.sign(&params, &key), params, key }
    }

    /// The server's certificate, with changes.
    pub fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = leaf_params();
        change(&mut params);
        self.sign(&params, &LEAF_KEY)
    }

    /// The server's certificate with that kind of key.
    pub fn leaf_of(&self, key: Key) -> Certificate {
        self.leaf_with(key, |_| {})
    }

    /// The server's certificate with the CA's own key.
    pub fn leaf_of_its_own_key(&self) -> Certificate {
        self.sign(&leaf_params(), &self.key)
    }

    /// The server's certificate with that kind of key, and with changes.
    pub fn leaf_with(&self, key: Key, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = leaf_params();
        change(&mut params);
        self.sign(&params, &key.generate())
    }

    /// A certificate of this CA for another one: a cross-certificate.
    pub fn certify(&self, other: &Self) -> Certificate {
        self.sign(&other.params, &other.key)
    }

    /// The same with another end of validity.
    pub fn certify_until(&self, other: &Self, end: OffsetDateTime) -> Certificate {
        self.certify_with(other, |params| params.not_after = end)
    }

    /// The same with a change.
    pub fn certify_with(&self, other: &Self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = other.params.clone();
        change(&mut params);
        self.sign(&params, &other.key)
    }

    /// The same root with another end of validity.
    pub fn until(&self, end: OffsetDateTime) -> Certificate {
        self.again(|params| params.not_after = end)
    }

    /// The same root with a change.
    pub fn again(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = self.params.clone();
        change(&mut params);
        Certificate::from_der(params.self_signed(&*self.key).unwrap().der())
    }

    /// The same certificate with a change to the fields of what is signed (RFC 5280, 4.1), signed anew.
    pub fn reissue(&self, certificate: &Certificate, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Certificate {
        let (_, old) = X509Certificate::from_der(certificate.der()).unwrap();
        let signed = fields(old.tbs_certificate.as_ref());
        let mut inner = fields(&signed[0][header(&signed[0])..]);
        change(&mut inner);
        let signed = wrap(0x30, &inner.concat());
        let signature = wrap(3, &[&[0][..], &self.key.sign(&signed).unwrap()].concat());
        let whole = fields(&certificate.der()[header(certificate.der())..]);
        Certificate::from_der(&wrap(0x30, &[signed, whole[1].clone(), signature].concat()))
    }

    /// A list of the revoked for a week, with changes.
    pub fn list(&self, change: impl FnOnce(&mut CertificateRevocationListParams)) -> Vec<u8> {
        let mut params = CertificateRevocationListParams {
            this_update: NOW,
            next_update: NOW + Duration::days(7),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        params.signed_by(&Issuer::from_params(&self.params, &*self.key)).unwrap().der().to_vec()
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        World::set_common_name(&mut params, Some(name));
        params.not_before = NOW - Duration::days(1000);
        params.not_after = NOW + Duration::days(3000);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn sign(&self, params: &CertificateParams, key: &TestKey) -> Certificate {
        let issuer = Issuer::from_params(&self.params, &*self.key);
        Certificate::from_der(params.signed_by(&key, &issuer).unwrap().der())
    }
}

/// A value in DER.
pub fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    match length {
        [0, short @ 0..0x80] => [&[tag, short], content].concat(),
        [0, longer] => [&[tag, 0x81, longer], content].concat(),
        [high, low] => [&[tag, 0x82, high, low], content].concat(),
    }
}

/// The length of the head of a value, of the forms that a certificate has.
fn header(der: &[u8]) -> usize {
    if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) }
}

/// The values that follow each other.
fn fields(mut der: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = Vec::new();
    while !der.is_empty() {
        let head = header(der);
        let length = if head == 2 {
            usize::from(der[1])
        } else {
            der[2..head].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        };
        let (field, rest) = der.split_at(head + length);
        fields.push(field.to_vec());
        der = rest;
    }
    fields
}

/// Kinds of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa(usize),
}

impl Key {
    fn generate(self) -> Arc<TestKey> {
        let of = |algorithm| Arc::new(TestKey::Modern(KeyPair::generate_for(algorithm).unwrap()));
        match self {
            Self::P256 => of(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => of(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::P521 => of(&rcgen::PKCS_ECDSA_P521_SHA512),
            Self::Ed25519 => of(&rcgen::PKCS_ED25519),
            Self::Rsa(bits) => TestKey::rsa(bits),
        }
    }
}

/// A key that signs certificates, however weak it is.
enum TestKey {
    Modern(KeyPair),
    Rsa { private: Box<rsa::PrivateKey>, public: Vec<u8> },
}

impl TestKey {
    /// One key for each size: they take long to make.
    fn rsa(bits: usize) -> Arc<Self> {
        static KEYS: LazyLock<Mutex<HashMap<usize, Arc<TestKey>>>> = LazyLock::new(Mutex::default);
        let mut keys = KEYS.lock().unwrap();
        let key = keys.entry(bits).or_insert_with(|| {
            let private = Box::new(rsa::PrivateKey::new_unchecked(&mut rand::rng(), bits).unwrap());
            let public = private.as_public_key().to_pkcs1_der().unwrap().as_bytes().to_vec();
            Arc::new(Self::Rsa { private, public })
        });
        Arc::clone(key)
    }
}

impl PublicKeyData for TestKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Modern(key) => key.der_bytes(),
            Self::Rsa { public, .. } => public,
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Modern(key) => key.algorithm(),
            Self::Rsa { .. } => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for TestKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Modern(key) => key.sign(message),
            Self::Rsa { private, .. } => {
                Ok(private.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).expect("the key is large enough"))
            }
        }
    }
}

/// Hashes of a certificate's signature.
#[derive(Clone, Copy, Debug)]
pub enum Hash {
    Sha256,
    Sha224,
    Sha1,
    Md5,
}

impl Hash {
    /// The same certificate with a signature of that hash; the issuer needs an RSA key.
    pub fn resign(self, certificate: Certificate, issuer: &Authority) -> Certificate {
        const SHA256_WITH_RSA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
        let last = match self {
            Self::Sha256 => return certificate,
            Self::Sha224 => 0x0e,
            Self::Sha1 => 0x05,
            Self::Md5 => 0x04,
        };
        let mut der = certificate.der().to_vec();
        let places: Vec<usize> = (0..der.len() - 11).filter(|at| der[*at..].starts_with(&SHA256_WITH_RSA)).collect();
        assert_eq!(places.len(), 2, "inside and outside of the signed part");
        for at in places {
            der[at + 10] = last;
        }
        let signed = X509Certificate::from_der(&der).unwrap().1.tbs_certificate.as_ref().to_vec();
        // The DigestInfo heads of RFC 8017, 9.2, note 1.
        let (prefix, digest): (&[u8], Vec<u8>) = match self {
            Self::Md5 => (
                &[0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05, 0x05, 0x00, 0x04, 0x10],
                md5::Md5::digest(&signed).to_vec(),
            ),
            Self::Sha224 => (
                &[
                    0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04, 0x05, 0x00, 0x04,
                    0x1c,
                ],
                sha2::Sha224::digest(&signed).to_vec(),
            ),
            _ => (
                &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14],
                sha1::Sha1::digest(&signed).to_vec(),
            ),
        };
        let TestKey::Rsa { private, .. } = &*issuer.key else { panic!("an RSA key is needed") };
        let scheme = Pkcs1v15Sign { hash_len: Some(digest.len()), prefix: prefix.into() };
        let signature = private.sign(scheme, &digest).unwrap();
        let start = der.len() - signature.len();
        der[start..].copy_from_slice(&signature);
        Certificate::from_der(&der)
    }
}
