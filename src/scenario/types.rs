//! The shape of a scenario file. The doc comments are the descriptions in its JSON Schema.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    certificate::{
        AnchorFault, CertificateSpec, ChainFault, DefaultCertificate, ExtensionFault, FormFault, IssuerFault, NameKind,
        NamesFault, OddKey, ValidityFault, WeakHash,
    },
    dialog::DialogFault,
    domain::{
        DnssecFault, DomainSpec, FaultPlace, LookupFault, PolicyFault, PolicyHostFault, RecordsFault, TlsaFault, Unreachable,
    },
    knob::Knob,
    relay::RelayFault,
    revocation::{PublishingFault, RevocationSource, Revoked, StapleFault},
    schema::{
        AnyRuleId, Duration as DurationSchema, EhloKeyword, EhloLine, Kind, PolicyName, RuleId, VantageName, Verdicts, WrongName,
    },
    tls::{ClientCertificateFault, HandshakeFault, IntoleranceFault, SniFault, StackFault, TlsSpec},
    vantage::VantageSpec,
};
use crate::{
    facts::Depth,
    finding::{Practice, Verdict},
    name::Name,
};

/// One scenario: a correct world plus one named fault, and what a checker must say about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What is wrong, in one line.
    #[schemars(length(min = 1, max = 100))]
    pub title: String,
    /// Why it matters, in prose.
    #[schemars(length(min = 1, max = 4000))]
    pub why: String,
    /// The clauses that say so: `RFC 5280, 4.1.2.5`.
    #[schemars(length(max = 16), inner(length(min = 1, max = 200)))]
    pub clauses: Vec<String>,
    /// The practice that it concerns.
    pub practice: Practice,
    /// Why this scenario has more than one fault; forbidden with one, required with more.
    #[schemars(length(min = 1, max = 1000))]
    pub compound: Option<String>,
    /// How deep the checker looks; `quick` if absent.
    #[serde(default)]
    pub probe: Depth,
    /// The checker tries what a server may take for an attack.
    #[schemars(extend("const" = true))]
    pub active: Option<bool>,
    /// The policy that it judges by; `mtalab` if absent.
    #[schemars(with = "Option<PolicyName>")]
    pub policy: Option<String>,
    /// Where the CA says which certificates it took back; the checker asks there. Nothing is published and asked if absent.
    pub revocation: Option<RevocationSource>,
    /// The checker fetches issuers that were not sent.
    #[schemars(extend("const" = true))]
    pub fetch_issuers: Option<bool>,
    /// How long the checker waits for the greeting, for each reply and for each handshake; 20 seconds if absent.
    /// Short where the fault is that nothing comes.
    pub patience: Option<DurationText>,
    /// The server.
    pub server: ServerSpec,
    /// Its certificate.
    #[serde(default)]
    pub certificate: CertificateSpec,
    /// Its TLS settings.
    #[serde(default)]
    pub tls: TlsSpec,
    /// A whole mail domain, whose hosts are such servers; the server stands alone if absent.
    pub domain: Option<DomainSpec>,
    /// Where it is looked at from; one vantage point called `here` if absent.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 8), extend("propertyNames" = VantageName::reference()))]
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
    #[schemars(with = "Vec<Kind>", length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub kinds: Vec<String>,
    /// The host name: of the MX, of the certificate, of the greeting.
    #[serde(default = "ServerSpec::default_host")]
    pub host: Name,
    /// The port that it stands for, 25, 465 or 587; 25 if absent. On 465 TLS begins with the first byte (RFC 8314, 3.3).
    #[schemars(extend("enum" = [25, 465, 587]))]
    pub port: Option<u16>,
    /// EHLO keywords to add to the persona's, with their parameters.
    #[serde(default)]
    #[schemars(with = "Vec<EhloLine>", length(max = 64), extend("uniqueItems" = true))]
    pub add_keywords: Vec<String>,
    /// EHLO keywords of the persona to leave out.
    #[serde(default)]
    #[schemars(with = "Vec<EhloKeyword>", length(max = 64), extend("uniqueItems" = true))]
    pub omit_keywords: Vec<String>,
}

impl ServerSpec {
    #[expect(clippy::expect_used, reason = "a constant")]
    fn default_host() -> Name {
        Name::parse("mx.lab.test").expect("a valid name")
    }
}

