//! A whole mail domain. In this process: its servers on one common port at addresses of their own in 127.0.0.0/8, name
//! servers, and the policy host. What it is in containers, [`docker`](super::docker) says.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rand::RngExt as _;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

use super::{
    ServerOrder,
    dns::{self, DnsError, NameServers, Places},
    embedded::{self, EmbeddedError},
    policy::{PolicyHost, PolicyHostError},
};
use crate::{
    name::Name,
    plan::{DomainPlan, MailServer},
    scenario::{PolicyHostFault, Unreachable},
};

/// A running domain; it ends when this is dropped.
#[derive(Debug)]
pub struct RunningDomain {
    /// The domain.
    pub name: Name,
    /// Its name servers, which answer like resolvers that do not validate. The first is the one to ask.
    pub resolvers: [SocketAddr; 2],
    /// A resolver that validates, as a real MTA needs it; in containers only.
    pub validator: Option<SocketAddr>,
    /// The root of its DNS: a DNSKEY record, as a line of a zone file.
    pub dns_anchor: String,
    /// The port of all its servers, which stands for 25.
    pub smtp_port: u16,
    /// Where its policy host is, or would be; the port stands for 443.
    pub policy_host: SocketAddr,
    /// Its servers: the host, and the address.
    pub servers: Vec<(Name, IpAddr)>,
    /// The vantage point.
    pub vantage: (String, IpAddr),
    pub(super) held: Held,
}

/// What runs, which ends when it is dropped.
#[derive(Debug)]
pub(super) enum Held {
    /// In this process.
    Here { _name_servers: NameServers, _policy_host: Option<PolicyHost>, _tasks: Tasks, _black_holes: Vec<BlackHole> },
    /// In containers.
    #[cfg(feature = "docker")]
    InContainers(Box<super::docker::DomainContainers>),
}

/// Ends servers when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Why a domain did not start.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// A server failed.
    #[error(transparent)]
    Server(#[from] EmbeddedError),
    /// The name servers failed.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The policy host failed.
    #[error(transparent)]
    PolicyHost(#[from] PolicyHostError),
    /// What is to be silent cannot be made so.
    #[error("cannot make {0} silent: {1}")]
    BlackHole(SocketAddr, #[source] io::Error),
}

impl DomainError {
    /// Whether somebody else has the port.
    fn is_taken(&self) -> bool {
        let error = match self {
            Self::Server(EmbeddedError::Bind(_, error))
            | Self::Dns(DnsError::Bind(_, error))
            | Self::PolicyHost(PolicyHostError::Bind(_, error))
            | Self::BlackHole(_, error) => error,
            _ => return false,
        };
        error.kind() == io::ErrorKind::AddrInUse
    }
}

/// The last byte of the addresses besides those of servers.
const VANTAGE: u8 = 251;
const POLICY_HOST: u8 = 252;
const NAME_SERVER: [u8; 2] = [253, 254];
/// How often another port is tried.
const ATTEMPTS: usize = 16;

/// Whether a domain can run here, or why not.
pub fn possible(plan: &DomainPlan) -> Result<(), String> {
    if !embedded::has_loopback_range() {
        return Err("this system has no second loopback address, so there is no room for a domain".to_owned());
    }
    if plan.servers.iter().any(|server| server.is_ipv6) && std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return Err("this system has no IPv6".to_owned());
    }
    Ok(())
}

impl RunningDomain {
    /// Starts everything; it answers when this returns.
    pub async fn start(plan: &DomainPlan) -> Result<Self, DomainError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::try_start(plan).await {
                // The port that is free at one address may be taken at another.
                Err(error) if error.is_taken() && attempts < ATTEMPTS => {}
                other => return other,
            }
        }
    }

    async fn try_start(plan: &DomainPlan) -> Result<Self, DomainError> {
        let (a, b) = network();
        let address = |last: u8| IpAddr::V4(Ipv4Addr::new(127, a, b, last));
        let source = address(VANTAGE);
        let mut servers = Vec::new();
        for server in &plan.servers {
            // A domain has no more servers than there is room below the others.
            let last = u8::try_from(servers.len() + 1).unwrap_or(VANTAGE - 1);
            let at = if server.is_ipv6 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { address(last) };
            servers.push((server, at));
        }
        let mut tasks = Tasks::default();
        let mut black_holes = Vec::new();
        let mut port = free_port(source).await?;
        // Those that only need the port come last: the first to listen finds it.
        for (at, (server, ip)) in servers.iter().enumerate() {
            let wanted = SocketAddr::new(*ip, if at == 0 { 0 } else { port });
            match server.unreachable {
                Some(Unreachable::Refused) => {}
                Some(Unreachable::Silent) => {
                    let hole = BlackHole::dig(wanted).await.map_err(|error| DomainError::BlackHole(wanted, error))?;
                    port = hole.address.port();
                    black_holes.push(hole);
                }
                None => {
                    let (bound, serve) = embedded::listen(order(server, plan, source), wanted).await?;
                    port = bound.port();
                    tasks.0.push(tokio::spawn(serve));
                }
            }
        }
        let policy_address = SocketAddr::new(address(POLICY_HOST), free_port(address(POLICY_HOST)).await?);
        let policy_host = match &plan.policy_host {
            Some(host) if host.host_fault == Some(PolicyHostFault::Silent) => {
                let hole = BlackHole::dig(policy_address).await.map_err(|error| DomainError::BlackHole(policy_address, error))?;
                black_holes.push(hole);
                None
            }
            Some(host) if host.host_fault != Some(PolicyHostFault::Refused) => {
                let bind = TcpListener::bind(policy_address).await;
                let listener = bind.map_err(|error| PolicyHostError::Bind(policy_address, error))?;
                Some(PolicyHost::serve(host.clone(), listener)?)
            }
            _ => None,
        };
        let name_servers = NAME_SERVER.map(address);
        let (first, port_of_dns) = dns_sockets(SocketAddr::new(name_servers[0], 0)).await?;
        let (second, _) = dns_sockets(SocketAddr::new(name_servers[1], port_of_dns)).await?;
        let addresses: Vec<IpAddr> = servers.iter().map(|(_, ip)| *ip).collect();
        let places = Places { servers: addresses.clone(), policy_host: policy_address.ip(), name_servers };
        let name_servers = NameServers::serve(&plan.dns, &places, plan.now, vec![first, second])?;
        Ok(Self {
            name: plan.name.clone(),
            resolvers: NAME_SERVER.map(|last| SocketAddr::new(address(last), port_of_dns)),
            validator: None,
            dns_anchor: dns::anchor(&plan.dns)?,
            smtp_port: port,
            policy_host: policy_address,
            servers: servers.iter().map(|(server, ip)| (server.host.clone(), *ip)).collect(),
            vantage: (plan.vantage.clone(), source),
            held: Held::Here { _name_servers: name_servers, _policy_host: policy_host, _tasks: tasks, _black_holes: black_holes },
        })
    }

    /// What its servers wrote into their logs, escaped; empty for embedded ones.
    pub async fn log(&self) -> String {
        match &self.held {
            Held::Here { .. } => String::new(),
            #[cfg(feature = "docker")]
            Held::InContainers(containers) => containers.log().await,
        }
    }

    /// Ends it and waits until nothing of it is left.
    pub async fn stop(self) {
        match self.held {
            Held::Here { .. } => {}
            #[cfg(feature = "docker")]
            Held::InContainers(containers) => containers.stop().await,
        }
    }
}

