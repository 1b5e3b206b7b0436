//! The lab in containers: real MTAs, or mtalab's own server in an image that holds nothing
//! else. Each run has a network of its own, and everything that it makes carries its labels.
//!
//! ```text
//!   this machine, the first vantage point ── gateway ─┐
//!   vantage container, one per further vantage point ─┼─ network of the run ── server container
//! ```
//!
//! The containers are reached at their own addresses, at port 25. Where the engine is on another machine, the first vantage
//! point is a container as well.

mod base;
mod closure;
mod container;
mod domain;
mod engine;
mod image;
mod mta;
mod network;
mod ready;
mod release;
mod resolver;
mod sender;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use testcontainers::bollard::Docker;
use tokio::sync::{Mutex, OnceCell};

pub use self::{
    closure::{ClosureError, EXECUTABLE},
    domain::DomainContainers,
    engine::EngineError,
    image::{Built, ImageError, ImageOptions, ImageStatus, build, status},
    ready::{Sign, answers},
    release::Release,
    sender::{Delivery, Destination, Ending, Mailer},
    sweep::{list_kept, remove_kept},
};
use self::{
    container::{Container, File},
    engine::LaunchError,
    image::ImageName,
    mta::{Mta, Vantages},
    network::Network,
    ready::wait_until_ready,
    sweep::{LABEL_KEPT, LABEL_OWNER, LABEL_RUN, remove_run, sweep},
};
use super::{ServerOrder, owner::Owner};
use crate::{
    lab::persona::Persona,
    plan::{GreetingPlan, Plan, ServerPlan},
};

/// Where the plan is in a container that runs mtalab's own server.
const PLAN: &str = "/plan.json";
/// How many dead runs' leftovers are waited for at the start of a run.
const CLEANUP: Duration = Duration::from_secs(30);

/// Why the lab in containers does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The engine is not there, full, or refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image of mtalab itself cannot be made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The images of the real MTAs are not built.
    #[error("images not built: run `mtalab images build --release {release}` (or `just images`); missing is {image}")]
    ImagesMissing {
        /// The first that is missing.
        image: String,
        /// The release that it is of.
        release: Release,
    },
    /// The scenario asks for what the real server cannot do.
    #[error("{0}")]
    NotPossible(String),
    /// A run's name becomes part of names of containers.
    #[error("`{0}` cannot name a run: use up to 40 lower-case letters, digits and hyphens")]
    RunName(String),
    /// The engine answered with something that makes no sense.
    #[error("the Docker engine did not tell {0}")]
    Untold(&'static str),
    /// The plan cannot be written for the server in the container.
    #[error("the plan cannot be written: {0}")]
    Plan(serde_json::Error),
    /// The root of a domain's zones cannot be made.
    #[error(transparent)]
    Dns(#[from] super::dns::DnsError),
    /// A server ended or never greeted, or a vantage container ended.
    #[error("{what} did not start: {why}; its log:\n{log}")]
    NotReady {
        /// The server of which scenario, or the container of which vantage point.
        what: String,
        /// What was seen.
        why: String,
        /// The end of its log, escaped.
        log: String,
    },
    /// There is no such vantage point in a container.
    #[error("no container stands at the vantage point `{0}`")]
    NoContainer(String),
    /// A program in a container failed.
    #[error("`{program}` in a container ended with {code}: {stderr}")]
    Exec {
        /// The first words of its command line.
        program: String,
        /// Its exit code; -1 if the engine did not tell.
        code: i64,
        /// What it wrote to standard error, escaped.
        stderr: String,
    },
    /// A program in a container wrote more than is read of it.
    #[error("`{program}` in a container wrote more than {limit} bytes")]
    TooMuch {
        /// The first words of its command line.
        program: String,
        /// How much is read.
        limit: usize,
    },
}

/// What a run is started with.
#[derive(Clone, Debug)]
pub struct DockerOptions {
    /// The mtalab executable that runs inside containers.
    pub executable: PathBuf,
    /// The name of the run, not used by any other one.
    pub run: String,
    /// The name that the run is kept under when its process is gone; nothing if it is not.
    pub kept: Option<String>,
    /// The Debian release that the images are of.
    pub release: Release,
}

impl DockerOptions {
    /// A run with a fresh name that ends with its process.
    pub fn new(executable: PathBuf) -> Self {
        let run = format!("{:016x}", rand::random::<u64>());
        Self { executable, run, kept: None, release: Release::default() }
    }
}

/// How a vantage point is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From this process.
    Local,
    /// By [`Running::exec`].
    Container,
}

