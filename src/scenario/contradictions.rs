//! What the parts of a scenario say of each other: no setting and no fault may take another one back.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    certificate::Key,
    domain_contradictions::domain,
    error::{ScenarioError, did_you_mean, list, quote},
    knob::Knob,
    revocation::{PublishingFault, RevocationSource, Revoked, StapleFault},
    types::{ExpectFrom, Scenario},
};

/// Where the values of a file stand.
pub(super) struct Places<'a>(pub &'a DeTable<'a>);

impl<'a> Places<'a> {
    fn find(&self, path: &[&str]) -> Option<(Range<usize>, &'a Spanned<DeValue<'a>>)> {
        let (last, parents) = path.split_last()?;
        let mut table = self.0;
        for parent in parents {
            table = table.get(*parent)?.get_ref().as_table()?;
        }
        table.iter().find(|(key, _)| key.get_ref() == last).map(|(key, value)| (key.span(), value))
    }

    /// The key at the end of the path.
    pub(super) fn key(&self, path: &[&str]) -> Range<usize> {
        self.find(path).map_or(0..0, |(key, _)| key)
    }

    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// The string of this text in the array at the end of the path, or the key of the array.
    pub(super) fn item(&self, path: &[&str], text: &str) -> Range<usize> {
        let Some((key, value)) = self.find(path) else { return 0..0 };
        let mut items = value.get_ref().as_array().into_iter().flat_map(|array| array.iter());
        items.find(|item| item.get_ref().as_str() == Some(text)).map_or(key, Spanned::span)
    }
}

/// Settings of the correct world that state what a fault changes.
const CONTRADICTED: &[(&str, &str, &[&str])] = &[
    ("certificate", "key", &["weak-key", "odd-key"]),
    ("certificate", "names", &["wrong-names", "common-name-only", "names"]),
    ("certificate", "more-names", &["common-name-only", "names"]),
    ("certificate", "usage", &["client-only"]),
    ("certificate", "signature", &["weak-signature", "form"]),
    ("certificate", "issuer-permits", &["issuer", "issuer-forbids", "self-signed"]),
    ("certificate", "common-name", &["foreign-common-name", "common-name-only"]),
    ("certificate", "valid-since", &["not-yet-valid", "validity"]),
    ("certificate", "valid-for", &["expired", "expires-in", "not-yet-valid", "validity"]),
    (
        "certificate",
        "send-root",
        &[
            "self-signed",
            "private-ca",
            "unknown-ca",
            "missing-intermediate",
            "gap-in-chain",
            "misordered-chain",
            "unrelated-certificate",
        ],
    ),
];

/// Settings of the correct world that state what a key of the fault `tls` changes.
const CONTRADICTED_IN_TLS: &[(&str, &[&str])] =
    &[("min", &["versions"]), ("max", &["versions"]), ("preference", &["preference"]), ("groups", &["groups"])];

/// Faults that leave each other no room although they turn different knobs.
const EXCLUSIVE: &[(&str, &str, &str)] = &[
    ("common-name-only", "foreign-common-name", "the CN names either the host or another one"),
    ("self-signed", "issuer-expired", "a self-signed certificate has no issuer that could expire"),
    ("self-signed", "issuer-expires-in", "a self-signed certificate has no issuer that could expire"),
    ("self-signed", "issuer", "a self-signed certificate has no issuer that could be wrong"),
    ("self-signed", "issuer-forbids", "a self-signed certificate has no issuer that could be wrong"),
    ("self-signed", "weak-root-key", "a self-signed certificate has no root"),
    ("self-signed", "odd-key", "a key on an odd curve signs nothing here but the handshake"),
    ("odd-key", "weak-signature", "the certificate is signed again for its odd key"),
    ("odd-key", "form", "the certificate is signed again for its odd key"),
    ("self-signed", "root-expired", "a self-signed certificate has no root that could expire"),
    ("weak-signature", "form", "the form decides how the certificate is signed"),
    ("self-signed", "revoked", "nobody takes back what nobody else certified"),
    ("self-signed", "staple", "nobody vouches for a self-signed certificate"),
    ("default-certificate", "revoked", "nobody takes back what nobody else certified"),
    ("default-certificate", "staple", "nobody vouches for a self-signed certificate"),
    ("default-certificate", "no-timestamps", "the product's certificate is in no log anyway"),
    ("default-certificate", "weak-key", "the product makes the key"),
    ("default-certificate", "odd-key", "the product makes the key"),
    ("default-certificate", "wrong-names", "the product chooses the names"),
    ("default-certificate", "names", "the product chooses the names"),
    ("default-certificate", "expired", "the product chooses the dates"),
    ("default-certificate", "validity", "the product chooses the dates"),
    ("default-certificate", "form", "the product forms the certificate"),
    ("default-certificate", "extension", "the product forms the certificate"),
    ("handshake", "no-close-notify", "a handshake that breaks off has no connection to close"),
    ("handshake", "client-certificate", "a handshake that breaks off gets no client certificate"),
];

