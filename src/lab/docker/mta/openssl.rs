//! TLS of the MTAs that have OpenSSL: what of a plan it can do, and its names for the rest.

use super::planned_groups;
use crate::{
    lab::{dh, docker::release::Release, openssl},
    plan::ServerPlan,
    scenario::DhGroupName,
    tls::{Group, Version},
};

/// A configuration for MTAs that leave the security level as it is: weak keys and signatures are loaded.
pub(super) const CONFIGURATION: &str = include_str!("../../../../lab/openssl/openssl.cnf");
/// The versions of Debian's OpenSSL.
pub(super) const VERSIONS: [Version; 4] = [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13];

/// Why OpenSSL cannot do what is planned; nothing if it can.
pub(super) fn unlike_it(server: &ServerPlan) -> Option<&'static str> {
    if planned_groups(server).into_iter().flatten().any(|group| openssl::group(*group).is_none()) {
        return Some("OpenSSL does not have these groups");
    }
    let stack = server.tls.stack.as_ref()?;
    if stack.suites.iter().flatten().any(|suite| !suite.is_tls13() && openssl::suite(*suite).is_none()) {
        return Some("the OpenSSL of its release does not have these suites");
    }
    if stack.suites.iter().flatten().any(|suite| suite.is_tls13()) {
        return Some("it has no setting for the suites of TLS 1.3");
    }
    if matches!(stack.dh_group, Some(DhGroupName::Modp768 | DhGroupName::Own512)) {
        return Some("OpenSSL takes no finite-field group below 1024 bits");
    }
    None
}

/// Why OpenSSL cannot do it as that release has it.
pub(super) fn missing_in(release: Release, server: &ServerPlan) -> Option<&'static str> {
    let is_new = |group: &Group| openssl::group(*group).is_some_and(|name| name.contains("MLKEM"));
    // OpenSSL 3.5 is the first with them.
    let asks_for_new = planned_groups(server).into_iter().flatten().any(is_new);
    (asks_for_new && release < Release::Trixie).then_some("the OpenSSL of that release does not have these groups")
}

/// The cipher list for the suites up to TLS 1.2 that are planned.
pub(super) fn cipher_list(server: &ServerPlan) -> Option<String> {
    let suites = server.tls.stack.as_ref()?.suites.as_ref()?;
    Some(suites.iter().filter_map(|suite| openssl::suite(*suite)).collect::<Vec<_>>().join(":"))
}

/// The key exchange groups that are planned, in the server's order.
pub(super) fn groups(server: &ServerPlan) -> Option<Vec<&'static str>> {
    planned_groups(server).map(|groups| groups.iter().filter_map(|group| openssl::group(*group)).collect())
}

/// The group of finite-field Diffie-Hellman that is planned, as PEM.
pub(super) fn dh_parameters(server: &ServerPlan) -> Option<Vec<u8>> {
    Some(dh::group(server.tls.stack.as_ref()?.dh_group?).to_pem().into_bytes())
}
