//! Practice 3: CN and SAN match the name that senders look up, and so does the greeting.

use super::{rules, short, why_not};
use crate::{
    facts::{CertificateDetails, View},
    name::Name,
};

mod table;

pub use table::{NameRow, NameSource, Relation, names};

rules! {
    host_mismatch,
    common_name_only,
    foreign_common_name,
    unmatchable_name,
    internal_names,
    wildcard_on_public_suffix,
    wildcard_over_underscore,
    greeting_name_mismatch,
    greeting_name_unqualified,
    ehlo_name_mismatch,
    shared_certificate_misses_mx,
}

/// How many names of a certificate are told.
const MAX_NAMES: usize = 10;

/// What a certificate presents, as lines of evidence.
fn presented(leaf: &CertificateDetails) -> [String; 2] {
    let names = |names: Vec<String>| match names.is_empty() {
        true => "none".to_owned(),
        false => super::listed(names.iter(), MAX_NAMES, ", "),
    };
    [
        format!("subject alternative names: {}", names(leaf.subject_alt_names.iter().map(ToString::to_string).collect())),
        format!("CN: {}", names(leaf.common_names.iter().map(ToString::to_string).collect())),
    ]
}

/// The host name that a text is, if it is a qualified one; an IP address is none.
fn host_name(text: &str) -> Option<Name> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    Name::parse(text).ok().filter(|name| name.is_qualified() && !is_address)
}

/// The first word of the greeting; or why it says nothing about the server's name.
fn greeting_word(view: &View) -> Result<String, String> {
    let from = view.vantage_text();
    let Some(greeting) = view.session.greeting.seen() else {
        return Err(format!("no greeting was seen from {from}: {}", why_not(view, &view.session.greeting)));
    };
    if greeting.code != 220 {
        let what = if greeting.code >= 400 { "a refusal" } else { "not a 220" };
        return Err(format!("the greeting seen from {from} is {what}: {}", short(&greeting.to_string())));
    }
    let line = greeting.lines.first().map_or("", |line| line.as_str());
    if super::starttls::is_masked_greeting(greeting) {
        return Err(format!("something on the way from {from} overwrites the greeting: {}", short(line)));
    }
    Ok(greeting.lines.first().and_then(|line| line.words().next()).unwrap_or_default().as_str().to_owned())
}