/// Every contradiction in a scenario.
pub(super) fn contradictions(scenario: &Scenario, places: &Places) -> Vec<ScenarioError> {
    let mut errors = Vec::new();
    faults(scenario, places, &mut errors);
    for (table, key, faults) in CONTRADICTED {
        for (fault, knob) in scenario.fault.active().into_iter().filter(|(fault, _)| faults.contains(fault)) {
            if places.has(&[table, key]) {
                let message = format!("`{table}.{key}` contradicts the fault `{fault}`: both decide {}", knob.words());
                let error = ScenarioError::at(places.key(&[table, key]), message).label("the correct world says this");
                errors.push(error.other(places.key(&["fault", fault]), "and the fault that").help("remove one of them"));
            }
        }
    }
    tls(scenario, places, &mut errors);
    second_certificate(scenario, places, &mut errors);
    published(scenario, places, &mut errors);
    names(scenario, places, &mut errors);
    vantages(scenario, places, &mut errors);
    relay(scenario, places, &mut errors);
    domain(scenario, places, &mut errors);
    let whole = &scenario.expect;
    let whole = ExpectFrom { must: whole.must.clone(), must_not: whole.must_not.clone(), verdicts: whole.verdicts.clone() };
    expectation(&["expect"], &whole, places, &mut errors);
    for (vantage, from) in &scenario.expect.from {
        expectation(&["expect", "from", vantage], from, places, &mut errors);
    }
    errors
}

/// The correct world's TLS leaves a version to offer, and says nothing that the fault `tls` says.
fn tls(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    if let (Some(min), Some(max)) = (scenario.tls.min, scenario.tls.max)
        && min > max
    {
        let error = ScenarioError::at(places.key(&["tls", "min"]), "`tls.min` is higher than `tls.max`: no version is left");
        errors.push(error.label("lowest").other(places.key(&["tls", "max"]), "highest"));
    }
    for (key, faults) in CONTRADICTED_IN_TLS {
        for fault in faults.iter().filter(|fault| places.has(&["tls", key]) && places.has(&["fault", "tls", fault])) {
            let message = format!("`tls.{key}` contradicts `fault.tls.{fault}`: both decide {}", Knob::Stack.words());
            let error = ScenarioError::at(places.key(&["tls", key]), message).label("the correct world says this");
            errors.push(error.other(places.key(&["fault", "tls", fault]), "and the fault that").help("remove one of them"));
        }
    }
    for key in ["min", "max"].into_iter().filter(|key| scenario.tls.stock.is_some() && places.has(&["tls", key])) {
        let message = format!("`tls.{key}` contradicts `tls.stock`: both decide which versions are offered");
        let error = ScenarioError::at(places.key(&["tls", key]), message).label("this bound");
        errors.push(error.other(places.key(&["tls", "stock"]), "and this").help("remove one of them"));
    }
    if scenario.fault.tls.as_ref().is_some_and(|stack| !stack.says_anything()) {
        let error = ScenarioError::at(places.key(&["fault", "tls"]), "`[fault.tls]` says nothing: that is no fault");
        errors.push(error.label("empty").help("name what is old or odd: versions, suites, groups, …"));
    }
    if scenario.fault.dialog.as_ref().is_some_and(|dialog| !dialog.says_anything()) {
        let error = ScenarioError::at(places.key(&["fault", "dialog"]), "`[fault.dialog]` says nothing: that is no fault");
        errors.push(error.label("empty").help("say what goes wrong: breaks, replies, delay, …"));
    }
    if let Some(turns) = scenario.fault.dialog.as_ref().and_then(|dialog| dialog.turns).filter(|turns| turns.times >= turns.of) {
        let message = format!("`turns` that are all alike are none: {} of {}", turns.times, turns.of);
        let error = ScenarioError::at(places.key(&["fault", "dialog", "turns"]), message).label("these turns");
        errors.push(error.help("`times` is less than `of`"));
    }
    if scenario.fault.client_certificate.is_some_and(|asked| asked.ca_bytes.is_none() && asked.required.is_none()) {
        let message = "`fault.client-certificate` says nothing: is a certificate required, or what is the list of authorities?";
        let error = ScenarioError::at(places.key(&["fault", "client-certificate"]), message).label("empty");
        errors.push(error.help("write `required = true`, or the size of the list: `ca-bytes = 64`"));
    }
}

