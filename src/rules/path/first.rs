//! The path as OpenSSL takes it: the first issuer that fits, and no way back (`openssl-verification-options`, "Certification
//! path building"). At each step the trust store is asked first, then what was sent, in its order. An issuer fits by its name,
//! by what the certificate says of it and by its kind of key; signatures are verified when the path stands.

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
    /// The first certificate on the way to a dead end that is not among those of another path, `known`; or what keeps it from
    /// going on where that path does.
    pub(super) fn misled(&self, known: &[usize]) -> Option<Misled> {
        let Self::Dead(path, end) = self else { return None };
        let end = end.clone();
        if let Some(step) = path.windows(2).find(|step| !known.contains(&step[1])) {
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

impl Search<'_> {
    /// Climbs to the first anchor that is public, or to the first of any kind.
    pub(super) fn follow(&mut self, only_public: bool) -> Climb {
        let mut path = vec![0];
        let mut wrong = None;
        let mut current = 0;
        loop {
            let above = self.first_anchor(current, only_public);
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

    /// What looks self-signed is compared with the stores whole. Above anything else comes the first that fits and is valid, or
    /// else the one that was valid last; of several stores, any that has the right one counts.
    fn first_anchor(&mut self, current: usize, only_public: bool) -> Above {
        let counts = |search: &Self, anchor: &usize| search.anchors[*anchor].0.public || !only_public;
        let found =
            |search: &Self, anchor: usize| Above::Anchor(Found::Anchor { anchor, public: search.anchors[anchor].0.public });
        let identical = (0..self.anchors.len()).find(|anchor| counts(self, anchor) && self.is_anchor(current, *anchor));
        if let Some(anchor) = identical {
            return found(self, anchor);
        }
        if self.fits(current, Issuer::Sent(current)) {
            return Above::Nothing;
        }
        let fitting: Vec<usize> = (0..self.anchors.len())
            .filter(|anchor| counts(self, anchor) && self.fits(current, Issuer::Anchor(*anchor)))
            .collect();
        let mut above = Above::Nothing;
        let mut seen: Vec<&TrustStore> = Vec::new();
        for first in &fitting {
            let store: &TrustStore = self.anchors[*first].0;
            if seen.iter().any(|seen| std::ptr::eq(*seen, store)) {
                continue;
            }
            seen.push(store);
            let of_store = || fitting.iter().copied().filter(|anchor| std::ptr::eq(self.anchors[*anchor].0, store));
            let end = |anchor: &usize| self.anchors[*anchor].1.validity().not_after.timestamp();
            let valid = of_store().find(|anchor| is_valid(&self.anchors[*anchor].1, self.now));
            let Some(taken) = valid.or_else(|| of_store().rev().max_by_key(end)) else { continue };
            match self.is_below(current, taken) {
                Some(Checked::Right) => return found(self, taken),
                Some(Checked::Unknown) => above = Above::Unknown,
                Some(Checked::Wrong) | None if matches!(above, Above::Nothing) => above = Above::Wrong(taken),
                Some(Checked::Wrong) | None => {}
            }
        }
        above
    }

    fn wrong_anchor(&self, index: usize, anchor: usize) -> DeadEnd {
        let (store, certificate) = &self.anchors[anchor];
        let anchor = Certificate::from_der(certificate.as_raw());
        let subject = anchor.details().map_or_else(|_| "?".to_owned(), |details| short(details.subject.as_str()));
        DeadEnd::WrongAnchor { index, subject, store: store.name.clone() }
    }

    /// The first that fits and is valid, or else the one that was valid last.
    fn first_sent(&self, current: usize, path: &[usize]) -> Option<usize> {
        let mut fitting = Vec::new();
        for index in 0..self.sent.len() {
            let is_on_path = path.iter().any(|below| self.is_same(*below, index));
            if !is_on_path && self.fits(current, Issuer::Sent(index)) {
                if self.is_valid_now(index) {
                    return Some(index);
                }
                fitting.push(index);
            }
        }
        // Of several that ended at once, the first.
        let end = |index: &usize| self.sent[*index].as_ref().map(|certificate| certificate.validity().not_after.timestamp());
        fitting.into_iter().rev().max_by_key(end)
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
