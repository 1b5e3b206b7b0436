//! What is wrong, decided from the facts. One rule, one file, one page.
//!
//! A rule is a pure function of its [`Context`]: no socket, no clock, no environment.
//! Where a fact is missing it answers [`Outcome::Undetermined`], never passed.
//!
//! To add one: write `rules/<topic>/<rule>.rs` with `rule!`, enter its name in the
//! topic's `rules!`, and give it a scenario that trips it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod constraints;
mod dane;
mod dates;
pub(crate) mod deliveries;
mod dnssec;
mod handshake;
mod identity;
mod key_identifiers;
mod keys;
mod mta_sts;
mod mx;
mod name_constraints;
mod offers;
mod path;
pub mod policy;
mod products;
mod renewal;
mod revocation;
mod second_opinion;
mod signature;
mod spelling;
mod stages;
mod starttls;
#[cfg(test)]
pub(crate) mod test_domain;
#[cfg(test)]
pub(crate) mod test_facts;
#[cfg(test)]
mod test_offers;
mod tls;
mod tlsrpt;
mod trust;
mod views;

use std::{cell::OnceCell, sync::LazyLock};

use time::OffsetDateTime;

pub use constraints::GNUTLS_KNOWS_IT;
pub use identity::{NameRow, NameSource, Relation, names};
pub use mta_sts::policy_host;
pub use products::{Certainty, Product, Role, products, server};
pub use renewal::{
    CertificateRole, Ending, Link, Rollover, RolloverKind, SeenPath, endings, is_short_lived, path_links, rollovers, seen_paths,
    span, unseen, unseen_of_server,
};
pub use revocation::{errands, issuer_errands};
pub use stages::{Mark, STAGES, StageRow, stages};
pub use starttls::{State, Visibility, Visible, unsteady, visibility};
pub use trust::{GNUTLS_CANNOT_READ_IT, GNUTLS_TAKES_IT, Missing, missing_issuer};

pub use crate::finding::{Outcome, Practice, ResultType, Severity, Violation};
use crate::{
    facts::{Certificate, DhGroup, DomainFacts, Facts},
    rules::policy::Policy,
    trust::TrustStore,
};
use views::{
    Chain, each_chain, each_leaf, each_path, each_possession, each_stapled, each_view, join, known_path, nothing_tried, tried,
    why_not,
};
pub(crate) use views::{refuted_below_tls13, refuted_in_clear};

/// Everything that a rule may look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// What was seen.
    pub facts: &'a Facts,
    /// Whom the check trusts.
    pub stores: &'a [TrustStore],
    /// The moment of judgement; days are floored from it.
    pub now: OffsetDateTime,
    /// What the guideline of the check says where guidelines differ.
    pub policy: &'a Policy,
    /// The chains that each view saw.
    chains: Vec<Vec<Chain<'a>>>,
    /// What the moduli of finite-field groups are; the arithmetic is done once, and only where a rule asks.
    moduli: OnceCell<tls::Moduli>,
}

impl<'a> Context<'a> {
    /// What the rules may look at in one judgement.
    pub fn new(facts: &'a Facts, stores: &'a [TrustStore], policy: &'a Policy, now: OffsetDateTime) -> Self {
        Self { facts, stores, now, policy, chains: facts.views.iter().map(Chain::all).collect(), moduli: OnceCell::new() }
    }

    /// What the modulus of a finite-field group is.
    fn modulus(&self, group: &DhGroup) -> tls::Modulus {
        self.moduli.get_or_init(|| tls::Moduli::of(tls::groups(self.facts))).get(group)
    }

    /// The chains that the view at that place saw.
    fn chains(&self, view: usize) -> &[Chain<'a>] {
        &self.chains[view]
    }
}

/// Everything that a rule about a whole domain may look at.
#[derive(Debug)]
pub struct DomainContext<'a> {
    /// What was seen.
    pub facts: &'a DomainFacts,
    /// Each server as its own rules see it, in the order of [`DomainFacts::hosts`].
    pub hosts: Vec<Context<'a>>,
    /// Whom the check trusts.
    pub stores: &'a [TrustStore],
    /// The moment of judgement.
    pub now: OffsetDateTime,
    /// What the guideline of the check says where guidelines differ.
    pub policy: &'a Policy,
}

