use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, ResultType, rule},
};

rule! {
    /// A hello that offers TLS 1.3 is not borne.
    ///
    /// ## What it checks
    ///
    /// A hello that offers TLS 1.3 beside older versions is refused, reset or dropped, and the same hello
    /// without it is answered.
    ///
    /// ## Why it matters
    ///
    /// Every sender of today offers TLS 1.3, and a server that does not know it must take the best that it
    /// knows. Senders see a failed handshake; most go on in clear text or defer the mail, few try again with an
    /// older version.
    ///
    /// ## Remedy
    ///
    /// Look first at what stands before the server: load balancers, firewalls and mail filters that look into
    /// TLS are more often at fault than the server.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: any OpenSSL or GnuTLS of the last fifteen years bears it; update it.
    /// - Exchange: install the updates of Windows; take proxies that terminate TLS out of the way of port 25.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.2.1
    /// - RFC 8446, D.1
    /// - RFC 8701
    "version-intolerant" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &[HelloTrait::Tls13, HelloTrait::Tls12])
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
    fn only_what_a_plainer_hello_proved_counts() {
        let of = |of| Offers::good().with(|offers| {
            offers.intolerance = Observed::Seen(vec![Intolerance { of, how: Observed::Seen("connection closed by the server".to_owned()) }]);
        });
        assert_eq!(messages(&judged(of(HelloTrait::Tls13))), ["the server cannot bear a hello that offers TLS 1.3"]);
        let others = [HelloTrait::Tls13, HelloTrait::Large, HelloTrait::UnknownExtension, HelloTrait::ManySuites];
        let violated = others.into_iter().filter(|other| kind(&judged(of(*other))) == "violated").count();
        assert_eq!(violated, 1);
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
