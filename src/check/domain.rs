//! A whole domain: DNS first, then each of its servers as [`check`](super::check) would look at it, then its policy.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, stream};
use time::OffsetDateTime;

use super::{CheckOptions, fetch, judge_by, observe};
use crate::{
    facts::{
        Absence, DnsAnswer, DomainFacts, Facts, Failure, FormerPolicy, HostFacts, MtaStsFacts, MxRecord, Observed, PassedOver,
        Proof, Target, TlsaLookup, Vantage, View,
    },
    mta_sts,
    name::Name,
    probe::{
        self,
        dns::{Dns, DnsOptions, DnsSetupError},
        policy::PolicyOptions,
        reach::Reach,
    },
    report::{DomainReport, Report},
    rules::{self, DomainContext, Outcome, policy::Policy},
    senders, tlsrpt,
    trust::TrustStore,
    wire::WireText,
};

/// What the check of a domain takes besides its name.
#[derive(Clone, Debug)]
pub struct DomainOptions {
    /// Who is asked for names.
    pub dns: DnsOptions,
    /// The port that the servers are connected to. TLSA records stand at `_25._tcp` whatever it is: a lab listens elsewhere.
    pub smtp_port: u16,
    /// The port that the policy host of MTA-STS is connected to.
    pub policy_port: u16,
    /// Which addresses are connected to. A domain must not send its reader to the reader's own machines.
    pub reach: Reach,
    /// How long the policy may take.
    pub policy_patience: Duration,
    /// The policy that an earlier look saw, where one is known.
    pub former: Option<FormerPolicy>,
    /// Where the servers are looked at from.
    pub vantages: Vec<Vantage>,
    /// MX hosts that are looked at.
    pub max_hosts: usize,
    /// Addresses that are looked at, of all hosts together.
    pub max_addresses: usize,
    /// Everything about one server.
    pub check: CheckOptions,
}

impl DomainOptions {
    /// As for a domain of the internet.
    pub fn new(check: CheckOptions) -> Self {
        Self {
            dns: DnsOptions::default(),
            smtp_port: 25,
            policy_port: 443,
            reach: Reach::default(),
            policy_patience: Duration::from_secs(60),
            former: None,
            vantages: vec![Vantage::default()],
            max_hosts: 200,
            max_addresses: 60,
            check,
        }
    }
}

/// Looks at a domain, and judges.
pub async fn check_domain(domain: &Name, options: &DomainOptions) -> DomainReport {
    let facts = observe_domain(domain, options).await;
    judge_domain(options.check.policy, facts, &options.check.stores, options.check.now)
}

/// What the checks of several domains share: the resolver with its cache, that no address is asked by two at a time, and what
/// servers did that several domains name. The session depends on the name, so a server is known by both, name and address.
#[derive(Clone, Debug)]
pub struct Surroundings {
    dns: Dns,
    places: Arc<Mutex<HashMap<SocketAddr, Arc<tokio::sync::Mutex<()>>>>>,
    known: Arc<Mutex<Known>>,
}

/// Servers that are remembered: providers have many domains and few servers.
const MAX_KNOWN: usize = 500;

/// What was seen of servers, the oldest first.
#[derive(Debug, Default)]
struct Known {
    views: HashMap<(SocketAddr, Name), Vec<View>>,
    order: VecDeque<(SocketAddr, Name)>,
}

impl Known {
    fn remember(&mut self, place: (SocketAddr, Name), views: Vec<View>) {
        if self.views.insert(place.clone(), views).is_none() {
            self.order.push_back(place);
        }
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.views.remove(&oldest);
        }
    }
}

impl Surroundings {
    /// Sets up the resolver.
    pub async fn new(options: &DnsOptions) -> Result<Self, DnsSetupError> {
        Ok(Self { dns: Dns::new(options).await?, places: Arc::default(), known: Arc::default() })
    }

