//! How a certificate writes the dates of its validity (RFC 5280, 4.1.2.5.1 and 4.1.2.5.2).

use x509_parser::{
    der_parser::asn1_rs::{Any, Class, FromDer as _, Sequence, Tag},
    time::ASN1Time,
};

use super::short;
use crate::wire::WireText;

/// The dates that are not written as they must be, in words: `notBefore 2601010000Z, where YYMMDDHHMMSSZ is allowed`.
pub fn flaws(der: &[u8]) -> Vec<String> {
    let Some(validity) = validity(der) else { return Vec::new() };
    let mut rest = &*validity;
    ["notBefore", "notAfter"]
        .into_iter()
        .map_while(|field| {
            let (more, date) = Any::from_der(rest).ok()?;
            let der = &rest[..rest.len() - more.len()];
            rest = more;
            Some(flaw(&date, der).map(|why| format!("{field} {}, {why}", short(WireText::from_bytes(date.data).as_str()))))
        })
        .flatten()
        .collect()
}

fn flaw(date: &Any, der: &[u8]) -> Option<&'static str> {
    let (digits, form) = match date.tag() {
        Tag::UtcTime => (12, "where YYMMDDHHMMSSZ is allowed"),
        Tag::GeneralizedTime => (14, "where YYYYMMDDHHMMSSZ is allowed"),
        _ => return Some("which is no time"),
    };
    let is_formed = date.data.strip_suffix(b"Z").is_some_and(|text| text.len() == digits && text.iter().all(u8::is_ascii_digit));
    if !is_formed {
        return Some(form);
    }
    ASN1Time::from_der(der).is_err().then_some("which is no day or no time of one")
}

/// What is in the field `validity`: also of a certificate whose dates cannot be read, and which the library refuses.
fn validity(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = Sequence::from_der(der).ok()?;
    let (_, signed) = Sequence::from_der(&certificate.content).ok()?;
    let (mut rest, mut place) = (&*signed.content, 0);
    loop {
        let (more, field) = Any::from_der(rest).ok()?;
        // The version is left out in version 1. Serial number, algorithm and issuer come before.
        let is_version = place == 0 && field.class() == Class::ContextSpecific;
        match place {
            3 => return Some(field.data.to_vec()),
            _ if is_version => {}
            _ => place += 1,
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, wrap};

    #[rstest]
    #[case(0x17, "260101000000Z", None)]
    // 1950, which no certificate is too young for.
    #[case(0x17, "500101000000Z", None)]
    #[case(0x18, "99991231235959Z", None)]
    #[case(0x17, "2601010000Z", Some("notBefore 2601010000Z, where YYMMDDHHMMSSZ is allowed"))]
    #[case(0x17, "260101000000+0100", Some("notBefore 260101000000+0100, where YYMMDDHHMMSSZ is allowed"))]
    #[case(0x18, "20260101000000.5Z", Some("notBefore 20260101000000.5Z, where YYYYMMDDHHMMSSZ is allowed"))]
    #[case(0x18, "20260101000000", Some("notBefore 20260101000000, where YYYYMMDDHHMMSSZ is allowed"))]
    #[case(0x17, "260230000000Z", Some("notBefore 260230000000Z, which is no day or no time of one"))]
    #[case(0x0c, "soon", Some("notBefore soon, which is no time"))]
    fn forms_of_dates(#[case] tag: u8, #[case] text: &str, #[case] expected: Option<&str>) {
        let world = World::correct();
        let certificate = world.issuing.reissue(&world.chain[0], |fields| {
            fields[4] = wrap(0x30, &[wrap(tag, text.as_bytes()), wrap(0x17, b"270101000000Z")].concat());
        });
        assert_eq!(flaws(certificate.der()), Vec::from_iter(expected.map(str::to_owned)));
    }
}
