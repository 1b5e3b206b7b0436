//! A real Postfix for a plan: what of it Postfix can do, and the settings that make it do so.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use super::postfix_tls;
use crate::{
    name::Name,
    plan::{Answer, GreetingPlan, Offer, Plan, ServerPlan},
};

/// Where the settings are in the container.
pub(super) const MAIN: &str = "/etc/postfix/main.cf";
/// Where the key and the certificates are in the container.
pub(super) const CHAIN: &str = "/etc/postfix/chain.pem";
/// The settings of every scenario.
const TEMPLATE: &str = include_str!("../../../lab/postfix/main.cf");
/// The EHLO keywords that Postfix can be told to leave out, smtpd_discard_ehlo_keywords in postconf(5).
const DISCARDABLE: [&str; 10] =
    ["PIPELINING", "SIZE", "VRFY", "ETRN", "STARTTLS", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"];

/// Why a real Postfix cannot do what is planned; nothing if it can.
pub(super) fn impossible(plan: &Plan) -> Option<String> {
    let server = &plan.server;
    let reason = if server.offer == Offer::Masked {
        "a middlebox is between it and the client, not in it"
    } else if let Some(reason) = postfix_tls::impossible(server) {
        reason
    } else if server.credentials.staple.is_some() {
        "it staples no OCSP response"
    } else if plan.port == 465 {
        "the harness waits for its greeting in the clear"
    } else if server.dialog.says_anything() {
        "its dialog is in order"
    } else if !server.blocks.is_empty() || !server.other_certificate_to.is_empty() {
        "it has one greeting and one set of certificates for each listener"
    } else if server.offered_in_tls {
        "it never offers STARTTLS inside TLS"
    } else if !server.add_keywords.is_empty() {
        "it offers no EHLO keywords but its own"
    } else if server.greeting == GreetingPlan::Throttled && plan.vantages.len() > 1 {
        "its limit counts each client address apart, and all but one would be let in once"
    } else if !is_text(&server.greeting_name) {
        "its greeting holds printable text only"
    } else if !is_host_name(&server.ehlo_name) {
        "it starts under a valid host name only, and says that in its reply to EHLO"
    } else {
        return None;
    };
    Some(format!("no real Postfix does this: {reason}"))
}

/// The main.cf for a plan; `vantages` are the addresses that its vantage points come from.
pub(super) fn main_cf(server: &ServerPlan, vantages: &BTreeMap<String, IpAddr>) -> String {
    let mut text = TEMPLATE.to_owned();
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} = {value}");
    };
    // The greeting has a setting of its own; the reply to EHLO says `myhostname`.
    set("myhostname", &server.ehlo_name);
    set("smtpd_banner", &format!("{} ESMTP Postfix", server.greeting_name.replace('$', "$$")));
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

    set("smtpd_tls_security_level", postfix_tls::security_level(server));
    if has_key(server) {
        set("smtpd_tls_chain_files", CHAIN);
    }
    for (name, value) in postfix_tls::settings(server) {
        set(name, &value);
    }

    let omitted: Vec<_> = server.omit_keywords.iter().filter_map(|line| keyword(line)).collect();
    if !omitted.is_empty() {
        set("smtpd_discard_ehlo_keywords", &format!("{}, silent-discard", omitted.join(", ")));
    }
    if let Offer::OnlyTo(favoured) = &server.offer {
        // An entry here replaces the list above for that client.
        let words = [&omitted[..], &["starttls", "silent-discard"]].concat().join(", ");
        let others = vantages.iter().filter(|(name, _)| !favoured.contains(name));
        let entries: String = others.map(|(_, address)| format!(" {{ {address} = {words} }}")).collect();
        if !entries.is_empty() {
            set("smtpd_discard_ehlo_keyword_address_maps", &format!("inline:{{{entries} }}"));
        }
    }
    text
}

/// Whether the server has a key. Without one Postfix offers STARTTLS all the same, and answers 454.
pub(super) fn has_key(server: &ServerPlan) -> bool {
    server.answer != Answer::Unavailable && server.offer != Offer::Nobody
}

/// The keyword of an EHLO line as Postfix lists it; nothing for one that it never offers.
fn keyword(line: &str) -> Option<&'static str> {
    let word = line.split_whitespace().next()?;
    DISCARDABLE.into_iter().find(|known| known.eq_ignore_ascii_case(word))
}

/// One line that a setting holds unchanged.
fn is_text(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.len() <= 400 && text.chars().all(|c| matches!(c, ' '..='~'))
}

