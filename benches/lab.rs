//! What a scenario costs on the embedded backend, and where: `cargo bench`.

use std::sync::Arc;

use divan::Bencher;
use mtalab::{
    check,
    lab::Backend,
    plan::{Issuance, Plan},
    scenario::Corpus,
    verify::{self, Case, CaseOutcome},
};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn case(id: &str) -> Case {
    let cases = verify::load(&Corpus::embedded().expect("the corpus"), &[id.to_owned()]).expect("it parses");
    cases.into_iter().find(|case| case.kind == "postfix").expect("it runs as Postfix")
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Reading and validating all scenario files.
#[divan::bench]
fn parse_the_corpus() -> usize {
    verify::load(&Corpus::embedded().expect("the corpus"), &[]).expect("it parses").len()
}

/// Certificates and keys, the keys from the cache.
#[divan::bench(args = ["baseline/good", "baseline/ecdsa", "certificate/rsa-1024", "certificate/sha1"])]
fn resolve(bencher: Bencher, id: &str) {
    let case = case(id);
    bencher.bench(|| Plan::resolve(&case.id, &case.scenario, &case.kind, Issuance::now()).expect("a plan"));
}

/// Start, one whole dialog with TLS, judgement, comparison, stop.
#[divan::bench(args = ["baseline/good", "baseline/ecdsa", "certificate/rsa-1024", "starttls/off", "vantage/the-story"])]
fn one_scenario(bencher: Bencher, id: &str) {
    let (runtime, case) = (Runtime::new().expect("a runtime"), case(id));
    bencher.bench(|| {
        let outcome = runtime.block_on(verify::run_case(&case, &Backend::Embedded, Issuance::now()));
        assert!(matches!(outcome, CaseOutcome::Passed(_)));
    });
}

/// The rules alone, over facts that were seen once.
#[divan::bench]
fn judge(bencher: Bencher) {
    let (runtime, case) = (Runtime::new().expect("a runtime"), case("baseline/good"));
    let CaseOutcome::Passed(seen) = runtime.block_on(verify::run_case(&case, &Backend::Embedded, Issuance::now())) else {
        panic!("the baseline passes")
    };
    let plan = Plan::resolve(&case.id, &case.scenario, &case.kind, Issuance::now()).expect("a plan");
    let stores = [plan.trust];
    bencher.bench(|| check::judge(seen.report.server().expect("a server").facts.clone(), &stores, now()));
}

/// Thirty scenarios side by side, as `mtalab run` does it.
#[divan::bench(sample_count = 20)]
fn thirty_scenarios(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let all = verify::load(&Corpus::embedded().expect("the corpus"), &[]).expect("it parses");
    let cases: Vec<_> = all.into_iter().filter(|case| case.kind == "postfix").take(30).collect();
    assert_eq!(cases.len(), 30);
    let backend = Arc::new(Backend::Embedded);
    bencher.bench(|| {
        let mut passed = 0;
        let count = |_: &Case, outcome| passed += usize::from(matches!(outcome, CaseOutcome::Passed(_)));
        runtime.block_on(verify::run(cases.clone(), &backend, 16, Issuance::now(), count));
        assert_eq!(passed, 30);
    });
}
