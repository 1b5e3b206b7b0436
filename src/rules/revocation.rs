//! Whether a CA took back what it had certified (RFC 6960; RFC 5280, 5 and 6.3).
//!
//! An answer counts when it is about this certificate, its CA or a responder of that CA signed it, and it holds at the
//! moment of judgement. Anything else leaves the question open: it is never a "good".

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use time::{Duration, OffsetDateTime};
use x509_cert::{
    der::{
        Encode as _,
        asn1::{ObjectIdentifier, OctetString},
    },
    serial_number::SerialNumber,
    spki::AlgorithmIdentifierOwned,
};
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest, Version};
use x509_parser::{
    der_parser::{
        asn1_rs::{Any, BitString, Oid, Sequence},
        oid,
    },
    extensions::{DistributionPointName, GeneralName, IssuingDistributionPoint, ParsedExtension, X509Extension},
    prelude::{CertificateRevocationList, FromDer as _, X509Certificate},
    x509::AlgorithmIdentifier,
};

use super::{
    Context, certificate_text, path,
    signature::{self, Checked, Signed},
    spelling::alike,
};
use crate::facts::{
    Body, Certificate, Crl, Errand, Facts, Fetched, OcspAnswer, OcspResponse, Resource, RevocationStatus, hex, reason_name,
};

/// Who says something of a certificate, in words.
pub fn source_text(what: Resource) -> &'static str {
    match what {
        Resource::Crl => "the CA's list",
        Resource::Ocsp | Resource::Issuer => "the OCSP responder",
    }
}

/// What is known of one certificate from one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It was not revoked, and that holds until then.
    Good(Option<OffsetDateTime>),
    /// It was revoked then, for that reason.
    Revoked(OffsetDateTime, Option<&'static str>),
    /// Nothing; why.
    Nothing(String),
    /// Nothing, since this check lacks what it takes to verify it; why. Somebody else may be told.
    Unverified(String),
}

/// A certificate of a path, and who signed it.
#[derive(Debug)]
pub struct Subject<'a> {
    /// `the server's certificate`.
    pub what: String,
    /// The certificate.
    pub certificate: &'a Certificate,
    issuer: Option<&'a Certificate>,
}

/// The reason of a revocation that may be taken back.
const HOLD: &str = "certificateHold";
/// Clocks of responders are not those of their readers.
const SKEW: Duration = Duration::minutes(5);
/// An answer that names no end is believed so long: what CAs give their answers at the most.
const ENDLESS: Duration = Duration::days(10);
/// From when on certificates may be valid for 7 days and no longer 10 to be short-lived (Baseline Requirements, 1.6.1).
const SEVEN_DAYS_FROM: OffsetDateTime = time::macros::datetime!(2026-03-15 0:00 UTC);
/// Certificates of one path that are asked about, and places that are asked for one certificate.
const MAX_SUBJECTS: usize = 8;
const MAX_PLACES: usize = 3;
/// Certificates in an answer of OCSP that may be the responder's.
const MAX_RESPONDERS: usize = 4;

/// The certificates of a path that a CA can take back, bottom up; a root cannot be.
pub fn subjects<'a>(facts: &'a Facts, chain: &'a [Certificate], judgement: &'a path::Judgement) -> Vec<Subject<'a>> {
    let above = judgement.root.and_then(|root| chain.get(root)).or(judgement.anchor_above(chain));
    // A CA may certify another key of its own name: only its own signature, or the store, makes a root.
    let is_anchor = |certificate: &Certificate| judgement.anchor.as_ref().is_some_and(|anchor| anchor.der() == certificate.der());
    let is_root = |certificate: &Certificate| {
        parsed(certificate)
            .is_some_and(|c| is_named_by(&c, &c) && (is_anchor(certificate) || signature::check(&c, &c) == Checked::Right))
    };
    let path = judgement.path.iter().enumerate();
    let subjects = path.filter_map(|(place, index)| {
        let certificate = chain.get(*index)?;
        let sent = judgement.path.get(place + 1).and_then(|index| chain.get(*index));
        let issuer = sent.or(above).or_else(|| fetched_issuer(facts, certificate));
        Some(Subject { what: certificate_text(chain, *index), certificate, issuer })
    });
    subjects.filter(|subject| !is_root(subject.certificate)).collect()
}

