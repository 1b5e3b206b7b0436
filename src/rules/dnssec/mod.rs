//! Practice 5, its ground: what DNSSEC proves of the records that mail depends on.

use super::{DomainContext, rules};
use crate::facts::{DnsAnswer, Observed, Proof};

rules! {
    dnssec_bogus,
    domain_unsigned,
    mx_host_unsigned,
}

/// Every RRset that was asked for, with its state; and why one of them is missing.
fn rrsets<'a>(context: &DomainContext<'a>) -> (Vec<(String, &'a Proof)>, Option<String>) {
    let facts = context.facts;
    let mut found = Vec::new();
    let mut unknown = None;
    fn note<'a, T>(
        found: &mut Vec<(String, &'a Proof)>,
        unknown: &mut Option<String>,
        kind: &str,
        answer: &'a Observed<DnsAnswer<T>>,
    ) {
        match answer {
            Observed::Seen(answer) => found.push((format!("{kind} of {}", answer.name), answer.whole_proof())),
            Observed::Failed(failure) => _ = unknown.get_or_insert(failure.to_string()),
            Observed::NotAttempted(_) => {}
        }
    }
    note(&mut found, &mut unknown, "MX", &facts.mx);
    for host in &facts.hosts {
        note(&mut found, &mut unknown, "A", &host.v4);
        note(&mut found, &mut unknown, "AAAA", &host.v6);
        for lookup in &host.tlsa {
            note(&mut found, &mut unknown, "TLSA", &lookup.answer);
        }
    }
    note(&mut found, &mut unknown, "TXT", &facts.mta_sts.record);
    note(&mut found, &mut unknown, "TXT", &facts.tlsrpt);
    (found, unknown)
}
