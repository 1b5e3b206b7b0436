//! The lab: starts planned servers, in this process or in containers.
//!
//! The lab knows nothing of the checker. It shares only vocabulary with it.

mod dh;
pub mod dns;
#[cfg(feature = "docker")]
pub mod docker;
pub mod domain;
pub mod embedded;
mod middlebox;
#[cfg(feature = "docker")]
mod openssl;
pub(crate) mod owner;
pub mod part;
pub mod persona;
mod policy;
pub mod relay;
mod web;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::plan::{DomainPlan, Plan, ServerPlan};
pub use domain::RunningDomain;
pub use policy::PolicyHostError;
use relay::{Relay, RelayOptions};
pub use web::WebServer;

/// A server to start, with the addresses that its vantage points turned out to have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerOrder {
    /// What the server does.
    pub plan: ServerPlan,
    /// The source address of each vantage point that the plan names.
    pub sources: BTreeMap<String, IpAddr>,
}

/// Where a scenario runs.
#[derive(Debug)]
pub enum Backend {
    /// In this process.
    Embedded,
    /// In containers.
    #[cfg(feature = "docker")]
    Docker(Box<docker::DockerBackend>),
}

/// A vantage point of a running server.
#[derive(Clone, Debug)]
pub struct RunningVantage {
    /// The name in the scenario.
    pub name: String,
    /// The address that the server sees.
    pub source: IpAddr,
    /// Where the server is from there.
    pub server: SocketAddr,
    /// Whether a program has to run elsewhere to stand there; see [`Running::exec`].
    pub is_remote: bool,
}

/// A running server of a scenario.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its vantage points, in the plan's order.
    pub vantages: Vec<RunningVantage>,
    /// What stands before it; held, since it ends when dropped.
    relays: Vec<RunningRelay>,
    /// The web server of its CA, where the scenario asks for one; on this machine, whatever the backend.
    pub web: Option<WebServer>,
    server: Server,
}