impl<'a> DomainContext<'a> {
    /// What the rules may look at in one judgement.
    pub fn new(facts: &'a DomainFacts, stores: &'a [TrustStore], policy: &'a Policy, now: OffsetDateTime) -> Self {
        let hosts = facts.hosts.iter().map(|host| Context::new(&host.facts, stores, policy, now)).collect();
        Self { facts, hosts, stores, now, policy }
    }
}

/// Whether a rule is about STARTTLS and nothing else: where TLS begins with the first byte it has nothing to judge.
pub fn is_about_starttls(rule: &Rule) -> bool {
    let others = [starttls::TLS_HANDSHAKE_REFUSED, starttls::PLAINTEXT_ON_TLS_PORT, starttls::SLOW_GREETING];
    !others.contains(&rule.id) && starttls::RULES.iter().any(|known| known.id == rule.id)
}

/// One rule: its page and its judgement.
#[derive(Debug)]
pub struct Rule {
    /// The kebab-case name of the defect; also the name of its file.
    pub id: &'static str,
    /// The practice that a violation concerns.
    pub practice: Practice,
    /// What a violation makes of that practice.
    pub severity: Severity,
    /// What a sender that finds this would report (RFC 8460, 4.3); none where senders do not care.
    pub result_type: Option<ResultType>,
    /// The page in Markdown: a title line, then the sections `What it checks`,
    /// `Why it matters`, `Remedy` and `References`.
    pub page: &'static str,
    /// The judgement.
    pub judge: Judge,
}

/// What a rule judges.
#[derive(Clone, Copy, Debug)]
pub enum Judge {
    /// One server.
    Server(fn(&Context) -> Outcome),
    /// A whole domain.
    Domain(fn(&DomainContext) -> Outcome),
}

impl Rule {
    /// What it says of a server.
    pub fn judge(&self, context: &Context) -> Outcome {
        match self.judge {
            Judge::Server(judge) => judge(context),
            Judge::Domain(_) => Outcome::NotApplicable("it is about a whole domain".to_owned()),
        }
    }

    /// What it says of a domain.
    pub fn judge_domain(&self, context: &DomainContext) -> Outcome {
        match self.judge {
            Judge::Server(_) => Outcome::NotApplicable("it is about a server".to_owned()),
            Judge::Domain(judge) => judge(context),
        }
    }

    /// Whether it judges whole domains.
    pub fn is_of_domains(&self) -> bool {
        matches!(self.judge, Judge::Domain(_))
    }

    /// The first line of the page.
    pub fn title(&self) -> &'static str {
        self.page.lines().next().unwrap_or_default().trim().trim_end_matches('.')
    }

    /// The text of a section of the page, without its heading; lines are trimmed of the
    /// doc comment's leading space.
    pub fn section(&self, heading: &str) -> String {
        let lines = self.page.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        let body = lines.skip_while(|line| line.strip_prefix("## ") != Some(heading)).skip(1);
        body.take_while(|line| !line.starts_with("## ")).collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

/// Defines the rule of a file: its doc comment becomes both rustdoc and the rule's page.
macro_rules! rule {
    (
        $(#[doc = $line:literal])+
        $id:literal { practice: $practice:ident, severity: $severity:ident, result_type: $result_type:expr }
    ) => {
        crate::rules::rule! {
            $(#[doc = $line])+
            Server $id { practice: $practice, severity: $severity, result_type: $result_type }
        }
    };
    (
        $(#[doc = $line:literal])+
        $of:ident $id:literal { practice: $practice:ident, severity: $severity:ident, result_type: $result_type:expr }
    ) => {
        $(#[doc = $line])+
        pub static RULE: crate::rules::Rule = crate::rules::Rule {
            id: $id,
            practice: crate::finding::Practice::$practice,
            severity: crate::finding::Severity::$severity,
            result_type: $result_type,
            page: concat!($($line, "\n"),+),
            judge: crate::rules::Judge::$of(judge),
        };
        #[cfg(test)]
        pub const FILE: &str = file!();
    };
}

/// Declares the modules of a topic and enters their rules in the catalogue.
macro_rules! rules {
    ($($module:ident),+ $(,)?) => {
        $(mod $module;)+
        /// The rules of this topic, in the order of the report.
        pub static RULES: &[&crate::rules::Rule] = &[$(&$module::RULE),+];
        /// Their source files.
        #[cfg(test)]
        pub const FILES: &[&str] = &[$($module::FILE),+];
    };
}
use {rule, rules};

/// Every rule, in the order of the practices.
pub fn catalogue() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> = LazyLock::new(|| {
        let topics = [
            trust::RULES,
            keys::RULES,
            tls::RULES,
            identity::RULES,
            starttls::RULES,
            handshake::RULES,
            mx::RULES,
            dnssec::RULES,
            dane::RULES,
            mta_sts::RULES,
            tlsrpt::RULES,
            renewal::RULES,
        ];
        topics.concat()
    });
    &ALL
}

/// The rules that judge a server.
pub fn of_servers() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> =
        LazyLock::new(|| catalogue().iter().copied().filter(|rule| !rule.is_of_domains()).collect());
    &ALL
}

/// The rules that judge a whole domain.
pub fn of_domains() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> =
        LazyLock::new(|| catalogue().iter().copied().filter(|rule| rule.is_of_domains()).collect());
    &ALL
}

/// The rule of that id.
pub fn find(id: &str) -> Option<&'static Rule> {
    catalogue().iter().copied().find(|rule| rule.id == id)
}

/// The first `most` of some texts, and how many more there are.
fn listed<T: std::fmt::Display>(items: impl ExactSizeIterator<Item = T>, most: usize, joint: &str) -> String {
    let more = items.len().saturating_sub(most);
    let mut shown: Vec<String> = items.take(most).map(|item| short(&item.to_string())).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(joint)
}

/// A text from a certificate or a server, cut where a reader has seen enough of it.
fn short(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..crate::wire::whole(text, end)]),
        None => text.to_owned(),
    }
}

