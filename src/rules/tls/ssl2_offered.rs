use super::each_version;
use crate::{
    rules::{Context, Outcome, rule},
    tls::Version,
};

rule! {
    /// SSL 2.0 is offered.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in SSL 2.0. It is asked at `--probe standard` and `full`; a
    /// connection that is lost is no refusal.
    ///
    /// ## Why it matters
    ///
    /// SSL 2.0 protects nothing: whoever sits between can choose the weakest cipher unnoticed. A server that
    /// still speaks it with an RSA key lends that key to attacks on the sessions of every other service with
    /// the same key, in TLS 1.2 too (DROWN, CVE-2016-0800).
    ///
    /// ## Remedy
    ///
    /// Switch SSL 2.0 off.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later, `!SSLv2, !SSLv3` before.
    /// - Exim: with OpenSSL, `openssl_options` with `+no_sslv2`; with GnuTLS, `a list that begins with NORMAL`
    ///   in `tls_require_ciphers`.
    /// - Sendmail: add `+SSL_OP_NO_SSLv2` to `ServerSSLOptions` (`confSERVER_SSL_OPTIONS` in `sendmail.mc`).
    /// - OpenSMTPD: no version that is maintained has it; look at what terminates TLS before it.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Protocols\SSL 2.0\Server` of the registry, then restart.
    ///
    /// ## References
    ///
    /// - RFC 6176
    /// - CVE-2016-0800
    "ssl2-offered" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_version(context, Version::Ssl2)
}