/// Whether a certificate names this issuer, as names are compared on a path.
fn is_named_by(child: &X509Certificate, issuer: &X509Certificate) -> bool {
    alike(child.issuer()) == alike(issuer.subject())
}

fn fetched_issuer<'a>(facts: &'a Facts, certificate: &Certificate) -> Option<&'a Certificate> {
    let child = parsed(certificate)?;
    fetched_issuers(facts).find(|issuer| {
        parsed(issuer).is_some_and(|issuer| is_named_by(&child, &issuer) && signature::check(&child, &issuer) == Checked::Right)
    })
}

/// The certificates that were fetched because another one names them as its issuer's.
pub fn fetched_issuers(facts: &Facts) -> impl Iterator<Item = &Certificate> {
    facts.fetched.iter().filter_map(|fetched| match fetched.answer.seen() {
        Some(Body::Issuer(issuer)) => Some(&**issuer),
        _ => None,
    })
}

fn parsed(certificate: &Certificate) -> Option<X509Certificate<'_>> {
    certificate.details().ok()?;
    X509Certificate::from_der(certificate.der()).ok().map(|(_, parsed)| parsed)
}

/// What to fetch, so that it can be said whether the certificates seen were revoked.
pub fn errands(context: &Context) -> Vec<Errand> {
    let mut errands: Vec<Errand> = Vec::new();
    for chain in (0..context.facts.views.len()).flat_map(|view| context.chains(view)) {
        let Some(judgement) = chain.judged(context) else { continue };
        // What is left is not asked about, and said not to be known.
        for subject in subjects(context.facts, chain.certificates, judgement).into_iter().take(MAX_SUBJECTS) {
            for errand in subject.errands() {
                if !errands.contains(&errand) {
                    errands.push(errand);
                }
            }
        }
    }
    errands
}

/// What to fetch, so that it can be said whether a path that ends too early would go on there, or whether a current
/// certificate of an intermediate that has expired is to be had.
pub fn issuer_errands(context: &Context) -> Vec<Errand> {
    let mut errands: Vec<Errand> = Vec::new();
    for chain in (0..context.facts.views.len()).flat_map(|view| context.chains(view)) {
        let Some(judgement) = chain.judged(context) else { continue };
        let open = open_end(context, chain.certificates, judgement);
        let Some(top) = open.or_else(|| below_expired(context, chain.certificates, judgement)) else { continue };
        let Ok(details) = top.details() else { continue };
        for url in details.ca_issuers.iter().take(MAX_PLACES) {
            let errand =
                Errand { certificate: details.sha256.clone(), what: Resource::Issuer, url: url.clone(), request: Vec::new() };
            if !errands.contains(&errand) {
                errands.push(errand);
            }
        }
    }
    errands
}

/// The last certificate of a path whose issuer is missing, with what was fetched counted in.
fn open_end(context: &Context, chain: &[Certificate], judgement: &path::Judgement) -> Option<Certificate> {
    let missing = |judgement: &path::Judgement| match judgement.end {
        path::End::UnknownIssuer { index, .. } | path::End::Gap { index, .. } => Some(index),
        _ => None,
    };
    missing(judgement)?;
    let mended = mended(context, chain);
    let judgement = path::judge(&mended, context.stores, context.now);
    missing(&judgement).and_then(|index| mended.get(index).cloned())
}

/// The certificate of a path that points to an intermediate that has expired: the lowest one.
fn below_expired(context: &Context, chain: &[Certificate], judgement: &path::Judgement) -> Option<Certificate> {
    let is_expired = |index: &usize| chain[*index].details().is_ok_and(|issuer| issuer.not_after < context.now);
    let place = judgement.intermediates().iter().position(is_expired)?;
    judgement.path.get(place).and_then(|index| chain.get(*index).cloned())
}

/// A chain with what was fetched behind it, and can be read.
pub fn mended(context: &Context, chain: &[Certificate]) -> Vec<Certificate> {
    let read = fetched_issuers(context.facts).filter(|issuer| issuer.details().is_ok());
    chain.iter().chain(read).cloned().collect()
}

