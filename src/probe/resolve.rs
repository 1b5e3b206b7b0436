//! From a name to addresses, through the resolver that the check was given.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use hickory_resolver::{TokioResolver, net::NetError, proto::rr::RData};

use crate::{
    facts::{Failure, Observed, Pointer},
    name::Name,
    wire::WireText,
};

/// For information only, so nobody waits long for it.
const POINTER_PATIENCE: Duration = Duration::from_secs(5);
/// More names of one address are of no use to anyone.
const MAX_POINTERS: usize = 16;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's resolver configuration cannot be read.
    #[error("cannot read this system's resolver configuration: {0}")]
    Configuration(String),
    /// The name does not exist.
    #[error("the name {0} does not exist (NXDOMAIN)")]
    NoSuchName(Name),
    /// The name exists and has neither A nor AAAA records.
    #[error("the name {0} exists but has no address (no A, no AAAA)")]
    NoAddress(Name),
    /// No answer: which is not the same as no address.
    #[error("no answer from the resolver for {0}: {1}")]
    NoAnswer(Name, String),
}

/// Who is asked for names and addresses.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// The resolver that this system is configured for.
    System(Box<TokioResolver>),
    /// What somebody wrote down, and nothing else.
    Static(Hosts),
}

/// Names and addresses as in a file of hosts, but each direction by itself.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// The addresses of names.
    pub addresses: BTreeMap<Name, Vec<IpAddr>>,
    /// The names of addresses.
    pub pointers: BTreeMap<IpAddr, Vec<Name>>,
}

/// The addresses of a host.
#[derive(Debug)]
pub struct Addresses {
    /// All that were found, IPv4 first.
    pub found: Vec<IpAddr>,
    /// Why one of the two lookups gave no answer, where the other did.
    pub missed: Option<ResolveError>,
}

impl Resolver {
    /// The one that this system is configured for.
    pub fn system() -> Result<Self, ResolveError> {
        let configuration = |error: NetError| ResolveError::Configuration(error.to_string());
        Ok(Self::System(Box::new(TokioResolver::builder_tokio().map_err(configuration)?.build().map_err(configuration)?)))
    }

    /// Looks up every address of a host.
    pub async fn addresses(&self, name: &Name) -> Result<Addresses, ResolveError> {
        match self {
            Self::System(resolver) => addresses(resolver, name).await,
            Self::Static(hosts) => match hosts.addresses.get(name) {
                Some(found) if found.is_empty() => Err(ResolveError::NoAddress(name.clone())),
                Some(found) => Ok(Addresses { found: found.clone(), missed: None }),
                None => Err(ResolveError::NoSuchName(name.clone())),
            },
        }
    }

    /// Looks up what DNS calls an address. No answer is not the same as no name.
    pub async fn pointer(&self, address: IpAddr) -> Pointer {
        match self {
            Self::System(resolver) => pointer(resolver, address).await,
            Self::Static(hosts) => {
                let names = hosts.pointers.get(&address).into_iter().flatten().map(|name| WireText::from(name.as_str()));
                Pointer { address, names: Observed::Seen(names.collect()) }
            }
        }
    }
}

async fn addresses(resolver: &TokioResolver, name: &Name) -> Result<Addresses, ResolveError> {
    // The root dot keeps search domains out: the name is what was asked for.
    let absolute = format!("{name}.");
    let (v4, v6) = tokio::join!(resolver.ipv4_lookup(absolute.as_str()), resolver.ipv6_lookup(absolute.as_str()));
    let mut found = Vec::new();
    let mut failures = Vec::new();
    match v4 {
        Ok(lookup) => found.extend(lookup.answers().iter().filter_map(|record| record.data.ip_addr())),
        Err(error) => failures.push(error),
    }
    match v6 {
        Ok(lookup) => found.extend(lookup.answers().iter().filter_map(|record| record.data.ip_addr())),
        Err(error) => failures.push(error),
    }
    let no_answer = failures.iter().find(|error| !error.is_no_records_found());
    let no_answer = no_answer.map(|error| ResolveError::NoAnswer(name.clone(), error.to_string()));
    if !found.is_empty() {
        return Ok(Addresses { found, missed: no_answer });
    }
    match no_answer {
        Some(error) => Err(error),
        None if failures.iter().any(NetError::is_nx_domain) => Err(ResolveError::NoSuchName(name.clone())),
        None => Err(ResolveError::NoAddress(name.clone())),
    }
}

async fn pointer(resolver: &TokioResolver, address: IpAddr) -> Pointer {
    let names = match tokio::time::timeout(POINTER_PATIENCE, resolver.reverse_lookup(address)).await {
        Ok(Ok(lookup)) => {
            let names = lookup.answers().iter().filter_map(|record| match &record.data {
                RData::PTR(name) => Some(WireText::from(name.0.to_string().trim_end_matches('.'))),
                _ => None,
            });
            Observed::Seen(names.take(MAX_POINTERS).collect())
        }
        Ok(Err(error)) if error.is_no_records_found() || error.is_nx_domain() => Observed::Seen(Vec::new()),
        Ok(Err(error)) => Observed::Failed(Failure::Local(WireText::from(&*error.to_string()).to_string())),
        Err(_) => Observed::Failed(Failure::TimedOut { millis: 5000 }),
    };
    Pointer { address, names }
}
