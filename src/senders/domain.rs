//! What senders do with a message for a whole domain: they go over its MX hosts in the order of preference until one takes it
//! (RFC 5321, 5.1).

use std::net::IpAddr;

use serde::Serialize;

use super::{
    Demand, Dns, Fate, Host, Prediction, Sender, all,
    dns::{Way, way},
    hosts,
};
use crate::{
    facts::{HostFacts, MxRecord, Proof, Vantage},
    finding::ResultType,
    name::Name,
    rules::{DomainContext, deliveries},
};

/// What one sender does with a message for a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DomainRow {
    /// Its id.
    pub sender: &'static str,
    /// Its product.
    pub product: &'static str,
    /// Its setting.
    pub policy: &'static str,
    /// What it insists on.
    pub demand: Demand,
    /// What becomes of the message.
    pub fate: Fate,
    /// What else may become of it, as the sender chooses among hosts and addresses of one preference: nothing worse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<Fate>,
    /// Why; empty where all is as the sender wants it.
    pub why: String,
    /// What the sender would report (RFC 8460, 4.3).
    pub result_type: Option<ResultType>,
    /// The MX host that decides: that which takes the message, or else the first; none where the MX records do.
    pub host: Option<Name>,
    /// Its address; none where all of them are alike.
    pub address: Option<IpAddr>,
    /// Where the sender stands; none where it is the same from everywhere.
    pub from: Option<String>,
    /// Where this is known from.
    pub source: &'static str,
}

/// What every sender would do: one row each, and more where what they do depends on where they stand. Nothing where there is
/// no host to send to.
pub fn predict_domain(context: &DomainContext) -> Vec<DomainRow> {
    let policy = deliveries::sts(context);
    let all_hosts: Vec<MxHost> = context
        .facts
        .hosts
        .iter()
        .zip(&context.hosts)
        .filter(|(facts, _)| deliveries::has_no_address(facts) != Some(true))
        .map(|(facts, of_host)| MxHost { facts, dns: Dns::new(context, facts, &policy), seen: hosts(of_host) })
        .collect();
    let mut vantages: Vec<(Option<&Vantage>, String)> = Vec::new();
    for host in all_hosts.iter().flat_map(|mx| &mx.seen) {
        if !vantages.iter().any(|(known, _)| *known == Some(host.vantage())) {
            vantages.push((Some(host.vantage()), host.vantage_text()));
        }
    }
    if vantages.is_empty() {
        vantages.push((None, String::new()));
    }
    let mut rows = Vec::new();
    for sender in all() {
        let steps: Vec<(Step, &String)> =
            vantages.iter().filter_map(|(vantage, text)| Some((send(sender, context, &all_hosts, *vantage)?, text))).collect();
        let is_same = steps.iter().all(|(step, _)| *step == steps[0].0);
        let kept = if is_same { 1 } else { steps.len() };
        for (step, from) in steps.into_iter().take(kept) {
            rows.push(row(sender, step, (!is_same).then(|| from.clone())));
        }
    }
    rows
}

/// One MX host.
struct MxHost<'a> {
    facts: &'a HostFacts,
    dns: Dns<'a>,
    /// Its addresses, from each vantage point.
    seen: Vec<Host<'a>>,
}

/// What becomes of the message, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step<'a> {
    prediction: Prediction,
    or: Vec<Fate>,
    host: Option<&'a Name>,
    address: Option<IpAddr>,
}

fn row(sender: &'static Sender, step: Step, from: Option<String>) -> DomainRow {
    let Step { prediction: Prediction { fate, why, result_type }, or, host, address } = step;
    let Sender { id, product, policy, demand, source, .. } = sender;
    DomainRow {
        sender: id,
        product,
        policy,
        demand: *demand,
        fate,
        or,
        why,
        result_type,
        host: host.cloned(),
        address,
        from,
        source,
    }
}

