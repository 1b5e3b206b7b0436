//! A scenario of a whole mail domain made concrete: its servers, its policy host, its zones.

use std::{ops::Range, time::Duration};

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Credentials, DEFAULT_VANTAGE, DnsPlan, PlanError, ServerPlan, ZonePlan, mint::Issuance, mint::Mint, pki, tlsa, zone,
};
use crate::{
    name::Name,
    scenario::{
        DomainSpec, Faults, Key, MtaStsSpec, MxSpec, PolicyEnds, PolicyFault, PolicyHostFault, PolicyMode, Scenario, TlsaFault,
        Unreachable, ZoneMistake, tlsa_parameters,
    },
    trust::TrustStore,
};

/// A resolved scenario of a domain for one kind of server.
#[derive(Clone, Debug)]
pub struct DomainPlan {
    /// The scenario's id, `dane/good`.
    pub scenario: String,
    /// The moment that all times are relative to.
    pub now: OffsetDateTime,
    /// What a checker is to trust.
    pub trust: TrustStore,
    /// The name of the only vantage point.
    pub vantage: String,
    /// The domain.
    pub name: Name,
    /// The servers, one for each address.
    pub servers: Vec<MailServer>,
    /// The policy host; none where there is no policy.
    pub policy_host: Option<PolicyHostPlan>,
    /// What DNS says.
    pub dns: DnsPlan,
}

/// The server behind one address.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// The host that the address is of.
    pub host: Name,
    /// Whether it has the IPv6 address.
    pub is_ipv6: bool,
    /// Whether it can be reached.
    pub unreachable: Option<Unreachable>,
    /// What it does.
    pub plan: ServerPlan,
}

/// The web server of an MTA-STS policy (RFC 8461, 3.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyHostPlan {
    /// Its name.
    pub host: Name,
    /// What it presents.
    pub credentials: Credentials,
    /// The body of the answer.
    pub body: Vec<u8>,
    /// The rest of what is wrong with the answer.
    pub fault: PolicyFault,
    /// What is wrong with the host.
    pub host_fault: Option<PolicyHostFault>,
}

/// What the zones are made of.
pub(super) struct World<'a> {
    pub scenario: &'a Scenario,
    pub hosts: Vec<HostRecords>,
    mint: &'a Mint,
    domain: &'a DomainSpec,
}

/// What DNS has of a host.
pub(super) struct HostRecords {
    pub spec: MxSpec,
    /// Its servers, by their place in the plan.
    pub servers: Range<usize>,
    /// The data of its TLSA records.
    pub tlsa: Vec<String>,
    pub is_only_for_submission: bool,
}

impl World<'_> {
    pub fn zone(&self, name: &str, is_signed: bool) -> ZonePlan {
        let seed = self.mint.rng().random();
        ZonePlan { name: name.to_owned(), is_signed, mistake: None, nsec3: None, seed, records: Vec::new() }
    }

    pub fn mistake_in(&self, zone: &Name) -> Option<ZoneMistake> {
        let fault = self.scenario.fault.dnssec.as_ref()?;
        (fault.zone.as_ref().unwrap_or(self.domain.zone()) == zone).then_some(fault.is)
    }

    /// What DNS calls the addresses of a host.
    pub fn pointer(&self, host: &Name) -> Vec<Name> {
        match &self.scenario.fault.pointer {
            Some(names) if is_at(&self.scenario.fault, host, None) => names.clone(),
            _ => vec![host.clone()],
        }
    }

    pub fn has_policy_address(&self) -> bool {
        self.scenario.fault.policy_host != Some(PolicyHostFault::NoAddress)
    }
}

/// Whether the faults of a server are at this host, or at this address of it.
fn is_at(fault: &Faults, host: &Name, address: Option<u8>) -> bool {
    let Some(at) = &fault.at else { return true };
    at.host == *host && (at.address.is_none() || at.address == address)
}

/// How long policies are kept.
const WEEK: u32 = 7 * 24 * 60 * 60;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl DomainPlan {
    /// Resolves a scenario of a domain for one of its kinds of server; none where it is of no domain.
    ///
    /// Slow where it has to make an RSA key that is not in the cache yet: call it where blocking is allowed.
    pub fn resolve(id: &str, scenario: &Scenario, kind: &str, issuance: Issuance) -> Option<Result<Self, PlanError>> {
        let domain = scenario.domain.as_ref()?;
        let now = issuance.now.replace_nanosecond(0).unwrap_or(issuance.now);
        let mint = Mint::new(id, Issuance { now, ..issuance });
        Some(resolve(id, scenario, domain, kind, &mint))
    }
}

