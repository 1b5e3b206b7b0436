//! What senders that keep to DANE (RFC 7672) or to MTA-STS (RFC 8461) make of each server and address of a domain.

use time::OffsetDateTime;

pub(crate) use super::mx::has_no_address;
use super::{
    Context, DomainContext, Outcome, ResultType, certificate_text,
    constraints::{self, Faults},
    join, listed,
    path::{self, End},
    short, tried, why_not,
};
use crate::{
    dane::{Tlsa, Unusable, Usage},
    facts::{Absence, Certificate, DnsAnswer, DnsFailure, Failure, HostFacts, Observed, PolicyFetch, Proof, View},
    mta_sts::{Mode, Policy, Record},
    name::Name,
    trust::TrustStore,
    wire::WireText,
};

/// Why there is no server to judge: the domain takes no mail, or DNS did not tell.
pub(super) fn without_hosts(context: &DomainContext) -> Outcome {
    let facts = context.facts;
    match &facts.mx {
        _ if facts.is_null_mx() => Outcome::NotApplicable("the domain says that it takes no mail".to_owned()),
        Observed::Seen(answer) if answer.absence == Some(Absence::NxDomain) => {
            Outcome::NotApplicable("the domain does not exist".to_owned())
        }
        Observed::Seen(_) => Outcome::Undetermined("none of the MX hosts has a name that can be looked up".to_owned()),
        unseen => Outcome::Undetermined(unseen.why_not()),
    }
}

/// Judges each host and joins the outcomes.
pub(super) fn each_host(context: &DomainContext, judge: impl Fn(&HostFacts, &Context) -> Outcome) -> Outcome {
    let hosts = context.facts.hosts.iter().zip(&context.hosts);
    without_views(join(hosts.map(|(host, of_host)| judge(host, of_host)).enumerate()).unwrap_or_else(|| without_hosts(context)))
}

/// Judges each address of each host, from each vantage point that could be tried.
pub(super) fn each_place(context: &DomainContext, judge: impl Fn(&HostFacts, &Context, usize, &View) -> Outcome) -> Outcome {
    each_host(context, |host, of_host| {
        let outcomes = tried(of_host).map(|(index, view)| (index, judge(host, of_host, index, view)));
        join(outcomes).unwrap_or_else(|| match has_no_address(host) {
            Some(true) => Outcome::NotApplicable(format!("{} has no address", host.name)),
            _ => Outcome::Undetermined(untried(host)),
        })
    })
}

/// The places in the views of one host mean nothing where there are several.
fn without_views(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Violated(mut violations) => {
            violations.iter_mut().for_each(|violation| violation.views.clear());
            Outcome::Violated(violations)
        }
        other => other,
    }
}

/// Why no address of a host was looked at.
pub(crate) fn untried(host: &HostFacts) -> String {
    let name = &host.name;
    fn failed<T>(answer: &Observed<T>) -> Option<String> {
        answer.seen().is_none().then(|| answer.why_not())
    }
    let first = host
        .facts
        .views
        .first()
        .map(|view| format!("{} was not asked: {}", view.address.ip(), view.session.connection.why_not()));
    let passed_over = host.passed_over.first().map(|passed| format!("{} was not asked: {}", passed.address, passed.why));
    let why = first.or(passed_over).or_else(|| failed(&host.v4)).or_else(|| failed(&host.v6));
    match why {
        Some(why) => format!("{name}: {why}"),
        None => format!("{name} has no address"),
    }
}

/// A text from DNS, cut where a reader has seen enough of it.
pub(crate) fn shortened(text: &str) -> String {
    short(text)
}

/// `mx1.example.org at 192.0.2.1`.
pub(super) fn place(host: &HostFacts, view: &View) -> String {
    format!("{} at {}", host.name, view.address.ip())
}

/// What DNS says of the TLSA records of a host, for a sender that keeps to DANE.
pub(crate) enum Dane<'a> {
    /// They are proven, and there is at least one.
    Records { usable: Vec<(&'a Tlsa, Usage)>, unusable: Vec<(&'a Tlsa, Unusable)> },
    /// DANE does not concern this host; why.
    None(String),
    /// The sender must not deliver, since it cannot know (RFC 7672, 2.1 and 2.2); why.
    Withheld(String),
    /// It cannot be told from here.
    Unknown(String),
}

