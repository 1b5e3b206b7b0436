use time::Duration;

use crate::{
    facts::CertificateDetails,
    rules::{Context, Outcome, Violation, keys::each_link, offers::passed, rule, tls::policy::not_judged},
};

rule! {
    /// The certificate is valid for longer than the policy allows.
    ///
    /// ## What it checks
    ///
    /// The server's certificate is valid for no more days than the policy says, from its first second to its last. Not
    /// applicable under a policy that says nothing of it, as `mtalab`.
    ///
    /// ## Why it matters
    ///
    /// Guidelines disagree on what is still good enough for mail. This rule says where the server departs from
    /// the one that was asked for; whether that is a fault is for the guideline's readers to decide.
    ///
    /// ## Remedy
    ///
    /// Have certificates issued for the usual time, by a machine: `certbot`, `acme.sh`, `win-acme` and others renew and
    /// reload by themselves.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - Mozilla Server Side TLS 6.0
    "days-outside-policy" { practice: Renewal, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let Some(most) = context.policy.days_valid else { return not_judged(context.policy, "days of validity") };
    each_link(context, |links| {
        let Some(leaf) = links.first().filter(|leaf| is_longer(leaf.details, most)) else { return passed() };
        let days = (leaf.details.not_after - leaf.details.not_before).whole_days();
        let message =
            format!("the server's certificate is valid for {days} days; {} allows {most}", context.policy.name);
        Outcome::Violated(vec![Violation::new(message)])
    })
}

/// Whether it is valid for more than so many days.
fn is_longer(leaf: &CertificateDetails, most: i64) -> bool {
    leaf.not_after - leaf.not_before > Duration::days(most)
}