impl Subject<'_> {
    /// What each source says: the staple, where there is one, and what was fetched.
    pub fn learned<'a>(&self, facts: &'a Facts, now: OffsetDateTime) -> Vec<(&'a Fetched, Learned)> {
        let Ok(details) = self.certificate.details() else { return Vec::new() };
        let about_it = facts.fetched.iter().filter(|fetched| fetched.certificate == details.sha256);
        about_it.filter(|fetched| fetched.what != Resource::Issuer).map(|fetched| (fetched, self.learn(fetched, now))).collect()
    }

    fn learn(&self, fetched: &Fetched, now: OffsetDateTime) -> Learned {
        match fetched.answer.seen() {
            Some(Body::Ocsp(response)) => self.of_ocsp(response, now),
            Some(Body::Crl(list)) => self.of_crl(list, fetched.url.as_str(), now),
            Some(Body::Issuer(_)) => Learned::Nothing("a certificate is no answer".to_owned()),
            None => Learned::Nothing(fetched.answer.why_not()),
        }
    }

    /// Where the certificate says that it can be asked about, as errands.
    pub fn errands(&self) -> Vec<Errand> {
        let Ok(details) = self.certificate.details() else { return Vec::new() };
        let errand = |what, url: &crate::wire::WireText, request: &[u8]| Errand {
            certificate: details.sha256.clone(),
            what,
            url: url.clone(),
            request: request.to_vec(),
        };
        let request = self.request();
        let responders = request
            .iter()
            .flat_map(|request| details.ocsp_responders.iter().take(MAX_PLACES).map(|url| errand(Resource::Ocsp, url, request)));
        let lists = details.crl_places.iter().take(MAX_PLACES).map(|url| errand(Resource::Crl, url, &[]));
        responders.chain(lists).collect()
    }

    /// Why its CA need not be asked; none where it should be, as of every CA (RFC 9608, 4; CA/Browser Forum's Baseline
    /// Requirements, 4.9.7).
    pub fn why_beyond_revocation(&self) -> Option<&'static str> {
        let (details, certificate) = (self.certificate.details().ok()?, parsed(self.certificate)?);
        if details.is_ca {
            return None;
        }
        if certificate.extensions().iter().any(|extension| extension.oid == NO_REVOCATION) {
            return Some("says itself that its CA revokes none of its kind");
        }
        let names_nobody = details.ocsp_responders.is_empty() && details.crl_places.is_empty();
        let most = if details.not_before < SEVEN_DAYS_FROM { Duration::days(10) } else { Duration::days(7) };
        (names_nobody && details.not_after - details.not_before <= most)
            .then_some("is short-lived, and its CA does not offer to revoke it")
    }

    /// Why nobody was asked about it.
    pub fn why_not_asked(&self) -> &'static str {
        let is_of_others = |extension: &X509Extension| match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => {
                points.iter().any(|p| p.crl_issuer.is_some() || p.reasons.is_some())
            }
            _ => false,
        };
        if self.certificate.details().is_ok_and(|details| !details.ocsp_responders.is_empty())
            && self.issuer.is_some()
            && self.request().is_none()
        {
            "no question of OCSP can be made of it: its serial number is longer than 20 octets, or not one at all"
        } else if !self.errands().is_empty() {
            "the path is long, and nobody was asked about it"
        } else if self.certificate.details().is_ok_and(|details| !details.ocsp_responders.is_empty()) {
            "it names an OCSP responder, which cannot be asked without the certificate of its issuer"
        } else if parsed(self.certificate).is_some_and(|certificate| certificate.extensions().iter().any(is_of_others)) {
            "it points to a list of another CA or for some reasons alone, which does not decide"
        } else {
            "it names nobody who could be asked"
        }
    }

    /// The OCSP request about it; none where its issuer is not known, since that names it (RFC 6960, 4.1.1).
    fn request(&self) -> Option<Vec<u8>> {
        const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
        let (child, issuer) = (parsed(self.certificate)?, parsed(self.issuer?)?);
        let octets = |bytes: &[u8]| OctetString::new(bytes).ok();
        let id = CertId {
            hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(x509_cert::der::asn1::Null.into()) },
            issuer_name_hash: octets(&Sha1::digest(child.issuer().as_raw()))?,
            issuer_key_hash: octets(&Sha1::digest(&issuer.public_key().subject_public_key.data))?,
            serial_number: SerialNumber::new(child.raw_serial()).ok()?,
        };
        let request_list = vec![Request { req_cert: id, single_request_extensions: None }];
        let tbs_request = TbsRequest { version: Version::V1, requestor_name: None, request_list, request_extensions: None };
        OcspRequest { tbs_request, optional_signature: None }.to_der().ok()
    }

    /// What an answer of OCSP says of it (RFC 6960, 3.2).
    pub fn of_ocsp(&self, response: &OcspResponse, now: OffsetDateTime) -> Learned {
        let nothing = |why: &str| Learned::Nothing(why.to_owned());
        let details = match response.details() {
            Ok(details) => details,
            Err(_) => return nothing("what came is no OCSP response"),
        };
        if let Some(refused) = details.refused {
            return Learned::Nothing(format!("the responder answers {refused}"));
        }
        let (Some(child), Some(issuer)) = (parsed(self.certificate), self.issuer.and_then(parsed)) else {
            return Learned::Unverified("the issuer's certificate is not known, so the answer cannot be verified".to_owned());
        };
        // The two may write the one name in different kinds of string.
        let (names, key) = ([child.issuer().as_raw(), issuer.subject().as_raw()], &*issuer.public_key().subject_public_key.data);
        let serial = hex(child.raw_serial());
        let about_it = details.answers.iter().filter(|answer| {
            let hash = |bytes: &[u8]| match answer.hash.as_str() {
                "1.3.14.3.2.26" => Some(hex(&Sha1::digest(bytes))),
                "2.16.840.1.101.3.4.2.1" => Some(hex(&Sha256::digest(bytes))),
                "2.16.840.1.101.3.4.2.2" => Some(hex(&Sha384::digest(bytes))),
                "2.16.840.1.101.3.4.2.3" => Some(hex(&Sha512::digest(bytes))),
                _ => None,
            };
            let is_name = names.iter().any(|name| hash(name).as_ref() == Some(&answer.issuer_name));
            is_same_number(&answer.serial, &serial) && is_name && hash(key).as_ref() == Some(&answer.issuer_key)
        });
        // Of several, one that says "revoked" counts, and else the newest.
        let is_revoked = |answer: &OcspAnswer| matches!(answer.status, RevocationStatus::Revoked { .. });
        let answer = about_it.max_by_key(|answer| (is_revoked(answer), answer.this_update));
        let Some(answer) = answer else { return nothing("the answer is about another certificate") };
        match signer(&details.basic, &issuer, now) {
            Checked::Right => {}
            Checked::Wrong => {
                return nothing("neither the CA nor a responder with a valid certificate of the CA signed the answer");
            }
            Checked::Unknown => {
                return Learned::Unverified("the signature of the answer cannot be verified by this build".to_owned());
            }
        }
        let learned = match &answer.status {
            RevocationStatus::Revoked { at, reason } => Learned::Revoked(*at, *reason),
            RevocationStatus::Good => match &answer.unknown_critical {
                Some(identifier) => {
                    Learned::Nothing(format!("the answer has a critical extension that is not known here: {identifier}"))
                }
                None => Learned::Good(answer.next_update),
            },
            RevocationStatus::Unknown => nothing("the responder does not know the certificate"),
        };
        // A revocation is for good; "not revoked" goes out of date, and a hold may have been lifted (RFC 5280, 5.3.1).
        match out_of_date(answer.this_update, answer.next_update, now) {
            Some(why) if !matches!(learned, Learned::Revoked(_, reason) if reason != Some(HOLD)) => {
                Learned::Nothing(format!("the answer {why}"))
            }
            _ => learned,
        }
    }

    /// What a list says of it (RFC 5280, 6.3.3).
    fn of_crl(&self, list: &Crl, place: &str, now: OffsetDateTime) -> Learned {
        let nothing = |why: &str| Learned::Nothing(why.to_owned());
        let details = match list.details() {
            Ok(details) => details,
            Err(_) => return nothing("what came is no list of revoked certificates"),
        };
        let (Some(child), Some(issuer)) = (parsed(self.certificate), self.issuer.and_then(parsed)) else {
            return nothing("the issuer's certificate is not known, so the list cannot be verified");
        };
        let Ok((_, list)) = CertificateRevocationList::from_der(list.der()) else { return nothing("the list cannot be read") };
        if alike(list.issuer()) != alike(child.issuer()) {
            return nothing("the list is of another CA");
        }
        let signed = Signed {
            message: list.tbs_cert_list.as_ref(),
            algorithm: &list.signature_algorithm,
            signature: &list.signature_value,
        };
        match signed.is_by(issuer.public_key()) {
            Checked::Right => {}
            Checked::Wrong => return nothing("the CA did not sign the list"),
            Checked::Unknown => return nothing("the signature of the list cannot be verified by this build"),
        }
        if let Some(why) = out_of_scope(&list, &child, place) {
            return nothing(why);
        }
        if issuer.key_usage().is_ok_and(|usage| usage.is_some_and(|usage| !usage.value.crl_sign())) {
            return nothing("the CA may not sign lists, by its key usage");
        }
        // Whose certificate an entry is about may hang on any entry before it (RFC 5280, 5.3.3).
        let is_unknown = |extension: &X509Extension| extension.critical && extension.oid != REASON;
        if list.iter_revoked_certificates().any(|entry| entry.extensions().iter().any(is_unknown)) {
            return nothing("an entry of the list has a critical extension that is not known here");
        }
        let mut held = None;
        for entry in list.iter_revoked_certificates().filter(|entry| entry.raw_serial() == child.raw_serial()) {
            let reason = entry.reason_code().and_then(|(_, code)| reason_name(code.0));
            let revoked = Learned::Revoked(entry.revocation_date.to_datetime(), reason);
            match reason {
                // A hold that was lifted (RFC 5280, 5.3.1), and one that may have been since.
                Some("removeFromCRL") => {}
                Some(HOLD) => held = Some(revoked),
                _ => return revoked,
            }
        }
        let has_changes = list.extensions().iter().chain(child.extensions()).any(|extension| extension.oid == FRESHEST);
        match (out_of_date(details.this_update, details.next_update, now), held) {
            (Some(why), _) => Learned::Nothing(format!("the list {why}")),
            // Until a delta list is read that lifts it (RFC 5280, 6.3.3).
            (None, Some(held)) => held,
            // A delta list may revoke it (RFC 5280, 5.2.6).
            (None, _) if has_changes => Learned::Unverified(
                "it was not on the list, and the CA publishes the changes since then in another one, which is not read here"
                    .to_owned(),
            ),
            (None, None) => Learned::Good(details.next_update),
        }
    }
}