pub(crate) fn dane(host: &HostFacts) -> Dane<'_> {
    dane_by(host, host.tlsa())
}

/// The same for a sender that asks where an alias leads, and not at the alias itself where nothing is there.
pub(crate) fn dane_of_first(host: &HostFacts) -> Dane<'_> {
    dane_by(host, host.tlsa.first().map_or_else(|| host.tlsa(), |lookup| &lookup.answer))
}

fn dane_by<'a>(host: &'a HostFacts, answer: &'a Observed<DnsAnswer<Tlsa>>) -> Dane<'a> {
    let name = &host.name;
    match answer {
        Observed::Seen(answer) => match answer.whole_proof() {
            Proof::Secure if answer.records.is_empty() => Dane::None(format!("{name} has no TLSA records")),
            Proof::Secure => {
                let (mut usable, mut unusable) = (Vec::new(), Vec::new());
                for record in &answer.records {
                    match record.usage() {
                        Ok(usage) => usable.push((record, usage)),
                        Err(why) => unusable.push((record, why)),
                    }
                }
                Dane::Records { usable, unusable }
            }
            Proof::Insecure if answer.records.is_empty() => Dane::None(format!("{name} has no TLSA records")),
            Proof::Insecure => Dane::None(format!("the TLSA records of {name} are insecure, and count for nothing")),
            Proof::Bogus(bogus) => {
                Dane::Withheld(format!("the TLSA records of {name} are bogus: {}", short(bogus.text.as_str())))
            }
            Proof::Indeterminate(why) => Dane::Unknown(format!("the TLSA records of {name} are indeterminate: {}", short(why))),
        },
        Observed::Failed(Failure::Dns(failure)) => {
            Dane::Withheld(format!("the TLSA records of {name} cannot be looked up: {failure}"))
        }
        Observed::Failed(failure) => Dane::Unknown(failure.to_string()),
        Observed::NotAttempted(why) => match address_proof(host) {
            Some(Proof::Insecure) => Dane::None(why.clone()),
            Some(Proof::Bogus(bogus)) => {
                Dane::Withheld(format!("the addresses of {name} are bogus: {}", short(bogus.text.as_str())))
            }
            _ => Dane::Unknown(why.clone()),
        },
    }
}

/// What DNSSEC says of the addresses of a host: of those that there are, the worst.
pub(crate) fn address_proof(host: &HostFacts) -> Option<&Proof> {
    fn of<T>(answer: &Observed<DnsAnswer<T>>) -> Option<&Proof> {
        answer
            .seen()
            .filter(|answer| !answer.records.is_empty() || matches!(answer.whole_proof(), Proof::Bogus(_)))
            .map(DnsAnswer::whole_proof)
    }
    match (of(&host.v4), of(&host.v6)) {
        (Some(bogus @ Proof::Bogus(_)), _) | (_, Some(bogus @ Proof::Bogus(_))) => Some(bogus),
        (Some(Proof::Secure), Some(other)) => Some(other),
        (first, second) => first.or(second),
    }
}

/// What a server offers for TLS at one address.
pub(super) enum Tls<'a> {
    /// Certificates, each chain once.
    Chains(Vec<(Option<&'a str>, &'a [Certificate])>),
    /// STARTTLS is not offered.
    NotOffered,
    /// The server refused the handshake, or STARTTLS; why.
    Refused(String),
    /// Nothing is known; why.
    Unknown(String),
}

pub(super) fn tls<'a>(of_host: &'a Context<'a>, index: usize, view: &'a View) -> Tls<'a> {
    let chains: Vec<_> = of_host
        .chains(index)
        .iter()
        .filter(|chain| !chain.certificates.is_empty())
        .map(|chain| (chain.label(), chain.certificates))
        .collect();
    let session = &view.session;
    if !chains.is_empty() {
        return Tls::Chains(chains);
    }
    if super::views::is_without_starttls(view) {
        return Tls::NotOffered;
    }
    match (&session.starttls, &session.tls) {
        (Observed::Seen(reply), _) if reply.refuses_starttls() => {
            Tls::Refused(format!("STARTTLS is answered {}", short(&reply.to_string())))
        }
        (_, Observed::Failed(failure @ (Failure::Tls(_) | Failure::NotTls(_)))) => Tls::Refused(short(&failure.to_string())),
        _ => Tls::Unknown(why_not(view, &session.certificates)),
    }
}

