//! The path as OpenSSL takes it: the first issuer that fits, and no way back (`openssl-verification-options`, "Certification
//! path building"). At each step the trust store is asked first, then what was sent, in its order. An issuer fits by its name,
//! by what the certificate says of it and by its kind of key; signatures are verified when the path stands.

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Checked, Found, Issuer, Search, Walk};
use crate::{
    facts::Certificate,
    rules::{key_identifiers, signature, spelling::canonical},
};

/// A certificate that OpenSSL takes for an issuer, and by which it gets to no trust anchor, though another path leads to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misled {
    /// The certificate whose issuer it looks for.
    pub child: usize,
    /// What it takes.
    pub taken: usize,
    /// What is wrong with the path that it then has.
    pub end: DeadEnd,
}

/// Why a path that OpenSSL has built is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadEnd {
    /// The last certificate is self-signed, and no trust anchor.
    SelfSigned(usize),
    /// The issuer of the last certificate is neither sent nor trusted.
    NoIssuer(usize),
    /// The signature on a certificate was not made by what was taken for its issuer.
    WrongSignature(usize),
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
    /// The first certificate on the way to a dead end that is not among those of another path, `known`.
    pub(super) fn misled(&self, known: &[usize]) -> Option<Misled> {
        let Self::Dead(path, end) = self else { return None };
        let step = path.windows(2).find(|step| !known.contains(&step[1]))?;
        Some(Misled { child: step[0], taken: step[1], end: *end })
    }
}

impl Search<'_> {
    /// Climbs to the first anchor that is public, or to the first of any kind.
    pub(super) fn follow(&mut self, only_public: bool) -> Climb {
        let mut path = vec![0];
        let mut wrong = None;
        let mut current = 0;
        loop {
            if let Some(end) = self.first_anchor(current, only_public) {
                return match wrong {
                    None => Climb::Trusted(Walk { path, end }),
                    Some(child) => Climb::Dead(path, DeadEnd::WrongSignature(child)),
                };
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

    fn first_anchor(&mut self, current: usize, only_public: bool) -> Option<Found> {
        (0..self.anchors.len()).find_map(|anchor| {
            let public = self.anchors[anchor].0.public;
            let counts =
                (public || !only_public) && (self.is_anchor(current, anchor) || self.fits(current, Issuer::Anchor(anchor)));
            (counts && self.is_below(current, anchor) == Some(Checked::Right)).then_some(Found::Anchor { anchor, public })
        })
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
