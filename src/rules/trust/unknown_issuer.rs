use super::{Fetching, Missing, each_end, fetching, not_trusted};
use rustls_pki_types::CertificateDer;

use crate::{
    facts::Certificate,
    rules::{Context, Outcome, ResultType, Violation, certificate_text, path::End, rule, short},
};

rule! {
    /// The issuer of the certificate is unknown.
    ///
    /// ## What it checks
    ///
    /// The certification path ends at a certificate whose issuer was not sent and is in no trust
    /// store. Nothing else that was sent shows how the path would go on.
    ///
    /// ## Why it matters
    ///
    /// Either an intermediate certificate is missing, or the CA is one that nobody knows; the chain
    /// alone cannot tell. Most mail servers do not fetch a missing certificate, as browsers and Windows do, so
    /// senders that verify do not deliver. A certificate that works in a browser fails here for this reason.
    ///
    /// ## Remedy
    ///
    /// Send the intermediate certificates of the CA along with the server's own (`fullchain.pem`,
    /// not `cert.pem`). If the CA is a private one, get a certificate from a public CA.
    ///
    /// - Postfix: put key, certificate and intermediates, in that order, into a file of `smtpd_tls_chain_files`.
    /// - Exim: append the intermediates to the file of `tls_certificate`.
    /// - Sendmail: put the intermediates into the file of `confCACERT`.
    /// - OpenSMTPD: append the intermediates to the file of `pki mx.example.org cert`.
    /// - Exchange: import the intermediates into the computer's store "Intermediate Certification
    ///   Authorities", then restart the transport service.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.4.2
    /// - RFC 5280, 4.2.2.1
    /// - RFC 5280, 6.1
    "unknown-issuer" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        if let End::Circle { index, issuer } = judgement.end {
            let (top, back) = (certificate_text(chain, index), certificate_text(chain, issuer));
            let violation = Violation::new("the path leads back to itself, and to no root".to_owned())
                .evidence(format!("the issuer of {top} is {back}, which stands below it"));
            return not_trusted(context, chain, judgement, violation);
        }
        let End::UnknownIssuer { index, issuer, fetchable } = &judgement.end else { return Outcome::Passed(String::new()) };
        let what = certificate_text(chain, *index);
        let Fetching { lines, missing } = fetching(context, chain, *index);
        let message = match missing {
            Missing::Mended => format!("an intermediate certificate is missing, the issuer of {what}: {issuer}"),
            Missing::Unknown(_) if *fetchable => {
                format!("the issuer of {what} is unknown; probably an intermediate certificate is missing: {issuer}")
            }
            _ => format!("the issuer of {what} is unknown: {issuer}"),
        };
        let mut violation = Violation::new(message).evidence(match chain.len() {
            1 => "the server sent its own certificate alone".to_owned(),
            count => format!("none of the {count} certificates sent has that name and made the signature"),
        });
        if let Some(place) = chain[*index].details().ok().and_then(|details| details.ca_issuers.first()) {
            violation = violation.evidence(format!("the certificate says where its issuer can be fetched: {}", short(place.as_str())));
        }
        if let Some(store) = context.stores.iter().find(|store| store.anchors.iter().any(|anchor| **anchor == *chain[0].der())) {
            violation = violation.evidence(format!(
                "the server's certificate is itself in {}, which does for OpenSSL if it is told -partial_chain, and for GnuTLS and \
                 rustls-webpki not at all",
                store.name
            ));
        }
        let namesake = namesake(context, issuer);
        let violation = namesake.into_iter().chain(lines).fold(violation, Violation::evidence);
        not_trusted(context, chain, judgement, violation)
    })
}

/// A certificate of a store that bears the name, though it did not sign: a CA that has renewed its key, for example.
fn namesake(context: &Context, issuer: &str) -> Option<String> {
    let bears_it = |anchor: &CertificateDer| {
        Certificate::from_der(anchor).details().is_ok_and(|details| short(details.subject.as_str()) == issuer)
    };
    let store = context.stores.iter().find(|store| store.anchors.iter().any(bears_it))?;
    Some(format!("{} has a certificate of that name, whose key made no such signature: the CA may have another key now", store.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Authority, World, kind, messages};

    #[test]
    fn a_circle_has_no_root() {
        let mut world = World::correct();
        let (one, two) = (Authority::root("One CA"), Authority::root("Two CA"));
        world.chain = vec![one.leaf(|_| {}), two.certify(&one), one.certify(&two)];
        assert_eq!(messages(&world.judge(&RULE)), ["the path leads back to itself, and to no root"]);
    }

    #[test]
    fn a_certificate_alone_has_an_unknown_issuer() {
        let mut world = World::correct();
        world.chain.truncate(1);
        assert_eq!(messages(&world.judge(&RULE)), ["the issuer of the server's certificate is unknown: CN=Issuing CA"]);
    }

    #[test]
    fn a_place_to_fetch_it_from_tips_the_wording() {
        let mut world = World::correct();
        world.chain = vec![world.issuing.leaf(|params| World::add_ca_issuers(params, "http://ca.test/issuing.der"))];
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].contains("probably an intermediate certificate is missing"), "{outcome:?}");
        assert!(format!("{outcome:?}").contains("http://ca.test/issuing.der"));
    }

    /// The same name and another key: not the issuer.
    #[test]
    fn an_issuer_in_name_only_is_none() {
        let mut world = World::correct();
        let namesake = Authority::root("World Root CA").intermediate("Issuing CA");
        world.chain = vec![world.issuing.leaf(|_| {}), namesake.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }

    #[test]
    fn a_root_that_was_left_out_is_no_fault() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }
}
