//! `mtalab logs`: what the logs of MTAs say of TLS, partner by partner.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use time::OffsetDateTime;

use super::{FailOn, Format, MomentArguments, exit, exit::Failure, out};
use crate::{
    finding::Verdict,
    logs::{self, Checked, InputError, MOST_PARTNERS, Reader, Review},
    name::Name,
    report::{ExitClass, json},
    tlsrpt::report,
    wire::WireText,
};

#[derive(Debug, Args)]
pub(super) struct LogsArguments {
    /// Logs of Postfix, Exim, Sendmail, OpenSMTPD, Courier, chasquid, or protocol logs of Exchange; as they are or packed with gzip, and
    /// what `journalctl --output export` or `json` writes. `-` is standard input. The oldest first.
    #[arg(value_name = "FILE", required_unless_present = "tlsrpt")]
    files: Vec<PathBuf>,
    /// A report of TLSRPT (RFC 8460) to be set beside the logs: JSON, packed with gzip or not, or the mail that brought it. Repeat
    /// for more, or give several.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    tlsrpt: Vec<PathBuf>,
    /// What `mtalab check --format json` wrote about a partner or about oneself, to be set beside the logs. Repeat for more.
    #[arg(long, value_name = "REPORT.json")]
    check: Vec<PathBuf>,
    /// TLS is agreed with this domain, and those below it: a message in the clear is a violation. Repeat for more.
    #[arg(long, value_name = "DOMAIN")]
    must_tls: Vec<Name>,
    /// How many partners, and how many hosts, have a line of their own; the others are counted together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    partners: Option<u32>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The least severity that makes the exit code 1.
    #[arg(long, value_enum, default_value_t = FailOn::Fail)]
    fail_on: FailOn,
    #[command(flatten)]
    moment: MomentArguments,
}

pub(super) fn run(arguments: &LogsArguments) -> Result<ExitCode, Failure> {
    let now = arguments.moment.moment();
    let most = arguments.partners.and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST_PARTNERS);
    // A name that is mistyped is told before a gigabyte of another is read.
    for path in arguments.files.iter().filter(|path| *path != Path::new("-")) {
        open(path)?;
    }
    let mut reader = Reader::new(&arguments.must_tls, most);
    for path in &arguments.files {
        let shown = path.to_string_lossy();
        let read = if path == Path::new("-") {
            reader.read("standard input", now, io::stdin().lock())
        } else {
            let file = open(path)?;
            let written = file.metadata().and_then(|metadata| metadata.modified()).map(OffsetDateTime::from);
            reader.read(&shown, written.unwrap_or(now).min(now), file)
        };
        read.map_err(|error| {
            let text = format!("{} {error}", WireText::from(&*shown));
            match error {
                InputError::Io(_) => Failure::environment(text),
                _ => Failure::usage(text),
            }
        })?;
    }
    for path in &arguments.tlsrpt {
        let shown = WireText::from(&*path.to_string_lossy());
        let bytes = bounded(path, report::MAX_INPUT)?;
        let reports = report::read(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
        reports.iter().for_each(|report| reader.report(report));
    }
    for path in &arguments.check {
        let shown = WireText::from(&*path.to_string_lossy());
        let bytes = bounded(path, json::MAX_BYTES)?;
        reader.checked(Checked::read(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))?);
    }
    let review = reader.finish(now);
    if review.lines.of_mtas == 0 && !arguments.files.is_empty() {
        return Err(Failure::usage(format!(
            "no line of {} is of an MTA that is known: Postfix, Exim, Sendmail, OpenSMTPD, Courier, chasquid, or a protocol log of \
             Exchange",
            if arguments.files.len() == 1 { "this file" } else { "these files" }
        )));
    }
    match arguments.format {
        Format::Json => out::print(&review.to_json()),
        Format::Text => out::print(&logs::text(&review, out::width())),
    }
    Ok(exit::of_class(class(&review, arguments.fail_on)))
}

fn open(path: &Path) -> Result<File, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let cannot = |error: io::Error| Failure::environment(format!("cannot read {shown}: {error}"));
    let file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.is_dir() {
        return Err(Failure::usage(format!("{shown} is a folder: name the files in it")));
    }
    Ok(file)
}

/// A file whole; one byte more than it may have, so that a larger one is noticed.
fn bounded(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let shown = WireText::from(&*path.to_string_lossy());
    let read = open(path)?.take(most).read_to_end(&mut bytes);
    read.map_err(|error| Failure::environment(format!("cannot read {shown}: {error}")))?;
    Ok(bytes)
}

fn class(review: &Review, fail_on: FailOn) -> ExitClass {
    match review.verdict {
        Verdict::Pass | Verdict::NotApplicable => ExitClass::Clean,
        Verdict::Warn if matches!(fail_on, FailOn::Fail) => ExitClass::Warned,
        Verdict::Warn | Verdict::Fail => ExitClass::Violated,
        Verdict::Inconclusive => ExitClass::Inconclusive,
    }
}