/// Goes over the hosts. Those of one preference are tried in any order, and so are the addresses of a host: where they differ
/// in what becomes of the message, the worst counts.
fn send<'a>(
    sender: &Sender,
    context: &DomainContext<'a>,
    all_hosts: &[MxHost<'a>],
    vantage: Option<&Vantage>,
) -> Option<Step<'a>> {
    if let Way::Bogus(why) = way(context) {
        let prediction = unanswered(sender, format!("the MX records are bogus: {}", deliveries::shortened(why)));
        return (!all_hosts.is_empty()).then_some(Step { prediction, or: Vec::new(), host: None, address: None });
    }
    if context.facts.mx.seen().is_some_and(|answer| answer.records.iter().any(MxRecord::is_null)) && !all_hosts.is_empty() {
        let why = "one of the MX records says that the domain takes no mail";
        match sender.product {
            // dns_lookup(3) of Postfix; a null MX must stand alone (RFC 7505, 3).
            "Postfix" => {
                let prediction = Prediction::because(Fate::Bounces, why, None);
                return Some(Step { prediction, or: Vec::new(), host: None, address: None });
            }
            "Exim" => {}
            _ => {
                let prediction = Prediction::unknown(format!("{why}; what this sender makes of the others is not known"));
                return Some(Step { prediction, or: Vec::new(), host: None, address: None });
            }
        }
    }
    let mut deferral: Option<Step> = None;
    for alike in all_hosts.chunk_by(|one, other| one.facts.preference == other.facts.preference) {
        let steps: Vec<Step> = alike.iter().flat_map(|mx| deliver(sender, mx, vantage)).collect();
        for step in steps.iter().filter(|step| step.prediction.fate == Fate::Defers) {
            deferral.get_or_insert_with(|| step.clone());
        }
        let mut ended: Vec<Step> = steps.into_iter().filter(|step| step.prediction.fate != Fate::Defers).collect();
        // The first of the worst.
        ended.sort_by_key(|step| std::cmp::Reverse(step.prediction.fate));
        let mut fates: Vec<Fate> = ended.iter().map(|step| step.prediction.fate).collect();
        fates.dedup();
        let Some(mut step) = ended.into_iter().next() else { continue };
        // Whatever cannot be told may be anything.
        step.or = if step.prediction.fate == Fate::Unknown { Vec::new() } else { fates.split_off(1) };
        if let Some(Step { prediction, host: Some(before), address, .. }) = &deferral {
            let address = address.map_or_else(String::new, |address| format!(" at {address}"));
            let passed = format!("{before}{address} is passed over: {}", prediction.why);
            let why = &mut step.prediction.why;
            *why = if why.is_empty() { passed } else { format!("{why}; {passed}") };
            step.prediction.result_type = step.prediction.result_type.or(prediction.result_type);
        }
        return Some(step);
    }
    deferral
}

/// What becomes of the message at each address of a host; one where they are alike.
fn deliver<'a>(sender: &Sender, mx: &MxHost<'a>, vantage: Option<&Vantage>) -> Vec<Step<'a>> {
    let name = &mx.facts.name;
    let alone = |prediction| vec![Step { prediction, or: Vec::new(), host: Some(name), address: None }];
    let seen = mx.seen.iter().filter(|host| vantage.is_none_or(|vantage| host.vantage() == vantage));
    let steps: Vec<Step> = seen
        .map(|host| Step {
            prediction: (sender.judge)(host, Some(&mx.dns)),
            or: Vec::new(),
            host: Some(name),
            address: Some(host.address()),
        })
        .collect();
    if let Some(Proof::Bogus(bogus)) = mx.dns.addresses() {
        let why = format!("the addresses of {name} are bogus: {}", deliveries::shortened(bogus.text.as_str()));
        let is_stopped = steps.iter().all(|step| step.prediction.fate == Fate::Defers);
        return match sender.demand.validates() && !is_stopped && mx.dns.has_an_address_that_stands() {
            // IPv4 may be bogus, and IPv6 not.
            true => alone(Prediction::unknown(format!("{why}; whether this sender goes on with the others is not known"))),
            false => alone(unanswered(sender, why)),
        };
    }
    match steps.first() {
        None => alone(Prediction::unknown(deliveries::untried(mx.facts))),
        Some(first) if steps.iter().all(|step| step.prediction == first.prediction) => alone(first.prediction.clone()),
        Some(_) => steps,
    }
}

