//! The embedded backend: SMTP servers in this process, each on an address of its own in
//! 127.0.0.0/8, on a port that the system picks. No Docker, no root, no network.

mod dialog;
mod tls;
mod visited;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::future::OptionFuture;
use rand::RngExt as _;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

use super::{ServerOrder, persona::Persona};
use crate::plan::Plan;
use dialog::Dialog;
#[cfg(any(test, fuzzing))]
pub(crate) use dialog::replies_to;
pub use tls::TlsSetupError;
#[cfg(any(test, fuzzing))]
pub(crate) use tls::{Hello, HelloError};
use visited::Visits;
pub use visited::{Negotiated, Teller, Visited};

/// A running embedded server; it ends when this is dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens for those that come over IPv6.
    address6: Option<SocketAddr>,
    /// The source address of each vantage point, in the plan's order.
    pub sources: Vec<(String, IpAddr)>,
    task: JoinHandle<()>,
}

/// Why an embedded server did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The plan names a kind that has no persona.
    #[error("no persona for the kind of server `{0}`")]
    UnknownKind(String),
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// The certificate or key cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// Connections of one server at a time; more wait, as they do in a full accept queue.
const MAX_CONNECTIONS: usize = 256;

/// Whether every plan can run here, or why not.
///
/// Linux routes the whole of 127.0.0.0/8 to this host. Elsewhere only 127.0.0.1 may be
/// there, and then several vantage points are not possible.
pub fn possible(plan: &Plan) -> Result<(), String> {
    if !plan.over_ipv6.is_empty() && std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return Err("this system has no IPv6".to_owned());
    }
    if plan.over_ipv6.len() > 1 {
        return Err("IPv6 has one loopback address, so there is only one vantage point".to_owned());
    }
    if plan.vantages.len() > 1 + plan.over_ipv6.len() && !has_loopback_range() {
        return Err("this system has no second loopback address, so there is only one vantage point".to_owned());
    }
    Ok(())
}

impl EmbeddedServer {
    /// Starts the plan's server on a loopback address of its own.
    pub async fn start(plan: &Plan) -> Result<Self, EmbeddedError> {
        let network = if has_loopback_range() {
            let mut rng = rand::rng();
            Some((rng.random_range(64..128), rng.random_range(0..=255)))
        } else {
            None
        };
        let address = |last: usize| match network {
            // At most eight vantage points: the last byte stays in range.
            Some((a, b)) => IpAddr::V4(Ipv4Addr::new(127, a, b, u8::try_from(last).unwrap_or(u8::MAX))),
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let source = |(i, name): (usize, &String)| match plan.over_ipv6.contains(name) {
            true => (name.clone(), IpAddr::V6(Ipv6Addr::LOCALHOST)),
            false => (name.clone(), address(11 + i)),
        };
        let sources: Vec<_> = plan.vantages.iter().enumerate().map(source).collect();
        let order = ServerOrder { plan: plan.server.clone(), sources: sources.iter().cloned().collect() };
        let dialog = dialog(order, None)?;
        let (listener, address) = bind(SocketAddr::new(address(1), 0)).await?;
        let (mut address6, mut listener6) = (None, None);
        if !plan.over_ipv6.is_empty() {
            let (listener, address) = bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)).await?;
            (address6, listener6) = (Some(address), Some(listener));
        }
        let task = async move {
            let over_ipv6 = listener6.map(|listener| serve(listener, Arc::clone(&dialog)));
            tokio::join!(serve(listener, Arc::clone(&dialog)), OptionFuture::from(over_ipv6));
        };
        Ok(Self { address, address6, sources, task: tokio::spawn(task) })
    }

    /// Where it listens for a client.
    pub fn address_for(&self, source: IpAddr) -> SocketAddr {
        self.address6.filter(|_| source.is_ipv6()).unwrap_or(self.address)
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at `address`, and gives the future that serves there for ever; dropping it
/// ends every connection.
pub async fn listen(
    order: ServerOrder,
    address: SocketAddr,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send), EmbeddedError> {
    let dialog = dialog(order, None)?;
    let (listener, bound) = bind(address).await?;
    Ok((bound, serve(listener, dialog)))
}

/// The same, and tells of each connection what the client did in it.
pub async fn listen_and_tell(
    order: ServerOrder,
    address: SocketAddr,
    teller: Teller,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send), EmbeddedError> {
    let dialog = dialog(order, Some(teller))?;
    let (listener, bound) = bind(address).await?;
    Ok((bound, serve(listener, dialog)))
}

/// What is said to every client.
fn dialog(order: ServerOrder, teller: Option<Teller>) -> Result<Arc<Dialog>, EmbeddedError> {
    let persona = Persona::find(&order.plan.kind).ok_or_else(|| EmbeddedError::UnknownKind(order.plan.kind.clone()))?;
    let tls = tls::of(&order.plan, persona)?;
    Ok(Arc::new(Dialog { persona, order, tls, visits: Visits::default(), teller }))
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), EmbeddedError> {
    let failed = |error| EmbeddedError::Bind(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn serve(listener: TcpListener, dialog: Arc<Dialog>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, for example: let connections end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let dialog = Arc::clone(&dialog);
        connections.spawn(async move {
            // A client that goes away in mid-dialog is none of the server's errors.
            let _ = dialog.hold(stream, peer.ip().to_canonical()).await;
            drop(place);
        });
    }
}

pub(super) fn has_loopback_range() -> bool {
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).is_ok())
}
