//! What on a path breaks a rule of certification paths, and which certificate it is (RFC 5280, 4.1, 4.2 and 6.1).
//!
//! [`super::second_opinion`] judges as a sender would, and does not say where the fault is. This says where.

use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree, KeyUsage, NameConstraints, X509Extension},
    prelude::FromDer as _,
};

use super::{certificate_text, listed, path::Judgement, short, spelling::canonical};
use crate::{facts::Certificate, wire::WireText};

/// What breaks a rule, each in words that name the certificate.
pub fn faults(chain: &[Certificate], judgement: &Judgement) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(leaf) = chain.first().and_then(parsed) else { return faults };
    let path: Vec<(String, X509Certificate)> =
        judgement.path.iter().filter_map(|index| Some((certificate_text(chain, *index), parsed(chain.get(*index)?)?))).collect();
    for (what, certificate) in &path {
        faults.extend(form(what, certificate));
        if let Some(identifier) = unknown_critical(certificate, is_known_to_openssl) {
            faults.push(format!("{what} has a critical extension that verifiers do not know: {identifier}"));
        }
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
    // CAs that only renewed their key are not counted (RFC 5280, 4.2.1.9).
    let below =
        |place: usize| path[1..place].iter().filter(|(_, below)| below.subject().as_raw() != below.issuer().as_raw()).count();
    for (place, (what, certificate)) in path.iter().enumerate().skip(1) {
        faults.extend(authority(what, certificate, below(place)));
        faults.extend(names(what, certificate, &leaf));
        // A CA below is held to them, too, unless it only renewed its key (RFC 5280, 6.1.3).
        let cas = path[1..place].iter().filter(|(_, below)| below.subject().as_raw() != below.issuer().as_raw());
        if let Ok(Some(constraints)) = certificate.name_constraints() {
            let fault = |(of, ca): &(String, X509Certificate)| directory_name(what, constraints.value, ca, of);
            faults.extend(cas.filter_map(fault).take(1));
        }
    }
    if let Some(anchor) = judgement.anchor.as_ref().and_then(parsed) {
        faults.extend(root(&anchor, below(path.len().max(1)), &leaf));
    }
    faults
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
    // RFC 5280, 4.2
    let extensions = certificate.extensions();
    let is_repeated = |index: usize| extensions[..index].iter().any(|earlier| earlier.oid == extensions[index].oid);
    if let Some(twice) = (0..extensions.len()).find(|index| is_repeated(*index)) {
        faults.push(format!("{what} has an extension twice: {}", short(&extensions[twice].oid.to_id_string())));
    }
    faults
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
                faults.push(format!("{what} allows a path length of {most}: there are {below} CAs below it, down to the server"));
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

/// What OpenSSL and GnuTLS hold against a root, though it is trusted; others take it for no more than a name and a key
/// (RFC 5280, 6.1.1). One of version 1 cannot say that it is a CA, and is believed.
fn root(anchor: &X509Certificate, below: usize, leaf: &X509Certificate) -> Vec<String> {
    let what = "the root";
    let mut faults = names(what, anchor, leaf);
    if anchor.version().0 >= 2 {
        faults.extend(authority(what, anchor, below));
    }
    if let Some(identifier) = unknown_critical(anchor, is_known_to_openssl) {
        faults.push(format!("{what} has a critical extension that verifiers do not know: {identifier}"));
    }
    if !is_for_servers(anchor) {
        faults.push(format!("{what} is not meant for TLS servers, by its extended key usage"));
    }
    faults
}

/// Whether the extended key usage allows TLS servers; it does where there is none. anyExtendedKeyUsage need not be
/// enough (RFC 5280, 4.2.1.12), and for OpenSSL and rustls it is not.
fn is_for_servers(certificate: &X509Certificate) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth,
        _ => true,
    }
}

/// Whether all names of a certificate are of kinds that name constraints are judged for here: then [`faults`] has the
/// last word on them.
pub fn are_names_judged(leaf: &Certificate) -> bool {
    let Some(leaf) = parsed(leaf) else { return false };
    let is_known = |name: &GeneralName| {
        matches!(
            name,
            GeneralName::DNSName(_)
                | GeneralName::RFC822Name(_)
                | GeneralName::URI(_)
                | GeneralName::IPAddress(_)
                | GeneralName::DirectoryName(_)
        )
    };
    matches!(leaf.subject_alternative_name(), Ok(Some(names)) if names.value.general_names.iter().all(is_known))
}

/// The directory name that a CA may not certify, where the certificate has a subject.
fn directory_name(what: &str, constraints: &NameConstraints, leaf: &X509Certificate, of: &str) -> Option<String> {
    // As names are compared elsewhere: without regard to case, spaces and kinds of string (RFC 5280, 7.1).
    let subject = canonical(leaf.subject());
    let within = |subtree: &GeneralSubtree| match &subtree.base {
        GeneralName::DirectoryName(base) => Some(subject.starts_with(&canonical(base))),
        _ => None,
    };
    let permitted: Vec<bool> = constraints.permitted_subtrees.iter().flatten().filter_map(within).collect();
    let is_excluded = constraints.excluded_subtrees.iter().flatten().filter_map(within).any(|is_within| is_within);
    let is_outside = !permitted.is_empty() && !permitted.contains(&true);
    (!subject.is_empty() && (is_excluded || is_outside))
        .then(|| format!("{what} may not certify the subject of {of}, by its name constraints"))
}

