//! The names that a CA may not certify (RFC 5280, 4.2.1.10), as OpenSSL compares them (`NAME_CONSTRAINTS_check`): the subject,
//! the mail addresses in it, and the subject alternative names, of the server's certificate and of the CAs between.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::{
    asn1_rs::{Any, Class, FromDer as _, Oid, Tag, oid},
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree},
};

use super::{listed, short, spelling::canonical};
use crate::wire::WireText;

/// How many comparisons of a name with a subtree are made for one path: as many as OpenSSL makes for one CA of it (`NAME_CHECK_MAX`).
const MAX_COMPARISONS: usize = 1 << 20;

/// `id-on-SmtpUTF8Mailbox` (RFC 9598, 3): a mail address that is limited as those in ASCII are.
const SMTP_UTF8_MAILBOX: Oid = oid!(1.3.6.1.5.5.7.8.9);

/// The comparisons that are left for one path.
pub struct Budget {
    left: usize,
}

impl Budget {
    pub fn new() -> Self {
        Self { left: MAX_COMPARISONS }
    }
}

/// More comparisons than are made: nobody knows what they would have come to.
pub struct TooMany;

/// The first name of a certificate that a CA above it may not certify, in words; `ca` is what one is called that is a CA itself.
pub fn fault(
    what: &str,
    authority: &X509Certificate,
    certificate: &X509Certificate,
    ca: Option<&str>,
    budget: &mut Budget,
) -> Result<Option<String>, TooMany> {
    let Some(constraints) = authority.name_constraints().ok().flatten().map(|extension| extension.value) else { return Ok(None) };
    let (permitted, excluded) =
        (compared(constraints.permitted_subtrees.as_deref()), compared(constraints.excluded_subtrees.as_deref()));
    let (subject, others) = presented(certificate, ca.is_none());
    let comparisons = (subject.iter().count() + others.len()).saturating_mul(permitted.len() + excluded.len());
    budget.left = budget.left.checked_sub(comparisons).ok_or(TooMany)?;
    let subject = subject.into_iter().map(|name| (true, name));
    let mut names = subject.chain(others.into_iter().map(|name| (false, name)));
    Ok(names.find_map(|(is_subject, name)| {
        let reason = limit(&Compared::new(&name), &permitted, &excluded)?;
        let words = match (is_subject, ca) {
            (true, _) => format!("the subject of {}", ca.unwrap_or("the server's certificate")),
            (false, Some(ca)) => format!("{} of {ca}", shown(&name)),
            (false, None) => shown(&name),
        };
        Some(format!("{what} may not certify {words}, by its name constraints: {reason}"))
    }))
}

/// A name and, of a directory name, the form in which it is compared.
struct Compared<'a> {
    name: &'a GeneralName<'a>,
    canonical: Vec<u8>,
}

impl<'a> Compared<'a> {
    fn new(name: &'a GeneralName<'a>) -> Self {
        let canonical = if let GeneralName::DirectoryName(name) = name { canonical(name) } else { Vec::new() };
        Self { name, canonical }
    }
}

fn compared<'a>(subtrees: Option<&'a [GeneralSubtree<'a>]>) -> Vec<Compared<'a>> {
    subtrees.unwrap_or_default().iter().map(|subtree| Compared::new(&subtree.base)).collect()
}

/// Whether all names of a certificate can be read, so that [`fault`] has the last word on them.
pub fn are_names_read(certificate: &X509Certificate) -> bool {
    let is_read = |name: &GeneralName| !matches!(name, GeneralName::Invalid(..));
    certificate
        .subject_alternative_name()
        .is_ok_and(|names| names.is_none_or(|names| names.value.general_names.iter().all(is_read)))
}

/// The names of a certificate: its subject, and the others.
fn presented<'a>(certificate: &'a X509Certificate<'a>, is_leaf: bool) -> (Option<GeneralName<'a>>, Vec<GeneralName<'a>>) {
    let subject = certificate.subject();
    let directory_name = subject.iter_attributes().next().map(|_| GeneralName::DirectoryName(subject.clone()));
    let mut others: Vec<GeneralName> =
        subject.iter_email().filter_map(|mail| mail.as_str().ok()).map(GeneralName::RFC822Name).collect();
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        others.extend(names.value.general_names.iter().cloned());
    }
    // Where there is no DNS name, a common name may be taken for one.
    if is_leaf && !others.iter().any(|name| matches!(name, GeneralName::DNSName(_))) {
        let hosts = subject.iter_common_name().filter_map(|name| name.as_str().ok()).filter(|name| is_host(name));
        others.extend(hosts.map(GeneralName::DNSName));
    }
    (directory_name, others)
}

