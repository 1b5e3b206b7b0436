//! The certification path over the chain as it was sent.
//!
//! From the server's own certificate the walk climbs from issuer to issuer, through the
//! certificates that were sent, until it meets a trust anchor or finds no further issuer.
//! An issuer is whoever bears the name (compared as DER) and whose key made the signature.
//! Dates do not decide whether a path is trusted: they have rules of their own. They only
//! settle which of several paths is taken.

mod describe;
mod first;

use std::collections::{HashMap, VecDeque};

use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use self::first::Climb;
pub use self::first::{DeadEnd, Misled, Upwards, is_self_signed, upwards};
use super::{
    certificate_text, key_identifiers, short,
    signature::{self, Checked},
    spelling::alike,
};
use crate::{facts::Certificate, trust::TrustStore};

/// How many of the certificates sent are looked at.
pub const MAX_CERTIFICATES: usize = 32;

/// How many signatures are checked for one chain. A chain of a few certificates takes a
/// dozen; only one that was made to be expensive takes more.
const MAX_CHECKS: usize = 64;

/// How many paths are judged in search of a better one.
const MAX_PATHS: usize = 32;

/// What the walk found. Numbers are places in the chain as sent, from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The server's certificate and the intermediates above it, bottom up; no root.
    pub path: Vec<usize>,
    /// The self-signed root above the path, where it was sent, trusted or not.
    pub root: Option<usize>,
    /// What was sent besides, and what it has to do with the path.
    pub extra: Vec<(usize, Relation)>,
    /// Where the path ends.
    pub end: End,
    /// The trust anchor that it ends at.
    pub anchor: Option<Certificate>,
    /// What leads OpenSSL elsewhere, where it does not get to a trust anchor by its own way.
    pub misled: Option<Misled>,
}

/// What a certificate outside of the path has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same certificate was sent before, at this place.
    Repeats(usize),
    /// Another certificate of an issuer on the path: a cross-certificate, for example.
    Alternative,
    /// OpenSSL takes it for an issuer on the path.
    Misleading,
    /// It leads to a trust anchor, though the path ends below it.
    BeyondTheGap,
    /// Nothing.
    Unrelated,
    /// The path ends too early to say.
    Unclear,
}

/// The upper end of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A trust anchor.
    Trusted {
        /// The store that holds it.
        store: String,
        /// Whether the world trusts that store.
        public: bool,
    },
    /// The server's certificate is signed by its own key, and is no trust anchor.
    SelfSigned,
    /// A self-signed CA certificate that was sent and is no trust anchor.
    PrivateRoot {
        /// Its subject.
        subject: String,
    },
    /// A certificate names this issuer and its key, and that key did not make the signature.
    WrongSignature {
        /// The certificate with the signature.
        index: usize,
        /// Its issuer.
        issuer: String,
    },
    /// The issuer was not sent and is no trust anchor.
    UnknownIssuer {
        /// The certificate whose issuer is unknown.
        index: usize,
        /// That issuer.
        issuer: String,
        /// Whether the certificate says where to fetch it.
        fetchable: bool,
    },
    /// The path leads back to itself, and no trust anchor stands above any of it.
    Circle {
        /// The last certificate before the path repeats itself.
        index: usize,
        /// The one on the path that issued it.
        issuer: usize,
    },
    /// The issuer was not sent, and `witness` shows that the path goes on above it.
    Gap {
        /// The certificate whose issuer is missing.
        index: usize,
        /// That issuer.
        issuer: String,
        /// A CA certificate that was sent, does not connect to the path, and leads to a trust anchor.
        witness: usize,
        /// The store that holds this anchor.
        store: String,
    },
    /// It cannot be told; the text says why.
    Undecided(String),
}

impl Judgement {
    /// The certificates above the server's own, without the root.
    pub fn intermediates(&self) -> &[usize] {
        self.path.get(1..).unwrap_or_default()
    }

    /// The trust anchor above the path; none where the last certificate of the path is one itself.
    pub fn anchor_above(&self, chain: &[Certificate]) -> Option<&Certificate> {
        let top = self.path.last().and_then(|top| chain.get(*top));
        self.anchor.as_ref().filter(|anchor| top.is_none_or(|top| top.der() != anchor.der()))
    }

    /// Whether the path was sent bottom up (RFC 8446, 4.4.2; RFC 5246, 7.4.2).
    pub fn is_in_order(&self) -> bool {
        let climb: Vec<usize> = self.path.iter().copied().chain(self.root).collect();
        climb.is_sorted()
    }
}

