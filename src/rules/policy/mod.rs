//! Policies: what guidelines make of the same facts. They disagree, so each is data with a name and a source,
//! and a report says which one spoke.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use super::Rule;
use crate::{
    finding::Severity,
    nearest::nearest,
    tls::{Group, SignatureScheme, Suite, Version},
};

/// What one guideline makes of what was seen.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policy {
    /// The kebab-case name, as `--policy` takes it.
    pub name: String,
    /// What it is, in a line.
    pub title: String,
    /// Where it comes from.
    pub source: String,
    /// What it makes of rules that it judges otherwise than they do themselves.
    #[serde(default)]
    severity: BTreeMap<String, Grade>,
    /// The protocol versions that it has an opinion on.
    pub versions: Option<List<Version>>,
    /// The cipher suites.
    pub suites: Option<List<Suite>>,
    /// The key exchange groups.
    pub groups: Option<List<Group>>,
    /// The keys of certificates.
    pub keys: Option<Keys>,
    /// How certificates are signed: the usual names of the algorithms.
    pub signatures: Option<List<String>>,
    /// How key exchanges are signed in TLS 1.2.
    pub schemes: Option<List<SignatureScheme>>,
    /// How long the server's certificate may be valid, in days.
    pub days_valid: Option<i64>,
}

/// What a policy makes of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// The practice fails.
    Fail,
    /// The practice warns.
    Warn,
    /// The practice still passes.
    Notice,
    /// Nothing: the rule does not speak.
    Off,
}

impl Grade {
    /// The severity; none where the rule does not speak.
    pub fn severity(self) -> Option<Severity> {
        match self {
            Self::Fail => Some(Severity::Fail),
            Self::Warn => Some(Severity::Warn),
            Self::Notice => Some(Severity::Notice),
            Self::Off => None,
        }
    }
}

/// What may be used, and for how long; what is in neither list must not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct List<T> {
    /// May be used.
    pub accepted: Vec<T>,
    /// May be used for now.
    #[serde(default = "Vec::new")]
    pub phase_out: Vec<T>,
}

/// Where a thing stands in a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be used.
    Accepted,
    /// It may be used for now.
    PhaseOut,
    /// It must not.
    Outside,
}

impl<T: PartialEq> List<T> {
    /// Where this item stands.
    pub fn standing(&self, item: &T) -> Standing {
        match (self.accepted.contains(item), self.phase_out.contains(item)) {
            (true, _) => Standing::Accepted,
            (_, true) => Standing::PhaseOut,
            _ => Standing::Outside,
        }
    }
}

/// What a policy says of the keys of certificates.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Keys {
    /// The smallest RSA modulus.
    pub rsa: Bits,
    /// The curves, by their usual names; `Ed25519` and `Ed448` stand for themselves.
    pub curves: List<String>,
}

/// The smallest size, in bits.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bits {
    /// From here on it may be used.
    pub accepted: usize,
    /// From here on it may be used for now.
    pub phase_out: Option<usize>,
}

impl Bits {
    /// Where this size stands.
    pub fn standing(&self, bits: usize) -> Standing {
        if bits >= self.accepted {
            Standing::Accepted
        } else if self.phase_out.is_some_and(|least| bits >= least) {
            Standing::PhaseOut
        } else {
            Standing::Outside
        }
    }
}

impl Policy {
    /// What it makes of a violation of that rule; none where it has switched the rule off.
    pub fn severity(&self, rule: &Rule) -> Option<Severity> {
        self.severity.get(rule.id).map_or(Some(rule.severity), |grade| grade.severity())
    }

    /// What it makes of that rule, where this is not what the rule says itself.
    pub fn change(&self, rule: &Rule) -> Option<Grade> {
        self.severity.get(rule.id).copied()
    }
}

/// All of them, the default first.
pub fn all() -> &'static [Policy] {
    const FILES: [&str; 3] =
        [include_str!("mtalab.toml"), include_str!("ncsc-nl-2025.toml"), include_str!("mozilla-intermediate.toml")];
    #[expect(clippy::expect_used, reason = "the files are part of the program, and a test reads them")]
    static ALL: LazyLock<Vec<Policy>> = LazyLock::new(|| {
        FILES.iter().map(|text| toml::from_str(text).expect("a policy that is compiled in can be read")).collect()
    });
    &ALL
}

/// The one that judges where no other is asked for: the seven practices.
pub fn default() -> &'static Policy {
    &all()[0]
}

/// The policy of that name; in an error, the name that was probably meant.
pub fn find(name: &str) -> Result<&'static Policy, UnknownPolicy> {
    all().iter().find(|policy| policy.name == name).ok_or_else(|| {
        let nearest = nearest(name, all().iter().map(|policy| policy.name.as_str()));
        UnknownPolicy { name: crate::wire::WireText::from(name).to_string(), nearest }
    })
}

/// There is no such policy. The user is at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy `{name}`{}\n`mtalab policies` lists all of them", .nearest.map(|name| format!(". Did you mean `{name}`?")).unwrap_or_default())]
pub struct UnknownPolicy {
    name: String,
    nearest: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules;

    #[test]
    fn every_policy_can_be_read_and_speaks_of_rules_that_exist() {
        assert_eq!(default().name, "mtalab");
        for policy in all() {
            assert!(!policy.title.is_empty() && !policy.source.is_empty(), "{}", policy.name);
            assert!(std::ptr::eq(find(&policy.name).unwrap(), policy));
            for (id, grade) in &policy.severity {
                let rule = rules::find(id).unwrap_or_else(|| panic!("{}: there is no rule `{id}`", policy.name));
                assert_ne!(grade.severity(), Some(rule.severity), "{}: `{id}` is that already", policy.name);
            }
        }
    }

    /// What is listed has a name in the registries, and stands in one list only.
    #[test]
    fn the_lists_are_of_known_things() {
        fn apart<T: PartialEq + std::fmt::Debug>(list: &List<T>) {
            assert!(list.accepted.iter().all(|item| !list.phase_out.contains(item)), "{list:?}");
        }
        for policy in all() {
            if let Some(suites) = &policy.suites {
                assert!(suites.accepted.iter().chain(&suites.phase_out).all(|suite| suite.name().is_some()));
                apart(suites);
            }
            if let Some(groups) = &policy.groups {
                assert!(groups.accepted.iter().chain(&groups.phase_out).all(|group| group.name().is_some()));
                apart(groups);
            }
            if let Some(schemes) = &policy.schemes {
                assert!(schemes.accepted.iter().chain(&schemes.phase_out).all(|scheme| scheme.name().is_some()));
                apart(schemes);
            }
            if let Some(signatures) = &policy.signatures {
                apart(signatures);
            }
        }
    }

    #[test]
    fn the_default_changes_nothing() {
        assert!(rules::catalogue().iter().all(|rule| default().severity(rule) == Some(rule.severity)));
        assert!(default().versions.is_none() && default().suites.is_none() && default().keys.is_none());
    }

    #[rstest]
    #[case(3072, Standing::Accepted)]
    #[case(3071, Standing::PhaseOut)]
    #[case(2048, Standing::PhaseOut)]
    #[case(2047, Standing::Outside)]
    fn sizes_are_told_apart(#[case] bits: usize, #[case] standing: Standing) {
        let policy = find("ncsc-nl-2025").unwrap();
        assert_eq!(policy.keys.as_ref().unwrap().rsa.standing(bits), standing);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = find("ncsc-nl").unwrap_err().to_string();
        assert_eq!(error, "there is no policy `ncsc-nl`. Did you mean `ncsc-nl-2025`?\n`mtalab policies` lists all of them");
    }
}
