//! The shape of a scenario file. The doc comments are the descriptions in its JSON Schema.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    finding::{Practice, Verdict},
    name::Name,
};

/// One scenario: a correct world plus one named fault, and what a checker must say about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What is wrong, in one line.
    pub title: String,
    /// Why it matters, in prose.
    pub why: String,
    /// The clauses that say so: `RFC 5280, 4.1.2.5`.
    pub clauses: Vec<String>,
    /// The practice that it concerns.
    pub practice: Practice,
    /// Why this scenario has more than one fault; forbidden with one, required with more.
    pub compound: Option<String>,
    /// The server.
    pub server: ServerSpec,
    /// Its certificate.
    #[serde(default)]
    pub certificate: CertificateSpec,
    /// Its TLS settings.
    #[serde(default)]
    pub tls: TlsSpec,
    /// Where it is looked at from; one vantage point called `here` if absent.
    #[serde(default)]
    pub vantage: BTreeMap<String, VantageSpec>,
    /// What is wrong; empty for a baseline.
    #[serde(default)]
    pub fault: Faults,
    /// The truth.
    pub expect: Expect,
}

/// The server of a scenario.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerSpec {
    /// The kinds of server that it can run as; `mtalab personas` are the names.
    #[schemars(length(min = 1))]
    pub kinds: Vec<String>,
    /// The host name: of the MX, of the certificate, of the greeting.
    #[serde(default = "ServerSpec::default_host")]
    pub host: Name,
    /// EHLO keywords to add to the persona's, with their parameters.
    #[serde(default)]
    pub add_keywords: Vec<String>,
    /// EHLO keywords of the persona to leave out.
    #[serde(default)]
    pub omit_keywords: Vec<String>,
}

impl ServerSpec {
    #[expect(clippy::expect_used, reason = "a constant")]
    fn default_host() -> Name {
        Name::parse("mx.lab.test").expect("a valid name")
    }
}

/// The certificate of the correct world. Every value here is right; faults are in `[fault]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateSpec {
    /// The key; RSA with 2048 bits if absent.
    pub key: Option<Key>,
    /// The dNSName entries; the host name if absent. May hold wildcards.
    pub names: Option<Vec<String>>,
    /// The CN of the subject; the first name if absent, none if empty.
    pub common_name: Option<String>,
    /// How long it has been valid; 30 days if absent.
    pub valid_since: Option<DurationText>,
    /// How long it will be valid; 60 days if absent.
    pub valid_for: Option<DurationText>,
    /// Whether the server also sends the root.
    pub send_root: Option<bool>,
}

/// A kind of key that is strong enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// RSA, 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

/// The TLS settings of the correct world.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSpec {
    /// The lowest version offered; 1.2 if absent.
    pub min: Option<TlsVersion>,
    /// The highest version offered; 1.3 if absent.
    pub max: Option<TlsVersion>,
}

/// A TLS version that a correct server may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// A vantage point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VantageSpec {
    /// Who stands there.
    pub title: String,
}

