//! Many checks at a time.
//!
//! ```text
//! cargo bench --bench crowd -- servers [N]          N embedded servers, all checked at once: verdicts per second, memory
//! cargo bench --bench crowd -- bad-ways [N] [TEXT]  N full looks at one server over each bad way: are any statements wrong?
//! cargo bench --bench crowd -- disturbed [N] [TEXT] N scenarios drawn from the corpus, each behind trouble that is drawn, too
//! ```
//!
//! A statement is wrong where it contradicts what the undisturbed way shows, or what the scenario says. "Could not tell" is
//! never wrong.

#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use mtalab::{
    check::{self, CheckOptions},
    facts::{Depth, Observed, Offers, Sni, Taken, Target, Vantage},
    finding::Outcome,
    lab::{
        Backend, Running,
        relay::{Relay, RelayOptions},
    },
    name::Name,
    plan::{Issuance, Plan},
    probe::Patience,
    report::Report,
    rules::policy,
    scenario::{Corpus, DurationText, RelayAction, RelayFault, RelayStage},
    tls::Authentication,
    verify,
};
use rand::random_range;
use time::OffsetDateTime;

const HOST: &str = "mx.lab.test";
/// Disturbed checks that run at a time; each has a server, a relay and few connections.
const AT_ONCE: usize = 1500;
const BAD_WAYS: [&str; 6] = ["1 in 3 dropped", "421 after 20", "10 a minute", "6 s greeting", "10 s greeting", "lower case"];

#[tokio::main]
async fn main() {
    // Cargo adds an argument of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |or| words.get(1).map_or(or, |word| word.parse().expect("a number"));
    match words.first().map(String::as_str) {
        None => servers(1000).await,
        Some("servers") => servers(number(1000)).await,
        Some("bad-ways") => bad_ways(number(1000), words.get(2).map_or("", String::as_str)).await,
        Some("disturbed") => disturbed(number(10_000), words.get(2).map_or("", String::as_str)).await,
        Some(other) => panic!("`{other}` is none of `servers`, `bad-ways` and `disturbed`"),
    }
}

