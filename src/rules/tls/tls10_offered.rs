use super::each_version;
use crate::{
    rules::{Context, Outcome, rule},
    tls::Version,
};

rule! {
    /// TLS 1.0 is offered.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in TLS 1.0. It is asked at `--probe standard` and `full`; a
    /// connection that is lost is no refusal.
    ///
    /// ## Why it matters
    ///
    /// TLS 1.0 rests on MD5 and SHA-1. It is deprecated, and still a default of some mail servers beside newer
    /// versions: for opportunistic TLS it is better than clear text, and senders that know better choose
    /// better. Guidelines judge it more strictly.
    ///
    /// ## Remedy
    ///
    /// Switch TLS 1.0 off.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later, `!SSLv2, !SSLv3, !TLSv1, !TLSv1.1`
    ///   before.
    /// - Exim: with OpenSSL, `openssl_options` with `+no_tlsv1`; with GnuTLS, `-VERS-TLS1.0` in
    ///   `tls_require_ciphers`.
    /// - Sendmail: add `+SSL_OP_NO_TLSv1` to `ServerSSLOptions` (`confSERVER_SSL_OPTIONS` in `sendmail.mc`).
    /// - OpenSMTPD: `protocols "tlsv1.2,tlsv1.3"` in the `listen` line, from 7.0 on.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Protocols\TLS 1.0\Server` of the registry, then restart.
    ///
    /// ## References
    ///
    /// - RFC 8996
    /// - RFC 9325, 3.1.1
    /// - RFC 7435, 3
    "tls10-offered" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_version(context, Version::Tls10)
}
