//! `mtalab check`: judge a real server.

use std::{
    fs,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{CheckArguments, Format, OutputArguments, TrustArguments, exit, exit::Failure, inside, out};
use crate::{
    check::{self, CheckOptions, Fetching},
    facts::{Certificate, Depth, Pointer, Target, Vantage},
    name::Name,
    probe::{
        Patience, Progress, Watch,
        fetch::Fetcher,
        resolve::{ResolveError, Resolver},
    },
    report::{Report, json, text},
    trust::TrustStore,
    wire::WireText,
};

/// Larger files are no trust stores.
const MAX_PEM: u64 = 16 * 1024 * 1024;
/// A CA's web server is not given the minutes that a mail server may take.
const FETCHING_PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn run(arguments: CheckArguments) -> Result<ExitCode, Failure> {
    let target = parse_target(&arguments.target)?;
    let stores = stores(&arguments.trust)?;
    let mut notes = Vec::new();
    let addresses = match arguments.connect {
        Some(address) => vec![address],
        None => addresses(&target, &mut notes).await?,
    };
    let pointers = match arguments.connect {
        // Whoever names the address asks no DNS.
        Some(_) => Vec::new(),
        None => pointers(&addresses).await,
    };
    let vantages = vantages(&arguments, &addresses)?;
    let patience = Patience {
        greeting: arguments.patience,
        reply: arguments.patience,
        // Nobody is promised minutes for a handshake.
        handshake: arguments.patience.min(Patience::default().handshake),
        depth: arguments.probe,
        active: arguments.active,
        parallel: usize::from(arguments.parallel),
        interval: arguments.rate.map_or(Duration::ZERO, |per_minute| Duration::from_secs(60) / per_minute),
        ..Patience::default()
    };
    let watch = patience.watch.clone();
    let policy = arguments.policy.policy;
    let fetcher = Fetcher {
        fixed: arguments.resolve.iter().cloned().collect(),
        asks_dns: true,
        patience: arguments.patience.min(FETCHING_PATIENCE),
    };
    let fetching = Fetching { revocation: arguments.revocation, issuers: arguments.fetch_issuers, fetcher };
    let installed = arguments.certificate.as_deref().map(read_certificate).transpose()?.into_iter().collect();
    let now = arguments.moment.moment();
    let options = CheckOptions { stores, now, patience, pointers, fetching, installed, policy };
    let checking = check::check(target, &addresses, &vantages, &options);
    let mut report = with_progress(&arguments.target, &watch, checking).await?;
    report.notes.extend(notes);
    print(&report, &arguments.output);
    Ok(exit::of_report(&report, arguments.output.fail_on))
}

/// Shows on a terminal what is being asked. Ctrl-C, or SIGTERM as `timeout` sends it, ends the questions, and the report
/// says what is known by then; a second one ends the program.
async fn with_progress(what: &str, watch: &Watch, work: impl Future<Output = Report>) -> Result<Report, Failure> {
    let spinner = indicatif::ProgressBar::new_spinner();
    if !out::is_watched() {
        spinner.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let what = WireText::from(what);
    spinner.set_message(format!("asking {what}"));
    spinner.enable_steady_tick(Duration::from_millis(120));
    let mut tick = tokio::time::interval(Duration::from_millis(120));
    let mut work = std::pin::pin!(work);
    // Across the ticks: what arrives while nobody listens is lost.
    let mut ended = std::pin::pin!(inside::ended());
    let report = loop {
        tokio::select! {
            report = &mut work => break Ok(report),
            _ = tick.tick() => {
                let Progress { connections, question } = watch.progress();
                if !question.is_empty() && !watch.is_stopped() {
                    spinner.set_message(format!("asking {what}: {question} (connection {connections})"));
                }
            }
            () = &mut ended => {
                if watch.is_stopped() {
                    break Err(Failure::environment("interrupted before the questions had ended"));
                }
                spinner.set_message("ending; what is known so far follows (Ctrl-C again to leave at once)");
                watch.stop();
                ended.set(inside::ended());
            }
        }
    };
    spinner.finish_and_clear();
    let mut report = report?;
    if watch.is_stopped() {
        report.notes.push("interrupted: what was not asked by then is missing from this report".to_owned());
    }
    Ok(report)
}

/// Prints a report in the form that was asked for.
pub(super) fn print(report: &Report, output: &OutputArguments) {
    match output.format {
        Format::Json => out::print(&json::to_json(report)),
        Format::Text => {
            let page = text::TextOptions { width: out::width(), colour: out::is_coloured(), ..text::TextOptions::default() };
            let options = text::TextOptions { transcript: output.transcript, ..page };
            out::print(&text::render(report, &options));
        }
    }
}

/// Mozilla's roots, unless others are named; private ones come on top.
pub(super) fn stores(arguments: &TrustArguments) -> Result<Vec<TrustStore>, Failure> {
    let mut stores = Vec::new();
    for name in &arguments.trust {
        stores.push(match name.to_str() {
            Some("mozilla") => TrustStore::mozilla(),
            Some("system") => TrustStore::system().map_err(|error| Failure::environment(error.to_string()))?,
            _ => read_store(name, true)?,
        });
    }
    if stores.is_empty() {
        stores.push(TrustStore::mozilla());
    }
    for path in &arguments.trust_private {
        stores.push(read_store(path, false)?);
    }
    Ok(stores)
}

fn read_store(path: &Path, public: bool) -> Result<TrustStore, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let pem = read_file("trust store", path)?;
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    TrustStore::from_pem(&WireText::from(&*name.to_string_lossy()).to_string(), public, &pem)
        .map_err(|error| Failure::usage(format!("{shown}: {error}")))
}

/// A regular file of at most 16 MiB; `what` it is to hold is for the error.
fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let file = |error: std::io::Error| Failure::environment(format!("cannot read the {what} {shown}: {error}"));
    let is_regular = fs::metadata(path).map_err(file)?.is_file();
    if !is_regular {
        return Err(Failure::usage(format!("the {what} {shown} is no regular file")));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_PEM + 1).read_to_end(&mut bytes)).map_err(file)?;
    if bytes.len() as u64 > MAX_PEM {
        return Err(Failure::usage(format!("the {what} {shown} is larger than 16 MiB")));
    }
    Ok(bytes)
}

