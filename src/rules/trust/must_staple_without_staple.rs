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
    /// OCSP response to it though the checker asked for one.
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
            Observed::Seen(Some(_)) => Outcome::Passed(String::new()),
            Observed::Seen(None) => {
                Outcome::Violated(vec![Violation::new("the certificate promises an OCSP staple, and the server sends none")])
            }
            unseen => Outcome::Undetermined(unseen.why_not()),
        }
    })
}
