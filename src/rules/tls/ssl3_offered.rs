use super::each_version;
use crate::{
    rules::{Context, Outcome, rule},
    tls::Version,
};

rule! {
    /// SSL 3.0 is offered.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in SSL 3.0. It is asked at `--probe standard` and `full`; a
    /// connection that is lost is no refusal.
    ///
    /// ## Why it matters
    ///
    /// The padding of SSL 3.0 gives away clear text to whoever can repeat a request (POODLE, CVE-2014-3566), it
    /// has no forward secrecy worth the name, and it cannot carry an extension. No sender needs it.
    ///
    /// ## Remedy
    ///
    /// Switch SSL 3.0 off.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later, `!SSLv2, !SSLv3` before.
    /// - Exim: with OpenSSL, `openssl_options` with `+no_sslv3`; with GnuTLS, `-VERS-SSL3.0` in
    ///   `tls_require_ciphers`.
    /// - Sendmail: add `+SSL_OP_NO_SSLv3` to `ServerSSLOptions` (`confSERVER_SSL_OPTIONS` in `sendmail.mc`).
    /// - OpenSMTPD: no version that is maintained has it; look at what terminates TLS before it.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Protocols\SSL 3.0\Server` of the registry, then restart.
    ///
    /// ## References
    ///
    /// - RFC 7568
    /// - RFC 9325, 3.1.1
    /// - CVE-2014-3566
    "ssl3-offered" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_version(context, Version::Ssl3)
}
