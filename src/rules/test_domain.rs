//! A whole domain for tests: right in everything, and bent in one place by each case.

use rstest::rstest;
use sha2::{Digest as _, Sha256};

use super::{
    DomainContext, Outcome, RolloverKind, find, of_domains, policy, renewal,
    test_facts::{HOST, NOW, World, kind, messages},
};
use crate::{
    dane::Tlsa,
    facts::{
        Absence, Alias, Bogus, BogusCause, Certificate, DnsAnswer, DnsFailure, DomainFacts, Failure, FormerPolicy, HostFacts,
        MtaStsFacts, MxRecord, Observed, PassedOver, PolicyBody, PolicyFetch, PolicyResponse, Possession, Proof, Session,
        TlsaLookup,
    },
    name::Name,
    trust::TrustStore,
};

const DOMAIN: &str = "example.test";

pub(crate) fn seen<T>(name: &str, records: Vec<T>) -> Observed<DnsAnswer<T>> {
    let absence = records.is_empty().then_some(Absence::NoData);
    let proof = Proof::Secure;
    Observed::Seen(DnsAnswer { name: name.into(), aliases: Vec::new(), records, left_out: 0, absence, proof })
}

pub(crate) fn bogus() -> Proof {
    Proof::Bogus(Bogus { cause: BogusCause::Expired, text: "the signature of x expired".into() })
}

pub(crate) fn failed<T>() -> Observed<T> {
    Observed::Failed(Failure::Dns(DnsFailure::ServerFailure("x".into())))
}

/// The world with a certificate for the policy host as well.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) facts: DomainFacts,
}

impl Site {
    pub(crate) fn correct() -> Self {
        let world = World::correct();
        let key = world.chain[0].details().unwrap().key.sha256.clone();
        let policy_leaf = world.issuing.leaf(|params| {
            params.subject_alt_names =
                rcgen::CertificateParams::new(vec![format!("mta-sts.{DOMAIN}")]).unwrap().subject_alt_names;
        });
        let text = format!("version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: 604800\n");
        let host = HostFacts {
            name: Name::parse(HOST).unwrap(),
            preference: Some(10),
            v4: seen(HOST, vec!["198.51.100.10".parse().unwrap()]),
            v6: seen(HOST, Vec::new()),
            passed_over: Vec::new(),
            tlsa: vec![TlsaLookup {
                base: HOST.into(),
                answer: seen("x", vec![Tlsa::from_text(&format!("3 1 1 {key}")).unwrap()]),
            }],
            facts: world.facts(1),
        };
        let facts = DomainFacts {
            domain: Name::parse(DOMAIN).unwrap(),
            resolver: "192.0.2.53:53".to_owned(),
            anchor: "test".to_owned(),
            mx: seen(DOMAIN, vec![MxRecord { preference: 10, exchange: HOST.into() }]),
            hosts: vec![host],
            left_out: Vec::new(),
            mta_sts: MtaStsFacts {
                record: seen("x", vec!["v=STSv1; id=1;".into()]),
                policy: Observed::Seen(PolicyFetch {
                    host: Name::parse(&format!("mta-sts.{DOMAIN}")).unwrap(),
                    address: None,
                    is_connected: true,
                    certificates: Observed::Seen(vec![policy_leaf, world.issuing.certificate.clone()]),
                    possession: Observed::Seen(Possession::Proven("x".to_owned())),
                    response: Observed::Seen(PolicyResponse {
                        status: 200,
                        content_type: Some("text/plain; charset=utf-8".into()),
                        location: None,
                        body: PolicyBody { bytes: text.into_bytes(), is_cut: false },
                    }),
                }),
                former: None,
            },
            tlsrpt: seen("x", vec!["v=TLSRPTv1; rua=mailto:a@example.test".into()]),
            caa: seen("x", Vec::new()),
        };
        Self { world, facts }
    }

