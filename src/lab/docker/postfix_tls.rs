//! TLS of a real Postfix: what of a plan it can do, and the settings and files that make it do so.

use crate::{
    lab::{dh, openssl},
    plan::{Offer, ServerPlan},
    scenario::{DhGroupName, Order, TlsVersion},
    tls::{Group, Version},
};

/// Where the finite-field group is in the container.
const DH_FILE: &str = "/etc/postfix/dh.pem";

/// What can be excluded, with the names that every release of Postfix understands.
const VERSIONS: [(Version, &str); 6] = [
    (Version::Ssl2, "!SSLv2"),
    (Version::Ssl3, "!SSLv3"),
    (Version::Tls10, "!TLSv1"),
    (Version::Tls11, "!TLSv1.1"),
    (Version::Tls12, "!TLSv1.2"),
    (Version::Tls13, "!TLSv1.3"),
];

/// Why a real Postfix cannot do what is planned of TLS; nothing if it can.
pub(super) fn impossible(server: &ServerPlan) -> Option<&'static str> {
    let plan = &server.tls;
    if plan.handshake.is_some() || plan.intolerant_of.is_some() {
        return Some("it answers every ClientHello as OpenSSL does");
    }
    if !plan.delay.is_zero() {
        return Some("its handshakes are not slow");
    }
    if plan.no_close_notify {
        return Some("it ends TLS with close_notify");
    }
    if plan.sni.is_some() {
        return Some("the name in the ClientHello makes no difference to it in the way that is planned");
    }
    if plan.client_certificate.is_some_and(|asked| asked.ca_bytes.unwrap_or(0) > 0) {
        return Some("its list of authorities is as long as their names are");
    }
    if groups(server).into_iter().flatten().any(|group| openssl::group(*group).is_none()) {
        return Some("the OpenSSL of its release does not have these groups");
    }
    let stack = plan.stack.as_ref()?;
    if stack.versions.iter().flatten().any(|version| *version < Version::Tls10) {
        return Some("OpenSSL of Debian has neither SSL 2.0 nor SSL 3.0");
    }
    if stack.compression.is_some() || stack.no_secure_renegotiation.is_some() || stack.no_extended_master_secret.is_some() {
        return Some("OpenSSL 3 confirms secure renegotiation and the extended master secret, and never compresses");
    }
    if stack.refusal.is_some() {
        return Some("OpenSSL alone decides how it refuses");
    }
    if stack.no_encrypt_then_mac.is_some() || stack.no_session_tickets.is_some() || stack.schemes.is_some() {
        return Some("it has no setting for that part of TLS");
    }
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

/// Whether TLS is offered, and whether it is required.
pub(super) fn security_level(server: &ServerPlan) -> &'static str {
    // Postfix asks for a certificate that it needs only where TLS itself is needed.
    let is_required = server.tls.client_certificate.is_some_and(|asked| asked.required == Some(true));
    match server.offer {
        Offer::Nobody => "none",
        _ if is_required || server.tls.required => "encrypt",
        _ => "may",
    }
}

/// The settings for TLS.
pub(super) fn settings(server: &ServerPlan) -> Vec<(&'static str, String)> {
    let plan = &server.tls;
    let mut settings = vec![("smtpd_tls_protocols", protocols(server))];
    let preference = plan.stack.as_ref().and_then(|stack| stack.preference).or(plan.settings.preference);
    if preference == Some(Order::Server) {
        settings.push(("tls_preempt_cipherlist", "yes".to_owned()));
    }
    if let Some(groups) = groups(server) {
        let names: Vec<_> = groups.iter().filter_map(|group| openssl::group(*group)).collect();
        settings.push(("tls_eecdh_auto_curves", names.join(" ")));
    }
    if let Some(suites) = plan.stack.as_ref().and_then(|stack| stack.suites.as_ref()) {
        let names: Vec<_> = suites.iter().filter_map(|suite| openssl::suite(*suite)).collect();
        settings.push(("tls_medium_cipherlist", names.join(":")));
    }
    if dh_group(server).is_some() {
        settings.push(("smtpd_tls_dh1024_param_file", DH_FILE.to_owned()));
    }
    if security_level(server) == "encrypt" {
        settings.push(("smtpd_tls_mandatory_protocols", protocols(server)));
    }
    match plan.client_certificate {
        None => {}
        Some(asked) if asked.required == Some(true) => settings.push(("smtpd_tls_req_ccert", "yes".to_owned())),
        Some(_) => settings.push(("smtpd_tls_ask_ccert", "yes".to_owned())),
    }
    settings
}

/// The files besides the key and the certificates: path and content.
pub(super) fn files(server: &ServerPlan) -> Vec<(&'static str, Vec<u8>)> {
    dh_group(server).map(|name| (DH_FILE, dh::group(name).to_pem().into_bytes())).into_iter().collect()
}

fn dh_group(server: &ServerPlan) -> Option<DhGroupName> {
    server.tls.stack.as_ref()?.dh_group
}

/// The key exchange groups that are asked for, in the server's order.
fn groups(server: &ServerPlan) -> Option<&Vec<Group>> {
    server.tls.stack.as_ref().and_then(|stack| stack.groups.as_ref()).or(server.tls.settings.groups.as_ref())
}

/// The versions that are excluded.
fn protocols(server: &ServerPlan) -> String {
    let plan = &server.tls;
    let settings = &plan.settings;
    let offered: Vec<Version> = match plan.stack.as_ref().and_then(|stack| stack.versions.clone()) {
        Some(versions) => versions,
        None if settings.stock.is_some() => Version::ALL[2..].to_vec(),
        None => {
            let range = settings.min.unwrap_or(TlsVersion::Tls12)..=settings.max.unwrap_or(TlsVersion::Tls13);
            [TlsVersion::Tls12, TlsVersion::Tls13]
                .into_iter()
                .filter(|version| range.contains(version))
                .map(Version::from)
                .collect()
        }
    };
    VERSIONS.iter().filter(|(version, _)| !offered.contains(version)).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}
