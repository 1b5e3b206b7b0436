//! One name, written in two ways: whether an issuer is meant that is written otherwise (RFC 5280, 7.1).

use x509_parser::{prelude::FromDer as _, prelude::X509Certificate, x509::X509Name};

use crate::facts::{Certificate, string_value};

/// A name in the form in which OpenSSL compares names: without regard to case, to spaces at the ends and to more than one
/// between words, and to the kind of string. Others, GnuTLS and rustls among them, compare the bytes as they are.
pub fn canonical(name: &X509Name) -> Vec<u8> {
    let mut out = Vec::new();
    for part in name.iter() {
        for attribute in part.iter() {
            out.extend(attribute.attr_type().to_id_string().bytes());
            out.push(b'=');
            let text = string_value(attribute.attr_value());
            let words: Vec<String> = text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
            out.extend(words.join(" ").bytes());
            out.push(0);
        }
        // The end of a part: what begins alike ends alike only here.
        out.push(b'\n');
    }
    out
}

/// Whether a certificate writes the name of its issuer otherwise than the issuer itself does.
pub fn differs(child: &Certificate, issuer: &Certificate) -> bool {
    fn parsed(certificate: &Certificate) -> Option<X509Certificate<'_>> {
        X509Certificate::from_der(certificate.der()).ok().map(|(_, parsed)| parsed)
    }
    match (parsed(child), parsed(issuer)) {
        (Some(child), Some(issuer)) => child.issuer().as_raw() != issuer.subject().as_raw(),
        _ => false,
    }
}
