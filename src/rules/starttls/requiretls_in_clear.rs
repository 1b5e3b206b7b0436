use super::Offer;
use crate::rules::{Context, Outcome, Violation, each_view, rule};

rule! {
    /// REQUIRETLS is offered before TLS.
    ///
    /// ## What it checks
    ///
    /// The reply to EHLO in the clear lists REQUIRETLS.
    ///
    /// ## Why it matters
    ///
    /// The keyword promises that a message never travels without TLS, and is of use inside TLS only. Listed before, it can be
    /// put there by anybody in between, and says that the server's own list is wrong.
    ///
    /// ## Remedy
    ///
    /// List it inside TLS only.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: look at what stands before the server; none of them lists it in the clear.
    /// - Exchange: look at what stands before the server.
    ///
    /// ## References
    ///
    /// - RFC 8689, 2
    "requiretls-in-clear" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match view.session.ehlo.seen() {
        Some(ehlo) if ehlo.offers("REQUIRETLS") => {
            Outcome::Violated(vec![Violation::new("REQUIRETLS is offered before TLS")])
        }
        Some(_) => Outcome::Passed(String::new()),
        None => match Offer::of(view) {
            Offer::Unknown(why) => Outcome::Undetermined(why),
            _ => Outcome::Passed(String::new()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{HOST, World, ehlo, kind};

    #[test]
    fn only_before_tls_it_is_wrong() {
        let judge = |keyword: &str, is_before: bool| {
            kind(&World::correct().judge_from(1, &RULE, |views| {
                let session = &mut views[0].session;
                let place = if is_before { &mut session.ehlo } else { &mut session.ehlo_after };
                *place = ehlo(HOST, &[keyword, "STARTTLS"]);
            }))
        };
        assert_eq!(judge("REQUIRETLS", true), "violated");
        assert_eq!(judge("REQUIRETLS", false), "passed");
        assert_eq!(judge("X-REQUIRETLS", true), "passed");
        assert_eq!(kind(&World::correct().judge_from(1, &RULE, |views| World::timed_out(&mut views[0]))), "undetermined");
    }
}