    pub(crate) fn context(&self) -> DomainContext<'_> {
        DomainContext::new(&self.facts, &self.world.stores, policy::default(), NOW)
    }

    fn judge(&self, id: &str) -> Outcome {
        let rule = find(id).unwrap_or_else(|| panic!("there is no rule {id}"));
        rule.judge_domain(&self.context())
    }

    pub(crate) fn mx(&mut self, records: &[(u16, &str)]) {
        let records =
            records.iter().map(|(preference, exchange)| MxRecord { preference: *preference, exchange: (*exchange).into() });
        self.facts.mx = seen(DOMAIN, records.collect());
    }

    pub(crate) fn tlsa(&mut self, records: &[&str]) {
        self.facts.hosts[0].tlsa[0].answer = seen("x", records.iter().map(|text| Tlsa::from_text(text).unwrap()).collect());
    }

    pub(crate) fn tlsa_proof(&mut self, proof: Proof) {
        let Observed::Seen(answer) = &mut self.facts.hosts[0].tlsa[0].answer else { panic!("no TLSA") };
        answer.proof = proof;
    }

    pub(crate) fn address_proof(&mut self, proof: Proof) {
        let Observed::Seen(answer) = &mut self.facts.hosts[0].v4 else { panic!("no A") };
        answer.proof = proof;
    }

    fn former(&mut self, id: &str, max_age: &str) {
        let text = format!("version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: {max_age}\n");
        let body = PolicyBody { bytes: text.into_bytes(), is_cut: false };
        self.facts.mta_sts.former = Some(FormerPolicy { id: id.into(), body });
    }

    pub(crate) fn fetched(&mut self) -> &mut PolicyFetch {
        let Observed::Seen(fetched) = &mut self.facts.mta_sts.policy else { panic!("no policy") };
        fetched
    }

    pub(crate) fn response(&mut self) -> &mut PolicyResponse {
        let Observed::Seen(response) = &mut self.fetched().response else { panic!("no response") };
        response
    }

    pub(crate) fn policy(&mut self, from: &str, to: &str) {
        let text = String::from_utf8(self.response().body.bytes.clone()).unwrap();
        assert!(text.contains(from));
        self.response().body.bytes = text.replace(from, to).into_bytes();
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.facts.hosts[0].facts.views[0].session
    }

    pub(crate) fn without_starttls(&mut self) {
        World::without_starttls(&mut self.facts.hosts[0].facts.views[0]);
    }

    pub(crate) fn leaf(&mut self, change: impl FnOnce(&mut rcgen::CertificateParams)) {
        let leaf = self.world.issuing.leaf(change);
        let issuing = self.world.issuing.certificate.clone();
        self.session().certificates = Observed::Seen(vec![leaf, issuing]);
    }

    /// `2 1 1` for the certificate above the server's own.
    pub(crate) fn anchored(&mut self) {
        let key = self.world.issuing.certificate.details().unwrap().key.sha256.clone();
        self.tlsa(&[&format!("2 1 1 {key}")]);
    }

    pub(crate) fn second_host(&mut self) -> &mut HostFacts {
        let mut second = self.facts.hosts[0].clone();
        second.preference = Some(20);
        second.name = Name::parse("mx2.example.test").unwrap();
        second.facts.target.name = second.name.clone();
        self.facts.hosts.push(second);
        self.facts.hosts.last_mut().unwrap()
    }
}

