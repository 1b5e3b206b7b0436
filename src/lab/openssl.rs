//! The names that OpenSSL and its servers have for things of TLS, where they differ from the registries'.

use crate::tls::{Group, Suite};

/// OpenSSL's name of a suite up to TLS 1.2, as cipher lists hold it; none where OpenSSL 3 of Debian does not have it.
pub(super) fn suite(suite: Suite) -> Option<String> {
    // Not compiled in, or removed in 1.1.0.
    const MISSING: [&str; 10] = ["RC2", "RC4", "DES", "IDEA", "SEED", "EXPORT", "FORTEZZA", "KRB5", "GOST", "SM4"];
    let (exchange, cipher) = suite.name()?.strip_prefix("TLS_")?.split_once("_WITH_")?;
    if MISSING.iter().any(|part| exchange.contains(part) || cipher.contains(part)) {
        return None;
    }
    let exchange = match exchange {
        "RSA" => "",
        "DH_anon" => "ADH-",
        "ECDH_anon" => "AECDH-",
        "ECDHE_RSA" if cipher.starts_with("ARIA") => "ECDHE-",
        "ECDHE_RSA" => "ECDHE-RSA-",
        "ECDHE_ECDSA" => "ECDHE-ECDSA-",
        "DHE_RSA" => "DHE-RSA-",
        "DHE_DSS" => "DHE-DSS-",
        _ => return None,
    };
    let mut cipher = cipher.replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305").replace("_CBC", "").replace("CCM_8", "CCM8");
    for name in ["AES", "ARIA", "CAMELLIA"] {
        cipher = cipher.replace(&format!("{name}_"), name);
    }
    Some(format!("{exchange}{}", cipher.replace('_', "-")))
}

/// OpenSSL's name of a group, as lists of curves hold it; none where no OpenSSL of Debian has it. Those with ML-KEM are of
/// OpenSSL 3.5.
pub(super) fn group(group: Group) -> Option<&'static str> {
    Some(match group.name()? {
        "x25519" => "X25519",
        "x448" => "X448",
        "secp192r1" => "prime192v1",
        "secp224r1" => "secp224r1",
        "secp256r1" => "prime256v1",
        "secp384r1" => "secp384r1",
        "secp521r1" => "secp521r1",
        "secp256k1" => "secp256k1",
        "X25519MLKEM768" => "X25519MLKEM768",
        "SecP256r1MLKEM768" => "SecP256r1MLKEM768",
        "SecP384r1MLKEM1024" => "SecP384r1MLKEM1024",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// OpenSSL's own table says which name belongs to which.
    #[test]
    fn openssl_knows_its_suites_by_these_names() {
        let table = Command::new("openssl").args(["ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]).output().unwrap();
        let table = String::from_utf8(table.stdout).unwrap();
        let mut compared = 0;
        for line in table.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(registered) = Suite::from_name(words[0]).filter(|suite| !suite.is_tls13()) else { continue };
            if ["PSK", "SRP", "DSS"].iter().any(|other| words[0].contains(other)) {
                continue;
            }
            assert_eq!(suite(registered).as_deref(), Some(words[2]));
            compared += 1;
        }
        assert!(compared > 70, "{compared} suites compared: {table}");
    }

    #[test]
    fn what_openssl_has_not_has_no_name() {
        for name in ["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_EXPORT_WITH_RC4_40_MD5", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"] {
            assert_eq!(suite(Suite::from_name(name).unwrap()), None, "{name}");
        }
        assert_eq!(group(Group::from_name("ffdhe2048").unwrap()), None);
    }
}
