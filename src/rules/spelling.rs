//! One name, written in two ways: whether an issuer is meant that is written otherwise (RFC 5280, 7.1).

use x509_parser::{
    der_parser::asn1_rs::{Any, Tag},
    prelude::{FromDer as _, X509Certificate},
    x509::X509Name,
};

use super::short;
use crate::facts::{Certificate, string_value};

/// A name in the form in which OpenSSL compares names (`X509_NAME_cmp`): without regard to case, to spaces at the ends and to
/// more than one between words, and to most kinds of string. GnuTLS and rustls compare more strictly.
pub fn canonical(name: &X509Name) -> Vec<u8> {
    form(name, |value| match value.tag() {
        // Not among the kinds that it converts: compared as they are, here behind a mark that no text has.
        Tag::NumericString | Tag::GeneralString => [&[0], value.data].concat(),
        // It takes these for Latin-1, whatever they are.
        Tag::T61String => folded(&value.data.iter().copied().map(char::from).collect::<String>()),
        _ => folded(&string_value(value)),
    })
}

/// A name in the form in which people compare names: OpenSSL's, with all kinds of string alike.
pub fn alike(name: &X509Name) -> Vec<u8> {
    form(name, |value| folded(&string_value(value)))
}

fn form(name: &X509Name, of_value: impl Fn(&Any) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in name.iter() {
        for attribute in part.iter() {
            out.extend(attribute.attr_type().to_id_string().bytes());
            out.push(b'=');
            out.extend(of_value(attribute.attr_value()));
            out.push(0);
        }
        // The end of a part: what begins alike ends alike only here.
        out.push(b'\n');
    }
    out
}

fn folded(text: &str) -> Vec<u8> {
    let words: Vec<String> = text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    words.join(" ").into_bytes()
}

/// Whether people take the issuer that a certificate names for the one above it, and OpenSSL does not.
pub fn misleads_openssl(child: &Certificate, issuer: &Certificate) -> bool {
    let (Some(child), Some(issuer)) = (parsed(child), parsed(issuer)) else { return false };
    alike(child.issuer()) == alike(issuer.subject()) && canonical(child.issuer()) != canonical(issuer.subject())
}

/// Whether the two differ in nothing but the kinds of string.
pub fn only_kinds_differ(child: &Certificate, issuer: &Certificate) -> bool {
    let text = |name: &X509Name| form(name, |value| string_value(value).into_bytes());
    match (parsed(child), parsed(issuer)) {
        (Some(child), Some(issuer)) => text(child.issuer()) == text(issuer.subject()),
        _ => false,
    }
}

/// The issuer as a certificate writes it, and as the one above it writes its own name; where they read alike, with the kinds
/// of string that they are written in.
pub fn shown(child: &Certificate, issuer: &Certificate) -> (String, String) {
    let here = child.details().map_or("", |details| details.issuer.as_str());
    let there = issuer.details().map_or("", |details| details.subject.as_str());
    match (parsed(child), parsed(issuer)) {
        (Some(child), Some(issuer)) if here == there => {
            let with = |name: &X509Name| format!("{} ({})", short(here), kinds(name));
            (with(child.issuer()), with(issuer.subject()))
        }
        _ => (short(here), short(there)),
    }
}

/// Each once.
fn kinds(name: &X509Name) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for attribute in name.iter_attributes() {
        let kind = match attribute.attr_value().tag() {
            Tag::Utf8String => "UTF8String".to_owned(),
            Tag::BmpString => "BMPString".to_owned(),
            Tag::Ia5String => "IA5String".to_owned(),
            tag => tag.to_string(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(" and ")
}

/// Whether a certificate writes the name of its issuer otherwise than the issuer itself does.
pub fn differs(child: &Certificate, issuer: &Certificate) -> bool {
    match (parsed(child), parsed(issuer)) {
        (Some(child), Some(issuer)) => child.issuer().as_raw() != issuer.subject().as_raw(),
        _ => false,
    }
}

fn parsed(certificate: &Certificate) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(certificate.der()).ok().map(|(_, parsed)| parsed)
}
