use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// RC4 suites are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only suites with RC4 are offered, in any version from SSL
    /// 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// The key stream of RC4 is biased, and repeated clear text can be told from enough sessions. Clients and
    /// servers must not use it.
    ///
    /// ## Remedy
    ///
    /// Leave RC4 out.
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = RC4`.
    /// - Exim: with OpenSSL, add `!RC4` to `tls_require_ciphers`; with GnuTLS, `-ARCFOUR-128`.
    /// - Sendmail: add `!RC4` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!RC4` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Ciphers\RC4 128/128` (and `56/128`, `40/128`), then restart.
    ///
    /// ## References
    ///
    /// - RFC 7465, 2
    /// - RFC 9325, 4.1
    "rc4-suites" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::Rc4, "RC4 suites")
}