/// What Postfix takes for `myhostname`.
fn is_host_name(text: &str) -> bool {
    let is_number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    !is_number
        && Name::parse(text).is_ok_and(|name| name.as_str() == text)
        && !text.split('.').any(|l| l.starts_with('-') || l.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        plan::{Credentials, TlsPlan},
        scenario::{DialogFault, Flight, HandshakeEnd, HandshakeFault, TlsVersion},
        trust::TrustStore,
    };

    fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
        let mut plan = Plan {
            scenario: "test/one".to_owned(),
            now: OffsetDateTime::UNIX_EPOCH,
            trust: TrustStore { name: "lab".to_owned(), public: true, anchors: Vec::new() },
            vantages: vec!["here".to_owned()],
            server: ServerPlan {
                kind: "postfix".to_owned(),
                host: Name::parse("mx.lab.test").unwrap(),
                greeting_name: "mx.lab.test".to_owned(),
                ehlo_name: "mx.lab.test".to_owned(),
                add_keywords: Vec::new(),
                omit_keywords: Vec::new(),
                greeting: GreetingPlan::Ready,
                offer: Offer::Everyone,
                answer: Answer::Handshake,
                blocks: Vec::new(),
                other_certificate_to: Vec::new(),
                offered_in_tls: false,
                dialog: DialogFault::default(),
                tls: TlsPlan::default(),
                credentials: Credentials::new(vec![vec![7; 100]], "KEY\n".to_owned()),
                second: None,
                nameless: None,
            },
            publication: None,
            port: 25,
            relay: None,
            pointer: Vec::new(),
            installed: None,
        };
        change(&mut plan);
        plan
    }

    /// What is added to the settings of every scenario.
    fn own_settings(plan: &Plan) -> Vec<String> {
        let vantages = [("here", "172.18.0.1"), ("there", "172.18.0.2")];
        let vantages = vantages.into_iter().map(|(name, address)| (name.to_owned(), address.parse().unwrap())).collect();
        main_cf(&plan.server, &vantages).strip_prefix(TEMPLATE).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_baseline_is_five_settings() {
        assert_eq!(
            own_settings(&plan(|_| ())),
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
    #[case::throttled(|p: &mut Plan| p.server.greeting = GreetingPlan::Throttled, "smtpd_client_connection_rate_limit = 1")]
    #[case::blocked(|p: &mut Plan| p.server.greeting = GreetingPlan::Blocked, "smtpd_client_restrictions = reject")]
    fn each_knob_has_its_setting(#[case] change: fn(&mut Plan), #[case] setting: &str) {
        let plan = plan(change);
        assert_eq!(impossible(&plan), None);
        assert!(own_settings(&plan).contains(&setting.to_owned()), "{:#?}", own_settings(&plan));
    }

    #[test]
    fn without_a_key_there_is_no_chain_file() {
        let settings = own_settings(&plan(|p| p.server.answer = Answer::Unavailable));
        assert!(!settings.iter().any(|line| line.starts_with("smtpd_tls_chain_files")));
        assert!(settings.contains(&"smtpd_tls_security_level = may".to_owned()));
    }

    #[rstest]
    #[case(|p: &mut Plan| p.server.offer = Offer::Masked, "middlebox")]
    #[case(|p: &mut Plan| p.server.tls.handshake = Some(HandshakeFault { at: Flight::ClientHello, r#do: HandshakeEnd::Close }), "ClientHello")]
    #[case(|p: &mut Plan| p.server.offered_in_tls = true, "inside TLS")]
    #[case(|p: &mut Plan| p.server.add_keywords = vec!["X".to_owned()], "keywords")]
    #[case(|p: &mut Plan| p.server.greeting_name = "a\nmynetworks = 0.0.0.0/0".to_owned(), "printable")]
    #[case(|p: &mut Plan| p.server.ehlo_name = "not a name".to_owned(), "host name")]
    #[case(|p: &mut Plan| p.server.ehlo_name = "192.0.2.1".to_owned(), "host name")]
    #[case(|p: &mut Plan| { p.server.greeting = GreetingPlan::Throttled; p.vantages.push("there".to_owned()) }, "limit")]
    fn what_it_cannot_do_has_a_reason(#[case] change: fn(&mut Plan), #[case] reason: &str) {
        let said = impossible(&plan(change)).unwrap();
        assert!(said.contains(reason), "{said}");
    }
}
