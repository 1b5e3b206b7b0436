//! What one server of a scenario does, down to the byte. Serialisable, so that it can
//! be carried into a container.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    name::Name,
    scenario::{ClientCertificateFault, DialogFault, HandshakeFault, IntoleranceFault, SniFault, StackFault, TlsSpec},
};

/// Everything that a backend needs to start one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerPlan {
    /// The kind of server: the id of a persona.
    pub kind: String,
    /// The host name that the server is configured with.
    pub host: Name,
    /// The name in the greeting, as text since a fault may make it no name at all.
    pub greeting_name: String,
    /// The name in the reply to EHLO.
    pub ehlo_name: String,
    /// EHLO lines to add to the persona's.
    pub add_keywords: Vec<String>,
    /// EHLO keywords of the persona to leave out.
    pub omit_keywords: Vec<String>,
    /// What is said at connect.
    pub greeting: GreetingPlan,
    /// To whom STARTTLS is offered.
    pub offer: Offer,
    /// What happens after STARTTLS.
    pub answer: Answer,
    /// The vantage points that are greeted with 554.
    pub blocks: Vec<String>,
    /// The vantage points that get the certificate of `nameless`.
    pub other_certificate_to: Vec<String>,
    /// Whether STARTTLS is offered again inside TLS.
    pub offered_in_tls: bool,
    /// What goes wrong before TLS.
    pub dialog: DialogFault,
    /// How it speaks TLS.
    pub tls: TlsPlan,
    /// The certificates and the key; none where TLS is off.
    pub credentials: Credentials,
    /// A second certificate, with a key of another algorithm.
    pub second: Option<Credentials>,
    /// What is sent where the host is not asked for by name; none where the name makes no difference.
    pub nameless: Option<Credentials>,
}

/// How a server speaks TLS: the scenario's own words, since what they leave out is the kind of server's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TlsPlan {
    /// The settings of the correct world.
    pub settings: TlsSpec,
    /// What is old or odd about the stack.
    pub stack: Option<StackFault>,
    /// What the name in the ClientHello does.
    pub sni: Option<SniFault>,
    /// Whether clients are asked for a certificate.
    pub client_certificate: Option<ClientCertificateFault>,
    /// The ClientHello that is not borne.
    pub intolerant_of: Option<IntoleranceFault>,
    /// Where the handshake breaks off.
    pub handshake: Option<HandshakeFault>,
    /// How long the answer to the ClientHello takes.
    pub delay: Duration,
    /// Whether the connection ends without close_notify.
    pub no_close_notify: bool,
    /// Whether mail is refused without TLS.
    pub required: bool,
}

impl TlsPlan {
    /// Whether it is nothing but a range of TLS 1.2 and 1.3.
    pub fn is_plain(&self) -> bool {
        let TlsSpec { min: _, max: _, stock, preference, groups } = &self.settings;
        let is_set = [stock.is_some(), preference.is_some(), groups.is_some(), self.stack.is_some(), self.sni.is_some()];
        let is_bent = [self.client_certificate.is_some(), self.intolerant_of.is_some(), self.handshake.is_some(), self.required];
        !is_set.contains(&true) && !is_bent.contains(&true) && self.delay.is_zero()
    }
}

/// What is said at connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GreetingPlan {
    /// 220, as the persona words it.
    Ready,
    /// 421, then close.
    Throttled,
    /// 554: the source is blocked.
    Blocked,
}

/// To whom STARTTLS is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offer {
    /// To every client.
    Everyone,
    /// To none: TLS is off.
    Nobody,
    /// To the vantage points of these names; the others are told that the command is unknown.
    OnlyTo(Vec<String>),
    /// A middlebox writes `XXXXXXXA` over the keyword and `XXXX` over the command.
    Masked,
}

/// What happens after the STARTTLS command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// 220 and a handshake.
    Handshake,
    /// 454: TLS not available due to a temporary reason (RFC 3207, 4).
    Unavailable,
}

/// A certificate chain as it is to be sent, and the key of its first certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// The chain in the order in which it is sent, in DER.
    #[serde(serialize_with = "write_ders", deserialize_with = "read_ders")]
    pub chain: Vec<Vec<u8>>,
    /// The private key as PKCS#8 PEM.
    pub key_pem: String,
    /// The OCSP response that is stapled to it, in DER.
    pub staple: Option<Vec<u8>>,
}

impl Credentials {
    /// Without a staple.
    pub fn new(chain: Vec<Vec<u8>>, key_pem: String) -> Self {
        Self { chain, key_pem, staple: None }
    }

    /// The key, then the chain, as PEM: the form that Postfix and others take in one file.
    pub fn to_pem(&self) -> String {
        format!("{}\n{}", self.key_pem.trim_end(), self.chain_pem())
    }

    /// The chain as PEM.
    pub fn chain_pem(&self) -> String {
        let blocks: Vec<_> = self.chain.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_slice())).collect();
        pem::encode_many_config(&blocks, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }
}

/// Keys never reach a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} certificates)", self.chain.len())
    }
}

fn write_ders<S: Serializer>(ders: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ders.iter().map(|der| BASE64.encode(der)))
}

fn read_ders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| BASE64.decode(text).map_err(serde::de::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    #[test]
    fn the_key_comes_first_and_the_chain_reads_back() {
        let pem = Credentials::new(vec![vec![7; 100], vec![8; 50]], "KEY\n".to_owned()).to_pem();
        assert!(pem.starts_with("KEY\n-----BEGIN CERTIFICATE-----\n"));
        assert!(pem.lines().all(|line| line.len() <= 64));
        let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, [CertificateDer::from(vec![7; 100]), CertificateDer::from(vec![8; 50])]);
    }
}
