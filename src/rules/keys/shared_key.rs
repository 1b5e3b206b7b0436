use std::collections::BTreeMap;

use crate::{
    facts::CertificateDetails,
    rules::{Context, Outcome, Violation, each_leaf, rule, short, tried},
};

rule! {
    /// Several certificates stand for one key.
    ///
    /// ## What it checks
    ///
    /// Certificates of this server that differ, seen at several addresses, from several vantage points, or with and
    /// without its name in the hello, have the same public key.
    ///
    /// ## Why it matters
    ///
    /// Who gets hold of the key has all of them at once, and one that is revoked leaves the others in use. Where a
    /// certificate of the maker's shares its key with that of the host, other devices may have the key as well. During
    /// a renewal that keeps the key on purpose, as TLSA records of usage 3 1 1 allow, it is in order.
    ///
    /// ## Remedy
    ///
    /// Generate a key for each certificate, and remove what the product came with.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx.key -out mx.csr`
    /// - Exchange: `Get-ExchangeCertificate | Format-List Subject, Thumbprint, Services` shows which certificates there are.
    ///
    /// ## References
    ///
    /// - RFC 7671, 8.1
    /// - NIST SP 800-57 Part 1 Rev. 5, 5.2
    "shared-key" { practice: StrongKeys, severity: Notice, result_type: None }
}

/// One certificate, and the views that saw it.
struct Seen<'a> {
    details: &'a CertificateDetails,
    views: Vec<usize>,
}

fn judge(context: &Context) -> Outcome {
    // By key, then by certificate.
    let mut keys: BTreeMap<&str, BTreeMap<&str, Seen>> = BTreeMap::new();
    for (index, view) in tried(context) {
        let own = context.chains(index).iter().filter_map(|chain| chain.certificates.first());
        let others = view.offers.seen().into_iter().flat_map(|offers| &offers.chains);
        let others = others.filter_map(|chain| chain.certificates.seen()?.first());
        for details in own.chain(others).filter_map(|certificate| certificate.details().ok()) {
            let certificates = keys.entry(&details.key.sha256).or_default();
            let seen = certificates.entry(&details.sha256).or_insert(Seen { details, views: Vec::new() });
            if !seen.views.contains(&index) {
                seen.views.push(index);
            }
        }
    }
    let violations: Vec<Violation> = keys.values().filter(|certificates| certificates.len() > 1).map(violation).collect();
    if !violations.is_empty() {
        return Outcome::Violated(violations);
    }
    match (each_leaf(context, |_, _| Outcome::Passed(String::new())), keys.len()) {
        (Outcome::Passed(_), 2..) => Outcome::Passed(String::new()),
        (Outcome::Passed(_), _) => Outcome::NotApplicable("one certificate was seen".to_owned()),
        (unseen, _) => unseen,
    }
}

fn violation(certificates: &BTreeMap<&str, Seen>) -> Violation {
    let mut violation = Violation::new(format!("{} certificates stand for one key", certificates.len()));
    for Seen { details, views } in certificates.values().take(10) {
        violation.evidence.push(format!("{}, serial {}", short(details.subject.as_str()), details.serial));
        violation.views.extend(views);
    }
    // Not by their digests, which are as good as chance.
    violation.evidence.sort_unstable();
    violation.views.sort_unstable();
    violation.views.dedup();
    violation
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::{
        facts::{Certificate, Observed},
        rules::test_facts::{World, kind, messages},
    };

    fn signed_by(key: &KeyPair, name: &str) -> Certificate {
        Certificate::from_der(CertificateParams::new([name.to_owned()]).unwrap().self_signed(key).unwrap().der())
    }

    #[test]
    fn one_key_in_two_certificates_is_told_from_two_keys() {
        let key = KeyPair::generate().unwrap();
        let judge = |other: &KeyPair| {
            World::correct().judge_from(2, &RULE, |views| {
                views[0].session.certificates = Observed::Seen(vec![signed_by(&key, "mx.example.test")]);
                views[1].session.certificates = Observed::Seen(vec![signed_by(other, "appliance.example.test")]);
            })
        };
        assert_eq!(messages(&judge(&key)), ["2 certificates stand for one key"]);
        assert_eq!(kind(&judge(&KeyPair::generate().unwrap())), "passed");
    }

    #[test]
    fn one_certificate_shares_its_key_with_none() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "not-applicable");
        assert_eq!(kind(&World::correct().judge_from(2, &RULE, |_| {})), "not-applicable");
        let outcome = World::correct().judge_from(2, &RULE, |views| World::timed_out(&mut views[1]));
        assert_eq!(kind(&outcome), "undetermined");
    }
}