/// The certificates of a path with their names in words, bottom up, the root of the store above them.
pub fn links<'a>(chain: &'a [Certificate], judgement: &'a Judgement) -> Vec<(String, &'a Certificate)> {
    let sent = |index: &usize| (certificate_text(chain, *index), &chain[*index]);
    judgement.path.iter().map(sent).chain(root_above(chain, judgement)).collect()
}

/// The root above a path with its name in words: that of the store, or one that was sent and that nobody trusts.
pub fn root_above<'a>(chain: &'a [Certificate], judgement: &'a Judgement) -> Option<(String, &'a Certificate)> {
    let of_store = |what: &str, anchor: &'a Certificate| {
        let subject =
            anchor.details().map_or_else(|_| String::new(), |details| format!(" ({})", short(details.subject.as_str())));
        Some((format!("{what}{subject}"), anchor))
    };
    match (judgement.anchor_above(chain), judgement.root) {
        // Of one CA, the store may have another certificate than the server: verifiers look at their own.
        (Some(anchor), Some(root)) if anchor.der() != chain[root].der() => of_store("the root of the store", anchor),
        (Some(anchor), None) if is_self_signed(anchor) => of_store("the root", anchor),
        (Some(anchor), None) => of_store("the trust anchor", anchor),
        (_, root) => root.map(|root| (certificate_text(chain, root), &chain[root])),
    }
}

/// Of one root the stores may have several certificates: the last that ends, among those of the store of the anchor. While
/// one is valid the path holds.
pub fn last_of_root(store: &str, stores: &[TrustStore], anchor: &Certificate) -> Certificate {
    let of = |certificate: &Certificate| {
        let details = certificate.details().ok()?;
        let (_, parsed) = X509Certificate::from_der(certificate.der()).ok()?;
        Some((alike(parsed.subject()), details.key.sha256.clone(), details.not_after))
    };
    let Some((subject, key, end)) = of(anchor) else { return anchor.clone() };
    let (mut last, mut last_end) = (anchor.clone(), end);
    for other in stores.iter().filter(|other| other.name == store).flat_map(|store| &store.anchors) {
        let other = Certificate::from_der(other);
        if let Some((name, same, end)) = of(&other)
            && (&name, &same) == (&subject, &key)
            && end > last_end
        {
            (last, last_end) = (other, end);
        }
    }
    last
}

/// Finds the path of a chain as sent; `now` prefers certificates that are valid then.
pub fn judge(chain: &[Certificate], stores: &[TrustStore], now: OffsetDateTime) -> Judgement {
    let undecided = |why: &str| {
        let end = End::Undecided(why.to_owned());
        Judgement { path: vec![0], root: None, extra: Vec::new(), end, anchor: None, misled: None }
    };
    let mut search = Search::new(chain, stores, now);
    if search.sent.first().is_none_or(Option::is_none) {
        return undecided("the server's certificate cannot be read");
    }
    let mut climb = search.follow(true);
    if let Climb::Trusted(walk) = climb {
        return search.describe(walk, None, chain);
    }
    let usable: Vec<bool> = (0..search.sent.len()).map(|index| search.is_valid_now(index)).collect();
    let mut walk = search.walk(0, &usable);
    if !walk.end.is_public() {
        let all = search.walk(0, &vec![true; search.sent.len()]);
        if !matches!(walk.end, Found::Anchor { .. }) || all.end.is_public() {
            walk = all;
        }
    }
    if !walk.end.is_public() {
        climb = search.follow(false);
        if let Climb::Trusted(walk) = climb {
            return search.describe(walk, None, chain);
        }
    }
    search.describe(walk, Some(&climb), chain)
}

/// Another path to a trust anchor, through certificates that are valid `now`, that `is_good`. RFC 5280 leaves it to the
/// verifier which path it takes: OpenSSL takes the first that it finds, rustls-webpki tries them all.
pub fn alternative(
    chain: &[Certificate],
    judgement: &Judgement,
    stores: &[TrustStore],
    now: OffsetDateTime,
    is_good: impl Fn(&Judgement) -> bool,
) -> Option<Judgement> {
    let mut search = Search::new(chain, stores, now);
    let valid: Vec<bool> = (0..search.sent.len()).map(|index| search.is_valid_now(index)).collect();
    let mut paths = 0;
    judgement.intermediates().iter().find_map(|without| {
        let mut usable = valid.clone();
        usable[*without] = false;
        // Each round leaves out one more, the lowest that the first path has not.
        loop {
            paths += 1;
            let walk = (paths <= MAX_PATHS).then(|| search.walk(0, &usable))?;
            let other = matches!(walk.end, Found::Anchor { .. }).then(|| search.describe(walk, None, chain))?;
            if is_good(&other) {
                return Some(other);
            }
            usable[*other.path.iter().find(|index| !judgement.path.contains(index))?] = false;
        }
    })
}

