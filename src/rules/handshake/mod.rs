//! Practice 4: the handshake bears whatever senders say.

use super::{
    Context, Outcome, Violation,
    offers::{each_offers, passed},
    rules, short,
};
use crate::facts::{Answer, HelloTrait, Intolerance, Observed, Sni};

rules! {
    version_intolerant,
    tls13_shares_nothing,
    post_quantum_group_intolerant,
    large_hello_intolerant,
    extension_intolerant,
    many_suites_intolerant,
    own_name_rejected,
    sni_required,
    refused_without_sni,
    foreign_sni_rejected,
    client_certificate_required,
    client_certificate_requested,
    command_injection,
    transaction_kept,
}

/// Judges whether a hello with one of these traits was not borne, where a plainer one was answered.
fn each_intolerance(context: &Context, traits: &[HelloTrait]) -> Outcome {
    each_offers(context, |asked| {
        asked.observed("what kinds of hello the server bears", &asked.offers.intolerance, |found| {
            let of_these = || found.iter().filter(|intolerance| traits.contains(&intolerance.of));
            let violations: Vec<Violation> = of_these()
                .filter_map(|intolerance| {
                    let how = intolerance.how.seen()?;
                    let what = match intolerance.of {
                        HelloTrait::Tls13 => "that offers TLS 1.3",
                        HelloTrait::Tls12 => "that offers TLS 1.2",
                        HelloTrait::MiddleSized => "of 256 to 511 bytes",
                        HelloTrait::Large => "of more than 512 bytes",
                        HelloTrait::Huge => "of more than 1,400 bytes",
                        HelloTrait::Fragmented => "in two records",
                        HelloTrait::UnknownExtension => "with an extension that it does not know",
                        HelloTrait::OwnName => "with its own name as server name indication",
                        HelloTrait::ManySuites => "with more than 64 suites",
                        HelloTrait::HybridGroup => "that offers the group X25519MLKEM768",
                        HelloTrait::Padding => "that is padded",
                        HelloTrait::Compression => "that offers compression",
                        HelloTrait::SessionTicket => "with the extension session_ticket",
                        HelloTrait::StatusRequest => "with the extension status_request",
                        HelloTrait::EncryptThenMac => "with the extension encrypt_then_mac",
                        HelloTrait::ExtendedMasterSecret => "with the extension extended_master_secret",
                        HelloTrait::ManySchemes => "with more than 16 signature schemes",
                        HelloTrait::ManyGroups => "with more than 16 groups",
                        HelloTrait::EmptyKeyShare => "with an empty key_share",
                        HelloTrait::NothingInTls13 => "that offers TLS 1.3, which it knows and takes nothing of",
                    };
                    Some(Violation::new(format!("the server cannot bear a hello {what}")).evidence(short(how)))
                })
                .collect();
            // Whether it has nothing in TLS 1.3 is asked of who does not bear the offer only.
            let is_open = |intolerance: &&Intolerance| {
                let is_of_these = traits.contains(&intolerance.of)
                    || (intolerance.of == HelloTrait::Tls13 && traits.contains(&HelloTrait::NothingInTls13));
                is_of_these && intolerance.how.seen().is_none()
            };
            match found.iter().find(is_open) {
                _ if !violations.is_empty() => Outcome::Violated(violations),
                Some(unclear) => Outcome::Undetermined(format!(
                    "what kinds of hello the server bears could not be told: {}",
                    short(&unclear.how.why_not())
                )),
                None => passed(),
            }
        })
    })
}

/// Judges whether a hello with such a server name is refused, where one with the target's name is answered.
fn each_sni(context: &Context, sni: Sni, message: &str) -> Outcome {
    each_offers(context, |asked| {
        let of = |wanted| asked.offers.chains.iter().filter(move |chain| chain.sni == wanted);
        if of(sni).any(|chain| chain.answer == Observed::Seen(Answer::Accepted)) {
            return passed();
        }
        let is_taken =
            asked.session_version().is_some() || of(Sni::Target).any(|chain| chain.answer == Observed::Seen(Answer::Accepted));
        let Some(chain) = of(sni).next() else { return asked.unasked() };
        asked.observed("whether that server name is taken", &chain.answer, |answer| match answer {
            Answer::Refused(refusal) if is_taken => {
                Outcome::Violated(vec![Violation::new(message).evidence(refusal.to_string())])
            }
            Answer::Refused(_) => Outcome::NotApplicable("a hello with the target's name is refused, too".to_owned()),
            Answer::Accepted => passed(),
        })
    })
}
