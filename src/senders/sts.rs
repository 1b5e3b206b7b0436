//! Gmail and Exchange Online: opportunistic TLS, what a domain's policy of MTA-STS demands (RFC 8461), and with Exchange
//! Online what its TLSA records do. Nothing of it was tried on a real one: it is what the vendors document, and where they are
//! silent the RFCs.

use super::{
    Demand, Dns, Fate, Host, Prediction, Sender, UNASKED,
    client::{Client, EXCHANGE, GMAIL},
    dns::{Dane, Sts, Verifier, Way},
    insist, where_offered,
};
use crate::{
    dane::{Tlsa, Usage},
    facts::Proof,
    finding::ResultType,
    mta_sts::{Mode, Policy},
};

pub(super) const ALL: &[Sender] = &[
    Sender {
        id: "exchange-online",
        product: "Exchange Online",
        policy: "as it comes",
        demand: Demand::DaneOrSts,
        source: "Microsoft, How SMTP DANE works; Enhancing mail flow with MTA-STS; RFC 8461, 2 and 5, for who has not seen the policy before",
        judge: exchange_online,
    },
    Sender {
        id: "exchange-online-mandatory",
        product: "Exchange Online",
        policy: "SmtpDaneMode Mandatory",
        demand: Demand::DaneAlways,
        source: "Microsoft, Exchange Team Blog, Announcing SMTP DANE & MTA-STS Connector Modes in Exchange Online",
        judge: mandatory,
    },
    Sender {
        id: "gmail",
        product: "Gmail",
        policy: "as it comes",
        demand: Demand::Sts,
        source: "Google Workspace Admin Help, About MTA-STS and TLS reporting; RFC 8461, 5, for who has not seen the policy before",
        judge: gmail,
    },
];

fn gmail(host: &Host, dns: Option<&Dns>) -> Prediction {
    match dns {
        Some(dns) => by_policy(host, dns, &GMAIL),
        None => Prediction::unknown(UNASKED),
    }
}

fn exchange_online(host: &Host, dns: Option<&Dns>) -> Prediction {
    let Some(dns) = dns else { return Prediction::unknown(UNASKED) };
    match records(dns) {
        Dane::None(_) => by_policy(host, dns, &EXCHANGE),
        Dane::Records { usable, .. } if usable.is_empty() => unauthenticated(host, dns),
        other => {
            let by_dane = by_records(host, dns, other);
            // A policy does not mend what DANE finds wrong (RFC 8461, 2); whether it spoils what DANE finds right is not said.
            let by_policy = by_policy(host, dns, &EXCHANGE);
            match by_dane.fate == Fate::Authenticated && by_policy.fate.stops() {
                true => Prediction::unknown(format!(
                    "a TLSA record fits, and MTA-STS does not pass: {}; which of the two decides is not documented",
                    by_policy.why
                )),
                false => by_dane,
            }
        }
    }
}

fn mandatory(host: &Host, dns: Option<&Dns>) -> Prediction {
    let Some(dns) = dns else { return Prediction::unknown(UNASKED) };
    match records(dns) {
        Dane::None(why) => Prediction::because(Fate::Defers, why, ResultType::DaneRequired),
        Dane::Records { usable, .. } if usable.is_empty() => {
            Prediction::unknown(format!("{NONE_USABLE}, and what the mode Mandatory makes of that is not documented"))
        }
        other => by_records(host, dns, other),
    }
}

const NONE_USABLE: &str = "none of the TLSA records can be used";

/// The TLSA records, where MX records and addresses are proven as well.
fn records<'a>(dns: &Dns<'a>) -> Dane<'a> {
    match (dns.way(), dns.addresses()) {
        (Way::Unknown(why), _) => Dane::Unknown(why),
        (Way::Insecure, _) => Dane::None("the MX records are insecure".to_owned()),
        (_, Some(Proof::Insecure)) => Dane::None("the addresses are insecure".to_owned()),
        _ => dns.dane(),
    }
}

fn by_records(host: &Host, dns: &Dns, dane: Dane) -> Prediction {
    match dane {
        Dane::Withheld(why) => Prediction::because(Fate::Defers, why, ResultType::DnssecInvalid),
        Dane::None(why) | Dane::Unknown(why) => Prediction::unknown(why),
        Dane::Records { usable, .. } => insist(host, &EXCHANGE, || fits(host, dns, &usable)),
    }
}

fn fits(host: &Host, dns: &Dns, usable: &[(&Tlsa, Usage)]) -> Prediction {
    Prediction::by_trust(dns.fits(host, &EXCHANGE, Verifier::Other, usable))
}

/// TLS is insisted on, and nobody is authenticated by DANE; a policy still counts.
fn unauthenticated(host: &Host, dns: &Dns) -> Prediction {
    let with_tls = insist(host, &EXCHANGE, || {
        Prediction::because(Fate::Encrypted, format!("{NONE_USABLE}, so that TLS alone is insisted on"), ResultType::TlsaInvalid)
    });
    match (with_tls.fate, dns.policy()) {
        (Fate::Encrypted, Sts::Policy(policy)) if policy.mode == Mode::Enforce => enforced(host, dns, policy, &EXCHANGE),
        _ => with_tls,
    }
}

/// What a sender does that never saw the policy before (RFC 8461, 5 and 5.1).
fn by_policy(host: &Host, dns: &Dns, client: &Client) -> Prediction {
    match dns.policy() {
        Sts::Unknown(why) => Prediction::unknown(why.clone()),
        Sts::None(_) => where_offered(host, client),
        Sts::Broken(why, result_type) => {
            let why = format!("there is no policy of MTA-STS that counts: {why}");
            delivered(where_offered(host, client), why, *result_type)
        }
        Sts::Policy(policy) => match policy.mode {
            Mode::None => where_offered(host, client),
            Mode::Enforce => enforced(host, dns, policy, client),
            Mode::Testing => {
                let strict = enforced(host, dns, policy, client);
                match (strict.fate.stops(), strict.result_type) {
                    (true, Some(result_type)) => {
                        let why = format!("the policy of MTA-STS is there for testing only: {}", strict.why);
                        delivered(where_offered(host, client), why, result_type)
                    }
                    _ => strict,
                }
            }
        },
    }
}

/// What is delivered all the same, with what is reported.
fn delivered(prediction: Prediction, why: String, result_type: ResultType) -> Prediction {
    match prediction.fate {
        Fate::Encrypted | Fate::Clear => Prediction::because(prediction.fate, why, result_type),
        _ => prediction,
    }
}

fn enforced(host: &Host, dns: &Dns, policy: &Policy, client: &Client) -> Prediction {
    if !dns.is_allowed(policy) {
        let why = "the policy of MTA-STS does not allow the host".to_owned();
        return Prediction::because(Fate::Defers, why, ResultType::ValidationFailure);
    }
    insist(host, client, || Prediction::by_trust(dns.passes(host, client)))
}