    /// The turn at an address: held while it is asked.
    fn place(&self, address: SocketAddr) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds are forgotten before there are many.
        if places.len() > 4096 {
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        Arc::clone(places.entry(address).or_default())
    }
}

/// Looks, without judging.
pub async fn observe_domain(domain: &Name, options: &DomainOptions) -> DomainFacts {
    match Surroundings::new(&options.dns).await {
        Ok(surroundings) => observe_in(domain, options, &surroundings).await,
        Err(error) => unseen(domain, &error),
    }
}

/// The same for one of several domains.
pub async fn observe_in(domain: &Name, options: &DomainOptions, surroundings: &Surroundings) -> DomainFacts {
    let dns = &surroundings.dns;
    let (sts_name, tlsrpt_name) = (mta_sts::record_name(domain), tlsrpt::record_name(domain));
    let (mx, sts, tlsrpt, caa) =
        tokio::join!(dns.mx(domain.as_str()), dns.txt(&sts_name), dns.txt(&tlsrpt_name), dns.caa(domain.as_str()));
    let (names, left_out) = hosts(domain, &mx, options.max_hosts);
    let looked_up = stream::iter(names.into_iter().map(|(name, preference)| lookup(dns, name, preference)));
    let mut hosts: Vec<HostFacts> = looked_up.buffered(AT_ONCE).collect().await;
    let mut budget = options.max_addresses;
    let addresses: Vec<Vec<SocketAddr>> = hosts.iter_mut().map(|host| reachable(host, options, &mut budget)).collect();
    let is_announced = sts.seen().is_none_or(|answer| {
        let texts: Vec<&str> = answer.records.iter().map(WireText::as_str).collect();
        !matches!(mta_sts::Record::read(&texts), Ok(None))
    });
    let fetching = PolicyOptions { port: options.policy_port, reach: options.reach.clone(), patience: options.policy_patience };
    // Boxed, and collected: the compiler cannot see otherwise that the whole may move from thread to thread.
    let look = hosts.iter_mut().zip(&addresses).map(|(host, addresses)| {
        let target = host.facts.target.clone();
        async move { host.facts = look_at(target, addresses, options, surroundings).await }.boxed()
    });
    let look = stream::iter(look.collect::<Vec<_>>());
    let ((), policy) =
        tokio::join!(look.buffer_unordered(AT_ONCE).collect::<()>(), probe::policy::fetch(domain, dns, &fetching, is_announced));
    DomainFacts {
        domain: domain.clone(),
        resolver: dns.servers_text(),
        anchor: options.dns.anchors.name.clone(),
        mx,
        hosts,
        left_out,
        mta_sts: MtaStsFacts { record: sts, policy, former: options.former.clone() },
        tlsrpt,
        caa,
    }
}

/// The policy that was seen, for a later look: a valid record announced it, and it came.
pub fn policy_for_later(facts: &DomainFacts) -> Option<FormerPolicy> {
    let texts: Vec<&str> = facts.mta_sts.record.seen()?.records.iter().map(WireText::as_str).collect();
    let record = mta_sts::Record::read(&texts).ok().flatten()?;
    let response = facts.mta_sts.policy.seen()?.response.seen()?;
    (response.status == 200).then(|| FormerPolicy { id: WireText::from(record.id.as_str()), body: response.body.clone() })
}

/// Hosts that are looked at side by side.
const AT_ONCE: usize = 8;

/// The hosts that mail goes to, each once and in the order of preference, and those that are too many.
fn hosts(domain: &Name, mx: &Observed<DnsAnswer<MxRecord>>, most: usize) -> (Vec<(Name, Option<u16>)>, Vec<WireText>) {
    let Some(answer) = mx.seen() else { return (Vec::new(), Vec::new()) };
    if answer.absence == Some(Absence::NoData) {
        return (vec![(domain.clone(), None)], Vec::new());
    }
    let mut names: Vec<(Name, Option<u16>)> = Vec::new();
    let mut left_out = Vec::new();
    for record in &answer.records {
        match record.host() {
            Some(name) if names.iter().any(|(known, _)| *known == name) => {}
            Some(name) if names.len() < most => names.push((name, Some(record.preference))),
            Some(_) => left_out.push(record.exchange.clone()),
            None => {}
        }
    }
    (names, left_out)
}

