//! Practice 5, by DANE (RFC 7672): whether TLSA records and servers fit.

use super::{
    DomainContext, Outcome,
    deliveries::{self, Dane, Fit, Tls, dane, each_place, fit, place, tls},
    rules,
};

rules! {
    dane_mismatch,
    dane_ta_certificate_expired,
    dane_ta_name_mismatch,
    dane_without_starttls,
    tlsa_lookup_fails,
    tlsa_unusable,
    tlsa_partly_unusable,
    tlsa_unsigned,
    tlsa_of_whole_certificate,
    dane_partial,
    neither_dane_nor_mta_sts,
}

/// Judges how each certificate of each address fits the usable records of its host.
fn each_fit(context: &DomainContext, judge: impl Fn(&str, Fit) -> Outcome) -> Outcome {
    each_place(context, |host, of_host, index, view| {
        let usable = match dane(host) {
            Dane::None(why) => return Outcome::NotApplicable(why),
            Dane::Withheld(why) | Dane::Unknown(why) => return Outcome::Undetermined(why),
            Dane::Records { usable, .. } if usable.is_empty() => {
                return Outcome::NotApplicable(format!("{} has no usable TLSA record", host.name));
            }
            Dane::Records { usable, .. } => usable,
        };
        let chains = match tls(of_host, index, view) {
            Tls::Chains(chains) => chains,
            Tls::NotOffered | Tls::Refused(_) => return Outcome::NotApplicable("no TLS comes about".to_owned()),
            Tls::Unknown(why) => return Outcome::Undetermined(why),
        };
        let base = deliveries::base_name(host);
        let names = deliveries::reference_names(context, host, &base);
        let outcomes = chains.into_iter().map(|(label, chain)| {
            let label = label.map_or_else(String::new, |label| format!(" (the {label})"));
            judge(&format!("{}{label}", place(host, view)), fit(chain, &usable, &names, context.now))
        });
        super::join(outcomes.enumerate()).unwrap_or_else(|| Outcome::Undetermined("no certificate was seen".to_owned()))
    })
}
