//! `mtalab remind`: what ends when, for people, calendars and monitoring.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    MomentArguments, NameArguments, TrustArguments, check as checking, exit,
    exit::Failure,
    out,
    parse::{parse_alarm, parse_depth, parse_endpoint, parse_mailbox, parse_patience},
};
use crate::{
    check::{self, CheckOptions, DomainOptions, Surroundings},
    facts::{Certificate, Depth, Vantage},
    remind::{self, Invitation, Reminders, Thresholds, Urgency, Watch},
    report::ExitClass,
    wire::WireText,
};

#[derive(Debug, Args)]
pub(super) struct RemindArguments {
    /// A mail domain, or with a port, --host or --connect the name of one server, or a file of certificates in PEM or DER:
    /// what has a slash in it is a file.
    #[arg(value_name = "DOMAIN|NAME:PORT|./FILE", required = true)]
    targets: Vec<String>,
    /// Take names for those of servers, and ask for no MX.
    #[arg(long)]
    host: bool,
    /// Connect here instead of asking DNS; there is one server then.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_endpoint)]
    connect: Option<SocketAddr>,
    /// The certificate that a domain's servers are to get next (PEM or DER): is its TLSA record published? Repeat for more.
    #[arg(long, value_name = "FILE")]
    next: Vec<PathBuf>,
    /// Less than so many days left is worth a warning.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    warning: u32,
    /// Less than so many days left is critical.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    critical: u32,
    /// How long before the end the calendar's alarm rings, `14d` for example; repeat for more.
    #[arg(long, value_name = "DURATION", value_parser = parse_alarm, default_value = "7d")]
    alarm: Vec<Duration>,
    /// Who is invited to the events of the calendar; repeat for the whole team.
    #[arg(long, value_name = "MAILBOX", value_parser = parse_mailbox)]
    attendee: Vec<String>,
    /// Who invites them; the first of them by default.
    #[arg(long, value_name = "MAILBOX", value_parser = parse_mailbox, requires = "attendee")]
    organizer: Option<String>,
    /// The form of the answer; by default what the name of --output ends with says, or text.
    #[arg(long, value_enum)]
    format: Option<RemindFormat>,
    /// Write it into this file, at once and whole, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    names: NameArguments,
    /// How long to wait for the greeting and for each reply.
    #[arg(long, value_name = "DURATION", value_parser = parse_patience, default_value = "60s")]
    patience: Duration,
    /// How much to ask: at `quick` a server shows one certificate, at `standard` also one of another kind of key.
    #[arg(long, value_name = "DEPTH", value_parser = parse_depth(), default_value = "quick")]
    probe: Depth,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    moment: MomentArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RemindFormat {
    /// For people.
    Text,
    /// For programs; see `mtalab schema reminders`.
    Json,
    /// For calendars: an event with its alarms for each certificate (RFC 5545). A file that ends with `.ics`.
    Ics,
    /// For Nagios, Icinga and others that run their plugins: performance data, and the exit codes 0, 1, 2 and 3.
    Nagios,
    /// For the textfile collector of a node exporter. A file that ends with `.prom`.
    Openmetrics,
}

impl RemindFormat {
    fn of(arguments: &RemindArguments) -> Self {
        let ending = arguments.output.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
        arguments.format.unwrap_or(match ending {
            Some("ics") => Self::Ics,
            Some("prom") => Self::Openmetrics,
            Some("json") => Self::Json,
            _ => Self::Text,
        })
    }
}

pub(super) async fn run(arguments: RemindArguments) -> Result<ExitCode, Failure> {
    let format = RemindFormat::of(&arguments);
    let done = match gather(&arguments).await {
        Ok(reminders) => tell(&arguments, format, &reminders),
        Err(failure) => Err(failure),
    };
    match done {
        // Who runs plugins reads one line of standard output, and knows no other codes.
        Err(failure) if format == RemindFormat::Nagios => {
            let (text, code) = remind::nagios_unknown(failure.text());
            out::print(&text);
            Ok(ExitCode::from(code))
        }
        done => done,
    }
}

/// One thing to be watched.
enum Watched<'a> {
    File(&'a Path),
    Server(&'a str),
    Domain(crate::name::Name),
}

fn watched<'a>(text: &'a str, arguments: &RemindArguments) -> Result<Watched<'a>, Failure> {
    if text.contains(['/', std::path::MAIN_SEPARATOR]) {
        return Ok(Watched::File(Path::new(text)));
    }
    let ending = Path::new(text).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if matches!(ending, "pem" | "crt" | "cer" | "der" | "key") {
        let shown = WireText::from(text);
        return Err(Failure::usage(format!("{shown} is taken for a name; a file is named with its folder: ./{shown}")));
    }
    match checking::is_server(text, arguments.host, arguments.connect) {
        true => Ok(Watched::Server(text)),
        false => checking::parse_domain(text).map(Watched::Domain),
    }
}

