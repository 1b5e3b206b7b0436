use time::Duration;

use crate::{
    facts::CertificateDetails,
    rules::{Context, Outcome, Violation, each_leaf, rule},
};

rule! {
    /// The certificate is the one that the product made when it was installed.
    ///
    /// ## What it checks
    ///
    /// The server's certificate is signed by its own key and has the form of those that Debian's ssl-cert
    /// (`snakeoil`), Exim, Exchange or Plesk make by themselves.
    ///
    /// ## Why it matters
    ///
    /// Nobody chose it: the right certificate was never assigned to SMTP, or the file that the configuration names
    /// was gone when the server started. This tells where to look.
    ///
    /// ## Remedy
    ///
    /// Get a certificate from a public CA and assign it to SMTP.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - make-ssl-cert(8)
    /// - Exim specification, 43.5
    /// - Microsoft Learn, "Digital certificates and encryption in Exchange Server"
    "default-certificate" { practice: PublicCa, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| match product(leaf) {
        Some(product) => Outcome::Violated(vec![Violation::new(format!("the certificate looks like the one that {product} makes by itself"))]),
        None => Outcome::Passed(String::new()),
    })
}

/// Whose certificate it looks like.
fn product(leaf: &CertificateDetails) -> Option<&'static str> {
    if leaf.subject != leaf.issuer {
        return None;
    }
    let lifetime = leaf.not_after - leaf.not_before;
    let names: Vec<&str> = leaf.dns_names().map(|name| name.as_str()).collect();
    let [common_name] = leaf.common_names.as_slice() else { return None };
    let is_bare = leaf.subject.as_str() == format!("CN={common_name}");
    let five_years = Duration::days(1825)..=Duration::days(1827);
    // A subject of more parts or with quotes is somebody's own.
    if leaf.subject.as_str() == format!("C=UK, O=Exim Developers, CN={common_name}") {
        Some("Exim")
    } else if leaf.subject.as_str().starts_with("C=CH, L=Schaffhausen, O=Plesk, CN=Plesk") {
        Some("Plesk")
    } else if is_bare && lifetime == Duration::days(3650) && names == [common_name.as_str()] {
        Some("Debian's ssl-cert")
    } else if is_bare && five_years.contains(&lifetime) && !common_name.as_str().contains('.') && names.first() == Some(&common_name.as_str()) {
        Some("Exchange")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind};

    /// Those that are found are in the corpus.
    #[test]
    fn a_self_signed_certificate_of_ones_own_is_none() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn neither_is_one_of_a_ca_for_as_long() {
        let outcome = World::correct().judge_leaf(&RULE, |params| params.not_after = params.not_before + Duration::days(3650));
        assert_eq!(kind(&outcome), "passed");
    }
}
