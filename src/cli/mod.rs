//! The command line: arguments as plain data here, one file per command beside.

mod check;
mod corpus;
mod crowd;
mod doctor;
mod enforce;
mod exit;
#[cfg(feature = "docker")]
mod images;
mod inside;
mod logs;
mod merge;
mod names;
mod out;
mod parse;
mod relay;
mod remind;
mod run;
mod send;
#[cfg(feature = "docker")]
mod senders;
mod sink;
mod trace;
mod up;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use time::OffsetDateTime;

#[cfg(feature = "docker")]
use crate::lab::docker::{Release, Sign};
use crate::{
    facts::{Depth, Target},
    name::Name,
    probe::Patience,
    rules::policy::{self, Policy},
    scenario::{DurationText, RelayAction, RelayStage},
    smtp::ClientName,
    wire::WireText,
};
use exit::Failure;
use names::NameArguments;
use parse::{parse_delay, parse_depth, parse_endpoint, parse_label, parse_moment, parse_patience, parse_resolved, parse_word};
#[cfg(feature = "docker")]
use parse::{parse_release, parse_sign};

/// The test lab and the checker for SMTP over TLS.
#[derive(Debug, Parser)]
#[command(name = "mtalab", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 clean, 1 violations or failed scenarios, 2 wrong usage or input,
3 inconclusive, 4 the environment (Docker, files, network of this machine).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a real server by the seven practices.
    Check(Box<CheckArguments>),
    /// Start scenarios, check them, compare with the truth and the snapshots.
    Run(RunArguments),
    /// List the scenarios.
    List(CorpusArguments),
    /// Show one scenario: its prose, its file, its expectation.
    Show {
        /// The scenario's id.
        scenario: String,
        #[command(flatten)]
        corpus: CorpusArguments,
    },
    /// Look whether this machine and the corpus are fit for the lab.
    Doctor(DoctorArguments),
    /// Keep a scenario running, to poke at it by hand.
    Up(UpArguments),
    /// List the labs that `up` keeps running.
    Ps,
    /// End a lab that `up` keeps running; all of them without an id.
    Down {
        /// The id that `ps` shows.
        id: Option<String>,
    },
    /// Explain a rule: what it checks, why, how to mend it. Without a rule: list them.
    Explain {
        /// The rule's id.
        rule: Option<String>,
    },
    /// Join reports of one target, made on different machines, into one.
    Merge {
        /// Reports in JSON, as `check --format json` writes them.
        #[arg(required = true)]
        reports: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        trust: TrustArguments,
        #[command(flatten)]
        moment: MomentArguments,
        #[command(flatten)]
        policy: PolicyArguments,
    },
    /// Remind of what ends: certificates of domains, servers and files; for people, calendars and monitoring.
    Remind(Box<remind::RemindArguments>),
    /// Read logs of MTAs: whether TLS is used, with which partners, and why it failed.
    Logs(logs::LogsArguments),
    /// Write the lines that enforce TLS with a partner, as far as its server bears it.
    Enforce {
        /// The report of its server, as `check --format json` writes it.
        report: PathBuf,
        /// The domain that mail is addressed to.
        #[arg(long, value_name = "DOMAIN")]
        domain: Name,
        #[command(flatten)]
        trust: TrustArguments,
        #[command(flatten)]
        moment: MomentArguments,
    },
    /// Deliver one test message as a sender with a policy would, and show each stage.
    Send(send::SendArguments),
    /// Be a test server with the face of a scenario, and tell how each sender uses TLS with it.
    Sink(sink::SinkArguments),
    /// Show the way of a message, hop by hop, by its Received lines: what was inside TLS, and where nobody says.
    Trace {
        /// The message, or its header; `-` for standard input.
        #[arg(value_name = "MESSAGE.eml")]
        message: PathBuf,
        /// The form of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Stand before a server and make the way to it worse: slow, lossy, limited.
    Relay(RelayArguments),
    /// List the kinds of server that the lab can be.
    Personas,
    /// List the guidelines that a check can judge by.
    Policies,
    /// Print the JSON Schema of scenario files or of reports.
    Schema {
        /// Of what.
        of: SchemaOf,
    },
    /// Build and list the images of the Docker backend.
    #[cfg(feature = "docker")]
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Have real Postfix and Exim deliver to scenarios, and compare what they do with what the checker says of them.
    #[cfg(feature = "docker")]
    Senders(SendersArguments),
    /// Serve a planned server; runs inside containers.
    #[command(hide = true)]
    Serve {
        /// The server order, as JSON.
        #[arg(long)]
        plan: PathBuf,
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Serve the names or the policy of a planned domain; runs inside containers.
    #[command(hide = true)]
    Part {
        /// The part, as JSON.
        #[arg(long)]
        plan: PathBuf,
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Look at one address and print what was seen, as JSON; runs inside containers.
    #[command(hide = true)]
    Observe {
        /// The name of the server.
        name: Name,
        /// Its address.
        address: SocketAddr,
        /// The port that the server is known at.
        #[arg(long, value_name = "PORT")]
        port: u16,
        /// The name to give in EHLO.
        #[arg(long, value_name = "NAME")]
        ehlo: Option<ClientName>,
        /// How much to ask.
        #[arg(long, value_name = "DEPTH", value_parser = parse_depth())]
        probe: Depth,
        /// Try what may be taken for an attack.
        #[arg(long)]
        active: bool,
        /// How long to wait for each answer.
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        patience: Duration,
    },
    /// Wait until a server answers; runs inside containers.
    #[cfg(feature = "docker")]
    #[command(hide = true)]
    Ready {
        /// Its address.
        address: SocketAddr,
        /// What it is known to be ready by.
        #[arg(long, value_parser = parse_sign())]
        sign: Sign,
    },
    /// Wait until ended; runs inside containers.
    #[command(hide = true)]
    Idle,
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// A mail domain, or with a port, --host or --connect the name of one server. Several domains are checked one by one.
    #[arg(value_name = "DOMAIN|NAME:PORT", required_unless_present = "input")]
    targets: Vec<String>,
    /// Take the name for that of one server, and ask for no MX.
    #[arg(long, conflicts_with = "input")]
    host: bool,
    /// Check the domains of this file, one a line (`-` for standard input), and print one report in JSON a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["targets", "connect", "certificate"])]
    input: Option<PathBuf>,
    /// Write those reports into this file. What is in it already is not checked again: after an interruption, the same command
    /// goes on where it was.
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
    /// With --input: how many domains at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512), default_value_t = 16)]
    jobs: u16,
    #[command(flatten)]
    names: NameArguments,
    /// Connect here instead of asking DNS.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_endpoint)]
    connect: Option<SocketAddr>,
    /// Look from this source address of this machine; repeat for more vantage points.
    #[arg(long, value_name = "ADDRESS")]
    from: Vec<IpAddr>,
    /// A name for this vantage point in the report; useful with `merge`.
    #[arg(long, value_name = "NAME", value_parser = parse_label)]
    vantage: Option<WireText>,
    /// The name, or address literal, to give in EHLO; the literal of the source by default. Repeat to see whether the server
    /// treats names differently: at --probe quick three of them at most.
    #[arg(long, value_name = "NAME")]
    ehlo: Vec<ClientName>,
    /// How long to wait for the greeting and for each reply; RFC 5321 allows servers 5m.
    #[arg(long, value_name = "DURATION", value_parser = parse_patience, default_value = "60s")]
    patience: Duration,
    /// How much to ask: one handshake in at most 3 connections, grouped questions in some 20 to 30, more where a refusal must be
    /// explained, or complete lists.
    #[arg(long, value_name = "DEPTH", value_parser = parse_depth(), default_value = "quick")]
    probe: Depth,
    /// Try what a server may take for an attack: a command in one piece with STARTTLS, a ClientHello where no greeting comes.
    /// That takes up to four more connections.
    #[arg(long)]
    active: bool,
    /// How many connections to one address at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), default_value_t = 1)]
    parallel: u16,
    /// No more than N connections per minute to one address.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    rate: Option<u32>,
    /// Ask the CA whether the certificates were revoked: its OCSP responder and its lists, by HTTP.
    #[arg(long)]
    revocation: bool,
    /// Fetch issuers that the server did not send, by HTTP from where its certificates point.
    #[arg(long)]
    fetch_issuers: bool,
    /// Find an HTTP server that certificates point to at this address instead of asking DNS; repeat for more.
    #[arg(long, value_name = "HOST:PORT=ADDRESS:PORT", value_parser = parse_resolved)]
    resolve: Vec<((String, u16), SocketAddr)>,
    /// The certificate on the server's own disk (PEM or DER): is it the one that is presented?
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// An earlier report in JSON about the same domain: whether its policy of MTA-STS changed without a new id.
    #[arg(long, value_name = "REPORT.json", conflicts_with = "input")]
    former: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    moment: MomentArguments,
    #[command(flatten)]
    policy: PolicyArguments,
    #[command(flatten)]
    output_form: OutputArguments,
}

#[derive(Debug, Args)]
struct TrustArguments {
    /// Roots that the world trusts: `mozilla`, `system` or a PEM file; repeat for several. `mozilla` by default.
    #[arg(long, value_name = "STORE")]
    trust: Vec<PathBuf>,
    /// A PEM file of private roots: a path to one is named, and is no public certificate.
    #[arg(long, value_name = "FILE")]
    trust_private: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct MomentArguments {
    /// Judge as of this moment (RFC 3339) instead of now; moves no certificate.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    now: Option<OffsetDateTime>,
}

impl MomentArguments {
    fn moment(&self) -> OffsetDateTime {
        self.now.unwrap_or_else(OffsetDateTime::now_utc)
    }
}

#[derive(Debug, Args)]
struct PolicyArguments {
    /// The guideline to judge by; `mtalab policies` lists them.
    #[arg(long, value_name = "NAME", value_parser = policy::find, default_value = "mtalab")]
    policy: &'static Policy,
}

#[derive(Debug, Args)]
struct OutputArguments {
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Also show every line of the dialogs.
    #[arg(long)]
    transcript: bool,
    /// The least severity that makes the exit code 1.
    #[arg(long, value_enum, default_value_t = FailOn::Fail)]
    fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs; see `mtalab schema report`.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    /// Notices, warnings and violations.
    Notice,
    /// Warnings and violations.
    Warn,
    /// Violations.
    Fail,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaOf {
    /// Scenario files.
    Scenario,
    /// Reports in JSON.
    Report,
    /// Reports about whole domains in JSON.
    DomainReport,
    /// What `remind` writes in JSON.
    Reminders,
    /// What `logs` writes in JSON.
    Logs,
}

#[derive(Debug, Args)]
struct CorpusArguments {
    /// Use the scenarios of this folder instead of those built in.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Scenarios by id or topic; all of them by default.
    #[arg(value_name = "SCENARIO")]
    selected: Vec<String>,
    /// Only scenarios whose id contains this; repeat for more.
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Only this kind of server; repeat for more.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    #[command(flatten)]
    corpus: CorpusArguments,
    #[command(flatten)]
    backend: BackendArguments,
    /// How many at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Write what was seen as the new snapshots, into the folder of `--scenarios`.
    #[arg(long, requires = "scenarios")]
    update_snapshots: bool,
}

#[cfg(feature = "docker")]
#[derive(Debug, Args)]
struct SendersArguments {
    /// Scenarios by id or topic; all of them by default.
    #[arg(value_name = "SCENARIO")]
    selected: Vec<String>,
    #[command(flatten)]
    corpus: CorpusArguments,
    /// The Debian release of the senders; repeat for more.
    #[arg(long, value_parser = parse_release(), default_values_t = [Release::default()])]
    release: Vec<Release>,
    /// How many scenarios at a time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Show the logs of the senders, too.
    #[arg(long)]
    log: bool,
    /// Write the table as a page, too.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DoctorArguments {
    #[command(flatten)]
    corpus: CorpusArguments,
    /// The backend that must be fit; the embedded one always must.
    #[command(flatten)]
    backend: BackendArguments,
}

#[derive(Debug, Args)]
struct BackendArguments {
    /// Where servers run.
    #[arg(long, value_enum, default_value_t = BackendName::Embedded)]
    backend: BackendName,
    /// The Debian release of the containers.
    #[cfg(feature = "docker")]
    #[arg(long, value_parser = parse_release(), default_value = Release::default().name())]
    release: Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BackendName {
    /// In this process: no Docker, no root.
    Embedded,
    /// In containers: the real MTAs.
    #[cfg(feature = "docker")]
    Docker,
}

#[derive(Debug, Args)]
struct UpArguments {
    /// The scenario's id.
    scenario: String,
    /// The kind of server; the scenario's first by default.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    corpus: CorpusArguments,
    #[command(flatten)]
    backend: BackendArguments,
    /// Make the keys of this number, so that they are the same every time; anyone who knows it has them.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How to say where it is.
    #[arg(long, value_enum, default_value_t = LabFormat::Json)]
    format: LabFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LabFormat {
    /// One line of JSON.
    Json,
    /// Shell variables: `MTALAB_ADDRESS=...`.
    Dotenv,
}

#[derive(Debug, Args)]
struct RelayArguments {
    /// The server to stand before.
    #[arg(value_name = "ADDRESS:PORT", value_parser = parse_endpoint)]
    to: SocketAddr,
    /// Where to listen; a free port of 127.0.0.1 by default.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Add this to every round trip.
    #[arg(long, value_name = "DURATION", value_parser = parse_delay, default_value = "0s")]
    round_trip: Duration,
    /// Hold the greeting back.
    #[arg(long, value_name = "DURATION", value_parser = parse_delay, default_value = "0s")]
    greeting_delay: Duration,
    /// Close every Nth connection when its ClientHello has come.
    #[arg(long, value_name = "N", default_value_t = 0)]
    drop_hello: u32,
    /// Answer 421 after N connections.
    #[arg(long, value_name = "N", default_value_t = 0)]
    total: u32,
    /// Answer 421 to more than N connections within a minute.
    #[arg(long, value_name = "N", default_value_t = 0)]
    per_minute: u32,
    /// Write EHLO keywords in lower case.
    #[arg(long)]
    lower_case: bool,
    /// Be a Cisco ASA that inspects ESMTP: write over the greeting, unknown keywords and STARTTLS.
    #[arg(long, conflicts_with_all = ["lower_case", "at", "do"])]
    asa: bool,
    /// Interfere at this stage of what the server says, as `[fault.relay]` of a scenario does: `connect`, `greeting`, `ehlo:3` (a line of
    /// the reply), `starttls` (the reply to it), `record:1` (a record of the handshake).
    #[arg(long, value_name = "STAGE", value_parser = parse_word::<RelayStage>, requires = "do", conflicts_with = "lower_case")]
    at: Option<RelayStage>,
    /// What to do there: `delay` (--by), `drip`, `split`, `close`, `reset`, `replace` (--with) or `remove`;
    /// at `connect`, `refuse` or `drop`.
    #[arg(long, value_name = "ACTION", value_parser = parse_word::<RelayAction>, requires = "at")]
    r#do: Option<RelayAction>,
    /// How long to hold back what is delayed.
    #[arg(long, value_name = "DURATION", value_parser = parse_word::<DurationText>, requires = "do")]
    by: Option<DurationText>,
    /// The line to say instead, without its end.
    #[arg(long, value_name = "LINE", requires = "do")]
    with: Option<String>,
}

/// The images of the Docker backend.
#[cfg(feature = "docker")]
#[derive(Debug, Subcommand)]
enum ImagesCommand {
    /// Build what is missing; an unchanged image is never built again.
    Build {
        /// The kinds of server; all by default.
        #[arg(value_name = "KIND")]
        kinds: Vec<String>,
        /// The Debian release.
        #[arg(long, value_parser = parse_release(), default_value = Release::default().name())]
        release: Release,
        /// The Debian mirror to bootstrap from; that of this host by default.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// List the images and whether they are built.
    List {
        /// The Debian release.
        #[arg(long, value_parser = parse_release(), default_value = Release::default().name())]
        release: Release,
    },
}

/// Runs the program; every exit code is decided here.
pub fn main() -> ExitCode {
    // clap exits with 2 for wrong usage and with 0 for --help, like this program does.
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::environment(format!("cannot start: {error}")).report(),
    };
    let code = match runtime.block_on(dispatch(arguments.command)) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    };
    let code = match out::lost() {
        Some(error) => Failure::environment(format!("cannot write the output: {error}")).report(),
        None => code,
    };
    // Name lookups and key generation that nobody waits for any more must not hold the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

async fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(arguments) => check::run(*arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::List(arguments) => corpus::list(&arguments),
        Command::Show { scenario, corpus } => corpus::show(&scenario, &corpus),
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Up(arguments) => up::up(arguments).await,
        Command::Ps => up::ps().await,
        Command::Down { id } => up::down(id.as_deref()).await,
        Command::Explain { rule } => corpus::explain(rule.as_deref()),
        Command::Relay(arguments) => relay::run(arguments).await,
        Command::Merge { reports, output, trust, moment, policy } => merge::run(&reports, &output, &trust, &moment, &policy),
        Command::Enforce { report, domain, trust, moment } => enforce::run(&report, &domain, &trust, &moment),
        Command::Remind(arguments) => remind::run(*arguments).await,
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Send(arguments) => send::run(arguments).await,
        Command::Sink(arguments) => sink::run(arguments).await,
        Command::Trace { message, format } => trace::run(&message, format),
        Command::Personas => corpus::personas(),
        Command::Policies => corpus::policies(),
        Command::Schema { of } => corpus::schema(of),
        #[cfg(feature = "docker")]
        Command::Images(command) => images::run(command).await,
        #[cfg(feature = "docker")]
        Command::Senders(arguments) => senders::run(arguments).await,
        Command::Serve { plan, listen } => inside::serve(&plan, listen).await,
        Command::Part { plan, listen } => inside::part(&plan, listen).await,
        Command::Observe { name, address, port, ehlo, probe, active, patience } => {
            let patience = Patience { depth: probe, active, ..Patience::lab() }.waiting(patience);
            inside::observe(Target { name, port }, address, ehlo, &patience).await
        }
        #[cfg(feature = "docker")]
        Command::Ready { address, sign } => inside::ready(address, sign).await,
        Command::Idle => inside::idle().await,
    }
}
