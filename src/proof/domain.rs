//! Whole domains: real senders follow MX and TLSA records through a resolver that validates, to real servers.

use std::net::SocketAddr;

use super::{Cell, Proof, ProofError, REAL, Untried, fate, reason};
use crate::{
    facts::Observed,
    lab::{
        Backend, RunningDomain,
        docker::{Destination, DockerBackend, Mailer},
    },
    plan::{DomainPlan, Issuance},
    report::DomainReport,
    verify::{self, Case},
};

/// Tries one scenario of a domain.
pub(super) async fn prove(case: &Case, docker: &Backend, engine: &DockerBackend, release: &str) -> Result<Proof, Untried> {
    let plan = verify::resolve_domain(case, Issuance::now()).await.map_err(ProofError::from)?;
    if let Some(why) = unconcerned(&plan) {
        return Err(Untried::NotConcerned(why.to_owned()));
    }
    docker.domain_possible(&plan).map_err(Untried::NotConcerned)?;
    let running = docker.start_domain(&plan).await.map_err(ProofError::from)?;
    let tried = try_prove(case, &plan, &running, engine, release).await;
    running.stop().await;
    tried
}

/// Why real senders have no business with a domain, or none that another scenario has not.
fn unconcerned(plan: &DomainPlan) -> Option<&'static str> {
    if plan.policy_host.is_some() {
        Some("neither Postfix nor Exim follows MTA-STS by itself")
    } else if plan.servers.iter().any(|server| server.is_ipv6) {
        Some("the senders of the lab have no IPv6")
    } else if plan.servers.is_empty() {
        Some("there is no server to send to")
    } else {
        None
    }
}

async fn try_prove(
    case: &Case,
    plan: &DomainPlan,
    running: &RunningDomain,
    engine: &DockerBackend,
    release: &str,
) -> Result<Proof, Untried> {
    let report = verify::examine_domain(running, plan, &case.scenario).await.map_err(ProofError::from)?;
    let (Some(first), Some(validator)) = (plan.servers.first(), running.validator) else {
        return Err(Untried::NotConcerned("there is no resolver that validates".to_owned()));
    };
    let to = Destination {
        host: first.host.clone(),
        address: SocketAddr::new(engine.gateway(), running.smtp_port),
        roots: plan.trust.to_pem(),
        fingerprint: None,
        policy_map: None,
        domain: Some(plan.name.clone()),
        resolver: Some(validator.ip()),
    };
    let (mut cells, mut log) = (Vec::new(), String::new());
    for mailer in [Mailer::Postfix, Mailer::Exim] {
        let (deliveries, words) = engine.send(mailer, &to, mailer.domain_policies()).await.map_err(ProofError::from)?;
        log.push_str(&words);
        for (id, _, policy) in REAL.iter().filter(|(_, by, _)| *by == mailer) {
            let row = report.senders.iter().find(|row| row.sender == *id);
            let delivery = deliveries.iter().find(|delivery| delivery.policy == *policy);
            let (Some(row), Some(delivery)) = (row, delivery) else { continue };
            cells.push(Cell {
                sender: row.sender,
                predicted: row.fate,
                or: row.or.clone(),
                why: row.why.clone(),
                real: fate(delivery, row.demand),
                words: delivery.words.clone(),
                reason: reason(&case.id, row.sender, release),
            });
        }
    }
    if cells.is_empty() {
        return Err(Untried::NotConcerned(why_nothing_is_said(&report)));
    }
    Ok(Proof { receiver: format!("{} with DNS", case.kind), cells, log })
}

fn why_nothing_is_said(report: &DomainReport) -> String {
    match &report.facts.mx {
        Observed::Seen(_) => "there is no server to send to".to_owned(),
        _ => "the MX records cannot be looked up".to_owned(),
    }
}