/// Whether OpenSSL takes a common name for a host's (`cn2dnsid`): two labels or more, none with a hyphen at its end.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_text = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_text && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.contains('.') && name.split('.').all(is_label)
}

/// Why a name is not permitted; none where it is. Words are made of what is found alone: there may be a million comparisons.
fn limit(name: &Compared, permitted: &[Compared], excluded: &[Compared]) -> Option<String> {
    let limits = |bases| {
        let bases: Vec<_> = of_kind(name, bases).collect();
        (listed(bases.iter().map(|base| shown(base.name)), 3, ", "), if bases.len() == 1 { "is" } else { "are" })
    };
    let (mut is_incomparable, mut holds_all, mut is_excluded) = (false, false, false);
    for base in of_kind(name, excluded) {
        match is_below(name, base) {
            Some(true) => (is_excluded, holds_all) = (true, holds_all || is_whole_kind(base.name)),
            Some(false) => {}
            None => is_incomparable = true,
        }
    }
    let (mut is_limited, mut is_permitted) = (false, false);
    for base in of_kind(name, permitted) {
        is_limited = true;
        match is_below(name, base) {
            Some(is_below) => is_permitted |= is_below,
            None => is_incomparable = true,
        }
    }
    if is_incomparable {
        // RFC 5280, 6.1.4 g: who cannot compare must refuse.
        Some("they limit names of this kind, and OpenSSL does not compare this one".to_owned())
    } else if holds_all {
        let kind = if matches!(name.name, GeneralName::DirectoryName(_)) { "directory name" } else { "DNS name" };
        Some(format!("no {kind} is permitted"))
    } else if is_excluded {
        Some(format!("all but {} are permitted", limits(excluded).0))
    } else if is_limited && !is_permitted {
        // As certtool of GnuTLS 3.7 accepts them.
        let is_openssl_alone = matches!(name.name, GeneralName::DirectoryName(_) | GeneralName::URI(_));
        let others = if is_openssl_alone { "; GnuTLS does not compare names of this kind" } else { "" };
        let (bases, verb) = limits(permitted);
        Some(format!("only {bases} {verb} permitted{others}"))
    } else {
        None
    }
}

/// Whether a subtree holds all names of its kind.
fn is_whole_kind(base: &GeneralName) -> bool {
    match base {
        GeneralName::DNSName(name) => name.is_empty(),
        GeneralName::DirectoryName(name) => name.iter().next().is_none(),
        _ => false,
    }
}

fn of_kind<'a>(name: &'a Compared, bases: &'a [Compared<'a>]) -> impl Iterator<Item = &'a Compared<'a>> {
    bases.iter().filter(|base| is_of_kind(name.name, base.name))
}

fn is_of_kind(name: &GeneralName, base: &GeneralName) -> bool {
    match (name, base) {
        (GeneralName::OtherName(kind, _), GeneralName::OtherName(of, _)) => kind == of,
        // RFC 9598, 6
        (GeneralName::OtherName(kind, _), GeneralName::RFC822Name(_)) => *kind == SMTP_UTF8_MAILBOX,
        _ => std::mem::discriminant(name) == std::mem::discriminant(base),
    }
}

