//! What senders do with a message for a server, by the facts that were seen of it.
//!
//! A sender is a pure function: from what a host shows it, and from what DNS says where that was asked, to a [`Fate`]. Its
//! TLS library and its settings are those of Debian where there are packages, and what the vendor documents elsewhere. Where
//! a fact is missing the answer is [`Fate::Unknown`], never a guess. What is said of Postfix and Exim is tried on the real
//! ones (`docs/senders.md`).
//!
//! To add one: a [`Sender`] in the file of its product, and its name in `ALL`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod certificate;
mod client;
mod dns;
mod domain;
mod exchange;
mod exim;
mod gateway;
mod host;
pub mod policy;
mod postfix;
mod sts;
mod verdict;

use serde::Serialize;

pub use dns::Dns;
pub use domain::{DomainRow, predict_domain};
pub use host::{Host, Tls, hosts};
pub use verdict::{judge_domain, line, names, stopped};

use certificate::Trust;
use client::Client;

use crate::{finding::ResultType, rules::Context};

/// What becomes of a message, as far as the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Delivered inside TLS with a server that proved to be the right one.
    Authenticated,
    /// Delivered inside TLS with whoever answered.
    Encrypted,
    /// Delivered without TLS.
    Clear,
    /// Kept and tried again, until the sender gives up and tells its author.
    Defers,
    /// Given back to its author at once.
    Bounces,
    /// It cannot be told.
    Unknown,
}

impl Fate {
    /// All of them, the best first.
    pub const ALL: [Self; 6] = [Self::Authenticated, Self::Encrypted, Self::Clear, Self::Defers, Self::Bounces, Self::Unknown];

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Authenticated => "encrypted, authenticated",
            Self::Encrypted => "encrypted",
            Self::Clear => "in the clear",
            Self::Defers => "defers",
            Self::Bounces => "bounces",
            Self::Unknown => "cannot be told",
        }
    }

    /// Whether the message does not arrive.
    pub fn stops(self) -> bool {
        matches!(self, Self::Defers | Self::Bounces)
    }
}

/// What one sender does, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// What becomes of the message.
    pub fate: Fate,
    /// Why, as a sentence fragment; empty where all is as the sender wants it.
    pub why: String,
    /// What the sender would report (RFC 8460, 4.3); none where it has nothing to complain of.
    pub result_type: Option<ResultType>,
}

impl Prediction {
    fn of(fate: Fate) -> Self {
        Self { fate, why: String::new(), result_type: None }
    }

    fn because(fate: Fate, why: impl Into<String>, result_type: impl Into<Option<ResultType>>) -> Self {
        Self { fate, why: why.into(), result_type: result_type.into() }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self::because(Fate::Unknown, why, None)
    }

    /// What a sender does inside TLS that delivers to the right server only.
    fn by_trust(trust: Trust) -> Self {
        match trust {
            Trust::Verified => Self::of(Fate::Authenticated),
            Trust::Refused { why, result_type } => Self::because(Fate::Defers, why, result_type),
            Trust::Unknown(why) => Self::unknown(why),
        }
    }
}

/// What a sender insists on, and so what it means for practice 5 that it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// It speaks no TLS.
    Nothing,
    /// TLS where it can be had (RFC 7435).
    IfPossible,
    /// TLS, with whoever answers.
    Encryption,
    /// TLS with a server whose certificate is the right one.
    Verification,
    /// TLS with a certificate that its administrator has pinned.
    Pin,
    /// TLS with a certificate whose CN is the right one, whatever its subject alternative names are.
    CommonName,
    /// What TLSA records demand, where there are any (RFC 7672).
    Dane,
    /// TLSA records, and what they demand (RFC 7672, 6).
    DaneAlways,
    /// What the domain's policy of MTA-STS demands, where there is one (RFC 8461).
    Sts,
    /// Either.
    DaneOrSts,
}

impl Demand {
    /// Whether a sender asks DNS what to insist on: what it does is known of a domain, not of a host.
    pub fn asks_dns(self) -> bool {
        matches!(self, Self::Dane | Self::DaneAlways | Self::Sts | Self::DaneOrSts)
    }

    /// Whether it has a resolver that validates (RFC 7672, 2.1).
    fn validates(self) -> bool {
        self.asks_dns() && self != Self::Sts
    }
}

/// One sender with one policy.
#[derive(Debug)]
pub struct Sender {
    /// `postfix-may`: for programs, and in the lab.
    pub id: &'static str,
    /// `Postfix`.
    pub product: &'static str,
    /// Its setting, as its administrator knows it.
    pub policy: &'static str,
    /// What it insists on.
    pub demand: Demand,
    /// Where this is known from.
    pub source: &'static str,
    /// What it does.
    pub judge: fn(&Host, Option<&Dns>) -> Prediction,
}

/// Every sender, in the order of reports.
pub fn all() -> impl Iterator<Item = &'static Sender> {
    [postfix::ALL, exim::ALL, exchange::ALL, sts::ALL, gateway::ALL].into_iter().flatten()
}

/// Those whose policy does not depend on DNS: what they do is known of a host.
pub fn of_hosts() -> impl Iterator<Item = &'static Sender> {
    all().filter(|sender| !sender.demand.asks_dns())
}

/// The sender of that id.
pub fn find(id: &str) -> Option<&'static Sender> {
    all().find(|sender| sender.id == id)
}

/// What one sender does, seen from some of the vantage points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Row {
    /// Its id.
    pub sender: &'static str,
    /// Its product.
    pub product: &'static str,
    /// Its setting.
    pub policy: &'static str,
    /// What it insists on.
    pub demand: Demand,
    /// What becomes of the message.
    pub fate: Fate,
    /// Why; empty where all is as the sender wants it.
    pub why: String,
    /// What the sender would report (RFC 8460, 4.3).
    pub result_type: Option<ResultType>,
    /// Where this holds: indices into `facts.views`.
    pub views: Vec<usize>,
    /// Where this is known from.
    pub source: &'static str,
}

