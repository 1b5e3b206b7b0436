use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// Export suites are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only suites that were weakened for export are offered, in
    /// any version from SSL 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// Keys of 40 bits are found in minutes. Whoever sits between can push better clients down to them (FREAK,
    /// CVE-2015-0204; Logjam, CVE-2015-4000).
    ///
    /// ## Remedy
    ///
    /// Leave them out, and update the TLS library: no current one knows them.
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = EXPORT`.
    /// - Exim: with OpenSSL, add `!EXPORT` to `tls_require_ciphers`; with GnuTLS, `a list that begins with
    ///   NORMAL`.
    /// - Sendmail: add `!EXPORT` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!EXPORT` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Ciphers` for `RC4 40/128`, `RC2 40/128` and `DES 56/56`, then
    ///   restart.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.1
    /// - CVE-2015-0204
    /// - CVE-2015-4000
    "export-suites" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::Export, "export suites")
}
