use super::each_version;
use crate::{
    rules::{Context, Outcome, rule},
    tls::Version,
};

rule! {
    /// TLS 1.1 is offered.
    ///
    /// ## What it checks
    ///
    /// The server goes on with a handshake in TLS 1.1. It is asked at `--probe standard` and `full`; a
    /// connection that is lost is no refusal.
    ///
    /// ## Why it matters
    ///
    /// TLS 1.1 is deprecated like TLS 1.0, for the same hashes, and hardly any sender speaks it and nothing
    /// newer. Beside newer versions it does no harm to those that know them.
    ///
    /// ## Remedy
    ///
    /// Switch TLS 1.1 off.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later, `!SSLv2, !SSLv3, !TLSv1, !TLSv1.1`
    ///   before.
    /// - Exim: with OpenSSL, `openssl_options` with `+no_tlsv1_1`; with GnuTLS, `-VERS-TLS1.1` in
    ///   `tls_require_ciphers`.
    /// - Sendmail: add `+SSL_OP_NO_TLSv1_1` to `ServerSSLOptions` (`confSERVER_SSL_OPTIONS` in `sendmail.mc`).
    /// - OpenSMTPD: `protocols "tlsv1.2,tlsv1.3"` in the `listen` line, from 7.0 on.
    /// - Exchange: `Enabled` = 0 under `SCHANNEL\Protocols\TLS 1.1\Server` of the registry, then restart.
    ///
    /// ## References
    ///
    /// - RFC 8996
    /// - RFC 9325, 3.1.1
    /// - RFC 7435, 3
    "tls11-offered" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_version(context, Version::Tls11)
}
