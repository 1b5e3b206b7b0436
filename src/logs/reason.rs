//! Why TLS failed: from the words of logs to the result types of RFC 8460.

use super::text::has;
use crate::finding::ResultType;

/// Words, in lower case, and what they mean; the first that fits counts. The sources of each are the logs in
/// `tests/fixtures/logs` and the sources of the MTAs.
const WORDS: &[(&[u8], ResultType)] = &[
    (b"no matching dane tlsa", ResultType::TlsaInvalid),
    (b"num=65", ResultType::TlsaInvalid),
    (b"no tlsa records", ResultType::DaneRequired),
    (b"tlsa lookup fail", ResultType::DaneRequired),
    (b"tlsa lookup", ResultType::DnssecInvalid),
    (b"dnssec", ResultType::DnssecInvalid),
    (b"tlsa", ResultType::TlsaInvalid),
    (b"dane", ResultType::TlsaInvalid),
    (b"expired", ResultType::CertificateExpired),
    (b"hostname mismatch", ResultType::CertificateHostMismatch),
    (b"name mismatch", ResultType::CertificateHostMismatch),
    (b"num=62", ResultType::CertificateHostMismatch),
    (b"no match for", ResultType::CertificateHostMismatch),
    (b"not present in server certificate", ResultType::CertificateHostMismatch),
    (b"subjectmismatch", ResultType::CertificateHostMismatch),
    (b"untrusted issuer", ResultType::CertificateNotTrusted),
    (b"self-signed", ResultType::CertificateNotTrusted),
    (b"self signed", ResultType::CertificateNotTrusted),
    (b"unknown ca", ResultType::CertificateNotTrusted),
    (b"local issuer", ResultType::CertificateNotTrusted),
    (b"not trusted", ResultType::CertificateNotTrusted),
    (b"untrustedroot", ResultType::CertificateNotTrusted),
    (b"verify the first certificate", ResultType::CertificateNotTrusted),
    (b"did not offer tls", ResultType::StarttlsNotSupported),
    (b"was not offered", ResultType::StarttlsNotSupported),
    (b"not supported by remote host", ResultType::StarttlsNotSupported),
    (b"not support starttls", ResultType::StarttlsNotSupported),
    (b"starttls is not offered", ResultType::StarttlsNotSupported),
    (b"mta-sts policy fetch", ResultType::StsPolicyFetchError),
    (b"mta-sts", ResultType::StsPolicyInvalid),
];

/// Of so many bytes at the most the meaning is looked for.
const MOST: usize = 1024;

/// The result type that a sender would report; [`ResultType::ValidationFailure`] where the words fit no other.
pub(super) fn result(words: &[u8]) -> ResultType {
    let lower = words[..words.len().min(MOST)].to_ascii_lowercase();
    WORDS.iter().find(|(part, _)| has(&lower, part)).map_or(ResultType::ValidationFailure, |(_, result)| *result)
}

/// Whether the reason why a message was not sent is TLS, and not what the other side said about the message.
pub(super) fn is_tls(words: &[u8]) -> bool {
    let lower = words[..words.len().min(MOST)].to_ascii_lowercase();
    // What the other side said is quoted behind such words.
    if lower.starts_with(b"host ") || has(&lower, b" said: ") || has(&lower, b"remote mail server") {
        return has(&lower, b"issue a starttls command first");
    }
    [&b"tls"[..], b"ssl", b"certificate", b"dane", b"dnssec"].iter().any(|part| has(&lower, part))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("num=62:hostname mismatch", ResultType::CertificateHostMismatch)]
    #[case("certificate has expired", ResultType::CertificateExpired)]
    #[case("self-signed certificate", ResultType::CertificateNotTrusted)]
    #[case("untrusted issuer /O=pm lab/CN=Untrusted Root", ResultType::CertificateNotTrusted)]
    #[case("num=65:no matching DANE TLSA records", ResultType::TlsaInvalid)]
    #[case("no TLSA records found", ResultType::DaneRequired)]
    #[case("DANE error: tlsa lookup FAIL", ResultType::DaneRequired)]
    #[case("TLS is required, but was not offered by host mx.test[10.0.0.1]", ResultType::StarttlsNotSupported)]
    #[case("a TLS session is required, but the server did not offer TLS support", ResultType::StarttlsNotSupported)]
    #[case("Cannot start TLS: handshake failure", ResultType::ValidationFailure)]
    fn words_have_a_result_type(#[case] words: &str, #[case] expected: ResultType) {
        assert!(is_tls(words.as_bytes()) || !words.contains("TLS"));
        assert_eq!(result(words.as_bytes()), expected);
    }

    #[rstest]
    #[case("host mx.test[10.0.0.1] said: 550 5.7.1 your certificate of good conduct is missing", false)]
    #[case("host mx.test[10.0.0.1] said: 530 5.7.0 Must issue a STARTTLS command first", true)]
    #[case("connect to mx.test[10.0.0.1]:25: Connection refused", false)]
    fn what_the_other_side_says_is_not_about_tls(#[case] words: &str, #[case] expected: bool) {
        assert_eq!(is_tls(words.as_bytes()), expected);
    }
}
