//! What a resolver that validates, Unbound in a container, says of each set of records of a domain, beside what the checker
//! says of it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    facts::{DnsAnswer, DomainFacts, Observed, Proof},
    plan::DnsPlan,
    scenario::{LookupAnswer, rrset},
};

/// What a question may take: Unbound asks several times where nothing comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A set of records that was asked for.
pub(super) type Question = (String, RecordType);

/// What a resolver makes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// An answer with the AD bit.
    Authentic,
    /// An answer without.
    Plain,
    /// No answer.
    Refused,
}

impl Told {
    fn words(self) -> &'static str {
        match self {
            Self::Authentic => "an answer with the AD bit",
            Self::Plain => "an answer without the AD bit",
            Self::Refused => "no answer",
        }
    }
}

/// What a resolver that validates must tell of a state; none where it may tell anything.
fn expected(state: Option<&Proof>) -> Option<Told> {
    match state {
        Some(Proof::Secure) => Some(Told::Authentic),
        Some(Proof::Insecure) => Some(Told::Plain),
        // What is bogus, and what did not come, is SERVFAIL (RFC 4035, 5.5).
        Some(Proof::Bogus(_)) | None => Some(Told::Refused),
        Some(Proof::Indeterminate(_)) => None,
    }
}

/// Every question that the checker asked of the domain, and the state of its answer; none where there is no answer.
pub(super) fn states(facts: &DomainFacts) -> BTreeMap<Question, Option<Proof>> {
    fn add<T>(to: &mut BTreeMap<Question, Option<Proof>>, name: &str, kind: RecordType, answer: &Observed<DnsAnswer<T>>) {
        let (name, state) = match answer {
            Observed::Seen(answer) => (answer.name.as_str(), Some(answer.whole_proof().clone())),
            Observed::Failed(_) => (name, None),
            Observed::NotAttempted(_) => return,
        };
        to.insert((name.to_owned(), kind), state);
    }
    let mut states = BTreeMap::new();
    let domain = facts.domain.as_str();
    add(&mut states, domain, RecordType::MX, &facts.mx);
    add(&mut states, &crate::mta_sts::record_name(&facts.domain), RecordType::TXT, &facts.mta_sts.record);
    add(&mut states, &crate::tlsrpt::record_name(&facts.domain), RecordType::TXT, &facts.tlsrpt);
    add(&mut states, domain, RecordType::CAA, &facts.caa);
    for host in &facts.hosts {
        add(&mut states, host.name.as_str(), RecordType::A, &host.v4);
        add(&mut states, host.name.as_str(), RecordType::AAAA, &host.v6);
        for lookup in &host.tlsa {
            add(&mut states, &format!("_25._tcp.{}", lookup.base), RecordType::TLSA, &lookup.answer);
        }
    }
    states
}

/// Where a resolver tells otherwise than the checker, in words. It is not asked where answers come late: each has a patience
/// of its own.
pub(super) async fn differences(facts: &DomainFacts, dns: &DnsPlan, resolver: SocketAddr) -> Vec<String> {
    let late = dns.lookup.as_ref().filter(|fault| fault.r#do == LookupAnswer::Delay).and_then(|fault| rrset(&fault.of).ok());
    let is_late = |asked: &str, kind: RecordType| {
        late.as_ref()
            .is_some_and(|(name, of)| *of == kind && Name::from_ascii(asked).is_ok_and(|asked| asked.eq_ignore_root(name)))
    };
    let mut differences = Vec::new();
    for ((name, kind), state) in states(facts).into_iter().filter(|((name, kind), _)| !is_late(name, *kind)) {
        let Some(expected) = expected(state.as_ref()) else { continue };
        let told = match timeout(PATIENCE, ask(resolver, &name, kind)).await {
            Ok(Ok(told)) => told,
            Err(_) => Told::Refused,
            Ok(Err(why)) => {
                differences.push(format!("the validating resolver did not say what it makes of {name} {kind}: {why}"));
                continue;
            }
        };
        if told != expected {
            let state = state.map_or_else(|| "not answered".to_owned(), |state| state.to_string());
            differences.push(format!("{name} {kind} is {state}; the validating resolver gives {}", told.words()));
        }
    }
    differences
}

/// By TCP, where no answer is too long. AD in the question asks for AD in the answer (RFC 6840, 5.7).
async fn ask(resolver: SocketAddr, name: &str, kind: RecordType) -> Result<Told, String> {
    let mut asked = Name::from_ascii(name).map_err(|error| error.to_string())?;
    asked.set_fqdn(true);
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.metadata.authentic_data = true;
    question.add_query(Query::query(asked, kind));
    question.set_edns(Edns::new());
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    let answer = loop {
        match exchange(resolver, &bytes).await {
            Ok(answer) => break answer,
            // Unbound throws away an answer that it got late, and gives it to whoever asks again.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error.to_string()),
        }
    };
    let answer = Message::from_vec(&answer).map_err(|error| error.to_string())?;
    if answer.metadata.id != question.metadata.id || answer.metadata.message_type != MessageType::Response {
        return Err("the answer is to another question".to_owned());
    }
    Ok(match (answer.metadata.response_code, answer.metadata.authentic_data) {
        (ResponseCode::NoError | ResponseCode::NXDomain, true) => Told::Authentic,
        (ResponseCode::NoError | ResponseCode::NXDomain, false) => Told::Plain,
        _ => Told::Refused,
    })
}

async fn exchange(resolver: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
