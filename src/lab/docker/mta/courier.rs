//! A real Courier, in Debian's build with GnuTLS.

use std::fmt::Write as _;

use super::{Mta, Vantages, gnutls, has_key, keys_and_chains};
use crate::{
    lab::docker::{container::File, release::Release},
    plan::{Answer, GreetingPlan, Offer, Plan, ServerPlan},
};

/// Where the settings are in the container; a start script reads them as the shell does.
const SETTINGS: &str = "/etc/courier/lab";
/// Where the name is in the container that the greeting and the reply to EHLO hold.
const NAME: &str = "/etc/courier/me";
/// Where the settings for single clients are in the container.
const ACCESS: &str = "/etc/courier/smtpaccess/default";
/// Where the key and the certificates are in the container.
const CHAIN: &str = "/etc/courier/chain.pem";
/// The settings of every scenario.
const TEMPLATE: &str = include_str!("../../../../lab/courier/esmtpd");

/// Courier.
pub(super) struct Courier;

impl Mta for Courier {
    fn kind(&self) -> &'static str {
        "courier"
    }

    fn product(&self) -> &'static str {
        "Courier"
    }

    fn context(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("Dockerfile", include_str!("../../../../lab/courier/Dockerfile")),
            ("start", include_str!("../../../../lab/courier/start")),
        ]
    }

    fn unlike_it(&self, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        if let Some(reason) = gnutls::unlike_it(server) {
            Some(reason)
        } else if server.credentials.staple.is_some() {
            Some("it staples no OCSP response")
        } else if server.second.is_some() {
            Some("it has one certificate for each name")
        } else if server.tls.client_certificate.is_some() {
            Some("it asks for certificates of clients by the names of their authorities")
        } else if server.answer == Answer::Unavailable {
            Some("without a key it says 220 to STARTTLS and hangs up")
        } else if server.greeting == GreetingPlan::Blocked {
            Some("it hangs up on whom it blocks, without a word")
        } else if server.greeting == GreetingPlan::Throttled {
            Some("its limits count the connections that are open at one time, and it hangs up without a word")
        } else if server.greeting_name != server.ehlo_name {
            Some("its greeting and its reply to EHLO hold the same name")
        } else if !server.omit_keywords.is_empty() {
            Some("it has no list of keywords to leave out")
        } else {
            None
        }
    }

    fn files(&self, _: Release, server: &ServerPlan, vantages: &Vantages) -> Vec<File> {
        let readable = |path, text: String| File { path, mode: 0o644, content: text.into_bytes() };
        let mut files = vec![
            readable(SETTINGS, settings(server)),
            readable(NAME, format!("{}\n", server.ehlo_name)),
            readable(ACCESS, access(server, vantages)),
        ];
        if has_key(server) {
            // The user `courier` reads it.
            files.push(File { path: CHAIN, mode: 0o644, content: keys_and_chains(server) });
        }
        files
    }
}

/// The settings for a plan.
fn settings(server: &ServerPlan) -> String {
    let mut text = TEMPLATE.to_owned();
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}=\"{value}\"");
    };
    if server.offer == Offer::Nobody {
        // Without the program for it there is no TLS.
        set("COURIERTLS", "");
    }
    set("TLS_CERTFILE", CHAIN);
    set("TLS_PRIORITY", &gnutls::priority(server));
    if server.tls.required {
        set("ESMTP_TLS_REQUIRED", "1");
    }
    text
}

/// What is set for single clients only.
fn access(server: &ServerPlan, vantages: &Vantages) -> String {
    vantages.slighted(&server.offer).iter().map(|address| format!("{address}\tallow,COURIERTLS=\n")).collect()
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

    #[rstest]
    #[case::baseline(|_: &mut Plan| (), SETTINGS, "TLS_PRIORITY=\"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2\"")]
    #[case::name(|_: &mut Plan| (), NAME, "mx.lab.test")]
    #[case::nobody(|p: &mut Plan| p.server.offer = Offer::Nobody, SETTINGS, "COURIERTLS=\"\"")]
    #[case::required(|p: &mut Plan| p.server.tls.required = true, SETTINGS, "ESMTP_TLS_REQUIRED=\"1\"")]
    #[case::only_to(|p: &mut Plan| p.server.offer = Offer::OnlyTo(vec!["there".to_owned()]), ACCESS, "172.18.0.1\tallow,COURIERTLS=")]
    fn each_knob_has_its_setting(#[case] change: fn(&mut Plan), #[case] path: &str, #[case] line: &str) {
        let plan = plan("courier", change);
        assert_eq!(impossible(&Courier, Release::default(), &plan), None);
        let text = file(&Courier, &plan, path).unwrap();
        assert!(text.lines().any(|known| known == line), "{text}");
    }
}
