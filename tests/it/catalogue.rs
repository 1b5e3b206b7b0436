//! The catalogue of rules as a whole.

use mtalab::{
    finding::{Practice, Severity},
    rules,
    scenario::Corpus,
    verify,
};

#[test]
fn every_rule_that_warns_or_fails_is_demanded_by_a_scenario() {
    let cases = verify::load(&Corpus::embedded().unwrap(), &[]).unwrap();
    for rule in rules::catalogue() {
        let expected = |case: &&verify::Case| {
            let expect = &case.scenario.expect;
            expect.must.iter().chain(expect.from.values().flat_map(|from| &from.must)).any(|id| id == rule.id)
        };
        assert!(cases.iter().any(|case| expected(&case)), "no scenario says that `{}` must be found", rule.id);
    }
}

#[test]
fn the_five_practices_that_are_judged_have_rules_that_can_fail() {
    for practice in [Practice::PublicCa, Practice::StrongKeys, Practice::Identity, Practice::OpportunisticTls, Practice::Renewal]
    {
        let can_fail = rules::catalogue().iter().any(|rule| rule.practice == practice && rule.severity == Severity::Fail);
        assert!(can_fail, "{practice}");
    }
    assert!(rules::catalogue().len() >= 25);
}