/// A name in words.
fn shown(name: &GeneralName) -> String {
    let words = match name {
        GeneralName::DNSName("") | GeneralName::RFC822Name("") | GeneralName::URI("") => "the empty name".to_owned(),
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => (*text).to_owned(),
        GeneralName::DirectoryName(name) if name.iter().next().is_none() => "the empty directory name".to_owned(),
        GeneralName::DirectoryName(name) => format!("the directory name {name}"),
        GeneralName::IPAddress(bytes) => address(bytes).unwrap_or_else(|| name.to_string()),
        GeneralName::OtherName(kind, value) if *kind == SMTP_UTF8_MAILBOX => {
            utf8_mailbox(value).map_or_else(|| name.to_string(), str::to_owned)
        }
        _ => name.to_string(),
    };
    short(WireText::from(&*words).as_str())
}

/// An address, or a network with the length of its prefix.
fn address(bytes: &[u8]) -> Option<String> {
    let one = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(|v4| Ipv4Addr::from(v4).to_string());
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|v6| Ipv6Addr::from(v6).to_string())).ok()
    };
    if !matches!(bytes.len(), 8 | 32) {
        return one(bytes);
    }
    let (network, mask) = bytes.split_at(bytes.len() / 2);
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading = mask.iter().position(|byte| *byte != 0xff).map_or(0, |at| at as u32 * 8 + mask[at].leading_ones());
    let is_prefix = ones == leading || ones as usize == mask.len() * 8;
    Some(format!("{}/{}", one(network)?, if is_prefix { ones.to_string() } else { one(mask)? }))
}

/// Whether a name is below a subtree of its kind; none where names of that kind or form are not compared.
fn is_below(name: &Compared, base: &Compared) -> Option<bool> {
    Some(match (name.name, base.name) {
        (GeneralName::DNSName(name), GeneralName::DNSName(base)) => is_within(name, base),
        // As names are compared elsewhere: without regard to case, spaces and kinds of string (RFC 5280, 7.1).
        (GeneralName::DirectoryName(_), GeneralName::DirectoryName(_)) => name.canonical.starts_with(&base.canonical),
        (GeneralName::RFC822Name(mail), GeneralName::RFC822Name(base)) => {
            let (local, host) = mail.rsplit_once('@')?;
            match base.rsplit_once('@') {
                // `@host` is what some CAs write for `host`; the part before the `@` is a matter of case (RFC 5321, 2.4).
                Some((of, base)) => (of.is_empty() || local == of) && host.eq_ignore_ascii_case(base),
                None => is_host_below(host, base),
            }
        }
        // As it stands between the slashes and a colon or a slash: a user before it belongs to it.
        (GeneralName::URI(uri), GeneralName::URI(base)) => {
            let (_, rest) = uri.split_once(':')?;
            let rest = rest.strip_prefix("//")?;
            let host = rest.split_once(':').or_else(|| rest.split_once('/')).map_or(rest, |(host, _)| host);
            if host.is_empty() {
                return None;
            }
            is_host_below(host, base)
        }
        (GeneralName::IPAddress(address), GeneralName::IPAddress(base)) => {
            let (network, mask) = base.split_at(base.len() / 2);
            let is_of_family = network.len() == address.len() && mask.len() == address.len();
            let bits = || address.iter().zip(network).zip(mask);
            is_of_family && bits().all(|((address, network), mask)| address & mask == network & mask)
        }
        (GeneralName::OtherName(_, value), GeneralName::RFC822Name(base)) => {
            let (_, host) = utf8_mailbox(value)?.rsplit_once('@')?;
            let is_dotted = base.starts_with('.');
            let (base, result) = idna::domain_to_unicode(base.trim_start_matches('.'));
            result.ok()?;
            is_host_below(&host.to_lowercase(), &if is_dotted { format!(".{base}") } else { base })
        }
        _ => return None,
    })
}

/// The mail address of a SmtpUTF8Mailbox: an UTF8String, behind the tag of the value (RFC 9598, 3).
fn utf8_mailbox(value: &[u8]) -> Option<&str> {
    let (_, outer) = Any::from_der(value).ok()?;
    let inner = if outer.class() == Class::ContextSpecific { Any::from_der(outer.data).ok()?.1 } else { outer };
    (inner.tag() == Tag::Utf8String).then(|| std::str::from_utf8(inner.data).ok()).flatten()
}