fn is_valid(certificate: &X509Certificate, now: OffsetDateTime) -> bool {
    let validity = certificate.validity();
    validity.not_before.to_datetime() <= now && now <= validity.not_after.to_datetime()
}

/// The state of one judgement: what was parsed, and the signatures that were checked.
struct Search<'a> {
    stores: &'a [TrustStore],
    sent: Vec<Option<X509Certificate<'a>>>,
    /// The names of the issuer and the subject of each, as they are compared.
    sent_names: Vec<(Vec<u8>, Vec<u8>)>,
    anchor_names: Vec<Vec<u8>>,
    anchors: Vec<(&'a TrustStore, X509Certificate<'a>)>,
    checked: HashMap<(usize, Issuer), Checked>,
    checks: usize,
    is_cut: bool,
    now: OffsetDateTime,
}

/// A possible issuer: a certificate that was sent, or an anchor, by its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Issuer {
    Sent(usize),
    Anchor(usize),
}

/// One climb: the places passed, bottom up, and what stands above the last.
struct Walk {
    path: Vec<usize>,
    end: Found,
}

/// What stands above the last certificate of a climb.
enum Found {
    Anchor { anchor: usize, public: bool },
    Unknown(String),
    SelfSigned,
    WrongSignature,
    Nothing,
}

/// The rank of what cannot be told.
const DOUBT: u8 = 3;

impl Found {
    fn is_public(&self) -> bool {
        matches!(self, Self::Anchor { public: true, .. })
    }

    /// The better known end wins: an anchor, then doubt, then a root, then an issuer that did not sign, then nothing.
    fn rank(&self) -> u8 {
        match self {
            Self::Anchor { public: true, .. } => 5,
            Self::Anchor { public: false, .. } => 4,
            Self::Unknown(_) => DOUBT,
            Self::SelfSigned => 2,
            Self::WrongSignature => 1,
            Self::Nothing => 0,
        }
    }
}