/// Whether two numbers in hexadecimal are the same.
fn is_same_number(one: &str, other: &str) -> bool {
    one.trim_start_matches('0') == other.trim_start_matches('0')
}

/// Who signed a BasicOCSPResponse: right where the CA did, or somebody whom it certified for that (RFC 6960, 4.2.2.2).
fn signer(basic: &[u8], issuer: &X509Certificate, now: OffsetDateTime) -> Checked {
    let Some((signed, algorithm, signature, rest)) = taken_apart(basic) else { return Checked::Unknown };
    let signed = Signed { message: signed, algorithm: &algorithm, signature: &signature };
    let by_issuer = signed.is_by(issuer.public_key());
    if by_issuer == Checked::Right {
        return by_issuer;
    }
    let responders = responders(rest);
    let is_delegate = |responder: &X509Certificate| {
        let is_in_time =
            responder.validity().not_before.to_datetime() <= now + SKEW && now <= responder.validity().not_after.to_datetime();
        let is_for_ocsp = matches!(responder.extended_key_usage(), Ok(Some(usage)) if usage.value.ocsp_signing);
        is_in_time && is_for_ocsp && is_named_by(responder, issuer) && signature::check(responder, issuer) == Checked::Right
    };
    let found =
        responders.iter().filter(|responder| is_delegate(responder)).map(|responder| signed.is_by(responder.public_key()));
    found.fold(
        by_issuer,
        |best, checked| if best == Checked::Right || checked == Checked::Right { Checked::Right } else { checked },
    )
}

