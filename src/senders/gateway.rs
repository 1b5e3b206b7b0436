//! Gateways that match the CN of a certificate only, whatever its subject alternative names are.

use super::{
    Demand, Dns, Fate, Host, Prediction, Sender,
    client::GATEWAY,
    host::{Tls, Trust},
};
use crate::finding::ResultType;

pub(super) const ALL: &[Sender] = &[Sender {
    id: "gateway-common-name",
    product: "gateways",
    policy: "that match the CN only",
    demand: Demand::CommonName,
    source: "Forcepoint Email Security, Administrator Help, mandatory TLS: \"Only the CN will be recognized\"",
    judge,
}];

fn judge(host: &Host, _: Option<&Dns>) -> Prediction {
    match host.tls(&GATEWAY) {
        Tls::Done => {}
        Tls::NotOffered(why) | Tls::Refused { why, .. } => {
            return Prediction::because(Fate::Defers, why, ResultType::StarttlsNotSupported);
        }
        Tls::Failed(why) => return Prediction::because(Fate::Defers, why, ResultType::ValidationFailure),
        Tls::TurnedAway(why) => return Prediction::because(Fate::Defers, why, ResultType::ValidationFailure),
        Tls::Unknown(why) => return Prediction::unknown(why),
    }
    let names = match host.leaf(&GATEWAY) {
        Ok(leaf) => leaf.common_names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>(),
        Err(why) => return Prediction::unknown(why),
    };
    match host.path_trust(&GATEWAY) {
        Trust::Verified if names.iter().any(|name| host.name.is_matched_by(name)) => Prediction::of(Fate::Authenticated),
        Trust::Verified => {
            let why = format!("the CN of the certificate is not {}", host.name);
            Prediction::because(Fate::Defers, why, ResultType::CertificateHostMismatch)
        }
        Trust::Refused { why, result_type } => Prediction::because(Fate::Defers, why, result_type),
        Trust::Unknown(why) => Prediction::unknown(why),
    }
}
