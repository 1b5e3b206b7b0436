//! `mtalab relay`: stand before a server and make the way to it worse.

use std::process::ExitCode;

use super::{RelayArguments, exit::Failure, inside, out};
use crate::{
    lab::relay::{Relay, RelayOptions},
    scenario::RelayFault,
};

pub(super) async fn run(arguments: RelayArguments) -> Result<ExitCode, Failure> {
    let asa = arguments.asa.then_some(true);
    let fault =
        RelayFault { asa, at: arguments.at, r#do: arguments.r#do, by: arguments.by, with: arguments.with, hides_clients: None };
    let fault = (fault != RelayFault::default()).then_some(fault);
    if let Some(why) = fault.as_ref().and_then(RelayFault::contradiction) {
        return Err(Failure::usage(why.to_owned()));
    }
    let options = RelayOptions {
        round_trip: arguments.round_trip,
        greeting_delay: arguments.greeting_delay,
        drop_hello: arguments.drop_hello,
        total: arguments.total,
        per_minute: arguments.per_minute,
        lower_case: arguments.lower_case,
        fault,
        faulty: 0,
    };
    let listen = arguments.listen;
    let cannot = |error: std::io::Error| Failure::environment(format!("cannot listen on {listen}: {error}"));
    let relay = Relay::bind(listen, arguments.to, options).await.map_err(cannot)?;
    let address = relay.address().map_err(cannot)?;
    out::print(&serde_json::json!({ "address": address, "to": arguments.to }).to_string());
    out::note("Ctrl-C ends it and prints what was counted.");
    let served = tokio::select! {
        served = relay.serve() => served,
        () = inside::ended() => Ok(()),
    };
    let count = relay.count();
    out::print(
        &serde_json::json!({
            "connections": count.accepted, "dropped": count.dropped, "refused": count.refused, "ended-politely": count.ended_politely,
        })
        .to_string(),
    );
    served.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::environment(format!("the relay ended: {error}")))
}
