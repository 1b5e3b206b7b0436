//! `mtalab enforce`: what a partner's administrator writes to enforce TLS with the server of a report.

use std::{path::Path, process::ExitCode};

use time::OffsetDateTime;

use super::{MomentArguments, TrustArguments, check, exit::Failure, merge, out};
use crate::{
    name::Name,
    report::json,
    rules::{Context, policy},
    senders::{
        self,
        policy::{Lines, Partner, enforce},
    },
    wire::WireText,
};

pub(super) fn run(path: &Path, domain: &Name, trust: &TrustArguments, moment: &MomentArguments) -> Result<ExitCode, Failure> {
    let stores = check::stores(trust)?;
    let shown = WireText::from(&*path.to_string_lossy());
    let bytes = merge::read(path).map_err(|error| Failure::environment(format!("cannot read {shown}: {error}")))?;
    let saved = json::read(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    let now = moment.now.unwrap_or_else(|| saved.judged_at.min(OffsetDateTime::now_utc()));
    // Verdicts are not read back: what the senders do is judged anew.
    let report = crate::check::judge(saved.facts, &stores, now);
    let pinned = senders::pinned(&Context::new(&report.facts, &stores, policy::default(), now));
    let partner = Partner { domain, host: &report.facts.target.name, sha256: pinned.as_deref() };
    let all = enforce(partner, &report.senders);
    out::print(&all.iter().map(text).collect::<Vec<_>>().join("\n\n"));
    let is_any = all.iter().any(|lines| lines.policy.is_some());
    Ok(if is_any { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The lines of a product below a comment that says where they belong.
fn text(Lines { product, policy, about, lines }: &Lines) -> String {
    let policy = policy.map(|policy| format!(", {policy}")).unwrap_or_default();
    let about = WireText::from(about.clone());
    let options = textwrap::Options::new(out::width()).initial_indent("# ").subsequent_indent("# ");
    let about = textwrap::fill(&format!("{product}{policy}: {about}"), options);
    std::iter::once(about).chain(lines.iter().cloned()).collect::<Vec<_>>().join("\n")
}
