use std::collections::{BTreeMap, BTreeSet};

use crate::{
    name::Name,
    rules::{
        DomainContext, Outcome, Violation,
        deliveries::{Tls, tls, without_hosts},
        rule, tried,
    },
};

rule! {
    /// MX hosts with certificates of their own have one key.
    ///
    /// ## What it checks
    ///
    /// Different MX hosts of the domain present different certificates for the same public key. One certificate that is
    /// on all of them is not meant, nor are two certificates of one host, which `shared-key` reports.
    ///
    /// ## Why it matters
    ///
    /// Who gets hold of the key at one of the hosts has all of them, though the certificates look independent. Mostly the
    /// request was made once and signed several times, or the machines are copies of one image.
    ///
    /// ## Remedy
    ///
    /// Generate a key on each host. Where TLSA records are published, publish those of the new keys first.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx2.key -out mx2.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -DomainName mx2.example.org` on each server, and not
    ///   `Export-ExchangeCertificate` from one to the others.
    ///
    /// ## References
    ///
    /// - NIST SP 800-57 Part 1 Rev. 5, 5.2
    /// - RFC 7671, 8.1
    Domain "key-shared-by-hosts" { practice: StrongKeys, severity: Notice, result_type: None }
}

/// The hosts that present each certificate of a key, by the digest of the certificate.
type Certificates<'a> = BTreeMap<&'a str, BTreeSet<&'a Name>>;

fn judge(context: &DomainContext) -> Outcome {
    let hosts = &context.facts.hosts;
    if hosts.is_empty() {
        return without_hosts(context);
    }
    if hosts.len() < 2 {
        return Outcome::NotApplicable("there is one server".to_owned());
    }
    let mut keys: BTreeMap<&str, Certificates> = BTreeMap::new();
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
                keys.entry(&leaf.key.sha256).or_default().entry(&leaf.sha256).or_default().insert(&host.name);
            }
        }
    }
    let mut violations: Vec<Violation> = keys.values().filter_map(violation).collect();
    // The digests of keys are as good as chance.
    violations.sort_by(|a, b| a.message.cmp(&b.message));
    match (violations.is_empty(), unknown) {
        (false, _) => Outcome::Violated(violations),
        (true, Some(why)) => Outcome::Undetermined(why),
        (true, None) if keys.is_empty() => Outcome::Undetermined("no certificate was seen".to_owned()),
        (true, None) if keys.values().map(BTreeMap::len).sum::<usize>() == 1 => {
            Outcome::NotApplicable("all servers have one certificate".to_owned())
        }
        (true, None) => Outcome::Passed(String::new()),
    }
}

/// What is wrong with the certificates of one key, where two of them are of hosts that have nothing in common.
fn violation(certificates: &Certificates) -> Option<Violation> {
    let mut hosts: BTreeSet<&Name> = BTreeSet::new();
    for (digest, one) in certificates {
        let others = certificates.iter().filter(|(other, _)| *other != digest);
        for (_, other) in others.filter(|(_, other)| one.is_disjoint(other)) {
            hosts.extend(one.iter().chain(other));
        }
    }
    let (last, first) = hosts.iter().map(|name| name.as_str()).collect::<Vec<_>>().split_last().map(|(last, first)| {
        (last.to_owned(), first.join(", "))
    })?;
    Some(Violation::new(format!("{first} and {last} have different certificates for one key")))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::{
        facts::{Certificate, Observed},
        rules::{test_domain::Site, test_facts::{World, kind, messages}},
    };

    fn of(name: &str, key: &KeyPair) -> Certificate {
        Certificate::from_der(CertificateParams::new([name.to_owned()]).unwrap().self_signed(key).unwrap().der())
    }

    /// Two hosts that present these.
    fn judged(first: Vec<Certificate>, second: Vec<Certificate>) -> Outcome {
        let mut site = Site::correct();
        let mut other = site.facts.hosts[0].clone();
        other.name = Name::parse("mx2.example.test").unwrap();
        site.facts.hosts.push(other);
        for (host, certificates) in site.facts.hosts.iter_mut().zip([first, second]) {
            host.facts.views[0].session.certificates = Observed::Seen(certificates);
        }
        RULE.judge_domain(&site.context())
    }

    #[test]
    fn one_key_on_two_hosts_is_told_from_two_and_from_one_certificate() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let outcome = judged(vec![of("mx.example.test", &key)], vec![of("mx2.example.test", &key)]);
        assert_eq!(messages(&outcome), ["mx.example.test and mx2.example.test have different certificates for one key"]);
        assert_eq!(kind(&judged(vec![of("mx.example.test", &key)], vec![of("mx2.example.test", &other)])), "passed");
        let common = of("mx.example.test", &key);
        assert_eq!(kind(&judged(vec![common.clone()], vec![common])), "not-applicable");
    }

    #[test]
    fn one_host_shares_its_key_with_none() {
        let site = Site::correct();
        assert_eq!(kind(&RULE.judge_domain(&site.context())), "not-applicable");
    }

    #[test]
    fn a_host_that_was_not_seen_leaves_it_open() {
        let mut site = Site::correct();
        let mut other = site.facts.hosts[0].clone();
        other.name = Name::parse("mx2.example.test").unwrap();
        World::timed_out(&mut other.facts.views[0]);
        site.facts.hosts.push(other);
        assert_eq!(kind(&RULE.judge_domain(&site.context())), "undetermined");
    }
}