/// Whether a chain is the one that TLSA records mean.
pub(crate) enum Fit {
    /// A record fits; which.
    Fits(String),
    /// None does.
    Mismatch(Vec<String>),
    /// A trust anchor fits, and a certificate below it is not valid now.
    OutOfDate(String),
    /// A trust anchor fits, and the certificate names nobody that was asked for.
    WrongName(String),
    /// A trust anchor fits, and what is below it is not issued by it.
    BadPath(String),
    /// It cannot be told.
    Unknown(String),
}

/// Compares a chain with the usable records of a host (RFC 7672, 3.1 and 3.2).
pub(crate) fn fit(chain: &[Certificate], usable: &[(&Tlsa, Usage)], names: &[&Name], now: OffsetDateTime) -> Fit {
    let mut faults: Vec<Fit> = Vec::new();
    let mut evidence = Vec::new();
    let mut doubt = None;
    for (record, usage) in usable {
        let candidates = match usage {
            Usage::EndEntity => &chain[..chain.len().min(1)],
            // A trust anchor stands above the server's own certificate.
            Usage::TrustAnchor => chain.get(1..).unwrap_or_default(),
        };
        let matched = candidates.iter().find(|certificate| record.matches(certificate.der()) == Some(true));
        if matched.is_none() && candidates.iter().any(|certificate| record.matches(certificate.der()).is_none()) {
            doubt = Some("a certificate cannot be read".to_owned());
        }
        match (matched, usage) {
            (Some(_), Usage::EndEntity) => return Fit::Fits(record.parameters()),
            (Some(anchor), Usage::TrustAnchor) => match under_anchor(chain, anchor, names, now) {
                None => return Fit::Fits(record.parameters()),
                Some(fault) => faults.push(fault),
            },
            (None, Usage::TrustAnchor) if record.matching == 0 && record.selector == 1 => {
                doubt = Some(format!(
                    "{}: whether a bare key that was not sent issued the certificate is not looked at",
                    record.parameters()
                ));
            }
            (None, _) => evidence.push(miss(record, *usage)),
        }
    }
    match (faults.into_iter().next(), doubt) {
        (Some(fault), _) => fault,
        (None, Some(why)) => Fit::Unknown(why),
        (None, None) => Fit::Mismatch(evidence),
    }
}

fn miss(record: &Tlsa, usage: Usage) -> String {
    match usage {
        Usage::EndEntity => format!("{}: not the server's certificate", short(&record.to_string())),
        Usage::TrustAnchor => format!("{}: no certificate that was sent above the server's own", short(&record.to_string())),
    }
}

/// What is wrong with a chain below the trust anchor that a record means (RFC 7672, 3.1.2).
fn under_anchor(chain: &[Certificate], anchor: &Certificate, names: &[&Name], now: OffsetDateTime) -> Option<Fit> {
    let store = TrustStore { name: "TLSA".to_owned(), public: true, anchors: vec![anchor.der().to_vec().into()] };
    let judgement = path::judge(chain, &[store], now);
    match &judgement.end {
        End::Trusted { .. } => {}
        End::Undecided(why) => return Some(Fit::Unknown(why.clone())),
        _ => return Some(Fit::BadPath("the certificate is not issued by the trust anchor that the record means".to_owned())),
    }
    match valid_now(chain, &judgement, now) {
        Ok(None) => {}
        Ok(Some(why)) => return Some(Fit::OutOfDate(why)),
        Err(why) => return Some(Fit::Unknown(why)),
    }
    let leaf = match chain[0].details() {
        Ok(leaf) => leaf,
        Err(why) => return Some(Fit::Unknown(why.to_string())),
    };
    if leaf.dns_names().any(|presented| names.iter().any(|name| name.is_matched_by(presented.as_str()))) {
        return None;
    }
    let wanted: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    Some(Fit::WrongName(format!("the certificate names none of {}", wanted.join(", "))))
}