impl<'a> Search<'a> {
    fn new(chain: &'a [Certificate], stores: &'a [TrustStore], now: OffsetDateTime) -> Self {
        // `details` is the stricter reader: what it refuses is not used.
        let parse = |certificate: &'a Certificate| {
            certificate.details().ok().and_then(|_| X509Certificate::from_der(certificate.der()).ok()).map(|(_, parsed)| parsed)
        };
        let anchors = stores.iter().flat_map(|store| store.anchors.iter().map(move |anchor| (store, anchor)));
        let mut anchors: Vec<(&TrustStore, X509Certificate)> =
            anchors.filter_map(|(store, anchor)| Some((store, X509Certificate::from_der(anchor).ok()?.1))).collect();
        // Of several roots of one CA, one that is valid is found first.
        anchors.sort_by_key(|(_, anchor)| !is_valid(anchor, now));
        let sent: Vec<Option<X509Certificate>> = chain.iter().take(MAX_CERTIFICATES).map(parse).collect();
        let names =
            |sent: &Option<X509Certificate>| sent.as_ref().map(|c| (alike(c.issuer()), alike(c.subject()))).unwrap_or_default();
        Self {
            stores,
            sent_names: sent.iter().map(names).collect(),
            anchor_names: anchors.iter().map(|(_, anchor)| alike(anchor.subject())).collect(),
            sent,
            anchors,
            checked: HashMap::new(),
            checks: 0,
            is_cut: chain.len() > MAX_CERTIFICATES,
            now,
        }
    }

    fn is_valid_now(&self, index: usize) -> bool {
        self.sent[index].as_ref().is_some_and(|certificate| is_valid(certificate, self.now))
    }

    /// What was sent, in its order; certificates with another key than the one that `child` names come last.
    fn candidates(&self, child: usize) -> Vec<usize> {
        let mut candidates: Vec<usize> = (0..self.sent.len()).collect();
        candidates.sort_by_key(|index| self.names_other_key_than(child, Issuer::Sent(*index)));
        candidates
    }

    /// Climbs from one certificate, breadth first, so the shortest path to each end is taken.
    fn walk(&mut self, from: usize, usable: &[bool]) -> Walk {
        let mut below: HashMap<usize, Option<usize>> = HashMap::from([(from, None)]);
        let mut queue = VecDeque::from([from]);
        let mut best: Option<(usize, Found)> = None;
        while let Some(current) = queue.pop_front() {
            let mut end = self.end_at(current);
            let mut has_issuer = false;
            let others: Vec<usize> =
                self.candidates(current).into_iter().filter(|next| usable[*next] && !self.is_same(current, *next)).collect();
            let (passed, ahead): (Vec<usize>, Vec<usize>) = others.into_iter().partition(|next| below.contains_key(next));
            for next in ahead {
                match self.is_issued_by(current, Issuer::Sent(next)) {
                    Some(Checked::Right) => {
                        has_issuer = true;
                        below.insert(next, Some(current));
                        queue.push_back(next);
                    }
                    Some(Checked::Unknown) if end.rank() < DOUBT => end = self.unknown(current),
                    Some(Checked::Wrong) if matches!(end, Found::Nothing) && self.names_key_of(current, Issuer::Sent(next)) => {
                        end = Found::WrongSignature;
                    }
                    _ => {}
                }
            }
            // An issuer that was passed on another way is one all the same.
            for next in passed {
                if has_issuer || end.rank() >= DOUBT {
                    break;
                }
                match self.is_issued_by(current, Issuer::Sent(next)) {
                    Some(Checked::Right) => has_issuer = true,
                    Some(Checked::Unknown) => end = self.unknown(current),
                    _ => {}
                }
            }
            // Where an issuer was found, the end lies above; only a better known one counts here.
            let counts = !matches!(end, Found::Nothing | Found::WrongSignature) || !has_issuer;
            let is_better =
                best.as_ref().is_none_or(|(_, found)| end.rank() > found.rank() || is_dead_end_further_up(found, &end));
            if counts && is_better {
                let is_final = end.is_public();
                best = Some((current, end));
                if is_final {
                    break;
                }
            }
        }
        let Some((top, end)) = best else { return self.round(from, usable) };
        let mut path: Vec<usize> = std::iter::successors(Some(top), |index| below.get(index).copied().flatten()).collect();
        path.reverse();
        Walk { path, end }
    }

    /// Goes from issuer to issuer, where each has one that was sent, until one comes again.
    fn round(&mut self, from: usize, usable: &[bool]) -> Walk {
        let mut path = vec![from];
        loop {
            let current = path[path.len() - 1];
            let next = self.candidates(current).into_iter().find(|next| {
                let is_other = usable[*next] && !self.is_same(current, *next);
                is_other && self.is_issued_by(current, Issuer::Sent(*next)) == Some(Checked::Right)
            });
            match next {
                Some(next) if !path.contains(&next) => path.push(next),
                _ => return Walk { path, end: Found::Nothing },
            }
        }
    }

    /// What stands directly above a certificate, besides what was sent.
    fn end_at(&mut self, current: usize) -> Found {
        let mut end = Found::Nothing;
        let mut anchors: Vec<usize> = (0..self.anchors.len()).filter(|anchor| self.is_above(current, *anchor)).collect();
        anchors.sort_by_key(|anchor| self.names_other_key_than(current, Issuer::Anchor(*anchor)));
        for anchor in anchors {
            if end.is_public() {
                break;
            }
            let found = match self.is_below(current, anchor) {
                Some(Checked::Right) => Found::Anchor { anchor, public: self.anchors[anchor].0.public },
                Some(Checked::Unknown) => self.unknown(current),
                Some(Checked::Wrong) if self.names_key_of(current, Issuer::Anchor(anchor)) => Found::WrongSignature,
                _ => continue,
            };
            if found.rank() > end.rank() {
                end = found;
            }
        }
        if end.rank() < DOUBT {
            end = match self.is_issued_by(current, Issuer::Sent(current)) {
                Some(Checked::Right) => Found::SelfSigned,
                Some(Checked::Unknown) => self.unknown(current),
                _ => end,
            };
        }
        end
    }

    /// Whether an issuer's key made the signature; none where the names do not even agree.
    fn is_issued_by(&mut self, child: usize, issuer: Issuer) -> Option<Checked> {
        let certificate = self.sent[child].as_ref()?;
        let by = self.certificate(issuer)?;
        if self.sent_names[child].0 != *self.subject_name(issuer) {
            return None;
        }
        if let Some(known) = self.checked.get(&(child, issuer)) {
            return Some(*known);
        }
        if self.checks == MAX_CHECKS {
            return Some(Checked::Unknown);
        }
        let checked = signature::check(certificate, by);
        self.checks += 1;
        self.checked.insert((child, issuer), checked);
        Some(checked)
    }

    /// Whether a certificate is an anchor, or an anchor's key signed it; none where the names do not even agree.
    fn is_below(&mut self, current: usize, anchor: usize) -> Option<Checked> {
        match self.is_anchor(current, anchor) {
            true => Some(Checked::Right),
            false => self.is_issued_by(current, Issuer::Anchor(anchor)),
        }
    }

    /// Whether a certificate is itself in a store. That makes a CA an anchor, and the server only if it is self-signed: nobody
    /// stops at another one unasked.
    fn is_anchor(&self, index: usize, anchor: usize) -> bool {
        let is_it = |certificate: &X509Certificate| certificate.as_raw() == self.anchors[anchor].1.as_raw();
        self.sent[index].as_ref().is_some_and(is_it) && (index != 0 || self.fits(0, Issuer::Sent(0)))
    }

    fn certificate(&self, issuer: Issuer) -> Option<&X509Certificate<'a>> {
        match issuer {
            Issuer::Sent(index) => self.sent[index].as_ref(),
            Issuer::Anchor(index) => Some(&self.anchors[index].1),
        }
    }

    /// Its subject, as names are compared.
    fn subject_name(&self, issuer: Issuer) -> &[u8] {
        match issuer {
            Issuer::Sent(index) => &self.sent_names[index].1,
            Issuer::Anchor(index) => &self.anchor_names[index],
        }
    }

    /// Whether a certificate says by which key it was signed (RFC 5280, 4.2.1.1), and that is the key of this issuer.
    /// CAs of one name and several keys are common; only this tells a wrong signature from another key's.
    fn names_key_of(&self, child: usize, issuer: Issuer) -> bool {
        self.is_key_named(child, issuer) == Some(true)
    }

    /// Whether a certificate says that another key than the one of this issuer signed it.
    fn names_other_key_than(&self, child: usize, issuer: Issuer) -> bool {
        self.is_key_named(child, issuer) == Some(false)
    }

    fn is_key_named(&self, child: usize, issuer: Issuer) -> Option<bool> {
        key_identifiers::is_key_named(self.sent[child].as_ref()?, self.certificate(issuer)?)
    }

    /// Whether an anchor bears the name of a certificate's issuer, or is the certificate itself.
    fn is_above(&self, current: usize, anchor: usize) -> bool {
        self.sent_names[current].0 == self.anchor_names[anchor] || self.sent_names[current].1 == self.anchor_names[anchor]
    }

    fn unknown(&self, index: usize) -> Found {
        Found::Unknown(if self.checks == MAX_CHECKS {
            format!("the chain takes more than {MAX_CHECKS} signature checks")
        } else {
            format!("this build cannot verify the signature of certificate {}", index + 1)
        })
    }

    fn is_same(&self, one: usize, other: usize) -> bool {
        match (&self.sent[one], &self.sent[other]) {
            (Some(one), Some(other)) => one.as_raw() == other.as_raw(),
            _ => false,
        }
    }

    /// Whether the two are certificates of one CA: the same name and key.
    fn is_same_authority(&self, one: usize, other: &X509Certificate) -> bool {
        self.sent[one].as_ref().is_some_and(|one| {
            one.subject().as_raw() == other.subject().as_raw() && one.public_key().raw == other.public_key().raw
        })
    }
}

