//! When what ends, and what breaks then.

use std::net::SocketAddr;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::last_root;
use crate::{
    facts::{Certificate, View},
    rules::{
        Chain, Context, certificate_text,
        path::{self, End, Judgement, Relation},
    },
    trust::TrustStore,
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

/// What a certificate is on its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateRole {
    /// The server's own.
    EndEntity,
    /// A CA's, between the server's and the trust anchor.
    Intermediate,
    /// The one in the trust store that the path ends at.
    TrustAnchor,
}

impl CertificateRole {
    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndEntity => "end-entity",
            Self::Intermediate => "intermediate",
            Self::TrustAnchor => "trust-anchor",
        }
    }
}

/// A certificate of a path whose end is worth knowing.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it is.
    pub role: CertificateRole,
    /// How far it is above the server's own.
    pub depth: usize,
    /// Which certificate, in words.
    pub what: String,
    /// The certificate.
    pub certificate: Certificate,
    /// What breaks at its end.
    pub breaks: &'static str,
}

/// A path that was seen: where, and which of several certificates of a server it is of.
#[derive(Clone, Debug)]
pub struct SeenPath {
    /// The address that it was seen at.
    pub address: SocketAddr,
    /// `RSA certificate` for example; none where the server has one only.
    pub kind: Option<String>,
    /// The server's certificate first, the trust anchor last where it was not sent.
    pub links: Vec<Link>,
}

/// The paths of a server's certificates as each address showed them.
pub fn seen_paths(context: &Context) -> Vec<SeenPath> {
    let of_view = |(view, chains): (&View, &'_ Vec<Chain>)| {
        let of_chain = |chain: &Chain| {
            let judgement = chain.judged(context)?;
            let label = chain.label().map(|label| format!("the {label}"));
            let mut links = links(context.stores, chain.certificates, judgement, "senders that verify defer mail");
            if let (Some(label), Some(first)) = (label, links.first_mut()) {
                first.what = label;
            }
            Some(SeenPath { address: view.address, kind: chain.label().map(str::to_owned), links })
        };
        chains.iter().filter_map(of_chain).collect::<Vec<_>>()
    };
    context.facts.views.iter().zip(&context.chains).flat_map(of_view).collect()
}

/// The certificates of the path of any chain; what breaks with the first of them is said by who knows what it is for.
pub fn path_links(chain: &[Certificate], stores: &[TrustStore], now: OffsetDateTime, breaks: &'static str) -> Vec<Link> {
    if chain.is_empty() {
        return Vec::new();
    }
    links(stores, chain, &path::judge(chain, stores, now), breaks)
}

fn links(stores: &[TrustStore], chain: &[Certificate], judgement: &Judgement, first_breaks: &'static str) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (depth, index) in judgement.path.iter().enumerate() {
        let (role, breaks) = match index {
            0 => (CertificateRole::EndEntity, first_breaks),
            _ if is_replaced(stores, chain, judgement, *index) => (CertificateRole::Intermediate, "GnuTLS refuses the path"),
            _ => (CertificateRole::Intermediate, "the whole path is refused"),
        };
        links.push(Link { role, depth, what: certificate_text(chain, *index), certificate: chain[*index].clone(), breaks });
    }
    if let (Some(_), Some(anchor)) = (judgement.anchor_above(chain), last_root(stores, judgement)) {
        let what = if path::is_self_signed(&anchor) { "the root in the trust store" } else { "the trust anchor" };
        let (role, breaks) = (CertificateRole::TrustAnchor, "OpenSSL and Schannel refuse it");
        links.push(Link { role, depth: links.len(), what: what.to_owned(), certificate: anchor, breaks });
    }
    links
}

/// The ends of the server's certificates, of the intermediates of their paths and of the root, the soonest first.
pub fn endings(context: &Context) -> Vec<Ending> {
    let mut endings = Vec::new();
    for link in seen_paths(context).into_iter().flat_map(|path| path.links) {
        let Ok(details) = link.certificate.details() else { continue };
        let days_left = (details.not_after - context.now).whole_days();
        let ending = Ending { at: details.not_after, days_left, certificate: WireText::from(link.what), breaks: link.breaks };
        if !endings.contains(&ending) {
            endings.push(ending);
        }
    }
    endings.sort();
    endings
}

/// Whether another certificate of an intermediate was sent that carries the path on when this one ends. OpenSSL and rustls
/// take the one that is valid, GnuTLS 3.7 the one that was sent first (`certtool --verify`).
pub(super) fn is_replaced(stores: &[TrustStore], chain: &[Certificate], judgement: &Judgement, index: usize) -> bool {
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
    let without = path::judge(&left, stores, then);
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