/// One run: its network, and the containers in it.
///
/// Call [`cleanup`](Self::cleanup) at the end; a run that is dropped without is cleaned up then,
/// which blocks for about as long.
#[derive(Debug)]
pub struct DockerBackend {
    docker: Docker,
    run: String,
    labels: HashMap<String, String>,
    network: Network,
    /// The network with IPv6, once a plan has asked for it.
    dual: OnceCell<Network>,
    /// Whether this machine reaches the containers: it is the engine's own.
    is_near: bool,
    executable: PathBuf,
    release: Release,
    is_kept: bool,
    is_clean: AtomicBool,
    containers: AtomicUsize,
    /// Starts that have not ended; one that is cancelled never does.
    launching: AtomicUsize,
    own: Mutex<Option<ImageName>>,
    /// The vantage containers, shared by all scenarios of the run.
    vantages: Mutex<Vec<Arc<Vantage>>>,
    /// Those in the network with IPv6.
    dual_vantages: Mutex<Vec<Arc<Vantage>>>,
}

#[derive(Debug)]
struct Vantage {
    container: Container,
    address: IpAddr,
    address6: Option<IpAddr>,
}

/// A server that has greeted.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens for those that come over IPv6.
    address6: Option<SocketAddr>,
    /// The vantage points of the plan, in its order: name, the address that the server sees, how to use it.
    pub vantages: Vec<(String, IpAddr, Reach)>,
    container: Container,
    helpers: Vec<(String, Arc<Vantage>)>,
}

impl DockerBackend {
    /// Connects, removes what dead runs left behind, and makes the network of this one.
    pub async fn connect(options: DockerOptions) -> Result<Self, DockerError> {
        let DockerOptions { executable, run, kept, release } = options;
        for name in kept.iter().chain([&run]) {
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if name.is_empty() || name.len() > 40 || !is_name {
                return Err(DockerError::RunName(crate::wire::WireText::from(name.as_str()).to_string()));
            }
        }
        let docker = engine::connect().await?;
        let me = Owner::me();
        // A sweep that fails leaves to the next run what it could not remove.
        let _ = tokio::time::timeout(CLEANUP, sweep(&docker, &me)).await;

        let mut labels = HashMap::from([(LABEL_RUN.to_owned(), run.clone()), (LABEL_OWNER.to_owned(), me.to_string())]);
        labels.extend(kept.iter().map(|name| (LABEL_KEPT.to_owned(), name.clone())));
        let network = Network::make(&docker, format!("mtalab-{run}"), &labels).await?;
        Ok(Self {
            docker,
            labels,
            // The gateway of the engine's bridge is an address of the engine's machine, and of no other.
            is_near: std::net::UdpSocket::bind((network.gateway, 0)).is_ok(),
            network,
            dual: OnceCell::new(),
            executable,
            release,
            is_kept: kept.is_some(),
            is_clean: AtomicBool::new(false),
            containers: AtomicUsize::new(0),
            launching: AtomicUsize::new(0),
            own: Mutex::default(),
            vantages: Mutex::default(),
            dual_vantages: Mutex::default(),
            run,
        })
    }

    /// Whether this machine reaches the containers at their own addresses: it is the engine's own.
    pub fn is_near(&self) -> bool {
        self.is_near
    }

    /// Why a plan cannot be run in containers; nothing if it can.
    pub fn possible(&self, plan: &Plan) -> Result<(), String> {
        let is_before_many = plan.relay.is_some() && plan.vantages.len() > 1;
        let reason = match Kind::of(&plan.server.kind) {
            _ if is_before_many => Some("the relay is on this machine, and the vantage points are containers".to_owned()),
            Some(Kind::Real(mta)) => mta::impossible(mta, self.release, plan),
            Some(Kind::Own) if plan.server.dialog.says_anything() => {
                Some("whether it is ready is told by its greeting, which is at fault".to_owned())
            }
            Some(Kind::Own) => None,
            None => Some(format!("Debian has no package of {}", plan.server.kind)),
        };
        reason.map_or(Ok(()), Err)
    }

