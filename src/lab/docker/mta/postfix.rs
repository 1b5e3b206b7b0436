//! A real Postfix.

use std::fmt::Write as _;

use super::{Mta, Vantages, has_key, keys_and_chains, openssl, versions};
use crate::{
    lab::docker::{container::File, release::Release},
    plan::{GreetingPlan, Offer, Plan, ServerPlan},
    scenario::Order,
    tls::Version,
};

/// Where the settings are in the container.
const MAIN: &str = "/etc/postfix/main.cf";
/// Where the key and the certificates are in the container.
const CHAIN: &str = "/etc/postfix/chain.pem";
/// Where the finite-field group is in the container.
const DH_FILE: &str = "/etc/postfix/dh.pem";
/// The settings of every scenario.
const TEMPLATE: &str = include_str!("../../../../lab/postfix/main.cf");
/// The EHLO keywords that Postfix can be told to leave out, smtpd_discard_ehlo_keywords in postconf(5).
const DISCARDABLE: [&str; 10] =
    ["PIPELINING", "SIZE", "VRFY", "ETRN", "STARTTLS", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"];
/// The groups of Postfix 3.7 to 3.10 where it is not told which it has, in its order.
const CLASSICAL: [&str; 5] = ["X25519", "X448", "prime256v1", "secp521r1", "secp384r1"];
/// What can be excluded, with the names that every release of Postfix understands.
const VERSIONS: [(Version, &str); 6] = [
    (Version::Ssl2, "!SSLv2"),
    (Version::Ssl3, "!SSLv3"),
    (Version::Tls10, "!TLSv1"),
    (Version::Tls11, "!TLSv1.1"),
    (Version::Tls12, "!TLSv1.2"),
    (Version::Tls13, "!TLSv1.3"),
];

/// Postfix.
pub(super) struct Postfix;

impl Mta for Postfix {
    fn kind(&self) -> &'static str {
        "postfix"
    }

    fn product(&self) -> &'static str {
        "Postfix"
    }

    fn context(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("Dockerfile", include_str!("../../../../lab/postfix/Dockerfile")),
            ("main.cf", TEMPLATE),
            ("master.cf", include_str!("../../../../lab/postfix/master.cf")),
        ]
    }

    fn unlike_it(&self, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        if let Some(reason) = openssl::unlike_it(server) {
            Some(reason)
        } else if server.credentials.staple.is_some() {
            Some("it staples no OCSP response")
        } else if server.greeting == GreetingPlan::Throttled && plan.vantages.len() > 1 {
            Some("its limit counts each client address apart, and all but one would be let in once")
        } else {
            None
        }
    }

    fn missing_in(&self, release: Release, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        if let Some(reason) = openssl::missing_in(release, server) {
            Some(reason)
        } else if release == Release::Sid && is_as_it_comes(server) {
            Some("as it comes, Postfix 3.11 has a post-quantum group, unlike any before it")
        } else if release == Release::Bullseye && server.tls.client_certificate.is_some_and(|asked| asked.required == Some(true))
        {
            Some("without anonymous suites its OpenSSL 1.1.1 signs with SHA-1, which OpenSSL 3 does not")
        } else {
            None
        }
    }

    fn files(&self, release: Release, server: &ServerPlan, vantages: &Vantages) -> Vec<File> {
        let mut files = vec![File { path: MAIN, mode: 0o644, content: main_cf(release, server, vantages).into_bytes() }];
        if has_key(server) {
            files.push(File { path: CHAIN, mode: 0o600, content: keys_and_chains(server) });
        }
        files.extend(openssl::dh_parameters(server).map(|content| File { path: DH_FILE, mode: 0o644, content }));
        files
    }

    fn begins_with_tls(&self) -> bool {
        true
    }

    fn has_ipv6(&self) -> bool {
        true
    }

    fn lets_one_in(&self) -> bool {
        true
    }
}

