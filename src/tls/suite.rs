//! Cipher suites: the IANA registry as tls-parser has it, and the cipher kinds of SSL 2.0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tls_parser::{CIPHERS, TlsCipherAu as Au, TlsCipherEnc as Enc, TlsCipherEncMode as Mode, TlsCipherKx as Kx, TlsCipherSuite};

/// A cipher suite: 16 bits since SSL 3.0; the cipher kinds of SSL 2.0 have 24, of which the highest eight
/// are never zero (RFC 6101, E.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite(pub u32);

/// The cipher kinds of SSL 2.0.
const SSL2: [(Suite, &str); 7] = [
    (Suite(0x01_0080), "SSL_CK_RC4_128_WITH_MD5"),
    (Suite(0x02_0080), "SSL_CK_RC4_128_EXPORT40_WITH_MD5"),
    (Suite(0x03_0080), "SSL_CK_RC2_128_CBC_WITH_MD5"),
    (Suite(0x04_0080), "SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5"),
    (Suite(0x05_0080), "SSL_CK_IDEA_128_CBC_WITH_MD5"),
    (Suite(0x06_0040), "SSL_CK_DES_64_CBC_WITH_MD5"),
    (Suite(0x07_00c0), "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"),
];

/// A family of suites, named after what they have in common. A suite may be in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SuiteFamily {
    /// Every suite of a version.
    All,
    /// No encryption.
    Null,
    /// No authentication of the server.
    Anonymous,
    /// Weakened for export: keys of 40 or 56 bits.
    Export,
    /// RC4 (prohibited by RFC 7465).
    Rc4,
    /// Single DES, RC2 and IDEA (RFC 5469).
    SingleDes,
    /// Triple DES.
    TripleDes,
    /// A key exchange without forward secrecy: RSA, static DH, static ECDH.
    StaticKey,
    /// Ephemeral Diffie-Hellman over a finite field, with a certificate.
    Dhe,
    /// Ephemeral Diffie-Hellman over an elliptic curve, with a certificate.
    Ecdhe,
    /// Block ciphers in CBC mode.
    Cbc,
    /// Authenticated encryption: GCM, CCM, ChaCha20-Poly1305.
    Aead,
}

/// How the server proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// An RSA certificate.
    Rsa,
    /// An ECDSA or EdDSA certificate.
    Ecdsa,
    /// A DSA certificate.
    Dsa,
    /// No certificate.
    Anonymous,
    /// By something that is no certificate of a mail server: a shared key, a password, Kerberos.
    Other,
    /// Not said by the suite: TLS 1.3.
    Any,
}

impl Suite {
    /// The IANA name; of the kinds of SSL 2.0 the name in its specification.
    pub fn name(self) -> Option<&'static str> {
        match self.registered() {
            Some(suite) => Some(suite.name),
            None => SSL2.iter().find(|(suite, _)| *suite == self).map(|(_, name)| *name),
        }
    }

    /// The suite of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let ssl2 = || SSL2.iter().find(|(_, known)| *known == name).map(|(suite, _)| *suite);
        TlsCipherSuite::from_name(name).map(|suite| Self(u32::from(suite.id.0))).or_else(ssl2)
    }

    /// Those of TLS 1.2 and older that have a name, by code; no signalling values.
    pub fn up_to_tls12() -> Vec<Self> {
        // TLS_NULL_WITH_NULL_NULL is the state before a handshake (RFC 5246, 7.4.1.4), an SCSV a signal (RFC 5746, 3.3; RFC 7507, 2).
        Self::registry(|suite| suite.kx != Kx::Tls13 && suite.id.0 != 0 && !suite.name.ends_with("_SCSV"))
    }

    /// Those of TLS 1.3 that have a name, by code.
    pub fn tls13() -> Vec<Self> {
        Self::registry(|suite| suite.kx == Kx::Tls13)
    }

    /// The cipher kinds of SSL 2.0.
    pub fn ssl2() -> Vec<Self> {
        SSL2.iter().map(|(suite, _)| *suite).collect()
    }

    fn registry(is_wanted: impl Fn(&TlsCipherSuite) -> bool) -> Vec<Self> {
        let mut suites: Vec<_> =
            CIPHERS.values().filter(|suite| is_wanted(suite)).map(|suite| Self(u32::from(suite.id.0))).collect();
        suites.sort();
        suites
    }

    fn registered(self) -> Option<&'static TlsCipherSuite> {
        u16::try_from(self.0).ok().and_then(TlsCipherSuite::from_id)
    }

    /// Whether it belongs to TLS 1.3.
    pub fn is_tls13(self) -> bool {
        self.registered().is_some_and(|suite| suite.kx == Kx::Tls13)
    }

    /// Whether it is in that family; never where the code is not known.
    pub fn is_in(self, family: SuiteFamily) -> bool {
        let name = self.name().unwrap_or_default();
        let is_ssl2 = self.0 > 0xffff;
        let Some(suite) = self.registered() else {
            return is_ssl2
                && match family {
                    SuiteFamily::All => !name.is_empty(),
                    SuiteFamily::Export => name.contains("EXPORT"),
                    SuiteFamily::Rc4 => name.contains("RC4"),
                    SuiteFamily::SingleDes => ["DES_64", "RC2", "IDEA"].iter().any(|cipher| name.contains(cipher)),
                    SuiteFamily::TripleDes => name.contains("EDE3"),
                    SuiteFamily::StaticKey => true,
                    SuiteFamily::Cbc => name.contains("CBC"),
                    _ => false,
                };
        };
        match family {
            SuiteFamily::All => true,
            SuiteFamily::Null => suite.enc == Enc::Null,
            SuiteFamily::Anonymous => self.authentication() == Authentication::Anonymous,
            SuiteFamily::Export => name.contains("EXPORT"),
            SuiteFamily::Rc4 => suite.enc == Enc::Rc4,
            SuiteFamily::SingleDes => matches!(suite.enc, Enc::Des | Enc::Rc2 | Enc::Idea),
            SuiteFamily::TripleDes => suite.enc == Enc::TripleDes,
            SuiteFamily::StaticKey => matches!(suite.kx, Kx::Rsa | Kx::Dh | Kx::Ecdh) && !name.contains("_anon_"),
            SuiteFamily::Dhe => suite.kx == Kx::Dhe && !name.contains("_anon_"),
            SuiteFamily::Ecdhe => suite.kx == Kx::Ecdhe && !name.contains("_anon_"),
            SuiteFamily::Cbc => suite.enc_mode == Mode::Cbc,
            SuiteFamily::Aead => matches!(suite.enc_mode, Mode::Gcm | Mode::Ccm) || suite.enc == Enc::Chacha20_Poly1305,
        }
    }

    /// How the server proves who it is.
    pub fn authentication(self) -> Authentication {
        let name = self.name().unwrap_or_default();
        if name.contains("_anon_") {
            return Authentication::Anonymous;
        }
        // A certificate for static ECDH has an EC key, whoever signed it (RFC 8422, 2; RFC 4492, 2.1 and 2.3).
        if name.starts_with("TLS_ECDH_") {
            return Authentication::Ecdsa;
        }
        match self.registered() {
            // SSL 2.0 knows RSA certificates only.
            None => Authentication::Rsa,
            Some(suite) => match suite.au {
                Au::Rsa | Au::Srp_Rsa => Authentication::Rsa,
                Au::Ecdsa => Authentication::Ecdsa,
                Au::Dss | Au::Srp_Dss => Authentication::Dsa,
                Au::Tls13 => Authentication::Any,
                Au::Null => Authentication::Anonymous,
                _ => Authentication::Other,
            },
        }
    }
}

