//! `mtalab check`: judge a real server.

use std::{
    fs,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use time::OffsetDateTime;

use super::{CheckArguments, Format, NameArguments, OutputArguments, TrustArguments, exit, exit::Failure, inside, out};
use crate::{
    check::{self, CheckOptions, DomainOptions, Fetching, Surroundings},
    facts::{Certificate, Depth, FormerPolicy, Pointer, Target, Vantage},
    name::Name,
    probe::{
        Patience, Progress, Watch,
        dns::{Anchors, Dns, DnsOptions},
        fetch::Fetcher,
        resolve::{ResolveError, Resolver},
    },
    report::{ExitClass, Report, json, text},
    rules::policy,
    trust::{self, TrustStore},
    wire::WireText,
};

/// Larger files are no trust stores.
const MAX_PEM: u64 = 16 * 1024 * 1024;
/// A CA's web server is not given the minutes that a mail server may take.
const FETCHING_PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn run(arguments: CheckArguments) -> Result<ExitCode, Failure> {
    if let Some(input) = &arguments.input {
        let options = domain_options(&arguments)?;
        return super::crowd::run(
            input,
            arguments.output.as_deref(),
            usize::from(arguments.jobs),
            &arguments.output_form,
            options,
        )
        .await;
    }
    match &arguments.targets[..] {
        [one] if is_of_host(one, &arguments) => host(one, &arguments).await,
        targets => {
            if let Some(odd) = targets.iter().find(|target| is_of_host(target, &arguments)) {
                let odd = WireText::from(odd.as_str());
                return Err(Failure::usage(format!(
                    "{odd} is one server; servers are checked one at a time, and domains by their names"
                )));
            }
            domains(targets, &arguments).await
        }
    }
}

/// Whether the target is one server, and no domain.
fn is_of_host(target: &str, arguments: &CheckArguments) -> bool {
    is_server(target, arguments.host, arguments.connect)
}

/// The same by the arguments that decide it.
pub(super) fn is_server(target: &str, is_host: bool, connect: Option<SocketAddr>) -> bool {
    is_host || connect.is_some() || target.contains(':') || target.parse::<IpAddr>().is_ok()
}

/// What a check takes that asks a few things only.
pub(super) fn plain_options(
    trust: &TrustArguments,
    now: OffsetDateTime,
    wait: Duration,
    depth: Depth,
) -> Result<CheckOptions, Failure> {
    let patience = Patience {
        greeting: wait,
        reply: wait,
        // Nobody is promised minutes for a handshake.
        handshake: wait.min(Patience::default().handshake),
        depth,
        ..Patience::default()
    };
    Ok(CheckOptions {
        stores: stores(trust)?,
        now,
        patience,
        pointers: Vec::new(),
        fetching: Fetching::default(),
        installed: Vec::new(),
        policy: policy::default(),
    })
}

/// What a check takes, whatever it is of.
fn options(arguments: &CheckArguments) -> Result<CheckOptions, Failure> {
    let plain = plain_options(&arguments.trust, arguments.moment.moment(), arguments.patience, arguments.probe)?;
    let patience = Patience {
        active: arguments.active,
        parallel: usize::from(arguments.parallel),
        interval: arguments.rate.map_or(Duration::ZERO, |per_minute| Duration::from_secs(60) / per_minute),
        ..plain.patience
    };
    let fetcher = Fetcher {
        fixed: arguments.resolve.iter().cloned().collect(),
        asks_dns: true,
        patience: arguments.patience.min(FETCHING_PATIENCE),
    };
    let fetching = Fetching { revocation: arguments.revocation, issuers: arguments.fetch_issuers, fetcher };
    let installed = arguments.certificate.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
    Ok(CheckOptions { patience, fetching, installed, policy: arguments.policy.policy, ..plain })
}

async fn host(target: &str, arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let shown = target;
    let target = parse_target(target)?;
    let options = options(arguments)?;
    let mut notes = Vec::new();
    let addresses = match arguments.connect {
        Some(address) => vec![address],
        None => addresses(&target, &arguments.names, &mut notes).await?,
    };
    let pointers = match arguments.connect {
        // Whoever names the address asks no DNS.
        Some(_) => Vec::new(),
        None => pointers(&addresses, &arguments.names).await?,
    };
    let vantages = vantages(arguments, &addresses)?;
    let options = CheckOptions { pointers, ..options };
    let watch = options.patience.watch.clone();
    let checking = check::check(target, &addresses, &vantages, &options);
    let (mut report, is_interrupted) = with_progress(shown, &watch, checking).await?;
    report.notes.extend(is_interrupted.then(|| INTERRUPTED.to_owned()));
    report.notes.extend(notes);
    print(&report, &arguments.output_form);
    Ok(exit::of_report(&report, arguments.output_form.fail_on))
}

/// What a report says that could not be finished.
const INTERRUPTED: &str = "interrupted: what was not asked by then is missing from this report";

/// The domains one after the other; the exit code is that of the worst.
async fn domains(targets: &[String], arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let names = targets.iter().map(|target| parse_domain(target)).collect::<Result<Vec<Name>, _>>()?;
    if arguments.certificate.is_some() {
        return Err(Failure::usage("--certificate is of one server: name it with its port, `mx.example.org:25`"));
    }
    let mut options = domain_options(arguments)?;
    if let Some(path) = &arguments.former {
        options.former = former_policy(path, &names)?;
    }
    let surroundings = Surroundings::new(&options.dns).await.map_err(|error| Failure::environment(error.to_string()))?;
    let mut class = ExitClass::Clean;
    for name in &names {
        let watch = options.check.patience.watch.clone();
        let checking = async {
            let facts = check::observe_in(name, &options, &surroundings).await;
            check::judge_domain(options.check.policy, facts, &options.check.stores, options.check.now)
        };
        let (mut report, is_interrupted) = with_progress(name.as_str(), &watch, checking).await?;
        report.notes.extend(is_interrupted.then(|| INTERRUPTED.to_owned()));
        match arguments.output_form.format {
            Format::Json if names.len() > 1 => out::print(&json::domain_to_json_line(&report)),
            Format::Json => out::print(&json::domain_to_json(&report)),
            Format::Text => out::print(&text::render_domain(&report, &text_options(&arguments.output_form))),
        }
        class = exit::worse(class, exit::of_domain(&report, arguments.output_form.fail_on));
        if is_interrupted {
            break;
        }
    }
    Ok(exit::of_class(class))
}

/// The policy that an earlier report of the domain has.
fn former_policy(path: &Path, names: &[Name]) -> Result<Option<FormerPolicy>, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let bytes = super::merge::read(path).map_err(|error| Failure::environment(format!("cannot read {shown}: {error}")))?;
    let facts = json::read_domain(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    match names {
        [one] if *one == facts.domain => Ok(check::policy_for_later(&facts)),
        _ => Err(Failure::usage(format!("{shown} is about {}: name that domain, and no other", facts.domain))),
    }
}

/// A domain as it stands after the `@`.
pub(super) fn parse_domain(text: &str) -> Result<Name, Failure> {
    Name::parse(text).map_err(|error| Failure::usage(format!("{} is not a host name: {error}", WireText::from(text))))
}

fn domain_options(arguments: &CheckArguments) -> Result<DomainOptions, Failure> {
    let names = &arguments.names;
    Ok(DomainOptions {
        dns: dns_options(names)?,
        smtp_port: names.smtp_port,
        policy_port: names.policy_port,
        reach: names.reach(),
        vantages: vantages(arguments, &[])?,
        ..DomainOptions::new(options(arguments)?)
    })
}

pub(super) fn dns_options(names: &NameArguments) -> Result<DnsOptions, Failure> {
    let anchors = match &names.dns_anchor {
        None => Anchors::iana(),
        Some(path) => {
            let shown = WireText::from(&*path.to_string_lossy());
            let text = String::from_utf8(read_file("trust anchors of DNS in", path)?)
                .map_err(|_| Failure::usage(format!("{shown} is no text")))?;
            let name = path.file_name().map(|name| WireText::from(&*name.to_string_lossy()).to_string()).unwrap_or_default();
            Anchors::parse(&name, &text).map_err(|error| Failure::usage(format!("{shown}: {error}")))?
        }
    };
    Ok(DnsOptions { servers: names.resolver.clone(), anchors, ..DnsOptions::default() })
}

/// Shows on a terminal what is being asked. Ctrl-C, or SIGTERM as `timeout` sends it, ends the questions, and the report
/// says what is known by then; a second one ends the program.
pub(super) async fn with_progress<R>(what: &str, watch: &Watch, work: impl Future<Output = R>) -> Result<(R, bool), Failure> {
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
    Ok((report?, watch.is_stopped()))
}

/// Prints a report in the form that was asked for.
pub(super) fn print(report: &Report, output: &OutputArguments) {
    match output.format {
        Format::Json => out::print(&json::to_json(report)),
        Format::Text => {
            out::print(&text::render(report, &text_options(output)));
        }
    }
}

fn text_options(output: &OutputArguments) -> text::TextOptions {
    let page = text::TextOptions { width: out::width(), colour: out::is_coloured(), ..text::TextOptions::default() };
    text::TextOptions { transcript: output.transcript, ..page }
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
    let store = TrustStore::from_pem(&WireText::from(&*name.to_string_lossy()).to_string(), public, &pem)
        .map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    for (place, anchor) in store.anchors.iter().enumerate() {
        Certificate::from_der(anchor)
            .details()
            .map_err(|why| Failure::usage(format!("{shown}: certificate {} of the file cannot be read: {why}", place + 1)))?;
    }
    Ok(store)
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

/// The servers' own certificates of a PEM file: a file of `smtpd_tls_chain_files` holds one for each kind of key, with their
/// issuers behind them. Or one in DER.
fn read_certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let all = read_all_certificates(path)?;
    let is_server = |certificate: &Certificate| certificate.details().is_ok_and(|details| !details.is_ca);
    let servers: Vec<Certificate> = all.iter().filter(|one| is_server(one)).cloned().collect();
    match (servers.is_empty(), all.into_iter().next()) {
        (true, Some(first)) => Ok(vec![readable(&shown, first)?]),
        _ => Ok(servers),
    }
}

/// All certificates of a file in PEM, or the one of a file in DER, in their order.
pub(super) fn read_all_certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let shown = WireText::from(&*path.to_string_lossy());
    let bytes = read_file("certificate", path)?;
    let all = trust::certificates_of_file(&bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    Ok(all.iter().map(|der| Certificate::from_der(der)).collect())
}

fn readable(shown: &WireText, certificate: Certificate) -> Result<Certificate, Failure> {
    match certificate.details() {
        Ok(_) => Ok(certificate),
        Err(why) => Err(Failure::usage(format!("the certificate in {shown} cannot be read: {why}"))),
    }
}

/// `NAME` or `NAME:PORT`.
pub(super) fn parse_target(text: &str) -> Result<Target, Failure> {
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

pub(super) async fn addresses(
    target: &Target,
    names: &NameArguments,
    notes: &mut Vec<String>,
) -> Result<Vec<SocketAddr>, Failure> {
    if !names.resolver.is_empty() {
        return addresses_from(target, &dns_options(names)?, notes).await;
    }
    addresses_by_system(target, notes).await
}

/// The addresses that the system's resolver has.
pub(super) async fn addresses_by_system(target: &Target, notes: &mut Vec<String>) -> Result<Vec<SocketAddr>, Failure> {
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

/// The same from the resolver that was named. Nothing hangs on DNSSEC where it is only addresses that are asked for.
async fn addresses_from(target: &Target, options: &DnsOptions, notes: &mut Vec<String>) -> Result<Vec<SocketAddr>, Failure> {
    let dns = Dns::new(options).await.map_err(|error| Failure::environment(error.to_string()))?;
    let (v4, v6) = tokio::join!(dns.v4(target.name.as_str()), dns.v6(target.name.as_str()));
    let mut found: Vec<IpAddr> = Vec::new();
    found.extend(v4.seen().iter().flat_map(|answer| &answer.records).map(|address| IpAddr::from(*address)));
    found.extend(v6.seen().iter().flat_map(|answer| &answer.records).map(|address| IpAddr::from(*address)));
    let failed: Vec<String> = [v4.why_not(), v6.why_not()].into_iter().filter(|why| !why.is_empty()).collect();
    match (found.is_empty(), failed.first()) {
        (true, Some(why)) => return Err(Failure::environment(why.clone())),
        (true, None) => return Err(Failure::environment(format!("the name {} has no address", target.name))),
        (false, why) => notes.extend(why.map(|why| format!("some addresses may be missing: {why}"))),
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
}

/// What DNS calls the addresses, by the resolver that told them.
async fn pointers(addresses: &[SocketAddr], names: &NameArguments) -> Result<Vec<Pointer>, Failure> {
    if !names.resolver.is_empty() {
        let dns = Dns::new(&dns_options(names)?).await.map_err(|error| Failure::environment(error.to_string()))?;
        return Ok(futures::future::join_all(addresses.iter().map(|address| dns.pointer(address.ip()))).await);
    }
    // One that cannot be used has just been told of.
    let Ok(resolver) = Resolver::system() else { return Ok(Vec::new()) };
    Ok(futures::future::join_all(addresses.iter().map(|address| resolver.pointer(address.ip()))).await)
}

fn vantages(arguments: &CheckArguments, addresses: &[SocketAddr]) -> Result<Vec<Vantage>, Failure> {
    let label = arguments.vantage.clone();
    // A vantage point that cannot be taken says nothing about the server; it is told before anybody is asked.
    for source in &arguments.from {
        std::net::UdpSocket::bind((*source, 0)).map_err(|error| {
            Failure::environment(format!("--from {source}: this machine cannot use that source address: {error}"))
        })?;
        // Of a domain the addresses are not known yet.
        if !addresses.is_empty() && !addresses.iter().any(|address| address.is_ipv4() == source.is_ipv4()) {
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

    /// What Postfix reads: keys, servers' certificates of each kind, their issuers.
    #[test]
    fn a_file_may_hold_the_certificates_of_two_kinds() {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
        let key = KeyPair::generate().unwrap();
        let of = |name: &str, is_ca: bool| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
            params.self_signed(&key).unwrap().pem()
        };
        let read = |text: String| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), text).unwrap();
            read_certificates(file.path()).map(|all| all.len()).map_err(|_| ())
        };
        let (one, ca, other) = (of("a.test", false), of("ca.test", true), of("b.test", false));
        assert_eq!(read(format!("{}{one}{ca}{}{other}{ca}", key.serialize_pem(), key.serialize_pem())), Ok(2));
        assert_eq!(read(format!("\u{feff}{}", one.replace("CERTIFICATE", "X509 CERTIFICATE"))), Ok(1));
        assert_eq!(read(format!("{ca}{ca}")), Ok(1));
        assert_eq!(read(key.serialize_pem()), Err(()));
        assert_eq!(read("text".to_owned()), Err(()));
    }

    #[test]
    fn the_anchor_that_cannot_be_read_is_named() {
        let good = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap().cert.pem();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &good).unwrap();
        assert_eq!(read_store(file.path(), true).map(|store| store.anchors.len()).map_err(|_| ()), Ok(1));
        fs::write(file.path(), good + &pem::encode(&pem::Pem::new("CERTIFICATE", [0x30, 0x00]))).unwrap();
        let error = format!("{:?}", read_store(file.path(), true).map(|_| ()));
        assert!(error.contains("certificate 2 of the file cannot be read: "), "{error}");
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
