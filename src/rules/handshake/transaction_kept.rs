use crate::{
    facts::{Observed, Transaction},
    rules::{Context, Outcome, Violation, each_view, handshake::passed, rule, short},
};

rule! {
    /// What was said before TLS is remembered inside it.
    ///
    /// ## What it checks
    ///
    /// Only with `--active`: MAIL is sent twice, then STARTTLS, and inside TLS MAIL again. The server must have forgotten the
    /// first; this one says that a transaction is open. Where it takes a second MAIL at any time, that is left open.
    ///
    /// ## Why it matters
    ///
    /// What is said in the clear can be put there by anybody in between: the sender of a message, or who the client is.
    ///
    /// ## Remedy
    ///
    /// Update the server, and look at proxies that do TLS in its place.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: none that is maintained does so.
    /// - Exchange: not known to; look at the proxy before it.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4.2
    "transaction-kept" { practice: OpportunisticTls, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match &view.transaction {
        // Who begins no TLS within a transaction carries none into it, and says that it is for the order of the commands.
        Observed::Seen(Transaction::NoTls(reply)) if reply.code != 503 => Outcome::Undetermined(format!(
            "STARTTLS was refused within a transaction, and it is not known whether that was for the transaction: {}",
            short(&reply.to_string())
        )),
        Observed::Seen(Transaction::Forgotten | Transaction::NoTls(_)) => passed(),
        Observed::Seen(Transaction::Kept(reply)) => {
            let violation = Violation::new("a mail transaction that was begun before TLS is open inside it");
            Outcome::Violated(vec![violation.evidence(format!("the reply to MAIL inside TLS: {}", short(&reply.to_string())))])
        }
        Observed::Seen(Transaction::NotBegun(reply)) => {
            Outcome::NotApplicable(format!("no transaction can be begun before TLS: {}", short(&reply.to_string())))
        }
        Observed::Seen(Transaction::Unclear(reply)) => Outcome::Undetermined(format!(
            "what becomes of a transaction that was begun before TLS is not known: inside it MAIL is answered {}",
            short(&reply.to_string())
        )),
        Observed::Failed(failure) => {
            Outcome::Undetermined(format!("what becomes of a transaction that was begun before TLS is not known: {failure}"))
        }
        Observed::NotAttempted(why) => Outcome::NotApplicable(why.clone()),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Failure,
        rules::test_facts::{World, kind, reply},
    };

    #[rstest]
    #[case(Observed::Seen(Transaction::Forgotten), "passed")]
    #[case(Observed::Seen(Transaction::NoTls(reply(503, "5.5.1 not now"))), "passed")]
    #[case(Observed::Seen(Transaction::NoTls(reply(550, "5.7.0 no"))), "undetermined")]
    #[case(Observed::Seen(Transaction::Kept(reply(503, "5.5.1 nested MAIL command"))), "violated")]
    #[case(Observed::Seen(Transaction::NotBegun(reply(530, "5.7.0 Must issue a STARTTLS command first"))), "not-applicable")]
    #[case(Observed::Seen(Transaction::Unclear(reply(250, "2.1.0 Ok"))), "undetermined")]
    #[case(Observed::Failed(Failure::Closed), "undetermined")]
    fn an_open_transaction_shows_it(#[case] transaction: Observed<Transaction>, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].transaction = transaction);
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn nobody_is_asked_unasked() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "not-applicable");
    }
}
