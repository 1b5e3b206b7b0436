//! The report of a whole domain: one report for each server, what the rules about domains say, and the seven practices over all
//! of it, each naming the server and the address that decides.

use std::net::SocketAddr;

use serde::Serialize;
use time::OffsetDateTime;

use super::{ExitClass, Report, StoreName, exit_class, findings_of, sort_findings, store_names};
use crate::{
    facts::{Absence, DomainFacts, HostFacts, Observed},
    finding::{Finding, Outcome, Practice, Severity, Verdict},
    name::Name,
    practice::{self, PracticeLine},
    rules::{Rule, StageRow, policy::Policy},
    senders::{self, DomainRow},
    trust::TrustStore,
};

/// What was seen of a domain, and what follows from it.
#[derive(Clone, Debug)]
pub struct DomainReport {
    /// What was seen.
    pub facts: DomainFacts,
    /// The moment of judgement.
    pub now: OffsetDateTime,
    /// Whom the check trusted.
    pub stores: Vec<StoreName>,
    /// The guideline that it was judged by.
    pub policy: &'static Policy,
    /// One for each server, in the order of the facts.
    pub hosts: Vec<Report>,
    /// How far a sender gets with each address.
    pub stages: Vec<StageRow>,
    /// What every kind of sender would do.
    pub senders: Vec<DomainRow>,
    /// What each rule about domains said, in the order of the catalogue.
    pub outcomes: Vec<(&'static Rule, Outcome)>,
    /// What the rules about domains found, the worst first. What was found of a server is in its report.
    pub findings: Vec<Finding>,
    /// The seven lines, in order.
    pub practices: [DomainPractice; 7],
    /// What else a reader must know, one sentence each.
    pub notes: Vec<String>,
}

/// One of the seven lines, and who decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPractice {
    /// The practice, its verdict and the reason; where a server decides, the reason does not name it.
    pub line: PracticeLine,
    /// The server that decides; none where the domain itself does, or all servers alike.
    pub decided_by: Option<Decider>,
}

impl DomainPractice {
    /// The reason, with the server and the addresses that decide before it.
    pub fn reason(&self) -> String {
        match &self.decided_by {
            Some(decider) => format!("{decider}: {}", self.line.reason),
            None => self.line.reason.clone(),
        }
    }
}

/// A server, and those of its addresses that decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Decider {
    /// The MX host.
    pub host: Name,
    /// Its addresses; empty where it is all of them.
    pub addresses: Vec<SocketAddr>,
    /// Other servers with the same verdict.
    pub others: usize,
}

impl std::fmt::Display for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(|address| address.ip().to_string()).collect();
        write!(f, "{}", self.host)?;
        if !addresses.is_empty() {
            write!(f, " at {}", addresses.join(", "))?;
        }
        match self.others {
            0 => Ok(()),
            1 => f.write_str(" (and one more server)"),
            more => write!(f, " (and {more} more servers)"),
        }
    }
}

/// What a verdict about a domain does not say.
pub const NEXT_HOP_ONLY: &str =
    "All of this holds to the next hop only: how these servers pass the mail on, nobody can see from outside.";

