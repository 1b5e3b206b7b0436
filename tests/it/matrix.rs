//! Every rule meets every scenario: one snapshot shows what each rule says of each. A rule that
//! suddenly fires elsewhere is seen here before anyone believes it.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use mtalab::{
    finding::Outcome,
    lab::Backend,
    plan::Issuance,
    rules,
    scenario::Corpus,
    verify::{self, CaseOutcome},
};

fn mark(outcome: &Outcome) -> char {
    match outcome {
        Outcome::Passed(_) => '.',
        Outcome::NotApplicable(_) => '-',
        Outcome::Undetermined(_) => '?',
        Outcome::Violated(_) => 'X',
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_meets_every_scenario() {
    let cases = verify::load(&Corpus::embedded().unwrap(), &[]).unwrap();
    let mut rows = Vec::new();
    verify::run(cases, &Arc::new(Backend::Embedded), 16, Issuance::now(), |case, outcome| {
        let (CaseOutcome::Passed(seen) | CaseOutcome::Failed { seen, .. }) = outcome else {
            panic!("{}@{} was not judged: {outcome:?}", case.id, case.kind)
        };
        let marks = seen.report.outcomes().map(|outcome| outcome.map_or(' ', mark)).collect::<String>();
        rows.push((format!("{}@{}", case.id, case.kind), marks));
    })
    .await;
    rows.sort();

    // Each rule has a scenario that violates it, and the baselines violate none.
    let catalogue = rules::catalogue();
    let tripped: BTreeSet<_> =
        (0..catalogue.len()).filter(|i| rows.iter().any(|(_, marks)| marks.as_bytes()[*i] == b'X')).collect();
    let untripped: Vec<_> = (0..catalogue.len()).filter(|i| !tripped.contains(i)).map(|i| catalogue[i].id).collect();
    assert!(untripped.is_empty(), "no scenario trips {untripped:?}");
    for (case, marks) in rows.iter().filter(|(case, _)| case.starts_with("baseline/")) {
        assert!(!marks.contains('X'), "{case} is not green");
    }

    let width = rows.iter().map(|(case, _)| case.len()).max().unwrap();
    let mut table = String::from("X violated, . passed, ? could not tell, - does not apply\n\n");
    for (i, rule) in catalogue.iter().enumerate() {
        let _ = writeln!(table, "{:width$} {}{}", "", "|".repeat(i), rule.id);
    }
    for (case, marks) in &rows {
        let _ = writeln!(table, "{case:width$} {marks}");
    }
    insta::assert_snapshot!("rule_x_scenario", table);
}
