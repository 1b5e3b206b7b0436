//! What of a domain's world mtalab itself serves in a container: the name servers, the policy host.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::net::{TcpListener, UdpSocket};

use super::{
    dns::{DnsError, NameServers, Places},
    policy::{PolicyHost, PolicyHostError},
};
use crate::plan::{DnsPlan, PolicyHostPlan};

/// The part that one container has.
#[derive(Debug, Serialize, Deserialize)]
pub enum Part {
    /// Both name servers, at the one address of the container.
    NameServers(Box<NameServersPart>),
    /// The web server of an MTA-STS policy.
    PolicyHost(Box<PolicyHostPlan>),
}

/// All that name servers need which learn their own address when they run.
#[derive(Debug, Serialize, Deserialize)]
pub struct NameServersPart {
    /// The zones.
    pub dns: DnsPlan,
    /// The address of each server of the plan, in its order.
    pub servers: Vec<IpAddr>,
    /// That of the policy host, where there is one.
    pub policy_host: Option<IpAddr>,
    /// An address in the network that they are to be known in.
    pub gateway: IpAddr,
    /// The moment of the signatures.
    #[serde(with = "time::serde::timestamp")]
    pub now: OffsetDateTime,
}

/// Why a part is not served.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The name servers failed.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The policy host failed.
    #[error(transparent)]
    PolicyHost(#[from] PolicyHostError),
    /// The container has no address in its network.
    #[error("cannot find the own address towards {0}: {1}")]
    OwnAddress(IpAddr, #[source] io::Error),
}

/// A part at work; it ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    _name_servers: Option<NameServers>,
    _policy_host: Option<PolicyHost>,
}

impl Part {
    /// Serves; it answers when this returns.
    pub async fn serve(self, listen: SocketAddr) -> Result<Served, PartError> {
        match self {
            Self::NameServers(part) => {
                let NameServersPart { dns, servers, policy_host, gateway, now } = *part;
                let own = own_address(gateway).await.map_err(|error| PartError::OwnAddress(gateway, error))?;
                let places = Places { servers, policy_host: policy_host.unwrap_or(own), name_servers: [own; 2] };
                let failed = |error| DnsError::Bind(listen, error);
                let udp = UdpSocket::bind(listen).await.map_err(failed)?;
                let tcp = TcpListener::bind(listen).await.map_err(failed)?;
                let name_servers = NameServers::serve(&dns, &places, now, vec![(udp, tcp)])?;
                Ok(Served { _name_servers: Some(name_servers), _policy_host: None })
            }
            Self::PolicyHost(plan) => {
                let bound = TcpListener::bind(listen).await.map_err(|error| PolicyHostError::Bind(listen, error))?;
                Ok(Served { _name_servers: None, _policy_host: Some(PolicyHost::serve(*plan, bound)?) })
            }
        }
    }
}

/// The address that this machine has where that one is near. Nothing is sent.
async fn own_address(near: IpAddr) -> io::Result<IpAddr> {
    let unspecified = if near.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0u16; 8]) };
    let socket = UdpSocket::bind((unspecified, 0)).await?;
    // Any port will do.
    socket.connect((near, 53)).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn the_own_address_is_that_of_the_network() {
        assert_eq!(own_address(Ipv4Addr::LOCALHOST.into()).await.unwrap(), Ipv4Addr::LOCALHOST);
    }
}
