//! What the rules about policies have in common.

use std::fmt::Display;

use crate::rules::{
    Outcome, Severity, Violation, listed,
    policy::{Policy, Standing},
};

/// The policy has no list of these things.
pub fn not_judged(policy: &Policy, things: &str) -> Outcome {
    Outcome::NotApplicable(format!("the policy {} lists no {things}", policy.name))
}

/// The violation of what must not be used, and the milder one of what is to be phased out; none where all is accepted.
pub fn graded<T: Display>(items: impl Iterator<Item = (Standing, T)>, policy: &Policy, verb: &str) -> Option<Outcome> {
    /// How many are named in the message, and how many in the evidence.
    const MOST: (usize, usize) = (3, 60);
    let (mut outside, mut old) = (Vec::new(), Vec::new());
    for (standing, item) in items {
        match standing {
            Standing::Accepted => {}
            Standing::PhaseOut => old.push(item),
            Standing::Outside => outside.push(item),
        }
    }
    let violation = |items: &[T], what: &str| {
        (!items.is_empty()).then(|| {
            let message = format!("the server {verb} {}, which {} {what}", listed(items.iter(), MOST.0, ", "), policy.name);
            let all = items.iter().take(MOST.1).filter(|_| items.len() > MOST.0);
            all.fold(Violation::new(message), |violation, item| violation.evidence(item.to_string()))
        })
    };
    let old = violation(&old, "phases out").map(|violation| violation.graded(Severity::Warn));
    let violations: Vec<Violation> = violation(&outside, "does not allow").into_iter().chain(old).collect();
    (!violations.is_empty()).then_some(Outcome::Violated(violations))
}