async fn gather(arguments: &RemindArguments) -> Result<Reminders, Failure> {
    let thresholds = Thresholds { warning: arguments.warning, critical: arguments.critical };
    if thresholds.critical > thresholds.warning {
        return Err(Failure::usage("--critical is at most --warning: what is critical is worth a warning before"));
    }
    if arguments.connect.is_some() && arguments.targets.len() > 1 {
        return Err(Failure::usage("--connect is of one server: name one only"));
    }
    // All of it is read before anybody is asked: mistakes of the one who asks come first.
    let all = arguments.targets.iter().map(|text| watched(text, arguments)).collect::<Result<Vec<_>, _>>()?;
    let next = arguments.next.iter().map(|path| next_chain(path)).collect::<Result<Vec<_>, _>>()?;
    if !next.is_empty() && !all.iter().any(|watched| matches!(watched, Watched::Domain(_))) {
        return Err(Failure::usage("--next is compared with the TLSA records of a domain: name the domain"));
    }
    let options = checking::plain_options(&arguments.trust, arguments.moment.moment(), arguments.patience, arguments.probe)?;
    let mut watch = Watch::new(&options.stores, options.now, thresholds);
    for file in &all {
        if let Watched::File(path) = file {
            let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            watch.file(&shown.to_string_lossy(), &checking::read_all_certificates(path)?);
        }
    }
    let mut surroundings = None;
    for one in all {
        let is_interrupted = match one {
            Watched::File(_) => false,
            Watched::Server(text) => server(text, arguments, &options, &mut watch).await?,
            Watched::Domain(name) => domain(&name, arguments, &options, &next, &mut surroundings, &mut watch).await?,
        };
        if is_interrupted {
            watch.unknown("interrupted: what was not asked by then is missing");
            break;
        }
    }
    Ok(watch.finish())
}

/// The first certificate of a file, and what follows it.
fn next_chain(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let chain = checking::read_all_certificates(path)?;
    match chain[0].details() {
        Ok(_) => Ok(chain),
        Err(why) => {
            let shown = WireText::from(&*path.to_string_lossy());
            Err(Failure::usage(format!("the certificate in {shown} cannot be read: {why}")))
        }
    }
}

async fn server(text: &str, arguments: &RemindArguments, options: &CheckOptions, watch: &mut Watch<'_>) -> Result<bool, Failure> {
    let target = checking::parse_target(text)?;
    let mut notes = Vec::new();
    let addresses = match arguments.connect {
        Some(address) => vec![address],
        None => match checking::addresses(&target, &arguments.names, &mut notes).await {
            Ok(addresses) => addresses,
            // Of several, one that has no address now must not hide the others.
            Err(failure) => {
                watch.unknown(&failure.text().lines().collect::<Vec<_>>().join(" "));
                return Ok(false);
            }
        },
    };
    notes.iter().for_each(|note| watch.unknown(note));
    let vantages = [Vantage::default()];
    let looking = check::observe(target, &addresses, &vantages, options);
    let (facts, is_interrupted) = checking::with_progress(text, &options.patience.watch, looking).await?;
    watch.server(&facts);
    Ok(is_interrupted)
}

