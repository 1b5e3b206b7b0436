use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// Single DES suites are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only suites with DES, RC2 or IDEA are offered, in any
    /// version from SSL 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// A DES key has 56 bits and is found by trying all of them. RC2 and IDEA are no better kept, and no
    /// current library has them.
    ///
    /// ## Remedy
    ///
    /// Leave them out.
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = DES, RC2, IDEA`.
    /// - Exim: with OpenSSL, add `!DES:!RC2:!IDEA` to `tls_require_ciphers`; with GnuTLS, `a list that begins
    ///   with NORMAL`.
    /// - Sendmail: add `!DES` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!DES` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Ciphers\DES 56/56`, then restart.
    ///
    /// ## References
    ///
    /// - RFC 5469
    /// - RFC 9325, 4.1
    "single-des-suites" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::SingleDes, "suites with single DES, RC2 or IDEA")
}
