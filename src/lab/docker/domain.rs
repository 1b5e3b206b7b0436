//! A whole mail domain in containers: a real MTA behind each address, mtalab's own name servers and policy host, and a resolver
//! that validates.
//!
//! ```text
//!   MTA, one per address ──┐
//!   policy host ───────────┼─ network of the run ── gateway: this machine, the vantage point
//!   name servers ──────────┤
//!   Unbound ───────────────┘  asks the name servers; real senders ask it
//! ```

use std::net::{IpAddr, SocketAddr};

use futures::future::try_join_all;

use super::{
    Container, DockerBackend, DockerError, File, LaunchError, PLAN, Running, image, not_ready, ready, resolver, with_address,
};
use crate::{
    lab::{
        RunningDomain, dns,
        domain::Held,
        part::{NameServersPart, Part},
    },
    plan::{DomainPlan, MailServer, Plan},
    scenario::{PolicyHostFault, Unreachable},
};

/// More servers than that are not started for one domain.
const MAX_SERVERS: usize = 8;
/// How often a server is started anew that got an address below that of the one before it.
const ATTEMPTS: usize = 8;
const DNS_PORT: u16 = 53;
const HTTPS_PORT: u16 = 443;

/// The containers of a domain.
#[derive(Debug)]
pub struct DomainContainers {
    servers: Vec<Server>,
    others: Vec<Container>,
}

/// What stands behind one address.
#[derive(Debug)]
enum Server {
    Mta(Box<Running>),
    /// A container where nothing listens.
    Bare(Box<Container>, IpAddr),
}

impl Server {
    fn address(&self, is_ipv6: bool) -> IpAddr {
        match self {
            Self::Mta(running) => running.address6.filter(|_| is_ipv6).unwrap_or(running.address).ip(),
            Self::Bare(_, address) => *address,
        }
    }
}

impl DomainContainers {
    /// The ends of the servers' logs, escaped line by line.
    pub async fn log(&self) -> String {
        let mut logs = Vec::new();
        for server in &self.servers {
            if let Server::Mta(running) = server {
                logs.push(running.log().await);
            }
        }
        for other in &self.others {
            logs.push(other.log().await);
        }
        logs.retain(|log| !log.is_empty());
        logs.join("\n")
    }

    /// Removes them; keeps them where the run is kept. What cannot be removed now is removed with the run.
    pub async fn stop(self) {
        for server in self.servers {
            let _ = match server {
                Server::Mta(running) => running.stop().await,
                Server::Bare(container, _) => container.remove().await.map_err(DockerError::from),
            };
        }
        for other in self.others {
            let _ = other.remove().await;
        }
    }
}

impl DockerBackend {
    /// Why a domain cannot be run in containers; nothing if it can.
    pub fn domain_possible(&self, plan: &DomainPlan) -> Result<(), String> {
        if !self.is_near() {
            return Err("the engine is on another machine, and a domain is looked at from its own".to_owned());
        }
        if plan.servers.len() > MAX_SERVERS {
            return Err(format!("{} servers are more containers than are started for one scenario", plan.servers.len()));
        }
        if plan.dns.is_split() {
            return Err("both name servers are one container, and say the same".to_owned());
        }
        let is_silent = |server: &MailServer| server.unreachable == Some(Unreachable::Silent);
        let is_policy_host_silent =
            plan.policy_host.as_ref().is_some_and(|host| host.host_fault == Some(PolicyHostFault::Silent));
        if plan.servers.iter().any(is_silent) || is_policy_host_silent {
            return Err("a container refuses connections where nothing listens, and is not silent".to_owned());
        }
        plan.servers.iter().try_for_each(|server| self.possible(&plan_of(server, plan)))
    }

    /// Starts a whole domain and waits until all of it answers.
    pub async fn start_domain(&self, plan: &DomainPlan) -> Result<RunningDomain, DockerError> {
        self.domain_possible(plan).map_err(DockerError::NotPossible)?;
        let hosts = plan.servers.chunk_by(|one, other| one.host == other.host);
        let servers = try_join_all(hosts.map(|servers| self.start_host(servers, plan)));
        let (servers, policy_host) = futures::future::try_join(servers, self.start_policy_host(plan)).await?;
        let servers: Vec<Server> = servers.into_iter().flatten().collect();
        let addresses: Vec<_> = plan.servers.iter().zip(&servers).map(|(plan, server)| server.address(plan.is_ipv6)).collect();
        let (policy_host, policy_address) = policy_host.unzip();
        let part = Part::NameServers(Box::new(NameServersPart {
            dns: plan.dns.clone(),
            servers: addresses.clone(),
            policy_host: policy_address,
            gateway: self.network.gateway,
            now: plan.now,
        }));
        let (name_servers, dns_address) = self.start_part(&part, DNS_PORT).await?;
        let dns_address = SocketAddr::new(dns_address, DNS_PORT);
        let name_servers = ready_to_answer(name_servers, dns_address, "the name servers").await?;
        let dns_anchor = dns::anchor(&plan.dns)?;
        let (resolver, resolver_address) = self.start_resolver(&dns_anchor, dns_address.ip()).await?;
        let others = policy_host.into_iter().chain([name_servers, resolver]).collect();
        Ok(RunningDomain {
            name: plan.name.clone(),
            resolvers: [dns_address; 2],
            validator: Some(resolver_address),
            dns_anchor,
            smtp_port: 25,
            // Where there is none, nobody is sent anywhere.
            policy_host: SocketAddr::new(policy_address.unwrap_or(dns_address.ip()), HTTPS_PORT),
            servers: plan.servers.iter().zip(addresses).map(|(server, address)| (server.host.clone(), address)).collect(),
            vantage: (plan.vantage.clone(), self.network.gateway),
            held: Held::InContainers(Box::new(DomainContainers { servers, others })),
        })
    }