/// The main.cf for a plan.
fn main_cf(release: Release, server: &ServerPlan, vantages: &Vantages) -> String {
    let mut text = TEMPLATE.to_owned();
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} = {value}");
    };
    // The greeting has a setting of its own; the reply to EHLO says `myhostname`.
    set("myhostname", &server.ehlo_name);
    let of_debian = if server.kind == "postfix-debian" { " (Debian/GNU)" } else { "" };
    set("smtpd_banner", &format!("{} ESMTP Postfix{of_debian}", server.greeting_name.replace('$', "$$")));
    match server.greeting {
        GreetingPlan::Ready => {}
        // The first connection is let in; it is the one that waits for the server to be ready.
        // The counter goes when its process does, so neither ends while a scenario lasts.
        GreetingPlan::Throttled => {
            set("smtpd_client_connection_rate_limit", "1");
            set("anvil_rate_time_unit", "1d");
            set("max_idle", "1d");
        }
        GreetingPlan::Blocked => {
            set("smtpd_delay_reject", "no");
            set("smtpd_client_restrictions", "reject");
        }
    }

    if vantages.have_ipv6() {
        set("inet_protocols", "all");
    }
    set("smtpd_tls_security_level", security_level(server));
    if server.dialog.implicit_tls.is_some() {
        set("smtpd_tls_wrappermode", "yes");
    }
    if has_key(server) {
        set("smtpd_tls_chain_files", CHAIN);
    }
    for (name, value) in tls_settings(release, server) {
        set(name, &value);
    }

    let omitted: Vec<_> = server.omit_keywords.iter().filter_map(|line| keyword(line)).collect();
    if !omitted.is_empty() {
        set("smtpd_discard_ehlo_keywords", &format!("{}, silent-discard", omitted.join(", ")));
    }
    let slighted = vantages.slighted(&server.offer);
    if !slighted.is_empty() {
        // An entry here replaces the list above for that client.
        let words = [&omitted[..], &["starttls", "silent-discard"]].concat().join(", ");
        let entries: String = slighted.iter().map(|address| format!(" {{ {address} = {words} }}")).collect();
        set("smtpd_discard_ehlo_keyword_address_maps", &format!("inline:{{{entries} }}"));
    }
    text
}

/// Whether TLS is offered, and whether it is required.
fn security_level(server: &ServerPlan) -> &'static str {
    // Postfix asks for a certificate that it needs only where TLS itself is needed.
    let is_required = server.tls.client_certificate.is_some_and(|asked| asked.required == Some(true));
    match server.offer {
        Offer::Nobody => "none",
        _ if is_required || server.tls.required => "encrypt",
        _ => "may",
    }
}

/// The settings for TLS.
fn tls_settings(release: Release, server: &ServerPlan) -> Vec<(&'static str, String)> {
    let mut settings = vec![("smtpd_tls_protocols", protocols(server))];
    if super::preference(server) == Some(Order::Server) {
        settings.push(("tls_preempt_cipherlist", "yes".to_owned()));
    }
    // From 3.11 on it has a post-quantum group where it is not told which it has.
    let all = || (release == Release::Sid && !is_as_it_comes(server)).then(|| CLASSICAL.to_vec());
    settings.extend(openssl::groups(server).or_else(all).map(|groups| ("tls_eecdh_auto_curves", groups.join(" "))));
    settings.extend(openssl::cipher_list(server).map(|list| ("tls_medium_cipherlist", list)));
    if openssl::dh_parameters(server).is_some() {
        settings.push(("smtpd_tls_dh1024_param_file", DH_FILE.to_owned()));
    }
    // Where TLS comes first it is as mandatory, smtpd_tls_wrappermode in postconf(5).
    if security_level(server) == "encrypt" || server.dialog.implicit_tls.is_some() {
        settings.push(("smtpd_tls_mandatory_protocols", protocols(server)));
    }
    match server.tls.client_certificate {
        None => {}
        Some(asked) if asked.required == Some(true) => settings.push(("smtpd_tls_req_ccert", "yes".to_owned())),
        Some(_) => settings.push(("smtpd_tls_ask_ccert", "yes".to_owned())),
    }
    settings
}

/// Whether its TLS is to be that of a Postfix that nobody has told anything.
fn is_as_it_comes(server: &ServerPlan) -> bool {
    server.tls.settings.stock.is_some() || super::is_stock(server)
}

