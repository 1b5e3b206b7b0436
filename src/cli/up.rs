//! `up`, `ps`, `down`: a lab that stays, to poke at by hand.
//!
//! On the embedded backend `up` stays in the foreground and leaves a state file beside
//! the CA file; `ps` and `down` find it by that. On Docker the containers stay by themselves.

use std::{
    fs, io,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{BackendName, CorpusArguments, LabFormat, UpArguments, corpus, exit, exit::Failure, inside, out, run};
use crate::{
    lab::{Backend, Running, RunningDomain, owner::Owner},
    name::Name,
    plan::{DomainPlan, Issuance, Plan},
    verify::{self, Case},
    wire::WireText,
};

/// A lab that is up: what `up` prints and what its state file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Lab {
    id: String,
    scenario: String,
    kind: String,
    backend: String,
    /// The name to check it by.
    host: String,
    address: String,
    /// The root to trust.
    ca_file: PathBuf,
    /// The certificate on the server's disk, where that is not what it presents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_file: Option<PathBuf>,
    /// The CA's web server, where it publishes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    web: Option<LabWeb>,
    vantages: Vec<LabVantage>,
    /// A whole mail domain: then the address is that of its DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<LabDomain>,
    /// The process that holds it.
    owner: String,
}

/// What a domain has besides.
#[derive(Debug, Serialize, Deserialize)]
struct LabDomain {
    name: String,
    /// The resolver to ask, then the second name server. Neither validates.
    resolvers: [String; 2],
    /// The root of its DNS: a DNSKEY record, as a line of a zone file.
    dns_anchor_file: PathBuf,
    /// The port that stands for 25 at every address.
    smtp_port: u16,
    /// What stands for port 443 of the policy host.
    policy_host: String,
    servers: Vec<LabServer>,
}

/// One address of one host.
#[derive(Debug, Serialize, Deserialize)]
struct LabServer {
    host: String,
    address: String,
}

