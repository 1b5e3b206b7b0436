//! What is made from a seed is the same every time.

use mtalab::{
    plan::{Issuance, Plan},
    scenario::Corpus,
    verify::{self, Case},
};
use time::macros::datetime;

/// All that a plan has of certificates and keys, and what the CA publishes.
fn made(case: &Case, seed: u64) -> String {
    let issuance = Issuance { now: datetime!(2026-03-01 12:00 UTC), seed: Some(seed) };
    let plan = Plan::resolve(&case.id, &case.scenario, &case.kind, issuance).unwrap();
    let server = serde_json::to_string(&plan.server).unwrap();
    assert!(server.contains("BEGIN PRIVATE KEY"));
    format!("{server} {:?} {:?} {:?}", plan.trust, plan.publication, plan.installed)
}

#[test]
fn the_same_seed_makes_the_same_and_another_another() {
    // Few RSA keys: they are slow to make.
    let selected = [
        "baseline/ecdsa",
        "baseline/ecdsa-p384",
        "baseline/ecdsa-p521",
        "baseline/ed25519",
        "baseline/pss-signature",
        "certificate/rsa-512",
        "certificate/ecdsa-p224",
        "certificate/circle",
        "certificate/version-1",
        "revocation/revoked-by-both",
    ];
    for case in verify::load(&Corpus::embedded().unwrap(), &selected.map(str::to_owned)).unwrap() {
        assert_eq!(made(&case, 7), made(&case, 7), "{}", case.id);
        assert_ne!(made(&case, 7), made(&case, 8), "{}", case.id);
    }
}
