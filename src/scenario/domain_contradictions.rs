//! What the parts of a domain say of each other.

use super::{
    contradictions::Places,
    domain::{DomainSpec, LookupAnswer, MxSpec, PolicyFault, TlsaFault},
    error::{ScenarioError, did_you_mean, list, quote},
    types::Scenario,
};

/// The addresses of one domain fit into one network of the loopback range.
const MAX_SERVERS: usize = 200;

/// Every contradiction in what is said of a domain, or of one that there is not.
pub(super) fn domain(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    let mut wrong = |path: &[&str], message: String, help: &str| {
        errors.push(ScenarioError::at(places.key(path), message).label("here").help(help));
    };
    let fault = &scenario.fault;
    let Some(spec) = &scenario.domain else {
        for (key, _) in fault.active().into_iter().filter(|(_, knob)| knob.is_of_domain()) {
            wrong(
                &["fault", key],
                format!("`fault.{key}` is a fault of a domain, and there is none"),
                "a table `[domain]` makes one",
            );
        }
        if fault.at.is_some() {
            wrong(
                &["fault", "at"],
                "`fault.at` is a place in a domain, and there is none".to_owned(),
                "a table `[domain]` makes one",
            );
        }
        return;
    };
    for (path, what) in [
        (&["server", "host"][..], "the hosts of a domain are those of `domain.mx`"),
        (&["server", "port"], "mail between domains goes to port 25 (RFC 5321, 4.5.4.2)"),
        (&["vantage"], "a domain is looked at from one vantage point"),
        (&["revocation"], "the CA of a domain publishes nothing"),
        (&["fetch-issuers"], "the CA of a domain publishes nothing"),
        (&["fault", "relay"], "no relay stands before a domain"),
        (&["fault", "not-reloaded"], "the disks of a domain's servers are not looked at"),
        (&["fault", "blocks"], "a domain is looked at from one vantage point"),
        (&["fault", "starttls-only-to"], "a domain is looked at from one vantage point"),
        (&["fault", "other-certificate-to"], "a domain is looked at from one vantage point"),
    ] {
        if places.has(path) {
            wrong(path, format!("`{}` cannot stand beside `[domain]`: {what}", path.join(".")), "remove the line");
        }
    }
    hosts(spec, &mut wrong);
    settings(scenario, spec, &mut wrong);
    place(scenario, spec, places, errors);
}

/// The hosts are different ones, and have addresses.
fn hosts(spec: &DomainSpec, wrong: &mut impl FnMut(&[&str], String, &str)) {
    let path = &["domain", "mx"][..];
    let sources = [("mx", spec.mx.is_some()), ("implicit-mx", spec.implicit_mx.is_some()), ("null-mx", spec.null_mx.is_some())];
    let said: Vec<&str> = sources.iter().filter(|(_, is_said)| *is_said).map(|(key, _)| *key).collect();
    if let [first, second, ..] = said.as_slice() {
        let message = format!("`domain.{first}` contradicts `domain.{second}`: both decide who takes the mail");
        wrong(&["domain", second], message, "keep one of them");
    }
    let hosts = spec.hosts();
    for (at, host) in hosts.iter().enumerate() {
        if hosts[..at].iter().any(|other| other.host == host.host) {
            wrong(
                path,
                format!("the host `{}` stands twice in `domain.mx`", host.host),
                "give it `addresses = 2`, or another name",
            );
        }
        if host.count() == 0 {
            wrong(path, format!("the host `{}` has no address", host.host), "the fault `records` can take addresses away");
        }
        if !host.host.is_qualified() {
            wrong(path, format!("the host `{}` is not fully qualified", host.host), "such as `mx.lab.test`");
        }
    }
    if hosts.iter().filter(|host| host.ipv6 == Some(true)).count() > 1 {
        wrong(path, "more than one host has an IPv6 address: this machine has one, ::1".to_owned(), "keep one of them");
    }
    let servers: usize = hosts.iter().map(MxSpec::count).sum();
    if servers > MAX_SERVERS {
        wrong(path, format!("{servers} addresses are more than the {MAX_SERVERS} that a domain can have"), "have fewer");
    }
    if !spec.name.is_within(spec.zone()) {
        wrong(
            &["domain", "zone"],
            format!("`{}` is not in the zone `{}`", spec.name, spec.zone()),
            "name a zone above the domain",
        );
    }
    if !spec.zone().is_qualified() {
        wrong(&["domain", "name"], format!("`{}` is no zone below a top-level domain", spec.zone()), "such as `lab.test`");
    }
}