    /// Whether what is seen of a kind of server must be what the snapshots say: the real one is held to those of its
    /// persona where it is of the same release.
    pub fn is_held_to_snapshots(&self, kind: &str) -> bool {
        let release = Persona::find(kind).and_then(|persona| persona.release.as_deref());
        release.is_none_or(|release| release == self.release.name())
    }

    /// Fails where an image that one of these kinds of server needs, or a domain, is not built: once for a
    /// whole run, instead of once for each of its scenarios.
    pub async fn require_images<'a>(&self, kinds: impl Iterator<Item = &'a str>, has_domains: bool) -> Result<(), DockerError> {
        let kinds: BTreeSet<_> = kinds.collect();
        let of_mtas = kinds.into_iter().filter_map(mta::find).map(|mta| image::of_mta(mta, self.release));
        for image in of_mtas.chain(has_domains.then(|| image::of_resolver(self.release))) {
            if !image::exists(&self.docker, &image).await? {
                return Err(self.missing(&image));
            }
        }
        Ok(())
    }

    /// Starts the server of a plan and waits until it answers.
    pub async fn start(&self, plan: &Plan) -> Result<Running, DockerError> {
        self.possible(plan).map_err(DockerError::NotPossible)?;
        let network = self.network_of(plan).await?;
        let (vantages, helpers) = self.vantages_of(plan, network).await?;
        let addresses = vantages.iter().map(|(name, address, _)| (name.clone(), *address)).collect();
        let kind = Kind::of(&plan.server.kind);
        let container = match kind {
            Some(Kind::Real(mta)) => self.start_mta(mta, network, &plan.server, addresses).await?,
            _ => self.start_own_server(network, &plan.server, addresses).await?,
        };
        let what = format!("the server of {}", plan.scenario);
        let (container, address) = with_address(container, &what).await?;
        let address = SocketAddr::new(address, 25);
        let address6 = match network.gateway6 {
            Some(_) => container.address6().await?.map(|address| SocketAddr::new(address, 25)),
            None => None,
        };
        let lets_one_in = matches!(kind, Some(Kind::Real(mta)) if mta.lets_one_in());
        let sign = match plan.server.dialog.implicit_tls {
            Some(_) => Sign::Record,
            None if plan.server.greeting == GreetingPlan::Throttled && lets_one_in => Sign::SecondGreeting,
            None => Sign::Greeting,
        };
        let from = helpers.first().filter(|_| !self.is_near).map(|(_, vantage)| &vantage.container);
        for address in std::iter::once(address).chain(address6) {
            if let Err(why) = wait_until_ready(&container, address, sign, from).await {
                return Err(not_ready(container, &what, why).await);
            }
        }
        if self.is_near {
            network.settle().await?;
        }
        Ok(Running { address, address6, vantages, container, helpers })
    }

    /// From now on the run outlives this process, if it was made to be kept; until then it is swept like any other.
    pub async fn keep(&self) -> Result<(), DockerError> {
        match self.labels.get(LABEL_KEPT) {
            Some(name) => Ok(sweep::mark_kept(&self.docker, name).await?),
            None => Ok(()),
        }
    }

    /// Removes the containers and the network of the run, whatever state they are in.
    pub async fn cleanup(&self) -> Result<(), DockerError> {
        self.is_clean.store(true, Ordering::Relaxed);
        self.vantages.lock().await.clear();
        self.dual_vantages.lock().await.clear();
        remove_run(&self.docker, &self.run, self.is_cancelled()).await.map_err(DockerError::from)
    }

    /// Whether some start was given up half-way.
    fn is_cancelled(&self) -> bool {
        self.launching.load(Ordering::Relaxed) > 0
    }

    /// The network that the server of a plan is in.
    async fn network_of(&self, plan: &Plan) -> Result<&Network, DockerError> {
        if plan.over_ipv6.is_empty() {
            return Ok(&self.network);
        }
        let make = || Network::make_dual(&self.docker, format!("mtalab-{}-6", self.run), &self.labels);
        self.dual.get_or_try_init(make).await
    }

    /// The vantage points of a plan: this machine where it is near the containers, and a container for each further one.
    async fn vantages_of(
        &self,
        plan: &Plan,
        network: &Network,
    ) -> Result<(Vec<(String, IpAddr, Reach)>, Vec<(String, Arc<Vantage>)>), DockerError> {
        let mut vantages = Vec::new();
        let mut helpers = Vec::new();
        // The addresses of this machine that no vantage point has yet, one of each version of IP.
        let mut own = [Some(network.gateway), network.gateway6].map(|gateway| gateway.filter(|_| self.is_near));
        let mut place = 0;
        for name in &plan.vantages {
            let is_ipv6 = plan.over_ipv6.contains(name);
            if let Some(address) = own[usize::from(is_ipv6)].take() {
                vantages.push((name.clone(), address, Reach::Local));
                continue;
            }
            let shared = if network.gateway6.is_some() { &self.dual_vantages } else { &self.vantages };
            let mut shared = shared.lock().await;
            if shared.len() <= place {
                let container = self.launch_own(network, &["idle"], Vec::new()).await?;
                let what = format!("the container of the vantage point `{name}`");
                let (container, address) = with_address(container, &what).await?;
                let address6 = if network.gateway6.is_some() { container.address6().await? } else { None };
                shared.push(Arc::new(Vantage { container, address, address6 }));
            }
            if let Some(vantage) = shared.get(place) {
                let address = vantage.address6.filter(|_| is_ipv6).unwrap_or(vantage.address);
                vantages.push((name.clone(), address, Reach::Container));
                helpers.push((name.clone(), vantage.clone()));
            }
            place += 1;
        }
        Ok((vantages, helpers))
    }

    async fn start_mta(
        &self,
        mta: &dyn Mta,
        network: &Network,
        server: &ServerPlan,
        vantages: BTreeMap<String, IpAddr>,
    ) -> Result<Container, DockerError> {
        let image = image::of_mta(mta, self.release);
        if !image::exists(&self.docker, &image).await? {
            return Err(self.missing(&image));
        }
        match self.launch(&image, network, &[], mta.files(self.release, server, &Vantages(vantages))).await {
            Ok(container) => Ok(container),
            Err(LaunchError::NoImage) => Err(self.missing(&image)),
            Err(LaunchError::Engine(error)) => Err(error.into()),
        }
    }

    fn missing(&self, image: &ImageName) -> DockerError {
        DockerError::ImagesMissing { image: image.to_string(), release: self.release }
    }

    async fn start_own_server(
        &self,
        network: &Network,
        server: &ServerPlan,
        vantages: BTreeMap<String, IpAddr>,
    ) -> Result<Container, DockerError> {
        let order = ServerOrder { plan: server.clone(), sources: vantages };
        let content = serde_json::to_vec(&order).map_err(DockerError::Plan)?;
        // Where there is IPv6, the one listener is for both.
        let listen = if network.gateway6.is_some() { "[::]:25" } else { "0.0.0.0:25" };
        let arguments = ["serve", "--plan", PLAN, "--listen", listen];
        self.launch_own(network, &arguments, vec![File { path: PLAN, mode: 0o600, content }]).await
    }

    /// Runs mtalab itself in a container.
    async fn launch_own(&self, network: &Network, arguments: &[&str], files: Vec<File>) -> Result<Container, DockerError> {
        let command: Vec<_> = [EXECUTABLE].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        for is_last in [false, true] {
            let image = self.own_image().await?;
            match self.launch(&image, network, &command, files.clone()).await {
                Ok(container) => return Ok(container),
                // Another run took it for an old one between two of our containers.
                Err(LaunchError::NoImage) if !is_last => *self.own.lock().await = None,
                Err(LaunchError::NoImage) => return Err(self.missing(&image)),
                Err(LaunchError::Engine(error)) => return Err(error.into()),
            }
        }
        Err(DockerError::Untold("the image that it just made"))
    }

    async fn own_image(&self) -> Result<ImageName, DockerError> {
        let mut own = self.own.lock().await;
        if let Some(image) = &*own {
            return Ok(image.clone());
        }
        let image = image::ensure_own(&self.docker, &self.executable).await?;
        Ok(own.insert(image).clone())
    }

    async fn launch(
        &self,
        image: &ImageName,
        network: &Network,
        command: &[String],
        files: Vec<File>,
    ) -> Result<Container, LaunchError> {
        self.launch_with_hosts(image, network, command, files, &[]).await
    }

    /// The same with more names in its /etc/hosts.
    async fn launch_with_hosts(
        &self,
        image: &ImageName,
        network: &Network,
        command: &[String],
        files: Vec<File>,
        hosts: &[(String, IpAddr)],
    ) -> Result<Container, LaunchError> {
        let number = self.containers.fetch_add(1, Ordering::Relaxed);
        let name = format!("mtalab-{}-{number}", self.run);
        self.launching.fetch_add(1, Ordering::Relaxed);
        let started =
            Container::start(&self.docker, image, &name, &network.name, &self.labels, command, files, hosts, self.is_kept).await;
        self.launching.fetch_sub(1, Ordering::Relaxed);
        started
    }
}

