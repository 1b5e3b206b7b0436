//! TLS of the MTAs that have GnuTLS: what of a plan a priority string can say.

use std::collections::BTreeSet;

use rsa::{PrivateKey, pkcs8::DecodePrivateKey as _, traits::PublicKeyParts as _};

use super::{planned_groups, preference, versions};
use crate::{
    plan::ServerPlan,
    scenario::Order,
    tls::{Group, Suite, Version},
};

/// The versions of NORMAL.
const VERSIONS: [Version; 4] = [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13];
/// What the suites of TLS 1.3 in NORMAL are made of.
const TLS13_CIPHERS: [&str; 4] = ["AES-256-GCM", "CHACHA20-POLY1305", "AES-128-GCM", "AES-128-CCM"];

/// A suite up to TLS 1.2 in the parts that GnuTLS is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    exchange: &'static str,
    cipher: &'static str,
    mac: &'static str,
}

/// Why GnuTLS cannot do what is planned; nothing if it can.
pub(super) fn unlike_it(server: &ServerPlan) -> Option<&'static str> {
    // RFC 8017, 9.1.1: twice the hash and two bytes more.
    if rsa_bytes(server).is_some_and(|bytes| bytes < 130) {
        return Some(
            "GnuTLS takes the client's first hash for the signature in TLS 1.3, and fails where the key is too short for it",
        );
    }
    if groups(server).into_iter().flatten().any(|name| name.is_none()) {
        return Some("GnuTLS does not have these groups");
    }
    let stack = server.tls.stack.as_ref()?;
    if stack.dh_group.is_some() {
        return Some("GnuTLS chooses its finite-field group by itself");
    }
    let suites = stack.suites.as_ref()?;
    if preference(server) == Some(Order::Server) {
        return Some("GnuTLS puts key exchanges, ciphers and MACs into an order, not suites");
    }
    let Some(parts) = suites.iter().map(|suite| parts(*suite)).collect::<Option<Vec<_>>>() else {
        return Some("GnuTLS does not have these suites, or its suites of TLS 1.3 are not chosen one by one");
    };
    let has = |of: fn(&Parts) -> &'static str, part: &str| parts.iter().any(|known| of(known) == part);
    if versions(server, &VERSIONS).contains(&Version::Tls13) && !TLS13_CIPHERS.iter().all(|cipher| has(|p| p.cipher, cipher)) {
        return Some("GnuTLS has a cipher in all versions or in none, and those of TLS 1.3 are to stay");
    }
    let is_offered = |p: &Parts| has(|p| p.exchange, p.exchange) && has(|p| p.cipher, p.cipher) && has(|p| p.mac, p.mac);
    let all = Suite::up_to_tls12().into_iter().filter(|suite| self::parts(*suite).is_some_and(|p| is_offered(&p)));
    if all.collect::<BTreeSet<_>>() != suites.iter().copied().collect() {
        return Some("GnuTLS is told key exchanges, ciphers and MACs, and would offer more suites than are planned");
    }
    None
}

/// The priority string for a plan.
pub(super) fn priority(server: &ServerPlan) -> String {
    let mut words = vec!["NORMAL".to_owned(), "-VERS-ALL".to_owned()];
    let offered = versions(server, &VERSIONS);
    words.extend(offered.iter().rev().filter_map(|version| Some(format!("+VERS-{}", version_name(*version)?))));
    if let Some(suites) = server.tls.stack.as_ref().and_then(|stack| stack.suites.as_ref()) {
        words.extend(["-KX-ALL", "-CIPHER-ALL", "-MAC-ALL"].map(str::to_owned));
        let mut add = |name: &str| {
            let word = format!("+{name}");
            if !words.contains(&word) {
                words.push(word);
            }
        };
        for Parts { exchange, cipher, mac } in suites.iter().filter_map(|suite| parts(*suite)) {
            for part in [exchange, cipher, mac] {
                add(part);
            }
        }
    }
    if let Some(groups) = groups(server) {
        words.push("-GROUP-ALL".to_owned());
        words.extend(groups.into_iter().flatten().map(|name| format!("+GROUP-{name}")));
    }
    if preference(server) == Some(Order::Server) {
        words.push("%SERVER_PRECEDENCE".to_owned());
    }
    words.join(":")
}

/// The size of the RSA key; none where it is of another kind.
fn rsa_bytes(server: &ServerPlan) -> Option<usize> {
    PrivateKey::from_pkcs8_pem(&server.credentials.key_pem).ok().map(|key| key.size())
}

/// GnuTLS's names of the groups that are planned; none for one that it does not have.
fn groups(server: &ServerPlan) -> Option<Vec<Option<String>>> {
    Some(planned_groups(server)?.iter().map(|group| group_name(*group)).collect())
}

fn group_name(group: Group) -> Option<String> {
    const KNOWN: [&str; 12] = [
        "secp192r1",
        "secp224r1",
        "secp256r1",
        "secp384r1",
        "secp521r1",
        "x25519",
        "x448",
        "ffdhe2048",
        "ffdhe3072",
        "ffdhe4096",
        "ffdhe6144",
        "ffdhe8192",
    ];
    group.name().filter(|name| KNOWN.contains(name)).map(str::to_ascii_uppercase)
}

