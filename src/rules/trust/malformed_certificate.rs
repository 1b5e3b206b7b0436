use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use crate::{
    facts::{Certificate, CertificateDetails},
    rules::{Context, Outcome, Violation, certificate_text, dates, each_path, rule},
};

rule! {
    /// A certificate is not formed as it should be.
    ///
    /// ## What it checks
    ///
    /// A certificate of the path is not of X.509 version 3, or its serial number is zero, negative, or longer
    /// than 20 octets, or a date is not written as it must be: without seconds, with fractions of them, or with an
    /// offset. Or any certificate that was sent is of version 1 or 2 and has extensions, or has an empty name among its
    /// alternative names. Forms that every sender refuses are the matter of `invalid-path`.
    ///
    /// ## Why it matters
    ///
    /// OpenSSL reads past it, dates aside: such a path is invalid to it. Senders built on Go refuse negative
    /// numbers and numbers that are too long, those on rustls refuse old versions, and GnuTLS warns of zero. An empty name, and
    /// extensions in an old version, GnuTLS does not read at all: Debian's Exim breaks off the handshake. No public CA makes such certificates, so it is a sign of a private one, or of an old appliance.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew by a CA that follows RFC 5280. `openssl x509 -noout -text -in mx.pem`
    /// shows version and serial number.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.1.2.1
    /// - RFC 5280, 4.1.2.2
    /// - RFC 5280, 4.1.2.5
    /// - RFC 5280, 4.1.2.9
    /// - RFC 5280, 4.2.1.6
    "malformed-certificate" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let mut violations = Vec::new();
        // What cannot be read is on no path, and its dates may be why.
        let unreadable = |index: &usize| !judgement.path.contains(index) && chain[*index].details().is_err();
        for index in judgement.path.iter().copied().chain((0..chain.len()).filter(unreadable)) {
            let what = certificate_text(chain, index);
            let dates = dates::flaws(chain[index].der());
            match chain[index].details() {
                Ok(details) => violations.extend(flaws(details, index == 0).map(|flaw| Violation::new(format!("{what} {flaw}")))),
                Err(why) if dates.is_empty() && index == 0 => {
                    return Outcome::Undetermined(format!("{what} cannot be read: {why}"));
                }
                Err(_) => {}
            }
            violations.extend(dates.iter().map(|flaw| Violation::new(format!("{what} has a malformed date: {flaw}"))));
        }
        // It reads all that was sent, whether it is needed or not.
        violations.extend(chain.iter().enumerate().filter_map(|(index, certificate)| {
            let flaw = unread_by_gnutls(certificate)?;
            Some(Violation::new(format!("{} {flaw}", certificate_text(chain, index))).evidence(GNUTLS_CANNOT_READ_IT))
        }));
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

/// Of a form at which GnuTLS breaks off the handshake.
pub const GNUTLS_CANNOT_READ_IT: &str = "GnuTLS cannot read it, and breaks off the handshake; OpenSSL does not mind";

/// What `certtool` of GnuTLS 3.7 and 3.8 does not import, though others do.
fn unread_by_gnutls(certificate: &Certificate) -> Option<&'static str> {
    let (_, parsed) = X509Certificate::from_der(certificate.der()).ok()?;
    if parsed.version().0 < 2 && !parsed.extensions().is_empty() {
        return Some("is of an old version of X.509, and has extensions");
    }
    let is_empty = |name: &GeneralName| match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => text.is_empty(),
        GeneralName::IPAddress(bytes) => bytes.is_empty(),
        _ => false,
    };
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().any(is_empty).then_some("has an empty name among its alternative names")
}

/// An old version above the server's certificate makes the path invalid: that has a rule of its own.
fn flaws(details: &CertificateDetails, is_leaf: bool) -> impl Iterator<Item = String> {
    let version = (is_leaf && details.version != 3).then(|| format!("is of X.509 version {}", details.version));
    let octets = details.serial.len() / 2;
    let serial = if details.serial.bytes().all(|digit| digit == b'0') {
        Some("has the serial number zero".to_owned())
    } else if details.serial.bytes().next().is_some_and(|digit| digit >= b'8') {
        Some("has a negative serial number".to_owned())
    } else {
        (octets > 20).then(|| format!("has a serial number of {octets} octets; 20 are allowed"))
    };
    version.into_iter().chain(serial)
}

#[cfg(test)]
mod tests {
    use rcgen::SerialNumber;
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind, messages, wrap};

    #[rstest]
    #[case(&[0], "has the serial number zero")]
    #[case(&[0x55; 21], "has a serial number of 21 octets; 20 are allowed")]
    fn odd_serial_numbers_are_named(#[case] serial: &[u8], #[case] flaw: &str) {
        let serial = SerialNumber::from_slice(serial);
        let outcome = World::correct().judge_leaf(&RULE, |params| params.serial_number = Some(serial));
        assert_eq!(messages(&outcome), [format!("the server's certificate {flaw}")]);
    }

    #[rstest]
    #[case(&[1])]
    #[case(&[0x7f; 20])]
    fn usual_ones_pass(#[case] serial: &[u8]) {
        let serial = SerialNumber::from_slice(serial);
        let outcome = World::correct().judge_leaf(&RULE, |params| params.serial_number = Some(serial));
        assert_eq!(kind(&outcome), "passed");
    }

    /// One that can be read all the same, and one that cannot.
    #[rstest]
    #[case("2601010000Z", "where YYMMDDHHMMSSZ is allowed")]
    #[case("260230000000Z", "which is no day")]
    fn malformed_dates_are_named(#[case] text: &str, #[case] words: &str) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.reissue(&world.chain[0], |fields| {
            fields[4] = wrap(0x30, &[wrap(0x17, text.as_bytes()), wrap(0x17, b"270101000000Z")].concat());
        });
        assert!(messages(&world.judge(&RULE))[0].contains(words), "{:?}", world.judge(&RULE));
    }

    #[rstest]
    #[case("9a3c5107", "has a negative serial number")]
    #[case("ff", "has a negative serial number")]
    fn negative_ones_are_named(#[case] serial: &str, #[case] flaw: &str) {
        let details = CertificateDetails { serial: serial.to_owned(), ..World::correct().chain[0].details().unwrap().clone() };
        assert_eq!(flaws(&details, true).collect::<Vec<_>>(), [flaw]);
    }

    /// Also in what is not needed: GnuTLS reads all that was sent.
    #[test]
    fn what_gnutls_cannot_read_is_named_wherever_it_stands() {
        let mut world = World::correct();
        let old = world.issuing.reissue(&world.chain[0], |fields| fields[0] = wrap(0xa0, &[2, 1, 1]));
        world.chain.push(old);
        let outcome = world.judge(&RULE);
        assert_eq!(messages(&outcome), ["certificate 3 (CN=mx.example.test) is of an old version of X.509, and has extensions"]);
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.subject_alt_names.push(rcgen::SanType::DnsName("".try_into().unwrap()));
        });
        assert_eq!(messages(&outcome), ["the server's certificate has an empty name among its alternative names"]);
    }

    #[test]
    fn an_old_version_is_named_for_the_server_alone() {
        let details = CertificateDetails { version: 1, ..World::correct().chain[0].details().unwrap().clone() };
        assert_eq!(flaws(&details, true).collect::<Vec<_>>(), ["is of X.509 version 1"]);
        assert_eq!(flaws(&details, false).count(), 0);
    }
}