/// `certificate 2 (CN=Some CA)`: a certificate of a chain, in words, counted as reports list them.
fn certificate_text(chain: &[Certificate], index: usize) -> String {
    let subject = chain.get(index).and_then(|certificate| certificate.details().ok()).map(|details| &details.subject);
    match (index, subject) {
        (0, _) => "the server's certificate".to_owned(),
        (_, Some(subject)) => format!("certificate {} ({})", index + 1, short(subject.as_str())),
        (_, None) => format!("certificate {}", index + 1),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Failure, Observed, Offers, Session, View},
        rules::test_facts::{World, kind},
    };

    const TOPICS: [(&str, Practice, &[&Rule], &[&str]); 12] = [
        ("trust", Practice::PublicCa, trust::RULES, trust::FILES),
        ("keys", Practice::StrongKeys, keys::RULES, keys::FILES),
        ("tls", Practice::StrongKeys, tls::RULES, tls::FILES),
        ("identity", Practice::Identity, identity::RULES, identity::FILES),
        ("starttls", Practice::OpportunisticTls, starttls::RULES, starttls::FILES),
        ("handshake", Practice::OpportunisticTls, handshake::RULES, handshake::FILES),
        ("mx", Practice::OpportunisticTls, mx::RULES, mx::FILES),
        ("dnssec", Practice::EnforceableTls, dnssec::RULES, dnssec::FILES),
        ("dane", Practice::EnforceableTls, dane::RULES, dane::FILES),
        ("mta_sts", Practice::EnforceableTls, mta_sts::RULES, mta_sts::FILES),
        ("tlsrpt", Practice::MonitoredTls, tlsrpt::RULES, tlsrpt::FILES),
        ("renewal", Practice::Renewal, renewal::RULES, renewal::FILES),
    ];

    #[test]
    fn ids_are_unique_and_named_after_their_files() {
        let mut seen = HashSet::new();
        for rule in catalogue() {
            assert!(seen.insert(rule.id), "{} is there twice", rule.id);
            assert!(find(rule.id).is_some_and(|found| std::ptr::eq(found, *rule)));
        }
        for (topic, _, rules, files) in TOPICS {
            for (rule, file) in rules.iter().zip(files) {
                let expected = format!("rules/{topic}/{}.rs", rule.id.replace('-', "_"));
                assert!(file.ends_with(&expected), "{} is in {file}", rule.id);
            }
        }
    }

    #[test]
    fn each_topic_is_one_practice_and_they_are_in_order() {
        for (_, practice, rules, _) in TOPICS {
            assert!(rules.iter().all(|rule| rule.practice == practice), "{practice}");
        }
        assert!(catalogue().is_sorted_by_key(|rule| rule.practice));
    }

    #[test]
    fn pages_are_complete() {
        for rule in catalogue() {
            let title = rule.title();
            assert!(!title.is_empty() && !title.starts_with('#'), "{}: no title", rule.id);
            for heading in ["What it checks", "Why it matters", "Remedy", "References"] {
                assert!(!rule.section(heading).is_empty(), "{}: nothing under `## {heading}`", rule.id);
            }
            let references = rule.section("References");
            assert!(references.lines().all(|line| line.starts_with("- ")), "{}: references are a list", rule.id);
            assert!(rule.page.lines().filter(|line| line.trim_start().starts_with("## ")).count() == 4, "{}", rule.id);
        }
    }

    #[test]
    fn a_result_type_belongs_to_what_senders_refuse() {
        for rule in catalogue() {
            assert!(rule.result_type.is_none() || rule.severity != Severity::Notice, "{}", rule.id);
        }
    }

    /// A server without a fault trips nothing and leaves nothing open, from one or two vantage points.
    #[rstest]
    #[case(1)]
    #[case(2)]
    fn a_correct_server_violates_nothing(#[case] vantage_points: usize) {
        let world = World::correct();
        let facts = world.facts(vantage_points);
        for rule in of_servers() {
            let outcome = rule.judge(&world.context(&facts));
            assert!(matches!(outcome, Outcome::Passed(_) | Outcome::NotApplicable(_)), "{}: {outcome:?}", rule.id);
        }
    }

    /// What only other questions than the session's show; without them a rule about it does not apply.
    fn is_about_offers(rule: &Rule) -> bool {
        [tls::RULES, handshake::RULES].concat().iter().any(|other| other.id == rule.id)
            || ["starttls-required", "plaintext-on-tls-port", "days-outside-policy"].contains(&rule.id)
    }

    /// No evidence is no verdict, however it went missing.
    #[rstest]
    #[case::never_asked(Session::not_attempted("no address"))]
    #[case::no_route(failed_session(Failure::Local("no route".to_owned())))]
    #[case::timed_out(failed_session(Failure::TimedOut { millis: 30_000 }))]
    #[case::refused(failed_session(Failure::Refused))]
    fn without_facts_every_rule_is_undetermined(#[case] session: Session) {
        let world = World::correct();
        let mut facts = world.facts(1);
        facts.views[0].session = session;
        for rule in of_servers().iter().filter(|rule| !is_about_offers(rule)) {
            assert_eq!(kind(&rule.judge(&world.context(&facts))), "undetermined", "{}", rule.id);
        }
        for rule in of_servers().iter().filter(|rule| is_about_offers(rule)) {
            assert_ne!(kind(&rule.judge(&world.context(&facts))), "passed", "{}", rule.id);
        }
        facts.views.clear();
        for rule in of_servers() {
            let is_elsewhere = rule.id.ends_with("-outside-policy") || rule.id == "plaintext-on-tls-port";
            let expected = if is_elsewhere { "not-applicable" } else { "undetermined" };
            assert_eq!(kind(&rule.judge(&world.context(&facts))), expected, "{} without views", rule.id);
        }
    }

    /// Asked and not answered is not the same as not asked.
    #[test]
    fn without_answers_nothing_about_offers_is_right() {
        let world = World::correct();
        for rule in [tls::RULES, handshake::RULES].concat() {
            let mut facts = world.facts(1);
            facts.views[0].session.tls = Observed::Failed(Failure::Closed);
            facts.views[0].session.client_certificate = Observed::Failed(Failure::Closed);
            facts.views[0].offers = Observed::Failed(Failure::TimedOut { millis: 30_000 });
            let outcome = rule.judge(&world.context(&facts));
            assert!(!matches!(outcome, Outcome::Passed(_) | Outcome::Violated(_)), "{}: {outcome:?}", rule.id);
            facts.views[0].offers = Observed::Seen(Offers::unanswered());
            let outcome = rule.judge(&world.context(&facts));
            assert!(!matches!(outcome, Outcome::Passed(_) | Outcome::Violated(_)), "{}: {outcome:?}", rule.id);
        }
    }

    /// A server that was asked everything and has nothing to hide.
    #[test]
    fn good_offers_violate_nothing() {
        let world = World::correct();
        for policy in policy::all() {
            for rule in of_servers() {
                let outcome = world.judge_by(policy, rule, Offers::good());
                assert!(matches!(outcome, Outcome::Passed(_) | Outcome::NotApplicable(_)), "{}: {outcome:?}", rule.id);
            }
        }
    }

    fn failed_session(failure: Failure) -> Session {
        Session { connection: Observed::Failed(failure), ..Session::not_attempted("not connected") }
    }

    /// The second address has no route from here: it does not spoil what the first one showed.
    #[test]
    fn views_that_could_not_be_tried_are_left_out() {
        let world = World::correct();
        let mut facts = world.facts(2);
        facts.views[1].session = failed_session(Failure::Local("no route".to_owned()));
        for rule in of_servers() {
            let outcome = rule.judge(&world.context(&facts));
            assert!(matches!(outcome, Outcome::Passed(_) | Outcome::NotApplicable(_)), "{}: {outcome:?}", rule.id);
        }
    }

    #[rstest]
    #[case::not_offered(World::without_starttls, "passed")]
    #[case::timed_out(World::timed_out, "undetermined")]
    #[case::throttled(World::throttled, "undetermined")]
    fn certificates_are_judged_from_the_views_that_saw_one(#[case] spoil: fn(&mut View), #[case] expected: &str) {
        let world = World::correct();
        let mut facts = world.facts(2);
        spoil(&mut facts.views[1]);
        let is_about_keys =
            |rule: &&&Rule| keys::RULES.iter().any(|other| other.id == rule.id) && rule.severity == Severity::Fail;
        for rule in of_servers().iter().filter(is_about_keys) {
            assert_eq!(kind(&rule.judge(&world.context(&facts))), expected, "{}", rule.id);
        }
        spoil(&mut facts.views[0]);
        for rule in of_servers()
            .iter()
            .filter(|rule| [Practice::PublicCa, Practice::StrongKeys, Practice::Renewal].contains(&rule.practice))
            .filter(|rule| !is_about_offers(rule))
        {
            assert_eq!(kind(&rule.judge(&world.context(&facts))), "undetermined", "{}", rule.id);
        }
    }

    #[test]
    fn equal_violations_of_two_views_are_one() {
        let world = World::correct();
        let facts = world.facts(2);
        let context = world.context(&facts);
        let outcome = each_view(&context, |_| Outcome::Violated(vec![Violation::new("bad").evidence("seen")]));
        let Outcome::Violated(found) = outcome else { panic!("{outcome:?}") };
        assert_eq!(found, [Violation { views: vec![0, 1], ..Violation::new("bad").evidence("seen") }]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever a server sends as its chain is judged without a panic.
        #[test]
        fn any_chain_is_judged(
            places in prop::collection::vec((0usize..3, 0usize..1200, any::<u8>()), 0..12),
            junk in prop::collection::vec(any::<u8>(), 0..80),
            order in prop::collection::vec(0usize..4, 0..6),
        ) {
            let world = World::correct();
            let mut ders = [world.chain[0].der(), world.issuing.certificate.der(), world.root.certificate.der()].map(<[u8]>::to_vec);
            for (certificate, place, value) in places {
                let length = ders[certificate].len();
                ders[certificate][place % length] = value;
            }
            let ders: Vec<Vec<u8>> = ders.into_iter().chain([junk]).collect();
            let mut facts = world.facts(1);
            let chain = order.iter().map(|index| Certificate::from_der(&ders[*index])).collect();
            facts.views[0].session.certificates = Observed::Seen(chain);
            for rule in of_servers() {
                let _ = rule.judge(&world.context(&facts));
            }
        }

        /// Whatever a server says is judged without a panic, and never quoted at length.
        #[test]
        fn any_words_are_judged(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..4), code in 200u16..600) {
            let world = World::correct();
            let mut facts = world.facts(1);
            let lines = lines.iter().map(|line| crate::wire::WireText::from_bytes(line)).collect();
            let reply = crate::smtp::Reply { code, lines, bare_lf: false };
            let session = &mut facts.views[0].session;
            session.ehlo = Observed::Seen(crate::smtp::Ehlo::from_reply(&reply));
            session.greeting = Observed::Seen(reply.clone());
            session.help = Observed::Seen(reply.clone());
            session.starttls = Observed::Seen(reply);
            for rule in of_servers() {
                if let Outcome::Violated(found) = rule.judge(&world.context(&facts)) {
                    prop_assert!(found.iter().all(|v| v.message.len() < 2000 && v.evidence.iter().all(|line| line.len() < 4000)));
                }
            }
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short(&"é".repeat(1000)).chars().count(), 203);
        assert_eq!(listed(["a", "b", "c"].iter(), 2, ", "), "a, b, and 1 more");
    }
}
