//! Signature schemes: the IANA registry, with the pairs of hash and signature of TLS 1.2 in it.

super::registry! {
    /// A signature scheme (RFC 8446, 4.2.3; RFC 5246, 7.4.1.4.1).
    SignatureScheme(u16), "4", "signature scheme";
    0x0101 => "rsa_pkcs1_md5",
    0x0102 => "dsa_md5",
    0x0103 => "ecdsa_md5",
    0x0201 => "rsa_pkcs1_sha1",
    0x0202 => "dsa_sha1",
    0x0203 => "ecdsa_sha1",
    0x0301 => "rsa_pkcs1_sha224",
    0x0302 => "dsa_sha224",
    0x0303 => "ecdsa_sha224",
    0x0401 => "rsa_pkcs1_sha256",
    0x0402 => "dsa_sha256",
    0x0403 => "ecdsa_secp256r1_sha256",
    0x0501 => "rsa_pkcs1_sha384",
    0x0502 => "dsa_sha384",
    0x0503 => "ecdsa_secp384r1_sha384",
    0x0601 => "rsa_pkcs1_sha512",
    0x0602 => "dsa_sha512",
    0x0603 => "ecdsa_secp521r1_sha512",
    0x0804 => "rsa_pss_rsae_sha256",
    0x0805 => "rsa_pss_rsae_sha384",
    0x0806 => "rsa_pss_rsae_sha512",
    0x0807 => "ed25519",
    0x0808 => "ed448",
    0x0809 => "rsa_pss_pss_sha256",
    0x080a => "rsa_pss_pss_sha384",
    0x080b => "rsa_pss_pss_sha512",
    0x081a => "ecdsa_brainpoolP256r1tls13_sha256",
    0x081b => "ecdsa_brainpoolP384r1tls13_sha384",
    0x081c => "ecdsa_brainpoolP512r1tls13_sha512",
    0x0904 => "mldsa44",
    0x0905 => "mldsa65",
    0x0906 => "mldsa87",
}

impl SignatureScheme {
    /// Whether its hash is MD5 or SHA-1 (RFC 9155).
    pub fn has_weak_hash(self) -> bool {
        matches!(self.0 >> 8, 0x01 | 0x02)
    }
}