impl Drop for DockerBackend {
    fn drop(&mut self) {
        if self.is_kept || self.is_clean.load(Ordering::Relaxed) {
            return;
        }
        let (docker, run, is_cancelled) = (self.docker.clone(), self.run.clone(), self.is_cancelled());
        // The caller's runtime may be ending, or be this very thread.
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let _ = runtime.block_on(async { tokio::time::timeout(CLEANUP, remove_run(&docker, &run, is_cancelled)).await });
            }
        });
        let _ = cleaner.join();
    }
}

impl Running {
    /// Where it listens for a client.
    pub fn address_for(&self, source: IpAddr) -> SocketAddr {
        self.address6.filter(|_| source.is_ipv6()).unwrap_or(self.address)
    }

    /// Runs mtalab with these arguments in the container of a vantage point, and returns what it
    /// wrote to standard output.
    pub async fn exec(&self, vantage: &str, arguments: &[String], stdin: Option<&[u8]>) -> Result<Vec<u8>, DockerError> {
        let helper = self.helpers.iter().find(|(name, _)| name == vantage);
        let (_, helper) = helper.ok_or_else(|| DockerError::NoContainer(vantage.to_owned()))?;
        let command: Vec<_> = [EXECUTABLE.to_owned()].into_iter().chain(arguments.iter().cloned()).collect();
        helper.container.exec(&command, stdin).await
    }

