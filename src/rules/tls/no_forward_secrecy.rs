use super::each_has;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// No suite with forward secrecy is taken.
    ///
    /// ## What it checks
    ///
    /// The server takes neither TLS 1.3 nor any suite with an ephemeral Diffie-Hellman key exchange and a
    /// certificate. A session that was negotiated shows that it does: it offers no others.
    ///
    /// ## Why it matters
    ///
    /// Whoever records the sessions and gets the server's key later can read all mail that was ever sent to it.
    /// Senders that offer only suites with forward secrecy find nothing in common.
    ///
    /// ## Remedy
    ///
    /// Allow ECDHE key exchange and TLS 1.3.
    ///
    /// - Postfix: `postconf -X tls_medium_cipherlist`, `smtpd_tls_eecdh_grade = auto`, and take `kEECDH` and `kEDH`
    ///   out of `smtpd_tls_exclude_ciphers`.
    /// - Exim: `ECDHE` must stand in `tls_require_ciphers`; `tls_eccurve = auto`.
    /// - Sendmail: `CipherList` must allow `ECDHE`.
    /// - OpenSMTPD: `ciphers` of the `listen` line must allow `ECDHE`, as its default does.
    /// - Exchange: `Enable-TlsCipherSuite -Name TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384` (Windows Server 2016 or
    ///   later); before, put the ECDHE suites first in the SSL Cipher Suite Order policy.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.1
    "no-forward-secrecy" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_has(context, &[SuiteFamily::Ecdhe, SuiteFamily::Dhe, SuiteFamily::Anonymous], "no suite with forward secrecy is taken")
}
