//! Exchange as a sender: what a send connector insists on. Nothing of it was tried on a real one; its TLS is that of a
//! Windows with TLS 1.2 and 1.3.

use super::{Demand, Dns, Fate, Host, Prediction, Sender, client::EXCHANGE, insist, where_offered};

const CONNECTOR: &str = "Microsoft, Set-SendConnector: RequireTLS, TlsAuthLevel, TlsDomain";

pub(super) const ALL: &[Sender] = &[
    Sender {
        id: "exchange-default",
        product: "Exchange",
        policy: "as it comes, 2010 to 2019",
        demand: Demand::IfPossible,
        source: "Microsoft, Exchange Team Blog, Understanding email scenarios if TLS versions cannot be agreed on with Exchange Online",
        judge: opportunistic,
    },
    Sender {
        id: "exchange-require-tls",
        product: "Exchange",
        policy: "RequireTLS",
        demand: Demand::Encryption,
        source: CONNECTOR,
        judge: encryption_only,
    },
    Sender {
        id: "exchange-encryption-only",
        product: "Exchange",
        policy: "EncryptionOnly",
        demand: Demand::Encryption,
        source: CONNECTOR,
        judge: encryption_only,
    },
    Sender {
        id: "exchange-certificate-validation",
        product: "Exchange",
        policy: "CertificateValidation",
        demand: Demand::Verification,
        source: CONNECTOR,
        judge: certificate_validation,
    },
    Sender {
        id: "exchange-domain-validation",
        product: "Exchange",
        policy: "DomainValidation",
        demand: Demand::Verification,
        source: "Microsoft, Set-SendConnector: RequireTLS, TlsAuthLevel, TlsDomain; with the host as TlsDomain",
        judge: domain_validation,
    },
];

fn opportunistic(host: &Host, _: Option<&Dns>) -> Prediction {
    where_offered(host, &EXCHANGE)
}

fn encryption_only(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &EXCHANGE, || Prediction::of(Fate::Encrypted))
}

/// The path and its dates, not the name.
fn certificate_validation(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &EXCHANGE, || Prediction::by_trust(host.path_trust(&EXCHANGE)))
}

fn domain_validation(host: &Host, _: Option<&Dns>) -> Prediction {
    insist(host, &EXCHANGE, || Prediction::by_trust(host.trust(&EXCHANGE)))
}