/// What is wrong with the world: each key is a fault. Two faults need `compound`;
/// two on the same [`Knob`] contradict each other.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {
    /// The certificate expired so long ago.
    pub expired: Option<DurationText>,
    /// The certificate expires so soon.
    pub expires_in: Option<DurationText>,
    /// The certificate becomes valid only so far in the future.
    pub not_yet_valid: Option<DurationText>,
    /// The intermediate that signed it expired so long ago.
    pub issuer_expired: Option<DurationText>,
    /// An RSA key of so many bits, 512 to 2047.
    #[schemars(range(min = 512, max = 2047))]
    pub weak_key: Option<u16>,
    /// The certificate is signed with this hash.
    pub weak_signature: Option<WeakHash>,
    /// The certificate is signed by its own key.
    pub self_signed: Option<bool>,
    /// The certificate is from a CA that nobody trusts, and its root is sent.
    pub private_ca: Option<bool>,
    /// The certificate is from a CA that nobody trusts, whose certificates are not sent.
    pub unknown_ca: Option<bool>,
    /// The server sends its own certificate alone.
    pub missing_intermediate: Option<bool>,
    /// The server sends its own certificate and the root, but not the intermediate between them.
    pub gap_in_chain: Option<bool>,
    /// The server sends the root before the intermediate.
    pub misordered_chain: Option<bool>,
    /// The server also sends a certificate that has nothing to do with the path.
    pub unrelated_certificate: Option<bool>,
    /// The certificate names these hosts instead.
    #[schemars(length(min = 1))]
    pub wrong_names: Option<Vec<String>>,
    /// The certificate names the host in its CN only: no subject alternative name.
    pub common_name_only: Option<bool>,
    /// The CN names this host, which no subject alternative name does.
    pub foreign_common_name: Option<String>,
    /// The greeting names this host instead.
    pub greeting_name: Option<String>,
    /// The reply to EHLO names this host instead.
    pub ehlo_name: Option<String>,
    /// The greeting refuses service.
    pub greeting_refused: Option<RefusedReply>,
    /// STARTTLS is offered to nobody.
    pub starttls_off: Option<bool>,
    /// STARTTLS is offered to these vantage points only.
    #[schemars(length(min = 1))]
    pub starttls_only_to: Option<Vec<String>>,
    /// A middlebox overwrites the STARTTLS keyword and refuses the command.
    pub starttls_masked: Option<bool>,
    /// STARTTLS is offered, and refused with 454.
    pub starttls_unavailable: Option<bool>,
    /// STARTTLS is accepted, and the connection closed at the ClientHello.
    pub closed_at_client_hello: Option<bool>,
    /// STARTTLS is offered again inside TLS.
    pub starttls_offered_in_tls: Option<bool>,
    /// Nothing above TLS 1.1 is offered.
    pub obsolete_tls_only: Option<bool>,
}

/// A greeting that refuses service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedReply {
    /// 421: too many connections, come back later.
    #[serde(rename = "421")]
    Throttled,
    /// 554: this source is blocked.
    #[serde(rename = "554")]
    Blocked,
}

/// The part of the world that a fault changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// When the certificate is valid.
    Validity,
    /// When its issuer is valid.
    IssuerValidity,
    /// The key.
    Key,
    /// The hash of its signature.
    Signature,
    /// Who signed it, and what is sent with it.
    Chain,
    /// What it names.
    Names,
    /// What its CN names.
    CommonName,
    /// The greeting.
    Greeting,
    /// The name in the reply to EHLO.
    EhloName,
    /// To whom STARTTLS is offered.
    StarttlsOffer,
    /// What happens after the STARTTLS command.
    StarttlsAnswer,
    /// The keywords inside TLS.
    KeywordsInTls,
}

/// A hash too weak for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeakHash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
}

/// The truth about a scenario: what a checker that sees it from all vantage points must say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// Rules that must be violated.
    #[serde(default)]
    pub must: Vec<String>,
    /// Rules that must not be; `*` means every other one.
    #[serde(default)]
    pub must_not: Vec<String>,
    /// The verdicts of the practices concerned.
    #[serde(default)]
    pub verdicts: BTreeMap<Practice, Verdict>,
    /// The truth for a checker that stands at one vantage point alone.
    #[serde(default)]
    pub from: BTreeMap<String, ExpectFrom>,
}

/// The truth for one vantage point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpectFrom {
    /// Rules that must be violated.
    #[serde(default)]
    pub must: Vec<String>,
    /// Rules that must not be; `*` means every other one.
    #[serde(default)]
    pub must_not: Vec<String>,
    /// The verdicts of the practices concerned.
    #[serde(default)]
    pub verdicts: BTreeMap<Practice, Verdict>,
}

/// A duration as people write it: `3 days`, `12h`, `1y`. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct DurationText(pub Duration);

impl TryFrom<String> for DurationText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.trim_start().starts_with('-') {
            return Err("a duration cannot be negative".to_owned());
        }
        humantime::parse_duration(&text).map(Self).map_err(|error| format!("not a duration such as `3 days`: {error}"))
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A duration: `3 days`, `12h`, `1y`.", "minLength": 1 })
    }
}
