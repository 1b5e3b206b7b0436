//! What senders are said to do, held to what real ones do: where the predictions of the checker meet Postfix and Exim.
//!
//! For each scenario a server is started, the checker looks at it and says what each sender would do; then each sends one
//! message, and its log says what became of it. A difference has a reason in `src/senders/differences.toml`, or is one.

mod domain;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::LazyLock,
};

use crate::{
    facts::{Answer, Observed},
    lab::{
        Backend, LabError, ServerOrder,
        docker::{Delivery, Destination, DockerBackend, Ending, Mailer},
        embedded::{self, EmbeddedError},
    },
    plan::{Issuance, Offer, Plan},
    report::Report,
    rules::{Context, policy},
    senders::{
        self, Demand, Fate, Row, Sender,
        policy::{Partner, enforce},
    },
    verify::{self, Case, CaseError},
};

/// Why the real ones do otherwise: by scenario, then by sender, with its release where only that one does.
static REASONS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> =
    LazyLock::new(|| toml::from_str(include_str!("senders/differences.toml")).unwrap_or_default());

/// The senders that there are for real, with the mailer and what the policy is called there.
const REAL: [(&str, Mailer, &str); 13] = [
    ("postfix-none", Mailer::Postfix, "none"),
    ("postfix-may", Mailer::Postfix, "may"),
    ("postfix-encrypt", Mailer::Postfix, "encrypt"),
    ("postfix-verify", Mailer::Postfix, "verify"),
    ("postfix-secure", Mailer::Postfix, "secure"),
    ("postfix-fingerprint", Mailer::Postfix, "fingerprint"),
    ("postfix-dane", Mailer::Postfix, "dane"),
    ("postfix-dane-only", Mailer::Postfix, "dane-only"),
    ("exim-default", Mailer::Exim, "default"),
    ("exim-require-tls", Mailer::Exim, "require-tls"),
    ("exim-verify-hosts", Mailer::Exim, "verify-hosts"),
    ("exim-dane", Mailer::Exim, "dane"),
    ("exim-require-dane", Mailer::Exim, "require-dane"),
];

/// How a reason begins that holds of some machines and not of others.
const AT_TIMES: &str = "at times: ";

/// How the lines of `mtalab enforce` are called among the senders.
pub const ENFORCED: &str = "postfix-policy-map";

/// One sender and one scenario.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The sender's id.
    pub sender: &'static str,
    /// What it was said to do, and why.
    pub predicted: Fate,
    /// What else it may do, as it chooses among equals.
    pub or: Vec<Fate>,
    /// Why it was said.
    pub why: String,
    /// What it did.
    pub real: Fate,
    /// What its log says.
    pub words: String,
    /// Why the two differ, where that is known.
    pub reason: Option<&'static str>,
}

impl Cell {
    /// Whether nothing was said.
    pub fn is_open(&self) -> bool {
        self.predicted == Fate::Unknown
    }

    /// Whether what was said is not what was done.
    pub fn differs(&self) -> bool {
        !self.is_open() && self.predicted != self.real && !self.or.contains(&self.real)
    }

    /// The same, and nobody knows why; or a reason for nothing.
    pub fn is_wrong(&self) -> bool {
        let is_at_times = self.reason.is_some_and(|reason| reason.starts_with(AT_TIMES));
        !is_at_times && self.differs() != self.reason.is_some()
    }
}

/// All that was tried with one scenario.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The server that took the mail: its kind, and whether it is a real one.
    pub receiver: String,
    /// Each sender.
    pub cells: Vec<Cell>,
    /// The logs of the senders.
    pub log: String,
}

impl From<ProofError> for Untried {
    fn from(error: ProofError) -> Self {
        Self::Broken(error)
    }
}

/// Why nothing was tried.
#[derive(Debug)]
pub enum Untried {
    /// Senders have no business there.
    NotConcerned(String),
    /// Something broke.
    Broken(ProofError),
}

/// What can break.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The scenario could not be looked at.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The lab failed.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The server for the senders failed.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// A sender failed.
    #[error(transparent)]
    Docker(#[from] crate::lab::docker::DockerError),
}

/// The case of each scenario that a real MTA serves best: one of several kinds.
pub fn choose(cases: Vec<Case>) -> Vec<Case> {
    let is_real = |case: &Case| ["postfix", "exim", "sendmail", "chasquid", "courier"].contains(&case.kind.as_str());
    let mut chosen: Vec<Case> = Vec::new();
    for case in cases {
        match chosen.last_mut().filter(|last| last.id == case.id) {
            None => chosen.push(case),
            Some(last) if !is_real(last) && is_real(&case) => *last = case,
            Some(_) => {}
        }
    }
    chosen
}

/// Tries one scenario.
pub async fn prove(case: &Case, docker: &Backend, release: &str) -> Result<Proof, Untried> {
    let Backend::Docker(engine) = docker else {
        return Err(Untried::NotConcerned("real senders are in containers".to_owned()));
    };
    if case.scenario.domain.is_some() {
        return domain::prove(case, docker, engine, release).await;
    }
    let plan = verify::resolve(case, Issuance::now()).await.map_err(ProofError::from)?;
    if let Some(why) = unconcerned(&plan) {
        return Err(Untried::NotConcerned(why.to_owned()));
    }
    try_prove(case, &plan, docker, engine, release).await
}