super::text_form!(Suite(u32), "4", "cipher suite");

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use SuiteFamily::{Aead, Anonymous, Cbc, Dhe, Ecdhe, Export, Null, Rc4, SingleDes, StaticKey, TripleDes};

    #[rstest]
    #[case("TLS_RSA_WITH_RC4_128_SHA", 0x0005, &[Rc4, StaticKey])]
    #[case("TLS_RSA_EXPORT_WITH_RC4_40_MD5", 0x0003, &[Export, Rc4, StaticKey])]
    #[case("TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", 0x0008, &[Export, SingleDes, StaticKey, Cbc])]
    #[case("TLS_RSA_WITH_NULL_SHA256", 0x003b, &[Null, StaticKey])]
    #[case("TLS_RSA_WITH_3DES_EDE_CBC_SHA", 0x000a, &[TripleDes, StaticKey, Cbc])]
    #[case("TLS_DH_anon_WITH_AES_128_GCM_SHA256", 0x00a6, &[Anonymous, Aead])]
    #[case("TLS_ECDH_anon_WITH_NULL_SHA", 0xc015, &[Null, Anonymous])]
    #[case("TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", 0xc00e, &[StaticKey, Cbc])]
    #[case("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009e, &[Dhe, Aead])]
    #[case("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9, &[Ecdhe, Aead])]
    #[case("TLS_AES_128_GCM_SHA256", 0x1301, &[Aead])]
    #[case("SSL_CK_DES_64_CBC_WITH_MD5", 0x06_0040, &[SingleDes, StaticKey, Cbc])]
    #[case("SSL_CK_RC4_128_EXPORT40_WITH_MD5", 0x02_0080, &[Export, Rc4, StaticKey])]
    fn each_suite_is_in_its_families(#[case] name: &str, #[case] code: u32, #[case] families: &[SuiteFamily]) {
        let suite = Suite(code);
        assert_eq!(suite.to_string(), name);
        assert_eq!(Suite::from_name(name), Some(suite));
        let every = [Null, Anonymous, Export, Rc4, SingleDes, TripleDes, StaticKey, Dhe, Ecdhe, Cbc, Aead];
        let found: Vec<_> = every.into_iter().filter(|family| suite.is_in(*family)).collect();
        let mut expected = families.to_vec();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Authentication::Rsa)]
    #[case("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Authentication::Ecdsa)]
    #[case("TLS_DHE_DSS_WITH_AES_128_CBC_SHA", Authentication::Dsa)]
    #[case("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Authentication::Anonymous)]
    #[case("TLS_PSK_WITH_AES_128_CBC_SHA", Authentication::Other)]
    #[case("TLS_AES_256_GCM_SHA384", Authentication::Any)]
    #[case("SSL_CK_RC4_128_WITH_MD5", Authentication::Rsa)]
    #[case("TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", Authentication::Ecdsa)]
    #[case("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Authentication::Anonymous)]
    fn who_proves_what(#[case] name: &str, #[case] authentication: Authentication) {
        assert_eq!(Suite::from_name(name).unwrap().authentication(), authentication);
    }

    #[test]
    fn the_lists_are_complete_and_apart() {
        let (old, new) = (Suite::up_to_tls12(), Suite::tls13());
        assert!(old.len() > 300, "{}", old.len());
        assert!(new.contains(&Suite(0x1301)) && new.len() >= 5);
        assert!(old.iter().all(|suite| !new.contains(suite) && suite.name().is_some()));
        assert!(!old.contains(&Suite(0x00ff)) && !old.contains(&Suite(0x5600)));
    }
}
