use super::each_family;
use crate::{
    rules::{Context, Outcome, rule},
    tls::SuiteFamily,
};

rule! {
    /// Suites without forward secrecy are taken.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in which only suites with RSA or static Diffie-Hellman key exchange
    /// are offered, in any version from SSL 3.0 to TLS 1.2. What SSL 2.0 has is the matter of `ssl2-offered`.
    ///
    /// ## Why it matters
    ///
    /// Whoever records such a session and gets the server's key later can read the mail. Servers that answer
    /// RSA key exchange carelessly can be made to decrypt sessions (ROBOT). Beside suites with forward secrecy,
    /// only senders that know nothing better use them.
    ///
    /// ## Remedy
    ///
    /// Leave them out where the senders allow it.
    ///
    /// - Postfix: `smtpd_tls_exclude_ciphers = kRSA`.
    /// - Exim: with OpenSSL, add `!kRSA` to `tls_require_ciphers`; with GnuTLS, `-RSA`.
    /// - Sendmail: add `!kRSA` to `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: add `!kRSA` to `ciphers` of the `listen` line; before 7.0 to `smtp ciphers`.
    /// - Exchange: `Disable-TlsCipherSuite -Name` for each suite that begins with `TLS_RSA_`, then restart.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.1
    /// - RFC 7435, 3
    "static-key-exchange" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_family(context, SuiteFamily::StaticKey, "suites without forward secrecy")
}
