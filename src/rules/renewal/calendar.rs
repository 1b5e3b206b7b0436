//! When what ends, and what breaks then.

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    rules::{Context, certificate_text},
    wire::WireText,
};

/// One certificate and its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Ending {
    /// The last moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub at: OffsetDateTime,
    /// Whole days left; negative where it is over.
    pub days_left: i64,
    /// Which certificate.
    pub certificate: WireText,
    /// What breaks then.
    pub breaks: &'static str,
}

/// The ends of the server's certificates, of the intermediates of their paths and of the root, the soonest first.
pub fn endings(context: &Context) -> Vec<Ending> {
    let mut endings = Vec::new();
    for chain in context.chains.iter().flatten() {
        let Some(judgement) = chain.judged(context) else { continue };
        let mut add = |certificate: &crate::facts::Certificate, what: String, breaks| {
            let Ok(details) = certificate.details() else { return };
            let days_left = (details.not_after - context.now).whole_seconds().div_euclid(24 * 60 * 60);
            let ending = Ending { at: details.not_after, days_left, certificate: WireText::from(what), breaks };
            if !endings.contains(&ending) {
                endings.push(ending);
            }
        };
        for index in &judgement.path {
            let label = chain.label().filter(|_| *index == 0).map(|label| format!("the {label}"));
            let what = label.unwrap_or_else(|| certificate_text(chain.certificates, *index));
            let breaks = match index {
                0 => "senders that verify defer mail",
                _ => "the whole path is refused",
            };
            add(&chain.certificates[*index], what, breaks);
        }
        if let Some(anchor) = &judgement.anchor {
            add(anchor, "the root in the trust store".to_owned(), "OpenSSL and Schannel refuse it");
        }
    }
    endings.sort();
    endings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::World;

    #[test]
    fn the_soonest_comes_first_and_each_once() {
        let world = World::correct();
        let facts = world.facts(2);
        let endings = endings(&world.context(&facts));
        let shown: Vec<_> = endings.iter().map(|ending| (ending.days_left, ending.certificate.as_str())).collect();
        assert_eq!(
            shown,
            [(60, "the server's certificate"), (1000, "certificate 2 (CN=Issuing CA)"), (3000, "the root in the trust store")]
        );
    }
}
