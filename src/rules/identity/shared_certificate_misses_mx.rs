use std::collections::BTreeMap;

use crate::{
    name::Name,
    rules::{
        DomainContext, Outcome, ResultType, Violation, rule,
        deliveries::{Tls, tls, without_hosts},
        tried,
    },
};

rule! {
    /// One certificate for all servers misses one of them.
    ///
    /// ## What it checks
    ///
    /// Several MX hosts of the domain present the same certificate, and it names some of them and not others.
    ///
    /// ## Why it matters
    ///
    /// Senders that check the name do not deliver to the host that was forgotten, and turn to it only now and then:
    /// such a fault is found late.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew with every MX host among its names, and put it on all of them.
    ///
    /// - Postfix: replace the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: replace the file of `tls_certificate`; the next connection uses it.
    /// - Sendmail: replace the file of `confSERVER_CERT`, then restart it.
    /// - OpenSMTPD: replace the file of `pki mx.example.org cert`, then restart it.
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -DomainName mx1.example.org,mx2.example.org`, then
    ///   `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 9525, 6.3
    /// - RFC 8461, 4.2
    Domain "shared-certificate-misses-mx" { practice: Identity, severity: Fail, result_type: Some(ResultType::CertificateHostMismatch) }
}

/// Which hosts a certificate is presented by: those that it names, and the others.
#[derive(Default)]
struct Use<'a> {
    named: Vec<&'a Name>,
    missed: Vec<&'a Name>,
}

fn judge(context: &DomainContext) -> Outcome {
    let hosts = &context.facts.hosts;
    if hosts.is_empty() {
        return without_hosts(context);
    }
    if hosts.len() < 2 {
        return Outcome::NotApplicable("there is one server".to_owned());
    }
    let mut uses: BTreeMap<&str, Use> = BTreeMap::new();
    let mut unknown = None;
    for (host, of_host) in hosts.iter().zip(&context.hosts) {
        for (index, view) in tried(of_host) {
            let chains = match tls(of_host, index, view) {
                Tls::Chains(chains) => chains,
                Tls::NotOffered | Tls::Refused(_) => continue,
                Tls::Unknown(why) => {
                    unknown.get_or_insert(why);
                    continue;
                }
            };
            for leaf in chains.iter().filter_map(|(_, chain)| chain.first()?.details().ok()) {
                let used = uses.entry(&leaf.sha256).or_default();
                let is_named = leaf.dns_names().any(|name| host.name.is_matched_by(name.as_str()));
                let list = if is_named { &mut used.named } else { &mut used.missed };
                if !list.contains(&&host.name) {
                    list.push(&host.name);
                }
            }
        }
    }
    let shared = uses.values().filter(|used| used.named.len() + used.missed.len() > 1).count();
    let missed = uses.values().filter(|used| !used.named.is_empty()).flat_map(|used| used.missed.iter().map(|name| (name, used.named[0])));
    let violations: Vec<Violation> = missed
        .map(|(missed, named)| Violation::new(format!("the certificate of {named} is also that of {missed}, and does not name it")))
        .collect();
    match (violations.is_empty(), unknown) {
        (false, _) => Outcome::Violated(violations),
        (true, Some(why)) => Outcome::Undetermined(why),
        (true, _) if uses.is_empty() => Outcome::Undetermined("no certificate was seen".to_owned()),
        (true, _) if shared == 0 => Outcome::NotApplicable("no two servers have the same certificate".to_owned()),
        (true, _) => Outcome::Passed(String::new()),
    }
}