/// What on a path is not valid now; an error where a certificate cannot be read.
fn valid_now(chain: &[Certificate], judgement: &path::Judgement, now: OffsetDateTime) -> Result<Option<String>, String> {
    let sent = judgement.path.iter().map(|index| (certificate_text(chain, *index), &chain[*index]));
    let anchor = judgement.anchor.iter().map(|anchor| ("the trust anchor".to_owned(), anchor));
    for (what, certificate) in sent.chain(anchor) {
        let details = certificate.details().map_err(|why| format!("{what} cannot be read: {why}"))?;
        if now > details.not_after {
            let days = (now - details.not_after).whole_days();
            return Ok(Some(format!("{what} expired {days} {} ago", if days == 1 { "day" } else { "days" })));
        }
        if now < details.not_before {
            return Ok(Some(format!("{what} is not valid yet")));
        }
    }
    Ok(None)
}

/// What a verifier with public roots makes of a chain (RFC 8461, 4.2; RFC 5280, 6.1).
pub(crate) enum WebPki {
    Valid,
    /// Each fault.
    Invalid(Vec<Fault>),
    Unknown(String),
}

/// What is wrong with a chain.
pub(crate) struct Fault {
    /// In words.
    pub(crate) words: String,
    /// What a sender would report.
    pub(crate) result_type: ResultType,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

pub(crate) fn web_pki(chain: &[Certificate], name: &Name, stores: &[TrustStore], now: OffsetDateTime) -> WebPki {
    if chain.is_empty() {
        return WebPki::Unknown("no certificate was sent".to_owned());
    }
    if stores.iter().all(|store| store.anchors.is_empty()) {
        return WebPki::Unknown("no trust store was given, so nothing can be trusted or not".to_owned());
    }
    let judgement = path::judge(chain, stores, now);
    let mut faults: Vec<Fault> = Vec::new();
    let mut doubt = None;
    let untrusted = |words: String| Fault { words, result_type: ResultType::CertificateNotTrusted };
    match &judgement.end {
        End::Trusted { public: true, .. } => {}
        End::Trusted { public: false, store } => {
            faults.push(untrusted(format!("its path leads to a root in {store}, which the world does not trust")))
        }
        End::SelfSigned => faults.push(untrusted("it is self-signed".to_owned())),
        End::PrivateRoot { subject } => faults.push(untrusted(format!("it comes from a private CA: {}", short(subject)))),
        End::WrongSignature { issuer, .. } => {
            faults.push(untrusted(format!("a signature on its path is not by {}", short(issuer))))
        }
        End::UnknownIssuer { issuer, .. } => faults.push(untrusted(format!("its issuer is unknown: {}", short(issuer)))),
        End::Gap { issuer, .. } => faults.push(untrusted(format!("an intermediate certificate is missing: {}", short(issuer)))),
        End::Circle { .. } => faults.push(untrusted("its path leads in a circle".to_owned())),
        End::Undecided(why) => doubt = Some(why.clone()),
    }
    match valid_now(chain, &judgement, now) {
        Ok(fault) => {
            faults.extend(fault.map(|words| Fault { words, result_type: ResultType::CertificateExpired }));
        }
        Err(why) => doubt = Some(why),
    }
    if let Ok(leaf) = chain[0].details()
        && !leaf.dns_names().any(|presented| name.is_matched_by(presented.as_str()))
    {
        faults.push(Fault { words: format!("it does not name {name}"), result_type: ResultType::CertificateHostMismatch });
    }
    let Faults { found, doubt: more } = constraints::faults(chain, &judgement, stores, now);
    faults.extend(found.into_iter().map(|words| Fault { words, result_type: ResultType::ValidationFailure }));
    match (faults.is_empty(), doubt.or(more.map(str::to_owned))) {
        (false, _) => WebPki::Invalid(faults),
        (true, Some(why)) => WebPki::Unknown(why),
        (true, None) => WebPki::Valid,
    }
}

/// What the MTA-STS of a domain comes to.
pub(crate) enum Sts {
    /// A policy that senders take.
    Policy(Policy),
    /// Nothing is announced, and nothing is there.
    None(String),
    /// It is announced, or there, and does not work: why, and what a sender would report. Other rules say more.
    Broken(String, ResultType),
    /// It cannot be told.
    Unknown(String),
}

/// The texts of an answer.
pub(super) fn texts(answer: &DnsAnswer<WireText>) -> Vec<&str> {
    answer.records.iter().map(WireText::as_str).collect()
}

/// What a sender that has never seen the policy makes of it (RFC 8461, 5.1).
pub(crate) fn sts(context: &DomainContext) -> Sts {
    let facts = &context.facts.mta_sts;
    let broken = Sts::Broken;
    let record = match &facts.record {
        Observed::Seen(answer) => match answer.whole_proof() {
            Proof::Bogus(bogus) => {
                return broken(format!("the record is bogus: {}", short(bogus.text.as_str())), ResultType::DnssecInvalid);
            }
            _ => Record::read(&texts(answer)),
        },
        unseen => return Sts::Unknown(unseen.why_not()),
    };
    match record {
        Ok(None) => return Sts::None("no record announces a policy of MTA-STS".to_owned()),
        Err(why) => return broken(format!("the record is invalid: {}", short(&why.to_string())), ResultType::StsPolicyInvalid),
        Ok(Some(_)) => {}
    }
    let fetched = match &facts.policy {
        Observed::Seen(fetched) => fetched,
        unseen => return Sts::Unknown(unseen.why_not()),
    };
    let response = match &fetched.response {
        Observed::Seen(response) => response,
        Observed::NotAttempted(why) => return Sts::Unknown(why.clone()),
        Observed::Failed(failure) if may_be_our_fault(fetched, failure) => {
            return Sts::Unknown(format!("the policy did not come: {failure}"));
        }
        Observed::Failed(failure) => {
            return broken(format!("the policy did not come: {failure}"), ResultType::StsPolicyFetchError);
        }
    };
    let certificates = fetched.certificates.seen().map(Vec::as_slice).unwrap_or_default();
    match web_pki(certificates, &fetched.host, context.stores, context.now) {
        WebPki::Valid => {}
        WebPki::Invalid(faults) => {
            let why = format!("the certificate of the policy host is not valid: {}", listed(faults.iter(), faults.len(), "; "));
            return broken(why, ResultType::StsWebpkiInvalid);
        }
        WebPki::Unknown(why) => return Sts::Unknown(format!("the certificate of the policy host: {why}")),
    }
    if response.status != 200 {
        return broken(format!("the policy host answers HTTP {}", response.status), ResultType::StsPolicyFetchError);
    }
    if response.body.is_cut {
        return broken("the policy is longer than senders read".to_owned(), ResultType::StsPolicyInvalid);
    }
    match Policy::parse(&response.body.bytes) {
        Ok(policy) => Sts::Policy(policy),
        Err(errors) => {
            broken(format!("the policy is invalid: {}", short(&listed(errors.iter(), 3, "; "))), ResultType::StsPolicyInvalid)
        }
    }
}

/// Whether what went wrong with the policy may be on this side: then it is no evidence. A host that was connected to, and does
/// not go on, is at fault itself.
pub(super) fn may_be_our_fault(fetched: &PolicyFetch, failure: &Failure) -> bool {
    match failure {
        Failure::Local(_) => true,
        Failure::TimedOut { .. } | Failure::Unreachable => !fetched.is_connected,
        Failure::Dns(failure) => !matches!(failure, DnsFailure::ServerFailure(_) | DnsFailure::Loop(_)),
        _ => false,
    }
}

/// The policy, if it asks anything of senders; else the outcome of a rule that needs one.
pub(super) fn asking_policy(context: &DomainContext) -> Result<Policy, Outcome> {
    match sts(context) {
        Sts::Policy(policy) if policy.mode == Mode::None => Err(Outcome::NotApplicable("the policy's mode is none".to_owned())),
        Sts::Policy(policy) => Ok(policy),
        Sts::None(why) => Err(Outcome::NotApplicable(why)),
        // What is broken is no policy, and has its own finding.
        Sts::Broken(why, _) => Err(Outcome::NotApplicable(format!("there is no policy that senders take: {why}"))),
        Sts::Unknown(why) => Err(Outcome::Undetermined(why)),
    }
}

/// The names that a certificate may have under DANE-TA (RFC 7672, 3.2.2).
pub(super) fn reference_names<'a>(context: &'a DomainContext, host: &'a HostFacts, base: &'a Option<Name>) -> Vec<&'a Name> {
    let mut names: Vec<&Name> = base.iter().chain([&host.name, &context.facts.domain]).collect();
    names.dedup();
    names
}

/// The base domain of the TLSA records of a host, as a name.
pub(crate) fn base_name(host: &HostFacts) -> Option<Name> {
    Name::parse(host.tlsa_base()).ok()
}
