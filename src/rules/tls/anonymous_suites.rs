use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// Suites without a certificate are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only anonymous Diffie-Hellman suites are offered, in any
    /// version from SSL 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// In such a session the server proves nothing about itself. A sender that checks no certificate loses
    /// nothing by it, which is why Postfix offers these suites on port 25 by default; a sender that does check
    /// never chooses them.
    ///
    /// ## Remedy
    ///
    /// Nothing needs to be done. Where a guideline forbids them:
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = aNULL`.
    /// - Exim: with OpenSSL, add `!aNULL` to `tls_require_ciphers`; with GnuTLS, `-ANON-DH:-ANON-ECDH`.
    /// - Sendmail: add `!aNULL` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!aNULL` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: Schannel does not offer them.
    ///
    /// ## References
    ///
    /// - RFC 7435, 3
    /// - RFC 7672, 8.2
    "anonymous-suites" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::Anonymous, "suites without a certificate")
}