/// What is signed, how, the signature, and what follows.
fn taken_apart(basic: &[u8]) -> Option<(&[u8], AlgorithmIdentifier<'_>, BitString<'_>, &[u8])> {
    let (_, whole) = Sequence::from_der(basic).ok()?;
    // The content is a part of `basic`, borrowed.
    let std::borrow::Cow::Borrowed(content) = whole.content else { return None };
    let (rest, _) = Any::from_der(content).ok()?;
    let message = content.get(..content.len().checked_sub(rest.len())?)?;
    let (rest, algorithm) = AlgorithmIdentifier::from_der(rest).ok()?;
    let (rest, signature) = BitString::from_der(rest).ok()?;
    Some((message, algorithm, signature, rest))
}

/// The certificates that an answer brings along: `[0] EXPLICIT SEQUENCE OF Certificate`.
fn responders(rest: &[u8]) -> Vec<X509Certificate<'_>> {
    let list = Any::from_der(rest).ok().and_then(|(_, tagged)| Sequence::from_der(tagged.data).ok());
    let Some((_, Sequence { content: std::borrow::Cow::Borrowed(mut content) })) = list else { return Vec::new() };
    let mut found = Vec::new();
    while found.len() < MAX_RESPONDERS {
        let Ok((rest, certificate)) = X509Certificate::from_der(content) else { break };
        found.push(certificate);
        content = rest;
    }
    found
}

