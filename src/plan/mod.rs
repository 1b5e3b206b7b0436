//! From a scenario to everything that is needed to start it: certificates, keys, the
//! server's behaviour. Decided here, once, for both backends.

mod domain;
mod keys;
mod mint;
mod pki;
mod publication;
mod server;
mod tlsa;
mod zone;

use std::time::Duration;

use time::OffsetDateTime;

pub use domain::{DomainPlan, MailServer, PolicyHostPlan};
pub use mint::Issuance;
pub use publication::{Publication, Published, WebAnswer};
pub use server::{Answer, Credentials, GreetingPlan, Offer, ServerPlan, TlsPlan};
pub use zone::{DnsPlan, NAME_SERVERS, RecordPlan, ZonePlan};

use mint::Mint;

use crate::{
    name::Name,
    scenario::{DialogFault, IpVersion, RefusedReply, RelayFault, Scenario},
    trust::TrustStore,
};

/// A resolved scenario for one kind of server, ready to be started by any backend.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's id, `certificate/expired`.
    pub scenario: String,
    /// The moment that all times are relative to.
    pub now: OffsetDateTime,
    /// What a checker is to trust.
    pub trust: TrustStore,
    /// The names of the vantage points, in order; at least one.
    pub vantages: Vec<String>,
    /// Those of them that come over IPv6, to another address of the server.
    pub over_ipv6: Vec<String>,
    /// The server.
    pub server: ServerPlan,
    /// What the CA publishes; none where nobody asks.
    pub publication: Option<Publication>,
    /// The port that the server stands for.
    pub port: u16,
    /// What stands before it.
    pub relay: Option<RelayFault>,
    /// What DNS calls the server's address.
    pub pointer: Vec<Name>,
    /// The certificate on the server's disk in DER, where it is not the one that is presented.
    pub installed: Option<Vec<u8>>,
}

/// The only vantage point of a scenario that names none.
pub const DEFAULT_VANTAGE: &str = "here";

/// Why a scenario cannot be resolved. The scenario, or a library that cannot make what it
/// asks for, is at fault.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A certificate or key cannot be made.
    #[error("cannot issue the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// An RSA key cannot be made or signed with.
    #[error("cannot use the RSA key: {0}")]
    Rsa(#[from] rsa::Error),
    /// A key cannot be written or read as PKCS#8.
    #[error("cannot encode the key: {0}")]
    Pkcs8(#[from] rsa::pkcs8::Error),
    /// A public key cannot be written as PKCS#1.
    #[error("cannot encode the public key: {0}")]
    Pkcs1(#[from] rsa::pkcs1::Error),
    /// A certificate or an answer about it cannot be encoded.
    #[error("cannot encode it: {0}")]
    Encode(#[from] x509_cert::der::Error),
    /// A certificate that was just made is not what RFC 5280 says.
    #[error("cannot take the certificate apart")]
    Der,
    /// A name that is made of another one is too long.
    #[error("a name below the domain is too long")]
    Name,
}

impl From<yasna::ASN1Error> for PlanError {
    fn from(_: yasna::ASN1Error) -> Self {
        Self::Der
    }
}

impl Plan {
    /// Resolves a scenario for one of its kinds of server.
    ///
    /// Slow where it has to make an RSA key that is not in the cache yet: call it where
    /// blocking is allowed.
    pub fn resolve(id: &str, scenario: &Scenario, kind: &str, issuance: Issuance) -> Result<Self, PlanError> {
        // Certificates have whole seconds; so has everything that is compared with them.
        let now = issuance.now.replace_nanosecond(0).unwrap_or(issuance.now);
        let (mut issued, trust) = pki::issue(scenario, &Mint::new(id, Issuance { now, ..issuance }))?;
        let (publication, installed) = (issued.publication.take(), issued.installed.take());
        let mut vantages: Vec<_> = scenario.vantage.keys().cloned().collect();
        if vantages.is_empty() {
            vantages.push(DEFAULT_VANTAGE.to_owned());
        }
        let is_ipv6 = |name: &String| scenario.vantage.get(name).is_some_and(|spec| spec.over == Some(IpVersion::Ipv6));
        let over_ipv6 = vantages.iter().filter(|name| is_ipv6(name)).cloned().collect();
        let pointer = match &scenario.fault.pointer {
            None => vec![scenario.server.host.clone()],
            Some(names) => names.clone(),
        };
        let server = server(scenario, kind, issued);
        let port = scenario.server.port.unwrap_or(25);
        let relay = scenario.fault.relay.clone();
        Ok(Self {
            port,
            relay,
            scenario: id.to_owned(),
            now,
            trust,
            vantages,
            over_ipv6,
            server,
            publication,
            pointer,
            installed,
        })
    }
}

fn server(scenario: &Scenario, kind: &str, issued: pki::Issued) -> ServerPlan {
    let (spec, fault) = (&scenario.server, &scenario.fault);
    let is = |flag: Option<bool>| flag == Some(true);
    let offer = match &fault.starttls_only_to {
        Some(names) => Offer::OnlyTo(names.clone()),
        None if is(fault.starttls_off) => Offer::Nobody,
        None if is(fault.starttls_masked) => Offer::Masked,
        None => Offer::Everyone,
    };
    let answer = if is(fault.starttls_unavailable) { Answer::Unavailable } else { Answer::Handshake };
    let host = spec.host.clone();
    let dialog = fault.dialog.clone().unwrap_or_default();
    ServerPlan {
        kind: kind.to_owned(),
        greeting_name: fault.greeting_name.clone().unwrap_or_else(|| host.to_string()),
        ehlo_name: fault.ehlo_name.clone().unwrap_or_else(|| host.to_string()),
        host,
        add_keywords: spec.add_keywords.clone(),
        omit_keywords: spec.omit_keywords.clone(),
        greeting: match fault.greeting_refused {
            None => GreetingPlan::Ready,
            Some(RefusedReply::Throttled) => GreetingPlan::Throttled,
            Some(RefusedReply::Blocked) => GreetingPlan::Blocked,
        },
        offer,
        answer,
        blocks: fault.blocks.clone().unwrap_or_default(),
        other_certificate_to: fault.other_certificate_to.clone().unwrap_or_default(),
        offered_in_tls: is(fault.starttls_offered_in_tls),
        dialog: DialogFault {
            // What is a fault on port 25 is right on 465, and the other way round.
            implicit_tls: dialog.implicit_tls.or((spec.port == Some(465) && dialog.plaintext.is_none()).then_some(true)),
            ..dialog
        },
        tls: TlsPlan {
            settings: scenario.tls.clone(),
            stack: fault.tls.clone(),
            sni: fault.sni,
            client_certificate: fault.client_certificate,
            intolerant_of: fault.intolerant_of,
            handshake: fault.handshake,
            delay: fault.slow_handshake.map_or(Duration::ZERO, |delay| delay.0),
            no_close_notify: is(fault.no_close_notify),
            required: is(fault.starttls_required),
        },
        credentials: issued.first,
        second: issued.second,
        nameless: issued.nameless,
    }
}
