use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, rule},
};

rule! {
    /// A large hello is not borne.
    ///
    /// ## What it checks
    ///
    /// A hello of more than 512 bytes, or one that comes in two records, is refused, reset or dropped, and a
    /// plainer one is answered.
    ///
    /// ## Why it matters
    ///
    /// Post-quantum key shares make a hello larger than one packet, and long lists do so today. More senders
    /// meet this fault every year.
    ///
    /// ## Remedy
    ///
    /// Look first at what stands before the server: load balancers, firewalls and mail filters that look into
    /// TLS are more often at fault than the server.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: not known of any; update OpenSSL or GnuTLS.
    /// - Exchange: not known of Schannel; update or replace the appliance before it.
    ///
    /// ## References
    ///
    /// - RFC 8446, 5.1
    /// - RFC 7685
    "large-hello-intolerant" { practice: OpportunisticTls, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &[HelloTrait::MiddleSized, HelloTrait::Large, HelloTrait::Huge, HelloTrait::Fragmented])
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
        assert_eq!(messages(&judged(of(HelloTrait::Large))), ["the server cannot bear a hello of more than 512 bytes"]);
        let others = [HelloTrait::Tls13, HelloTrait::Large, HelloTrait::UnknownExtension, HelloTrait::ManySuites];
        let violated = others.into_iter().filter(|other| kind(&judged(of(*other))) == "violated").count();
        assert_eq!(violated, 1);
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