/// What is told of a sender, of a host or of a whole domain.
pub trait Told {
    /// Its product and its setting.
    fn who(&self) -> (&'static str, &'static str);
    /// What it insists on.
    fn demand(&self) -> Demand;
    /// What becomes of the message.
    fn fate(&self) -> Fate;
    /// Why.
    fn why(&self) -> &str;
}

macro_rules! told {
    ($($row:ty),*) => {$(
        impl Told for $row {
            fn who(&self) -> (&'static str, &'static str) {
                (self.product, self.policy)
            }

            fn demand(&self) -> Demand {
                self.demand
            }

            fn fate(&self) -> Fate {
                self.fate
            }

            fn why(&self) -> &str {
                &self.why
            }
        }
    )*};
}

told!(Row, DomainRow);

/// What every sender would do that asks DNS for no policy: one row each, and more where what they do depends on where they stand. Nothing where senders
/// do not deliver to that port.
pub fn predict(context: &Context) -> Vec<Row> {
    if no_hop(context.facts.target.port).is_some() {
        return Vec::new();
    }
    let hosts = hosts(context);
    let mut rows: Vec<Row> = Vec::new();
    for sender in of_hosts() {
        let first = rows.len();
        for host in &hosts {
            let Prediction { fate, why, result_type } = (sender.judge)(host, None);
            let is_same = |row: &&mut Row| (row.fate, &row.why, row.result_type) == (fate, &why, result_type);
            match rows[first..].iter_mut().find(is_same) {
                Some(row) => row.views.push(host.view),
                None => rows.push(Row {
                    sender: sender.id,
                    product: sender.product,
                    policy: sender.policy,
                    demand: sender.demand,
                    fate,
                    why,
                    result_type,
                    views: vec![host.view],
                    source: sender.source,
                }),
            }
        }
    }
    rows
}

/// Why nothing is known of a sender that asks DNS.
const UNASKED: &str = "DNS was not asked for this host";

/// What a sender does that takes TLS where it is offered; what it does where TLS fails then is not documented.
fn where_offered(host: &Host, client: &Client) -> Prediction {
    match host.tls(client) {
        Tls::Done => Prediction::of(Fate::Encrypted),
        Tls::NotOffered(why) if host.refuses_clear.is_none() => {
            Prediction::because(Fate::Clear, why, ResultType::StarttlsNotSupported)
        }
        Tls::NotOffered(why) => Prediction::because(Fate::Bounces, why, ResultType::StarttlsNotSupported),
        Tls::Refused { why, .. } | Tls::Failed(why) => {
            Prediction::unknown(format!("{why}; whether {} goes on in the clear then is not documented", client.name))
        }
        Tls::TurnedAway(why) => Prediction::because(Fate::Defers, why, ResultType::ValidationFailure),
        Tls::Unknown(why) => Prediction::unknown(why),
    }
}

/// What a sender does that takes TLS where it can have it, and goes on in the clear else.
fn where_possible(host: &Host, client: &Client) -> Prediction {
    let in_clear = |why: String, result_type| match &host.refuses_clear {
        Some(refused) => Prediction::because(Fate::Bounces, format!("{why}, and {refused}"), result_type),
        None => Prediction::because(Fate::Clear, why, result_type),
    };
    match host.tls(client) {
        Tls::Done => Prediction::of(Fate::Encrypted),
        Tls::NotOffered(why) | Tls::Refused { why, .. } => in_clear(why, ResultType::StarttlsNotSupported),
        Tls::Failed(why) => in_clear(why, ResultType::ValidationFailure),
        Tls::TurnedAway(why) => Prediction::because(Fate::Defers, why, ResultType::ValidationFailure),
        Tls::Unknown(why) => Prediction::unknown(why),
    }
}

/// What a sender does that insists on TLS: without it, or inside.
fn insist(host: &Host, client: &Client, inside: impl FnOnce() -> Prediction) -> Prediction {
    match host.tls(client) {
        Tls::Done => inside(),
        Tls::NotOffered(why) | Tls::Refused { why, .. } => {
            Prediction::because(Fate::Defers, why, ResultType::StarttlsNotSupported)
        }
        Tls::Failed(why) => Prediction::because(Fate::Defers, why, ResultType::ValidationFailure),
        Tls::TurnedAway(why) => Prediction::because(Fate::Defers, why, ResultType::ValidationFailure),
        Tls::Unknown(why) => Prediction::unknown(why),
    }
}

/// The SHA-256 of the certificate that a sender gets which gives no server name, in hexadecimal; none where that depends, or
/// none was seen.
pub fn pinned(context: &Context) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for host in hosts(context) {
        all.push(host.leaf(&client::POSTFIX_VERIFYING).ok()?.sha256.clone());
    }
    all.dedup();
    (all.len() == 1).then(|| all.pop())?
}

/// Why no server delivers to that port; none where they do.
fn no_hop(port: u16) -> Option<&'static str> {
    matches!(port, 465 | 587).then_some("servers deliver to port 25: this one is for the submission of mail (RFC 8314, 3.3)")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_has_an_id_of_its_own_and_a_source() {
        let mut seen = HashSet::new();
        for sender in all() {
            assert!(seen.insert(sender.id), "{} is there twice", sender.id);
            assert!(std::ptr::eq(find(sender.id).unwrap(), sender));
            assert!(!sender.source.is_empty() && !sender.policy.is_empty(), "{}", sender.id);
        }
        assert!(seen.len() >= 14);
    }
}
