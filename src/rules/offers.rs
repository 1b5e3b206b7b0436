//! What a server takes of what it is offered, as the rules read it: yes, no, no usable answer, or not asked.

use super::{Context, Outcome, Violation, join, listed};
use crate::{
    facts::{Answer, Failure, GroupList, Observed, Offers, Taken, VersionOffer, View},
    tls::{Group, Suite, SuiteFamily, Version},
};

/// The versions that have suites of the old kind; those of SSL 2.0 are the matter of its own rule.
pub const SSL3_TO_TLS12: [Version; 4] = [Version::Ssl3, Version::Tls10, Version::Tls11, Version::Tls12];

/// What is known of one thing that a server may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It takes it.
    Yes,
    /// It refuses it.
    No,
    /// It was asked, and gave no usable answer; the reason in words.
    Unanswered(String),
    /// At this depth nobody asked.
    Unasked,
}

impl Known {
    /// Yes where any is; then unanswered, then unasked; no only where all are.
    pub fn any(all: impl IntoIterator<Item = Self>) -> Self {
        let rank = |known: &Self| match known {
            Self::Yes => 3,
            Self::Unanswered(_) => 2,
            Self::Unasked => 1,
            Self::No => 0,
        };
        // Of equals the first tells.
        all.into_iter().fold(Self::No, |most, known| if rank(&known) > rank(&most) { known } else { most })
    }
}

/// What was asked of the TLS of one view.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The place of the view among the facts.
    pub index: usize,
    /// The view, whose session is evidence too.
    pub view: &'a View,
    /// What was asked besides.
    pub offers: &'a Offers,
}

/// Judges what was asked of the TLS of each view. Where nobody asked, no rule about it applies.
pub fn each_offers(context: &Context, judge: impl Fn(Asked) -> Outcome) -> Outcome {
    let of_view = |index: usize, view: &View| match &view.offers {
        Observed::Seen(offers) => judge(Asked { index, view, offers }),
        Observed::Failed(failure) => {
            Outcome::Undetermined(format!("what {} takes of what it is offered is not known: {failure}", view.address))
        }
        Observed::NotAttempted(why) => Outcome::NotApplicable(why.clone()),
    };
    let outcomes = context.facts.views.iter().enumerate().map(|(index, view)| (index, of_view(index, view)));
    join(outcomes).unwrap_or_else(|| super::nothing_tried(context))
}

/// Nothing is wrong.
pub fn passed() -> Outcome {
    Outcome::Passed(String::new())
}

/// One violation.
pub fn violated(violation: Violation) -> Outcome {
    Outcome::Violated(vec![violation])
}

/// How this end gives up where the server chose an older version, as those do that know no newer way to refuse.
pub const OLDER_VERSION: &str = Failure::OLDER_VERSION;

