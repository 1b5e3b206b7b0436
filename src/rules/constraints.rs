//! What on a path breaks a rule of certification paths, and which certificate it is (RFC 5280, 4.1, 4.2 and 6.1).
//!
//! [`super::second_opinion`] judges as a sender would, and does not say where the fault is. This says where.

use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    der_parser::{
        asn1_rs::{Oid, Tag},
        oid,
    },
    extensions::{KeyUsage, ParsedExtension, X509Extension},
    oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY,
    prelude::FromDer as _,
};

use super::{
    certificate_text, dates,
    name_constraints::{self, Budget, TooMany},
    path::{self, Judgement, Upwards, links},
    short, spelling,
};
use crate::{facts::Certificate, trust::TrustStore};

/// What breaks a rule, and whether that is all.
#[derive(Debug, Default)]
pub struct Faults {
    /// Each in words that name the certificate.
    pub found: Vec<String>,
    /// Why there may be more.
    pub doubt: Option<&'static str>,
}

impl Faults {
    /// Whether there are none for sure.
    pub fn is_none(&self) -> bool {
        self.found.is_empty() && self.doubt.is_none()
    }
}

/// What breaks a rule on a path, with what the stores have above it.
pub fn faults(chain: &[Certificate], judgement: &Judgement, stores: &[TrustStore], now: OffsetDateTime) -> Faults {
    let mut faults = Vec::new();
    let Some(leaf) = chain.first().and_then(parsed) else { return Faults::default() };
    let path: Vec<(String, X509Certificate)> =
        judgement.path.iter().filter_map(|index| Some((certificate_text(chain, *index), parsed(chain.get(*index)?)?))).collect();
    for (what, certificate) in &path {
        faults.extend(form(what, certificate));
        faults.extend(unknown(what, certificate));
        if !is_for_servers(certificate) {
            faults.push(format!("{what} is not meant for TLS servers, by its extended key usage"));
        }
    }
    if let Ok(Some(usage)) = leaf.key_usage() {
        let is_usable = usage.value.digital_signature() || usage.value.key_encipherment() || usage.value.key_agreement();
        // A server signs its key exchange or has a secret encrypted to its key (RFC 5280, 4.2.1.3).
        if !is_usable {
            faults.push("the server's certificate may not be used in TLS, by its key usage".to_owned());
        }
    }
    if !is_of_server_type(&leaf) {
        faults.push("the server's certificate is not meant for TLS servers, by its Netscape certificate type".to_owned());
    }
    for link in links(chain, judgement).windows(2).filter(|link| spelling::misleads_openssl(link[0].1, link[1].1)) {
        let (here, there) = spelling::shown(link[0].1, link[1].1);
        faults.push(format!(
            "{} names {here} for its issuer, which OpenSSL and GnuTLS take for another name than {there}",
            link[0].0
        ));
    }
    // CAs that only renewed their key are not counted (RFC 5280, 4.2.1.9).
    let below =
        |place: usize| path[1..place].iter().filter(|(_, below)| below.subject().as_raw() != below.issuer().as_raw()).count();
    let (mut budget, mut is_cut) = (Budget::new(), false);
    let mut names_of = |what: &str, certificate: &X509Certificate, below: &[(String, X509Certificate)]| {
        let fault = names(what, certificate, below, &mut budget);
        is_cut |= fault.is_err();
        fault.ok().flatten()
    };
    for (place, (what, certificate)) in path.iter().enumerate().skip(1) {
        faults.extend(authority(what, certificate, below(place)));
        faults.extend(names_of(what, certificate, &path[..place]));
    }
    let above = anchors(chain, judgement, stores, now);
    let mut below_it = path;
    for (what, anchor) in above.iter().filter_map(|(what, anchor)| Some((what.clone(), parsed(anchor)?))) {
        let count = below_it.iter().skip(1).filter(|(_, below)| below.subject().as_raw() != below.issuer().as_raw()).count();
        faults.extend(names_of(&what, &anchor, &below_it));
        faults.extend(root(&what, &anchor, count));
        below_it.push((what, anchor));
    }
    let doubt = "the name constraints of the path take more than a million comparisons with its names, which are not made";
    Faults { found: faults, doubt: is_cut.then_some(doubt) }
}

