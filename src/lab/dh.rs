//! The groups of finite-field Diffie-Hellman that the lab serves: well-known ones, and bad ones of its own.

use crate::scenario::DhGroupName;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DhGroup {
    /// The modulus, big-endian, without leading zeros.
    pub prime: Vec<u8>,
    /// The generator.
    pub generator: u8,
}

/// The group of a name.
pub(super) fn group(name: DhGroupName) -> DhGroup {
    let digits = match name {
        DhGroupName::Modp768 => MODP_768,
        DhGroupName::Modp1024 => MODP_1024,
        DhGroupName::Modp1536 => MODP_1536,
        DhGroupName::Modp2048 => MODP_2048,
        DhGroupName::Modp3072 => MODP_3072,
        DhGroupName::Modp4096 => MODP_4096,
        DhGroupName::Ffdhe2048 => FFDHE_2048,
        DhGroupName::Own512 => OWN_512,
        DhGroupName::Own1024 => OWN_1024,
        DhGroupName::Composite2048 => COMPOSITE_2048,
        DhGroupName::Unsafe2048 => UNSAFE_2048,
    };
    let nibble = |digit: u8| (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    let prime = digits.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect();
    DhGroup { prime, generator: 2 }
}

#[cfg(feature = "docker")]
impl DhGroup {
    /// As PKCS#3 in PEM, the form that OpenSSL and its servers read.
    pub fn to_pem(&self) -> String {
        let der = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_bigint_bytes(&self.prime, true);
                writer.next().write_u8(self.generator);
            });
        });
        pem::encode_config(&pem::Pem::new("DH PARAMETERS", der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }
}

/// RFC 2409, 6.1.
const MODP_768: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6d\
    f25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3620ffffffffffffffff";
/// RFC 2409, 6.2.
const MODP_1024: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6d\
    f25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381\
    ffffffffffffffff";
/// RFC 3526, 2.
const MODP_1536: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6d\
    f25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3d\
    c2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08\
    ca237327ffffffffffffffff";
/// RFC 3526, 3.
const MODP_2048: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6d\
    f25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3d\
    c2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08\
    ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
    15728e5a8aacaa68ffffffffffffffff";
/// RFC 3526, 4.
const MODP_3072: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6d\
    f25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3d\
    c2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08\
    ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
    15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e0\
    4a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e208e24fa074e5ab31\
    43db5bfce0fd108e4b82d120a93ad2caffffffffffffffff";
/// RFC 3526, 5.
const MODP_4096: &str = "\
    ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6d\
    f25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3d\
    c2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08\
    ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510\
    15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e0\
    4a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e208e24fa074e5ab31\
    43db5bfce0fd108e4b82d120a92108011a723c12a787e6d788719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db\
    04de8ef92e8efc141fbecaa6287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9\
    93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff";
/// RFC 7919, A.1.
const FFDHE_2048: &str = "\
    ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1d8b9c583ce2d3695a9e13641146433fbcc939dce249b3ef97d2fe363630c75d8f681b202\
    aec4617ad3df1ed5d5fd65612433f51f5f066ed0856365553ded1af3b557135e7f57c935984f0c70e0e68b77e2a689daf3efe8721df158a136ade735\
    30acca4f483a797abc0ab182b324fb61d108a94bb2c8e3fbb96adab760d7f4681d4f42a3de394df4ae56ede76372bb190b07a7c8ee0a6d709e02fce1\
    cdf7e2ecc03404cd28342f619172fe9ce98583ff8e4f1232eef28183c3fe3b1b4c6fad733bb5fcbc2ec22005c58ef1837d1683b2c6f34a26c1b2effa\
    886b423861285c97ffffffffffffffff";
/// Made for the lab: prime, and so is half of it.
const OWN_512: &str = "\
    da1bc1fe24d1889abb2f8859f446444a3078d1595b9b67553d1b94d06a369ede582de1ae00a3d84b76be936d60ece3f0b0c197cad4948e2e53455714\
    4197279f";
/// Likewise.
const OWN_1024: &str = "\
    d72fd0ef796d9591ea31e0ecf6913e4e2c34410522220b728238c4107aad06856d511c0a1f320f140192be94d0b21afdf7eb32e722ff6152b99421b2\
    c36698b54c292ffa8ee1ef9c1f2851981224c8de9ff1225e8644f2b052a323c128c40f543305651b713cde4529a339dbaaec370eff0b1dd07dc0e5ce\
    abdcc7ebad7d5fb3";
/// The product of two primes of 1024 bits.
const COMPOSITE_2048: &str = "\
    ce67662d369b996a6b3116d12a3e55c992869332a3807ce39624df626218e7e5d9db20e8bc0b5f9e8fe15b9f6e29ccd9f4abf251d4e83d7d63b8785f\
    afc86fcb9487e2b407df926046192573d75fea90fa7bcf2391a2dd550455d7fe768d1258157f408ebfe1df961190f33f138256e98466baa58f5c261b\
    f6c1c114fa0a74261186cd65964ce0b0226b66ffd3c755488033abc3a14ede8d106d51e751ad9ed2ec8c9dfbf0ada8e548325ec4fe9567a918c59fc5\
    a93a691f1a6ee520d8236bbb48068498993965cb686266416883507e0a3c9125b4f34f6071591fe4fd72268d21772068cd08a3c11e9ac4ff1abb298b\
    11e1df5d5be5d1f241e6dc67e8f5511d";
/// Prime, but half of it is divisible by 3, 5, 7, 11 and 13.
const UNSAFE_2048: &str = "\
    80026afdfbe1b8fc1873bbe85c5f775068b8ed07a0e2779671004962629c46b71de87f4100850d2484f4ecbdb1bee3af3a210288b7cfcfedcd9402d9\
    a931f65f2768bd5d9bcd5926c6bdceec1fd8658a76c64322e9655909c1a44004bebb2fa19fe73b68aa2b23212122cc8c8e7fe49113378f44c2c942db\
    6c540d70150e15143be87096b33880aba428f03ea3fa4ed7f955d86bc42f87cee1e7a3987fb8108311a684b2a75c3ce57a445316df1a65db18741e35\
    19c456ddac4460486e3705fddc1336d4f475a5cd1b2f8e02cb8e87ac804ed5af39aab44f421a35eb54fdc0f4b425226c673cd14238fe1251346247f8\
    39e78d3f816bc883afaf08e0b8cef98f";

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(DhGroupName::Modp768, 768)]
    #[case(DhGroupName::Modp1024, 1024)]
    #[case(DhGroupName::Modp1536, 1536)]
    #[case(DhGroupName::Modp2048, 2048)]
    #[case(DhGroupName::Modp3072, 3072)]
    #[case(DhGroupName::Modp4096, 4096)]
    #[case(DhGroupName::Ffdhe2048, 2048)]
    #[case(DhGroupName::Own512, 512)]
    #[case(DhGroupName::Own1024, 1024)]
    #[case(DhGroupName::Composite2048, 2048)]
    #[case(DhGroupName::Unsafe2048, 2048)]
    fn each_has_its_size(#[case] name: DhGroupName, #[case] bits: usize) {
        let prime = group(name).prime;
        assert_eq!(prime.len() * 8, bits);
        assert!(prime[0] & 0x80 != 0 && prime[prime.len() - 1] & 1 == 1);
    }
}
