//! Real MTAs as senders: a container that delivers one message for each policy to one host, and what its log says became of
//! them.

mod exim;
mod postfix;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{DockerBackend, DockerError, container::File, engine::LaunchError, image, mta, resolver::resolv_conf};
use crate::{name::Name, plan::Plan};

/// A real MTA that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailer {
    /// Postfix.
    Postfix,
    /// Exim.
    Exim,
}

/// Where messages go, and what the sender knows of it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The host, which the sender finds at the address.
    pub host: Name,
    /// Where it is.
    pub address: SocketAddr,
    /// The roots that the sender trusts, as PEM.
    pub roots: String,
    /// The SHA-256 of the certificate that is pinned, in hexadecimal.
    pub fingerprint: Option<String>,
    /// A table of `smtp_tls_policy_maps`, which the policy `map` follows.
    pub policy_map: Option<String>,
    /// The domain that the messages are for: its MX hosts take them, as the resolver says. Where none is named the host above
    /// does, whatever DNS says.
    pub domain: Option<Name>,
    /// The resolver that the sender asks, such as a domain's [`validator`](crate::lab::RunningDomain::validator); Docker's
    /// own where none is named.
    pub resolver: Option<IpAddr>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The host took it without TLS.
    SentClear,
    /// The host took it inside TLS.
    SentEncrypted,
    /// The same, and the sender took the host for the right one.
    SentVerified,
    /// It waits for the next attempt.
    Deferred,
    /// It was given back.
    Bounced,
    /// The log does not say.
    Unknown,
}

/// What the log says of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The policy, as the mailer calls it here: `may`, `verify-hosts`.
    pub policy: String,
    /// What became of it.
    pub ending: Ending,
    /// The words of the log about it, escaped.
    pub words: String,
}

impl Mailer {
    /// `postfix` or `exim`: its kind of server.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Postfix => "postfix",
            Self::Exim => "exim",
        }
    }

    /// The policies that it can be told to follow with a host.
    pub fn policies(self) -> &'static [&'static str] {
        match self {
            Self::Postfix => postfix::POLICIES,
            Self::Exim => exim::POLICIES,
        }
    }

    /// Those that it can be told to follow with a domain.
    pub fn domain_policies(self) -> &'static [&'static str] {
        match self {
            Self::Postfix => postfix::DOMAIN_POLICIES,
            Self::Exim => exim::DOMAIN_POLICIES,
        }
    }

    fn files(self, to: &Destination, policies: &[&str]) -> Vec<File> {
        match self {
            Self::Postfix => postfix::files(to, policies),
            Self::Exim => exim::files(to, policies),
        }
    }

    fn script(self, to: &Destination, policies: &[&str]) -> String {
        match self {
            Self::Postfix => postfix::script(to.addressed(), policies),
            Self::Exim => exim::script(to.addressed(), policies),
        }
    }

    fn read(self, to: &Destination, log: &str, policy: &str) -> (Delivery, bool) {
        match self {
            Self::Postfix => postfix::read(log, to.addressed(), policy),
            Self::Exim => exim::read(log, to.addressed(), policy),
        }
    }
}

impl Destination {
    /// What stands behind the `@` of the recipients.
    fn addressed(&self) -> &str {
        self.domain.as_ref().map_or(DOMAIN, Name::as_str)
    }
}

/// The domain that messages for one host are addressed to; the host is its only way, whatever it is called.
const DOMAIN: &str = "to.lab.test";
/// How long the messages may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the log.
const PAUSE: Duration = Duration::from_millis(200);

impl DockerBackend {
    /// The address of this machine in the network of the run: what listens there is reached from its containers.
    pub fn gateway(&self) -> IpAddr {
        self.network.gateway
    }

    /// Whether this backend can serve a plan with a real MTA, and not with a persona of the lab's.
    pub fn is_real(&self, plan: &Plan) -> bool {
        mta::find(&plan.server.kind).is_some() && self.possible(plan).is_ok()
    }

    /// Has a real MTA deliver one message for each of these policies, and reads its log until it says what became of them.
    pub async fn send(
        &self,
        mailer: Mailer,
        to: &Destination,
        policies: &[&str],
    ) -> Result<(Vec<Delivery>, String), DockerError> {
        let Some(mta) = mta::find(mailer.kind()) else { return Err(DockerError::Untold("an MTA that sends")) };
        let image = image::of_mta(mta, self.release);
        let hosts: Vec<_> = match &to.domain {
            Some(_) => Vec::new(),
            None => vec![(to.host.as_str().to_owned(), to.address.ip())],
        };
        let container = match self.launch_with_hosts(&image, &self.network, &[], mailer.files(to, policies), &hosts).await {
            Ok(container) => container,
            Err(LaunchError::NoImage) => return Err(self.missing(&image)),
            Err(LaunchError::Engine(error)) => return Err(error.into()),
        };
        if let Some(resolver) = to.resolver {
            // Docker lays a file of its own over one in the image; what is written into that stays.
            let write = ["sh", "-c", "cat > /etc/resolv.conf"].map(str::to_owned);
            container.exec(&write, Some(resolv_conf(resolver).as_bytes())).await?;
        }
        let command = ["sh", "-c", &mailer.script(to, policies)].map(str::to_owned);
        let ran = container.exec(&command, None).await;
        let give_up = Instant::now() + PATIENCE;
        let (deliveries, log) = loop {
            let log = container.whole_log().await;
            let read: Vec<_> = policies.iter().map(|policy| mailer.read(to, &log, policy)).collect();
            if read.iter().all(|(_, is_final)| *is_final) || Instant::now() > give_up || ran.is_err() {
                break (read.into_iter().map(|(delivery, _)| delivery).collect(), log);
            }
            sleep(PAUSE).await;
        };
        // What cannot be removed now is removed with the run.
        let _ = container.remove().await;
        ran?;
        Ok((deliveries, log))
    }
}

/// The words of a log line from a mark on.
fn from<'a>(line: &'a str, mark: &str) -> &'a str {
    line.find(mark).map_or(line, |at| &line[at..])
}
