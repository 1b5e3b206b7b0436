//! What is wrong, decided from the facts. One rule, one file, one page.
//!
//! A rule is a pure function of its [`Context`]: no socket, no clock, no environment.
//! Where a fact is missing it answers [`Outcome::Undetermined`], never passed.
//!
//! To add one: write `rules/<topic>/<rule>.rs` with `rule!`, enter its name in the
//! topic's `rules!`, and give it a scenario that trips it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod identity;
mod keys;
mod path;
mod renewal;
mod second_opinion;
mod signature;
mod starttls;
#[cfg(test)]
mod test_facts;
mod trust;

use std::{cell::OnceCell, sync::LazyLock};

use time::OffsetDateTime;

pub use crate::finding::{Outcome, Practice, ResultType, Severity, Violation};
use crate::{
    facts::{Certificate, CertificateDetails, Facts, Failure, Observed, View},
    trust::TrustStore,
};

/// Everything that a rule may look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// What was seen.
    pub facts: &'a Facts,
    /// Whom the check trusts.
    pub stores: &'a [TrustStore],
    /// The moment of judgement; days are floored from it.
    pub now: OffsetDateTime,
    /// The certification path of each view: signatures are checked once, whichever rule asks first.
    paths: Vec<OnceCell<path::Judgement>>,
}

impl<'a> Context<'a> {
    /// What the rules may look at in one judgement.
    pub fn new(facts: &'a Facts, stores: &'a [TrustStore], now: OffsetDateTime) -> Self {
        Self { facts, stores, now, paths: facts.views.iter().map(|_| OnceCell::new()).collect() }
    }
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
    pub judge: fn(&Context) -> Outcome,
}

