use super::each_intolerance;
use crate::{
    facts::HelloTrait,
    rules::{Context, Outcome, ResultType, rule},
};

rule! {
    /// The server does not know its own name.
    ///
    /// ## What it checks
    ///
    /// A hello with the name that the server was looked up by is refused with `unrecognized_name`, and the same
    /// hello without a name is answered.
    ///
    /// ## Why it matters
    ///
    /// Senders that hold a server to DANE or MTA-STS must send this name, and most others do so as well. Whoever
    /// sends none gets through, Postfix without DANE among them, so the fault may stay unseen for long.
    ///
    /// ## Remedy
    ///
    /// Give the server a certificate for the name of the MX, and let it take names that it does not know.
    ///
    /// - Postfix: it never refuses a name; look at what terminates TLS before it, and at `tls_server_sni_maps`.
    /// - Exim: `tls_certificate` must not fail for an unknown `$tls_in_sni`.
    /// - Sendmail, OpenSMTPD: look at what terminates TLS before it.
    /// - Exchange: look at the load balancer before it; Schannel refuses no name.
    ///
    /// ## References
    ///
    /// - RFC 6066, 3
    /// - RFC 8461, 4.2
    /// - RFC 7672, 8.1
    "own-name-rejected" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_intolerance(context, &[HelloTrait::OwnName])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Intolerance, Observed, Offers},
        rules::test_facts::{World, kind, messages},
    };

    #[test]
    fn only_the_name_counts() {
        let judged = |offers: Offers| World::correct().judge_offers(&RULE, offers);
        let of = |of| Offers::good().with(|offers| {
            offers.intolerance = Observed::Seen(vec![Intolerance { of, how: Observed::Seen("refused".to_owned()) }]);
        });
        assert_eq!(messages(&judged(of(HelloTrait::OwnName))), ["the server cannot bear a hello with its own name as server name indication"]);
        assert_eq!(kind(&judged(of(HelloTrait::Large))), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