    /// Starts a resolver in the network of the run that validates from an anchor, a DNSKEY record as a line of a zone file, and
    /// asks a name server there.
    async fn start_resolver(&self, anchor: &str, name_server: IpAddr) -> Result<(Container, SocketAddr), DockerError> {
        let image = image::of_resolver(self.release);
        let container = match self.launch(&image, &self.network, &[], resolver::files(anchor, name_server)).await {
            Ok(container) => container,
            Err(LaunchError::NoImage) => return Err(self.missing(&image)),
            Err(LaunchError::Engine(error)) => return Err(error.into()),
        };
        let (container, address) = with_address(container, "the resolver").await?;
        let address = SocketAddr::new(address, DNS_PORT);
        Ok((ready_to_answer(container, address, "the resolver").await?, address))
    }

    /// The servers of one host, the addresses in the order of the plan: whoever lists them has them in theirs.
    async fn start_host(&self, servers: &[MailServer], plan: &DomainPlan) -> Result<Vec<Server>, DockerError> {
        let mut started: Vec<Server> = Vec::new();
        for server in servers {
            let former = started.last().map(|server| server.address(false));
            // Held while others are started, so that none of them gets the same.
            let mut passed_over = Vec::new();
            loop {
                let one = self.start_one(server, plan).await?;
                if former.is_none_or(|former| former < one.address(false)) || passed_over.len() == ATTEMPTS {
                    started.push(one);
                    break;
                }
                passed_over.push(one);
            }
            DomainContainers { servers: passed_over, others: Vec::new() }.stop().await;
        }
        Ok(started)
    }

    async fn start_one(&self, server: &MailServer, plan: &DomainPlan) -> Result<Server, DockerError> {
        if server.unreachable.is_some() {
            let (container, address) = self.start_bare().await?;
            return Ok(Server::Bare(Box::new(container), address));
        }
        Ok(Server::Mta(Box::new(self.start(&plan_of(server, plan)).await?)))
    }

    /// The policy host, where the plan has one.
    async fn start_policy_host(&self, plan: &DomainPlan) -> Result<Option<(Container, IpAddr)>, DockerError> {
        let Some(host) = &plan.policy_host else { return Ok(None) };
        if host.host_fault == Some(PolicyHostFault::Refused) {
            return Ok(Some(self.start_bare().await?));
        }
        let (container, address) = self.start_part(&Part::PolicyHost(Box::new(host.clone())), HTTPS_PORT).await?;
        match ready::accepts(SocketAddr::new(address, HTTPS_PORT)).await {
            Ok(()) => Ok(Some((container, address))),
            Err(why) => Err(not_ready(container, "the policy host", why).await),
        }
    }

    async fn start_bare(&self) -> Result<(Container, IpAddr), DockerError> {
        let container = self.launch_own(&self.network, &["idle"], Vec::new()).await?;
        with_address(container, "an address where nothing listens").await
    }

    async fn start_part(&self, part: &Part, port: u16) -> Result<(Container, IpAddr), DockerError> {
        let content = serde_json::to_vec(part).map_err(DockerError::Plan)?;
        let listen = format!("0.0.0.0:{port}");
        let arguments = ["part", "--plan", PLAN, "--listen", &listen];
        let container = self.launch_own(&self.network, &arguments, vec![File { path: PLAN, mode: 0o600, content }]).await?;
        with_address(container, "a part of the domain").await
    }
}

/// One server of a domain as if it stood alone.
fn plan_of(server: &MailServer, plan: &DomainPlan) -> Plan {
    Plan {
        scenario: plan.scenario.clone(),
        now: plan.now,
        trust: plan.trust.clone(),
        vantages: vec![plan.vantage.clone()],
        over_ipv6: if server.is_ipv6 { vec![plan.vantage.clone()] } else { Vec::new() },
        server: server.plan.clone(),
        publication: None,
        port: 25,
        relay: None,
        pointer: Vec::new(),
        installed: None,
    }
}

async fn ready_to_answer(container: Container, address: SocketAddr, what: &str) -> Result<Container, DockerError> {
    match resolver::wait_until_it_answers(&container, address).await {
        Ok(()) => Ok(container),
        Err(why) => Err(not_ready(container, what, why).await),
    }
}
