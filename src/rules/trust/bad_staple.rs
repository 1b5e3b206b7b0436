use crate::{
    facts::Observed,
    rules::{
        Context, Outcome, Violation, each_stapled,
        revocation::{self, Learned},
        rule,
    },
};

rule! {
    /// The stapled OCSP response is of no use.
    ///
    /// ## What it checks
    ///
    /// The server staples an OCSP response to its certificate, and that response is out of date, speaks of another
    /// certificate, is not signed by the CA, does not know the certificate, or cannot be read.
    ///
    /// ## Why it matters
    ///
    /// A staple is there to be believed without asking anyone else. Clients that look at it, GnuTLS among them,
    /// break off the handshake when it does not hold; without any staple they would have gone on.
    ///
    /// ## Remedy
    ///
    /// Have the job that fetches the response run more often than the response lasts, and after each renewal of the
    /// certificate; or do not staple.
    ///
    /// - Exim: renew the file of `tls_ocsp_file`, for example with `openssl ocsp -respout` from a daily job; without
    ///   that option nothing is stapled.
    /// - Exchange: Windows fetches it by itself; see that the server can reach the CA's responder by HTTP.
    ///
    /// Postfix, Sendmail and OpenSMTPD do not staple: there it is a proxy before them that does.
    ///
    /// ## References
    ///
    /// - RFC 6066, 8
    /// - RFC 6960, 3.2
    "bad-staple" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_stapled(context, |chain, judgement, staple| {
        let response = match staple {
            Observed::Seen(Some(response)) => response,
            Observed::Seen(None) => return Outcome::Passed(String::new()),
            unseen => return Outcome::NotApplicable(unseen.why_not()),
        };
        let subjects = revocation::subjects(context.facts, chain, judgement);
        let Some(subject) = subjects.first() else { return Outcome::Passed(String::new()) };
        match subject.of_ocsp(response, context.now) {
            Learned::Good(_) | Learned::Revoked(..) => Outcome::Passed(String::new()),
            Learned::Unverified(why) => Outcome::Undetermined(format!("the stapled OCSP response: {why}")),
            Learned::Nothing(why) => {
                Outcome::Violated(vec![Violation::new(format!("the stapled OCSP response is of no use: {why}"))])
            }
        }
    })
}