fn version_name(version: Version) -> Option<&'static str> {
    Some(match version {
        Version::Tls10 => "TLS1.0",
        Version::Tls11 => "TLS1.1",
        Version::Tls12 => "TLS1.2",
        Version::Tls13 => "TLS1.3",
        _ => return None,
    })
}

/// The parts of a suite; none where GnuTLS does not have it.
fn parts(suite: Suite) -> Option<Parts> {
    let (exchange, rest) = suite.name()?.strip_prefix("TLS_")?.split_once("_WITH_")?;
    let exchange = match exchange {
        "RSA" => "RSA",
        "DHE_RSA" => "DHE-RSA",
        "ECDHE_RSA" => "ECDHE-RSA",
        "ECDHE_ECDSA" => "ECDHE-ECDSA",
        "DH_anon" => "ANON-DH",
        "ECDH_anon" => "ANON-ECDH",
        _ => return None,
    };
    let (cipher, mac) = match rest {
        "AES_128_GCM_SHA256" => ("AES-128-GCM", "AEAD"),
        "AES_256_GCM_SHA384" => ("AES-256-GCM", "AEAD"),
        "AES_128_CCM" => ("AES-128-CCM", "AEAD"),
        "AES_256_CCM" => ("AES-256-CCM", "AEAD"),
        "AES_128_CCM_8" => ("AES-128-CCM-8", "AEAD"),
        "AES_256_CCM_8" => ("AES-256-CCM-8", "AEAD"),
        "CHACHA20_POLY1305_SHA256" => ("CHACHA20-POLY1305", "AEAD"),
        "CAMELLIA_128_GCM_SHA256" => ("CAMELLIA-128-GCM", "AEAD"),
        "CAMELLIA_256_GCM_SHA384" => ("CAMELLIA-256-GCM", "AEAD"),
        cbc => {
            let (cipher, mac) = cbc.rsplit_once('_')?;
            let mac = ["MD5", "SHA1", "SHA256", "SHA384"]
                .into_iter()
                .find(|known| *known == if mac == "SHA" { "SHA1" } else { mac })?;
            let ciphers = [
                ("AES_128_CBC", "AES-128-CBC"),
                ("AES_256_CBC", "AES-256-CBC"),
                ("CAMELLIA_128_CBC", "CAMELLIA-128-CBC"),
                ("CAMELLIA_256_CBC", "CAMELLIA-256-CBC"),
                ("3DES_EDE_CBC", "3DES-CBC"),
                ("RC4_128", "ARCFOUR-128"),
                ("NULL", "NULL"),
            ];
            (ciphers.into_iter().find(|(registered, _)| *registered == cipher)?.1, mac)
        }
    };
    Some(Parts { exchange, cipher, mac })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rstest::rstest;

    use super::{super::test_plans::plan, *};
    use crate::scenario::StackFault;

    fn stack(suites: &[&str], version: Version) -> ServerPlan {
        let suites = suites.iter().map(|name| Suite::from_name(name).unwrap()).collect();
        let fault = StackFault { versions: Some(vec![version]), suites: Some(suites), ..StackFault::default() };
        plan("exim", |p| p.server.tls.stack = Some(fault)).server
    }

    #[test]
    fn a_priority_string_says_each_part_once() {
        let server = stack(&["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_RC4_128_MD5"], Version::Tls10);
        assert_eq!(unlike_it(&server), None);
        let expected = "NORMAL:-VERS-ALL:+VERS-TLS1.0:-KX-ALL:-CIPHER-ALL:-MAC-ALL:+RSA:+ARCFOUR-128:+SHA1:+MD5";
        assert_eq!(priority(&server), expected);
    }

    #[rstest]
    // AES_128_CBC with MD5 does not exist, RC4 with SHA does.
    #[case(&["TLS_RSA_WITH_RC4_128_MD5", "TLS_RSA_WITH_AES_128_CBC_SHA"], Version::Tls12, "more suites")]
    #[case(&["TLS_RSA_WITH_DES_CBC_SHA"], Version::Tls12, "does not have")]
    #[case(&["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], Version::Tls13, "to stay")]
    fn what_it_cannot_say_has_a_reason(#[case] suites: &[&str], #[case] version: Version, #[case] reason: &str) {
        assert!(unlike_it(&stack(suites, version)).unwrap().contains(reason));
    }

    /// GnuTLS's own list says which suites there are; its names are its parts and a word that they share.
    #[test]
    fn gnutls_has_these_suites_and_no_others() {
        let list = Command::new("gnutls-cli").arg("--list").output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        let mut known = BTreeSet::new();
        for line in list.lines().filter(|line| line.starts_with("TLS_") && line.contains("0x")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let code = |word: &str| u32::from_str_radix(word.trim_start_matches("0x").trim_end_matches(','), 16).unwrap();
            let is_other = ["PSK", "SRP", "DSS", "GOST"].iter().any(|other| words[0].contains(other));
            let suite = Suite(code(words[1]) << 8 | code(words[2]));
            if !is_other && !suite.is_tls13() {
                known.insert(suite);
            }
        }
        let ours: BTreeSet<_> = Suite::up_to_tls12().into_iter().filter(|suite| parts(*suite).is_some()).collect();
        assert_eq!(ours, known);
        assert!(known.len() > 60, "{list}");
    }
}