/// Why an answer does not hold now; none where it does.
fn out_of_date(this_update: OffsetDateTime, next_update: Option<OffsetDateTime>, now: OffsetDateTime) -> Option<String> {
    if this_update > now + SKEW {
        return Some(format!("is from the future: {}", this_update.date()));
    }
    // Without an end, newer answers are always to be had (RFC 6960, 4.2.2.1): an old one says nothing of today.
    if next_update.is_none() && this_update < now - ENDLESS {
        return Some(format!("is of {}, and does not say until when it holds", this_update.date()));
    }
    // The moment of judgement is sane; what an answer says may be the last one that there is.
    let until = next_update.filter(|until| *until < now - SKEW)?;
    Some(format!("is out of date since {}", until.date()))
}

const UNREAD: &str = "what the list is about cannot be read";

/// id-ce-issuingDistributionPoint, id-ce-deltaCRLIndicator and id-ce-cRLReasons (RFC 5280, 5.2.4, 5.2.5 and 5.3.1).
const SCOPE: Oid = oid!(2.5.29.28);
const DELTA: Oid = oid!(2.5.29.27);
const REASON: Oid = oid!(2.5.29.21);
/// id-ce-freshestCRL (RFC 5280, 4.2.1.15 and 5.2.6).
const FRESHEST: Oid = oid!(2.5.29.46);
/// id-ce-noRevAvail (RFC 9608, 2).
const NO_REVOCATION: Oid = oid!(2.5.29.56);

/// The names of each distribution point of a certificate.
fn points<'a>(child: &'a X509Certificate) -> Vec<&'a [GeneralName<'a>]> {
    let points = child.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(points.iter()),
        _ => None,
    });
    let names = points.flatten().filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names.as_slice()),
        _ => None,
    });
    names.collect()
}

/// Why a list does not decide about a certificate; none where it does (RFC 5280, 5.2 and 6.3.3 b).
fn out_of_scope(list: &CertificateRevocationList, child: &X509Certificate, place: &str) -> Option<&'static str> {
    for extension in list.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::IssuingDistributionPoint(scope) => {
                if scope.indirect_crl || scope.only_some_reasons.is_some() || scope.only_contains_attribute_certs {
                    return Some("the list is not one of all revoked certificates of the CA");
                }
                if (scope.only_contains_ca_certs && !child.is_ca()) || (scope.only_contains_user_certs && child.is_ca()) {
                    return Some("the list is about another kind of certificate");
                }
                if let Some(DistributionPointName::FullName(names)) = &scope.distribution_point {
                    // One of its names must be one of those of the point that led here (RFC 5280, 6.3.3 b 2 i).
                    let is_here = |name: &GeneralName| matches!(name, GeneralName::URI(uri) if *uri == place);
                    let point = points(child).into_iter().find(|point| point.iter().any(is_here)).unwrap_or_default();
                    if !names.iter().any(|name| is_here(name) || point.contains(name)) {
                        return Some("the list is for certificates that point to another place");
                    }
                } else if !is_whole(scope, extension.value) {
                    return Some(UNREAD);
                }
            }
            _ if extension.oid == DELTA => return Some("the list has only the changes since another one"),
            _ if extension.oid == SCOPE => return Some(UNREAD),
            _ if extension.critical => return Some("the list has a critical extension that is not known here"),
            _ => {}
        }
    }
    None
}

