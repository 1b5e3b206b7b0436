//! Hand-built offers for the rules' own tests: everything asked of a good server, and the means to spoil it.

use super::{
    Context, Outcome, Rule,
    policy::{self, Policy},
    test_facts::{NOW, World},
};
use crate::{
    facts::{
        Alpn, Answer, ClientCertificate, Depth, DhGroup, Failure, Features, GroupList, Observed, Offers, Possession, Preference,
        Refusal, SchemeList, ServedChain, Sni, Taken, VersionOffer,
    },
    tls::{Alert, Authentication, Group, SignatureScheme, Suite, SuiteFamily, Version},
};

impl World {
    /// Judges a server of which these offers were seen, besides a session as ever.
    pub fn judge_offers(&self, rule: &Rule, offers: Offers) -> Outcome {
        self.judge_by(policy::default(), rule, offers)
    }

    /// The same by another policy.
    pub fn judge_by(&self, policy: &Policy, rule: &Rule, offers: Offers) -> Outcome {
        let mut facts = self.facts(1);
        facts.views[0].offers = Observed::Seen(offers);
        rule.judge(&Context::new(&facts, &self.stores, policy, NOW))
    }
}

/// How a server says no.
pub fn refusal() -> Answer {
    Answer::Refused(Refusal::Alert(Alert(70)))
}

fn all<T, L>(accepted: Vec<T>, list: L) -> Taken<T, L> {
    Taken { accepted, complete: vec![list], unknown: Vec::new() }
}

impl Offers {
    /// A server of TLS 1.2 and 1.3 that was asked everything and has nothing to hide.
    pub fn good() -> Self {
        let mut offers = Self::unasked(Depth::Full);
        for offer in &mut offers.versions {
            offer.answer = Observed::Seen(refusal());
        }
        let offers = offers
            .accept(Version::Tls12, &["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
            .accept(Version::Tls13, &["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]);
        let features = Features {
            version: Version::Tls12,
            secure_renegotiation: true,
            extended_master_secret: true,
            encrypt_then_mac: Some(false),
            session_ticket: true,
            compression: false,
            ocsp_staple: None,
        };
        Self {
            features: Observed::Seen(features),
            schemes: all(vec![SignatureScheme::from_name("ecdsa_secp256r1_sha256").unwrap()], SchemeList::All),
            alpn: Observed::Seen(Alpn::Ignored),
            intolerance: Observed::Seen(Vec::new()),
            client_certificate: Observed::Seen(ClientCertificate::NotRequested),
            ..offers
        }
        .groups(&["X25519MLKEM768", "x25519", "secp256r1"])
        .curves(&["x25519", "secp256r1", "secp384r1"])
        .chain(Sni::Target)
        .chain(Sni::None)
        .chain(Sni::Foreign)
    }

    /// The same server, of which nothing was answered.
    pub fn unanswered() -> Self {
        fn lost<T>() -> Observed<T> {
            Observed::Failed(Failure::Closed)
        }
        let mut offers = Self::unasked(Depth::Full);
        for offer in &mut offers.versions {
            offer.answer = lost();
        }
        offers.groups.unknown.push((GroupList::All, Failure::Closed));
        offers.curves.unknown.push((GroupList::All, Failure::Closed));
        offers.schemes.unknown.push((SchemeList::All, Failure::Closed));
        offers.features = lost();
        offers.intolerance = lost();
        offers.client_certificate = lost();
        for sni in [Sni::Target, Sni::None, Sni::Foreign] {
            offers = offers.chain(sni);
        }
        for chain in &mut offers.chains {
            chain.answer = lost();
            chain.certificates = lost();
        }
        offers
    }

    fn version_mut(&mut self, version: Version) -> &mut VersionOffer {
        self.versions.iter_mut().find(|offer| offer.version == version).unwrap()
    }

    /// Takes exactly these suites in that version, in this order.
    pub fn accept(mut self, version: Version, suites: &[&str]) -> Self {
        let offer = self.version_mut(version);
        offer.answer = Observed::Seen(Answer::Accepted);
        offer.suites = all(suites.iter().map(|name| Suite::from_name(name).unwrap()).collect(), SuiteFamily::All);
        offer.preference = Observed::Seen(Preference::Server);
        self
    }

    /// Refuses a version.
    pub fn refuse(mut self, version: Version) -> Self {
        let offer = self.version_mut(version);
        offer.answer = Observed::Seen(refusal());
        offer.suites = Taken::default();
        self
    }

    /// Gives no answer to a version.
    pub fn lose(mut self, version: Version) -> Self {
        let offer = self.version_mut(version);
        offer.answer = Observed::Failed(Failure::Closed);
        offer.suites = Taken::default();
        self
    }

    /// Chooses by the client's order in that version.
    pub fn client_order(mut self, version: Version) -> Self {
        self.version_mut(version).preference = Observed::Seen(Preference::Client);
        self
    }

    /// Takes exactly these groups in TLS 1.3.
    pub fn groups(mut self, names: &[&str]) -> Self {
        self.groups = all(names.iter().map(|name| Group::from_name(name).unwrap()).collect(), GroupList::All);
        self
    }

    /// Takes exactly these curves before TLS 1.3.
    pub fn curves(mut self, names: &[&str]) -> Self {
        self.curves = all(names.iter().map(|name| Group::from_name(name).unwrap()).collect(), GroupList::All);
        self
    }

    /// Sends a finite-field group for one more suite of TLS 1.2.
    pub fn dh(mut self, bits: u32, prime: &str) -> Self {
        let suite = Suite::from_name("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256").unwrap();
        self.version_mut(Version::Tls12).suites.accepted.push(suite);
        self.dh.push(DhGroup { bits, prime: prime.to_owned(), generator: "2".to_owned(), suites: vec![suite] });
        self
    }

    /// Answers a hello with that server name by the certificate of the session.
    pub fn chain(mut self, sni: Sni) -> Self {
        self.chains.push(ServedChain {
            authentication: Authentication::Ecdsa,
            sni,
            answer: Observed::Seen(Answer::Accepted),
            version: Some(Version::Tls12),
            certificates: Observed::Seen(World::correct().chain),
            possession: Observed::Seen(Possession::Proven("ecdsa_secp256r1_sha256".to_owned())),
        });
        self
    }

    /// Any other change.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