/// Faults are of what there is.
fn settings(scenario: &Scenario, spec: &DomainSpec, wrong: &mut impl FnMut(&[&str], String, &str)) {
    let fault = &scenario.fault;
    let zones = spec.zones();
    let names = || list("", "zones", zones.iter().map(|zone| zone.as_str()));
    for zone in spec.unsigned.iter().flatten().filter(|zone| !zones.contains(zone)) {
        wrong(&["domain", "unsigned"], format!("there is no zone {}", quote(zone.as_str())), &names());
    }
    if let Some(zone) = fault.dnssec.as_ref().map(|dnssec| dnssec.zone.as_ref().unwrap_or(spec.zone())) {
        if !zones.contains(zone) {
            wrong(&["fault", "dnssec"], format!("there is no zone {}", quote(zone.as_str())), &names());
        }
        if spec.unsigned.as_ref().is_some_and(|unsigned| unsigned.contains(zone)) {
            let message = format!("`fault.dnssec` contradicts `domain.unsigned`: `{zone}` is not signed at all");
            wrong(&["fault", "dnssec"], message, "remove one of them");
        }
    }
    if spec.rollover.is_some() && spec.tlsa.is_none() {
        wrong(&["domain", "rollover"], "`domain.rollover` needs TLSA records".to_owned(), "write `tlsa = [\"3 1 1\"]`");
    }
    if fault.tlsa.is_some() && spec.tlsa.is_none() {
        wrong(&["fault", "tlsa"], "`fault.tlsa` needs TLSA records".to_owned(), "write `tlsa = [\"3 1 1\"]` in `[domain]`");
    }
    if fault.tlsa == Some(TlsaFault::FirstCertificateOnly) && scenario.certificate.second_key.is_none() {
        let message = "`fault.tlsa` speaks of the first of two certificates, and there is one".to_owned();
        wrong(&["fault", "tlsa"], message, "write `second-key = \"ecdsa-p256\"` in `[certificate]`");
    }
    for (key, is_set) in [("policy", fault.policy.is_some()), ("policy-host", fault.policy_host.is_some())] {
        if is_set && spec.mta_sts.is_none() {
            let message = format!("`fault.{key}` needs an MTA-STS policy");
            wrong(&["fault", key], message, "write `mta-sts = { mode = \"enforce\" }` in `[domain]`");
        }
    }
    if fault.policy.as_ref().is_some_and(|policy| !PolicyFault::says_anything(policy)) {
        wrong(
            &["fault", "policy"],
            "`[fault.policy]` says nothing: that is no fault".to_owned(),
            "say what is wrong: lines, status, …",
        );
    }
    if fault.records.as_ref().is_some_and(|records| records.are.is_none() && records.without.is_none()) {
        wrong(&["fault", "records"], "`[fault.records]` says nothing: that is no fault".to_owned(), "write `are` or `without`");
    }
    if let Some(lookup) = &fault.lookup
        && (lookup.r#do == LookupAnswer::Delay) != lookup.by.is_some()
    {
        wrong(
            &["fault", "lookup"],
            "a delay needs `by`, and nothing else has it".to_owned(),
            "such as `do = \"delay\", by = \"2s\"`",
        );
    }
}

/// The place of a fault exists, and something is wrong there.
fn place(scenario: &Scenario, spec: &DomainSpec, places: &Places, errors: &mut Vec<ScenarioError>) {
    let fault = &scenario.fault;
    let is_of_server = |(key, knob): &(&str, super::Knob)| {
        !knob.is_of_domain() || matches!(*key, "another-certificate" | "unreachable" | "tlsa")
    };
    let has_fault = fault.active().iter().any(is_of_server);
    let path = ["fault", "at"];
    let hosts = spec.hosts();
    if fault.another_certificate.is_some() && fault.at.as_ref().and_then(|at| at.address).is_none() {
        let error =
            ScenarioError::at(places.key(&["fault", "another-certificate"]), "`fault.another-certificate` needs an address");
        errors.push(error.label("where?").help("write `at = { host = \"mx.lab.test\", address = 2 }`"));
    }
    if fault.shared_key.is_some() && hosts.len() < 2 {
        let error = ScenarioError::at(places.key(&["fault", "shared-key"]), "`fault.shared-key` needs a second host");
        errors.push(error.label("with whom?").help("add a host to `domain.mx`"));
    }
    let Some(at) = &fault.at else { return };
    let mut wrong = |message: String, help: Option<String>| {
        errors.push(ScenarioError::at(places.key(&path), message).label("here").maybe_help(help));
    };
    if !has_fault {
        wrong("nothing is wrong at the place of `fault.at`".to_owned(), Some("remove the line".to_owned()));
    }
    let names = || hosts.iter().map(|host| host.host.as_str());
    match hosts.iter().find(|host| host.host == at.host) {
        None => {
            let help = did_you_mean(at.host.as_str(), names()).or_else(|| Some(list(at.host.as_str(), "hosts", names())));
            wrong(format!("`{}` takes no mail of this domain", at.host), help);
        }
        Some(host) if at.address.is_some_and(|address| usize::from(address) > host.count()) => {
            wrong(format!("`{}` has {} addresses", host.host, host.count()), None);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::scenario::{Known, Scenario, ScenarioErrors, SourceFile, parse, schema};

    const VALID: &str = r#"title = "t"
why = "w"
clauses = []
practice = "enforceable-tls"
[server]
kinds = ["postfix"]
[domain]
mx = [{ host = "mx1.lab.test", addresses = 2 }, { host = "mx2.lab.test" }]
tlsa = ["3 1 1"]
[fault]
at = { host = "mx2.lab.test" }
expired = "3 days"
[expect]
must-not = ["certificate-expired"]
"#;

    fn read(text: &str) -> Result<Scenario, ScenarioErrors> {
        let schema = schema(&Known { rules: &["certificate-expired"], kinds: &["postfix"], policies: &["mtalab"] });
        parse(&SourceFile { name: "case.toml".to_owned(), bytes: text.into() }, &schema)
    }

    #[test]
    fn a_domain_is_read() {
        let scenario = read(VALID).unwrap();
        assert_eq!(scenario.fault.active().len(), 1, "where a fault is, is none");
        assert_eq!(scenario.domain.unwrap().hosts().len(), 2);
    }

    #[rstest]
    #[case("mx2.lab.test\" }\nexpired", "mx3.lab.test\" }\nexpired", "`mx3.lab.test` takes no mail of this domain")]
    #[case(
        "{ host = \"mx2.lab.test\" }\nexpired",
        "{ host = \"mx2.lab.test\", address = 2 }\nexpired",
        "`mx2.lab.test` has 1 addresses"
    )]
    #[case("expired = \"3 days\"", "policy-host = \"expired\"", "`fault.policy-host` needs an MTA-STS policy")]
    #[case("expired = \"3 days\"", "another-certificate = true", "needs an address")]
    #[case(
        "addresses = 2 }, { host = \"mx2.lab.test\" }]\ntlsa = [\"3 1 1\"]\n[fault]\nat = { host = \"mx2.lab.test\" }",
        "addresses = 2 }]\n[fault]\nshared-key = true",
        "needs a second host"
    )]
    #[case("expired = \"3 days\"", "lookup = { of = \"lab.test MX\", do = \"delay\" }", "a delay needs `by`")]
    #[case("expired = \"3 days\"", "lookup = { of = \"lab.test XM\", do = \"servfail\" }", "`XM` is no type of records")]
    #[case("expired = \"3 days\"", "records = { are = [\"lab.test MX\"] }", "names are absolute")]
    #[case("expired = \"3 days\"", "records = {}", "`[fault.records]` says nothing")]
    #[case("expired = \"3 days\"", "dnssec = { zone = \"lab.tset\", is = \"expired\" }", "there is no zone `lab.tset`")]
    #[case("tlsa = [\"3 1 1\"]", "tlsa = [\"3 1\"]", "is no usage, selector and matching type")]
    #[case("tlsa = [\"3 1 1\"]", "null-mx = true", "contradicts `domain.")]
    #[case(
        "kinds = [\"postfix\"]",
        "kinds = [\"postfix\"]\nhost = \"mx.lab.test\"",
        "`server.host` cannot stand beside `[domain]`"
    )]
    #[case("{ host = \"mx2.lab.test\" }]", "{ host = \"mx2.lab.test\" }, { host = \"MX2.lab.test\" }]", "stands twice")]
    #[case("addresses = 2", "addresses = 0", "`mx1.lab.test` has no address")]
    #[case("addresses = 2", "adresses = 2", "did you mean `addresses`?")]
    fn each_mistake_is_explained(#[case] old: &str, #[case] new: &str, #[case] words: &str) {
        assert_eq!(VALID.matches(old).count(), 1, "{old:?} must stand once in the valid file");
        let rendered = read(&VALID.replace(old, new)).expect_err("the edit is a mistake").render(false);
        assert!(rendered.contains(words), "{words:?} is not in:\n{rendered}");
    }

    #[test]
    fn what_is_of_a_domain_needs_one() {
        let text = VALID.split("[domain]").next().unwrap().to_owned()
            + "[fault]\nunreachable = \"refused\"\n[expect]\nmust-not = [\"*\"]\n";
        let rendered = read(&text).unwrap_err().render(false);
        assert!(rendered.contains("`fault.unreachable` is a fault of a domain, and there is none"), "{rendered}");
    }
}
