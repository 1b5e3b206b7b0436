use super::Offer;
use crate::{
    facts::Observed,
    rules::{Context, Outcome, Violation, each_view, rule, why_not},
};

rule! {
    /// STARTTLS is offered again inside TLS.
    ///
    /// ## What it checks
    ///
    /// The reply to the second EHLO, after the TLS handshake, still lists STARTTLS.
    ///
    /// ## Why it matters
    ///
    /// The standard forbids it. No sender in use takes the offer, so mail still flows; but it shows that the
    /// server, or a proxy before it, does not know the state of its own session.
    ///
    /// ## Remedy
    ///
    /// Update the server, or the proxy that ends TLS before it: the reply to EHLO must be made anew
    /// after the handshake. Postfix, Exim and Exchange do so by themselves; one of them behind a proxy
    /// that ends TLS does not know of it.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4.2
    "starttls-offered-in-tls" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match (Offer::of(view), &view.session.ehlo_after) {
        (_, Observed::Seen(ehlo)) if ehlo.offers("STARTTLS") => {
            Outcome::Violated(vec![Violation::new("STARTTLS is offered again inside TLS")])
        }
        (_, Observed::Seen(_)) => Outcome::Passed(String::new()),
        (Offer::Absent | Offer::Masked(_), _) => Outcome::NotApplicable("STARTTLS is not offered".to_owned()),
        (Offer::Unknown(why), _) => Outcome::Undetermined(why),
        (Offer::Offered, other) => {
            let from = view.vantage_text();
            Outcome::Undetermined(format!("no usable reply to EHLO inside TLS was seen from {from}: {}", why_not(view, other)))
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Failure,
        rules::test_facts::{HOST, World, ehlo, kind},
        smtp::Ehlo,
    };

    #[rstest]
    #[case(ehlo(HOST, &["PIPELINING", "starttls"]), "violated")]
    #[case(ehlo(HOST, &["PIPELINING", "X-NOSTARTTLS"]), "passed")]
    #[case(Observed::Failed(Failure::Closed), "undetermined")]
    fn the_second_reply_counts(#[case] after: Observed<Ehlo>, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.ehlo_after = after);
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn without_an_offer_it_does_not_apply() {
        let outcome = World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]));
        assert_eq!(kind(&outcome), "not-applicable");
    }
}
