//! What a CA says of its certificates: OCSP responses, lists of revoked ones, and what is judged by them.

use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
    SigningKey as _,
};
use time::Duration;
use x509_cert::der::{Decode as _, Encode as _, asn1::OctetString};
use x509_ocsp::OcspResponse as Response;
use x509_parser::der_parser::asn1_rs::{Any, FromDer as _};

use super::x509::{NOW, assert_kept, facts, reported};
use crate::{
    facts::{Body, Certificate, Crl, CrlDetails, Fetched, Observed, OcspDetails, OcspResponse, Resource},
    report::Report,
    rules::Outcome,
    trust::TrustStore,
};

/// Where the lab publishes, as its lists say themselves.
const PLACE: &str = "http://pki.lab.test/server.crl";
/// The serial number of the certificate in question, as long as those of the lab.
pub(super) const SERIAL: [u8; 8] = [0x5a; 8];
/// The seed of the CA's key, in PKCS#8.
const KEY: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20the key of a CA that only fuzzes";
/// The AlgorithmIdentifier of Ed25519 (RFC 8410, 3).
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// A CA of the lab's name, whose key is the same in every run, so that seeds stay about it; and a certificate of its own.
struct World {
    key: KeyPair,
    authority: Vec<u8>,
    leaf: Certificate,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = KeyPair::try_from(KEY).expect("a key");
    let params = |organization: Option<&str>, name: &str| {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name = DistinguishedName::new();
        organization.into_iter().for_each(|name| params.distinguished_name.push(DnType::OrganizationName, name));
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (NOW - Duration::days(30), NOW + Duration::days(60));
        params
    };
    let mut authority = params(Some("mtalab"), "mtalab lab intermediate");
    authority.subject_alt_names.clear();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut leaf = params(None, "mx.example.test");
    leaf.serial_number = Some(SerialNumber::from_slice(&SERIAL));
    let signed = leaf.signed_by(&key, &Issuer::from_params(&authority, &key)).expect("a certificate");
    let authority = authority.self_signed(&key).expect("a certificate").der().to_vec();
    World { leaf: Certificate::from_der(signed.der()), authority, key }
});

/// The public key of the CA, as OCSP hashes it.
#[cfg(test)]
pub(super) fn public_key() -> &'static [u8] {
    rcgen::PublicKeyData::der_bytes(&WORLD.key)
}

/// An OCSP response or a list of revoked certificates: read, and judged as it came and as if the CA had signed it.
pub fn revocation(input: &[u8]) {
    assert_kept::<OcspDetails>(input);
    assert_kept::<CrlDetails>(input);
    let report = judged(input, input);
    let outcome = &report.outcomes.iter().find(|(rule, _)| rule.id == "certificate-revoked").expect("the rule is there").1;
    assert!(matches!(outcome, Outcome::Undetermined(_)), "nobody signed it, and it counts: {outcome:?}");
    let (ocsp, list) = (ocsp_signed_anew(input), signed_anew(input));
    if ocsp.is_some() || list.is_some() {
        judged(&ocsp.unwrap_or_default(), &list.unwrap_or_default());
    }
}

/// The certificate whose CA says this of it, by every way there is.
fn judged(ocsp: &[u8], list: &[u8]) -> Report {
    let fetched = |what, body| Fetched {
        certificate: WORLD.leaf.details().expect("it can be read").sha256.clone(),
        what,
        url: PLACE.into(),
        answer: Observed::Seen(body),
    };
    let mut facts = facts(vec![WORLD.leaf.clone()]);
    let response = OcspResponse::from_der(ocsp);
    facts.views[0].session.staple = Observed::Seen(Some(response.clone()));
    facts.told_to_fetch = vec![Resource::Ocsp, Resource::Crl];
    facts.fetched = vec![fetched(Resource::Ocsp, Body::Ocsp(response)), fetched(Resource::Crl, Body::Crl(Crl::from_der(list)))];
    let store = TrustStore { name: "fuzz".to_owned(), public: true, anchors: vec![WORLD.authority.clone().into()] };
    reported(facts, store, 2 * ocsp.len() + list.len())
}

fn ocsp_signed_anew(response: &[u8]) -> Option<Vec<u8>> {
    let mut response = Response::from_der(response).ok()?;
    let bytes = response.response_bytes.as_mut()?;
    bytes.response = OctetString::new(signed_anew(bytes.response.as_bytes())?).ok()?;
    response.to_der().ok()
}

/// The same with the signature of the CA: what is signed, how, the signature, and what follows.
fn signed_anew(whole: &[u8]) -> Option<Vec<u8>> {
    let (_, outer) = Any::from_der(whole).ok()?;
    let (rest, _) = Any::from_der(outer.data).ok()?;
    let message = outer.data.get(..outer.data.len() - rest.len())?;
    let (rest, _) = Any::from_der(rest).ok()?;
    let (rest, _) = Any::from_der(rest).ok()?;
    let signature = WORLD.key.sign(message).expect("it signs anything");
    Some(yasna::construct_der(|writer| {
        writer.write_sequence(|out| {
            out.next().write_der(message);
            out.next().write_der(ED25519);
            out.next().write_bitvec_bytes(&signature, signature.len() * 8);
            out.next().write_der(rest);
        });
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What is signed anew gets past the signature, so that the judgement behind it is fuzzed too.
    #[rstest]
    #[case("good-by-ocsp-0", false)]
    #[case("good-by-list-0", false)]
    #[case("revoked-by-ocsp-0", true)]
    #[case("revoked-by-list-0", true)]
    fn seeds_are_about_the_certificate(#[case] name: &str, #[case] is_revoked: bool) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/revocation");
        let seed = std::fs::read(format!("{folder}/{name}")).unwrap();
        let report = judged(&ocsp_signed_anew(&seed).unwrap_or_default(), &signed_anew(&seed).unwrap_or_default());
        let outcome = &report.outcomes.iter().find(|(rule, _)| rule.id == "certificate-revoked").unwrap().1;
        assert!(
            if is_revoked { matches!(outcome, Outcome::Violated(_)) } else { matches!(outcome, Outcome::Passed(_)) },
            "{outcome:?}"
        );
    }
}