impl DomainReport {
    /// Judges the practices over all servers.
    pub fn new(
        facts: DomainFacts,
        hosts: Vec<Report>,
        outcomes: Vec<(&'static Rule, Outcome)>,
        senders: Vec<DomainRow>,
        (policy, stores): (&'static Policy, &[TrustStore]),
        now: OffsetDateTime,
    ) -> Self {
        let severity = |rule: &Rule| policy.severity(rule).unwrap_or(rule.severity);
        let of_domain = practice::judge(outcomes.iter().map(|(rule, outcome)| (rule.practice, severity(rule), outcome)));
        let practices = of_domain.map(|line| match line.practice {
            Practice::EnforceableTls => enforceable(line, &facts, &hosts, &senders),
            _ => over_all(line, &facts, &hosts),
        });
        let mut findings: Vec<Finding> =
            outcomes.iter().flat_map(|(rule, outcome)| findings_of(rule, severity(rule), outcome)).collect();
        sort_findings(&mut findings);
        Self {
            facts,
            now,
            stores: store_names(stores),
            policy,
            hosts,
            stages: Vec::new(),
            senders,
            outcomes,
            findings,
            practices,
            notes: Vec::new(),
        }
    }

    /// What an exit code tells: findings of at least `fail_on`, of the domain or of any server, are violations and outrank doubt.
    pub fn exit_class(&self, fail_on: Severity) -> ExitClass {
        let all = self.findings.iter().chain(self.hosts.iter().flat_map(|host| &host.findings));
        exit_class(self.practices.iter().map(|practice| practice.line.verdict), all, fail_on)
    }

    /// The line of that practice.
    pub fn practice(&self, practice: Practice) -> &DomainPractice {
        &self.practices[practice as usize]
    }
}

/// Whether a server of that kind says something about the practices: one that has no address, as DNS itself says, does not.
fn counts(host: &HostFacts) -> bool {
    fn is_absent<T>(answer: &Observed<crate::facts::DnsAnswer<T>>) -> bool {
        answer.seen().is_some_and(|answer| matches!(answer.absence, Some(Absence::NoData | Absence::NxDomain)))
    }
    !(is_absent(&host.v4) && is_absent(&host.v6))
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 4,
        Verdict::Inconclusive => 3,
        Verdict::Warn => 2,
        Verdict::Pass => 1,
        Verdict::NotApplicable => 0,
    }
}

/// The line of the domain's own rules, and that of each server: the worst decides.
fn over_all(own: PracticeLine, facts: &DomainFacts, hosts: &[Report]) -> DomainPractice {
    let practice = own.practice;
    let is_about_servers = practice != Practice::MonitoredTls;
    let worst = worst(practice, facts, hosts).filter(|_| is_about_servers);
    let Some(of_server) = worst else { return without_server(own, facts, is_about_servers) };
    if is_told(own.verdict) && rank(own.verdict) >= rank(of_server.line.verdict) {
        return DomainPractice { line: own, decided_by: None };
    }
    of_server
}

/// Practice 5: what the rules about DNS say, and whether mail stops. A server that would stop it is a warning where others
/// take it: as long as they do.
fn enforceable(own: PracticeLine, facts: &DomainFacts, hosts: &[Report], senders: &[DomainRow]) -> DomainPractice {
    let practice = own.practice;
    let Some(of_server) = worst(practice, facts, hosts) else { return without_server(own, facts, true) };
    let line = |verdict, reason| PracticeLine { practice, verdict, reason };
    let mut all = match senders::judge_domain(senders) {
        Some(judged) if judged.verdict != Verdict::Pass => DomainPractice {
            line: line(judged.verdict, judged.reason),
            decided_by: judged.by.and_then(|row| decider(row, facts)),
        },
        _ if of_server.line.verdict == Verdict::Fail => {
            let reason = format!("if no other server or address took the mail, {}", of_server.line.reason);
            DomainPractice { line: line(Verdict::Warn, reason), ..of_server }
        }
        _ => of_server,
    };
    let stopped = senders::stopped(senders);
    let is_enforceable = own.verdict == Verdict::Pass;
    if is_enforceable && all.line.verdict == Verdict::Fail && stopped.iter().all(|row| !row.demand.asks_dns()) {
        // Those that keep to DANE can rely on it; others would stop all the same, and the two are not weighed in silence.
        all.line = line(Verdict::Warn, format!("{}; {}", own.reason, all.line.reason));
    }
    // What the domain publishes for those that enforce is more than that each server can be relied on.
    if (is_enforceable || is_told(own.verdict)) && rank(own.verdict) >= rank(all.line.verdict) {
        let who = match (own.verdict, stopped.is_empty()) {
            (Verdict::Fail, false) => format!("; would stop sending: {}", senders::names(&stopped)),
            _ => String::new(),
        };
        return DomainPractice { line: line(own.verdict, own.reason + &who), decided_by: None };
    }
    all
}

/// The host that decides what a sender does, where there are several.
fn decider(row: &DomainRow, facts: &DomainFacts) -> Option<Decider> {
    let host = row.host.clone()?;
    let views = facts.hosts.iter().find(|known| known.name == host).map_or(&[][..], |host| &host.facts.views);
    let mut addresses: Vec<SocketAddr> =
        views.iter().map(|view| view.address).filter(|address| Some(address.ip()) == row.address).collect();
    addresses.dedup();
    (facts.hosts.len() > 1 || !addresses.is_empty()).then_some(Decider { host, addresses, others: 0 })
}

/// Whether a verdict about DNS is told though each server is right.
fn is_told(own: Verdict) -> bool {
    matches!(own, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive)
}

/// The line where there is no server to look at.
fn without_server(own: PracticeLine, facts: &DomainFacts, is_about_servers: bool) -> DomainPractice {
    let line = match nothing_to_look_at(facts) {
        // What DNS has no fault with makes no server right that is not there.
        Some((verdict, reason)) if is_about_servers && (own.verdict == Verdict::Pass || rank(own.verdict) <= rank(verdict)) => {
            PracticeLine { practice: own.practice, verdict, reason }
        }
        _ => own,
    };
    DomainPractice { line, decided_by: None }
}

/// The worst line of a server.
fn worst(practice: Practice, facts: &DomainFacts, hosts: &[Report]) -> Option<DomainPractice> {
    let counted: Vec<&Report> =
        facts.hosts.iter().zip(hosts).filter(|(host, _)| counts(host)).map(|(_, report)| report).collect();
    let line = |report: &Report| report.practices[practice as usize].clone();
    // The last of the worst is not the first: the first is named.
    let worst = counted.iter().rev().max_by_key(|report| rank(line(report).verdict))?;
    let alike = counted.iter().filter(|report| line(report).verdict == line(worst).verdict).count();
    let is_the_same = counted.iter().all(|report| line(report) == line(worst));
    let has_several = facts.hosts.len() > 1 || addresses(worst, practice).is_some();
    let decided_by = (has_several && !(is_the_same && line(worst).verdict == Verdict::Pass)).then(|| Decider {
        host: worst.facts.target.name.clone(),
        addresses: addresses(worst, practice).unwrap_or_default(),
        others: alike - 1,
    });
    Some(DomainPractice { line: line(worst), decided_by })
}

/// The addresses that the first finding of a practice was seen at, where they are not all.
fn addresses(report: &Report, practice: Practice) -> Option<Vec<SocketAddr>> {
    let views = &report.facts.views;
    let finding = report.findings.iter().find(|finding| finding.practice == practice)?;
    let mut addresses: Vec<SocketAddr> =
        finding.violation.views.iter().filter_map(|index| views.get(*index)).map(|view| view.address).collect();
    addresses.dedup();
    let is_all = views.iter().all(|view| addresses.contains(&view.address));
    (!addresses.is_empty() && !is_all).then_some(addresses)
}

/// Why there is no server to look at.
fn nothing_to_look_at(facts: &DomainFacts) -> Option<(Verdict, String)> {
    if facts.is_null_mx() {
        return Some((Verdict::NotApplicable, "the domain says that it takes no mail".to_owned()));
    }
    match &facts.mx {
        Observed::Seen(answer) if answer.absence == Some(Absence::NxDomain) => {
            Some((Verdict::NotApplicable, "the domain does not exist".to_owned()))
        }
        Observed::Seen(_) => Some((Verdict::Inconclusive, "there is no server to look at".to_owned())),
        unseen => Some((Verdict::Inconclusive, unseen.why_not())),
    }
}