/// A resolver that validates answers SERVFAIL where an answer is bogus (RFC 4035, 5.5): the message waits.
fn unanswered(sender: &Sender, why: String) -> Prediction {
    match sender.demand.validates() {
        true => Prediction::because(Fate::Defers, why, ResultType::DnssecInvalid),
        false => Prediction::unknown(format!("{why}; whether the resolver of this sender validates is not known")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::{
        facts::{Alias, Observed, PolicyBody, Possession, TlsaLookup},
        finding::Verdict,
        rules::{
            test_domain::{Site, bogus, digest, failed, seen},
            test_facts::{HOST, NOW, World},
        },
        senders::{Told, judge_domain},
    };

    fn row(site: &Site, sender: &str) -> DomainRow {
        let rows: Vec<DomainRow> = predict_domain(&site.context()).into_iter().filter(|row| row.sender == sender).collect();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.into_iter().next().unwrap()
    }

    fn expect(sender: &str, change: fn(&mut Site), fate: Fate, result_type: Option<ResultType>) {
        let mut site = Site::correct();
        change(&mut site);
        let row = row(&site, sender);
        assert_eq!((row.fate, row.result_type), (fate, result_type), "{sender}: {}", row.why);
    }

    fn insecure_mx(site: &mut Site) {
        let Observed::Seen(answer) = &mut site.facts.mx else { panic!("no MX") };
        answer.proof = Proof::Insecure;
    }

    fn insecure_address(site: &mut Site) {
        site.address_proof(Proof::Insecure);
        site.facts.hosts[0].tlsa[0].answer = Observed::NotAttempted("the addresses are insecure".to_owned());
    }

    fn self_signed(site: &mut Site) {
        site.session().certificates = Observed::Seen(vec![World::self_signed()]);
    }

    /// A certificate that a record of usage 2 vouches for.
    fn anchored(site: &mut Site, change: impl FnOnce(&mut rcgen::CertificateParams)) {
        site.anchored();
        site.leaf(change);
    }

    /// The weaker of two digests fits, the stronger one does not.
    fn weaker_digest_fits(site: &mut Site) {
        let own = site.facts.hosts[0].tlsa().seen().unwrap().records[0].to_string();
        site.tlsa(&[&own, &format!("3 1 2 {}", "ab".repeat(64))]);
    }

    fn no_policy(site: &mut Site) {
        site.facts.mta_sts.record = seen("x", Vec::new());
    }

    fn usages_of_the_web(site: &mut Site) {
        site.tlsa(&[&digest(1).replacen('3', "1", 1)]);
    }

    use Fate::{Authenticated, Bounces, Clear, Defers, Encrypted, Unknown};
    use ResultType::{
        CertificateExpired, CertificateHostMismatch, CertificateNotTrusted, DaneRequired, DnssecInvalid, StarttlsNotSupported,
        StsPolicyFetchError, StsPolicyInvalid, StsWebpkiInvalid, TlsaInvalid, ValidationFailure,
    };

    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::self_signed(|s: &mut Site| { self_signed(s); s.tlsa(&[&digest(1)]); }, Defers, Some(TlsaInvalid))]
    #[case::expired(|s: &mut Site| s.leaf(|params| params.not_after = NOW - Duration::days(2)), Authenticated, None)]
    #[case::mismatch(|s: &mut Site| s.tlsa(&[&digest(1)]), Defers, Some(TlsaInvalid))]
    #[case::weaker(weaker_digest_fits, Defers, Some(TlsaInvalid))]
    #[case::anchored(|s: &mut Site| anchored(s, |_| {}), Authenticated, None)]
    #[case::anchored_expired(|s: &mut Site| anchored(s, |params| params.not_after = NOW - Duration::days(2)), Defers, Some(CertificateExpired))]
    #[case::anchored_name(|s: &mut Site| anchored(s, |params| params.subject_alt_names = rcgen::CertificateParams::new(["other.test".to_owned()]).unwrap().subject_alt_names), Defers, Some(CertificateHostMismatch))]
    #[case::unusable(usages_of_the_web, Encrypted, Some(TlsaInvalid))]
    #[case::unusable_without_starttls(|s: &mut Site| { usages_of_the_web(s); s.without_starttls(); }, Defers, Some(StarttlsNotSupported))]
    #[case::no_records(|s: &mut Site| s.tlsa(&[]), Encrypted, None)]
    #[case::no_records_without_starttls(|s: &mut Site| { s.tlsa(&[]); s.without_starttls(); }, Clear, Some(StarttlsNotSupported))]
    #[case::without_starttls(Site::without_starttls, Defers, Some(StarttlsNotSupported))]
    #[case::lookup_fails(|s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed(), Defers, Some(DnssecInvalid))]
    #[case::bogus_records(|s: &mut Site| s.tlsa_proof(bogus()), Defers, Some(DnssecInvalid))]
    #[case::insecure_records(|s: &mut Site| { s.tlsa(&[&digest(1)]); s.tlsa_proof(Proof::Insecure); }, Encrypted, None)]
    #[case::insecure_address(insecure_address, Encrypted, None)]
    #[case::bogus_address(|s: &mut Site| s.address_proof(bogus()), Defers, Some(DnssecInvalid))]
    #[case::insecure_mx(insecure_mx, Encrypted, None)]
    #[case::insecure_mx_mismatch(|s: &mut Site| { insecure_mx(s); s.tlsa(&[&digest(1)]); }, Defers, Some(TlsaInvalid))]
    #[case::implicit(|s: &mut Site| s.mx(&[]), Authenticated, None)]
    #[case::indeterminate(|s: &mut Site| s.tlsa_proof(Proof::Indeterminate("two validators differ".to_owned())), Unknown, None)]
    #[case::silent(|s: &mut Site| World::timed_out(&mut s.facts.hosts[0].facts.views[0]), Unknown, None)]
    fn postfix_dane(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("postfix-dane", change, fate, result_type);
    }

    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::mismatch(|s: &mut Site| s.tlsa(&[&digest(1)]), Defers, Some(TlsaInvalid))]
    #[case::unusable(usages_of_the_web, Defers, Some(TlsaInvalid))]
    #[case::no_records(|s: &mut Site| s.tlsa(&[]), Defers, Some(DaneRequired))]
    #[case::insecure_address(insecure_address, Defers, Some(DaneRequired))]
    #[case::insecure_mx(insecure_mx, Defers, Some(DaneRequired))]
    #[case::lookup_fails(|s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed(), Defers, Some(DnssecInvalid))]
    #[case::indeterminate(|s: &mut Site| s.tlsa_proof(Proof::Indeterminate("x".to_owned())), Unknown, None)]
    fn postfix_dane_only(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("postfix-dane-only", change, fate, result_type);
    }

    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::mismatch(|s: &mut Site| s.tlsa(&[&digest(1)]), Defers, Some(TlsaInvalid))]
    #[case::weaker(weaker_digest_fits, Authenticated, None)]
    #[case::unusable(usages_of_the_web, Encrypted, Some(TlsaInvalid))]
    #[case::no_records(|s: &mut Site| s.tlsa(&[]), Encrypted, None)]
    #[case::insecure_mx(insecure_mx, Encrypted, None)]
    #[case::insecure_address(insecure_address, Encrypted, None)]
    #[case::lookup_fails(|s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed(), Defers, Some(DnssecInvalid))]
    #[case::domain_alone_is_named(|s: &mut Site| anchored(s, |params| params.subject_alt_names = rcgen::CertificateParams::new(["example.test".to_owned()]).unwrap().subject_alt_names), Encrypted, Some(CertificateHostMismatch))]
    fn exim_dane(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("exim-dane", change, fate, result_type);
    }

    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::mismatch(|s: &mut Site| s.tlsa(&[&digest(1)]), Defers, Some(TlsaInvalid))]
    #[case::unusable(usages_of_the_web, Encrypted, Some(TlsaInvalid))]
    #[case::no_records(|s: &mut Site| s.tlsa(&[]), Bounces, Some(DaneRequired))]
    #[case::insecure_mx(insecure_mx, Bounces, Some(DaneRequired))]
    #[case::insecure_address(insecure_address, Bounces, Some(DaneRequired))]
    #[case::lookup_fails(|s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed(), Defers, Some(DnssecInvalid))]
    fn exim_require_dane(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("exim-require-dane", change, fate, result_type);
    }

    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::dane_fails(|s: &mut Site| s.tlsa(&[&digest(1)]), Defers, Some(TlsaInvalid))]
    #[case::dane_right_policy_not(self_signed_with_its_record, Unknown, None)]
    #[case::dane_right_and_no_policy(|s: &mut Site| { no_policy(s); self_signed_with_its_record(s); }, Authenticated, None)]
    #[case::policy_alone(|s: &mut Site| s.tlsa(&[]), Authenticated, None)]
    #[case::policy_alone_fails(|s: &mut Site| { s.tlsa(&[]); self_signed(s); }, Defers, Some(CertificateNotTrusted))]
    #[case::neither(|s: &mut Site| { no_policy(s); s.tlsa(&[]); self_signed(s); }, Encrypted, None)]
    #[case::insecure_mx(|s: &mut Site| { no_policy(s); insecure_mx(s); s.tlsa(&[&digest(1)]); }, Encrypted, None)]
    #[case::unusable(|s: &mut Site| { no_policy(s); usages_of_the_web(s); }, Encrypted, Some(TlsaInvalid))]
    #[case::bogus_mx(|s: &mut Site| { let Observed::Seen(mx) = &mut s.facts.mx else { panic!() }; mx.proof = bogus(); }, Defers, Some(DnssecInvalid))]
    fn exchange_online(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("exchange-online", change, fate, result_type);
    }

    fn self_signed_with_its_record(site: &mut Site) {
        self_signed(site);
        let key = World::self_signed().details().unwrap().key.sha256.clone();
        site.tlsa(&[&format!("3 1 1 {key}")]);
    }

    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::no_records(|s: &mut Site| s.tlsa(&[]), Defers, Some(DaneRequired))]
    #[case::mismatch(|s: &mut Site| s.tlsa(&[&digest(1)]), Defers, Some(TlsaInvalid))]
    #[case::unusable(usages_of_the_web, Unknown, None)]
    fn exchange_online_mandatory(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("exchange-online-mandatory", change, fate, result_type);
    }

    /// DANE is nothing to Gmail.
    #[rstest]
    #[case::right(|_: &mut Site| {}, Authenticated, None)]
    #[case::dane_fails(|s: &mut Site| s.tlsa(&[&digest(1)]), Authenticated, None)]
    #[case::dane_lookup_fails(|s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed(), Authenticated, None)]
    #[case::self_signed(self_signed, Defers, Some(CertificateNotTrusted))]
    #[case::expired(|s: &mut Site| s.leaf(|params| params.not_after = NOW - Duration::days(2)), Defers, Some(CertificateExpired))]
    #[case::not_allowed(|s: &mut Site| s.policy(HOST, "other.test"), Defers, Some(ValidationFailure))]
    #[case::without_starttls(Site::without_starttls, Defers, Some(StarttlsNotSupported))]
    #[case::testing(|s: &mut Site| s.policy("enforce", "testing"), Authenticated, None)]
    #[case::testing_self_signed(|s: &mut Site| { s.policy("enforce", "testing"); self_signed(s); }, Encrypted, Some(CertificateNotTrusted))]
    #[case::testing_without_starttls(|s: &mut Site| { s.policy("enforce", "testing"); s.without_starttls(); }, Clear, Some(StarttlsNotSupported))]
    #[case::mode_none(|s: &mut Site| { s.policy("enforce", "none"); self_signed(s); }, Encrypted, None)]
    #[case::no_policy(|s: &mut Site| { no_policy(s); self_signed(s); }, Encrypted, None)]
    #[case::not_fetched(|s: &mut Site| s.response().status = 404, Encrypted, Some(StsPolicyFetchError))]
    #[case::invalid(|s: &mut Site| s.response().body = PolicyBody::default(), Encrypted, Some(StsPolicyInvalid))]
    #[case::policy_host(|s: &mut Site| s.fetched().certificates = Observed::Seen(vec![World::self_signed()]), Encrypted, Some(StsWebpkiInvalid))]
    #[case::record_fails(|s: &mut Site| s.facts.mta_sts.record = failed(), Unknown, None)]
    fn gmail(#[case] change: fn(&mut Site), #[case] fate: Fate, #[case] result_type: Option<ResultType>) {
        expect("gmail", change, fate, result_type);
    }

    /// The first host that takes the message decides, and it is told who was passed over.
    #[test]
    fn another_host_takes_what_the_first_does_not() {
        let mut site = Site::correct();
        site.second_host();
        site.tlsa(&[&digest(1)]);
        let dane = row(&site, "postfix-dane");
        assert_eq!((dane.fate, dane.host.unwrap().as_str()), (Authenticated, "mx2.example.test"));
        assert!(dane.why.contains("mx.example.test is passed over: no TLSA record fits"), "{}", dane.why);
        assert_eq!(dane.result_type, Some(TlsaInvalid));
        assert_eq!(row(&site, "postfix-secure").host.unwrap().as_str(), HOST);
    }

    #[test]
    fn who_gives_back_at_once_does_not_try_the_next() {
        let mut site = Site::correct();
        site.second_host();
        site.tlsa(&[]);
        assert_eq!(row(&site, "exim-require-dane").fate, Bounces);
        assert_eq!(row(&site, "postfix-dane-only").fate, Authenticated);
    }

    /// Hosts of one preference are tried in any order: the worst counts.
    #[test]
    fn of_equals_the_worst_counts() {
        let mut site = Site::correct();
        let second = site.second_host();
        second.preference = Some(10);
        World::without_starttls(&mut second.facts.views[0]);
        let may = row(&site, "postfix-may");
        assert_eq!((may.fate, may.or), (Clear, vec![Encrypted]));
        assert_eq!(row(&site, "postfix-encrypt").fate, Encrypted);
    }

    /// A null MX that does not stand alone is one to Postfix, and none to Exim.
    #[rstest]
    #[case("postfix-may", Bounces)]
    #[case("postfix-dane", Bounces)]
    #[case("exim-dane", Authenticated)]
    #[case("gmail", Unknown)]
    fn a_null_mx_among_others(#[case] sender: &str, #[case] fate: Fate) {
        let mut site = Site::correct();
        site.mx(&[(0, "."), (10, HOST)]);
        assert_eq!(row(&site, sender).fate, fate);
    }

    /// Where an alias leads somewhere without records, Postfix asks at the alias, and Exim does not.
    #[rstest]
    #[case("postfix-dane", Authenticated)]
    #[case("exim-dane", Encrypted)]
    #[case("exim-require-dane", Bounces)]
    fn records_at_the_alias_itself(#[case] sender: &str, #[case] fate: Fate) {
        let mut site = Site::correct();
        let Observed::Seen(answer) = &mut site.facts.hosts[0].v4 else { panic!("no A") };
        answer.aliases.push(Alias { from: HOST.into(), to: "other.test".into(), proof: Proof::Secure });
        site.facts.hosts[0].tlsa.insert(0, TlsaLookup { base: "other.test".into(), answer: seen("x", Vec::new()) });
        assert_eq!(row(&site, sender).fate, fate);
    }

    /// What was not seen may be the first that is tried.
    #[test]
    fn a_first_host_that_is_silent_leaves_it_open() {
        let mut site = Site::correct();
        site.second_host();
        World::timed_out(&mut site.facts.hosts[0].facts.views[0]);
        assert_eq!(row(&site, "postfix-may").fate, Unknown);
    }

    #[test]
    fn a_host_without_address_is_no_host() {
        let mut site = Site::correct();
        site.second_host();
        site.facts.hosts[0].v4 = seen(HOST, Vec::new());
        assert_eq!(row(&site, "postfix-may").host.unwrap().as_str(), "mx2.example.test");
        site.facts.hosts.truncate(1);
        assert!(predict_domain(&site.context()).is_empty());
    }

    /// Who demands DANE whatever the domain says has agreed on it with the domain, or should have.
    #[test]
    fn who_demands_dane_of_everybody_does_not_fail_the_practice() {
        let mut site = Site::correct();
        site.tlsa(&[]);
        let rows = predict_domain(&site.context());
        assert!(rows.iter().any(|row| row.demand() == Demand::DaneAlways && row.fate.stops()));
        assert_eq!(judge_domain(&rows).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn a_key_that_the_server_does_not_hold_stops_everybody_who_insists() {
        let mut site = Site::correct();
        site.session().possession = Observed::Seen(Possession::Refuted("x".to_owned()));
        for sender in ["postfix-dane", "exim-dane", "exchange-online", "gmail"] {
            assert_eq!(row(&site, sender).fate, Defers, "{sender}");
        }
    }
}
