use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// Triple DES suites are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only suites with triple DES are offered, in any version
    /// from SSL 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// Blocks of 64 bits repeat after some tens of gigabytes in one session (Sweet32, CVE-2016-2183). A mail
    /// session is far shorter, yet the suites are weaker than 112 bits and nobody needs them any more.
    ///
    /// ## Remedy
    ///
    /// Leave triple DES out.
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = 3DES`.
    /// - Exim: with OpenSSL, add `!3DES` to `tls_require_ciphers`; with GnuTLS, `-3DES-CBC`.
    /// - Sendmail: add `!3DES` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!3DES` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: `Disable-TlsCipherSuite -Name TLS_RSA_WITH_3DES_EDE_CBC_SHA`, or `Enabled` = 0 under
    ///   `SCHANNEL\Ciphers\Triple DES 168`.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.1
    /// - CVE-2016-2183
    /// - NIST SP 800-131A Rev. 2
    "triple-des-suites" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::TripleDes, "suites with triple DES")
}