/// The first certificate of a PEM file, which is the server's own in every server's configuration; or one in DER.
fn read_certificate(path: &Path) -> Result<Certificate, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let bytes = read_file("certificate", path)?;
    let der = match CertificateDer::from_pem_slice(&bytes) {
        Ok(der) => der.to_vec(),
        Err(_) if bytes.starts_with(&[0x30]) => bytes,
        Err(error) => return Err(Failure::usage(format!("{shown} holds no certificate in PEM: {error}"))),
    };
    let certificate = Certificate::from_der(&der);
    match certificate.details() {
        Ok(_) => Ok(certificate),
        Err(why) => Err(Failure::usage(format!("the certificate in {shown} cannot be read: {why}"))),
    }
}

/// `NAME` or `NAME:PORT`.
fn parse_target(text: &str) -> Result<Target, Failure> {
    let shown = WireText::from(text);
    if text.parse::<std::net::IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Err(Failure::usage(format!(
            "{shown} is an address; a certificate is judged by the name that senders look up.\n\
             Try: mtalab check NAME --connect {}",
            if text.parse::<SocketAddr>().is_ok() { shown.to_string() } else { format!("{shown}:25") }
        )));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (name, port.ok_or_else(|| Failure::usage(format!("{shown}: the port after the colon is a number from 1 to 65535")))?)
        }
        None => (text, 25),
    };
    let name = Name::parse(name).map_err(|error| Failure::usage(format!("{shown} is not a host name: {error}")))?;
    Ok(Target { name, port })
}

async fn addresses(target: &Target, notes: &mut Vec<String>) -> Result<Vec<SocketAddr>, Failure> {
    let explain = |error: ResolveError| {
        // What a resolver says may carry a server's bytes.
        let why = WireText::from(&*error.to_string());
        Failure::environment(format!(
            "{why}.\nTo ask no DNS at all: mtalab check {} --connect ADDRESS:{}",
            target.name, target.port
        ))
    };
    let resolver = Resolver::system().map_err(explain)?;
    let addresses = resolver.addresses(&target.name).await.map_err(explain)?;
    notes.extend(addresses.missed.map(|error| format!("some addresses may be missing: {error}")));
    Ok(addresses.found.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
}

/// What DNS calls the addresses; a resolver that cannot be used has just been told of.
async fn pointers(addresses: &[SocketAddr]) -> Vec<Pointer> {
    let Ok(resolver) = Resolver::system() else { return Vec::new() };
    futures::future::join_all(addresses.iter().map(|address| resolver.pointer(address.ip()))).await
}

fn vantages(arguments: &CheckArguments, addresses: &[SocketAddr]) -> Result<Vec<Vantage>, Failure> {
    let label = arguments.vantage.clone();
    // A vantage point that cannot be taken says nothing about the server; it is told before anybody is asked.
    for source in &arguments.from {
        std::net::UdpSocket::bind((*source, 0)).map_err(|error| {
            Failure::environment(format!("--from {source}: this machine cannot use that source address: {error}"))
        })?;
        if !addresses.iter().any(|address| address.is_ipv4() == source.is_ipv4()) {
            return Err(Failure::usage(format!("--from {source}: the server has no address of that family")));
        }
    }
    let most = Patience::default().max_connections as usize;
    if arguments.probe == Depth::Quick && arguments.ehlo.len() > most {
        return Err(Failure::usage(format!("at --probe quick the server is asked under {most} names at most (--ehlo)")));
    }
    // Each address under each name. What is named twice is one vantage point, and asked once.
    let mut vantages: Vec<Vantage> = Vec::new();
    for source in or_default(&arguments.from) {
        for ehlo in or_default(&arguments.ehlo) {
            let vantage = Vantage { label: label.clone(), source, ehlo };
            if !vantages.contains(&vantage) {
                vantages.push(vantage);
            }
        }
    }
    Ok(vantages)
}

/// What was named, or the one that is taken where nothing is.
fn or_default<T: Clone>(named: &[T]) -> Vec<Option<T>> {
    if named.is_empty() { vec![None] } else { named.iter().cloned().map(Some).collect() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mx.example.test", "mx.example.test", 25)]
    #[case("MX.example.test.:587", "mx.example.test", 587)]
    fn targets_are_names_with_ports(#[case] text: &str, #[case] name: &str, #[case] port: u16) {
        let target = parse_target(text).unwrap();
        assert_eq!((target.name.as_str(), target.port), (name, port));
    }

    #[rstest]
    #[case("192.0.2.1")]
    #[case("[2001:db8::1]:25")]
    #[case("mx.example.test:0")]
    #[case("mx.example.test:smtp")]
    #[case("")]
    #[case("a b")]
    fn what_is_no_target_is_refused(#[case] text: &str) {
        assert!(parse_target(text).is_err());
    }
}