/// The trust anchor above the path, and what OpenSSL and GnuTLS go on to from there in its store, up to the root.
fn anchors(
    chain: &[Certificate],
    judgement: &Judgement,
    stores: &[TrustStore],
    now: OffsetDateTime,
) -> Vec<(String, Certificate)> {
    let mut anchors = Vec::new();
    let Some(anchor) = &judgement.anchor else { return anchors };
    let is_root = path::is_self_signed(anchor);
    if judgement.anchor_above(chain).is_some() {
        let what = if is_root { "the root" } else { "the trust anchor" };
        anchors.push((what.to_owned(), anchor.clone()));
    }
    let holds_it = |store: &&TrustStore| store.anchors.iter().any(|known| known.as_ref() == anchor.der());
    if let (false, Some(store)) = (is_root, stores.iter().find(holds_it))
        && let Upwards::Root(above) = path::upwards(anchor, store, now)
    {
        let what = |certificate: &Certificate| {
            let subject = certificate.details().map(|details| short(details.subject.as_str())).unwrap_or_default();
            format!("{subject}, which is in the trust store above the path,")
        };
        anchors.extend(above.into_iter().map(|certificate| (what(&certificate), certificate)));
    }
    anchors
}

/// The object identifier of a critical extension on the path that rustls-webpki does not know though OpenSSL does, and
/// the certificate that has it.
pub fn rare_critical(chain: &[Certificate], judgement: &Judgement) -> Option<(String, String)> {
    judgement.path.iter().find_map(|index| {
        let certificate = parsed(chain.get(*index)?)?;
        let identifier = unknown_critical(&certificate, is_known_to_webpki)?;
        Some((certificate_text(chain, *index), identifier))
    })
}

/// What the key of a certificate may be used for; none where it does not say (RFC 5280, 4.2.1.3).
pub fn key_usage(certificate: &Certificate) -> Option<KeyUsage> {
    Some(*parsed(certificate)?.key_usage().ok()??.value)
}

fn parsed(certificate: &Certificate) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(certificate.der()).ok().map(|(_, parsed)| parsed)
}

/// What no verifier reads past.
fn form(what: &str, certificate: &X509Certificate) -> Vec<String> {
    let mut faults = Vec::new();
    // RFC 5280, 4.1.1.2
    if certificate.signature_algorithm != certificate.tbs_certificate.signature {
        faults.push(format!("{what} names two different algorithms for its one signature"));
    }
    if let Some(flaw) = dates::flaws(certificate.as_raw()).first() {
        faults.push(format!("{what} has a date that OpenSSL does not read: {flaw}"));
    }
    faults.extend(spelled_out(what, certificate));
    // RFC 5280, 4.2
    let extensions = certificate.extensions();
    let is_repeated = |index: usize| extensions[..index].iter().any(|earlier| earlier.oid == extensions[index].oid);
    if let Some(twice) = (0..extensions.len()).find(|index| is_repeated(*index)) {
        faults.push(format!("{what} has an extension twice: {}", short(&extensions[twice].oid.to_id_string())));
    }
    faults
}

/// A curve by its parameters instead of its name (RFC 5480, 2.1.1), which OpenSSL refuses anywhere on a path (`check_curve`).
fn spelled_out(what: &str, certificate: &X509Certificate) -> Option<String> {
    let algorithm = &certificate.public_key().algorithm;
    let is_explicit = algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && algorithm.parameters().is_some_and(|parameters| parameters.tag() == Tag::Sequence);
    is_explicit.then(|| format!("{what} has a key whose curve is spelled out, and OpenSSL takes curves by name only"))
}

