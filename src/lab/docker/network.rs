//! The networks of a run. All servers are in one; those that are looked at over IPv6 are in another, which is made when the
//! first of them is: not every engine has IPv6.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use testcontainers::bollard::{
    Docker,
    models::{Ipam, IpamConfig, NetworkCreateRequest},
    query_parameters::InspectNetworkOptions,
};
use tokio::time::Instant;

use super::{DockerError, engine::EngineError};

/// How long this machine may take to have its own address in a new network over IPv6: first it asks who else has it.
const SETTLING: Duration = Duration::from_secs(5);

/// A network, and the addresses that this machine has in it where it is the engine's.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) name: String,
    pub(super) gateway: IpAddr,
    /// Of one with IPv6.
    pub(super) gateway6: Option<IpAddr>,
}

impl Network {
    /// Makes one for IPv4 alone.
    pub(super) async fn make(docker: &Docker, name: String, labels: &HashMap<String, String>) -> Result<Self, DockerError> {
        Self::create(docker, name, labels, None).await
    }

    /// Makes one for both versions of IP; the error says why this engine has none.
    pub(super) async fn make_dual(docker: &Docker, name: String, labels: &HashMap<String, String>) -> Result<Self, DockerError> {
        let made = Self::create(docker, name, labels, Some(unique_local())).await;
        made.map_err(|error| match error {
            DockerError::Engine(EngineError::Refused { message, .. }) => {
                DockerError::NotPossible(format!("the Docker engine makes no network with IPv6: {message}"))
            }
            other => other,
        })
    }

    async fn create(
        docker: &Docker,
        name: String,
        labels: &HashMap<String, String>,
        gateway6: Option<Ipv6Addr>,
    ) -> Result<Self, DockerError> {
        let pool = |gateway: Ipv6Addr| IpamConfig {
            subnet: Some(format!("{}/64", Ipv6Addr::from(u128::from(gateway) & !u128::from(u64::MAX)))),
            gateway: Some(gateway.to_string()),
            ..Default::default()
        };
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            // No server of the lab has anything to look for outside.
            internal: Some(true),
            labels: Some(labels.clone()),
            enable_ipv6: gateway6.map(|_| true),
            ipam: gateway6.map(|gateway| Ipam { config: Some(vec![pool(gateway)]), ..Default::default() }),
            ..Default::default()
        };
        let failed = |error| EngineError::new("cannot make a network", &error);
        docker.create_network(request).await.map_err(failed)?;
        let network = docker.inspect_network(&name, None::<InspectNetworkOptions>).await.map_err(failed)?;
        let pools = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateways = pools.into_iter().filter_map(|pool| pool.gateway?.split('/').next()?.parse::<IpAddr>().ok());
        let gateway = gateways.into_iter().find(IpAddr::is_ipv4);
        let gateway = gateway.ok_or(DockerError::Untold("the gateway of a new network"))?;
        Ok(Self { name, gateway, gateway6: gateway6.map(IpAddr::V6) })
    }

    /// Waits until connections can come from this machine's own address over IPv6.
    pub(super) async fn settle(&self) -> Result<(), DockerError> {
        let Some(gateway) = self.gateway6 else { return Ok(()) };
        let end = Instant::now() + SETTLING;
        while let Err(error) = std::net::UdpSocket::bind((gateway, 0)) {
            if Instant::now() >= end {
                let why = format!("this machine has no address in the engine's network with IPv6: {error}");
                return Err(DockerError::NotPossible(why));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// The first address of a subnet that nobody else has (RFC 4193, 3.2.1).
fn unique_local() -> Ipv6Addr {
    let global_id = u128::from(rand::random::<u64>() & 0xff_ffff_ffff);
    Ipv6Addr::from((0xfd << 120) | (global_id << 80) | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_unique_and_local() {
        let address = unique_local();
        assert!(address.is_unique_local());
        assert_eq!(address.segments()[3..], [0, 0, 0, 0, 1]);
    }
}