impl Asked<'_> {
    /// The rule does not apply at this depth.
    pub fn unasked(&self) -> Outcome {
        Outcome::NotApplicable(format!("not asked at --probe {}", self.offers.depth.name()))
    }

    /// The outcome of a rule for which yes and no are these; what is missing speaks for itself.
    pub fn outcome(&self, known: Known, yes: impl FnOnce() -> Outcome, no: impl FnOnce() -> Outcome) -> Outcome {
        match known {
            Known::Yes => yes(),
            Known::No => no(),
            Known::Unanswered(why) => Outcome::Undetermined(why),
            Known::Unasked => self.unasked(),
        }
    }

    /// What a fact comes to, where it was seen.
    pub fn observed<T>(&self, what: &str, fact: &Observed<T>, judge: impl FnOnce(&T) -> Outcome) -> Outcome {
        match fact {
            Observed::Seen(fact) => judge(fact),
            Observed::Failed(failure) => Outcome::Undetermined(format!("{what} is not known: {failure}")),
            Observed::NotAttempted(_) => self.unasked(),
        }
    }

    /// The version that the session was negotiated with.
    pub fn session_version(&self) -> Option<Version> {
        self.view.session.tls.seen().and_then(|tls| Version::from_name(&tls.version))
    }

    /// Whether a version is taken; the handshake of the session is evidence too.
    pub fn version(&self, version: Version) -> Known {
        match self.offers.version(version).map(|offer| &offer.answer) {
            Some(Observed::Seen(Answer::Accepted)) => Known::Yes,
            _ if self.session_version() == Some(version) => Known::Yes,
            Some(Observed::Seen(Answer::Refused(_))) => Known::No,
            _ if self.is_refused_in_session(version) => Known::No,
            Some(Observed::Failed(failure)) => Known::Unanswered(format!("whether {version} is taken is not known: {failure}")),
            Some(Observed::NotAttempted(_)) | None => Known::Unasked,
        }
    }

    /// The session offers TLS 1.2 and 1.3 at once: an answer about the version refuses both.
    fn is_refused_in_session(&self, version: Version) -> bool {
        let is_offered = matches!(version, Version::Tls12 | Version::Tls13);
        let is_about_the_version = |why: &str| [OLDER_VERSION, "the server sent the alert protocol_version"].contains(&why);
        is_offered && matches!(&self.view.session.tls, Observed::Failed(Failure::Tls(why)) if is_about_the_version(why))
    }

    /// The versions that are known to be taken, the oldest first.
    pub fn versions(&self) -> Vec<Version> {
        Version::ALL.into_iter().filter(|version| self.version(*version) == Known::Yes).collect()
    }

    /// Whether any suite of a family is taken in any of these versions.
    pub fn family(&self, family: SuiteFamily, versions: &[Version]) -> Known {
        Known::any(versions.iter().map(|version| match self.offers.version(*version) {
            Some(offer) => family_in(offer, family),
            None => Known::Unasked,
        }))
    }

    /// Whether more suites may be taken than are known in these versions: no where every list was asked to its end.
    pub fn more_suites(&self, versions: &[Version]) -> Known {
        Known::any(versions.iter().map(|version| match self.offers.version(*version) {
            Some(offer) => more_in(offer, SuiteFamily::All),
            None => Known::Unasked,
        }))
    }

    /// Whether any group is taken for which this holds, in TLS 1.3 and before; `list` is the list that would have shown it.
    pub fn group(&self, list: GroupList, is_wanted: impl Fn(Group) -> bool) -> Known {
        let covers = |asked: GroupList| asked == list || asked == GroupList::All;
        let of = |taken: &Taken<Group, GroupList>, what: &str| {
            if taken.accepted.iter().any(|group| is_wanted(*group)) {
                return Known::Yes;
            }
            asked(taken, covers, |failure| Known::Unanswered(format!("which {what} are taken is not known: {failure}")))
        };
        let in_tls13 = match self.version(Version::Tls13) {
            Known::No => Known::No,
            _ => of(&self.offers.groups, "groups of TLS 1.3"),
        };
        // Hybrids belong to TLS 1.3, and where no suite of TLS 1.2 asks for a curve, none is taken.
        let before = match (list, self.family(SuiteFamily::Ecdhe, &SSL3_TO_TLS12)) {
            (GroupList::PostQuantum, _) => Known::No,
            // Anonymous suites may still be over curves.
            (_, Known::No) if self.offers.curves.accepted.is_empty() => Known::No,
            _ => of(&self.offers.curves, "curves of TLS 1.2"),
        };
        Known::any([in_tls13, before])
    }

    /// Every group that was taken, in TLS 1.3 and before, each once.
    pub fn accepted_groups(&self) -> Vec<Group> {
        let mut all = Vec::new();
        for group in self.offers.groups.accepted.iter().chain(&self.offers.curves.accepted) {
            if !all.contains(group) {
                all.push(*group);
            }
        }
        all
    }

    /// `TLSv1.0: TLS_RSA_WITH_RC4_128_SHA`: which suites of a kind were taken, a line for each version.
    pub fn suite_lines(&self, is_wanted: impl Fn(Suite) -> bool) -> Vec<String> {
        let line = |offer: &VersionOffer| {
            let suites: Vec<Suite> = offer.suites.accepted.iter().copied().filter(|suite| is_wanted(*suite)).collect();
            (!suites.is_empty()).then(|| format!("{}: {}", offer.version, names(&suites)))
        };
        self.offers.versions.iter().filter_map(line).collect()
    }
}

fn family_in(offer: &VersionOffer, family: SuiteFamily) -> Known {
    match offer.suites.accepted.iter().any(|suite| suite.is_in(family)) {
        true => Known::Yes,
        false => more_in(offer, family),
    }
}

/// Whether suites of a family may be taken besides those that are known.
fn more_in(offer: &VersionOffer, family: SuiteFamily) -> Known {
    let unanswered = |failure: &Failure| Known::Unanswered(format!("what {} takes is not known: {failure}", offer.version));
    match &offer.answer {
        Observed::Seen(Answer::Refused(_)) => Known::No,
        Observed::Seen(Answer::Accepted) => asked(&offer.suites, |list| list == family || list == SuiteFamily::All, unanswered),
        Observed::Failed(failure) => unanswered(failure),
        Observed::NotAttempted(_) => Known::Unasked,
    }
}

/// Whether the encryption of a suite can be broken, or is so old that it should not be chosen.
pub fn is_weak(suite: Suite) -> bool {
    use SuiteFamily::{Export, Null, Rc4, SingleDes, TripleDes};
    [Null, Export, Rc4, SingleDes, TripleDes].into_iter().any(|family| suite.is_in(family))
}

/// What is known of a list of which nothing was taken.
pub fn asked<T, L: Copy>(taken: &Taken<T, L>, covers: impl Fn(L) -> bool, unanswered: impl Fn(&Failure) -> Known) -> Known {
    if taken.complete.iter().any(|list| covers(*list)) {
        return Known::No;
    }
    match taken.unknown.iter().find(|(list, _)| covers(*list)) {
        Some((_, failure)) => unanswered(failure),
        None => Known::Unasked,
    }
}

/// Some names, separated by commas: as many as a reader is shown of one line, and how many there are besides.
pub fn names<T: std::fmt::Display>(items: &[T]) -> String {
    const MOST: usize = 12;
    const WIDTH: usize = 240;
    let mut width = 0;
    let fits = |item: &&T| {
        width += item.to_string().len() + 2;
        width <= WIDTH
    };
    listed(items.iter(), items.iter().take_while(fits).count().clamp(1, MOST), ", ")
}

/// A violation with those lines as its evidence.
pub fn with_evidence(message: impl Into<String>, lines: impl IntoIterator<Item = String>) -> Violation {
    lines.into_iter().fold(Violation::new(message), Violation::evidence)
}