/// What keeps a certificate from being that of a CA; `below` is how many CAs stand between it and the server's certificate.
fn authority(what: &str, certificate: &X509Certificate, below: usize) -> Vec<String> {
    if certificate.version().0 < 2 {
        return vec![format!("{what} is an X.509 version 1 certificate, which cannot say that it is a CA")];
    }
    let mut faults = Vec::new();
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => match constraints.value.path_len_constraint {
            // RFC 5280, 4.2.1.9
            Some(most) if below > most as usize => {
                let below = if below == 1 { "is 1 CA".to_owned() } else { format!("are {below} CAs") };
                faults.push(format!("{what} allows a path length of {most}: there {below} below it, down to the server"));
            }
            _ => {}
        },
        _ => faults.push(format!("{what} is not one of a CA, by its basic constraints")),
    }
    match certificate.key_usage() {
        // RFC 5280, 4.2.1.3
        Ok(Some(usage)) if !usage.value.key_cert_sign() => {
            faults.push(format!("{what} may not sign certificates, by its key usage"));
        }
        _ => {}
    }
    faults
}

/// The first name below a CA that it may not certify: those of the server, and of CAs unless they only renewed their key
/// (RFC 5280, 6.1.3).
fn names(
    what: &str,
    authority: &X509Certificate,
    below: &[(String, X509Certificate)],
    budget: &mut Budget,
) -> Result<Option<String>, TooMany> {
    let is_held = |place: usize, certificate: &X509Certificate| {
        place == 0 || certificate.subject().as_raw() != certificate.issuer().as_raw()
    };
    for (place, (ca, certificate)) in below.iter().enumerate().filter(|(place, (_, certificate))| is_held(*place, certificate)) {
        let fault = name_constraints::fault(what, authority, certificate, (place > 0).then_some(ca.as_str()), budget)?;
        if fault.is_some() {
            return Ok(fault);
        }
    }
    Ok(None)
}

/// Of a root, what GnuTLS does not mind.
pub const NEITHER: &str = "neither by basic constraints nor by a key usage";

/// What OpenSSL and GnuTLS hold against a root, though it is trusted; others take it for no more than a name and a key
/// (RFC 5280, 6.1.1). One of version 1 cannot say that it is a CA, and is believed.
fn root(what: &str, anchor: &X509Certificate, below: usize) -> Vec<String> {
    let mut faults: Vec<String> = spelled_out(what, anchor).into_iter().collect();
    let is_silent = matches!(anchor.basic_constraints(), Ok(None));
    match anchor.key_usage() {
        // OpenSSL believes the key usage where there is nothing else (`check_ca`), GnuTLS the store.
        Ok(Some(usage)) if is_silent && usage.value.key_cert_sign() => {}
        Ok(None) if is_silent && anchor.version().0 >= 2 => {
            faults.push(format!("{what} does not say that it is a CA, {NEITHER}"));
        }
        _ if anchor.version().0 >= 2 => faults.extend(authority(what, anchor, below)),
        _ => {}
    }
    faults.extend(unknown(what, anchor));
    if !is_for_servers(anchor) {
        faults.push(format!("{what} is not meant for TLS servers, by its extended key usage"));
    }
    faults
}

/// Whether the extended key usage allows TLS servers; it does where there is none. anyExtendedKeyUsage need not be
/// enough (RFC 5280, 4.2.1.12), and for OpenSSL and rustls it is not.
fn is_for_servers(certificate: &X509Certificate) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth || usage.value.other.iter().any(is_gated),
        _ => true,
    }
}

/// Whether a usage is the server-gated cryptography of Netscape or Microsoft, which OpenSSL takes for that of TLS servers
/// (`check_purpose_ssl_server`).
fn is_gated(usage: &Oid) -> bool {
    is_netscapes(usage) || *usage == oid!(1.3.6.1.4.1.311.10.3.3)
}

fn is_netscapes(usage: &Oid) -> bool {
    *usage == oid!(2.16.840.1.113730.4.1)
}

/// A certificate that is meant for TLS servers by server-gated cryptography alone.
pub struct Gated {
    /// `the server's certificate`.
    pub what: String,
    /// Whether GnuTLS takes it: it looks at no root, and in a CA takes Netscape's (`certtool --verify` of 3.7).
    pub is_taken_by_gnutls: bool,
}

