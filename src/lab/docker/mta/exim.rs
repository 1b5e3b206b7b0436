//! A real Exim, in Debian's build with GnuTLS.

use std::{fmt::Write as _, net::IpAddr};

use x509_cert::{Certificate, der::Decode as _};
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspGeneralizedTime, OcspResponse};

use super::{Mta, Vantages, gnutls, has_key};
use crate::{
    lab::docker::{container::File, release::Release},
    plan::{GreetingPlan, Offer, Plan, ServerPlan},
};

/// Where the settings are in the container.
const CONFIGURATION: &str = "/etc/exim4/exim4.conf";
/// Where the key and the certificates are in the container; each of Exim's two settings finds its part.
const CHAIN: &str = "/etc/exim4/chain.pem";
const SECOND: &str = "/etc/exim4/second.pem";
/// Where the authorities for certificates of clients are in the container: an empty file.
const AUTHORITIES: &str = "/etc/exim4/authorities.pem";
/// Where the OCSP response is in the container.
const STAPLE: &str = "/etc/exim4/staple.der";
/// The settings of every scenario.
const TEMPLATE: &str = include_str!("../../../../lab/exim/exim4.conf");

/// Exim.
pub(super) struct Exim;

impl Mta for Exim {
    fn kind(&self) -> &'static str {
        "exim"
    }

    fn product(&self) -> &'static str {
        "Exim"
    }

    fn context(&self) -> &'static [(&'static str, &'static str)] {
        &[("Dockerfile", include_str!("../../../../lab/exim/Dockerfile")), ("start", include_str!("../../../../lab/exim/start"))]
    }

    fn unlike_it(&self, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        if let Some(reason) = gnutls::unlike_it(server) {
            Some(reason)
        } else if server.greeting == GreetingPlan::Blocked {
            Some("it hangs up behind its refusal, and whether the client sees the end or a reset of the connection is chance")
        } else if server.greeting == GreetingPlan::Throttled {
            Some("its limit counts the connections that are open at one time, and there is one")
        } else if !server.omit_keywords.is_empty() {
            Some("it has no list of keywords to leave out")
        } else if !staples(plan) {
            Some(
                "it staples only what it takes itself: an answer that is about its certificate, in date, and not that it was revoked",
            )
        } else {
            None
        }
    }

    fn begins_with_tls(&self) -> bool {
        true
    }

    fn has_ipv6(&self) -> bool {
        true
    }

    fn files(&self, _: Release, server: &ServerPlan, vantages: &Vantages) -> Vec<File> {
        let readable = |path, content| File { path, mode: 0o644, content };
        let mut files = vec![readable(CONFIGURATION, configuration(server, vantages).into_bytes())];
        if has_key(server) {
            files.push(readable(CHAIN, server.credentials.to_pem().into_bytes()));
            files.extend(server.second.iter().map(|second| readable(SECOND, second.to_pem().into_bytes())));
            files.extend(server.credentials.staple.iter().map(|staple| readable(STAPLE, staple.clone())));
        }
        files.extend(server.tls.client_certificate.map(|_| readable(AUTHORITIES, Vec::new())));
        files
    }
}

/// The configuration for a plan: its own settings come first, since the lists of Exim's file end with
/// other sections.
fn configuration(server: &ServerPlan, vantages: &Vantages) -> String {
    let mut text = String::new();
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} = {value}");
    };
    set("primary_hostname", &server.ehlo_name);
    set("smtp_banner", &format!("{} ESMTP Exim $version_number $tod_full", literal(&server.greeting_name)));
    set(
        "tls_advertise_hosts",
        &match vantages.favoured(&server.offer) {
            Some(favoured) => list(&favoured),
            None if server.offer == Offer::Nobody => String::new(),
            None => "*".to_owned(),
        },
    );
    if server.dialog.implicit_tls.is_some() {
        // The port that it listens at in its container, whatever the scenario calls it.
        set("tls_on_connect_ports", "25");
    }
    // Without the file it says that TLS is not available.
    let chain = if server.second.is_some() { format!("{CHAIN} : {SECOND}") } else { CHAIN.to_owned() };
    set("tls_certificate", &chain);
    set("tls_privatekey", &chain);
    set("tls_require_ciphers", &gnutls::priority(server));
    if server.credentials.staple.is_some() {
        set("tls_ocsp_file", STAPLE);
    }
    if server.tls.required {
        set("acl_smtp_mail", "tls_required");
    }
    if let Some(asked) = server.tls.client_certificate {
        set("tls_verify_certificates", AUTHORITIES);
        set(if asked.required == Some(true) { "tls_verify_hosts" } else { "tls_try_verify_hosts" }, "*");
    }
    text + &if vantages.have_ipv6() { TEMPLATE.replace("disable_ipv6 = true\n", "") } else { TEMPLATE.to_owned() }
}