/// A record that fits nothing.
pub(crate) fn digest(byte: u8) -> String {
    format!("3 1 1 {}", Sha256::digest([byte]).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn a_correct_domain_violates_nothing_and_leaves_nothing_open() {
    let site = Site::correct();
    for rule in of_domains() {
        let outcome = site.judge(rule.id);
        assert!(matches!(outcome, Outcome::Passed(_) | Outcome::NotApplicable(_)), "{}: {outcome:?}", rule.id);
    }
}

/// No evidence is no verdict, however it went missing.
#[rstest]
#[case::servfail(Failure::Dns(DnsFailure::ServerFailure("x".into())))]
#[case::timeout(Failure::Dns(DnsFailure::TimedOut("x".into())))]
#[case::no_resolver(Failure::Local("no resolver".to_owned()))]
fn without_facts_every_rule_is_undetermined(#[case] failure: Failure) {
    let mut site = Site::correct();
    site.facts.mx = Observed::Failed(failure.clone());
    site.facts.hosts.clear();
    site.facts.mta_sts =
        MtaStsFacts { record: Observed::Failed(failure.clone()), policy: Observed::NotAttempted("x".to_owned()), former: None };
    site.facts.tlsrpt = Observed::Failed(failure);
    for rule in of_domains() {
        assert_eq!(kind(&site.judge(rule.id)), "undetermined", "{}", rule.id);
    }
}

/// Servers that nobody could look at prove nothing.
#[test]
fn without_views_nothing_about_servers_is_right() {
    let mut site = Site::correct();
    site.facts.hosts[0].facts.views.clear();
    site.facts.hosts[0].passed_over.push(PassedOver { address: [10, 0, 0, 1].into(), why: "x".to_owned(), is_inside: false });
    for id in ["dane-mismatch", "dane-without-starttls", "sts-mx-certificate", "sts-mx-without-starttls", "uneven-tls"] {
        assert_eq!(kind(&site.judge(id)), "undetermined", "{id}");
    }
}

#[test]
fn a_domain_that_takes_no_mail_is_no_failure() {
    let mut site = Site::correct();
    site.mx(&[(0, ".")]);
    site.facts.hosts.clear();
    site.facts.mta_sts = MtaStsFacts {
        record: seen("x", Vec::new()),
        policy: Observed::NotAttempted("there is no policy host".to_owned()),
        former: None,
    };
    site.facts.tlsrpt = seen("x", Vec::new());
    for rule in of_domains() {
        let outcome = site.judge(rule.id);
        assert!(matches!(outcome, Outcome::Passed(_) | Outcome::NotApplicable(_)), "{}: {outcome:?}", rule.id);
    }
}

/// Each bends one thing; the rule must say this and no other kind of outcome.
#[rstest]
#[case("no-mail-server", "violated", |s: &mut Site| s.facts.mx = Observed::Seen(DnsAnswer { absence: Some(Absence::NxDomain), records: Vec::new(), name: DOMAIN.into(), aliases: Vec::new(), left_out: 0, proof: Proof::Secure }))]
#[case("no-mail-server", "violated", |s: &mut Site| { s.mx(&[]); s.facts.hosts[0].v4 = seen(HOST, Vec::new()); })]
#[case("no-mail-server", "undetermined", |s: &mut Site| { s.mx(&[]); s.facts.hosts[0].v4 = failed(); })]
#[case("implicit-mx", "violated", |s: &mut Site| s.mx(&[]))]
#[case("null-mx-combined", "violated", |s: &mut Site| s.mx(&[(0, "."), (10, HOST)]))]
#[case("null-mx-combined", "not-applicable", |s: &mut Site| s.mx(&[(0, ".")]))]
#[case("null-mx-preference", "violated", |s: &mut Site| s.mx(&[(10, ".")]))]
#[case("mx-target-invalid", "violated", |s: &mut Site| s.mx(&[(10, "192.0.2.1")]))]
#[case("mx-target-invalid", "violated", |s: &mut Site| s.mx(&[(10, r"mx\032one.example.test"), (10, HOST)]))]
#[case("mx-unresolvable", "violated", |s: &mut Site| s.facts.hosts[0].v4 = seen(HOST, Vec::new()))]
#[case("mx-unresolvable", "undetermined", |s: &mut Site| s.facts.hosts[0].v4 = failed())]
#[case("mx-unresolvable", "violated", |s: &mut Site| {
    s.facts.hosts[0].v4 = Observed::Failed(Failure::Dns(DnsFailure::Loop("x".into())));
    s.facts.hosts[0].v6 = Observed::Failed(Failure::Dns(DnsFailure::Loop("x".into())));
})]
#[case("mx-alias", "violated", |s: &mut Site| {
    let Observed::Seen(answer) = &mut s.facts.hosts[0].v4 else { panic!() };
    answer.aliases.push(Alias { from: HOST.into(), to: "other.test".into(), proof: Proof::Secure });
})]
#[case("mx-inside-address", "violated", |s: &mut Site| s.facts.hosts[0].passed_over.push(PassedOver { address: [10, 0, 0, 1].into(), why: "x".to_owned(), is_inside: true }))]
#[case("uneven-tls", "violated", |s: &mut Site| World::without_starttls(&mut s.second_host().facts.views[0]))]
#[case("uneven-tls", "not-applicable", |s: &mut Site| s.without_starttls())]
#[case("uneven-tls", "undetermined", |s: &mut Site| World::timed_out(&mut s.second_host().facts.views[0]))]
#[case("dnssec-bogus", "violated", |s: &mut Site| s.tlsa_proof(bogus()))]
#[case("dnssec-bogus", "violated", |s: &mut Site| s.address_proof(bogus()))]
#[case("dnssec-bogus", "undetermined", |s: &mut Site| s.address_proof(Proof::Indeterminate("two validators differ".to_owned())))]
#[case("dnssec-bogus", "undetermined", |s: &mut Site| s.facts.tlsrpt = failed())]
#[case("domain-unsigned", "violated", |s: &mut Site| { let Observed::Seen(answer) = &mut s.facts.mx else { panic!() }; answer.proof = Proof::Insecure; })]
#[case("mx-host-unsigned", "violated", |s: &mut Site| s.address_proof(Proof::Insecure))]
#[case("dane-mismatch", "violated", |s: &mut Site| s.tlsa(&[&digest(1)]))]
#[case("dane-mismatch", "passed", |s: &mut Site| {
    let own = s.facts.hosts[0].tlsa().seen().unwrap().records[0].to_string();
    s.tlsa(&[&digest(1), &own]);
})]
#[case("dane-mismatch", "passed", |s: &mut Site| s.anchored())]
#[case("dane-mismatch", "violated", |s: &mut Site| { s.anchored(); let Observed::Seen(chain) = &mut s.session().certificates else { panic!() }; chain.truncate(1); })]
#[case("dane-mismatch", "undetermined", |s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed())]
#[case("dane-mismatch", "not-applicable", |s: &mut Site| s.tlsa(&[]))]
#[case("dane-mismatch", "not-applicable", |s: &mut Site| { s.tlsa(&[&digest(1)]); s.tlsa_proof(Proof::Insecure); })]
#[case("dane-mismatch", "undetermined", |s: &mut Site| { s.tlsa(&[&digest(1)]); s.tlsa_proof(bogus()); })]
#[case("dane-ta-certificate-expired", "violated", |s: &mut Site| { s.anchored(); s.leaf(|params| params.not_after = NOW - time::Duration::days(2)); })]
#[case("dane-ta-name-mismatch", "violated", |s: &mut Site| {
    s.anchored();
    s.leaf(|params| params.subject_alt_names = rcgen::CertificateParams::new(vec!["other.test".to_owned()]).unwrap().subject_alt_names);
})]
#[case("dane-ta-name-mismatch", "passed", |s: &mut Site| {
    s.anchored();
    s.leaf(|params| params.subject_alt_names = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).unwrap().subject_alt_names);
})]
#[case("dane-without-starttls", "violated", |s: &mut Site| s.without_starttls())]
#[case("dane-without-starttls", "violated", |s: &mut Site| { s.tlsa(&["0 0 1 00"]); s.without_starttls(); })]
#[case("dane-without-starttls", "undetermined", |s: &mut Site| World::timed_out(&mut s.facts.hosts[0].facts.views[0]))]
#[case("tlsa-lookup-fails", "violated", |s: &mut Site| s.facts.hosts[0].tlsa[0].answer = failed())]
#[case("tlsa-lookup-fails", "undetermined", |s: &mut Site| {
    s.facts.hosts[0].tlsa[0].answer = failed();
    (s.facts.hosts[0].v4, s.facts.hosts[0].v6) = (failed(), failed());
})]
#[case("tlsa-unusable", "violated", |s: &mut Site| s.tlsa(&["1 1 1 00", "3 1 1 00", "3 2 1 00"]))]
#[case("tlsa-partly-unusable", "violated", |s: &mut Site| s.tlsa(&["1 1 1 00", &digest(1)]))]
#[case("tlsa-unsigned", "violated", |s: &mut Site| s.tlsa_proof(Proof::Insecure))]
#[case("tlsa-of-whole-certificate", "violated", |s: &mut Site| s.tlsa(&[&digest(1).replacen("3 1 1", "3 0 1", 1)]))]
#[case("dane-partial", "violated", |s: &mut Site| s.second_host().tlsa[0].answer = seen("x", Vec::new()))]
#[case("dane-partial", "undetermined", |s: &mut Site| s.second_host().tlsa[0].answer = failed())]
#[case("neither-dane-nor-mta-sts", "violated", |s: &mut Site| { s.tlsa(&[]); s.facts.mta_sts.record = seen("x", Vec::new()); })]
#[case("neither-dane-nor-mta-sts", "undetermined", |s: &mut Site| { s.tlsa(&[]); s.facts.mta_sts.record = failed(); })]
#[case("neither-dane-nor-mta-sts", "undetermined", |s: &mut Site| { s.facts.hosts[0].tlsa[0].answer = failed(); s.facts.mta_sts.record = seen("x", Vec::new()); })]
#[case("sts-record-invalid", "violated", |s: &mut Site| s.facts.mta_sts.record = seen("x", vec!["v=STSv1; id=a-b".into()]))]
#[case("sts-record-invalid", "violated", |s: &mut Site| s.facts.mta_sts.record = seen("x", vec!["v=STSv2; id=1".into()]))]
#[case("sts-record-missing", "violated", |s: &mut Site| s.facts.mta_sts.record = seen("x", Vec::new()))]
#[case("sts-policy-unreachable", "violated", |s: &mut Site| s.response().status = 404)]
#[case("sts-policy-unreachable", "violated", |s: &mut Site| s.fetched().response = Observed::Failed(Failure::Refused))]
#[case("sts-policy-unreachable", "violated", |s: &mut Site| s.fetched().response = Observed::Failed(Failure::TimedOut { millis: 1 }))]
#[case("sts-policy-unreachable", "undetermined", |s: &mut Site| {
    s.fetched().response = Observed::Failed(Failure::TimedOut { millis: 1 });
    s.fetched().is_connected = false;
})]
#[case("sts-policy-redirected", "violated", |s: &mut Site| s.response().status = 301)]
#[case("sts-policy-host-certificate", "violated", |s: &mut Site| { let chain = s.world.chain.clone(); s.fetched().certificates = Observed::Seen(chain); })]
#[case("sts-policy-host-certificate", "violated", |s: &mut Site| s.fetched().possession = Observed::Seen(Possession::Refuted("x".to_owned())))]
#[case("sts-policy-host-certificate", "undetermined", |s: &mut Site| s.world.stores = vec![TrustStore { name: "x".to_owned(), public: true, anchors: Vec::new() }])]
#[case("sts-policy-invalid", "violated", |s: &mut Site| s.policy("enforce", "forced"))]
#[case("sts-policy-invalid", "violated", |s: &mut Site| s.response().body.is_cut = true)]
#[case("sts-policy-content-type", "violated", |s: &mut Site| s.response().content_type = Some("text/html".into()))]
#[case("sts-policy-form", "violated", |s: &mut Site| s.policy("mode", "\nmode"))]
#[case("sts-mx-not-listed", "violated", |s: &mut Site| s.policy(HOST, "*.other.test"))]
#[case("sts-mx-not-listed", "not-applicable", |s: &mut Site| { s.policy(HOST, "*.other.test"); s.policy("enforce", "none"); })]
#[case("sts-mx-without-starttls", "violated", |s: &mut Site| s.without_starttls())]
#[case("sts-mx-certificate", "violated", |s: &mut Site| s.leaf(|params| params.not_after = NOW - time::Duration::days(2)))]
#[case("sts-mx-certificate", "undetermined", |s: &mut Site| World::timed_out(&mut s.facts.hosts[0].facts.views[0]))]
#[case("sts-not-enforced", "violated", |s: &mut Site| s.policy("enforce", "testing"))]
#[case("sts-id-unchanged", "not-applicable", |_: &mut Site| {})]
#[case("sts-id-unchanged", "violated", |s: &mut Site| s.former("1", "604801"))]
#[case("sts-id-unchanged", "passed", |s: &mut Site| s.former("1", "604800"))]
#[case("sts-id-unchanged", "passed", |s: &mut Site| s.former("0", "604801"))]
#[case("sts-id-unchanged", "not-applicable", |s: &mut Site| s.former("1", "x"))]
#[case("sts-short-max-age", "violated", |s: &mut Site| s.policy("604800", "3600"))]
#[case("tlsrpt-missing", "violated", |s: &mut Site| s.facts.tlsrpt = seen("x", vec!["v=spf1 -all".into()]))]
#[case("tlsrpt-invalid", "violated", |s: &mut Site| s.facts.tlsrpt = seen("x", vec!["v=TLSRPTv1; rua=a@b.test".into()]))]
fn one_fault_one_outcome(#[case] id: &str, #[case] expected: &str, #[case] bend: fn(&mut Site)) {
    let mut site = Site::correct();
    bend(&mut site);
    let outcome = site.judge(id);
    assert_eq!(kind(&outcome), expected, "{outcome:?}");
}

