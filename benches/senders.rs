//! What the predictions of senders cost: `cargo bench --bench senders` prints the figures of docs/performance.md. Every scenario
//! of the corpus is looked at once; what every sender would do with it is then said again and again.

#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::{sync::Arc, time::Instant};

use mtalab::{
    lab::Backend,
    plan::Issuance,
    rules::{Context, DomainContext, policy},
    scenario::Corpus,
    senders,
    verify::{self, CaseOutcome, SeenReport},
};
use time::OffsetDateTime;

/// How often everything is said.
const ROUNDS: u32 = 5;

fn main() {
    let corpus = Corpus::embedded().expect("the corpus of this build");
    let cases = verify::load(&corpus, &[]).expect("the scenarios of the corpus");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut reports = Vec::new();
    runtime.block_on(verify::run(cases, &Arc::new(Backend::Embedded), 8, Issuance::now(), |case, outcome| match outcome {
        CaseOutcome::Passed(seen) | CaseOutcome::Failed { seen, .. } => reports.push((case.id.clone(), seen.report)),
        CaseOutcome::NotPossible(_) | CaseOutcome::Broken(_) => {}
    }));
    let now = OffsetDateTime::now_utc();
    // Trust is not what is measured: nothing is trusted, and every path is walked all the same.
    let (mut worst, mut worst_id, mut rows) = (0.0, String::new(), 0);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        rows = 0;
        for (id, report) in &reports {
            let start = Instant::now();
            rows += match report {
                SeenReport::Server(report) => senders::predict(&Context::new(&report.facts, &[], policy::default(), now)).len(),
                SeenReport::Domain(report) => {
                    senders::predict_domain(&DomainContext::new(&report.facts, &[], policy::default(), now)).len()
                }
            };
            let took = start.elapsed().as_secs_f64();
            if took > worst {
                (worst, worst_id) = (took, id.clone());
            }
        }
    }
    let all = start.elapsed().as_secs_f64() / f64::from(ROUNDS);
    println!("{rows} predictions for {} servers and domains: {:.0} ms on one thread", reports.len(), 1000.0 * all);
    println!("the slowest: {worst_id}, {:.1} ms", 1000.0 * worst);
}
