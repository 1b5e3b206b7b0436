//! Lists by elimination: what the server chooses is taken off the list, until it refuses what is left.

use futures::future::join_all;

use super::{
    ask::{Asker, Said, Tally},
    extras::contrary,
    shape::{self, CHUNK, FEW},
};
use crate::{
    facts::{
        Answer, Failure, GroupList, HelloTrait, Observed, Preference, Question, Refusal, SchemeList, Sni, Taken, VersionOffer,
    },
    hello::{ClientHello, Flight, Parameters},
    tls::{Alert, Authentication, Group, SignatureScheme, Suite, SuiteFamily, Version},
};

/// Into so many parts a list is dealt out at most: each costs one refusal.
const MAX_PARTS: usize = 8;

/// An offer and the server's choice.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub offered: Vec<Suite>,
    pub chosen: Suite,
}

/// Why the order of a server that decides is not known.
pub(super) const SEVERAL_ORDERS: &str = "the suites were asked for in several lists, and their orders are not that of all";

/// How a first question about a version was answered.
pub(super) type First = Result<Said, Failure>;

impl Asker<'_> {
    /// The suites of one version. `first` is the answer to the offer of the whole first list, where that was asked before.
    pub(super) async fn suites(
        &self,
        version: Version,
        first: Option<First>,
        mut tally: Tally,
    ) -> (VersionOffer, Option<Question>) {
        let all = match version {
            Version::Ssl2 => Suite::ssl2(),
            Version::Tls13 => Suite::tls13(),
            _ => shape::suites(),
        };
        let lists = self.bearing().lists(&all);
        let mut found = SuitesFound::default();
        let mut first = first;
        for list in lists {
            if self.patience.parallel > 1 && !matches!(version, Version::Ssl2 | Version::Tls13) {
                self.suites_side_by_side(version, list, first.take(), &mut found, &mut tally).await;
            } else {
                self.suites_of(version, list, first.take(), &mut found, &mut tally).await;
            }
        }
        let SuitesFound { accepted, refusal, failure, choices, is_dealt } = found;
        let answer = match (&accepted[..], refusal, &failure) {
            ([_, ..], ..) => Observed::Seen(Answer::Accepted),
            // A server of SSL 2.0 may answer, and have no cipher kind to offer.
            _ if choices.iter().any(|choice| choice.offered.is_empty()) => Observed::Seen(Answer::Accepted),
            (_, _, Some(failure)) => Observed::Failed(failure.clone()),
            (_, Some(refusal), None) => Observed::Seen(Answer::Refused(refusal)),
            (_, None, None) => Observed::NotAttempted("not asked".to_owned()),
        };
        let mut suites = Taken { accepted, ..Taken::default() };
        match failure {
            Some(failure) => suites.unknown.push((SuiteFamily::All, failure)),
            None => suites.complete.push(SuiteFamily::All),
        }
        let preference = match preference(&choices, &suites.accepted) {
            // Its order within each part is not its order of all.
            Observed::Seen(Preference::Server) if is_dealt => Observed::NotAttempted(NOW_ONE_WAY.to_owned()),
            Observed::Seen(Preference::Server) if self.asks_in_chunks(version) => {
                Observed::NotAttempted(SEVERAL_ORDERS.to_owned())
            }
            preference => preference,
        };
        (VersionOffer { version, answer, suites, preference }, tally.into_question())
    }

    /// The same with the list dealt out, where several questions may be asked at once and the client's order decides.
    /// Where the server's does, that order is found by asking one after the other only.
    async fn suites_side_by_side(
        &self,
        version: Version,
        mut rest: Vec<Suite>,
        first: Option<First>,
        found: &mut SuitesFound,
        tally: &mut Tally,
    ) {
        let first = match first {
            Some(said) => said,
            None => self.ask(&self.hello(version, &rest, Sni::Target), Sni::Target, tally).await,
        };
        let favourite = match &first {
            Ok(Said::Took(flight)) => flight.hello.as_ref().map(|hello| hello.suite).filter(|suite| rest.contains(suite)),
            _ => None,
        };
        let Some(favourite) = favourite else { return self.suites_of(version, rest, Some(first), found, tally).await };
        let contrary = contrary(&rest);
        let other = match self.ask(&self.hello(version, &contrary, Sni::Target), Sni::Target, tally).await {
            Ok(Said::Took(flight)) => flight.hello.map(|hello| hello.suite).filter(|suite| contrary.contains(suite)),
            _ => None,
        };
        let Some(other) = other.filter(|other| *other != favourite) else {
            return self.suites_of(version, rest, Some(first), found, tally).await;
        };
        found.is_dealt = true;
        found.choices.push(Choice { offered: rest.clone(), chosen: favourite });
        found.choices.push(Choice { offered: contrary, chosen: other });
        let order = rest.clone();
        rest.retain(|suite| *suite != favourite && *suite != other);
        let parts = join_all(dealt(&rest, self.patience.parallel).into_iter().map(|list| async {
            let (mut found, mut tally) = (SuitesFound::default(), tally.beside());
            self.suites_of(version, list, None, &mut found, &mut tally).await;
            (found, tally)
        }))
        .await;
        found.accepted.extend([favourite, other]);
        for (part, cost) in parts {
            tally.absorb(cost);
            found.accepted.extend(part.accepted);
            found.choices.extend(part.choices);
            found.refusal = found.refusal.or(part.refusal);
            found.failure = found.failure.take().or(part.failure);
        }
        // As the server would have chosen them one by one.
        found.accepted.sort_by_key(|suite| order.iter().position(|known| known == suite));
    }

    async fn suites_of(
        &self,
        version: Version,
        mut rest: Vec<Suite>,
        mut first: Option<First>,
        found: &mut SuitesFound,
        tally: &mut Tally,
    ) {
        while !rest.is_empty() {
            let said = match first.take() {
                Some(said) => said,
                None => self.ask(&self.hello(version, &rest, Sni::Target), Sni::Target, tally).await,
            };
            let chosen = match said {
                Err(failure) => return found.failure = Some(failure),
                Ok(Said::Refused(refusal, _)) => {
                    if self.may_have_stopped_reading(&rest, refusal) {
                        // The end of a long list may not have been read. It is asked again by itself.
                        rest = rest.split_off(rest.len() - CHUNK);
                        match self.ask(&self.hello(version, &rest, Sni::Target), Sni::Target, tally).await {
                            Ok(Said::Took(_)) => self.learn(|bearing| bearing.many_suites = false),
                            Ok(Said::Refused(..)) => {}
                            Err(failure) => found.failure = Some(failure),
                        }
                        if !self.bearing().many_suites {
                            let all = if version == Version::Tls13 { Suite::tls13() } else { shape::suites() };
                            let left: Vec<_> = all.into_iter().filter(|suite| !found.accepted.contains(suite)).collect();
                            for list in self.bearing().lists(&left) {
                                Box::pin(self.suites_of(version, list, None, found, tally)).await;
                            }
                            return;
                        }
                    }
                    found.refusal.get_or_insert(refusal);
                    return;
                }
                Ok(Said::Took(flight)) => flight,
            };
            if let Some(ssl2) = chosen.ssl2 {
                // All at once: the client chooses in SSL 2.0.
                found.choices.push(Choice { offered: Vec::new(), chosen: Suite(0) });
                found.accepted.extend(ssl2.suites.into_iter().filter(|suite| rest.contains(suite)));
                return;
            }
            let Some(chosen) = chosen.hello.map(|hello| hello.suite) else { return };
            // The answer to a longer list than this one.
            let Some(at) = rest.iter().position(|suite| *suite == chosen) else { return found.failure = Some(not_offered()) };
            if at >= CHUNK {
                self.learn(|bearing| bearing.many_suites_seen = true);
            }
            found.choices.push(Choice { offered: rest.clone(), chosen });
            found.accepted.push(chosen);
            rest.remove(at);
        }
    }

    /// Whether the server cannot bear the list of all suites of a version at once.
    pub(super) fn asks_in_chunks(&self, version: Version) -> bool {
        !matches!(version, Version::Ssl2 | Version::Tls13) && self.bearing().lists(&shape::suites()).len() > 1
    }

    /// Whether a refusal may come from a server that reads only the first suites of a list. One that names the version
    /// says nothing about suites.
    fn may_have_stopped_reading(&self, rest: &[Suite], refusal: Refusal) -> bool {
        let bearing = self.bearing();
        let is_about_suites = !matches!(refusal, Refusal::OtherVersion(_)) && refusal != Refusal::Alert(Alert::PROTOCOL_VERSION);
        rest.len() > CHUNK && bearing.many_suites && !bearing.many_suites_seen && is_about_suites
    }

    /// The groups of TLS 1.3 by HelloRetryRequest. `known` were chosen before, of all groups.
    pub(super) async fn groups(&self, known: Vec<Group>, list: GroupList, tally: &mut Tally) -> Taken<Group, GroupList> {
        let suites = Suite::tls13();
        let make = |rest: &[Group]| ClientHello { groups: rest.to_vec(), ..self.hello(Version::Tls13, &suites, Sni::Target) };
        let mut wanted = match list {
            GroupList::All => shape::groups(),
            GroupList::PostQuantum => shape::post_quantum_groups(),
        };
        // Each hello with one of the others was refused.
        wanted.retain(|group| self.bearing().bears_group(*group));
        let is_many_borne = !self.bearing().spares(HelloTrait::ManyGroups);
        self.eliminate(wanted, known, Whole { list, is_many_borne }, make, |flight| flight.hello.as_ref()?.group, tally).await
    }

    /// The groups of an older version, asked with suites that it accepts over curves. `known` were chosen before.
    pub(super) async fn curves(&self, offer: &VersionOffer, known: Vec<Group>, tally: &mut Tally) -> Taken<Group, GroupList> {
        let accepted = &offer.suites.accepted;
        let is_anonymous = |suite: &Suite| suite.name().is_some_and(|name| name.starts_with("TLS_ECDH_anon_"));
        let ephemeral = |suite: &&Suite| suite.is_in(SuiteFamily::Ecdhe) || is_anonymous(suite);
        let with_rsa: Vec<_> =
            accepted.iter().filter(ephemeral).filter(|suite| suite.authentication() == Authentication::Rsa).copied().collect();
        // An ECDSA certificate wants its own curve among the groups (RFC 8422, 5.1), which would spoil the elimination.
        let (suites, pinned) = if with_rsa.is_empty() {
            (accepted.iter().filter(ephemeral).copied().collect(), self.curve_of_certificate())
        } else {
            (with_rsa, None)
        };
        if suites.is_empty() {
            return nothing_over_curves(offer);
        }
        let (mut pinned, mut before_it, mut goes_without) = (pinned, None, pinned.is_none());
        let mut taken = Taken { accepted: known, ..Taken::default() };
        let mut rest: Vec<_> = shape::curves();
        rest.retain(|group| !taken.accepted.contains(group));
        if self.bearing().spares(HelloTrait::ManyGroups) {
            return unknown(taken, GroupList::All, Failure::Tls("the server cannot bear a hello with all of them".to_owned()));
        }
        while !rest.is_empty() {
            let mut groups = rest.clone();
            groups.extend(pinned.filter(|group| !rest.contains(group)));
            let hello = ClientHello { groups, ..self.hello(offer.version, &suites, Sni::Target) };
            let said = self.ask(&hello, Sni::Target, tally).await;
            let chosen = match said {
                Err(failure) => return unknown(taken, GroupList::All, failure),
                Ok(Said::Refused(..)) if goes_without || pinned.is_some() => break,
                Ok(Said::Refused(..)) => {
                    let why =
                        "without the curve of its certificate the server takes no other, and with it none of those behind it";
                    return unknown(taken, GroupList::All, Failure::Tls(why.to_owned()));
                }
                Ok(Said::Took(flight)) => curve_of(&flight),
            };
            match chosen {
                Some(group) if rest.contains(&group) => {
                    goes_without |= pinned.is_none();
                    before_it = before_it.or(pinned.filter(|pinned| *pinned != group).map(|_| group));
                    taken.accepted.push(group);
                    rest.retain(|known| *known != group);
                }
                Some(group) if pinned == Some(group) => {
                    // Where our order decides, all that stood before it is refused.
                    let Some(other) = before_it else {
                        pinned = None;
                        continue;
                    };
                    let groups = vec![group, other];
                    let hello = ClientHello { groups, ..self.hello(offer.version, &suites, Sni::Target) };
                    match self.ask(&hello, Sni::Target, tally).await {
                        Err(failure) => return unknown(taken, GroupList::All, failure),
                        Ok(Said::Took(flight)) if curve_of(&flight) == Some(group) => break,
                        Ok(_) => pinned = None,
                    }
                }
                _ => return unknown(taken, GroupList::All, not_offered()),
            }
        }
        taken.complete.push(GroupList::All);
        taken
    }

    /// The schemes of TLS 1.2, asked with suites that it accepts and signs. `known` were chosen before.
    ///
    /// One list for each kind of key: OpenSSL may choose an RSA suite first and fail then, where the schemes left
    /// are those of its other certificate.
    pub(super) async fn schemes(
        &self,
        offer: &VersionOffer,
        known: Vec<SignatureScheme>,
        list: SchemeList,
        tally: &mut Tally,
    ) -> Taken<SignatureScheme, SchemeList> {
        let chosen = |flight: &Flight| flight.key_exchange.as_ref()?.signature.as_ref()?.scheme;
        let mut wanted = shape::schemes();
        if list == SchemeList::WeakHash {
            wanted.retain(|scheme| scheme.has_weak_hash());
        }
        let is_many_borne = !self.bearing().spares(HelloTrait::ManySchemes);
        let mut taken = Taken { accepted: known, ..Taken::default() };
        for kind in [Authentication::Rsa, Authentication::Dsa, Authentication::Ecdsa] {
            let signed = |suite: &&Suite| {
                suite.authentication() == kind && (suite.is_in(SuiteFamily::Ecdhe) || suite.is_in(SuiteFamily::Dhe))
            };
            let suites: Vec<_> = offer.suites.accepted.iter().filter(signed).copied().collect();
            if suites.is_empty() {
                continue;
            }
            let make = |rest: &[SignatureScheme]| ClientHello {
                schemes: rest.to_vec(),
                // The chain may go on being signed with anything (RFC 8446, 4.2.3).
                certificate_schemes: shape::schemes(),
                ..self.hello(offer.version, &suites, Sni::Target)
            };
            taken = self.eliminate(wanted.clone(), taken.accepted, Whole { list, is_many_borne }, make, chosen, tally).await;
            if !taken.unknown.is_empty() {
                break;
            }
        }
        taken
    }

    fn curve_of_certificate(&self) -> Option<Group> {
        super::evidence::leaf_curve(&self.heard())
    }

    /// Takes a list apart: what is chosen goes off it, until the rest is refused or nothing is left. Where several
    /// questions may be asked at once, it is dealt out first.
    async fn eliminate<T: Copy + PartialEq, L: Copy>(
        &self,
        mut rest: Vec<T>,
        known: Vec<T>,
        Whole { list, is_many_borne }: Whole<L>,
        make: impl Fn(&[T]) -> ClientHello,
        chosen: impl Fn(&Flight) -> Option<T>,
        tally: &mut Tally,
    ) -> Taken<T, L> {
        rest.retain(|item| !known.contains(item));
        // In parts where the server cannot bear the whole.
        let least = if is_many_borne { 1 } else { rest.len().div_ceil(FEW) };
        let parts = join_all(dealt(&rest, self.patience.parallel.max(least)).into_iter().map(|part| async {
            let mut tally = tally.beside();
            let result = self.eliminate_part(part, &make, &chosen, &mut tally).await;
            (result, tally)
        }))
        .await;
        let mut taken = Taken { accepted: known, ..Taken::default() };
        for ((accepted, failure), cost) in parts {
            tally.absorb(cost);
            taken.accepted.extend(accepted);
            if let (Some(failure), []) = (failure, &taken.unknown[..]) {
                taken.unknown.push((list, failure));
            }
        }
        if taken.unknown.is_empty() {
            taken.complete.push(list);
        }
        taken
    }

    /// What is accepted of a part, and why that is not all, where it is not.
    async fn eliminate_part<T: Copy + PartialEq>(
        &self,
        mut rest: Vec<T>,
        make: impl Fn(&[T]) -> ClientHello,
        chosen: impl Fn(&Flight) -> Option<T>,
        tally: &mut Tally,
    ) -> (Vec<T>, Option<Failure>) {
        let mut accepted = Vec::new();
        while !rest.is_empty() {
            match self.ask(&make(&rest), Sni::Target, tally).await {
                Err(failure) => return (accepted, Some(failure)),
                Ok(Said::Refused(..)) => break,
                Ok(Said::Took(flight)) => match chosen(&flight) {
                    Some(item) if rest.contains(&item) => {
                        accepted.push(item);
                        rest.retain(|known| *known != item);
                    }
                    _ => return (accepted, Some(not_offered())),
                },
            }
        }
        (accepted, None)
    }
}

