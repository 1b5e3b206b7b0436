use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, rule},
};

rule! {
    /// A long list of suites is not borne.
    ///
    /// ## What it checks
    ///
    /// A hello with more than 64 cipher suites is refused, reset, dropped or misread, and one with fewer is
    /// answered.
    ///
    /// ## Why it matters
    ///
    /// Senders offer some 10 to 40 suites, so this is seldom met. Old clients with everything switched on offer
    /// more.
    ///
    /// ## Remedy
    ///
    /// Look first at what stands before the server: load balancers, firewalls and mail filters that look into
    /// TLS are more often at fault than the server.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: update OpenSSL or GnuTLS.
    /// - Exchange: install the updates of Windows; Windows Server 2008 and older read the first suites of a
    ///   list only.
    ///
    /// ## References
    ///
    /// - RFC 5246, 7.4.1.2
    /// - RFC 8446, 4.1.2
    "many-suites-intolerant" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &[HelloTrait::ManySuites])
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
        assert_eq!(messages(&judged(of(HelloTrait::ManySuites))), ["the server cannot bear a hello with more than 64 suites"]);
        let others = [HelloTrait::Tls13, HelloTrait::Large, HelloTrait::UnknownExtension, HelloTrait::ManySuites];
        let violated = others.into_iter().filter(|other| kind(&judged(of(*other))) == "violated").count();
        assert_eq!(violated, 1);
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