    /// The end of the server's log, escaped line by line.
    pub async fn log(&self) -> String {
        self.container.log().await
    }

    /// Removes the server; keeps it where the run is kept.
    pub async fn stop(self) -> Result<(), DockerError> {
        self.container.remove().await.map_err(DockerError::from)
    }
}

/// What runs a kind of server.
#[derive(Clone, Copy)]
enum Kind {
    /// The real one.
    Real(&'static dyn Mta),
    /// mtalab's own server, for what cannot be had as an image.
    Own,
}

impl Kind {
    fn of(kind: &str) -> Option<Self> {
        let own = || Persona::find(kind).filter(|persona| persona.proprietary).map(|_| Self::Own);
        mta::find(kind).map(Self::Real).or_else(own)
    }
}

/// A container and its address, which one that has ended lacks.
async fn with_address(container: Container, what: &str) -> Result<(Container, IpAddr), DockerError> {
    match container.address().await? {
        Some(address) => Ok((container, address)),
        None => Err(not_ready(container, what, "it ended at once".to_owned()).await),
    }
}

/// The error for a container that is of no use, which is removed.
async fn not_ready(container: Container, what: &str, why: String) -> DockerError {
    let log = container.log().await;
    // What went wrong before is what the reader must know; the cleanup of the run tries again.
    let _ = container.remove().await;
    DockerError::NotReady { what: what.to_owned(), why, log }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postfix", "real")]
    #[case("exim", "real")]
    #[case("postfix-debian", "real")]
    #[case("exchange-2019", "own")]
    #[case("domino-9", "own")]
    #[case("qmail", "none")]
    fn an_emulation_never_stands_in_for_a_real_mta(#[case] kind: &str, #[case] expected: &str) {
        let found = match Kind::of(kind) {
            Some(Kind::Real(_)) => "real",
            Some(Kind::Own) => "own",
            None => "none",
        };
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_run_name_that_could_be_a_path_is_refused_before_anything_happens() {
        let options = DockerOptions { run: "../x".to_owned(), ..DockerOptions::new("/bin/true".into()) };
        assert!(matches!(DockerBackend::connect(options).await, Err(DockerError::RunName(_))));
    }
}
