//! Distinguished names as text that says what it means.

use x509_parser::{
    der_parser::asn1_rs::{Any, Tag},
    objects::{oid_registry, oid2abbrev},
    x509::X509Name,
};

use crate::wire::WireText;

/// A name in the order of the certificate; nothing in a value can pass for another attribute.
pub(super) fn text(name: &X509Name) -> WireText {
    let parts = name.iter_rdn().map(|rdn| {
        let attributes = rdn.iter().map(|attribute| {
            let oid = attribute.attr_type();
            let key = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), ToOwned::to_owned);
            format!("{key}={}", quoted(&value(attribute.attr_value())))
        });
        attributes.collect::<Vec<_>>().join(" + ")
    });
    WireText::from(&*parts.collect::<Vec<_>>().join(", "))
}

/// The common names, as they are.
pub(super) fn common_names(name: &X509Name) -> Vec<WireText> {
    name.iter_common_name().map(|attribute| WireText::from(&*value(attribute.attr_value()))).collect()
}

/// What a string of any kind says (RFC 5280, 4.1.2.4); anything else in hexadecimal digits.
pub fn value(any: &Any) -> String {
    let hexadecimal = || format!("#{}", super::hex(any.data));
    match any.tag() {
        Tag::BmpString => {
            let (units, rest) = any.data.as_chunks::<2>();
            let text = String::from_utf16(&units.iter().map(|unit| u16::from_be_bytes(*unit)).collect::<Vec<_>>());
            text.ok().filter(|_| rest.is_empty()).unwrap_or_else(hexadecimal)
        }
        Tag::UniversalString => {
            let (units, rest) = any.data.as_chunks::<4>();
            let text: Option<String> = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect();
            text.filter(|_| rest.is_empty()).unwrap_or_else(hexadecimal)
        }
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString | Tag::T61String => {
            // Where it is no UTF-8, as in Latin-1: so OpenSSL takes a T61String.
            let latin = || any.data.iter().copied().map(char::from).collect();
            std::str::from_utf8(any.data).map_or_else(|_| latin(), ToOwned::to_owned)
        }
        _ => hexadecimal(),
    }
}

/// In quotes where a character could be taken for the end of the value (RFC 1779, 2.3).
fn quoted(value: &str) -> String {
    let is_special = |c: char| matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#');
    if value.contains(is_special) || value.trim() != value {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mx.example.test", "mx.example.test")]
    #[case("x, O=Exim Developers", r#""x, O=Exim Developers""#)]
    #[case(r#"a" + CN="b"#, r#""a\" + CN=\"b""#)]
    #[case(" a", r#"" a""#)]
    fn no_value_passes_for_another_attribute(#[case] value: &str, #[case] expected: &str) {
        assert_eq!(quoted(value), expected);
    }

    #[rstest]
    #[case(Tag::BmpString, b"\0m\0x", "mx")]
    #[case(Tag::BmpString, b"\0m\0", "#006d00")]
    #[case(Tag::UniversalString, b"\0\0\0m", "m")]
    #[case(Tag::Utf8String, "b\u{fc}cher".as_bytes(), "b\u{fc}cher")]
    #[case(Tag::T61String, b"b\xfccher", "b\u{fc}cher")]
    #[case(Tag::Integer, b"\x01", "#01")]
    fn each_kind_of_string_is_read(#[case] tag: Tag, #[case] bytes: &[u8], #[case] expected: &str) {
        assert_eq!(value(&Any::from_tag_and_data(tag, bytes)), expected);
    }
}