/// Whether a host is the one that a subtree names, or behind a dot, one below it.
fn is_host_below(host: &str, base: &str) -> bool {
    if base.starts_with('.') { head_before(host, base).is_some() } else { host.eq_ignore_ascii_case(base) }
}

/// Whether a name is that of the subtree or one below it; behind a dot, only one below it.
fn is_within(name: &str, subtree: &str) -> bool {
    let head = head_before(name, subtree);
    subtree.is_empty() || head.is_some_and(|head| subtree.starts_with('.') || head.is_empty() || head.ends_with(b"."))
}

/// What stands before the end of a name, without regard to case; none where it ends otherwise.
fn head_before<'a>(name: &'a str, end: &str) -> Option<&'a [u8]> {
    let (head, tail) = name.as_bytes().split_at_checked(name.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end.as_bytes()).then_some(head)
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, GeneralSubtree, NameConstraints, SanType,
    };
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{Authority, Key, World, kind, messages, wrap};

    fn organisation(name: &str) -> DistinguishedName {
        let mut of = DistinguishedName::new();
        of.push(DnType::OrganizationName, name);
        of
    }

    fn permit(params: &mut CertificateParams, subtree: GeneralSubtree) {
        params.name_constraints = Some(NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: Vec::new() });
    }

    fn dns(name: &str) -> GeneralSubtree {
        GeneralSubtree::DnsName(name.to_owned())
    }

    fn mail(host: &str) -> GeneralSubtree {
        GeneralSubtree::Rfc822Name(host.to_owned())
    }

    /// A mail address in the subject, which rcgen knows by its number alone.
    fn with_mail(params: &mut CertificateParams, address: &str) {
        let kind = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        params.distinguished_name.push(kind, DnValue::Ia5String(address.try_into().unwrap()));
    }

    /// A mail address beyond ASCII is limited as others are, by U-labels (OpenSSL's `nc_email_eai`).
    #[rstest]
    #[case("p\u{e4}t@example.test", "example.test", "passed")]
    #[case("p\u{e4}t@b\u{fc}cher.test", "xn--bcher-kva.test", "passed")]
    #[case("p\u{e4}t@mx.b\u{fc}cher.test", ".xn--bcher-kva.test", "passed")]
    #[case("p\u{e4}t@other.test", "example.test", "violated")]
    #[case("p\u{e4}t", "example.test", "violated")]
    fn mail_addresses_beyond_ascii_are_compared(#[case] address: &str, #[case] permitted: &str, #[case] expected: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Limited CA", |params| permit(params, mail(permitted)));
        let name = SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 9], address.to_owned().into()));
        world.chain = vec![issuing.leaf(|params| params.subject_alt_names.push(name)), issuing.certificate.clone()];
        let outcome = world.judge(crate::rules::find("invalid-path").unwrap());
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }

    /// What a root permits counts for each name of the CAs below it, too.
    #[rstest]
    #[case(dns("example.test"), |p: &mut CertificateParams| p.subject_alt_names = vec![SanType::DnsName("ca.example.test".try_into().unwrap())], None)]
    #[case(
        dns("example.test"),
        |p: &mut CertificateParams| p.subject_alt_names = vec![SanType::DnsName("ca.other.test".try_into().unwrap())],
        Some("the root may not certify ca.other.test of certificate 2 (CN=Lower CA), by its name constraints: only example.test is permitted")
    )]
    #[case(
        mail("example.test"),
        |p: &mut CertificateParams| p.subject_alt_names = vec![SanType::Rfc822Name("ca@other.test".try_into().unwrap())],
        Some("may not certify ca@other.test of certificate 2 (CN=Lower CA)")
    )]
    #[case(mail("example.test"), |p: &mut CertificateParams| with_mail(p, "a@other.test"), Some("may not certify a@other.test of certificate 2"))]
    #[case(
        GeneralSubtree::DirectoryName(organisation("Lab")),
        |p: &mut CertificateParams| p.distinguished_name = organisation("Other"),
        Some("may not certify the subject of certificate 2 (O=Other), by its name constraints: only the directory name O=Lab is permitted")
    )]
    fn names_of_cas_are_held_to_what_is_above(
        #[case] permitted: GeneralSubtree,
        #[case] change: fn(&mut CertificateParams),
        #[case] words: Option<&str>,
    ) {
        let mut world = World::correct();
        let root = Authority::root_of(Key::P256, "Odd Root", |params| permit(params, permitted));
        let lower = root.intermediate_with("Lower CA", change);
        world.stores[0].anchors = vec![root.certificate.der().to_vec().into()];
        world.chain = vec![lower.leaf(|params| params.distinguished_name = organisation("Lab")), lower.certificate];
        let outcome = world.judge(crate::rules::find("invalid-path").unwrap());
        match words {
            Some(words) => assert!(messages(&outcome)[0].contains(words), "{outcome:?}"),
            None => assert_eq!(kind(&outcome), "passed"),
        }
    }

    /// A directory name among the alternative names of the server: `mx.example.test`, and O=Lab or O=Bad.
    #[rstest]
    #[case("Lab", None)]
    #[case(
        "Bad",
        Some("may not certify the directory name O=Bad, by its name constraints: only the directory name O=Lab is permitted")
    )]
    fn a_directory_name_may_be_an_alternative_name(#[case] name: &str, #[case] words: Option<&str>) {
        let attribute = wrap(0x30, &[&[6, 3, 0x55, 4, 10][..], &wrap(0x0c, name.as_bytes())].concat());
        let directory_name = wrap(0xa4, &wrap(0x30, &wrap(0x31, &attribute)));
        let names = wrap(0x30, &[wrap(0x82, b"mx.example.test"), directory_name].concat());
        let mut world = World::correct();
        let issuing =
            world.root.intermediate_with("Issuing CA", |p| permit(p, GeneralSubtree::DirectoryName(organisation("Lab"))));
        let leaf = issuing.leaf(|params| {
            params.distinguished_name = organisation("Lab");
            params.subject_alt_names.clear();
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
        });
        world.chain = vec![leaf, issuing.certificate];
        let outcome = world.judge(crate::rules::find("invalid-path").unwrap());
        match words {
            Some(words) => assert!(messages(&outcome)[0].contains(words), "{outcome:?}"),
            None => assert_eq!(kind(&outcome), "passed", "{outcome:?}"),
        }
    }

    /// OpenSSL takes a common name for a DNS name where there is none.
    #[test]
    fn a_common_name_is_held_to_them_where_it_stands_for_a_name() {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |params| permit(params, dns("other.test")));
        world.chain = vec![issuing.leaf(|params| params.subject_alt_names.clear()), issuing.certificate];
        let outcome = world.judge(crate::rules::find("invalid-path").unwrap());
        assert!(messages(&outcome)[0].contains("may not certify mx.example.test"), "{outcome:?}");
    }

    fn below(name: &GeneralName, base: &GeneralName) -> Option<bool> {
        is_below(&Compared::new(name), &Compared::new(base))
    }

    /// So many comparisons nobody makes; what they would have come to is not known, and that is said soon.
    #[rstest]
    #[case(1000, "last.test", "violated")]
    #[case(1000, "first.test", "passed")]
    #[case(1100, "last.test", "undetermined")]
    fn comparisons_are_bounded(#[case] number: usize, #[case] last: &str, #[case] expected: &str) {
        let mut world = World::correct();
        let names = |tail: &'static str| (0..number).map(move |number| format!("{number}.{tail}"));
        let issuing = world.root.intermediate_with("Issuing CA", |params| {
            let excluded_subtrees = names("b").chain(["last.test".to_owned()]).map(GeneralSubtree::DnsName).collect();
            params.name_constraints = Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
        });
        let leaf = issuing.leaf(|params| {
            let names = names("a").chain([last.to_owned()]);
            params.subject_alt_names.extend(names.map(|name| SanType::DnsName(name.try_into().unwrap())));
        });
        world.chain = vec![leaf, issuing.certificate];
        let outcome = world.judge(crate::rules::find("invalid-path").unwrap());
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }

    /// Each as `openssl verify` of OpenSSL 3.0 judges it.
    #[rstest]
    #[case::host("example.test", "a@EXAMPLE.test", Some(true))]
    #[case::host("example.test", "a@sub.example.test", Some(false))]
    #[case::host_behind_at("@example.test", "a@example.test", Some(true))]
    #[case::host_behind_at("@example.test", "a@sub.example.test", Some(false))]
    #[case::domain(".example.test", "a@sub.example.test", Some(true))]
    #[case::domain(".example.test", "a@example.test", Some(false))]
    #[case::mailbox("a@example.test", "a@EXAMPLE.test", Some(true))]
    #[case::mailbox("a@example.test", "A@example.test", Some(false))]
    #[case::no_host("example.test", "nobody", None)]
    #[case::nothing("@", "a@example.test", Some(false))]
    #[case::empty("", "a@example.test", Some(false))]
    fn mail_addresses_are_compared_as_openssl_does(#[case] base: &str, #[case] mail: &str, #[case] expected: Option<bool>) {
        assert_eq!(below(&GeneralName::RFC822Name(mail), &GeneralName::RFC822Name(base)), expected);
    }

    /// Likewise.
    #[rstest]
    #[case("example.test", "https://EXAMPLE.test/a", Some(true))]
    #[case("example.test", "https://example.test:8/a", Some(true))]
    #[case(".example.test", "https://a.example.test:8/", Some(true))]
    #[case(".example.test", "https://example.test/", Some(false))]
    #[case("example.test", "https://user@example.test/", Some(false))]
    #[case("example.test", "https://example.test?a", Some(false))]
    #[case("example.test", "urn:example.test", None)]
    #[case("example.test", "https:///a", None)]
    fn hosts_of_uris_are_compared_as_openssl_does(#[case] base: &str, #[case] uri: &str, #[case] expected: Option<bool>) {
        assert_eq!(below(&GeneralName::URI(uri), &GeneralName::URI(base)), expected);
    }

    #[rstest]
    #[case("mx.example.test", true)]
    #[case("mx_1.example.test", true)]
    #[case("mx.example.test.", false)]
    #[case("mx-.example.test", false)]
    #[case("*.example.test", false)]
    #[case("mx", false)]
    fn a_common_name_is_a_host_where_openssl_takes_it_for_one(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_host(name), expected);
    }

    /// An empty subtree of hosts holds all of them, one of mail addresses none.
    #[rstest]
    #[case(GeneralSubtree::DnsName(String::new()), Some("no DNS name is permitted"))]
    #[case(GeneralSubtree::DirectoryName(DistinguishedName::new()), Some("no directory name is permitted"))]
    #[case(GeneralSubtree::Rfc822Name(String::new()), None)]
    fn an_empty_subtree_is_one_of_its_kind(#[case] excluded: GeneralSubtree, #[case] words: Option<&str>) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |params| {
            params.name_constraints = Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees: vec![excluded] });
        });
        let leaf = issuing.leaf(|p| p.subject_alt_names.push(SanType::Rfc822Name("a@example.test".try_into().unwrap())));
        world.chain = vec![leaf, issuing.certificate];
        let outcome = world.judge(crate::rules::find("invalid-path").unwrap());
        match words {
            Some(words) => assert!(messages(&outcome)[0].contains(words), "{outcome:?}"),
            None => assert_eq!(kind(&outcome), "passed", "{outcome:?}"),
        }
    }

    #[rstest]
    #[case(&[192, 0, 2, 7], Some("192.0.2.7"))]
    #[case(&[192, 0, 2, 0, 255, 255, 255, 0], Some("192.0.2.0/24"))]
    #[case(&[10, 0, 0, 0, 255, 0, 255, 0], Some("10.0.0.0/255.0.255.0"))]
    #[case(&[192, 0, 2, 7, 255, 255, 255, 255], Some("192.0.2.7/32"))]
    #[case(&[1, 2, 3], None)]
    fn addresses_are_written_as_people_write_them(#[case] bytes: &[u8], #[case] words: Option<&str>) {
        assert_eq!(address(bytes).as_deref(), words);
    }
}