async fn domain(
    name: &crate::name::Name,
    arguments: &RemindArguments,
    options: &CheckOptions,
    next: &[Vec<Certificate>],
    surroundings: &mut Option<Surroundings>,
    watch: &mut Watch<'_>,
) -> Result<bool, Failure> {
    let options = DomainOptions {
        dns: checking::dns_options(&arguments.names)?,
        smtp_port: arguments.names.smtp_port,
        policy_port: arguments.names.policy_port,
        reach: arguments.names.reach(),
        ..DomainOptions::new(options.clone())
    };
    if surroundings.is_none() {
        let new = Surroundings::new(&options.dns).await.map_err(|error| Failure::environment(error.to_string()))?;
        *surroundings = Some(new);
    }
    let Some(surroundings) = surroundings else { return Ok(false) };
    let looking = check::observe_in(name, &options, surroundings);
    let (facts, is_interrupted) = checking::with_progress(name.as_str(), &options.check.patience.watch, looking).await?;
    watch.domain(&facts, next);
    Ok(is_interrupted)
}

fn tell(arguments: &RemindArguments, format: RemindFormat, reminders: &Reminders) -> Result<ExitCode, Failure> {
    let (text, code) = match format {
        RemindFormat::Text => {
            let width = if arguments.output.is_some() { 100 } else { out::width() };
            (remind::text(reminders, width), code(reminders))
        }
        RemindFormat::Json => (reminders.to_json(), code(reminders)),
        RemindFormat::Ics | RemindFormat::Openmetrics => {
            // What is due stands in the file, and whoever reads that judges it.
            let is_whole = reminders.unknown.is_empty() && reminders.urgency != Urgency::Unknown;
            let text = match format {
                RemindFormat::Ics => remind::ics(reminders, &invitation(arguments)),
                _ => remind::openmetrics(reminders),
            };
            reminders.unknown.iter().for_each(|why| out::note(&format!("not known: {why}")));
            (text, exit::of_class(if is_whole { ExitClass::Clean } else { ExitClass::Inconclusive }))
        }
        RemindFormat::Nagios => {
            let (text, code) = remind::nagios(reminders);
            (text, ExitCode::from(code))
        }
    };
    match &arguments.output {
        Some(path) => write(path, &text)?,
        None => out::print(&text),
    }
    Ok(code)
}

fn code(reminders: &Reminders) -> ExitCode {
    exit::of_class(match reminders.urgency {
        Urgency::Ok => ExitClass::Clean,
        Urgency::Warning => ExitClass::Warned,
        Urgency::Unknown => ExitClass::Inconclusive,
        Urgency::Critical => ExitClass::Violated,
    })
}

fn invitation(arguments: &RemindArguments) -> Invitation {
    let seconds = |alarm: &Duration| time::Duration::seconds(i64::try_from(alarm.as_secs()).unwrap_or(i64::MAX));
    Invitation {
        attendees: arguments.attendee.clone(),
        organizer: arguments.organizer.clone(),
        alarms: arguments.alarm.iter().map(seconds).collect(),
    }
}

/// Puts a whole file in the place of the old one: who reads it meanwhile sees one or the other.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let cannot = |error: io::Error| Failure::environment(format!("cannot write {shown}: {error}"));
    // What a link leads to is replaced, and not the link.
    let path = if path.exists() { fs::canonicalize(path).map_err(cannot)? } else { path.to_path_buf() };
    if path.exists() && !path.is_file() {
        return Err(Failure::usage(format!("cannot write {shown}: it is no regular file")));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mtalab-");
    // Other users' programs read it: the usual rights, or those of the file that was there.
    #[cfg(unix)]
    builder.permissions(match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    });
    let mut file = builder.tempfile_in(folder).map_err(cannot)?;
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    write!(file, "{text}{newline}").and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist(&path).map_err(|error| cannot(error.error))?;
    Ok(())
}