impl Rule {
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
        $(#[doc = $line])+
        pub static RULE: crate::rules::Rule = crate::rules::Rule {
            id: $id,
            practice: crate::finding::Practice::$practice,
            severity: crate::finding::Severity::$severity,
            result_type: $result_type,
            page: concat!($($line, "\n"),+),
            judge,
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
    static ALL: LazyLock<Vec<&Rule>> =
        LazyLock::new(|| [trust::RULES, keys::RULES, identity::RULES, starttls::RULES, renewal::RULES].concat());
    &ALL
}

/// The rule of that id.
pub fn find(id: &str) -> Option<&'static Rule> {
    catalogue().iter().copied().find(|rule| rule.id == id)
}

/// Judges each view alone and joins the outcomes: a violation anywhere outranks doubt,
/// doubt outranks a pass. Violations that read alike become one, with all their views.
///
/// A view that this machine could not even try (no route, no such source address) is no
/// evidence of anything and is left out, unless there is no other.
pub fn each_view(context: &Context, judge: impl Fn(&View) -> Outcome) -> Outcome {
    join(tried(context).map(|(index, view)| (index, judge(view)))).unwrap_or_else(|| nothing_tried(context))
}

/// Judges what depends on TLS in each view, as [`each_view`] does.
///
/// Where some view has a certificate, those that were simply not offered STARTTLS are left
/// out: they show who is offered it, and nothing about TLS.
pub fn each_tls_view(context: &Context, judge: impl Fn(&View) -> Outcome) -> Outcome {
    each_tls_view_by_index(context, |_, view| judge(view))
}

fn each_tls_view_by_index(context: &Context, judge: impl Fn(usize, &View) -> Outcome) -> Outcome {
    let has_certificate = |view: &View| view.session.certificates.seen().is_some();
    let is_any = tried(context).any(|(_, view)| has_certificate(view));
    let is_evidence = |view: &View| has_certificate(view) || !(is_any && is_without_starttls(view));
    let views = tried(context).filter(|(_, view)| is_evidence(view));
    join(views.map(|(index, view)| (index, judge(index, view)))).unwrap_or_else(|| nothing_tried(context))
}

/// Judges the certificate chain of each view, as [`each_tls_view`] does; a view without one
/// is undetermined, with the reason why none was seen.
pub fn each_chain(context: &Context, judge: impl Fn(&View, &[Certificate]) -> Outcome) -> Outcome {
    each_tls_view(context, |view| with_chain(view, |chain| judge(view, chain)))
}

fn with_chain(view: &View, judge: impl Fn(&[Certificate]) -> Outcome) -> Outcome {
    match view.session.certificates.seen().map(Vec::as_slice) {
        Some([]) => Outcome::Undetermined("the server sent an empty certificate message".to_owned()),
        Some(chain) => judge(chain),
        None => Outcome::Undetermined(no_certificate(view)),
    }
}

/// Judges the end-entity certificate of each view; one that cannot be read is undetermined.
pub fn each_leaf(context: &Context, judge: impl Fn(&View, &CertificateDetails) -> Outcome) -> Outcome {
    each_chain(context, |view, chain| match chain[0].details() {
        Ok(details) => judge(view, details),
        Err(why) => Outcome::Undetermined(format!("the certificate cannot be read: {why}")),
    })
}

/// Judges the chain of each view together with its certification path.
fn each_path(context: &Context, judge: impl Fn(&[Certificate], &path::Judgement) -> Outcome) -> Outcome {
    each_tls_view_by_index(context, |index, view| {
        with_chain(view, |chain| {
            let path = context.paths[index].get_or_init(|| path::judge(chain, context.stores, context.now));
            judge(chain, path)
        })
    })
}

/// Where the path could not be followed, what is right about the part of it that was seen says
/// nothing about the rest; what is wrong stays wrong.
fn known_path(judgement: &path::Judgement, outcome: Outcome) -> Outcome {
    match (&judgement.end, outcome) {
        (path::End::Undecided(why), Outcome::Passed(_)) => Outcome::Undetermined(why.clone()),
        (_, outcome) => outcome,
    }
}

/// The views that this machine could at least try, with their places.
fn tried<'a>(context: &Context<'a>) -> impl Iterator<Item = (usize, &'a View)> + use<'a> {
    let is_tried =
        |view: &View| !matches!(view.session.connection, Observed::NotAttempted(_) | Observed::Failed(Failure::Local(_)));
    context.facts.views.iter().enumerate().filter(move |(_, view)| is_tried(view))
}

fn nothing_tried(context: &Context) -> Outcome {
    Outcome::Undetermined(match context.facts.views.first() {
        Some(view) => format!("{} was not asked: {}", view.address, view.session.connection.why_not()),
        None => "nothing was observed".to_owned(),
    })
}

/// Joins the outcomes of several views; none where there are none.
fn join(outcomes: impl Iterator<Item = (usize, Outcome)>) -> Option<Outcome> {
    /// How many different texts of passed views are told.
    const MAX_WORDS: usize = 3;
    let mut violations: Vec<Violation> = Vec::new();
    let mut undetermined = None;
    let mut passed: Option<Vec<String>> = None;
    let mut not_applicable = None;
    for (index, outcome) in outcomes {
        match outcome {
            Outcome::Violated(found) => {
                for mut violation in found {
                    violation.views = vec![index];
                    match violations.iter_mut().find(|v| v.message == violation.message && v.evidence == violation.evidence) {
                        Some(same) if same.views.contains(&index) => {}
                        Some(same) => same.views.push(index),
                        None => violations.push(violation),
                    }
                }
            }
            Outcome::Undetermined(why) => _ = undetermined.get_or_insert(why),
            Outcome::Passed(words) => {
                let known = passed.get_or_insert_default();
                if !words.is_empty() && !known.contains(&words) {
                    known.push(words);
                }
            }
            Outcome::NotApplicable(why) => _ = not_applicable.get_or_insert(why),
        }
    }
    if !violations.is_empty() {
        return Some(Outcome::Violated(violations));
    }
    let passed = passed.map(|words| Outcome::Passed(listed(words.iter(), MAX_WORDS, "; ")));
    undetermined.map(Outcome::Undetermined).or(passed).or(not_applicable.map(Outcome::NotApplicable))
}

/// Whether the server answered EHLO without offering STARTTLS.
fn is_without_starttls(view: &View) -> bool {
    view.session.ehlo.seen().is_some_and(|ehlo| !ehlo.offers("STARTTLS"))
}

/// Why no certificate was seen in this view, in words.
fn no_certificate(view: &View) -> String {
    format!("no certificate was seen from {}: {}", view.vantage_text(), why_not(view, &view.session.certificates))
}

/// Why a fact of this view is missing: what failed first tells more than what was then not attempted.
fn why_not<T>(view: &View, fact: &Observed<T>) -> String {
    fn failure<T>(fact: &Observed<T>) -> Option<String> {
        matches!(fact, Observed::Failed(_)).then(|| fact.why_not())
    }
    let session = &view.session;
    let first = failure(&session.connection)
        .or_else(|| failure(&session.greeting))
        .or_else(|| failure(&session.ehlo))
        .or_else(|| failure(&session.starttls))
        .or_else(|| failure(&session.tls));
    short(&first.unwrap_or_else(|| fact.why_not()))
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
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// `certificate 1 (CN=Some CA)`: a certificate of a chain, in words.
fn certificate_text(chain: &[Certificate], index: usize) -> String {
    let subject = chain.get(index).and_then(|certificate| certificate.details().ok()).map(|details| &details.subject);
    match (index, subject) {
        (0, _) => "the server's certificate".to_owned(),
        (_, Some(subject)) => format!("certificate {index} ({})", short(subject.as_str())),
        (_, None) => format!("certificate {index}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Session,
        rules::test_facts::{World, kind},
    };

    const TOPICS: [(&str, Practice, &[&Rule], &[&str]); 5] = [
        ("trust", Practice::PublicCa, trust::RULES, trust::FILES),
        ("keys", Practice::StrongKeys, keys::RULES, keys::FILES),
        ("identity", Practice::Identity, identity::RULES, identity::FILES),
        ("starttls", Practice::OpportunisticTls, starttls::RULES, starttls::FILES),
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
        for rule in catalogue() {
            let outcome = (rule.judge)(&world.context(&facts));
            assert!(matches!(outcome, Outcome::Passed(_) | Outcome::NotApplicable(_)), "{}: {outcome:?}", rule.id);
        }
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
        for rule in catalogue() {
            assert_eq!(kind(&(rule.judge)(&world.context(&facts))), "undetermined", "{}", rule.id);
        }
        facts.views.clear();
        for rule in catalogue() {
            assert_eq!(kind(&(rule.judge)(&world.context(&facts))), "undetermined", "{} without views", rule.id);
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
        for rule in catalogue() {
            let outcome = (rule.judge)(&world.context(&facts));
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
        for rule in catalogue().iter().filter(|rule| rule.practice == Practice::StrongKeys && rule.severity == Severity::Fail) {
            assert_eq!(kind(&(rule.judge)(&world.context(&facts))), expected, "{}", rule.id);
        }
        spoil(&mut facts.views[0]);
        for rule in catalogue()
            .iter()
            .filter(|rule| [Practice::PublicCa, Practice::StrongKeys, Practice::Renewal].contains(&rule.practice))
        {
            assert_eq!(kind(&(rule.judge)(&world.context(&facts))), "undetermined", "{}", rule.id);
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
            for rule in catalogue() {
                let _ = (rule.judge)(&world.context(&facts));
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
            for rule in catalogue() {
                if let Outcome::Violated(found) = (rule.judge)(&world.context(&facts)) {
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
