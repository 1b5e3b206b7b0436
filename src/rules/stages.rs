//! How far a sender gets with each address of a domain: one row of marks each, to be seen at a glance.

use std::net::SocketAddr;

use serde::Serialize;

use super::{
    Context, DomainContext,
    deliveries::{Dane, Fit, Sts, Tls, WebPki, base_name, dane, fit, reference_names, sts, tls, web_pki},
    path::{self, End},
};
use crate::{
    facts::{HostFacts, Observed, View},
    mta_sts::Mode,
    name::Name,
};

/// What became of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It does not come to it, or does not concern this server.
    None,
    /// As it should be.
    Right,
    /// It cannot be told.
    Unknown,
    /// It breaks here.
    Wrong,
}

/// The stages, in the order in which a sender passes them, by the names that reports use.
pub const STAGES: [&str; 9] = ["connect", "greeting", "EHLO", "STARTTLS", "handshake", "path", "name", "DANE", "MTA-STS"];

/// One address of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StageRow {
    /// The MX host.
    pub host: Name,
    /// Its preference; none where there is no MX record.
    pub preference: Option<u16>,
    /// The address; none where the host has none.
    pub address: Option<SocketAddr>,
    /// One for each of the stages; of several vantage points the worst.
    pub marks: [Mark; 9],
    /// Why there are no marks, where there are none.
    pub note: Option<String>,
}

/// The rows of a domain, in the order of preference.
pub fn stages(context: &DomainContext) -> Vec<StageRow> {
    let mut rows: Vec<StageRow> = Vec::new();
    let policy = sts(context);
    for (host, of_host) in context.facts.hosts.iter().zip(&context.hosts) {
        let row = |address, marks, note| StageRow { host: host.name.clone(), preference: host.preference, address, marks, note };
        let before = rows.len();
        for (index, view) in host.facts.views.iter().enumerate() {
            let marks = marks(context, host, of_host, index, view, &policy);
            match rows[before..].iter_mut().find(|row| row.address == Some(view.address)) {
                Some(known) => {
                    for (known, mark) in known.marks.iter_mut().zip(marks) {
                        *known = if rank(mark) > rank(*known) { mark } else { *known };
                    }
                }
                None => rows.push(row(Some(view.address), marks, None)),
            }
        }
        for passed in &host.passed_over {
            rows.push(row(Some(SocketAddr::new(passed.address, 25)), [Mark::None; 9], Some(passed.why.clone())));
        }
        if rows.len() == before {
            let why = match (&host.v4, &host.v6) {
                (Observed::Seen(_), Observed::Seen(_)) => "no address".to_owned(),
                (Observed::Seen(_), unseen) => unseen.why_not(),
                (unseen, _) => unseen.why_not(),
            };
            rows.push(row(None, [Mark::None; 9], Some(why)));
        }
    }
    rows
}

fn rank(mark: Mark) -> u8 {
    mark as u8
}

fn marks(context: &DomainContext, host: &HostFacts, of_host: &Context, index: usize, view: &View, policy: &Sts) -> [Mark; 9] {
    fn of<T>(observed: &Observed<T>, is_right: impl Fn(&T) -> bool) -> Mark {
        match observed {
            Observed::Seen(seen) if is_right(seen) => Mark::Right,
            Observed::Seen(_) | Observed::Failed(_) => Mark::Wrong,
            Observed::NotAttempted(_) => Mark::None,
        }
    }
    let session = &view.session;
    let tls = tls(of_host, index, view);
    let starttls = match (&session.ehlo, &session.starttls) {
        (Observed::Seen(ehlo), _) if !ehlo.offers("STARTTLS") => Mark::Wrong,
        (_, starttls) => of(starttls, |reply| reply.is_positive()),
    };
    let chain = session.certificates.seen().filter(|chain| !chain.is_empty());
    let (path, name) = match chain {
        Some(chain) => (path_mark(context, chain), name_mark(host, chain)),
        None => (Mark::None, Mark::None),
    };
    [
        of(&session.connection, |_| true),
        of(&session.greeting, |reply| reply.is_positive()),
        of(&session.ehlo, |_| true),
        starttls,
        of(&session.tls, |_| true),
        path,
        name,
        dane_mark(context, host, &tls),
        sts_mark(context, host, &tls, policy),
    ]
}

fn path_mark(context: &DomainContext, chain: &[crate::facts::Certificate]) -> Mark {
    match path::judge(chain, context.stores, context.now).end {
        End::Trusted { public: true, .. } => match chain[0].details() {
            Ok(leaf) if leaf.not_before <= context.now && context.now <= leaf.not_after => Mark::Right,
            Ok(_) => Mark::Wrong,
            Err(_) => Mark::Unknown,
        },
        End::Undecided(_) => Mark::Unknown,
        _ => Mark::Wrong,
    }
}

fn name_mark(host: &HostFacts, chain: &[crate::facts::Certificate]) -> Mark {
    match chain[0].details() {
        Ok(leaf) if leaf.dns_names().any(|name| host.name.is_matched_by(name.as_str())) => Mark::Right,
        Ok(_) => Mark::Wrong,
        Err(_) => Mark::Unknown,
    }
}

fn dane_mark(context: &DomainContext, host: &HostFacts, tls: &Tls) -> Mark {
    let usable = match dane(host) {
        Dane::None(_) => return Mark::None,
        Dane::Withheld(_) => return Mark::Wrong,
        Dane::Unknown(_) => return Mark::Unknown,
        Dane::Records { usable, .. } => usable,
    };
    match tls {
        Tls::Unknown(_) => Mark::Unknown,
        Tls::NotOffered | Tls::Refused(_) => Mark::Wrong,
        Tls::Chains(_) if usable.is_empty() => Mark::Right,
        Tls::Chains(chains) => {
            let base = base_name(host);
            let names = reference_names(context, host, &base);
            let each = chains.iter().map(|(_, chain)| match fit(chain, &usable, &names, context.now) {
                Fit::Fits(_) => Mark::Right,
                Fit::Unknown(_) => Mark::Unknown,
                _ => Mark::Wrong,
            });
            each.max_by_key(|mark| rank(*mark)).unwrap_or(Mark::Unknown)
        }
    }
}

fn sts_mark(context: &DomainContext, host: &HostFacts, tls: &Tls, policy: &Sts) -> Mark {
    let policy = match policy {
        Sts::Policy(policy) if policy.mode != Mode::None => policy,
        Sts::Policy(_) | Sts::None(_) | Sts::Broken(..) => return Mark::None,
        Sts::Unknown(_) => return Mark::Unknown,
    };
    if !policy.allows(&host.name) {
        return Mark::Wrong;
    }
    match tls {
        Tls::Unknown(_) => Mark::Unknown,
        Tls::NotOffered | Tls::Refused(_) => Mark::Wrong,
        Tls::Chains(chains) => {
            let each = chains.iter().map(|(_, chain)| match web_pki(chain, &host.name, context.stores, context.now) {
                WebPki::Valid => Mark::Right,
                WebPki::Invalid(_) => Mark::Wrong,
                WebPki::Unknown(_) => Mark::Unknown,
            });
            each.max_by_key(|mark| rank(*mark)).unwrap_or(Mark::Unknown)
        }
    }
}