/// The versions that are excluded.
fn protocols(server: &ServerPlan) -> String {
    let offered = versions(server, &openssl::VERSIONS);
    VERSIONS.iter().filter(|(version, _)| !offered.contains(version)).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

/// The keyword of an EHLO line as Postfix lists it; nothing for one that it never offers.
fn keyword(line: &str) -> Option<&'static str> {
    let word = line.split_whitespace().next()?;
    DISCARDABLE.into_iter().find(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{
            impossible,
            test_plans::{file, file_in, plan},
        },
        *,
    };
    use crate::{plan::Answer, scenario::TlsVersion, tls::Group};

    /// What is added to the settings of every scenario.
    fn own_settings(plan: &Plan) -> Vec<String> {
        let text = file(&Postfix, plan, MAIN).unwrap();
        text.strip_prefix(TEMPLATE).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_baseline_is_five_settings() {
        assert_eq!(
            own_settings(&plan("postfix", |_| ())),
            [
                "myhostname = mx.lab.test",
                "smtpd_banner = mx.lab.test ESMTP Postfix",
                "smtpd_tls_security_level = may",
                "smtpd_tls_chain_files = /etc/postfix/chain.pem",
                "smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1",
            ]
        );
    }

    #[rstest]
    #[case::nobody(|p: &mut Plan| p.server.offer = Offer::Nobody, "smtpd_tls_security_level = none")]
    #[case::only_13(|p: &mut Plan| p.server.tls.settings.min = Some(TlsVersion::Tls13), "smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2")]
    #[case::only_12(|p: &mut Plan| p.server.tls.settings.max = Some(TlsVersion::Tls12), "smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.3")]
    #[case::ehlo(|p: &mut Plan| p.server.ehlo_name = "other.lab.test".to_owned(), "myhostname = other.lab.test")]
    #[case::greeting(|p: &mut Plan| p.server.greeting_name = "$x".to_owned(), "smtpd_banner = $$x ESMTP Postfix")]
    #[case::omitted(|p: &mut Plan| p.server.omit_keywords = vec!["size".to_owned(), "X-OTHER".to_owned()], "smtpd_discard_ehlo_keywords = SIZE, silent-discard")]
    #[case::only_to(
        |p: &mut Plan| p.server.offer = Offer::OnlyTo(vec!["there".to_owned()]),
        "smtpd_discard_ehlo_keyword_address_maps = inline:{ { 172.18.0.1 = starttls, silent-discard } }"
    )]
    #[case::implicit_tls(|p: &mut Plan| p.server.dialog.implicit_tls = Some(true), "smtpd_tls_wrappermode = yes")]
    #[case::throttled(|p: &mut Plan| p.server.greeting = GreetingPlan::Throttled, "smtpd_client_connection_rate_limit = 1")]
    #[case::blocked(|p: &mut Plan| p.server.greeting = GreetingPlan::Blocked, "smtpd_client_restrictions = reject")]
    fn each_knob_has_its_setting(#[case] change: fn(&mut Plan), #[case] setting: &str) {
        let plan = plan("postfix", change);
        assert_eq!(impossible(&Postfix, Release::default(), &plan), None);
        assert!(own_settings(&plan).contains(&setting.to_owned()), "{:#?}", own_settings(&plan));
    }

    #[test]
    fn without_a_key_there_is_no_chain_file() {
        let settings = own_settings(&plan("postfix", |p| p.server.answer = Answer::Unavailable));
        assert!(!settings.iter().any(|line| line.starts_with("smtpd_tls_chain_files")));
        assert!(settings.contains(&"smtpd_tls_security_level = may".to_owned()));
    }

    #[test]
    fn the_release_decides_on_its_groups() {
        let group = |name: &str| Group::from_name(name).unwrap();
        let hybrid = plan("postfix", |p| p.server.tls.settings.groups = Some(vec![group("X25519MLKEM768"), group("x25519")]));
        assert!(impossible(&Postfix, Release::Bookworm, &hybrid).unwrap().contains("does not have these groups"));
        assert_eq!(impossible(&Postfix, Release::Trixie, &hybrid), None);
        assert!(own_settings(&hybrid).contains(&"tls_eecdh_auto_curves = X25519MLKEM768 X25519".to_owned()));

        let bare = plan("postfix", |_| ());
        let sid = file_in(Release::Sid, &Postfix, &bare, MAIN).unwrap();
        assert!(sid.contains("tls_eecdh_auto_curves = X25519 X448"), "{sid}");
        let stock = plan("postfix", |p| p.server.tls.settings.stock = Some(true));
        assert!(impossible(&Postfix, Release::Sid, &stock).unwrap().contains("post-quantum"));
    }

    #[test]
    fn its_limit_is_for_one_vantage_point() {
        let plan = plan("postfix", |p| {
            p.server.greeting = GreetingPlan::Throttled;
            p.vantages.push("there".to_owned());
        });
        assert!(impossible(&Postfix, Release::default(), &plan).unwrap().contains("limit"));
    }
}