/// What is wrong with the world: each key is a fault. Two faults need `compound`;
/// two on the same [`Knob`] contradict each other.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {
    /// Where in a domain the faults of a server are; at every host if absent.
    pub at: Option<FaultPlace>,
    /// The certificate expired so long ago.
    pub expired: Option<DurationText>,
    /// The certificate expires so soon.
    pub expires_in: Option<DurationText>,
    /// The certificate becomes valid only so far in the future.
    pub not_yet_valid: Option<DurationText>,
    /// The intermediate that signed it expired so long ago.
    pub issuer_expired: Option<DurationText>,
    /// The intermediate that signed it expires so soon, before the certificate itself.
    pub issuer_expires_in: Option<DurationText>,
    /// An RSA key of so many bits, 512 to 2047.
    #[schemars(range(min = 512, max = 2047))]
    pub weak_key: Option<u16>,
    /// A key that senders do not take, or that is worth nothing.
    pub odd_key: Option<OddKey>,
    /// The server signs with another key than the certificate's.
    #[schemars(extend("const" = true))]
    pub other_key: Option<bool>,
    /// The certificate is signed with this hash.
    pub weak_signature: Option<WeakHash>,
    /// The certificate is signed by its own key.
    #[schemars(extend("const" = true))]
    pub self_signed: Option<bool>,
    /// The certificate is from a CA that nobody trusts, and its root is sent.
    #[schemars(extend("const" = true))]
    pub private_ca: Option<bool>,
    /// The certificate is from a CA that nobody trusts, whose certificates are not sent.
    #[schemars(extend("const" = true))]
    pub unknown_ca: Option<bool>,
    /// The server sends its own certificate alone.
    #[schemars(extend("const" = true))]
    pub missing_intermediate: Option<bool>,
    /// The server sends its own certificate and the root, but not the intermediate between them.
    #[schemars(extend("const" = true))]
    pub gap_in_chain: Option<bool>,
    /// The server sends the root before the intermediate.
    #[schemars(extend("const" = true))]
    pub misordered_chain: Option<bool>,
    /// The server also sends a certificate that has nothing to do with the path.
    #[schemars(extend("const" = true))]
    pub unrelated_certificate: Option<bool>,
    /// The chain was put together wrongly, or has a long history.
    pub chain: Option<ChainFault>,
    /// The certificate of the CA that signed is wrong.
    pub issuer: Option<IssuerFault>,
    /// The CA that signed may certify other names of this kind only; the certificate has one.
    pub issuer_forbids: Option<NameKind>,
    /// The root of the trust store expired so long ago.
    pub root_expired: Option<DurationText>,
    /// The root of the trust store expires so soon, before the certificate itself.
    pub root_expires_in: Option<DurationText>,
    /// The root has an RSA key of so many bits, 512 to 2047.
    #[schemars(range(min = 512, max = 2047))]
    pub weak_root_key: Option<u16>,
    /// The trust store holds another certificate than the root.
    pub anchor: Option<AnchorFault>,
    /// The certificate is not formed as it should be.
    pub form: Option<FormFault>,
    /// An extension of the certificate says the wrong thing.
    pub extension: Option<ExtensionFault>,
    /// The certificate may be used by clients only: its extended key usage lacks server authentication.
    #[schemars(extend("const" = true))]
    pub client_only: Option<bool>,
    /// Dates that no CA writes.
    pub validity: Option<ValidityFault>,
    /// Names that are not what they look like.
    pub names: Option<NamesFault>,
    /// The CA took a certificate back.
    pub revoked: Option<Revoked>,
    /// What certificates point to is not there as it should be.
    pub publishing: Option<PublishingFault>,
    /// The OCSP response that the server staples does not hold.
    pub staple: Option<StapleFault>,
    /// The certificate holds no signed certificate timestamps.
    #[schemars(extend("const" = true))]
    pub no_timestamps: Option<bool>,
    /// The certificate on the server's disk is a newer one than the server presents.
    #[schemars(extend("const" = true))]
    pub not_reloaded: Option<bool>,
    /// The server presents what its product made when it was installed.
    pub default_certificate: Option<DefaultCertificate>,
    /// The certificate names these hosts instead.
    #[schemars(with = "Option<Vec<WrongName>>", length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub wrong_names: Option<Vec<String>>,
    /// The certificate names the host in its CN only: no subject alternative name.
    #[schemars(extend("const" = true))]
    pub common_name_only: Option<bool>,
    /// The CN names this host, which no subject alternative name does.
    #[schemars(length(min = 1, max = 64))] // RFC 5280, A.1: ub-common-name
    pub foreign_common_name: Option<String>,
    /// The second certificate expired so long ago.
    pub second_expired: Option<DurationText>,
    /// The second certificate expires so soon.
    pub second_expires_in: Option<DurationText>,
    /// The second certificate names these hosts instead.
    #[schemars(with = "Option<Vec<WrongName>>", length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub second_names: Option<Vec<String>>,
    /// DNS calls the server's address by these names instead; by none where there are none.
    #[schemars(length(max = 16), extend("uniqueItems" = true))]
    pub pointer: Option<Vec<Name>>,
    /// The greeting names this host instead.
    #[schemars(length(min = 1, max = 255))]
    pub greeting_name: Option<String>,
    /// The reply to EHLO names this host instead.
    #[schemars(length(min = 1, max = 255))]
    pub ehlo_name: Option<String>,
    /// The greeting refuses service.
    pub greeting_refused: Option<RefusedReply>,
    /// STARTTLS is offered to nobody.
    #[schemars(extend("const" = true))]
    pub starttls_off: Option<bool>,
    /// STARTTLS is offered to these vantage points only.
    #[schemars(with = "Option<Vec<VantageName>>", length(min = 1, max = 8), extend("uniqueItems" = true))]
    pub starttls_only_to: Option<Vec<String>>,
    /// These vantage points are greeted with 554.
    #[schemars(with = "Option<Vec<VantageName>>", length(min = 1, max = 8), extend("uniqueItems" = true))]
    pub blocks: Option<Vec<String>>,
    /// These vantage points get another certificate: a self-signed one.
    #[schemars(with = "Option<Vec<VantageName>>", length(min = 1, max = 8), extend("uniqueItems" = true))]
    pub other_certificate_to: Option<Vec<String>>,
    /// A middlebox overwrites the STARTTLS keyword and refuses the command.
    #[schemars(extend("const" = true))]
    pub starttls_masked: Option<bool>,
    /// STARTTLS is offered, and refused with 454.
    #[schemars(extend("const" = true))]
    pub starttls_unavailable: Option<bool>,
    /// STARTTLS is offered again inside TLS.
    #[schemars(extend("const" = true))]
    pub starttls_offered_in_tls: Option<bool>,
    /// Mail is refused without TLS.
    #[schemars(extend("const" = true))]
    pub starttls_required: Option<bool>,
    /// Something stands before the server, and changes what clients hear.
    pub relay: Option<RelayFault>,
    /// The dialog before TLS goes wrong.
    pub dialog: Option<DialogFault>,
    /// An old or odd TLS stack.
    pub tls: Option<StackFault>,
    /// The name in the ClientHello is needed, or refused, or decides.
    pub sni: Option<SniFault>,
    /// Clients are asked for a certificate.
    pub client_certificate: Option<ClientCertificateFault>,
    /// A kind of ClientHello is not borne.
    pub intolerant_of: Option<IntoleranceFault>,
    /// The handshake breaks off.
    pub handshake: Option<HandshakeFault>,
    /// The answer to the ClientHello takes so long.
    pub slow_handshake: Option<DurationText>,
    /// The connection ends without close_notify (RFC 8446, 6.1).
    #[schemars(extend("const" = true))]
    pub no_close_notify: Option<bool>,
    /// The server at this address has another certificate, with a key of its own: what is published is of the others'.
    #[schemars(extend("const" = true))]
    pub another_certificate: Option<bool>,
    /// The certificates of all hosts are for one key.
    #[schemars(extend("const" = true))]
    pub shared_key: Option<bool>,
    /// The server cannot be reached.
    pub unreachable: Option<Unreachable>,
    /// The name servers answer wrongly.
    pub lookup: Option<LookupFault>,
    /// DNS has other records.
    pub records: Option<RecordsFault>,
    /// A zone is signed or delegated wrongly.
    pub dnssec: Option<DnssecFault>,
    /// The TLSA records do not fit; those of the host of `at`, or of every host.
    pub tlsa: Option<TlsaFault>,
    /// The MTA-STS policy is not served as it should be.
    pub policy: Option<PolicyFault>,
    /// The MTA-STS policy host is not what it should be.
    pub policy_host: Option<PolicyHostFault>,
}

