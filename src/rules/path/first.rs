//! The path as OpenSSL takes it: the first issuer that fits, and no way back (`openssl-verification-options`, "Certification
//! path building"). At each step the trust store is asked first, then what was sent, in its order. An issuer fits by its name,
//! by what the certificate says of it and by its kind of key; signatures are verified when the path stands.

use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Checked, Found, Issuer, Search, Walk, is_valid};
use crate::{
    facts::Certificate,
    rules::{key_identifiers, short, signature, spelling::canonical},
    trust::TrustStore,
};

/// What leads OpenSSL to no trust anchor, though another path leads to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misled {
    /// The certificate whose issuer it looks for.
    pub child: usize,
    /// What was sent and it takes for that; none where it takes what the store has, or looks for none.
    pub taken: Option<usize>,
    /// What is wrong with the path that it then has.
    pub end: DeadEnd,
}

/// Why a path that OpenSSL has built is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadEnd {
    /// The last certificate is self-signed by what it says of its issuer, and no trust anchor. Then its issuer is not looked for.
    SelfSigned(usize),
    /// The issuer of the last certificate is neither sent nor trusted.
    NoIssuer(usize),
    /// The signature on a certificate was not made by what was taken for its issuer.
    WrongSignature(usize),
    /// The trust anchor that has the name of a certificate's issuer has another key than the one that signed it.
    WrongAnchor {
        /// The certificate with the signature.
        index: usize,
        /// The anchor's subject.
        subject: String,
        /// The store that holds it.
        store: String,
    },
}

/// Where a climb got to.
pub(super) enum Climb {
    /// To an anchor.
    Trusted(Walk),
    /// To a dead end, by these certificates.
    Dead(Vec<usize>, DeadEnd),
    /// This build cannot verify a signature on the way.
    Unknown,
}

impl Climb {
    /// The first step on the way to a dead end that another path, `known`, does not take; or what keeps it from going on where
    /// that path does.
    pub(super) fn misled(&self, known: &[usize]) -> Option<Misled> {
        let Self::Dead(path, end) = self else { return None };
        let end = end.clone();
        if let Some(step) = path.windows(2).find(|step| !known.windows(2).any(|right| right == *step)) {
            return Some(Misled { child: step[0], taken: Some(step[1]), end });
        }
        match end {
            DeadEnd::SelfSigned(index) | DeadEnd::WrongAnchor { index, .. } => Some(Misled { child: index, taken: None, end }),
            // What does not fit has rules of its own.
            DeadEnd::NoIssuer(_) | DeadEnd::WrongSignature(_) => None,
        }
    }
}

/// What of the stores stands above a certificate for OpenSSL.
enum Above {
    Anchor(Found),
    /// One of another key.
    Wrong(usize),
    Unknown,
    Nothing,
}

/// What OpenSSL finds above a trust anchor that is not self-signed: it goes on in the store, and there alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Upwards {
    /// A self-signed certificate: all that stand above the anchor, bottom up. None where it is one itself.
    Root(Vec<Certificate>),
    /// No issuer of the last one.
    NoRoot,
    /// The key of what it takes for the issuer of one of them made no signature on that.
    WrongSignature,
    /// This build cannot verify a signature on the way.
    Unknown,
}

/// How far it climbs (`X509_VERIFY_PARAM_set_depth`).
const MAX_DEPTH: usize = 100;

/// What a store has above one of its certificates.
pub fn upwards(anchor: &Certificate, store: &TrustStore, now: OffsetDateTime) -> Upwards {
    let parse = |der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
    let Some(anchor) = parse(anchor.der()) else { return Upwards::NoRoot };
    let all: Vec<X509Certificate> = store.anchors.iter().filter_map(|other| parse(other)).collect();
    let mut above: Vec<&X509Certificate> = Vec::new();
    let mut is_wrong = false;
    while above.len() < MAX_DEPTH {
        let current = above.last().copied().unwrap_or(&anchor);
        if fits(current, current) {
            let above = above.into_iter().map(|certificate| Certificate::from_der(certificate.as_raw())).collect();
            return if is_wrong { Upwards::WrongSignature } else { Upwards::Root(above) };
        }
        let issuers: Vec<&X509Certificate> = all.iter().filter(|issuer| fits(current, issuer)).collect();
        let Some(issuer) = taken(&issuers, |issuer| issuer, now) else { return Upwards::NoRoot };
        match signature::check(current, issuer) {
            Checked::Right => {}
            Checked::Wrong => is_wrong = true,
            Checked::Unknown => return Upwards::Unknown,
        }
        above.push(issuer);
    }
    Upwards::NoRoot
}

/// Of what fits, the first that is valid, or else the one that was valid last; of several that ended at once, the first.
fn taken<'c, 'd: 'c, T: Copy>(
    fitting: &[T],
    certificate: impl Fn(T) -> &'c X509Certificate<'d>,
    now: OffsetDateTime,
) -> Option<T> {
    let end = |one: &&T| certificate(**one).validity().not_after.timestamp();
    fitting.iter().find(|one| is_valid(certificate(**one), now)).or_else(|| fitting.iter().rev().max_by_key(end)).copied()
}

