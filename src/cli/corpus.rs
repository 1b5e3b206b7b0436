//! `list`, `show`, `explain`, `personas`, `policies`, `schema`: what there is to know without running anything.

use std::process::ExitCode;

use super::{CorpusArguments, SchemaOf, exit::Failure, out};
use crate::{
    lab::persona::{self, Persona},
    logs::Review,
    nearest::nearest,
    remind::Reminders,
    report::{explain, json},
    rules::{self, policy},
    scenario::{Corpus, parse},
    verify,
};

/// The corpus that the arguments name.
pub(super) fn open(arguments: &CorpusArguments) -> Result<Corpus, Failure> {
    let corpus = match &arguments.scenarios {
        Some(folder) => Corpus::from_dir(folder),
        None => Corpus::embedded(),
    };
    corpus.map_err(|error| Failure::usage(super::exit::chain(&error)))
}

pub(super) fn list(arguments: &CorpusArguments) -> Result<ExitCode, Failure> {
    let cases = verify::load(&open(arguments)?, &[])?;
    let width = cases.iter().map(|case| case.id.len()).max().unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    let mut scenarios = 0;
    let mut cases_left = cases.as_slice();
    while let Some(first) = cases_left.first() {
        let kinds = cases_left.iter().take_while(|case| case.id == first.id).count();
        lines.push(format!("{:width$}  {}", first.id, first.scenario.title));
        lines.push(format!("{:width$}  {}", "", first.scenario.server.kinds.join(", ")));
        cases_left = &cases_left[kinds..];
        scenarios += 1;
    }
    lines.push(format!("\n{scenarios} scenarios, {} with each of their kinds of server", cases.len()));
    out::print(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn show(id: &str, arguments: &CorpusArguments) -> Result<ExitCode, Failure> {
    let corpus = open(arguments)?;
    let entry = corpus.get(id).map_err(|error| Failure::usage(error.to_string()))?;
    let scenario =
        parse(&entry.source, verify::schema()).map_err(|errors| Failure::from(verify::LoadError::Scenarios(vec![errors])))?;
    let heading = format!("{id}: {}\n{}", scenario.title, "=".repeat(id.len() + 2 + scenario.title.chars().count()));
    // Parsing has refused every control character in it.
    out::print(&format!("{heading}\n\n{}", String::from_utf8_lossy(&entry.source.bytes)));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn explain(rule: Option<&str>) -> Result<ExitCode, Failure> {
    let Some(id) = rule else {
        out::print(&explain::list(rules::catalogue(), out::width(), out::is_coloured()));
        return Ok(ExitCode::SUCCESS);
    };
    let Some(rule) = rules::find(id) else {
        let shown = crate::wire::WireText::from(id);
        let ids = rules::catalogue().iter().map(|rule| rule.id);
        let hint = nearest(id, ids).map(|id| format!(". Did you mean `{id}`?")).unwrap_or_default();
        return Err(Failure::usage(format!("there is no rule `{shown}`{hint}\n`mtalab explain` lists all of them")));
    };
    out::print(&explain::page(rule, out::width(), out::is_coloured()));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn personas() -> Result<ExitCode, Failure> {
    let kinds = persona::kinds();
    let width = kinds.iter().map(|kind| kind.len()).max().unwrap_or_default();
    let line = |kind: &&str| Some(format!("{kind:width$}  {}", Persona::find(kind)?.title));
    out::print(&kinds.iter().filter_map(line).collect::<Vec<_>>().join("\n"));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn policies() -> Result<ExitCode, Failure> {
    out::print(&explain::policies(policy::all(), out::width(), out::is_coloured()));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn schema(of: SchemaOf) -> Result<ExitCode, Failure> {
    match of {
        SchemaOf::Scenario => out::print(&format!("{:#}", verify::schema())),
        SchemaOf::Report => out::print(&format!("{:#}", json::schema())),
        SchemaOf::DomainReport => out::print(&format!("{:#}", json::domain_schema())),
        SchemaOf::Reminders => out::print(&format!("{:#}", Reminders::schema())),
        SchemaOf::Logs => out::print(&format!("{:#}", Review::schema())),
    }
    Ok(ExitCode::SUCCESS)
}