#[test]
fn what_senders_only_report_is_a_warning() {
    let mut site = Site::correct();
    site.policy("enforce", "testing");
    site.policy(HOST, "*.other.test");
    let Outcome::Violated(violations) = site.judge("sts-mx-not-listed") else { panic!("not violated") };
    assert_eq!(violations[0].severity, Some(crate::finding::Severity::Warn));
}

#[test]
fn a_fault_at_one_address_of_one_server_says_which() {
    let mut site = Site::correct();
    let wrong = site.world.issuing.leaf_of(super::test_facts::Key::Rsa(2048));
    let second = site.second_host();
    second.facts.views[0].session.certificates = Observed::Seen(vec![wrong]);
    second.facts.views[0].address = "198.51.100.77:25".parse().unwrap();
    let outcome = site.judge("dane-mismatch");
    assert_eq!(messages(&outcome), ["no TLSA record fits the certificate of mx2.example.test at 198.51.100.77"]);
}

/// What is said of the records of the first host, and what could not be told.
fn rollovers(site: &Site, next: &[Vec<Certificate>]) -> (Vec<RolloverKind>, usize) {
    let context = DomainContext::new(&site.facts, &site.world.stores, policy::default(), NOW);
    let (found, unknown) = renewal::rollovers(&context, next, time::Duration::days(30));
    (found.into_iter().map(|rollover| rollover.kind).collect(), unknown.len())
}