/// A relay at work; it ends when dropped.
#[derive(Debug)]
struct RunningRelay {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl RunningRelay {
    /// Stands before `to`, on this machine.
    async fn start(options: RelayOptions, to: SocketAddr) -> Result<Self, LabError> {
        let relay = Relay::bind((Ipv4Addr::LOCALHOST, 0).into(), to, options).await.map_err(LabError::Relay)?;
        let address = relay.address().map_err(LabError::Relay)?;
        let task = tokio::spawn(async move { drop(relay.serve().await) });
        Ok(Self { address, task })
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
enum Server {
    /// Held, since it ends when dropped.
    Embedded { _server: embedded::EmbeddedServer },
    #[cfg(feature = "docker")]
    Docker(Box<docker::Running>),
}

/// Why a server did not start or cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The embedded backend failed.
    #[error(transparent)]
    Embedded(#[from] embedded::EmbeddedError),
    /// The domain failed.
    #[error(transparent)]
    Domain(#[from] domain::DomainError),
    /// The web server of the CA failed.
    #[error("cannot start the web server of the CA")]
    Web(#[source] std::io::Error),
    /// What stands before the server failed.
    #[error("cannot start the relay before the server")]
    Relay(#[source] std::io::Error),
    /// The Docker backend failed.
    #[cfg(feature = "docker")]
    #[error(transparent)]
    Docker(#[from] docker::DockerError),
}

impl LabError {
    /// Why the backend cannot do what is planned, where that is known only when it is tried.
    pub fn not_possible(&self) -> Option<&str> {
        match self {
            #[cfg(feature = "docker")]
            Self::Docker(docker::DockerError::NotPossible(reason)) => Some(reason),
            _ => None,
        }
    }
}

impl Backend {
    /// `embedded` or `docker`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            #[cfg(feature = "docker")]
            Self::Docker(_) => "docker",
        }
    }

    /// Whether the plan can run here; the error is the reason in words.
    pub fn possible(&self, plan: &Plan) -> Result<(), String> {
        match self {
            Self::Embedded => embedded::possible(plan),
            #[cfg(feature = "docker")]
            Self::Docker(docker) => docker.possible(plan),
        }
    }

    /// Whether what is seen of a kind of server must be what the snapshots say. A container of another release than the
    /// persona's speaks otherwise, and is held to the scenario's own expectations only.
    pub fn is_held_to_snapshots(
        &self,
        #[cfg_attr(not(feature = "docker"), expect(unused_variables, reason = "the real ones ask"))] kind: &str,
    ) -> bool {
        match self {
            Self::Embedded => true,
            #[cfg(feature = "docker")]
            Self::Docker(docker) => docker.is_held_to_snapshots(kind),
        }
    }

    /// Starts the plan's server; it answers when this returns.
    pub async fn start(&self, plan: &Plan) -> Result<Running, LabError> {
        let mut running = self.start_server(plan).await?;
        if let Some(fault) = &plan.relay {
            running.put_behind(RelayOptions { fault: Some(fault.clone()), ..RelayOptions::default() }).await?;
        }
        Ok(running)
    }

    /// Whether a domain can run here; the error is the reason in words.
    pub fn domain_possible(&self, plan: &DomainPlan) -> Result<(), String> {
        match self {
            Self::Embedded => domain::possible(plan),
            #[cfg(feature = "docker")]
            Self::Docker(docker) => docker.domain_possible(plan),
        }
    }

    /// Starts a whole domain; it answers when this returns.
    pub async fn start_domain(&self, plan: &DomainPlan) -> Result<RunningDomain, LabError> {
        match self {
            Self::Embedded => Ok(RunningDomain::start(plan).await?),
            #[cfg(feature = "docker")]
            Self::Docker(docker) => Ok(docker.start_domain(plan).await?),
        }
    }

    async fn start_server(&self, plan: &Plan) -> Result<Running, LabError> {
        let web = match &plan.publication {
            Some(publication) => Some(WebServer::start(publication.clone()).await.map_err(LabError::Web)?),
            None => None,
        };
        match self {
            Self::Embedded => {
                let server = embedded::EmbeddedServer::start(plan).await?;
                let local = |(name, source): &(String, IpAddr)| RunningVantage {
                    name: name.clone(),
                    source: *source,
                    server: server.address_for(*source),
                    is_remote: false,
                };
                let vantages = server.sources.iter().map(local).collect();
                Ok(Running {
                    address: server.address,
                    vantages,
                    relays: Vec::new(),
                    web,
                    server: Server::Embedded { _server: server },
                })
            }
            #[cfg(feature = "docker")]
            Self::Docker(docker) => {
                let server = docker.start(plan).await?;
                let vantage = |(name, source, reach): &(String, IpAddr, docker::Reach)| RunningVantage {
                    name: name.clone(),
                    source: *source,
                    server: server.address_for(*source),
                    is_remote: *reach == docker::Reach::Container,
                };
                let vantages = server.vantages.iter().map(vantage).collect();
                Ok(Running {
                    address: server.address,
                    vantages,
                    relays: Vec::new(),
                    web,
                    server: Server::Docker(Box::new(server)),
                })
            }
        }
    }
}

impl Running {
    /// Puts a relay on this machine before it: from now on it is reached through that.
    pub async fn put_behind(&mut self, options: RelayOptions) -> Result<(), LabError> {
        let relay = RunningRelay::start(options, self.address).await?;
        for vantage in self.vantages.iter_mut().filter(|vantage| vantage.server == self.address) {
            vantage.server = relay.address;
        }
        self.address = relay.address;
        self.relays.push(relay);
        Ok(())
    }

    /// Runs `mtalab` with these arguments at a remote vantage point and gives what it prints.
    #[cfg(feature = "docker")]
    pub async fn exec(&self, vantage: &str, arguments: &[String]) -> Result<Vec<u8>, LabError> {
        match &self.server {
            Server::Docker(server) => Ok(server.exec(vantage, arguments, None).await?),
            Server::Embedded { .. } => Ok(Vec::new()),
        }
    }

    /// What the server wrote into its log, escaped; empty for the embedded one, whose
    /// dialog the transcript already shows.
    pub async fn log(&self) -> String {
        match &self.server {
            #[cfg(feature = "docker")]
            Server::Docker(server) => server.log().await,
            Server::Embedded { .. } => String::new(),
        }
    }

    /// Ends the server and waits until nothing of it is left.
    pub async fn stop(self) {
        match self.server {
            #[cfg(feature = "docker")]
            // What cannot be removed now is removed with the run.
            Server::Docker(server) => drop(server.stop().await),
            Server::Embedded { .. } => {}
        }
    }
}