impl Search<'_> {
    /// Climbs to the first anchor of each store, of the public ones only or of all: each is that of other senders. The first
    /// store by which a root is found counts, or else the one that goes furthest.
    pub(super) fn follow(&mut self, only_public: bool) -> Climb {
        let stores = self.stores.iter().filter(|store| store.public || !only_public);
        let mut best: Option<(u8, Climb)> = None;
        for store in stores {
            let climb = self.follow_in(Some(store));
            let rank = match &climb {
                Climb::Trusted(walk) if self.leads_to_a_root(&walk.end) => return climb,
                Climb::Trusted(_) => 2,
                Climb::Unknown => 1,
                Climb::Dead(..) => 0,
            };
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                best = Some((rank, climb));
            }
        }
        best.map_or_else(|| self.follow_in(None), |(_, climb)| climb)
    }

    fn leads_to_a_root(&self, end: &Found) -> bool {
        let Found::Anchor { anchor, .. } = end else { return false };
        let (store, certificate) = &self.anchors[*anchor];
        let above = || upwards(&Certificate::from_der(certificate.as_raw()), store, self.now);
        fits(certificate, certificate) || matches!(above(), Upwards::Root(_))
    }

    /// Climbs to the first anchor of a store.
    fn follow_in(&mut self, store: Option<&TrustStore>) -> Climb {
        let mut path = vec![0];
        let mut wrong = None;
        let mut current = 0;
        loop {
            let above = self.first_anchor(current, store);
            match (above, wrong) {
                (Above::Anchor(end), None) => return Climb::Trusted(Walk { path, end }),
                (Above::Anchor(_) | Above::Wrong(_), Some(child)) => return Climb::Dead(path, DeadEnd::WrongSignature(child)),
                (Above::Wrong(anchor), None) => return Climb::Dead(path, self.wrong_anchor(current, anchor)),
                (Above::Unknown, _) => return Climb::Unknown,
                (Above::Nothing, _) => {}
            }
            if self.fits(current, Issuer::Sent(current)) {
                return Climb::Dead(path, DeadEnd::SelfSigned(current));
            }
            let Some(next) = self.first_sent(current, &path) else { return Climb::Dead(path, DeadEnd::NoIssuer(current)) };
            match self.is_issued_by(current, Issuer::Sent(next)) {
                Some(Checked::Right) => {}
                Some(Checked::Wrong) | None => wrong = wrong.or(Some(current)),
                Some(Checked::Unknown) => return Climb::Unknown,
            }
            path.push(next);
            current = next;
        }
    }

    /// What looks self-signed is compared with the store whole; above anything else comes what fits.
    fn first_anchor(&mut self, current: usize, store: Option<&TrustStore>) -> Above {
        let is_of_store = |anchor: &usize| store.is_some_and(|store| std::ptr::eq(self.anchors[*anchor].0, store));
        let of_store: Vec<usize> = (0..self.anchors.len()).filter(is_of_store).collect();
        let found = |anchor: usize| Above::Anchor(Found::Anchor { anchor, public: self.anchors[anchor].0.public });
        if let Some(anchor) = of_store.iter().find(|anchor| self.is_anchor(current, **anchor)) {
            return found(*anchor);
        }
        if self.fits(current, Issuer::Sent(current)) {
            return Above::Nothing;
        }
        let fitting: Vec<usize> = of_store.into_iter().filter(|anchor| self.fits(current, Issuer::Anchor(*anchor))).collect();
        let Some(taken) = taken(&fitting, |anchor| &self.anchors[anchor].1, self.now) else { return Above::Nothing };
        match self.is_below(current, taken) {
            Some(Checked::Right) => Above::Anchor(Found::Anchor { anchor: taken, public: self.anchors[taken].0.public }),
            Some(Checked::Unknown) => Above::Unknown,
            Some(Checked::Wrong) | None => Above::Wrong(taken),
        }
    }

    fn wrong_anchor(&self, index: usize, anchor: usize) -> DeadEnd {
        let (store, certificate) = &self.anchors[anchor];
        let anchor = Certificate::from_der(certificate.as_raw());
        let subject = anchor.details().map_or_else(|_| "?".to_owned(), |details| short(details.subject.as_str()));
        DeadEnd::WrongAnchor { index, subject, store: store.name.clone() }
    }

    /// What of the certificates sent it takes for the issuer.
    fn first_sent(&self, current: usize, path: &[usize]) -> Option<usize> {
        let is_on_path = |index: usize| path.iter().any(|below| self.is_same(*below, index));
        let fitting: Vec<usize> =
            (0..self.sent.len()).filter(|index| !is_on_path(*index) && self.fits(current, Issuer::Sent(*index))).collect();
        let sent: Vec<(usize, &X509Certificate)> =
            fitting.into_iter().filter_map(|index| Some((index, self.sent[index].as_ref()?))).collect();
        taken(&sent, |(_, certificate)| certificate, self.now).map(|(index, _)| index)
    }

    /// Whether OpenSSL takes a certificate for the issuer of another one, whoever signed it.
    pub(super) fn fits(&self, child: usize, issuer: Issuer) -> bool {
        self.sent[child].as_ref().zip(self.certificate(issuer)).is_some_and(|(child, by)| fits(child, by))
    }
}

fn fits(child: &X509Certificate, by: &X509Certificate) -> bool {
    canonical(child.issuer()) == canonical(by.subject())
        && key_identifiers::mismatch(child, by).is_none()
        && signature::is_of_kind(&child.signature_algorithm, by.public_key())
}

/// Whether OpenSSL takes a certificate for a self-signed one; it does not look at the signature (`X509_self_signed`).
pub fn is_self_signed(certificate: &Certificate) -> bool {
    X509Certificate::from_der(certificate.der()).is_ok_and(|(_, certificate)| fits(&certificate, &certificate))
}