/// States each fault's key and knob once. The pattern without `..` makes a forgotten fault a compile error.
macro_rules! fault_table {
    ($($field:ident: $key:literal => $knob:ident,)+) => {
        impl Faults {
            /// The keys of all faults, in the order of the fields.
            pub const KEYS: &[&str] = &[$($key),+];

            /// The faults that are set, as (key, knob), in the order of the fields.
            pub fn active(&self) -> Vec<(&'static str, Knob)> {
                // Where it is, is no fault.
                let Self { at: _, $($field),+ } = self;
                [$(($field.is_some(), $key, Knob::$knob)),+]
                    .into_iter()
                    .filter_map(|(is_set, key, knob)| is_set.then_some((key, knob)))
                    .collect()
            }
        }
    };
}

fault_table! {
    expired: "expired" => Validity,
    expires_in: "expires-in" => Validity,
    not_yet_valid: "not-yet-valid" => Validity,
    issuer_expired: "issuer-expired" => IssuerValidity,
    issuer_expires_in: "issuer-expires-in" => IssuerValidity,
    weak_key: "weak-key" => Key,
    odd_key: "odd-key" => Key,
    other_key: "other-key" => Possession,
    weak_signature: "weak-signature" => Signature,
    self_signed: "self-signed" => Chain,
    private_ca: "private-ca" => Chain,
    unknown_ca: "unknown-ca" => Chain,
    missing_intermediate: "missing-intermediate" => Chain,
    gap_in_chain: "gap-in-chain" => Chain,
    misordered_chain: "misordered-chain" => Chain,
    unrelated_certificate: "unrelated-certificate" => Chain,
    chain: "chain" => Chain,
    issuer: "issuer" => Issuer,
    issuer_forbids: "issuer-forbids" => Issuer,
    root_expired: "root-expired" => RootValidity,
    root_expires_in: "root-expires-in" => RootValidity,
    weak_root_key: "weak-root-key" => RootKey,
    anchor: "anchor" => Anchor,
    form: "form" => Form,
    extension: "extension" => Usage,
    client_only: "client-only" => Usage,
    validity: "validity" => Validity,
    names: "names" => Names,
    revoked: "revoked" => Revocation,
    publishing: "publishing" => Publishing,
    staple: "staple" => Staple,
    no_timestamps: "no-timestamps" => Timestamps,
    not_reloaded: "not-reloaded" => Reload,
    default_certificate: "default-certificate" => Chain,
    wrong_names: "wrong-names" => Names,
    common_name_only: "common-name-only" => Names,
    foreign_common_name: "foreign-common-name" => CommonName,
    second_expired: "second-expired" => SecondValidity,
    second_expires_in: "second-expires-in" => SecondValidity,
    second_names: "second-names" => SecondNames,
    pointer: "pointer" => Pointer,
    greeting_name: "greeting-name" => Greeting,
    ehlo_name: "ehlo-name" => EhloName,
    greeting_refused: "greeting-refused" => Greeting,
    starttls_off: "starttls-off" => StarttlsOffer,
    starttls_only_to: "starttls-only-to" => StarttlsOffer,
    blocks: "blocks" => Greeting,
    other_certificate_to: "other-certificate-to" => SplitView,
    starttls_masked: "starttls-masked" => StarttlsOffer,
    starttls_unavailable: "starttls-unavailable" => StarttlsAnswer,
    starttls_offered_in_tls: "starttls-offered-in-tls" => KeywordsInTls,
    starttls_required: "starttls-required" => Enforcement,
    relay: "relay" => Relay,
    dialog: "dialog" => Dialog,
    tls: "tls" => Stack,
    sni: "sni" => Sni,
    client_certificate: "client-certificate" => ClientCertificate,
    intolerant_of: "intolerant-of" => Intolerance,
    handshake: "handshake" => StarttlsAnswer,
    slow_handshake: "slow-handshake" => HandshakeSpeed,
    no_close_notify: "no-close-notify" => CloseNotify,
    another_certificate: "another-certificate" => OwnCertificate,
    shared_key: "shared-key" => SharedKey,
    unreachable: "unreachable" => Reach,
    lookup: "lookup" => Lookup,
    records: "records" => Records,
    dnssec: "dnssec" => Signing,
    tlsa: "tlsa" => Tlsa,
    policy: "policy" => Policy,
    policy_host: "policy-host" => PolicyHost,
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

/// The truth about a scenario: what a checker that sees it from all vantage points must say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// Rules that must be violated.
    #[serde(default)]
    #[schemars(with = "Vec<RuleId>", extend("uniqueItems" = true))]
    pub must: Vec<String>,
    /// Rules that must not be; `*` means every other one.
    #[serde(default)]
    #[schemars(with = "Vec<AnyRuleId>", extend("uniqueItems" = true))]
    pub must_not: Vec<String>,
    /// The verdicts of the practices concerned.
    #[serde(default)]
    #[schemars(with = "Verdicts")]
    pub verdicts: BTreeMap<Practice, Verdict>,
    /// The truth for a checker that stands at one vantage point alone.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 8), extend("propertyNames" = VantageName::reference()))]
    pub from: BTreeMap<String, ExpectFrom>,
}

