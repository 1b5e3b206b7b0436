//! The checker: observe, then judge. The only place where its two steps meet.

mod domain;

use std::net::SocketAddr;

use futures::{StreamExt as _, stream};
use time::OffsetDateTime;

use crate::{
    facts::{Certificate, Delivery, Depth, Facts, Observed, Pointer, Resource, Session, Target, Vantage, View},
    probe::{self, Budget, Letter, Patience, fetch::Fetcher},
    report::Report,
    rules::{
        self, Context, Outcome, Rule,
        policy::{self, Policy},
    },
    senders::{self, Demand, Fate, Prediction, Sender},
    trust::TrustStore,
};

pub use domain::{DomainOptions, Surroundings, check_domain, judge_domain, observe_domain, observe_in, policy_for_later};

/// What a check takes besides its target. Nothing is ambient: what is not in here is not used.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Whom to trust.
    pub stores: Vec<TrustStore>,
    /// The moment of judgement.
    pub now: OffsetDateTime,
    /// How long to wait, how much and how often to ask.
    pub patience: Patience,
    /// What DNS calls the addresses, where it was asked.
    pub pointers: Vec<Pointer>,
    /// What is fetched from where certificates point.
    pub fetching: Fetching,
    /// The certificates of the server's own disk, where its owner showed them.
    pub installed: Vec<Certificate>,
    /// The guideline to judge by, where guidelines differ; [`policy::default`] is ours.
    pub policy: &'static Policy,
}

/// What is fetched from where certificates point; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Fetching {
    /// Whether OCSP responders and lists of revoked certificates are asked.
    pub revocation: bool,
    /// Whether issuers that were not sent are fetched.
    pub issuers: bool,
    /// How the places are found.
    pub fetcher: Fetcher,
}

/// Looks at every address of the target from every vantage point of this machine, and judges.
pub async fn check(target: Target, addresses: &[SocketAddr], vantages: &[Vantage], options: &CheckOptions) -> Report {
    let mut facts = observe(target, addresses, vantages, options).await;
    fetch(&mut facts, &options.fetching, &options.stores, options.now).await;
    judge_by(options.policy, facts, &options.stores, options.now)
}

/// Looks, without judging. Addresses are asked side by side, the vantage points of one
/// address one after the other: a server never sees two connections at once.
pub async fn observe(target: Target, addresses: &[SocketAddr], vantages: &[Vantage], options: &CheckOptions) -> Facts {
    let target_ref = &target;
    let per_address = addresses.iter().copied().map(|address| async move {
        let mut views = Vec::with_capacity(vantages.len());
        let budget = Budget::new(&options.patience);
        // A source of the other family cannot reach this address; another vantage point may.
        let is_fitting = |v: &&Vantage| v.source.is_none_or(|source| source.is_ipv4() == address.is_ipv4());
        let fitting: Vec<&Vantage> = vantages.iter().filter(is_fitting).collect();
        for (place, vantage) in fitting.iter().copied().enumerate() {
            let patience =
                Patience { max_connections: share(place, &fitting, &views, &options.patience), ..options.patience.clone() };
            budget.turns_to_another(vantage.source);
            views.push(probe::observe_within(target_ref, address, vantage.clone(), &patience, &budget).await);
        }
        views
    });
    let views = stream::iter(per_address).buffered(16).collect::<Vec<_>>().await.into_iter().flatten().collect();
    Facts { pointers: options.pointers.clone(), installed: options.installed.clone(), ..Facts::new(target, views) }
}

/// How many connections a vantage point may open. At quick depth its source has so many for all the names that it gives in
/// EHLO: each takes what it needs, and leaves one to each name that follows.
fn share(place: usize, vantages: &[&Vantage], before: &[View], patience: &Patience) -> u32 {
    if patience.depth != Depth::Quick {
        return patience.max_connections;
    }
    let source = vantages[place].source;
    let used: u32 = before.iter().filter(|view| view.vantage.source == source).map(|view| view.connections).sum();
    let waiting = vantages[place + 1..].iter().filter(|vantage| vantage.source == source).count();
    patience.max_connections.saturating_sub(used).saturating_sub(u32::try_from(waiting).unwrap_or(u32::MAX))
}

/// How far up a path is fetched, one issuer at a time.
const MAX_CLIMBS: usize = 4;