/// Why senders have no business with a server.
fn unconcerned(plan: &Plan) -> Option<&'static str> {
    let server = &plan.server;
    if plan.port != 25 {
        Some("servers deliver to port 25")
    } else if plan.vantages.len() > 1 || matches!(server.offer, Offer::OnlyTo(_)) {
        Some("what is offered depends on the place, and senders stand at another one than the checker")
    } else if server.dialog.at_once.is_some() || server.dialog.per_minute.is_some() || server.dialog.turns.is_some() {
        Some("it counts its clients, and several senders come at once")
    } else if plan.relay.is_some() {
        Some("what stands before the server stands between it and the checker only")
    } else {
        None
    }
}

async fn try_prove(case: &Case, plan: &Plan, docker: &Backend, engine: &DockerBackend, release: &str) -> Result<Proof, Untried> {
    // Servers that count their clients begin anew: the checker looks at one, the senders deliver to another.
    let looked_at = Backend::Embedded.start(plan).await.map_err(ProofError::from)?;
    let report = verify::examine(&looked_at, plan, &case.scenario).await;
    looked_at.stop().await;
    let report = report.map_err(ProofError::from)?;

    let is_real = engine.is_real(plan);
    if !is_real && !cfg!(feature = "legacy-tls") && is_old(&report) {
        let why = "the lab's own server finishes no handshake of this kind without the feature legacy-tls";
        return Err(Untried::NotConcerned(why.to_owned()));
    }
    let receiver = format!("{}{}", case.kind, if is_real { "" } else { " (the lab's own)" });
    let sent = if is_real {
        let running = docker.start(plan).await.map_err(ProofError::from)?;
        let sent = send_all(engine, plan, &report, running.address).await;
        running.stop().await;
        sent?
    } else {
        let order = ServerOrder { plan: plan.server.clone(), sources: BTreeMap::new() };
        let (address, serve) = embedded::listen(order, SocketAddr::new(engine.gateway(), 0)).await.map_err(ProofError::from)?;
        let task = tokio::spawn(serve);
        let sent = send_all(engine, plan, &report, address).await;
        task.abort();
        sent?
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (id, mailer, policy) in REAL {
        let Some(row) = report.senders.iter().find(|row| row.sender == id) else { continue };
        let delivery = sent.deliveries.iter().find(|(by, delivery)| *by == mailer && delivery.policy == policy);
        let Some((_, delivery)) = delivery else { continue };
        cells.push(Cell {
            sender: row.sender,
            predicted: row.fate,
            or: Vec::new(),
            why: row.why.clone(),
            real: fate(delivery, row.demand),
            words: delivery.words.clone(),
            reason: reason(&case.id, row.sender, release),
        });
    }
    if let (Some(predicted), Some((_, delivery))) =
        (sent.enforced, sent.deliveries.iter().find(|(_, delivery)| delivery.policy == "map"))
    {
        cells.push(Cell {
            sender: ENFORCED,
            predicted,
            or: Vec::new(),
            why: String::new(),
            real: fate(delivery, Demand::Verification),
            words: delivery.words.clone(),
            reason: reason(&case.id, ENFORCED, release),
        });
    }
    Ok(Proof { receiver, cells, log: sent.log })
}

/// Whether a server goes on with hellos that this checker cannot finish a handshake with.
fn is_old(report: &Report) -> bool {
    report.facts.views.iter().any(|view| {
        let goes_on = || {
            view.offers.seen().is_some_and(|offers| {
                offers.versions.iter().any(|offer| matches!(offer.answer, Observed::Seen(Answer::Accepted)))
            })
        };
        view.session.tls.seen().is_none() && goes_on()
    })
}

struct Sent {
    deliveries: Vec<(Mailer, Delivery)>,
    /// What the lines of `mtalab enforce` promise; none where it has none.
    enforced: Option<Fate>,
    log: String,
}

async fn send_all(engine: &DockerBackend, plan: &Plan, report: &Report, address: SocketAddr) -> Result<Sent, ProofError> {
    let host = &plan.server.host;
    let trust = std::slice::from_ref(&plan.trust);
    let seen = senders::pinned(&Context::new(&report.facts, trust, policy::default(), plan.now));
    // Where several certificates may come, or none was seen, there is nothing to pin.
    let fingerprint = Some(seen.unwrap_or_else(|| "0".repeat(64)));
    let partner = Partner { domain: host, host, sha256: fingerprint.as_deref() };
    let lines = enforce(partner, &report.senders).into_iter().find(|lines| lines.product == "Postfix");
    let lines = lines.filter(|lines| lines.policy.is_some());
    let enforced = lines.as_ref().and_then(|lines| lines.policy).map(|policy| match policy {
        "encrypt" => Fate::Encrypted,
        _ => Fate::Authenticated,
    });
    let map = lines.map(|lines| {
        let table = lines.lines.join("\n") + "\n";
        if address.port() == 25 { table } else { table.replace(&format!("[{host}]"), &format!("[{host}]:{}", address.port())) }
    });
    let roots = plan.trust.to_pem();
    let to =
        Destination { host: host.clone(), address, roots, fingerprint, policy_map: map.clone(), domain: None, resolver: None };
    let (mut deliveries, mut log) = (Vec::new(), String::new());
    for mailer in [Mailer::Postfix, Mailer::Exim] {
        let policies: Vec<&str> = mailer.policies().iter().copied().filter(|policy| *policy != "map" || map.is_some()).collect();
        let (delivered, words) = engine.send(mailer, &to, &policies).await?;
        deliveries.extend(delivered.into_iter().map(|delivery| (mailer, delivery)));
        log.push_str(&words);
    }
    Ok(Sent { deliveries, enforced, log })
}

/// What became of a message, in the words of predictions.
fn fate(delivery: &Delivery, demand: Demand) -> Fate {
    let verifies = matches!(demand, Demand::Verification | Demand::Pin | Demand::Dane | Demand::DaneAlways);
    match delivery.ending {
        Ending::SentClear => Fate::Clear,
        Ending::SentVerified if verifies => Fate::Authenticated,
        Ending::SentEncrypted | Ending::SentVerified => Fate::Encrypted,
        Ending::Deferred => Fate::Defers,
        Ending::Bounced => Fate::Bounces,
        Ending::Unknown => Fate::Unknown,
    }
}

fn reason(scenario: &str, sender: &str, release: &str) -> Option<&'static str> {
    let of = REASONS.get(scenario)?;
    of.get(&format!("{sender}@{release}")).or_else(|| of.get(sender)).map(String::as_str)
}