/// The names that a CA may not certify (RFC 5280, 4.2.1.10). Addresses of both kinds are left to the second judge.
fn names(what: &str, authority: &X509Certificate, leaf: &X509Certificate) -> Vec<String> {
    let Ok(Some(constraints)) = authority.name_constraints() else { return Vec::new() };
    if let Some(fault) = directory_name(what, constraints.value, leaf, "the server's certificate") {
        return vec![fault];
    }
    if let Some(fault) = other_name(what, constraints.value, leaf) {
        return vec![fault];
    }
    let Ok(Some(certified)) = leaf.subject_alternative_name() else { return Vec::new() };
    let subtrees = |list: &Option<Vec<GeneralSubtree>>| -> Vec<String> {
        let dns = list.iter().flatten().filter_map(|subtree| match subtree.base {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        dns.collect()
    };
    let (permitted, excluded) = (subtrees(&constraints.value.permitted_subtrees), subtrees(&constraints.value.excluded_subtrees));
    let names = certified.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let limits = |list: &[String]| listed(list.iter().map(|name| WireText::from(name.as_str())), 3, ", ");
    names
        .filter_map(|name| {
            let shown = short(WireText::from(name.as_str()).as_str());
            if excluded.iter().any(String::is_empty) {
                Some(format!("{what} may not certify {shown}, by its name constraints: no DNS name is permitted"))
            } else if excluded.iter().any(|subtree| is_within(&name, subtree)) {
                Some(format!(
                    "{what} may not certify {shown}, by its name constraints: all but {} are permitted",
                    limits(&excluded)
                ))
            } else if !permitted.is_empty() && !permitted.iter().any(|subtree| is_within(&name, subtree)) {
                Some(format!(
                    "{what} may not certify {shown}, by its name constraints: only {} are permitted",
                    limits(&permitted)
                ))
            } else {
                None
            }
        })
        .take(1)
        .collect()
}

/// The mail address, URI or IP address that a CA may not certify; addresses in the subject count, too (RFC 5280, 4.2.1.6).
fn other_name(what: &str, constraints: &NameConstraints, leaf: &X509Certificate) -> Option<String> {
    let mails = leaf.subject().iter_email().filter_map(|mail| mail.as_str().ok()).map(GeneralName::RFC822Name);
    let names =
        leaf.subject_alternative_name().ok().flatten().into_iter().flat_map(|names| names.value.general_names.iter().cloned());
    mails.chain(names).find_map(|name| {
        let within = |subtree: &GeneralSubtree| is_below(&name, &subtree.base);
        let permitted: Vec<bool> = constraints.permitted_subtrees.iter().flatten().filter_map(within).collect();
        let is_excluded = constraints.excluded_subtrees.iter().flatten().filter_map(within).any(|is_within| is_within);
        let is_outside = !permitted.is_empty() && !permitted.contains(&true);
        (is_excluded || is_outside).then(|| {
            let shown = short(WireText::from(&*name.to_string()).as_str());
            format!("{what} may not certify {shown}, by its name constraints")
        })
    })
}

/// Whether a name is below a subtree of its kind; none where the kinds differ, or are judged elsewhere.
fn is_below(name: &GeneralName, base: &GeneralName) -> Option<bool> {
    match (name, base) {
        (GeneralName::RFC822Name(mail), GeneralName::RFC822Name(base)) => {
            let (mail, base) = (mail.to_ascii_lowercase(), base.to_ascii_lowercase());
            let host = mail.rsplit_once('@').map_or("", |(_, host)| host);
            Some(match (base.contains('@'), base.starts_with('.')) {
                (true, _) => mail == base,
                (false, true) => host.ends_with(&base),
                (false, false) => host == base,
            })
        }
        (GeneralName::URI(uri), GeneralName::URI(base)) => {
            let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let base = base.to_ascii_lowercase();
            Some(if base.starts_with('.') { host.ends_with(&base) } else { host == base })
        }
        (GeneralName::IPAddress(address), GeneralName::IPAddress(base)) => {
            let (network, mask) = base.split_at(base.len() / 2);
            let is_of_family = network.len() == address.len() && mask.len() == address.len();
            let bits = || address.iter().zip(network).zip(mask);
            Some(is_of_family && bits().all(|((address, network), mask)| address & mask == network & mask))
        }
        _ => None,
    }
}

/// Whether a name is that of the subtree or one below it; behind a dot, only one below it.
fn is_within(name: &str, subtree: &str) -> bool {
    if subtree.starts_with('.') {
        return name.ends_with(subtree);
    }
    subtree.is_empty() || name == subtree || name.strip_suffix(subtree).is_some_and(|rest| rest.ends_with('.'))
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
        // id-ce: the key identifiers, usages, names, constraints, policies and CRL distribution points.
        [2, 5, 29, last] => [14, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54].contains(last),
        // id-pe: addresses, autonomous systems and proxy certificates.
        [1, 3, 6, 1, 5, 5, 7, 1, last] => [7, 8, 14].contains(last),
        // nsCertType, and ocsp-nocheck.
        [2, 16, 840, 1, 113_730, 1, 1] | [1, 3, 6, 1, 5, 5, 7, 48, 1, 5] => true,
        _ => false,
    }
}

/// What rustls-webpki takes, and what nobody does: that is another matter.
fn is_known_to_webpki(arcs: &[u64]) -> bool {
    matches!(arcs, [2, 5, 29, 15 | 17 | 19 | 30 | 31 | 37]) || !is_known_to_openssl(arcs)
}
