use super::each_has;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// No suite with authenticated encryption is taken.
    ///
    /// ## What it checks
    ///
    /// The server takes neither TLS 1.3 nor any suite with GCM, CCM or ChaCha20-Poly1305. A session that was
    /// negotiated shows that it does: it offers no others.
    ///
    /// ## Why it matters
    ///
    /// What is left, block ciphers in CBC mode and stream ciphers, was broken again and again by the order in
    /// which TLS encrypts and authenticates. Senders that offer AEAD suites only find nothing in common.
    ///
    /// ## Remedy
    ///
    /// Allow AES-GCM; it needs TLS 1.2.
    ///
    /// - Postfix: leave `smtpd_tls_ciphers = medium`, `postconf -X tls_medium_cipherlist`, and take `AESGCM` out of
    ///   `smtpd_tls_exclude_ciphers`.
    /// - Exim: with GnuTLS, `+AES-128-GCM:+AES-256-GCM` in `tls_require_ciphers`; with OpenSSL, `AESGCM`.
    /// - Sendmail: `CipherList` must allow `AESGCM`.
    /// - OpenSMTPD: `ciphers` of the `listen` line must allow `AESGCM`, as its default does.
    /// - Exchange: `Enable-TlsCipherSuite -Name TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`; Windows Server 2012 R2
    ///   and older have GCM with RSA certificates for DHE only.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.2
    "no-aead-suites" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_has(context, &[SuiteFamily::Aead], "no suite with authenticated encryption (GCM, CCM, ChaCha20-Poly1305) is taken")
}