/// What DNS says of one host.
async fn lookup(dns: &Dns, name: Name, preference: Option<u16>) -> HostFacts {
    let (v4, v6) = tokio::join!(dns.v4(name.as_str()), dns.v6(name.as_str()));
    let tlsa = tlsa(dns, &name, &v4, &v6).await;
    let target = Target { name: name.clone(), port: 25 };
    let facts = Facts::new(target, Vec::new());
    HostFacts { name, preference, v4, v6, passed_over: Vec::new(), tlsa, facts }
}

/// The TLSA records of a host, looked for where RFC 7672, 2.2.2 says.
async fn tlsa(
    dns: &Dns,
    name: &Name,
    v4: &Observed<DnsAnswer<std::net::Ipv4Addr>>,
    v6: &Observed<DnsAnswer<std::net::Ipv6Addr>>,
) -> Vec<TlsaLookup> {
    let own = WireText::from(name.as_str());
    let not = |why: String| vec![TlsaLookup { base: own.clone(), answer: Observed::NotAttempted(why) }];
    // Either of the two tells; that with addresses tells more.
    let a = v4.seen().map(|answer| (&answer.aliases[..], &answer.proof, answer.records.is_empty()));
    let aaaa = v6.seen().map(|answer| (&answer.aliases[..], &answer.proof, answer.records.is_empty()));
    let seen: Vec<_> = [a, aaaa].into_iter().flatten().filter(|(.., is_empty)| !is_empty).collect();
    let Some((aliases, proof, _)) = seen.first().copied() else {
        return not(format!("{name} has no address"));
    };
    let is_whole = aliases.iter().all(|alias| alias.proof.is_secure()) && seen.iter().all(|(_, proof, _)| proof.is_secure());
    let mut bases = Vec::new();
    match aliases {
        [] if is_whole => bases.push(own.clone()),
        [.., last] if is_whole => bases.extend([last.to.clone(), own.clone()]),
        // The alias itself is proven, and what it leads to is not: the name before it stands (RFC 7672, 2.2.2).
        [first, ..] if first.proof.is_secure() => bases.push(own.clone()),
        _ => {}
    }
    if bases.is_empty() {
        let of = aliases.first().map_or(proof, |alias| &alias.proof);
        if *of != Proof::Insecure {
            return not(format!("the addresses of {name} are {of}"));
        }
        // No sender asks here, and old name servers choke on it: only records that are there are worth a word.
        let answer = dns.tlsa(name.as_str()).await;
        let is_there = |answer: &DnsAnswer<_>| !answer.records.is_empty() && *answer.whole_proof() == Proof::Insecure;
        return match answer.seen().is_some_and(is_there) {
            true => vec![TlsaLookup { base: own, answer }],
            false => not(format!("the addresses of {name} are insecure: TLSA records would prove nothing")),
        };
    }
    let mut lookups = Vec::new();
    for base in bases {
        let answer = dns.tlsa(base.as_str()).await;
        // Only a proven absence leads on: a failure, or what is bogus, does not (RFC 7672, 2.1.1).
        let is_absent = answer.seen().is_some_and(|answer| {
            matches!(answer.whole_proof(), Proof::Secure | Proof::Insecure)
                && (answer.absence.is_some() || !answer.whole_proof().is_secure())
        });
        lookups.push(TlsaLookup { base, answer });
        if !is_absent {
            break;
        }
    }
    lookups
}

