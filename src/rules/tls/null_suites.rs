use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// Suites without encryption are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only suites with NULL encryption are offered, in any
    /// version from SSL 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// The mail crosses the network in clear text, though both ends report TLS.
    ///
    /// ## Remedy
    ///
    /// Leave them out, as every default does.
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = eNULL`.
    /// - Exim: with OpenSSL, add `!eNULL` to `tls_require_ciphers`; with GnuTLS, `-NULL`.
    /// - Sendmail: add `!eNULL` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!eNULL` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: `Disable-TlsCipherSuite -Name` for each of them (Windows Server 2016 or later), then
    ///   restart.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.1
    /// - RFC 5246, A.5
    "null-suites" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::Null, "suites without encryption")
}