/// The second and the third byte of a network of 127.0.0.0/8 that nobody else is likely to have.
fn network() -> (u8, u8) {
    let mut rng = rand::rng();
    (rng.random_range(64..128), rng.random_range(0..=255))
}

fn order(server: &MailServer, plan: &DomainPlan, source: IpAddr) -> ServerOrder {
    ServerOrder { plan: server.plan.clone(), sources: [(plan.vantage.clone(), source)].into() }
}

/// A port that nobody has at this address.
async fn free_port(ip: IpAddr) -> Result<u16, DomainError> {
    let address = SocketAddr::new(ip, 0);
    let failed = |error| DomainError::Server(EmbeddedError::Bind(address, error));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// One port for UDP and TCP.
async fn dns_sockets(address: SocketAddr) -> Result<((UdpSocket, TcpListener), u16), DomainError> {
    let failed = |error| DomainError::Dns(DnsError::Bind(address, error));
    let udp = UdpSocket::bind(address).await.map_err(failed)?;
    let bound = udp.local_addr().map_err(failed)?;
    let tcp = TcpListener::bind(bound).await.map_err(failed)?;
    Ok(((udp, tcp), bound.port()))
}

/// An address from which nothing comes back: its queue of connections is full, and nobody takes one out of it.
#[derive(Debug)]
pub(super) struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// As many connections fit into no queue that was asked to be empty.
    const MOST: usize = 16;
    /// On this machine a connection is there at once, or not at all.
    const PATIENCE: Duration = Duration::from_millis(200);

    async fn dig(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(address)?;
        let listener = socket.listen(0)?;
        let address = listener.local_addr()?;
        let mut queue = Vec::new();
        while queue.len() < Self::MOST {
            match timeout(Self::PATIENCE, TcpStream::connect(address)).await {
                Ok(stream) => queue.push(stream?),
                Err(_) => break,
            }
        }
        Ok(Self { address, _listener: listener, _queue: queue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn from_a_black_hole_nothing_comes_back() {
        let hole = BlackHole::dig((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        assert!(!hole._queue.is_empty() && hole._queue.len() < BlackHole::MOST);
        assert!(timeout(Duration::from_millis(500), TcpStream::connect(hole.address)).await.is_err());
    }
}