/// Issuers, lists and answers of OCSP are to be had of it; certificates name its host.
#[derive(Debug, Serialize, Deserialize)]
struct LabWeb {
    host: String,
    address: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct LabVantage {
    name: String,
    source: String,
    /// Where the server is from there, where that is not the address of the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
}

impl Lab {
    /// For `. ./lab.env` in a shell. Only the path may hold what a shell would act on.
    fn to_dotenv(&self) -> String {
        let (ip, port) = self.address.rsplit_once(':').unwrap_or((&self.address, "25"));
        let ca_file = self.ca_file.display().to_string().replace('\'', r"'\''");
        let mut lines = vec![
            format!("MTALAB_ID={}", self.id),
            format!("MTALAB_HOST={}", self.host),
            format!("MTALAB_ADDRESS={}", self.address),
            format!("MTALAB_IP={ip}"),
            format!("MTALAB_PORT={port}"),
            format!("MTALAB_CA_FILE='{ca_file}'"),
        ];
        if let Some(file) = &self.certificate_file {
            lines.push(format!("MTALAB_CERTIFICATE_FILE='{}'", file.display().to_string().replace('\'', r"'\''")));
        }
        if let Some(domain) = &self.domain {
            let anchor = domain.dns_anchor_file.display().to_string().replace('\'', r"'\''");
            lines.extend([
                format!("MTALAB_DOMAIN={}", domain.name),
                format!("MTALAB_RESOLVER={}", domain.resolvers[0]),
                format!("MTALAB_SECOND_RESOLVER={}", domain.resolvers[1]),
                format!("MTALAB_DNS_ANCHOR_FILE='{anchor}'"),
                format!("MTALAB_SMTP_PORT={}", domain.smtp_port),
                format!("MTALAB_POLICY_HOST={}", domain.policy_host),
            ]);
        }
        lines.extend(self.web.iter().map(|web| format!("MTALAB_WEB={}:80={}", web.host, web.address)));
        let variable = |name: &str| name.to_ascii_uppercase().replace('-', "_");
        lines.extend(self.vantages.iter().map(|v| format!("MTALAB_FROM_{}={}", variable(&v.name), v.source)));
        lines.join("\n")
    }
}

pub(super) async fn up(arguments: UpArguments) -> Result<ExitCode, Failure> {
    let case = case(&arguments.scenario, arguments.kind.as_deref(), &arguments.corpus)?;
    if case.scenario.domain.is_some() {
        return domain(&case, &arguments).await;
    }
    let plan = verify::resolve(&case, Issuance { seed: arguments.seed, ..Issuance::now() }).await?;
    let id = format!("{:06x}", rand::random::<u32>() >> 8);
    let backend = run::open(&arguments.backend, Some(id.clone())).await?;
    if let Err(reason) = backend.possible(&plan) {
        run::close(&backend).await;
        return Err(Failure::usage(format!("{} on {} is not possible here: {reason}", case.id, case.kind)));
    }
    if plan.relay.is_some() && arguments.backend.backend != BackendName::Embedded {
        run::close(&backend).await;
        return Err(Failure::usage(format!(
            "the relay of {} lives in this process, and containers stay when it ends.\nTry: mtalab up {} --kind {} --backend embedded",
            case.id, case.id, case.kind
        )));
    }
    // From here to the end without a gap: whoever reads what is printed may end it at once.
    let mut ended = std::pin::pin!(inside::ended());
    let started = tokio::select! {
        started = start(id, &plan, &backend, &arguments) => started,
        () = &mut ended => Err(Failure::environment("interrupted before the lab was up")),
    };
    let (running, state) = match started {
        Ok(lab) => lab,
        Err(failure) => {
            run::close(&backend).await;
            return Err(failure);
        }
    };
    out::print(&match arguments.format {
        LabFormat::Json => serde_json::to_string(&state.lab).map_err(|error| Failure::environment(error.to_string()))?,
        LabFormat::Dotenv => state.lab.to_dotenv(),
    });
    if arguments.backend.backend != BackendName::Embedded {
        out::note(&format!("it stays until `mtalab down {}`", state.lab.id));
        #[cfg(feature = "docker")]
        if let Backend::Docker(docker) = &backend
            && !docker.is_near()
        {
            out::note(&from_afar(&state.lab));
        }
        if running.web.is_some() {
            out::note("the CA's web server does not stay: on the embedded backend it does");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let port = running.address.port();
    out::note(&format!(
        "try   openssl s_client{} -connect {} -servername {} -CAfile {}\n\
         or    telnet -b {} {} {port}\nend it with Ctrl-C, or `mtalab down {}` elsewhere",
        if plan.port == 465 { "" } else { " -starttls smtp" },
        running.address,
        state.lab.host,
        state.lab.ca_file.display(),
        running.vantages.first().map_or_else(String::new, |vantage| vantage.source.to_string()),
        running.address.ip(),
        state.lab.id,
    ));
    if let Some(web) = &running.web {
        let (host, address) = (web.host, web.address);
        out::note(&format!("the CA's web server: mtalab check --revocation --fetch-issuers --resolve {host}:80={address} …"));
    }
    if let Some(file) = &state.lab.certificate_file {
        out::note(&format!("the renewed certificate on its disk: mtalab check --certificate {} …", file.display()));
    }
    ended.await;
    running.stop().await;
    state.remove();
    Ok(ExitCode::SUCCESS)
}

/// A whole domain, until somebody ends it.
async fn domain(case: &Case, arguments: &UpArguments) -> Result<ExitCode, Failure> {
    if arguments.backend.backend != BackendName::Embedded {
        return Err(Failure::usage(format!("{} is a whole domain: `up` keeps it on the embedded backend only", case.id)));
    }
    let plan = verify::resolve_domain(case, Issuance { seed: arguments.seed, ..Issuance::now() }).await?;
    if let Err(reason) = crate::lab::domain::possible(&plan) {
        return Err(Failure::usage(format!("{} on {} is not possible here: {reason}", case.id, case.kind)));
    }
    let mut ended = std::pin::pin!(inside::ended());
    let running = tokio::select! {
        running = RunningDomain::start(&plan) => running.map_err(|error| Failure::environment(exit::chain(&error)))?,
        () = &mut ended => return Err(Failure::environment("interrupted before the lab was up")),
    };
    let state = State::write_domain(&plan, &case.kind, &running);
    let state = state.map_err(|error| Failure::environment(format!("cannot write the state of the lab: {error}")))?;
    out::print(&match arguments.format {
        LabFormat::Json => serde_json::to_string(&state.lab).map_err(|error| Failure::environment(error.to_string()))?,
        LabFormat::Dotenv => state.lab.to_dotenv(),
    });
    let mut lines = Vec::new();
    for (host, address) in running.servers.iter().take(8) {
        lines.push(format!("{host} is at {}", SocketAddr::new(*address, running.smtp_port)));
    }
    if let more @ 1.. = running.servers.len().saturating_sub(8) {
        lines.push(format!("and {more} more servers"));
    }
    let (dns, name) = (running.resolvers[0], &running.name);
    let anchor = state.lab.domain.as_ref().map_or_else(String::new, |domain| domain.dns_anchor_file.display().to_string());
    lines.push(format!(
        "try   mtalab check {name} --resolver {dns} --dns-anchor {anchor} --trust {} --smtp-port {} --policy-port {} --reach 127.0.0.0/8 --reach ::1",
        state.lab.ca_file.display(),
        running.smtp_port,
        running.policy_host.port(),
    ));
    lines.push(format!("or    dig @{} -p {} +dnssec {name} MX", dns.ip(), dns.port()));
    lines.push(format!("or    drill -D -k {anchor} -p {} @{} {name} MX", dns.port(), dns.ip()));
    lines.push(format!("end it with Ctrl-C, or `mtalab down {}` elsewhere", state.lab.id));
    out::note(&lines.join("\n"));
    ended.await;
    state.remove();
    Ok(ExitCode::SUCCESS)
}

/// How to get at a server whose address is one of another machine's networks.
#[cfg(feature = "docker")]
fn from_afar(lab: &Lab) -> String {
    let Lab { address, host, ca_file, .. } = lab;
    format!(
        "the Docker engine is on another machine, and only that one reaches {address}. From here, with MACHINE for its name:\n  \
         ssh -N -L 2525:{address} MACHINE\n  mtalab check {host} --connect 127.0.0.1:2525 --trust {}",
        ca_file.display()
    )
}

/// Starts the server, and writes down where it is.
async fn start(id: String, plan: &Plan, backend: &Backend, arguments: &UpArguments) -> Result<(Running, State), Failure> {
    let running = backend.start(plan).await.map_err(|error| Failure::environment(exit::chain(&error)))?;
    let state = State::write(id, plan, &running, arguments);
    let state = state.map_err(|error| Failure::environment(format!("cannot write the state of the lab: {error}")))?;
    #[cfg(feature = "docker")]
    if let Backend::Docker(docker) = backend
        && let Err(error) = docker.keep().await
    {
        state.remove();
        return Err(Failure::environment(exit::chain(&error)));
    }
    Ok((running, state))
}

pub(super) async fn ps() -> Result<ExitCode, Failure> {
    let (labs, orphans) = (State::all().await?, orphans().await?);
    if labs.is_empty() && orphans.is_empty() {
        out::print("no lab is up; `mtalab up SCENARIO` starts one");
        return Ok(ExitCode::SUCCESS);
    }
    let row = |lab: &Lab| [lab.id.clone(), lab.backend.clone(), format!("{}@{}", lab.scenario, lab.kind), lab.address.clone()];
    let mut rows = vec![["ID", "BACKEND", "SCENARIO", "ADDRESS"].map(str::to_owned)];
    rows.extend(labs.iter().map(|state| row(&state.lab)));
    rows.extend(
        orphans.into_iter().map(|id| [id, "docker".to_owned(), "not known: no state file of yours".to_owned(), "-".to_owned()]),
    );
    let widths: Vec<usize> = (0..4).map(|i| rows.iter().map(|row| row[i].len()).max().unwrap_or_default()).collect();
    let line =
        |row: &[String; 4]| row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ");
    out::print(&rows.iter().map(|row| line(row).trim_end().to_owned()).collect::<Vec<_>>().join("\n"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn down(id: Option<&str>) -> Result<ExitCode, Failure> {
    let labs = State::all().await?;
    let chosen: Vec<State> = labs.into_iter().filter(|state| id.is_none_or(|id| state.lab.id == id)).collect();
    // Those may be another user's: one must name them.
    let orphans: Vec<String> = orphans().await?.into_iter().filter(|orphan| id == Some(orphan.as_str())).collect();
    if chosen.is_empty() && orphans.is_empty() {
        let Some(id) = id else {
            out::print("no lab is up");
            return Ok(ExitCode::SUCCESS);
        };
        return Err(Failure::usage(format!("no lab `{}` is up; `mtalab ps` lists them", WireText::from(id))));
    }
    for state in chosen {
        state.end().await?;
        out::print(&format!("{} is down", state.lab.id));
    }
    #[cfg(feature = "docker")]
    for id in orphans {
        crate::lab::docker::remove_kept(&id).await.map_err(|error| Failure::environment(exit::chain(&error)))?;
        out::print(&format!("{id} is down"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The case of a scenario that is asked for.
pub(super) fn case(scenario: &str, kind: Option<&str>, corpus: &CorpusArguments) -> Result<Case, Failure> {
    let corpus = corpus::open(corpus)?;
    let id = &corpus.get(scenario).map_err(|error| Failure::usage(error.to_string()))?.id;
    let mut cases = verify::load(&corpus, std::slice::from_ref(id))?;
    cases.retain(|case| case.id == *id);
    let kinds: Vec<_> = cases.iter().map(|case| case.kind.clone()).collect();
    let chosen = cases.into_iter().find(|case| kind.is_none_or(|kind| case.kind == kind));
    chosen.ok_or_else(|| Failure::usage(format!("{id} runs as {}", kinds.join(", "))))
}

/// The state file of a lab, and the CA file beside it.
struct State {
    path: PathBuf,
    lab: Lab,
}

impl State {
    fn write(id: String, plan: &Plan, running: &Running, arguments: &UpArguments) -> io::Result<Self> {
        let folder = folder()?;
        let ca_file = folder.join(format!("{id}.pem"));
        write_private(&ca_file, plan.trust.to_pem().as_bytes())?;
        let certificate_file = plan.installed.as_ref().map(|_| folder.join(format!("{id}.certificate.pem")));
        if let (Some(file), Some(der)) = (&certificate_file, &plan.installed) {
            write_private(file, pem::encode(&pem::Pem::new("CERTIFICATE", der.as_slice())).as_bytes())?;
        }
        let web = running.web.as_ref().map(|web| LabWeb { host: web.host.to_string(), address: web.address.to_string() });
        let vantage = |v: &crate::lab::RunningVantage| LabVantage {
            name: v.name.clone(),
            source: v.source.to_string(),
            server: (v.server != running.address).then(|| v.server.to_string()),
        };
        let lab = Lab {
            id: id.clone(),
            scenario: plan.scenario.clone(),
            kind: plan.server.kind.clone(),
            backend: if arguments.backend.backend == BackendName::Embedded { "embedded" } else { "docker" }.to_owned(),
            host: plan.server.host.to_string(),
            address: running.address.to_string(),
            ca_file,
            certificate_file,
            web,
            vantages: running.vantages.iter().map(vantage).collect(),
            domain: None,
            owner: Owner::me().to_string(),
        };
        let path = folder.join(format!("{id}.json"));
        write_private(&path, &serde_json::to_vec(&lab)?)?;
        Ok(Self { path, lab })
    }

    fn write_domain(plan: &DomainPlan, kind: &str, running: &RunningDomain) -> io::Result<Self> {
        let folder = folder()?;
        let id = format!("{:06x}", rand::random::<u32>() >> 8);
        let ca_file = folder.join(format!("{id}.pem"));
        write_private(&ca_file, plan.trust.to_pem().as_bytes())?;
        let dns_anchor_file = folder.join(format!("{id}.key"));
        write_private(&dns_anchor_file, running.dns_anchor.as_bytes())?;
        let server = |(host, address): &(Name, IpAddr)| LabServer { host: host.to_string(), address: address.to_string() };
        let domain = LabDomain {
            name: running.name.to_string(),
            resolvers: running.resolvers.map(|address| address.to_string()),
            dns_anchor_file,
            smtp_port: running.smtp_port,
            policy_host: running.policy_host.to_string(),
            servers: running.servers.iter().map(server).collect(),
        };
        let lab = Lab {
            id: id.clone(),
            scenario: plan.scenario.clone(),
            kind: kind.to_owned(),
            backend: "embedded".to_owned(),
            host: running.name.to_string(),
            address: running.resolvers[0].to_string(),
            ca_file,
            certificate_file: None,
            web: None,
            vantages: vec![LabVantage { name: running.vantage.0.clone(), source: running.vantage.1.to_string(), server: None }],
            domain: Some(domain),
            owner: Owner::me().to_string(),
        };
        let path = folder.join(format!("{id}.json"));
        write_private(&path, &serde_json::to_vec(&lab)?)?;
        Ok(Self { path, lab })
    }

    /// Every lab that is up. What is left in files of one that is not is removed.
    async fn all() -> Result<Vec<Self>, Failure> {
        let folder = folder().map_err(|error| Failure::environment(format!("cannot read the folder of labs: {error}")))?;
        let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path: PathBuf| Some(Self { lab: serde_json::from_slice(&fs::read(&path).ok()?).ok()?, path });
        let labs: Vec<Self> = paths.into_iter().filter_map(read).collect();
        let kept = if labs.iter().any(|state| state.lab.backend == "docker") { kept_in_docker().await } else { None };
        let (alive, dead): (Vec<_>, Vec<_>) = labs.into_iter().partition(|state| state.is_up(kept.as_deref()));
        #[cfg(feature = "docker")]
        for state in dead.iter().filter(|state| state.lab.backend == "docker") {
            // Its network is of no use without it.
            let _ = crate::lab::docker::remove_kept(&state.lab.id).await;
        }
        dead.iter().for_each(Self::remove);
        Ok(alive)
    }

    /// Whether it is up, by the names of the labs that Docker keeps; those may be up if nobody knows.
    fn is_up(&self, kept: Option<&[String]>) -> bool {
        if self.lab.backend == "docker" { kept.is_none_or(|kept| kept.contains(&self.lab.id)) } else { self.is_alive() }
    }

    fn is_alive(&self) -> bool {
        Owner::parse(&self.lab.owner).is_some_and(|owner| !owner.is_dead(&Owner::me()))
    }

    async fn end(&self) -> Result<(), Failure> {
        #[cfg(feature = "docker")]
        if self.lab.backend == "docker" {
            let removed = crate::lab::docker::remove_kept(&self.lab.id).await;
            removed.map_err(|error| Failure::environment(exit::chain(&error)))?;
            self.remove();
            return Ok(());
        }
        if let Some(owner) = Owner::parse(&self.lab.owner) {
            owner.terminate();
        }
        // The process removes its own files when it ends.
        for _ in 0..50 {
            if !self.path.exists() || !self.is_alive() {
                self.remove();
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::environment(format!("the process that holds {} does not end", self.lab.id)))
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.lab.ca_file);
        let _ = self.lab.certificate_file.as_ref().map(fs::remove_file);
        let _ = self.lab.domain.as_ref().map(|domain| fs::remove_file(&domain.dns_anchor_file));
        let _ = fs::remove_file(&self.path);
    }
}

/// The labs in Docker that no state file tells of: the folder of state files is emptied at logout, containers are not.
async fn orphans() -> Result<Vec<String>, Failure> {
    let known: Vec<String> = State::all().await?.into_iter().map(|state| state.lab.id).collect();
    let mut kept = kept_in_docker().await.unwrap_or_default();
    kept.retain(|id| !known.contains(id));
    Ok(kept)
}

/// The names of the labs that still have a container; none known where no engine tells.
async fn kept_in_docker() -> Option<Vec<String>> {
    #[cfg(feature = "docker")]
    return crate::lab::docker::list_kept().await.ok();
    #[cfg(not(feature = "docker"))]
    None
}

/// A folder of this user alone: the runtime folder, which the system empties, or the cache.
fn folder() -> io::Result<PathBuf> {
    use etcetera::BaseStrategy as _;
    let base = etcetera::choose_base_strategy().map_err(io::Error::other)?;
    let folder = base.runtime_dir().unwrap_or_else(|| base.cache_dir()).join("mtalab").join("labs");
    fs::create_dir_all(&folder).map_err(|error| {
        let place = WireText::from(&*folder.to_string_lossy());
        io::Error::other(format!("{place}: {error}; XDG_RUNTIME_DIR or HOME must be a folder of yours"))
    })?;
    Ok(folder)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