/// Whether a scope says no more than the library has read: it leaves out a name that is relative to the CA's.
fn is_whole(scope: &IssuingDistributionPoint, value: &[u8]) -> bool {
    let read = [
        scope.distribution_point.is_some(),
        scope.only_contains_user_certs,
        scope.only_contains_ca_certs,
        scope.only_some_reasons.is_some(),
        scope.indirect_crl,
        scope.only_contains_attribute_certs,
    ];
    let Ok((_, Sequence { content })) = Sequence::from_der(value) else { return false };
    let (mut rest, mut fields) = (&*content, 0);
    while let Ok((more, _)) = Any::from_der(rest) {
        (rest, fields) = (more, fields + 1);
    }
    rest.is_empty() && fields == read.iter().filter(|is_read| **is_read).count()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateRevocationListParams, CrlIssuingDistributionPoint, Issuer, KeyPair, KeyUsagePurpose, RevocationReason,
        RevokedCertParams, SerialNumber,
    };
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{NOW, World};

    /// A list for those certificates that point to `http://ca.test/part7`.
    fn list_of_a_part() -> Vec<u8> {
        let mut issuer = rcgen::CertificateParams::new(Vec::new()).unwrap();
        issuer.key_usages = vec![KeyUsagePurpose::CrlSign];
        let params = CertificateRevocationListParams {
            this_update: OffsetDateTime::UNIX_EPOCH,
            next_update: OffsetDateTime::UNIX_EPOCH + Duration::DAY,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: Some(CrlIssuingDistributionPoint {
                distribution_point: rcgen::CrlDistributionPoint { uris: vec!["http://ca.test/part7".to_owned()] },
                scope: None,
            }),
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let key = KeyPair::generate().unwrap();
        params.signed_by(&Issuer::new(issuer, key)).unwrap().der().to_vec()
    }

    /// A hold counts as long as the list holds: the next one may have lifted it. A revocation counts ever after.
    #[rstest]
    #[case(RevocationReason::CertificateHold, 1, "revoked")]
    #[case(RevocationReason::CertificateHold, 9, "nothing")]
    #[case(RevocationReason::KeyCompromise, 9, "revoked")]
    #[case(RevocationReason::RemoveFromCrl, 1, "good")]
    #[case(RevocationReason::RemoveFromCrl, 9, "nothing")]
    fn a_hold_may_be_lifted(#[case] reason: RevocationReason, #[case] days: i64, #[case] expected: &str) {
        let world = World::correct();
        let serial = hex_bytes(&world.chain[0].details().unwrap().serial);
        let list = Crl::from_der(&world.issuing.list(|params| {
            params.revoked_certs = vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: NOW - Duration::DAY,
                reason_code: Some(reason),
                invalidity_date: None,
            }];
        }));
        let judgement = path::judge(&world.chain, &world.stores, NOW);
        let facts = world.facts(1);
        let subject = &subjects(&facts, &world.chain, &judgement)[0];
        let learned = match subject.of_crl(&list, "", NOW + Duration::days(days)) {
            Learned::Good(_) => "good",
            Learned::Revoked(..) => "revoked",
            Learned::Nothing(_) => "nothing",
            Learned::Unverified(_) => "unverified",
        };
        assert_eq!(learned, expected);
    }

    /// A CA that certifies a key for its own name has a subject below it like any other; a root is none.
    #[test]
    fn the_same_name_makes_no_root() {
        let mut world = World::correct();
        let named = |params: &mut rcgen::CertificateParams| params.use_authority_key_identifier_extension = true;
        let issuing = world.root.intermediate_with("World Root CA", named);
        world.chain = vec![issuing.leaf(named), issuing.certificate.clone(), world.root.certificate.clone()];
        let of = |world: &World| {
            let judgement = path::judge(&world.chain, &world.stores, NOW);
            subjects(&world.facts(1), &world.chain, &judgement).into_iter().map(|subject| subject.what).collect::<Vec<_>>()
        };
        assert_eq!(of(&world), ["the server's certificate", "certificate 2 (CN=World Root CA)"]);
        world.chain = vec![World::self_signed()];
        assert_eq!(of(&world), <[&str; 0]>::default());
    }

    /// The list writes the name of the CA as UTF8String, the CA itself as PrintableString: one name (RFC 5280, 7.1).
    #[test]
    fn a_name_may_be_written_otherwise() {
        let world = World::correct();
        let name = |value| {
            let mut name = rcgen::DistinguishedName::new();
            name.push(rcgen::DnType::CommonName, value);
            name
        };
        let printable = name(rcgen::DnValue::PrintableString("Issuing CA".try_into().unwrap()));
        let utf8 = world.issuing.called(name(rcgen::DnValue::Utf8String("Issuing CA".to_owned())));
        let issuing = world.issuing.called(printable);
        let leaf = issuing.leaf(|_| {});
        let list = Crl::from_der(&utf8.list(|_| {}));
        let subject = Subject { what: String::new(), certificate: &leaf, issuer: Some(&issuing.certificate) };
        assert!(matches!(subject.of_crl(&list, "", NOW), Learned::Good(_)), "{:?}", subject.of_crl(&list, "", NOW));
    }

    fn hex_bytes(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The same list with a name below that of the CA instead of the address: CN=part 7 of all.
    fn list_of_a_name() -> Vec<u8> {
        let mut list = list_of_a_part();
        let at = list.windows(20).position(|window| window == b"http://ca.test/part7").unwrap();
        list[at - 4] = 0xa1;
        list[at - 2] = 0x30;
        list[at..at + 20].copy_from_slice(b"\x06\x03\x55\x04\x03\x0c\x0dpart 7 of all");
        list
    }

    #[rstest]
    #[case(list_of_a_part(), "http://ca.test/part7", true)]
    #[case(list_of_a_part(), "http://ca.test/part8", false)]
    #[case(list_of_a_name(), "http://ca.test/part7", false)]
    fn a_list_counts_where_the_certificate_points_to_it(#[case] list: Vec<u8>, #[case] place: &str, #[case] counts: bool) {
        let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
        let world = World::correct();
        assert_eq!(out_of_scope(&list, &parsed(&world.chain[0]).unwrap(), place).is_none(), counts);
    }

    /// A point with two names, of which the list says one and was fetched from the other (RFC 5280, 6.3.3 b 2 i).
    #[test]
    fn a_list_counts_by_any_name_of_its_point() {
        let list = list_of_a_part();
        let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
        let judged = |uris: &[&str]| {
            let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
            let leaf = World::correct()
                .issuing
                .leaf(|params| params.crl_distribution_points = vec![rcgen::CrlDistributionPoint { uris }]);
            out_of_scope(&list, &parsed(&leaf).unwrap(), "http://ca.test/other").is_none()
        };
        assert!(judged(&["http://ca.test/part7", "http://ca.test/other"]));
        assert!(!judged(&["http://ca.test/other"]));
        assert!(!judged(&["http://ca.test/part7"]));
    }

    /// An OCSP responder, and a list that another CA writes: `[2]` is the cRLIssuer.
    #[rstest]
    #[case(&[1, 3, 6, 1, 5, 5, 7, 1, 1], b"\x30\x1e\x30\x1c\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x10http://ca.test/o", "OCSP responder")]
    #[case(&[2, 5, 29, 31], b"\x30\x17\x30\x15\xa2\x13\xa4\x11\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04CRLs", "list of another CA")]
    #[case(&[2, 5, 29, 99], b"\x05\x00", "names nobody")]
    fn why_nobody_is_asked_is_said(#[case] identifier: &[u64], #[case] content: &[u8], #[case] words: &str) {
        let extension = rcgen::CustomExtension::from_oid_content(identifier, content.to_vec());
        let certificate = World::correct().issuing.leaf(|params| params.custom_extensions.push(extension));
        let subject = Subject { what: String::new(), certificate: &certificate, issuer: None };
        assert!(subject.why_not_asked().contains(words), "{}", subject.why_not_asked());
    }
}