/// A second certificate has a key of another algorithm, and only what exists can be wrong.
fn second_certificate(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    let (certificate, fault) = (&scenario.certificate, &scenario.fault);
    let first = match fault.odd_key {
        Some(key) if !key.is_rsa() => Key::EcdsaP256,
        _ if fault.weak_key.is_some() => Key::Rsa2048,
        _ => certificate.key.unwrap_or(Key::Rsa2048),
    };
    let path = ["certificate", "second-key"];
    match certificate.second_key {
        Some(second) if second.algorithm() == first.algorithm() => {
            let message =
                format!("`certificate.second-key` is {} as the first key is: it would never be used", first.algorithm());
            let error = ScenarioError::at(places.key(&path), message).label("never used");
            errors.push(error.help("two certificates are told apart by the algorithm of their keys: one RSA, one ECDSA"));
        }
        Some(_) => {}
        None => {
            let faults = ["second-expired", "second-expires-in", "second-names"];
            for key in faults.into_iter().filter(|key| places.has(&["fault", key])) {
                let message = format!("`fault.{key}` needs a second certificate");
                let error = ScenarioError::at(places.key(&["fault", key]), message).label("of what?");
                errors.push(error.help("name its key: `second-key = \"ecdsa-p256\"` in `[certificate]`"));
            }
        }
    }
}

/// What is said of revocation and of what certificates point to fits together.
fn published(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    let (certificate, fault) = (&scenario.certificate, &scenario.fault);
    let mut wrong_if = |is_wrong: bool, path: &[&str], message: &str, help: &str| {
        if is_wrong {
            errors.push(ScenarioError::at(places.key(path), message.to_owned()).label("here").help(help));
        }
    };
    let is_stapled = certificate.staple == Some(true) || certificate.must_staple == Some(true);
    let is_published = scenario.revocation.is_some_and(|source| source != RevocationSource::Nowhere);
    wrong_if(
        fault.revoked.is_some() && !is_published && !(is_stapled && fault.revoked == Some(Revoked::Certificate)),
        &["fault", "revoked"],
        "`fault.revoked` is told to nobody",
        "say where the CA publishes it: `revocation = \"ocsp\"` at the top; or for the server's certificate `staple = true` in `[certificate]`",
    );
    wrong_if(
        fault.publishing.is_some() && !is_published && scenario.fetch_issuers.is_none(),
        &["fault", "publishing"],
        "`fault.publishing` needs something to be published and fetched",
        "write `revocation = \"ocsp\"` or `fetch-issuers = true` at the top",
    );
    wrong_if(
        fault.publishing.is_some_and(PublishingFault::is_of_ocsp) && !scenario.revocation.is_some_and(RevocationSource::has_ocsp),
        &["fault", "publishing"],
        "`fault.publishing` is an answer that only an OCSP responder gives",
        "write `revocation = \"ocsp\"` at the top",
    );
    wrong_if(
        fault.staple == Some(StapleFault::Missing) && certificate.must_staple != Some(true),
        &["fault", "staple"],
        "a missing staple is no fault where none was promised",
        "write `must-staple = true` in `[certificate]`",
    );
}