/// Those of the path and the root above it.
pub fn gated(chain: &[Certificate], judgement: &Judgement) -> Vec<Gated> {
    let usages = |certificate: &Certificate| match parsed(certificate)?.extended_key_usage() {
        Ok(Some(usage)) => {
            let is_alone = !usage.value.server_auth && usage.value.other.iter().any(is_gated);
            is_alone.then(|| usage.value.other.iter().any(is_netscapes))
        }
        _ => None,
    };
    let above = judgement.path.len();
    let gated = links(chain, judgement).into_iter().enumerate().filter_map(|(place, (what, certificate))| {
        let is_netscapes = usages(certificate)?;
        Some(Gated { what, is_taken_by_gnutls: place > 0 && (is_netscapes || place >= above) })
    });
    gated.collect()
}

/// Whether all names of the server's certificate can be read: then [`faults`] has the last word on them.
pub fn are_names_judged(leaf: &Certificate) -> bool {
    parsed(leaf).is_some_and(|leaf| name_constraints::are_names_read(&leaf))
}

/// Whether nsCertType, where there is one, allows TLS servers. It is older than the extended key usage and long given up;
/// OpenSSL still holds servers to it.
fn is_of_server_type(leaf: &X509Certificate) -> bool {
    leaf.extensions().iter().all(|extension| match extension.parsed_extension() {
        ParsedExtension::NSCertType(types) => types.ssl_server(),
        _ => true,
    })
}

/// Of a critical extension that OpenSSL refuses, what GnuTLS does not mind.
pub const GNUTLS_KNOWS_IT: &str = "GnuTLS does know it";

/// A critical extension that OpenSSL does not know, and so Postfix does not.
fn unknown(what: &str, certificate: &X509Certificate) -> Option<String> {
    if let Some(identifier) = unknown_critical(certificate, is_known_to_any) {
        return Some(format!("{what} has a critical extension that verifiers do not know: {identifier}"));
    }
    let identifier = unknown_critical(certificate, is_known_to_openssl)?;
    Some(format!("{what} has a critical extension that OpenSSL does not know: {identifier} ({GNUTLS_KNOWS_IT})"))
}

/// The first critical extension that is not known.
fn unknown_critical(certificate: &X509Certificate, is_known: fn(&[u64]) -> bool) -> Option<String> {
    let arcs = |extension: &X509Extension| extension.oid.iter().map(|arcs| arcs.collect::<Vec<u64>>()).unwrap_or_default();
    let unknown = |extension: &&X509Extension| extension.critical && !is_known(&arcs(extension));
    certificate.extensions().iter().find(unknown).map(|extension| short(&extension.oid.to_id_string()))
}

/// What OpenSSL takes where it is critical, `X509_supported_extension(3)`. Few senders know less.
fn is_known_to_openssl(arcs: &[u64]) -> bool {
    match arcs {
        // id-ce: usages, names, constraints, policies and CRL distribution points.
        [2, 5, 29, last] => [15, 17, 19, 30, 31, 32, 33, 36, 37, 54].contains(last),
        // id-pe: addresses, autonomous systems and proxy certificates.
        [1, 3, 6, 1, 5, 5, 7, 1, last] => [7, 8, 14].contains(last),
        // nsCertType, and ocsp-nocheck.
        [2, 16, 840, 1, 113_730, 1, 1] | [1, 3, 6, 1, 5, 5, 7, 48, 1, 5] => true,
        _ => false,
    }
}

/// What GnuTLS takes besides: the key identifiers, the issuer's other names, where the issuer is to be had, and what TLS must
/// do (`certtool --verify` of 3.7).
fn is_known_to_any(arcs: &[u64]) -> bool {
    matches!(arcs, [2, 5, 29, 14 | 18 | 35] | [1, 3, 6, 1, 5, 5, 7, 1, 1 | 24]) || is_known_to_openssl(arcs)
}

/// What rustls-webpki takes, and what nobody does: that is another matter.
fn is_known_to_webpki(arcs: &[u64]) -> bool {
    matches!(arcs, [2, 5, 29, 15 | 17 | 19 | 30 | 31 | 37]) || !is_known_to_openssl(arcs)
}