/// Fetches what the certificates seen point to, as far as it is asked for.
pub async fn fetch(facts: &mut Facts, fetching: &Fetching, stores: &[TrustStore], now: OffsetDateTime) {
    let Fetching { revocation, issuers, fetcher } = fetching;
    fn context<'a>(facts: &'a Facts, stores: &'a [TrustStore], now: OffsetDateTime) -> Context<'a> {
        Context::new(facts, stores, policy::default(), now)
    }
    if *issuers {
        facts.told_to_fetch.push(Resource::Issuer);
        for _ in 0..MAX_CLIMBS {
            let mut errands = rules::issuer_errands(&context(facts, stores, now));
            errands.retain(|errand| !facts.fetched.iter().any(|known| errand.is_done_by(known)));
            if errands.is_empty() {
                break;
            }
            let fetched = fetcher.fetch(errands).await;
            facts.fetched.extend(fetched);
        }
    }
    if *revocation {
        facts.told_to_fetch.extend([Resource::Ocsp, Resource::Crl]);
        let errands = rules::errands(&context(facts, stores, now));
        let fetched = fetcher.fetch(errands).await;
        facts.fetched.extend(fetched);
    }
}

/// Judges facts by the default policy, wherever and whenever they were seen.
pub fn judge(facts: Facts, stores: &[TrustStore], now: OffsetDateTime) -> Report {
    judge_by(policy::default(), facts, stores, now)
}

/// Judges facts by a policy.
pub fn judge_by(policy: &'static Policy, facts: Facts, stores: &[TrustStore], now: OffsetDateTime) -> Report {
    let context = Context::new(&facts, stores, policy, now);
    let outcome = |rule: &Rule| match policy.severity(rule) {
        Some(_) if facts.target.is_implicit() && rules::is_about_starttls(rule) => {
            Outcome::NotApplicable(View::IMPLICIT.to_owned())
        }
        Some(_) => rule.judge(&context),
        None => Outcome::NotApplicable(format!("the policy {} does not ask for it", policy.name)),
    };
    let outcomes = rules::of_servers().iter().map(|rule| (*rule, outcome(rule))).collect();
    let (names, endings, products) = (rules::names(&context), rules::endings(&context), rules::products(&context));
    let visibility = rules::visibility(&context, &products);
    let senders = senders::predict(&context);
    let line = senders::line(&senders, &facts);
    let mut report =
        Report { names, endings, products, visibility, senders, ..Report::new(facts, outcomes, stores, policy, now) };
    // What senders do follows from all the rest: no rule says it, and no finding of its own.
    report.set(line);
    report
}

/// One message under the policy of a sender: what became of it, attempt by attempt.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The connections, oldest first: a second one where the first got no TLS and the sender goes on without.
    pub attempts: Vec<Delivery>,
    /// What the policy says of what was seen; none where nothing was.
    pub prediction: Option<Prediction>,
    /// What became of the message.
    pub fate: Fate,
}

/// Delivers a test message as a sender with that policy would, its TLS apart: that is the checker's own.
pub async fn send(
    sender: &'static Sender,
    target: &Target,
    address: SocketAddr,
    vantage: &Vantage,
    letter: &Letter,
    options: &CheckOptions,
) -> Sent {
    let mut prediction = None;
    let mut judge = |session: &Session| {
        let view = View { address, ..View::of(vantage.clone(), session.clone()) };
        let facts = Facts::new(target.clone(), vec![view]);
        let context = Context::new(&facts, &options.stores, options.policy, options.now);
        let judged = senders::hosts(&context).first().map(|host| (sender.judge)(host, None));
        let is_inside = session.tls.seen().is_some();
        let fate = judged.as_ref().map_or(Fate::Unknown, |judged| judged.fate);
        prediction = judged;
        match fate {
            Fate::Authenticated | Fate::Encrypted => is_inside,
            Fate::Clear => !is_inside,
            Fate::Defers | Fate::Bounces | Fate::Unknown => false,
        }
    };
    let with_tls = sender.demand != Demand::Nothing;
    let first = probe::deliver(target, address, vantage, &options.patience, letter, with_tls, &mut judge).await;
    let has_no_tls = with_tls && first.session.tls.seen().is_none() && matches!(first.session.tls, Observed::Failed(_));
    let mut attempts = vec![first];
    if has_no_tls && sender.demand == Demand::IfPossible {
        attempts.push(probe::deliver(target, address, vantage, &options.patience, letter, false, &mut |_| true).await);
    }
    let last = attempts.last();
    let fate = match (last.and_then(Delivery::is_taken), last.is_some_and(|last| last.inside)) {
        (Some(true), false) => Fate::Clear,
        (Some(true), true) => prediction.as_ref().map_or(Fate::Encrypted, |prediction| prediction.fate),
        (Some(false), _) => Fate::Defers,
        (None, _) => Fate::Unknown,
    };
    Sent { attempts, prediction, fate }
}
