//! TLSRPT (RFC 8460): the record that says where reports about TLS are to be sent; the reports are in [`report`].

pub mod report;

use crate::{
    name::Name,
    tagged::{self, TaggedError},
};

/// What a record begins with.
pub const VERSION: &str = "v=TLSRPTv1";

/// Where the record stands.
pub fn record_name(domain: &Name) -> String {
    format!("_smtp._tls.{domain}")
}

/// The one record of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where reports go, at least one.
    pub rua: Vec<Destination>,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// By mail, to this address.
    Mail(String),
    /// By POST, to this URI.
    Https(String),
}

/// Why the records of a name ask for no reports, though something is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not as any record of this form is.
    #[error(transparent)]
    Form(#[from] TaggedError),
    /// RFC 8460, 3: required.
    #[error("there is no `rua`")]
    NoRua,
    /// Neither `mailto:` nor `https:`.
    #[error("`{0}` is neither a `mailto:` nor an `https:` URI")]
    Scheme(String),
    /// `mailto:` without an address.
    #[error("`{0}` has no mail address of the form `name@domain`")]
    Address(String),
    /// `https:` without a host.
    #[error("`{0}` has no host")]
    Host(String),
    /// RFC 8460, 3: what divides fields and URIs, and space, must be percent-encoded.
    #[error("`{0}` holds a character that must be percent-encoded")]
    Character(String),
}

impl Record {
    /// Reads the texts of all TXT records of the name; each is the strings of one record joined. None where no record of
    /// TLSRPT is among them.
    pub fn read<T: AsRef<str>>(texts: &[T]) -> Result<Option<Self>, RecordError> {
        let Some(record) = tagged::select(texts, VERSION)? else { return Ok(None) };
        let fields = tagged::fields(record, VERSION, |name| name == "rua")?;
        // Several fields of it are no mistake (RFC 8460, 3: 1*(field-delim tlsrpt-field)).
        let rua = fields.iter().filter(|field| field.name == "rua").flat_map(|field| field.value.split(','));
        let rua = rua.map(|uri| destination(uri.trim_matches([' ', '\t']))).collect::<Result<Vec<_>, _>>()?;
        if rua.is_empty() { Err(RecordError::NoRua) } else { Ok(Some(Self { rua })) }
    }
}

fn destination(uri: &str) -> Result<Destination, RecordError> {
    let scheme = |name: &str| {
        let (scheme, rest) = uri.split_once(':')?;
        scheme.eq_ignore_ascii_case(name).then_some(rest)
    };
    // RFC 3986, 2: these stand in no URI; `!`, `,` and `;` are forbidden by RFC 8460.
    if uri.bytes().any(|b| !matches!(b, 0x21..=0x7e) || b"!,;\"<>\\^`{|}".contains(&b)) {
        return Err(RecordError::Character(uri.to_owned()));
    }
    if let Some(address) = scheme("mailto") {
        let address = address.split('?').next().unwrap_or_default();
        let is_address = address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && Name::parse(domain).is_ok());
        return if is_address { Ok(Destination::Mail(address.to_owned())) } else { Err(RecordError::Address(uri.to_owned())) };
    }
    if let Some(rest) = scheme("https") {
        let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
        let is_host =
            host.is_some_and(|host| !host.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(':').is_empty());
        return if is_host { Ok(Destination::Https(uri.to_owned())) } else { Err(RecordError::Host(uri.to_owned())) };
    }
    Err(RecordError::Scheme(uri.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn mail(address: &str) -> Destination {
        Destination::Mail(address.to_owned())
    }

    /// The first two are those of RFC 8460, 3.1.
    #[rstest]
    #[case("v=TLSRPTv1;rua=mailto:reports@example.com", vec![mail("reports@example.com")])]
    #[case("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
        vec![Destination::Https("https://reporting.example.com/v1/tlsrpt".to_owned())])]
    #[case("v=TLSRPTv1; rua=mailto:a@b.test , mailto:c@d.test;", vec![mail("a@b.test"), mail("c@d.test")])]
    #[case("v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test; x=y", vec![mail("a@b.test"), mail("c@d.test")])]
    #[case("v=TLSRPTv1; rua=https://h.test:8443/a?b=c", vec![Destination::Https("https://h.test:8443/a?b=c".to_owned())])]
    fn records_are_read(#[case] text: &str, #[case] rua: Vec<Destination>) {
        assert_eq!(Record::read(&[text]), Ok(Some(Record { rua })));
    }

    #[rstest]
    #[case("v=TLSRPTv1; ruf=mailto:a@b.test", RecordError::NoRua)]
    #[case("v=TLSRPTv1;", RecordError::Form(TaggedError::Empty))]
    #[case("v=TLSRPTv1; rua=a@b.test", RecordError::Scheme("a@b.test".to_owned()))]
    #[case("v=TLSRPTv1; rua=http://h.test/", RecordError::Scheme("http://h.test/".to_owned()))]
    #[case("v=TLSRPTv1; rua=mailto:", RecordError::Address("mailto:".to_owned()))]
    #[case("v=TLSRPTv1; rua=mailto:nobody", RecordError::Address("mailto:nobody".to_owned()))]
    #[case("v=TLSRPTv1; rua=https:///x", RecordError::Host("https:///x".to_owned()))]
    #[case("v=TLSRPTv1; rua=https://:443/", RecordError::Host("https://:443/".to_owned()))]
    #[case("v=TLSRPTv1; rua=mailto:a b@c.test", RecordError::Character("mailto:a b@c.test".to_owned()))]
    #[case("v=TLSRPTv1; rua=mailto:a@b.test!10m", RecordError::Character("mailto:a@b.test!10m".to_owned()))]
    #[case("v=TLSRPTv1; rua=", RecordError::Scheme(String::new()))]
    fn what_asks_for_nothing_says_why(#[case] text: &str, #[case] why: RecordError) {
        assert_eq!(Record::read(&[text]), Err(why));
    }

    #[test]
    fn two_are_none_and_others_are_discarded() {
        let two = ["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@d.test"];
        assert_eq!(Record::read(&two), Err(RecordError::Form(TaggedError::Several(2))));
        assert_eq!(Record::read(&["v=TLSRPTv1", "v=TLSRPTv2; rua=mailto:a@b.test"]), Ok(None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, rest in "[a-z=;:, @!/.?]{0,40}") {
            let _ = Record::read(&[&text]);
            let _ = Record::read(&[format!("v=TLSRPTv1;{rest}")]);
        }
    }
}