/// Two dead ends: the one further up says more.
fn is_dead_end_further_up(found: &Found, end: &Found) -> bool {
    matches!((found, end), (Found::Nothing, Found::Nothing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Authority, NOW, World};

    fn judged(world: &World) -> Judgement {
        judge(&world.chain, &world.stores, NOW)
    }

    #[test]
    fn the_path_is_found_whatever_is_between() {
        let mut world = World::correct();
        let stray = Authority::root("Stray CA").certificate;
        world.chain = vec![world.chain[0].clone(), stray, world.root.certificate.clone(), world.issuing.certificate.clone()];
        let judgement = judged(&world);
        assert_eq!((&*judgement.path, judgement.root), (&[0, 3][..], Some(2)));
        assert_eq!(judgement.extra, [(1, Relation::Unrelated)]);
        assert!(!judgement.is_in_order());
        assert_eq!(judgement.end, End::Trusted { store: "world".to_owned(), public: true });
    }

    /// Of two roots of one CA, the cross-certified way to a public one counts.
    #[test]
    fn a_public_anchor_is_preferred() {
        let mut world = World::correct();
        let private = Authority::root("New Root CA");
        let issuing = private.intermediate("New Issuing CA");
        let cross = world.root.certify(&private);
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone(), private.certificate.clone(), cross];
        let anchors = vec![private.certificate.der().to_vec().into()];
        world.stores.insert(0, TrustStore { name: "own".to_owned(), public: false, anchors });
        let judgement = judged(&world);
        assert_eq!(judgement.end, End::Trusted { store: "world".to_owned(), public: true });
        assert_eq!(judgement.path, [0, 1, 3]);
        assert_eq!(judgement.extra, [(2, Relation::Alternative)]);
    }

    #[test]
    fn two_cas_that_certify_each_other_end_the_walk() {
        let mut world = World::correct();
        let (one, two) = (Authority::root("One CA"), Authority::root("Two CA"));
        world.chain = vec![one.leaf(|_| {}), two.certify(&one), one.certify(&two)];
        assert_eq!(judged(&world).end, End::Circle { index: 2, issuer: 1 });
    }

    /// Whoever is on two ways is no end of either: the issuer that is missing is named, in a circle with an exit too.
    #[test]
    fn an_issuer_on_another_way_is_one() {
        let mut world = World::correct();
        let (one, two, three) = (Authority::root("One CA"), Authority::root("Two CA"), Authority::root("Three CA"));
        let gone = Authority::root("Gone CA");
        let unknown = |index| End::UnknownIssuer { index, issuer: "CN=Gone CA".to_owned(), fetchable: false };
        let exit = gone.certify(&three);
        world.chain = vec![one.leaf(|_| {}), two.certify(&one), three.certify(&one), three.certify(&two), exit.clone()];
        assert_eq!(judged(&world).end, unknown(4));
        world.chain.swap(1, 2);
        assert_eq!(judged(&world).end, unknown(4));
        world.chain = vec![one.leaf(|_| {}), two.certify(&one), one.certify(&two), gone.certify(&one)];
        assert_eq!(judged(&world).end, unknown(3));
        world.chain = vec![one.leaf(|_| {}), gone.certify(&one), two.certify(&one), one.certify(&two)];
        assert_eq!(judged(&world).end, unknown(1));
        // Nothing but a circle, whose members are met on two ways.
        world.chain = vec![one.leaf(|_| {}), two.certify(&one), three.certify(&one), three.certify(&two), two.certify(&three)];
        assert!(matches!(judged(&world).end, End::Circle { .. }), "{:?}", judged(&world).end);
    }

    #[test]
    fn what_cannot_be_read_might_be_the_missing_link() {
        let mut world = World::correct();
        world.chain[1] = Certificate::from_der(b"no certificate");
        assert!(matches!(judged(&world).end, End::Undecided(_)));
        world.chain.swap(0, 1);
        assert!(matches!(judged(&world).end, End::Undecided(_)));
    }

    #[test]
    fn a_chain_without_end_is_not_followed() {
        let mut world = World::correct();
        world.chain.truncate(1);
        world.chain.resize(MAX_CERTIFICATES + 1, Authority::root("Stray CA").certificate);
        assert!(matches!(judged(&world).end, End::Undecided(_)));
        world.chain.insert(1, world.issuing.certificate.clone());
        assert!(matches!(judged(&world).end, End::Trusted { .. }));
    }

    /// Many issuers of one name, none of which made the signature: the work is bounded.
    #[test]
    fn the_number_of_checks_is_bounded() {
        let mut world = World::correct();
        let namesakes = (0..31).map(|_| world.root.intermediate("Issuing CA").certificate);
        world.chain = std::iter::once(world.chain[0].clone()).chain(namesakes).collect();
        for _ in 0..50 {
            world.stores[0].anchors.push(Authority::root("Issuing CA").certificate.der().to_vec().into());
        }
        let End::Undecided(why) = judged(&world).end else { panic!("{:?}", judged(&world).end) };
        assert!(why.contains("signature checks"), "{why}");
    }
}