/// The addresses that are connected to; the others are noted with the reason.
fn reachable(host: &mut HostFacts, options: &DomainOptions, budget: &mut usize) -> Vec<SocketAddr> {
    let v4 = host.v4.seen().into_iter().flat_map(|answer| &answer.records).map(|address| IpAddr::from(*address));
    let v6 = host.v6.seen().into_iter().flat_map(|answer| &answer.records).map(|address| IpAddr::from(*address));
    let mut addresses = Vec::new();
    for address in v4.chain(v6) {
        let is_inside = !options.reach.includes(address);
        if is_inside {
            let why = "no address of the internet".to_owned();
            host.passed_over.push(PassedOver { address, why, is_inside });
        } else if *budget == 0 {
            let why = format!("more than {} addresses", options.max_addresses);
            host.passed_over.push(PassedOver { address, why, is_inside });
        } else {
            *budget -= 1;
            addresses.push(SocketAddr::new(address, options.smtp_port));
        }
    }
    addresses
}

/// Looks at each address of one host in turn.
async fn look_at(target: Target, addresses: &[SocketAddr], options: &DomainOptions, surroundings: &Surroundings) -> Facts {
    let look = stream::iter(addresses.to_vec()).map(|address| {
        let target = target.clone();
        async move {
            let place = surroundings.place(address);
            let _turn = place.lock().await;
            let key = (address, target.name.clone());
            let known = || surroundings.known.lock().unwrap_or_else(PoisonError::into_inner);
            let remembered = known().views.get(&key).cloned();
            if let Some(views) = remembered {
                return views;
            }
            let views = observe(target, &[address], &options.vantages, &options.check).await.views;
            // What was cut short is no knowledge.
            if !options.check.patience.watch.is_stopped() {
                known().remember(key, views.clone());
            }
            views
        }
    });
    let views: Vec<Vec<View>> = look.buffered(AT_ONCE).collect().await;
    // Nobody outside knows the names of inner addresses.
    let outside = addresses.iter().filter(|address| probe::reach::is_public(address.ip()));
    let pointers = futures::future::join_all(outside.map(|address| surroundings.dns.pointer(address.ip()))).await;
    let mut facts = Facts { pointers, ..Facts::new(target, views.into_iter().flatten().collect()) };
    fetch(&mut facts, &options.check.fetching, &options.check.stores, options.check.now).await;
    facts
}

/// Where DNS cannot be asked at all.
fn unseen(domain: &Name, error: &DnsSetupError) -> DomainFacts {
    fn not<T>(error: &DnsSetupError) -> Observed<T> {
        Observed::Failed(Failure::Local(error.to_string()))
    }
    DomainFacts {
        domain: domain.clone(),
        resolver: "none".to_owned(),
        anchor: String::new(),
        mx: not(error),
        hosts: Vec::new(),
        left_out: Vec::new(),
        mta_sts: MtaStsFacts { record: not(error), policy: not(error), former: None },
        tlsrpt: not(error),
        caa: not(error),
    }
}

/// Judges what was seen of a domain by a policy, wherever and whenever it was seen.
pub fn judge_domain(policy: &'static Policy, facts: DomainFacts, stores: &[TrustStore], now: OffsetDateTime) -> DomainReport {
    let (outcomes, stages, senders) = {
        let context = DomainContext::new(&facts, stores, policy, now);
        let outcome = |rule: &rules::Rule| match policy.severity(rule) {
            Some(_) => rule.judge_domain(&context),
            None => Outcome::NotApplicable(format!("the policy {} does not ask for it", policy.name)),
        };
        let outcomes = rules::of_domains().iter().map(|rule| (*rule, outcome(rule))).collect();
        (outcomes, rules::stages(&context), senders::predict_domain(&context))
    };
    let hosts: Vec<Report> = facts.hosts.iter().map(|host| judge_by(policy, host.facts.clone(), stores, now)).collect();
    DomainReport { stages, ..DomainReport::new(facts, hosts, outcomes, senders, (policy, stores), now) }
}
