//! What runs inside containers: the same server and the same probe as outside.

use std::{fs, net::SocketAddr, path::Path, process::ExitCode};

use super::{exit, exit::Failure, out};
use crate::{
    facts::{Target, Vantage},
    lab::{ServerOrder, embedded, part::Part},
    probe::{self, Patience},
    smtp::ClientName,
};

/// Serves until the process is told to end.
pub(super) async fn serve(plan: &Path, listen: SocketAddr) -> Result<ExitCode, Failure> {
    let order: ServerOrder = read(plan)?;
    let (address, server) = embedded::listen(order, listen).await.map_err(|error| Failure::environment(exit::chain(&error)))?;
    out::note(&format!("listening on {address}"));
    tokio::select! {
        () = server => Ok(ExitCode::SUCCESS),
        () = ended() => Ok(ExitCode::SUCCESS),
    }
}

/// Serves a part of a domain's world until the process is told to end.
pub(super) async fn part(plan: &Path, listen: SocketAddr) -> Result<ExitCode, Failure> {
    let part: Part = read(plan)?;
    let served = part.serve(listen).await.map_err(|error| Failure::environment(exit::chain(&error)))?;
    out::note(&format!("listening on {listen}"));
    ended().await;
    drop(served);
    Ok(ExitCode::SUCCESS)
}

fn read<T: serde::de::DeserializeOwned>(plan: &Path) -> Result<T, Failure> {
    let text = fs::read_to_string(plan).map_err(|error| Failure::environment(format!("cannot read the plan: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("the plan is wrong: {error}")))
}

/// Prints what one address shows, for a harness that stands elsewhere.
pub(super) async fn observe(
    target: Target,
    address: SocketAddr,
    ehlo: Option<ClientName>,
    patience: &Patience,
) -> Result<ExitCode, Failure> {
    let vantage = Vantage { ehlo, ..Vantage::default() };
    let view = probe::observe(&target, address, vantage, patience).await;
    let json = serde_json::to_string(&view).map_err(|error| Failure::environment(error.to_string()))?;
    out::print(&json);
    Ok(ExitCode::SUCCESS)
}

/// Waits until a server answers; fails where it does not in time.
#[cfg(feature = "docker")]
pub(super) async fn ready(address: SocketAddr, sign: crate::lab::docker::Sign) -> Result<ExitCode, Failure> {
    crate::lab::docker::answers(address, sign).await.map_err(Failure::environment)?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps a container alive for others to run programs in.
pub(super) async fn idle() -> Result<ExitCode, Failure> {
    ended().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits until the process is interrupted, told to end, or its terminal has gone. Signals count from this call on, and not
/// from when it is waited for. As process 1 of a container the process must listen for them, or nothing but SIGKILL ends it.
pub(super) fn ended() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_signal_before_the_wait_is_not_lost() {
        let ended = ended();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(5), ended).await.is_ok());
    }
}