fn resolve(id: &str, scenario: &Scenario, domain: &DomainSpec, kind: &str, mint: &Mint) -> Result<DomainPlan, PlanError> {
    let root = pki::lab_root(scenario, mint)?;
    let mut issuer = Issuer { root: &root, scenario, mint, common: [None, None] };
    let mut trust = TrustStore { name: "lab".to_owned(), public: true, anchors: vec![root.der.clone().into()] };
    let mut servers = Vec::new();
    let mut hosts = Vec::new();
    let mut shared_key = None;
    for spec in domain.hosts() {
        let host = &spec.host;
        let of_host = issuer.issue(host, is_at(&scenario.fault, host, None), shared_key.as_deref())?;
        if scenario.fault.shared_key.is_some() {
            shared_key.get_or_insert_with(|| of_host.0.first.key_pem.clone());
        }
        if scenario.fault.anchor.is_some() {
            trust.anchors = of_host.1.anchors.clone();
        }
        let tlsa = issuer.tlsa(domain, host, &of_host.0)?;
        let is_rolled = scenario.fault.tlsa == Some(TlsaFault::CertificateRolled) && is_at(&scenario.fault, host, None);
        let of_host = if is_rolled { (issuer.other(host, None)?, of_host.1) } else { of_host };
        let start = servers.len();
        let v4 = usize::from(spec.addresses.unwrap_or(1));
        for number in 0..spec.count() {
            let address = u8::try_from(number + 1).ok();
            let has_fault = is_at(&scenario.fault, host, address);
            let issued = if scenario.fault.at.as_ref().is_some_and(|at| at.host == *host && at.address.is_some()) && has_fault {
                let key = (scenario.fault.another_certificate != Some(true)).then_some(of_host.0.first.key_pem.as_str());
                issuer.issue(host, true, key)?.0
            } else {
                of_host.0.clone()
            };
            let own = bent(scenario, host, has_fault);
            let plan = super::server(&own, kind, issued);
            let unreachable = own.fault.unreachable;
            servers.push(MailServer { host: host.clone(), is_ipv6: number >= v4, unreachable, plan });
        }
        let is_only_for_submission = scenario.fault.tlsa == Some(TlsaFault::SubmissionOnly) && is_at(&scenario.fault, host, None);
        hosts.push(HostRecords { servers: start..servers.len(), tlsa, is_only_for_submission, spec });
    }
    let policy_host = match &domain.mta_sts {
        Some(policy) => Some(policy_host(&mut issuer, domain, policy)?),
        None => None,
    };
    let dns = zone::plan(domain, &World { scenario, hosts, mint, domain });
    Ok(DomainPlan {
        scenario: id.to_owned(),
        now: mint.now,
        trust,
        vantage: scenario.vantage.keys().next().cloned().unwrap_or_else(|| DEFAULT_VANTAGE.to_owned()),
        name: domain.name.clone(),
        servers,
        policy_host,
        dns,
    })
}

/// The scenario as one host sees it: with the faults of a server, or without.
fn bent(scenario: &Scenario, host: &Name, has_fault: bool) -> Scenario {
    let mut own = scenario.clone();
    own.server.host = host.clone();
    if !has_fault {
        own.fault = Faults::default();
    }
    // Keys that differ from host to host, and are made at once.
    own.certificate.key = Some(own.certificate.key.unwrap_or(Key::EcdsaP256));
    own
}

/// Issues certificates below one root.
struct Issuer<'a> {
    root: &'a pki::Authority,
    scenario: &'a Scenario,
    mint: &'a Mint,
    /// The certificate for all names, right and wrong, where there is one.
    common: [Option<(pki::Issued, TrustStore)>; 2],
}