/// The page: what was said and what was done, a line for each scenario.
pub fn page(proofs: &BTreeMap<String, BTreeMap<String, Proof>>, untried: &BTreeMap<String, String>, heading: &str) -> String {
    use std::fmt::Write as _;
    let ids: Vec<&str> = REAL.iter().map(|(id, ..)| *id).chain([ENFORCED]).collect();
    let mut text = heading.to_owned();
    let _ = writeln!(text, "\n| scenario | {} |", ids.join(" | "));
    let _ = writeln!(text, "| --- |{}", " --- |".repeat(ids.len()));
    let mut notes: Vec<String> = Vec::new();
    for (scenario, by_release) in proofs {
        let cells = ids.iter().map(|id| {
            let of: BTreeSet<String> =
                by_release.values().filter_map(|proof| proof.cells.iter().find(|cell| cell.sender == *id)).map(sign).collect();
            of.into_iter().collect::<Vec<_>>().join(" ")
        });
        let _ = writeln!(text, "| `{scenario}` | {} |", cells.collect::<Vec<_>>().join(" | "));
        for (release, proof) in by_release {
            for cell in proof.cells.iter().filter(|cell| cell.differs()) {
                let why = cell.reason.unwrap_or("NOT KNOWN");
                let note = format!(
                    "- `{scenario}`, {} of {release}: said to be {}, is {}: {why}",
                    cell.sender,
                    cell.predicted.word(),
                    cell.real.word()
                );
                notes.push(note);
            }
        }
    }
    if !notes.is_empty() {
        let _ = writeln!(text, "\n## What differs, and why\n\n{}", notes.join("\n"));
    }
    let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in untried.values() {
        *by_reason.entry(reason).or_default() += 1;
    }
    if !by_reason.is_empty() {
        let _ = writeln!(text, "\n## What was not tried\n");
        for (reason, count) in by_reason {
            let _ = writeln!(text, "- {count} scenarios: {reason}");
        }
    }
    text
}

/// `D`, `(D)` where nothing was said, `A≠D` where something else was.
fn sign(cell: &Cell) -> String {
    let letter = |fate: Fate| match fate {
        Fate::Authenticated => "A",
        Fate::Encrypted => "E",
        Fate::Clear => "C",
        Fate::Defers => "D",
        Fate::Bounces => "B",
        Fate::Unknown => "?",
    };
    match (cell.is_open(), cell.differs()) {
        (true, _) => format!("({})", letter(cell.real)),
        (false, true) => format!("{}≠{}", letter(cell.predicted), letter(cell.real)),
        (false, false) => letter(cell.real).to_owned(),
    }
}

/// Every sender that is tried for real.
pub fn real() -> impl Iterator<Item = &'static Sender> {
    REAL.iter().filter_map(|(id, ..)| senders::find(id))
}

/// The rows of a report that real senders are held to.
pub fn rows(report: &Report) -> impl Iterator<Item = &Row> {
    report.senders.iter().filter(|row| REAL.iter().any(|(id, ..)| *id == row.sender))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_real_sender_is_one_that_is_predicted() {
        assert_eq!(real().count(), REAL.len());
        let known: Vec<&str> = REAL.iter().map(|(id, ..)| *id).chain([ENFORCED]).collect();
        let reasons: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(include_str!("senders/differences.toml")).unwrap();
        for key in reasons.values().flat_map(BTreeMap::keys) {
            assert!(known.contains(&key.split('@').next().unwrap()), "{key}");
        }
    }
}
