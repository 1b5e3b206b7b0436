//! The one match from outcomes and errors to exit codes.

use std::process::ExitCode;

use crate::{
    finding::Severity,
    report::{DomainReport, ExitClass, Report},
    scenario::ScenarioErrors,
    verify::{CaseError, LoadError},
};

use super::{FailOn, out};

/// Why a command could not do its work: one clear error for a person.
#[derive(Debug)]
pub(super) struct Failure {
    blame: Blame,
    text: String,
    /// Whether the text brings a heading of its own, as rendered snippets do.
    is_rendered: bool,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug)]
enum Blame {
    /// Whoever typed the command or wrote the file.
    Usage,
    /// Whoever keeps the machine.
    Environment,
}

impl Failure {
    /// Wrong arguments or a wrong file.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { blame: Blame::Usage, text: text.into(), is_rendered: false }
    }

    /// Docker, files, the network of this machine.
    pub(super) fn environment(text: impl Into<String>) -> Self {
        Self { blame: Blame::Environment, text: text.into(), is_rendered: false }
    }

    /// What is wrong and what to do, in words.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Tells the person, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if self.is_rendered {
            out::note(&self.text)
        } else {
            out::error(&self.text)
        }
        match self.blame {
            Blame::Usage => ExitCode::from(2),
            Blame::Environment => ExitCode::from(4),
        }
    }
}

/// Violations outrank doubt; warnings are clean unless `fail_on` says otherwise.
pub(super) fn of_report(report: &Report, fail_on: FailOn) -> ExitCode {
    of_class(report.exit_class(least(fail_on)))
}

/// The same of a domain.
pub(super) fn of_domain(report: &DomainReport, fail_on: FailOn) -> ExitClass {
    report.exit_class(least(fail_on))
}

fn least(fail_on: FailOn) -> Severity {
    match fail_on {
        FailOn::Notice => Severity::Notice,
        FailOn::Warn => Severity::Warn,
        FailOn::Fail => Severity::Fail,
    }
}

/// Of several the worst.
pub(super) fn worse(one: ExitClass, other: ExitClass) -> ExitClass {
    let rank = |class: ExitClass| match class {
        ExitClass::Clean => 0,
        ExitClass::Warned => 1,
        ExitClass::Inconclusive => 2,
        ExitClass::Violated => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// What a shell gets to see.
pub(super) fn of_class(class: ExitClass) -> ExitCode {
    match class {
        ExitClass::Clean | ExitClass::Warned => ExitCode::SUCCESS,
        ExitClass::Violated => ExitCode::from(1),
        ExitClass::Inconclusive => ExitCode::from(3),
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Corpus(error) => Self::usage(error.to_string()),
            LoadError::Scenarios(errors) => {
                let rendered: Vec<_> = errors.iter().map(|errors: &ScenarioErrors| errors.render(out::is_coloured())).collect();
                Self { is_rendered: true, ..Self::usage(rendered.join("\n")) }
            }
        }
    }
}

impl From<CaseError> for Failure {
    fn from(error: CaseError) -> Self {
        Self::environment(chain(&error))
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