impl Issuer<'_> {
    fn issue(&mut self, host: &Name, has_fault: bool, key: Option<&str>) -> Result<(pki::Issued, TrustStore), PlanError> {
        let own = bent(self.scenario, host, has_fault);
        let is_common = key.is_none() && (own.certificate.names.is_some() || own.fault.wrong_names.is_some());
        let is_common = is_common && own.fault.another_certificate.is_none();
        let place = usize::from(has_fault);
        if let (true, Some(issued)) = (is_common, &self.common[place]) {
            return Ok(issued.clone());
        }
        let issued = pki::issue_below(self.root, key, &own, self.mint)?;
        if is_common {
            self.common[place] = Some(issued.clone());
        }
        Ok(issued)
    }

    /// The TLSA records of a host that presents this.
    fn tlsa(&mut self, domain: &DomainSpec, host: &Name, issued: &pki::Issued) -> Result<Vec<String>, PlanError> {
        let Some(forms) = &domain.tlsa else { return Ok(Vec::new()) };
        let parameters: Vec<[u8; 3]> = forms.iter().filter_map(|text| tlsa_parameters(text)).collect();
        let fault = self.scenario.fault.tlsa.filter(|_| is_at(&self.scenario.fault, host, None));
        let of = |issued: &pki::Issued, is_first_only: bool, of_root: bool| {
            let second = issued.second.iter().filter(|_| !is_first_only);
            let chains = std::iter::once(&issued.first).chain(second).map(|credentials| credentials.chain.as_slice()).collect();
            tlsa::records(&parameters, &tlsa::Presented { chains, root: &issued.root }, of_root)
        };
        let mut records = match fault {
            Some(TlsaFault::OtherKey) => of(&self.other(host, None)?, false, false)?,
            Some(TlsaFault::FormerCertificate) => of(&self.other(host, Some(&issued.first.key_pem))?, false, false)?,
            Some(TlsaFault::UnsentRoot) => of(issued, false, true)?,
            Some(TlsaFault::FirstCertificateOnly) => of(issued, true, false)?,
            Some(TlsaFault::ShortDigest) => {
                let cut = |data: String| data[..data.len() - 24].to_owned();
                of(issued, false, false)?.into_iter().map(cut).collect()
            }
            Some(TlsaFault::SubmissionOnly | TlsaFault::CertificateRolled) | None => of(issued, false, false)?,
        };
        if domain.rollover == Some(true) {
            records.extend(of(&self.other(host, None)?, false, false)?);
        }
        Ok(records)
    }

    /// A correct certificate of the host that it does not present.
    fn other(&self, host: &Name, key: Option<&str>) -> Result<pki::Issued, PlanError> {
        let mut own = bent(self.scenario, host, false);
        own.certificate.valid_since = Some(crate::scenario::DurationText(DAY * 80));
        Ok(pki::issue_below(self.root, key, &own, self.mint)?.0)
    }
}

/// The host of the policy, whose certificate follows the rules of the web.
fn policy_host(issuer: &mut Issuer, domain: &DomainSpec, policy: &MtaStsSpec) -> Result<PolicyHostPlan, PlanError> {
    let host = Name::parse(&format!("mta-sts.{}", domain.name)).map_err(|_| PlanError::Name)?;
    let fault = &issuer.scenario.fault;
    let (fault, host_fault) = (fault.policy.clone().unwrap_or_default(), fault.policy_host);
    let mut own = bent(issuer.scenario, &host, false);
    own.certificate = crate::scenario::CertificateSpec { key: Some(Key::EcdsaP256), ..Default::default() };
    match host_fault {
        Some(PolicyHostFault::Expired) => own.fault.expired = Some(crate::scenario::DurationText(DAY * 3)),
        Some(PolicyHostFault::SelfSigned) => own.fault.self_signed = Some(true),
        Some(PolicyHostFault::WrongName) => own.fault.wrong_names = Some(vec![format!("www.{}", domain.name)]),
        Some(PolicyHostFault::PrivateCa) => own.fault.private_ca = Some(true),
        Some(PolicyHostFault::MissingIntermediate) => own.fault.missing_intermediate = Some(true),
        _ => {}
    }
    let credentials = pki::issue_below(issuer.root, None, &own, issuer.mint)?.0.first;
    Ok(PolicyHostPlan { host, credentials, body: body(domain, policy, &fault), fault, host_fault })
}

/// The text of the policy (RFC 8461, 3.2).
fn body(domain: &DomainSpec, policy: &MtaStsSpec, fault: &PolicyFault) -> Vec<u8> {
    let patterns = match &policy.mx {
        Some(patterns) => patterns.clone(),
        None if policy.mode == PolicyMode::None => Vec::new(),
        None => domain.hosts().iter().map(|host| host.host.to_string()).collect(),
    };
    let lines = fault.lines.clone().unwrap_or_else(|| {
        let head = ["version: STSv1".to_owned(), format!("mode: {}", policy.mode.as_str())];
        let patterns = patterns.iter().map(|pattern| format!("mx: {pattern}"));
        head.into_iter().chain(patterns).chain([format!("max_age: {}", policy.max_age.unwrap_or(WEEK))]).collect()
    });
    let end = match fault.line_ends {
        None => "\r\n",
        Some(PolicyEnds::Lf) => "\n",
        Some(PolicyEnds::Cr) => "\r",
    };
    let mut body = Vec::new();
    if fault.byte_order_mark == Some(true) {
        body.extend("\u{feff}".bytes());
    }
    lines.iter().for_each(|line| body.extend(format!("{line}{end}").bytes()));
    let size = fault.bytes.map_or(0, |bytes| bytes as usize);
    while body.len() < size {
        body.extend(format!("x-filler: {}{end}", "x".repeat(60)).bytes());
    }
    body
}
