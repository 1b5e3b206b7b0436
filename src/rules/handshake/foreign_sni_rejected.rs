use super::each_sni;
use crate::{
    facts::Sni,
    rules::{Context, Outcome, rule},
};

rule! {
    /// A foreign server name is refused.
    ///
    /// ## What it checks
    ///
    /// A hello with the target's name is answered, and one with a name that the server cannot know is refused,
    /// often with the alert `unrecognized_name`.
    ///
    /// ## Why it matters
    ///
    /// Senders give the name that they looked up: behind a CNAME, a renamed MX or a relay it may be one that
    /// the server has not heard of. With opportunistic TLS any certificate would do.
    ///
    /// ## Remedy
    ///
    /// Send a default certificate to those that give an unknown name.
    ///
    /// - Postfix: remove entries that reject from `tls_server_sni_maps`; the default chain of
    ///   `smtpd_tls_chain_files` serves everyone else.
    /// - Exim: the expansion of `tls_certificate` must not fail where `$tls_in_sni` is empty or unknown.
    /// - Exchange: Schannel does not require it; look at the proxy before it.
    ///
    /// ## References
    ///
    /// - RFC 6066, 3
    /// - RFC 7672, 8.1
    "foreign-sni-rejected" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_sni(context, Sni::Foreign, "the server refuses a hello with a server name that is not its own")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Failure, Observed, Offers},
        rules::{
            test_facts::{World, kind},
            test_offers::refusal,
        },
    };

    #[test]
    fn a_refusal_counts_where_the_own_name_is_taken() {
        let world = World::correct();
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::good())), "passed");
        let refused = || Offers::good().with(|offers| offers.chains[2].answer = Observed::Seen(refusal()));
        assert_eq!(kind(&world.judge_offers(&RULE, refused())), "violated");
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::unanswered())), "undetermined");
        assert_eq!(kind(&world.judge_offers(&RULE, Offers::unasked(Depth::Quick))), "not-applicable");
        let nothing = world.judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(Failure::Closed);
            views[0].offers = Observed::Seen(refused().with(|offers| offers.chains[0].answer = Observed::Seen(refusal())));
        });
        assert_eq!(kind(&nothing), "not-applicable");
    }
}