/// One fault, or several on different knobs with a reason.
fn faults(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    let faults = scenario.fault.active();
    let mut seen: Vec<(&str, Knob)> = Vec::new();
    for (fault, knob) in faults.iter().copied() {
        if let Some((earlier, _)) = seen.iter().find(|(_, other)| *other == knob) {
            let message = format!("the faults `{earlier}` and `{fault}` contradict each other: both decide {}", knob.words());
            let error = ScenarioError::at(places.key(&["fault", fault]), message).label("this fault");
            errors
                .push(error.other(places.key(&["fault", earlier]), "and this one").help("keep one, and write a second scenario"));
        }
        seen.push((fault, knob));
    }
    let find = |key: &str| faults.iter().any(|(fault, _)| *fault == key);
    for (first, second, reason) in EXCLUSIVE.iter().filter(|(first, second, _)| find(first) && find(second)) {
        let message = format!("the faults `{first}` and `{second}` contradict each other: {reason}");
        let error = ScenarioError::at(places.key(&["fault", second]), message).label("this fault");
        errors.push(error.other(places.key(&["fault", first]), "and this one").help("keep one of them"));
    }
    // Faults on one knob are reported above, and `compound` would not mend them.
    let second = faults.iter().find(|(_, knob)| Some(*knob) != faults.first().map(|(_, knob)| *knob));
    match (&scenario.compound, faults.first(), second) {
        (None, Some((first, _)), Some((second, _))) => {
            let message = format!("{} faults without `compound`: which of them would a checker have missed?", faults.len());
            let error = ScenarioError::at(places.key(&["fault", second]), message).label("another fault");
            errors.push(
                error
                    .other(places.key(&["fault", first]), "one fault")
                    .help("keep one fault, or say at the top why they belong together: compound = \"…\""),
            );
        }
        (Some(_), _, _) if faults.len() < 2 => {
            let message = format!("`compound` is for two faults or more, this scenario has {}", faults.len());
            errors.push(ScenarioError::at(places.key(&["compound"]), message).label("no reason needed").help("remove the line"));
        }
        _ => {}
    }
}

/// What the correct world names is right, and what a fault names is wrong.
fn names(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    if scenario.domain.is_some() {
        return;
    }
    let (host, certificate, fault) = (&scenario.server.host, &scenario.certificate, &scenario.fault);
    let mut wrong_if = |is_wrong: bool, path: [&str; 2], message: String, help: &str| {
        if is_wrong {
            errors.push(ScenarioError::at(places.key(&path), message).label("here").help(help));
        }
    };
    let names = certificate.names.as_deref().unwrap_or_default();
    let covers = |names: &[String]| names.iter().any(|name| host.is_matched_by(name));
    wrong_if(
        !names.is_empty() && !covers(names),
        ["certificate", "names"],
        format!("`certificate.names` does not cover the host `{host}`: that is a fault"),
        "the fault `wrong-names` is for that",
    );
    // An empty CN means none.
    let common_name = certificate.common_name.as_deref().filter(|name| !name.is_empty());
    wrong_if(
        common_name.is_some_and(|name| !host.is_matched_by(name) && !names.iter().any(|other| other == name)),
        ["certificate", "common-name"],
        format!("`certificate.common-name` is neither the host `{host}` nor one of `certificate.names`: that is a fault"),
        "the fault `foreign-common-name` is for that",
    );
    let said = [
        ("second-names", fault.second_names.as_deref().unwrap_or_default()),
        ("greeting-name", fault.greeting_name.as_slice()),
        ("ehlo-name", fault.ehlo_name.as_slice()),
        ("foreign-common-name", fault.foreign_common_name.as_slice()),
        ("wrong-names", fault.wrong_names.as_deref().unwrap_or_default()),
    ];
    for (key, names) in said {
        let message = format!("`fault.{key}` names the host `{host}`: that is no fault");
        wrong_if(covers(names), ["fault", key], message, "name another host, or remove the line");
    }
}

