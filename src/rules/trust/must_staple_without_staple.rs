use crate::{
    facts::Observed,
    rules::{Context, Outcome, Violation, each_stapled, rule},
};

rule! {
    /// The certificate promises a staple, and none comes.
    ///
    /// ## What it checks
    ///
    /// The certificate has the TLS feature extension with status_request ("must-staple"), and the server staples no
    /// OCSP response to it though the checker asked for one, or one that says `tryLater` or another error.
    ///
    /// ## Why it matters
    ///
    /// Clients that know the extension, GnuTLS among them, refuse the certificate: Exim on Debian does when it
    /// verifies. Few mail servers can staple at all.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued without the extension: with certbot, without `--must-staple`. Or staple:
    ///
    /// - Postfix, Sendmail, OpenSMTPD: cannot; the certificate must be without the extension.
    /// - Exim: name a file that is renewed daily in `tls_ocsp_file`.
    /// - Exchange: Windows staples by itself if the server can reach the CA's OCSP responder by HTTP.
    ///
    /// ## References
    ///
    /// - RFC 7633, 4.2.3
    /// - RFC 6066, 8
    "must-staple-without-staple" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_stapled(context, |chain, _, staple| {
        let Ok(details) = chain[0].details() else {
            return Outcome::Undetermined("the certificate cannot be read".to_owned());
        };
        match staple {
            _ if !details.must_staple => Outcome::Passed(String::new()),
            // An answer that says nothing is none (RFC 6960, 2.3): GnuTLS misses one then.
            Observed::Seen(Some(response)) => match response.details().ok().and_then(|details| details.refused) {
                None => Outcome::Passed(String::new()),
                Some(refused) => Outcome::Violated(vec![Violation::new(format!(
                    "the certificate promises an OCSP staple, and the server sends the responder's answer {refused} instead"
                ))]),
            },
            Observed::Seen(None) => {
                Outcome::Violated(vec![Violation::new("the certificate promises an OCSP staple, and the server sends none")])
            }
            unseen => Outcome::Undetermined(unseen.why_not()),
        }
    })
}

#[cfg(test)]
mod tests {
    use rcgen::CustomExtension;

    use super::*;
    use crate::{
        facts::OcspResponse,
        rules::test_facts::{World, kind, messages},
    };

    /// OCSPResponse with the status tryLater alone (RFC 6960, 4.2.1).
    #[test]
    fn an_answer_that_says_nothing_is_none() {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(|params| {
            let feature = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]);
            params.custom_extensions.push(feature);
        });
        let staple = |staple| world.judge_from(1, &RULE, move |views| views[0].session.staple = Observed::Seen(staple));
        assert_eq!(messages(&staple(None)), ["the certificate promises an OCSP staple, and the server sends none"]);
        let refused = staple(Some(OcspResponse::from_der(&[0x30, 3, 0x0a, 1, 3])));
        assert!(messages(&refused)[0].contains("tryLater"), "{refused:?}");
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }
}