/// The truth for one vantage point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExpectFrom {
    /// Rules that must be violated.
    #[serde(default)]
    #[schemars(with = "Vec<RuleId>", extend("uniqueItems" = true))]
    pub must: Vec<String>,
    /// Rules that must not be; `*` means every other one.
    #[serde(default)]
    #[schemars(with = "Vec<AnyRuleId>", extend("uniqueItems" = true))]
    pub must_not: Vec<String>,
    /// The verdicts of the practices concerned.
    #[serde(default)]
    #[schemars(with = "Verdicts")]
    pub verdicts: BTreeMap<Practice, Verdict>,
}

/// A duration as people write it: `3 days`, `12h`, `1y`. Neither negative, nor zero, nor more than a century.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationText(pub Duration);

impl From<DurationText> for String {
    fn from(duration: DurationText) -> Self {
        humantime::format_duration(duration.0).to_string()
    }
}

/// Moments are computed as now plus or minus a duration: a century cannot leave the calendar.
const CENTURY: Duration = Duration::from_secs(36_525 * 86_400);

/// Why a text is not a [`DurationText`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// The past and the future are told apart by the key.
    #[error("a duration cannot be negative")]
    Negative,
    /// A fault that lasts no time is none.
    #[error("a duration cannot be zero")]
    Zero,
    /// More than a century.
    #[error("a duration cannot be longer than 100 years")]
    TooLong,
    /// Not what humantime reads.
    #[error("not a duration such as `3 days`: {0}")]
    Syntax(#[from] humantime::DurationError),
}

