//! When what ends, and what breaks then.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::last_root;
use crate::{
    facts::Certificate,
    rules::{
        Context, certificate_text,
        path::{self, End, Judgement, Relation},
    },
    wire::WireText,
};

/// One certificate and its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Ending {
    /// The last moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub at: OffsetDateTime,
    /// Whole days left; negative where it has been over for a day or more.
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
        let mut add = |certificate: &Certificate, what: String, breaks| {
            let Ok(details) = certificate.details() else { return };
            let days_left = (details.not_after - context.now).whole_days();
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
                _ if is_replaced(context, chain.certificates, judgement, *index) => "GnuTLS refuses the path",
                _ => "the whole path is refused",
            };
            add(&chain.certificates[*index], what, breaks);
        }
        if let (Some(_), Some(anchor)) = (judgement.anchor_above(chain.certificates), last_root(context, judgement)) {
            let what = if path::is_self_signed(&anchor) { "the root in the trust store" } else { "the trust anchor" };
            add(&anchor, what.to_owned(), "OpenSSL and Schannel refuse it");
        }
    }
    endings.sort();
    endings
}

/// Whether another certificate of an intermediate was sent that carries the path on when this one ends. OpenSSL and rustls
/// take the one that is valid, GnuTLS 3.7 the one that was sent first (`certtool --verify`).
fn is_replaced(context: &Context, chain: &[Certificate], judgement: &Judgement, index: usize) -> bool {
    let Ok(ended) = chain[index].details() else { return false };
    let is_next = |other: &usize| {
        chain[*other]
            .details()
            .is_ok_and(|d| d.subject == ended.subject && d.key.sha256 == ended.key.sha256 && d.not_after > ended.not_after)
    };
    let mut others = judgement.extra.iter().filter(|(_, relation)| *relation == Relation::Alternative).map(|(other, _)| other);
    if !others.any(is_next) {
        return false;
    }
    let left: Vec<Certificate> = chain.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, left)| left.clone()).collect();
    let then = ended.not_after + Duration::SECOND;
    let without = path::judge(&left, context.stores, then);
    let is_valid = |certificate: &Certificate| certificate.details().is_ok_and(|d| d.not_before <= then && then <= d.not_after);
    let is_trusted = matches!(without.end, End::Trusted { .. }) && without.misled.is_none();
    is_trusted && without.intermediates().iter().all(|index| is_valid(&left[*index]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{NOW, World};

    fn breaks(world: &World) -> Vec<(i64, String, &'static str)> {
        let facts = world.facts(1);
        let endings = endings(&world.context(&facts));
        endings.into_iter().map(|ending| (ending.days_left, ending.certificate.as_str().to_owned(), ending.breaks)).collect()
    }

    #[test]
    fn an_intermediate_that_is_sent_anew_breaks_less() {
        let mut world = World::correct();
        let soon = world.root.certify_until(&world.issuing, NOW + Duration::days(20));
        world.chain.insert(1, soon);
        let what = "certificate 2 (CN=Issuing CA)".to_owned();
        assert_eq!(breaks(&world)[0], (20, what.clone(), "GnuTLS refuses the path"));
        world.chain.truncate(2);
        assert_eq!(breaks(&world)[0], (20, what, "the whole path is refused"));
    }

    #[test]
    fn of_several_certificates_of_a_root_the_last_counts() {
        let mut world = World::correct();
        world.stores[0].anchors.insert(0, world.root.until(NOW + Duration::days(20)).der().to_vec().into());
        assert_eq!(breaks(&world).last().unwrap().0, 3000);
        assert_eq!(breaks(&world).len(), 3);
    }

    /// It is told of once where it was sent.
    #[test]
    fn an_intermediate_in_the_store_is_no_root() {
        let mut world = World::correct();
        world.stores[0].anchors = vec![world.issuing.certificate.der().to_vec().into()];
        assert_eq!(breaks(&world).len(), 2);
        world.chain.truncate(1);
        assert_eq!(breaks(&world)[1].1, "the trust anchor");
    }

    #[test]
    fn a_day_that_has_gone_by_is_counted_as_elsewhere() {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(|params| params.not_after = NOW - Duration::hours(36));
        assert_eq!(breaks(&world)[0].0, -1);
    }

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