/// A list that is taken apart.
struct Whole<L> {
    /// Which one.
    list: L,
    /// Whether the server can bear it in one piece.
    is_many_borne: bool,
}

fn unknown<T, L>(mut taken: Taken<T, L>, list: L, failure: Failure) -> Taken<T, L> {
    taken.unknown.push((list, failure));
    taken
}

pub(super) fn not_offered() -> Failure {
    Failure::Tls("the server chose what was not offered".to_owned())
}

/// Where no suite over a curve is accepted, no curve is; if that much is known.
fn nothing_over_curves(offer: &VersionOffer) -> Taken<Group, GroupList> {
    let mut taken = Taken::default();
    match offer.suites.unknown.first() {
        Some((_, failure)) => taken.unknown.push((GroupList::All, failure.clone())),
        None if offer.suites.complete.contains(&SuiteFamily::All) => taken.complete.push(GroupList::All),
        None => {}
    }
    taken
}

pub(super) fn curve_of(flight: &Flight) -> Option<Group> {
    match flight.key_exchange.as_ref()?.parameters {
        Parameters::Curve(group) => Some(group),
        _ => None,
    }
}

#[derive(Default)]
struct SuitesFound {
    accepted: Vec<Suite>,
    refusal: Option<Refusal>,
    failure: Option<Failure>,
    choices: Vec<Choice>,
    /// Whether parts of the list were asked about side by side.
    is_dealt: bool,
}