async fn start(scenario: &str) -> (Plan, Running) {
    let cases = verify::load(&Corpus::embedded().expect("the corpus"), &[scenario.to_owned()]).expect("it parses");
    let case = cases.iter().find(|case| case.id == scenario && case.kind == "postfix").expect("it runs as Postfix");
    let plan = verify::resolve(case, Issuance::now()).await.expect("a plan");
    let running = Backend::Embedded.start(&plan).await.expect("it starts");
    (plan, running)
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

async fn look(address: SocketAddr, plan: &Plan, patience: Patience) -> Report {
    let target = Target { name: Name::parse(HOST).expect("a name"), port: 25 };
    let options = CheckOptions {
        stores: vec![plan.trust.clone()],
        now: now(),
        patience,
        pointers: Vec::new(),
        fetching: check::Fetching::default(),
        installed: Vec::new(),
        policy: policy::default(),
    };
    check::check(target, &[address], &[Vantage::default()], &options).await
}

/// A thousand servers in one process, all looked at at once.
async fn servers(count: usize) {
    let idle = memory("VmRSS");
    let started: Vec<_> = stream::iter(0..count).map(|_| start("baseline/good")).buffer_unordered(16).collect().await;
    let (before, begin) = (memory("VmRSS"), Instant::now());
    let looks = started.iter().map(|(plan, running)| look(running.address, plan, Patience::default()));
    let reports = futures::future::join_all(looks).await;
    let seconds = begin.elapsed().as_secs_f64();
    let clean = reports.iter().filter(|report| report.findings.is_empty()).count();
    assert_eq!(clean, count, "every one of them is good");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let per = |kilobytes: u64| kilobytes.to_string() + " kB";
    let count_u64 = u64::try_from(count).expect("it fits");
    println!("{count} embedded servers, checked at once on {cores} cores, servers and checks in one process");
    println!("  verdicts per second and core   {:.0}", count as f64 / seconds / cores as f64);
    println!("  memory per server              {}", per((before - idle) / count_u64));
    println!("  memory per target in flight    {}", per((memory("VmHWM").max(before) - before) / count_u64));
    for (_, running) in started {
        running.stop().await;
    }
}

/// A figure of this process in kilobytes, as Linux gives it.
fn memory(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(figure)).expect("a figure of proc(5)");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

async fn bad_ways(runs: usize, only: &str) {
    let (plan, running) = start("tls/stock-postfix").await;
    let full = || Patience { depth: Depth::Full, ..Patience::default() };
    let truth = look(running.address, &plan, full()).await;
    for way in BAD_WAYS.into_iter().filter(|way| way.contains(only)) {
        let options = match way {
            "1 in 3 dropped" => RelayOptions { drop_hello: 3, ..RelayOptions::default() },
            "421 after 20" => RelayOptions { total: 20, ..RelayOptions::default() },
            "10 a minute" => RelayOptions { per_minute: 10, ..RelayOptions::default() },
            "6 s greeting" => RelayOptions { greeting_delay: Duration::from_secs(6), ..RelayOptions::default() },
            "10 s greeting" => RelayOptions { greeting_delay: Duration::from_secs(10), ..RelayOptions::default() },
            _ => RelayOptions { lower_case: true, ..RelayOptions::default() },
        };
        // Where waiting is all that is done, all wait at once.
        let at_once = if options.greeting_delay.is_zero() && options.per_minute == 0 && options.total == 0 { 64 } else { runs };
        let begin = Instant::now();
        let plan = &plan;
        let looks = stream::iter(0..runs).map(|_| async {
            let relay =
                Relay::bind(SocketAddr::from(([127, 0, 0, 1], 0)), running.address, options.clone()).await.expect("a relay");
            let address = relay.address().expect("an address");
            tokio::select! {
                served = relay.serve() => panic!("the relay ended: {served:?}"),
                report = look(address, plan, full()) => report,
            }
        });
        let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
        let (mut statements, mut unsure, mut connections) = (0, 0, 0);
        let mut looks = looks.buffer_unordered(at_once.max(1));
        while let Some(report) = looks.next().await {
            let compared = compare(&truth, &report);
            statements += compared.statements;
            unsure += compared.unsure;
            connections += report.facts.views[0].connections;
            for what in compared.wrong {
                *wrong.entry(what).or_default() += 1;
            }
        }
        println!(
            "{way:<15}  {runs} runs, {} connections each, {:.0} s: {} statements each, {} unsure, {} wrong",
            connections as usize / runs.max(1),
            begin.elapsed().as_secs_f64(),
            statements / runs.max(1),
            unsure / runs.max(1),
            wrong.values().sum::<usize>()
        );
        for (what, times) in wrong {
            println!("    {times} times: {what}");
        }
    }
    running.stop().await;
}

/// Trouble that tells nothing about the server: what passes late, in pieces, or not at all.
fn trouble() -> RelayOptions {
    let round_trip = Duration::from_millis(random_range(0..3) * 10);
    let way = RelayOptions { round_trip, ..RelayOptions::default() };
    match random_range(0..9) {
        0 => RelayOptions { drop_hello: random_range(2..6), ..way },
        1 => RelayOptions { total: random_range(1..30), ..way },
        kind => {
            let stage = match random_range(0..4) {
                0 => RelayStage::Greeting,
                1 => RelayStage::Ehlo(random_range(1..7)),
                2 => RelayStage::Starttls,
                _ => RelayStage::Record(random_range(1..5)),
            };
            // What only takes longer may happen each time; what is lost each time cannot be told from a server that does it.
            let (action, faulty) = match (kind, stage) {
                (2, _) => (RelayAction::Delay, random_range(1..4)),
                // Drop by drop a record takes minutes, and a greeting so long that it is too slow indeed.
                (3, _) | (4, RelayStage::Record(_) | RelayStage::Greeting) => (RelayAction::Split, random_range(1..4)),
                (4, _) => (RelayAction::Drip, random_range(1..4)),
                (5 | 6, _) => (RelayAction::Close, random_range(2..6)),
                _ => (RelayAction::Reset, random_range(2..6)),
            };
            let by = DurationText(Duration::from_millis(random_range(50..500)));
            let fault = RelayFault { at: Some(stage), r#do: Some(action), by: Some(by), ..RelayFault::default() };
            RelayOptions { fault: Some(fault), faulty, ..RelayOptions::default() }
        }
    }
}

async fn disturbed(count: usize, only: &str) {
    let cases = verify::load(&Corpus::embedded().expect("the corpus"), &[]).expect("it parses");
    // Behind a relay every vantage point is one, and of a domain only a server is looked at.
    let is_meant =
        |case: &verify::Case| case.scenario.vantage.len() < 2 && case.scenario.domain.is_none() && case.id.contains(only);
    let cases: Vec<_> = cases.into_iter().filter(is_meant).collect();
    let begin = Instant::now();
    let runs = stream::iter(0..count).map(|_| async {
        let (case, way) = (&cases[random_range(0..cases.len())], trouble());
        let outcome = verify::disturb(case, &Backend::Embedded, Issuance::now(), way.clone()).await.expect("it runs");
        (format!("{} as {}", case.id, case.kind), way, outcome)
    });
    // Most of the time of most of them is waiting.
    let mut runs = runs.buffer_unordered(AT_ONCE);
    let (mut done, mut verdicts, mut open, mut connections, mut wrong) = (0, 0, 0, 0, 0);
    while let Some((case, way, outcome)) = runs.next().await {
        let Some(outcome) = outcome else { continue };
        done += 1;
        if done % 500 == 0 {
            println!("{done} checks, {:.0} s", begin.elapsed().as_secs_f64());
        }
        verdicts += outcome.verdicts;
        open += outcome.inconclusive;
        connections += outcome.connections as usize;
        // Behind trouble, and beside so many others, a greeting may indeed be late.
        let contradictions = outcome.contradictions.into_iter().filter(|what| !what.starts_with("`slow-greeting`"));
        for contradiction in contradictions {
            wrong += 1;
            println!("    {case}: {contradiction}\n        {way:?}");
        }
    }
    println!(
        "{done} checks, {:.0} s, {:.1} connections each: {verdicts} verdicts that the scenarios know, {open} of them left open, {wrong} wrong statements",
        begin.elapsed().as_secs_f64(),
        connections as f64 / done.max(1) as f64
    );
}

#[derive(Default)]
struct Compared {
    statements: usize,
    unsure: usize,
    wrong: Vec<String>,
}

impl Compared {
    fn is(&mut self, what: impl Into<String>, is_right: bool) {
        self.statements += 1;
        if !is_right {
            self.wrong.push(what.into());
        }
    }

    /// What was seen must be what the truth shows.
    fn seen<T: PartialEq + Debug>(&mut self, what: &str, truth: &Observed<T>, seen: &Observed<T>) {
        match seen {
            Observed::Seen(said) => self.is(format!("{what}: {said:?}"), truth.seen() == Some(said)),
            _ if truth.seen().is_some() => self.unsure += 1,
            _ => {}
        }
    }

    /// What was taken is in the true list, and a list that is said to be complete is.
    fn taken<T: PartialEq + Debug, L>(&mut self, what: &str, truth: &Taken<T, L>, taken: &Taken<T, L>) {
        for item in &taken.accepted {
            self.is(format!("{what}: takes {item:?}"), truth.accepted.contains(item));
        }
        if taken.complete.is_empty() {
            self.unsure += 1;
        } else {
            let is_complete = truth.accepted.iter().all(|item| taken.accepted.contains(item));
            self.is(format!("{what}: a list is complete that is not"), is_complete);
        }
    }
}

fn compare(truth: &Report, report: &Report) -> Compared {
    let mut compared = Compared::default();
    let verdicts: HashMap<_, _> = truth.outcomes.iter().map(|(rule, outcome)| (rule.id, outcome)).collect();
    for (rule, outcome) in &report.outcomes {
        match outcome {
            Outcome::Passed(_) => compared.is(format!("{} passed", rule.id), !matches!(verdicts[rule.id], Outcome::Violated(_))),
            Outcome::Violated(_) => {
                compared.is(format!("{} violated", rule.id), matches!(verdicts[rule.id], Outcome::Violated(_)))
            }
            Outcome::Undetermined(_) => compared.unsure += 1,
            Outcome::NotApplicable(_) => {}
        }
    }
    let (true_view, view) = (&truth.facts.views[0], &report.facts.views[0]);
    let keywords = |view: &mtalab::facts::View| view.session.ehlo.seen().map(|ehlo| ehlo.offers("STARTTLS"));
    if let Some(said) = keywords(view) {
        compared.is("EHLO offers STARTTLS", keywords(true_view) == Some(said));
    }
    let (Some(true_offers), Some(offers)) = (true_view.offers.seen(), view.offers.seen()) else {
        compared.unsure += 1;
        return compared;
    };
    compare_offers(&mut compared, true_offers, offers);
    compared
}

fn compare_offers(compared: &mut Compared, truth: &Offers, offers: &Offers) {
    for (truth, offer) in truth.versions.iter().zip(&offers.versions) {
        let version = offer.version;
        compared.seen(&format!("{version}"), &truth.answer, &offer.answer);
        compared.taken(&format!("suites of {version}"), &truth.suites, &offer.suites);
        compared.seen(&format!("preference in {version}"), &truth.preference, &offer.preference);
    }
    compared.taken("groups", &truth.groups, &offers.groups);
    compared.taken("curves", &truth.curves, &offers.curves);
    compared.taken("schemes", &truth.schemes, &offers.schemes);
    compared.seen("features", &truth.features, &offers.features);
    compared.seen("ALPN", &truth.alpn, &offers.alpn);
    compared.seen("intolerance", &truth.intolerance, &offers.intolerance);
    compared.seen("client certificate", &truth.client_certificate, &offers.client_certificate);
    let key = |kind: Authentication, sni: Sni| format!("certificate, {kind:?}, {sni:?}");
    for chain in &offers.chains {
        let known = truth.chains.iter().find(|known| (known.authentication, known.sni) == (chain.authentication, chain.sni));
        if let (Some(known), Observed::Seen(certificates)) = (known, &chain.certificates) {
            let is_right = known.certificates.seen().is_some_and(|known| known == certificates);
            compared.is(key(chain.authentication, chain.sni), is_right);
        }
    }
}
