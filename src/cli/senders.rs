//! `mtalab senders`: real Postfix and Exim deliver to scenarios, and are compared with what the checker says of them.

use std::{collections::BTreeMap, fs, process::ExitCode, sync::Arc, time::Instant};

use tokio::task::JoinSet;

use super::{BackendArguments, BackendName, SendersArguments, corpus, exit::Failure, out, run};
use crate::{
    lab::Backend,
    proof::{self, Proof, Untried},
    verify,
};

pub(super) async fn run(arguments: SendersArguments) -> Result<ExitCode, Failure> {
    let cases = proof::choose(verify::load(&corpus::open(&arguments.corpus)?, &arguments.selected)?);
    let start = Instant::now();
    let mut proofs: BTreeMap<String, BTreeMap<String, Proof>> = BTreeMap::new();
    let (mut untried, mut broken) = (BTreeMap::new(), Vec::new());
    for release in &arguments.release {
        let backend = BackendArguments { backend: BackendName::Docker, release: *release };
        let backend = Arc::new(run::open(&backend, None).await?);
        let jobs = arguments.jobs.map_or_else(|| run::jobs(&backend), usize::from);
        let (mut waiting, mut running) = (cases.clone().into_iter(), JoinSet::new());
        let all = async {
            loop {
                for case in waiting.by_ref().take(jobs.max(1) - running.len()) {
                    let backend: Arc<Backend> = Arc::clone(&backend);
                    let release = release.name();
                    running.spawn(async move {
                        let proved = proof::prove(&case, &backend, release).await;
                        (case, proved)
                    });
                }
                match running.join_next().await {
                    Some(Ok((case, Ok(proof)))) => {
                        out::print(&told(&case.id, release.name(), &proof));
                        if arguments.log {
                            out::print(&textwrap::indent(&proof.log, "        "));
                        }
                        proofs.entry(case.id).or_default().insert(release.name().to_owned(), proof);
                    }
                    Some(Ok((case, Err(Untried::NotConcerned(why))))) => _ = untried.insert(case.id, why),
                    Some(Ok((case, Err(Untried::Broken(error))))) => {
                        let text = super::exit::chain(&error);
                        out::print(&format!("BROKEN  {} ({}): {text}", case.id, release.name()));
                        broken.push(case.id);
                    }
                    Some(Err(error)) => {
                        if let Ok(panic) = error.try_into_panic() {
                            std::panic::resume_unwind(panic);
                        }
                    }
                    None => return,
                }
            }
        };
        let is_interrupted = tokio::select! {
            () = all => false,
            () = super::inside::ended() => true,
        };
        running.abort_all();
        run::close(&backend).await;
        if is_interrupted {
            return Err(Failure::environment("interrupted: what was running was ended and removed"));
        }
    }
    let cells = || proofs.values().flat_map(BTreeMap::values).flat_map(|proof| &proof.cells);
    let wrong = cells().filter(|cell| cell.is_wrong()).count();
    let summary = format!(
        "{} deliveries of {} senders to {} scenarios: {} as predicted, {} otherwise for a known reason, {wrong} otherwise, {} not \
         predicted; {} scenarios not tried, {} broken; {:.0} s",
        cells().count(),
        proof::real().count(),
        proofs.len(),
        cells().filter(|cell| !cell.is_open() && !cell.differs()).count(),
        cells().filter(|cell| cell.differs() && !cell.is_wrong()).count(),
        cells().filter(|cell| cell.is_open()).count(),
        untried.len(),
        broken.len(),
        start.elapsed().as_secs_f64()
    );
    out::print(&format!("\n{summary}"));
    if let Some(path) = &arguments.page {
        let heading = format!("{}\n{summary}.\n", heading(&arguments));
        let cannot = |error| Failure::environment(format!("cannot write {}: {error}", path.display()));
        fs::write(path, proof::page(&proofs, &untried, &heading)).map_err(cannot)?;
    }
    Ok(match (wrong, broken.is_empty()) {
        (1.., _) => ExitCode::from(1),
        (_, false) => ExitCode::from(4),
        _ => ExitCode::SUCCESS,
    })
}

fn heading(arguments: &SendersArguments) -> String {
    let releases: Vec<&str> = arguments.release.iter().map(|release| release.name()).collect();
    format!(
        "# What senders do\n\nWritten by `just senders`: real Postfix and Exim of Debian {} deliver a message to the server of each \
         scenario, and their logs\nsay what became of it. Each cell is what happened: **A** encrypted and authenticated, **E** encrypted, \
         **C** in the clear,\n**D** deferred, **B** bounced. `(D)`: the checker did not say. `A≠D`: it said A, and D happened; the \
         reasons are below.\nThe last column is Postfix with the table that `mtalab enforce` writes for the server.\n",
        releases.join(" and ")
    )
}

/// One scenario in a line, and what differs below it.
fn told(id: &str, release: &str, proof: &Proof) -> String {
    let is_wrong = proof.cells.iter().any(proof::Cell::is_wrong);
    let mut text = format!("{:7} {id} ({release}, {})", if is_wrong { "DIFFERS" } else { "same" }, proof.receiver);
    for cell in proof.cells.iter().filter(|cell| cell.is_wrong()) {
        text.push_str(&format!(
            "\n        {}: said to be {} ({}), is {}: {}",
            cell.sender,
            cell.predicted.word(),
            cell.why,
            cell.real.word(),
            cell.words
        ));
        if !cell.differs() {
            text.push_str("\n        and a reason is written for a difference that is not there");
        }
    }
    text
}