/// Why it is not said whose order decides, where answers speak for both.
pub(super) const NOW_ONE_WAY: &str = "the server chose now one way and now another";

/// A list dealt out as evenly as cards, so that each part has some of what is common.
fn dealt<T: Copy>(list: &[T], parts: usize) -> Vec<Vec<T>> {
    let parts = parts.min(MAX_PARTS).min(list.len());
    (0..parts).map(|part| list.iter().skip(part).step_by(parts).copied().collect()).collect()
}

/// What the choices show of whose order decides: where a suite was passed over that stood before the chosen one, it is
/// not ours. The contrary cannot be seen, since what was chosen is never offered twice.
pub(super) fn preference(choices: &[Choice], accepted: &[Suite]) -> Observed<Preference> {
    let passed_over = |choice: &Choice| {
        let before = choice.offered.iter().take_while(|suite| **suite != choice.chosen);
        before.into_iter().any(|suite| accepted.contains(suite))
    };
    if choices.iter().any(passed_over) {
        return Observed::Seen(Preference::Server);
    }
    let why = if accepted.len() < 2 { "there are no two suites to choose from" } else { "not asked in this version" };
    Observed::NotAttempted(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_was_passed_over_shows_the_order_of_the_server() {
        let (a, b, c) = (Suite(1), Suite(2), Suite(3));
        let choice = |offered: &[Suite], chosen| Choice { offered: offered.to_vec(), chosen };
        let ours = [choice(&[a, b, c], a), choice(&[b, c], b)];
        assert!(matches!(preference(&ours, &[a, b]), Observed::NotAttempted(_)));
        let theirs = [choice(&[a, b, c], b), choice(&[a, c], a)];
        assert_eq!(preference(&theirs, &[b, a]), Observed::Seen(Preference::Server));
        // What is never accepted was not passed over.
        assert!(matches!(preference(&[choice(&[c, a], a)], &[a]), Observed::NotAttempted(_)));
    }
}
