use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, ResultType, rule},
};

rule! {
    /// TLS 1.3 is on, and nothing that can be offered in it is taken.
    ///
    /// ## What it checks
    ///
    /// A hello that offers TLS 1.3 beside older versions is refused, and the same hello without TLS 1.3 is answered. It
    /// is refused with every suite, group and signature scheme that has a name, too; and one without groups is answered with
    /// the alert `missing_extension`, as by a server that has chosen TLS 1.3.
    ///
    /// ## Why it matters
    ///
    /// A server that knows TLS 1.3 must choose it where it is offered, and does not fall back. Every sender of today offers it:
    /// senders see a failed handshake, and most go on in clear text or defer the mail.
    ///
    /// ## Remedy
    ///
    /// Look first at the list of groups: most curves of TLS 1.2 do not exist in TLS 1.3, the Brainpool curves of before among
    /// them. Take at least secp256r1, which every implementation must have, and x25519. Where those are taken, look at the list
    /// of signature schemes: TLS 1.3 signs with RSA-PSS or ECDSA and not with `rsa_pkcs1` (RFC 8446, 9.1). Or switch TLS 1.3 off.
    ///
    /// - Postfix: `tls_eecdh_auto_curves = X25519 prime256v1 secp384r1`.
    /// - Exim: with OpenSSL, `tls_eccurve = X25519:prime256v1:secp384r1` (a list from 4.97 on, one name
    ///   before); with GnuTLS, `+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1` in `tls_require_ciphers`.
    /// - Sendmail: `Groups` in `openssl.cnf` decides.
    /// - OpenSMTPD: the TLS library decides; update it.
    /// - Exchange: `Enable-TlsEccCurve` (Windows Server 2016 or later); `Get-TlsEccCurve` lists what there is.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.1.1
    /// - RFC 8446, 9.1
    /// - RFC 8446, 9.2
    "tls13-shares-nothing" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &[HelloTrait::NothingInTls13])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Intolerance, Observed, Offers},
        rules::test_facts::{World, kind, messages},
    };

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn who_knows_the_version_is_told_from_who_cannot_bear_it() {
        let of = |of| {
            Offers::good().with(|offers| {
                let how = Observed::Seen("refused with the alert handshake_failure".to_owned());
                offers.intolerance = Observed::Seen(vec![Intolerance { of, how }]);
            })
        };
        let expected = "the server cannot bear a hello that offers TLS 1.3, which it knows and takes nothing of";
        assert_eq!(messages(&judged(of(HelloTrait::NothingInTls13))), [expected]);
        assert_eq!(kind(&judged(of(HelloTrait::Tls13))), "passed");
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
