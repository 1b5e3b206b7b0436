use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, ResultType, rule},
};

rule! {
    /// A hello that offers X25519MLKEM768 is not borne.
    ///
    /// ## What it checks
    ///
    /// A hello that offers the post-quantum group X25519MLKEM768 is refused, reset or dropped, and the same hello without it is
    /// answered.
    ///
    /// ## Why it matters
    ///
    /// A server must ignore groups that it does not know. OpenSSL offers this one since 3.5, and Go since 1.24: senders that have
    /// them get no TLS, and go on in clear text or defer the mail. Every year there are more of them.
    ///
    /// ## Remedy
    ///
    /// Look first at what stands before the server: load balancers, firewalls and mail filters that look into TLS are more often at
    /// fault than the server.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: not known of any; update OpenSSL or GnuTLS.
    /// - Exchange: not known of Schannel; update or replace the appliance before it.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.2.7
    /// - RFC 8446, 9.3
    /// - draft-ietf-tls-ecdhe-mlkem
    "post-quantum-group-intolerant" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &[HelloTrait::HybridGroup])
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
    fn only_that_group_counts() {
        let of = |of| {
            Offers::good().with(|offers| {
                offers.intolerance = Observed::Seen(vec![Intolerance { of, how: Observed::Seen("connection closed by the server".to_owned()) }]);
            })
        };
        let expected = "the server cannot bear a hello that offers the group X25519MLKEM768";
        assert_eq!(messages(&judged(of(HelloTrait::HybridGroup))), [expected]);
        assert_eq!(kind(&judged(of(HelloTrait::Tls13))), "passed");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