/// A relay says what it does, and hides where clients come from: that is what may be wrong, or nothing depends on it.
fn relay(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    let Some(relay) = &scenario.fault.relay else { return };
    let place = || places.key(&["fault", "relay"]);
    if let Some(why) = relay.contradiction() {
        errors.push(ScenarioError::at(place(), why).label("this relay"));
    }
    if scenario.vantage.len() > 1 && relay.hides_clients.is_none() {
        let error = ScenarioError::at(place(), "behind a relay all clients come from one address: one vantage point is the most");
        errors.push(error.label("this relay").help("leave the tables `[vantage.…]` out"));
    }
}

/// Every vantage point that is spoken of exists.
fn vantages(scenario: &Scenario, places: &Places, errors: &mut Vec<ScenarioError>) {
    let mut names: Vec<&str> = scenario.vantage.keys().map(String::as_str).collect();
    if names.is_empty() {
        names.push("here");
    }
    let unknown = |span, name: &str| {
        ScenarioError::at(span, format!("there is no vantage point {}", quote(name)))
            .label("unknown")
            .maybe_help(did_you_mean(name, names.iter().copied()))
            .help(list(name, "vantage points", names.iter().copied()))
            .help(format!("a table `[vantage.{name}]` would make it one"))
    };
    let only_to = scenario.fault.starttls_only_to.as_deref().unwrap_or_default();
    let path = ["fault", "starttls-only-to"];
    let lists = [
        ("starttls-only-to", only_to),
        ("blocks", scenario.fault.blocks.as_deref().unwrap_or_default()),
        ("other-certificate-to", scenario.fault.other_certificate_to.as_deref().unwrap_or_default()),
    ];
    for (key, list) in lists {
        for name in list.iter().filter(|name| !names.contains(&name.as_str())) {
            errors.push(unknown(places.item(&["fault", key], name), name));
        }
    }
    if !only_to.is_empty() && names.iter().all(|name| only_to.iter().any(|only| only == name)) {
        let error = ScenarioError::at(places.key(&path), "`fault.starttls-only-to` names every vantage point: that is no fault");
        errors.push(error.label("offered to everyone").help("add a vantage point that STARTTLS is not offered to"));
    }
    for name in scenario.expect.from.keys().filter(|name| !names.contains(&name.as_str())) {
        errors.push(unknown(places.key(&["expect", "from", name]), name));
    }
}

/// The truth says something, and not both a thing and its opposite.
fn expectation(path: &[&str], expect: &ExpectFrom, places: &Places, errors: &mut Vec<ScenarioError>) {
    let table = path.join(".");
    let inside = |key| [path, &[key]].concat();
    let (must, must_not) = (inside("must"), inside("must-not"));
    if expect.must.is_empty() && expect.must_not.is_empty() && expect.verdicts.is_empty() {
        let error = ScenarioError::at(places.key(path), format!("`[{table}]` says nothing: any answer would pass"));
        errors.push(
            error.label("empty").help("state `must`, `must-not` or `verdicts`; must-not = [\"*\"] means: nothing else is wrong"),
        );
    }
    for rule in expect.must.iter().filter(|rule| expect.must_not.contains(rule)) {
        let error = ScenarioError::at(
            places.item(&must_not, rule),
            format!("`{rule}` is both in `must` and in `must-not` of `[{table}]`"),
        );
        errors.push(error.label("must not").other(places.item(&must, rule), "must"));
    }
    if expect.must_not.len() > 1 && expect.must_not.iter().any(|rule| rule == "*") {
        let message = format!("`*` in `must-not` of `[{table}]` already means every other rule");
        errors.push(
            ScenarioError::at(places.item(&must_not, "*"), message).label("all of them").help("keep `*` alone, or the names"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::schema::{Known, schema};

    #[test]
    fn the_tables_of_contradictions_speak_of_keys_that_exist() {
        let schema = schema(&Known { rules: &[], kinds: &[], policies: &[] });
        let keys = crate::scenario::Faults::KEYS;
        for (table, key, faults) in CONTRADICTED {
            let reference = schema["properties"][table]["$ref"].as_str().unwrap().trim_start_matches('#');
            assert!(schema.pointer(reference).unwrap()["properties"][key].is_object(), "{table}.{key}");
            assert!(faults.iter().all(|fault| keys.contains(fault)), "{faults:?}");
        }
        assert!(EXCLUSIVE.iter().all(|(first, second, _)| keys.contains(first) && keys.contains(second)));
    }
}
