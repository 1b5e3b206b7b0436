//! `mtalab sink`: a test server with the face of a scenario, that tells how each sender used TLS.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;

use super::{CorpusArguments, Format, exit::Failure, inside, out, up};
use crate::{
    lab::{
        Backend, ServerOrder,
        embedded::{self, Teller, Visited},
    },
    plan::Issuance,
    sink::Guests,
    verify,
    wire::WireText,
};

/// How long one connection may last: senders have minutes for each reply, and this is for one message.
const LIMIT: Duration = Duration::from_secs(300);
/// How many visits are told in one second; more are counted.
const A_SECOND: u32 = 50;

#[derive(Debug, Args)]
pub(super) struct SinkArguments {
    /// The scenario's id.
    scenario: String,
    /// The kind of server; the scenario's first by default.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    corpus: CorpusArguments,
    /// Where to listen; a free port of 127.0.0.1 by default.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Make the keys of this number, so that they are the same every time; anyone who knows it has them.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// End after this time.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    r#for: Option<Duration>,
    /// End after so many connections.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// How to tell.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) async fn run(arguments: SinkArguments) -> Result<ExitCode, Failure> {
    let case = up::case(&arguments.scenario, arguments.kind.as_deref(), &arguments.corpus)?;
    let plan = verify::resolve(&case, Issuance { seed: arguments.seed, ..Issuance::now() }).await?;
    // What senders would do with this face is known by looking at it.
    let looked_at = Backend::Embedded.start(&plan).await.map_err(|error| Failure::environment(super::exit::chain(&error)))?;
    let report = verify::examine(&looked_at, &plan, &case.scenario).await;
    looked_at.stop().await;
    let rows = report?.senders;

    let order = ServerOrder { plan: plan.server.clone(), sources: BTreeMap::new() };
    let (teller, mut visits) = Teller::new(LIMIT);
    let (address, serve) = embedded::listen_and_tell(order, arguments.listen, teller.clone())
        .await
        .map_err(|error| Failure::environment(super::exit::chain(&error)))?;
    out::print(
        &serde_json::json!({ "address": address, "scenario": case.id, "kind": case.kind, "host": plan.server.host }).to_string(),
    );
    out::note("Ctrl-C ends it and tells what each sender did.");
    let mut serve = std::pin::pin!(serve);
    let mut ended = std::pin::pin!(inside::ended());
    let mut over = std::pin::pin!(tokio::time::sleep(arguments.r#for.unwrap_or(Duration::from_secs(86_400 * 365))));
    let (mut guests, mut second, mut told, mut untold, mut all) = (Guests::default(), Instant::now(), 0, 0u64, 0u64);
    loop {
        tokio::select! {
            Some(visited) = visits.recv() => {
                guests.count(&visited);
                all += 1;
                if second.elapsed() >= Duration::from_secs(1) {
                    (second, told) = (Instant::now(), 0);
                }
                if told < A_SECOND {
                    told += 1;
                    out::print(&line(&visited, arguments.format)?);
                } else {
                    untold += 1;
                }
                if arguments.connections.is_some_and(|most| all >= u64::from(most)) {
                    break;
                }
            }
            () = &mut serve => break,
            () = &mut ended => break,
            () = &mut over => break,
        }
    }
    let lost = teller.lost() + untold;
    match arguments.format {
        Format::Json => {
            let senders: Vec<_> = guests
                .by_address
                .iter()
                .map(|(address, guest)| {
                    let alike: Vec<&str> = guest.alike(&rows).iter().map(|row| row.sender).collect();
                    serde_json::json!({ "client": address, "did": guest, "words": guest.words(&rows), "alike": alike })
                })
                .collect();
            out::print(&serde_json::json!({ "senders": senders, "others": guests.others, "not-told": lost }).to_string());
        }
        Format::Text => {
            out::print("");
            for (address, guest) in &guests.by_address {
                let suites: Vec<String> = guest.suites.iter().map(|(suite, times)| format!("{suite} ({times})")).collect();
                let names: Vec<&str> = guest.server_names.iter().map(WireText::as_str).collect();
                let or_none = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
                let lines = [
                    format!("{address} ({}): {}", guest.helo, guest.words(&rows)),
                    format!(
                        "  {} connections, {} handshakes, {} messages inside TLS, {} in the clear",
                        guest.connections, guest.handshakes, guest.messages_in_tls, guest.messages_in_clear
                    ),
                    format!(
                        "  suites: {}; server name: {}; client certificate: {}",
                        or_none(suites),
                        or_none(names.into_iter().map(str::to_owned).collect()),
                        if guest.client_certificate { "shown" } else { "none" }
                    ),
                ];
                out::print(&lines.join("\n"));
            }
            if guests.others + lost > 0 {
                out::print(&format!("{} connections of others, {lost} not told one by one", guests.others));
            }
            out::print("One server sees how a message comes to it, and nothing of the hops before and behind.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One connection.
fn line(visited: &Visited, format: Format) -> Result<String, Failure> {
    if format == Format::Json {
        return serde_json::to_string(visited).map_err(|error| Failure::environment(error.to_string()));
    }
    let tls = match &visited.tls {
        Some(tls) => {
            let name = tls.server_name.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
            format!("{} {}{name}", tls.version, tls.suite)
        }
        None if visited.asked => "TLS failed".to_owned(),
        None if visited.offered => "no TLS asked for".to_owned(),
        None => "no TLS offered".to_owned(),
    };
    let messages = match (visited.messages_in_tls, visited.messages_in_clear) {
        (0, 0) => "nothing delivered".to_owned(),
        (inside, 0) => format!("{inside} delivered inside TLS"),
        (0, clear) => format!("{clear} delivered in the clear"),
        (inside, clear) => format!("{inside} delivered inside TLS, {clear} in the clear"),
    };
    let failure = visited.failure.as_ref().map(|failure| format!("; {failure}")).unwrap_or_default();
    Ok(format!("{} ({}): {tls}; {messages}{failure}", visited.client, visited.helo))
}
