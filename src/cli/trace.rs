//! `mtalab trace`: the way of a message, hop by hop, as its Received lines have it.

use std::{io::Read as _, path::Path, process::ExitCode};

use super::{Format, exit::Failure, out};
use crate::{
    trace::{MAX_HEADER, Protection, Trace},
    wire::WireText,
};

pub(super) fn run(path: &Path, format: Format) -> Result<ExitCode, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let cannot = |error: std::io::Error| Failure::environment(format!("cannot read {shown}: {error}"));
    let mut bytes = Vec::new();
    let most = MAX_HEADER as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes).map_err(cannot)?;
    } else {
        std::fs::File::open(path).map_err(cannot)?.take(most).read_to_end(&mut bytes).map_err(cannot)?;
    }
    let trace = Trace::read(&bytes);
    match format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&trace).map_err(|error| Failure::environment(error.to_string()))?;
            out::print(&json);
        }
        Format::Text => out::print(&text(&trace)),
    }
    Ok(match trace.worst() {
        Some(Protection::Clear) => ExitCode::from(1),
        Some(Protection::Silent) | None => ExitCode::from(3),
        Some(Protection::Tls | Protection::Local) => ExitCode::SUCCESS,
    })
}

fn text(trace: &Trace) -> String {
    let or_unknown = |text: &Option<WireText>| text.as_ref().map_or_else(|| "?".to_owned(), WireText::to_string);
    let mut lines = Vec::new();
    for (number, hop) in trace.hops.iter().enumerate() {
        let received = &hop.received;
        let client = received.known_as.as_ref().map(|known| format!(" ({known})")).unwrap_or_default();
        lines.push(format!("{:>3}  {}{client} -> {}", number + 1, or_unknown(&received.from), or_unknown(&received.by)));
        let with = received.with.as_ref().map(|with| format!(", with {with}")).unwrap_or_default();
        let details: Vec<String> =
            received.version.iter().cloned().chain(received.suite.iter().map(WireText::to_string)).collect();
        let details = match (received.protection, details.is_empty()) {
            (Protection::Tls, true) => ", version and suite are not stated".to_owned(),
            (_, true) => String::new(),
            (_, false) => format!(": {}", details.join(", ")),
        };
        lines.push(format!("     {}{details}{with}", received.protection.word()));
        if hop.is_continuous == Some(false) {
            lines.push("     the line before names another host: a hop may be missing, or what is before is forged".to_owned());
        }
    }
    let count = |wanted: Protection| trace.hops.iter().filter(|hop| hop.received.protection == wanted).count();
    lines.push(String::new());
    lines.push(format!(
        "{} {}: {} inside TLS, {} in the clear, {} that do not say, {} within a host",
        trace.hops.len(),
        if trace.hops.len() == 1 { "hop" } else { "hops" },
        count(Protection::Tls),
        count(Protection::Clear),
        count(Protection::Silent),
        count(Protection::Local)
    ));
    lines.extend(trace.notes.iter().cloned());
    lines.push(
        "Each line is what one server says of the connection that brought it the message, and of no other: TLS to one hop says \
         nothing of the next. Lines below the first that your own servers wrote may be forged."
            .to_owned(),
    );
    let wrapped = lines.iter().flat_map(|line| {
        let indent = " ".repeat(line.len() - line.trim_start().len());
        let options = textwrap::Options::new(out::width()).subsequent_indent(&indent);
        textwrap::wrap(line, options).into_iter().map(|line| line.into_owned()).collect::<Vec<_>>()
    });
    wrapped.collect::<Vec<_>>().join("\n")
}