/// The record of the certificate in use, in that form, beside others.
fn records(site: &mut Site, form: &str, others: &[&str]) {
    let leaf = site.session().certificates.seen().unwrap()[0].clone();
    let details = leaf.details().unwrap();
    let hash = if form.starts_with("3 0") { &details.sha256 } else { &details.key.sha256 };
    let own = format!("{form} {hash}");
    let all: Vec<&str> = [own.as_str()].into_iter().chain(others.iter().copied()).collect();
    site.tlsa(&all);
}

#[rstest]
#[case::right(&[], 0, |_: &mut Site| {})]
#[case::ends_soon(&[RolloverKind::NextNotPublished], 0, |s: &mut Site| {
    s.leaf(|params| params.not_after = NOW + time::Duration::days(20));
    records(s, "3 0 1", &[]);
})]
#[case::both_are_published(&[RolloverKind::RecordWithoutCertificate], 0, |s: &mut Site| {
    s.leaf(|params| params.not_after = NOW + time::Duration::days(20));
    records(s, "3 1 1", &[&digest(1)]);
})]
#[case::left_over(&[RolloverKind::RecordWithoutCertificate], 0, |s: &mut Site| records(s, "3 1 1", &[&digest(1)]))]
#[case::of_the_ca(&[], 0, |s: &mut Site| {
    s.leaf(|params| params.not_after = NOW + time::Duration::days(20));
    s.anchored();
})]
#[case::expired_under_the_ca(&[], 0, |s: &mut Site| {
    s.leaf(|params| params.not_after = NOW - time::Duration::days(20));
    s.anchored();
})]
#[case::none_fits(&[RolloverKind::NoRecordFits], 0, |s: &mut Site| s.tlsa(&[&digest(1)]))]
#[case::none_is_usable(&[], 0, |s: &mut Site| s.tlsa(&["1 1 1 00"]))]
#[case::bogus(&[], 1, |s: &mut Site| s.tlsa_proof(bogus()))]
#[case::insecure(&[], 0, |s: &mut Site| s.tlsa_proof(Proof::Insecure))]
// What an address serves that did not answer may be what a record is of.
#[case::half_seen(&[], 0, |s: &mut Site| {
    records(s, "3 1 1", &[&digest(1)]);
    let mut other = s.facts.hosts[0].facts.views[0].clone();
    World::timed_out(&mut other);
    s.facts.hosts[0].facts.views.push(other);
})]
#[case::unseen(&[], 0, |s: &mut Site| { s.tlsa(&[&digest(1)]); World::timed_out(&mut s.facts.hosts[0].facts.views[0]); })]
fn what_a_renewal_does_to_records(#[case] kinds: &[RolloverKind], #[case] unknown: usize, #[case] bend: fn(&mut Site)) {
    let mut site = Site::correct();
    bend(&mut site);
    assert_eq!(rollovers(&site, &[]), (kinds.to_vec(), unknown));
}

#[test]
fn the_next_certificate_has_its_record_or_not() {
    let mut site = Site::correct();
    let begin = NOW + time::Duration::days(2);
    let next = site.world.issuing.leaf_with(super::test_facts::Key::Rsa(2048), |params| {
        params.not_before = begin;
        params.not_after = begin + time::Duration::days(90);
    });
    let chain = vec![vec![next.clone(), site.world.issuing.certificate.clone()]];
    assert_eq!(rollovers(&site, &chain).0, [RolloverKind::NextNotPublished]);
    let record = format!("3 1 1 {}", next.details().unwrap().key.sha256);
    records(&mut site, "3 1 1", &[&record]);
    assert_eq!(rollovers(&site, &chain).0, [RolloverKind::NextPublished]);
    // The CA stays, and so does its record; that the certificate is not valid yet is no matter now.
    site.anchored();
    assert_eq!(rollovers(&site, &chain).0, [RolloverKind::NextPublished]);
    let foreign = site.world.issuing.leaf(|params| {
        params.subject_alt_names = rcgen::CertificateParams::new(vec!["other.test".to_owned()]).unwrap().subject_alt_names;
    });
    assert_eq!(rollovers(&site, &[vec![foreign]]).0, []);
}
