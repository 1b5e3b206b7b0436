//! The checker: observe, then judge. The only place where its two steps meet.

use std::net::SocketAddr;

use futures::{StreamExt as _, stream};
use time::OffsetDateTime;

use crate::{
    facts::{Facts, Target, Vantage},
    name::Name,
    probe::{self, Patience},
    report::Report,
    rules::{self, Context},
    trust::TrustStore,
};

/// What a check takes besides its target. Nothing is ambient: what is not in here is not used.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Whom to trust.
    pub stores: Vec<TrustStore>,
    /// The moment of judgement.
    pub now: OffsetDateTime,
    /// The name to give in EHLO; the address literal of the source if absent.
    pub ehlo: Option<Name>,
    /// How long to wait and how often to ask.
    pub patience: Patience,
}

/// Looks at every address of the target from every vantage point of this machine, and judges.
pub async fn check(target: Target, addresses: &[SocketAddr], vantages: &[Vantage], options: &CheckOptions) -> Report {
    let facts = observe(target, addresses, vantages, options).await;
    judge(facts, &options.stores, options.now)
}

/// Looks, without judging. Addresses are asked side by side, the vantage points of one
/// address one after the other: a server never sees two connections at once.
pub async fn observe(target: Target, addresses: &[SocketAddr], vantages: &[Vantage], options: &CheckOptions) -> Facts {
    let target_ref = &target;
    let per_address = addresses.iter().map(|address| async move {
        let mut views = Vec::with_capacity(vantages.len());
        // A source of the other family cannot reach this address; another vantage point may.
        let fitting = vantages.iter().filter(|v| v.source.is_none_or(|source| source.is_ipv4() == address.is_ipv4()));
        for vantage in fitting {
            views.push(probe::observe(target_ref, *address, vantage.clone(), options.ehlo.as_ref(), &options.patience).await);
        }
        views
    });
    let views = stream::iter(per_address).buffered(16).collect::<Vec<_>>().await.into_iter().flatten().collect();
    Facts { target, views }
}

/// Judges facts, wherever and whenever they were seen.
pub fn judge(facts: Facts, stores: &[TrustStore], now: OffsetDateTime) -> Report {
    let context = Context::new(&facts, stores, now);
    let outcomes = rules::catalogue().iter().map(|rule| (*rule, (rule.judge)(&context))).collect();
    Report::new(facts, outcomes, stores, now)
}
