//! `mtalab merge`: reports of one target from several machines become one.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use time::OffsetDateTime;

use super::{MomentArguments, OutputArguments, PolicyArguments, TrustArguments, check, exit, exit::Failure};
use crate::{
    facts::merge,
    report::{StoreName, json},
    wire::WireText,
};

pub(super) fn run(
    paths: &[PathBuf],
    output: &OutputArguments,
    trust: &TrustArguments,
    moment: &MomentArguments,
    policy: &PolicyArguments,
) -> Result<ExitCode, Failure> {
    let stores = check::stores(trust)?;
    let mut facts = Vec::new();
    let mut judged_at = None;
    let mut notes = Vec::new();
    for path in paths {
        let shown = WireText::from(&*path.to_string_lossy());
        let bytes = read(path).map_err(|error| Failure::environment(format!("cannot read {shown}: {error}")))?;
        let saved = json::read(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
        judged_at = judged_at.max(Some(saved.judged_at));
        notes.extend(saved.notes.into_iter().map(|note| format!("{shown}: {note}")));
        let is_own = |store: &StoreName| stores.iter().any(|own| own.fingerprint() == store.sha256);
        if !saved.stores.iter().all(is_own) {
            let names: Vec<_> = saved.stores.iter().map(|store| WireText::from(store.name.as_str()).to_string()).collect();
            notes.push(format!("{shown} was judged with the trust store {}, and this report is not", names.join(", ")));
        }
        facts.push(saved.facts);
    }
    let facts = merge(facts).map_err(|error| Failure::usage(error.to_string()))?;
    // As of the newest report, unless told otherwise: merging tomorrow must not age what was seen today.
    // A report from the future, wrong or forged, must not age it either.
    let now = moment.now.or(judged_at.map(|at| at.min(OffsetDateTime::now_utc()))).unwrap_or_else(|| moment.moment());
    let mut report = crate::check::judge_by(policy.policy, facts, &stores, now);
    report.notes.extend(notes);
    check::print(&report, output);
    Ok(exit::of_report(&report, output.fail_on))
}

/// One byte more than a report may have, so that a larger one is noticed and not swallowed.
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(json::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
