//! The connection to the Docker engine, and what its refusals mean for the person in front of it.

use std::{collections::HashMap, io, time::Duration};

use testcontainers::{
    TestcontainersError,
    bollard::{self, Docker},
    core::client::{ClientError, docker_client_instance},
};

use crate::wire::WireText;

/// How long the engine may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// Why the Docker engine did not do what was asked. The local setup is at fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers at the socket.
    #[error("no Docker engine answers ({0}): start it (`sudo systemctl start docker`), or name another one in DOCKER_HOST")]
    Missing(String),
    /// DOCKER_HOST is of a kind that the command `docker` alone understands.
    #[error(
        "the engine of DOCKER_HOST is behind ssh, which mtalab does not speak: run `ssh -N -L /tmp/docker.sock:/var/run/docker.sock HOST`, and name unix:///tmp/docker.sock instead"
    )]
    Ssh,
    /// The socket is there, but not for this user.
    #[error(
        "this user may not use the Docker engine: join its group (`sudo usermod -aG docker $USER`, then log in again), or use sudo"
    )]
    Denied,
    /// ENOSPC, in a build or in a container.
    #[error("no space is left on the engine's disk: `docker system df` shows what takes it, `docker system prune` frees it")]
    DiskFull,
    /// Docker gives every network a subnet of its own, and has about 30 of them.
    #[error("the engine has no free subnet for another network: `docker network prune` removes the unused ones")]
    NoSubnet,
    /// Anything else that it said.
    #[error("{what}: {message}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What it said, escaped.
        message: WireText,
    },
}

impl EngineError {
    /// What an answer of the engine means.
    pub(super) fn new(what: &'static str, error: &bollard::errors::Error) -> Self {
        if let bollard::errors::Error::SocketNotFoundError(socket) = error {
            return Self::Missing(format!("no socket at {socket}"));
        }
        let kind = match error {
            bollard::errors::Error::IOError { err } => Some(err.kind()),
            other => io_kind(other),
        };
        match kind {
            Some(io::ErrorKind::PermissionDenied) => return Self::Denied,
            Some(kind @ (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)) => {
                return Self::Missing(kind.to_string());
            }
            _ => {}
        }
        let message = match error {
            bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
            bollard::errors::Error::DockerStreamError { error } => error.clone(),
            other => other.to_string(),
        };
        Self::from_message(what, &message)
    }

    fn from_message(what: &'static str, message: &str) -> Self {
        let lower = message.to_ascii_lowercase();
        if lower.contains("no space left on device") || lower.contains("disk quota exceeded") {
            Self::DiskFull
        } else if lower.contains("non-overlapping ipv4 address pool") || lower.contains("address pools have been fully subnetted")
        {
            Self::NoSubnet
        } else {
            Self::Refused { what, message: message.trim_end().into() }
        }
    }
}

/// Connects, with the settings that testcontainers would use, and says hello.
pub(super) async fn connect() -> Result<Docker, EngineError> {
    let docker = docker_client_instance().await.map_err(|error| match error {
        ClientError::Init(error) => no_engine("cannot connect", &error),
        other => EngineError::Missing(other.to_string()),
    })?;
    match tokio::time::timeout(HELLO, docker.clone().negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(error)) => Err(no_engine("what answers there does not speak as one", &error)),
        Err(_) => Err(EngineError::Missing(format!("no answer in {} seconds", HELLO.as_secs()))),
    }
}

/// Why nothing that can be used answers; names DOCKER_HOST, the usual reason, where it is set.
fn no_engine(what: &'static str, error: &bollard::errors::Error) -> EngineError {
    match EngineError::new(what, error) {
        EngineError::Refused { message, .. } if message.as_str().contains("ssh://") => EngineError::Ssh,
        EngineError::Refused { what, message } => {
            let host =
                std::env::var("DOCKER_HOST").map(|host| format!("; DOCKER_HOST is {}", crate::wire::WireText::from(&*host)));
            EngineError::Missing(format!("{what}: {message}{}", host.unwrap_or_default()))
        }
        other => other,
    }
}

/// What went wrong in testcontainers: an image that is not there, or an answer of the engine.
pub(super) enum LaunchError {
    /// The image is not there. testcontainers would pull it, and ours are in no registry.
    NoImage,
    /// The engine refused.
    Engine(EngineError),
}

impl From<TestcontainersError> for LaunchError {
    fn from(error: TestcontainersError) -> Self {
        use ClientError as C;
        Self::Engine(match error {
            TestcontainersError::Client(C::PullImage { .. }) => return Self::NoImage,
            TestcontainersError::Client(C::CreateContainer(error)) => EngineError::new("cannot create a container", &error),
            TestcontainersError::Client(C::StartContainer(error)) => EngineError::new("cannot start a container", &error),
            TestcontainersError::Client(C::UploadToContainerError(error)) => {
                EngineError::new("cannot copy a file into a container", &error)
            }
            TestcontainersError::Client(C::RemoveContainer(error)) => EngineError::new("cannot remove a container", &error),
            TestcontainersError::Client(C::InspectContainer(error)) => EngineError::new("cannot look at a container", &error),
            TestcontainersError::Client(C::Init(error)) => EngineError::new("cannot connect", &error),
            other => EngineError::from_message("cannot start a container", &other.to_string()),
        })
    }
}

/// The engine's filter for everything that carries a label.
pub(super) fn labelled(label: &str) -> HashMap<&'static str, Vec<String>> {
    HashMap::from([("label", vec![label.to_owned()])])
}

/// Whether the engine said that the thing is not there.
pub(super) fn is_not_found(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

/// The kind of the first I/O error among the causes.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn server(message: &str) -> bollard::errors::Error {
        bollard::errors::Error::DockerResponseServerError { status_code: 500, message: message.to_owned() }
    }

    #[rstest]
    #[case("write /x: no space left on device", "docker system prune")]
    #[case(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        "network prune"
    )]
    #[case("all predefined address pools have been fully subnetted", "network prune")]
    #[case("odd \x1b[31m thing", r"asked: odd \x1b[31m thing")]
    fn a_refusal_names_what_mends_it(#[case] message: &str, #[case] said: &str) {
        let error = EngineError::new("asked", &server(message)).to_string();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn a_socket_of_somebody_else_is_told_from_none() {
        let from = |kind: io::ErrorKind| EngineError::new("asked", &bollard::errors::Error::IOError { err: kind.into() });
        assert!(matches!(from(io::ErrorKind::PermissionDenied), EngineError::Denied));
        assert!(matches!(from(io::ErrorKind::ConnectionRefused), EngineError::Missing(_)));
    }
}