/// A list of hosts; a colon is its separator, unless another one is named.
fn list(addresses: &[IpAddr]) -> String {
    let separator = if addresses.iter().any(IpAddr::is_ipv6) { ";" } else { ":" };
    let names: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    let prefix = if separator == ";" { "<; " } else { "" };
    format!("{prefix}{}", names.join(&format!(" {separator} ")))
}

/// Whether it staples the response of a plan, where there is one; with any other it says that TLS is not available.
fn staples(plan: &Plan) -> bool {
    let credentials = &plan.server.credentials;
    let Some(staple) = &credentials.staple else { return true };
    let answers = || {
        let response = OcspResponse::from_der(staple).ok()?;
        let basic = BasicOcspResponse::from_der(response.response_bytes?.response.as_bytes()).ok()?;
        let certificate = Certificate::from_der(credentials.chain.first()?).ok()?;
        let serial = &certificate.tbs_certificate.serial_number;
        basic.tbs_response_data.responses.into_iter().find(|answer| answer.cert_id.serial_number == *serial)
    };
    let is_in_date = |end: OcspGeneralizedTime| end.0.to_unix_duration().as_secs() > plan.now.unix_timestamp().unsigned_abs();
    answers()
        .is_some_and(|answer| !matches!(answer.cert_status, CertStatus::Revoked(_)) && answer.next_update.is_none_or(is_in_date))
}

/// A text that Exim expands to itself.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('$', "\\$")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{
            impossible,
            test_plans::{file, plan},
        },
        *,
    };
    use crate::plan::Answer;

    /// The settings before those of every scenario.
    fn own_settings(plan: &Plan) -> Vec<String> {
        let text = file(&Exim, plan, CONFIGURATION).unwrap();
        text.strip_suffix(TEMPLATE).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_baseline_is_six_settings() {
        assert_eq!(
            own_settings(&plan("exim", |_| ())),
            [
                "primary_hostname = mx.lab.test",
                "smtp_banner = mx.lab.test ESMTP Exim $version_number $tod_full",
                "tls_advertise_hosts = *",
                "tls_certificate = /etc/exim4/chain.pem",
                "tls_privatekey = /etc/exim4/chain.pem",
                "tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
            ]
        );
    }

    #[rstest]
    #[case::implicit_tls(|p: &mut Plan| p.server.dialog.implicit_tls = Some(true), "tls_on_connect_ports = 25")]
    #[case::nobody(|p: &mut Plan| p.server.offer = Offer::Nobody, "tls_advertise_hosts = ")]
    #[case::only_to(|p: &mut Plan| p.server.offer = Offer::OnlyTo(vec!["there".to_owned()]), "tls_advertise_hosts = 172.18.0.2")]
    #[case::required(|p: &mut Plan| p.server.tls.required = true, "acl_smtp_mail = tls_required")]
    #[case::greeting(|p: &mut Plan| p.server.greeting_name = "$x".to_owned(), "smtp_banner = \\$x ESMTP Exim $version_number $tod_full")]
    fn each_knob_has_its_setting(#[case] change: fn(&mut Plan), #[case] setting: &str) {
        let plan = plan("exim", change);
        assert_eq!(impossible(&Exim, Release::default(), &plan), None);
        assert!(own_settings(&plan).contains(&setting.to_owned()), "{:#?}", own_settings(&plan));
    }

    #[test]
    fn without_a_key_there_is_no_chain_file() {
        assert_eq!(file(&Exim, &plan("exim", |p| p.server.answer = Answer::Unavailable), CHAIN), None);
    }
}