impl TryFrom<String> for DurationText {
    type Error = DurationError;
    fn try_from(text: String) -> Result<Self, DurationError> {
        if text.trim_start().starts_with('-') {
            return Err(DurationError::Negative);
        }
        match humantime::parse_duration(&text)? {
            Duration::ZERO => Err(DurationError::Zero),
            duration if duration > CENTURY => Err(DurationError::TooLong),
            duration => Ok(Self(duration)),
        }
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        DurationSchema::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        DurationSchema::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("3 days", Some(3 * 86_400))]
    #[case("12h", Some(43_200))]
    #[case("1h 30m", Some(5_400))]
    #[case("100 years", Some(3_155_760_000))]
    #[case("101 years", None)]
    #[case("-3 days", None)]
    #[case("0s", None)]
    #[case("", None)]
    #[case("3", None)]
    #[case("99999999999999999999 days", None)]
    fn durations_are_positive_and_bounded(#[case] text: &str, #[case] seconds: Option<u64>) {
        let read = DurationText::try_from(text.to_owned()).ok().map(|duration| duration.0.as_secs());
        assert_eq!(read, seconds);
    }

    #[test]
    fn active_names_what_is_set() {
        let faults = Faults { weak_key: Some(1024), starttls_off: Some(true), ..Faults::default() };
        assert_eq!(faults.active(), [("weak-key", Knob::Key), ("starttls-off", Knob::StarttlsOffer)]);
        assert_eq!(Faults::default().active(), []);
    }
}
