//! Which software a server looks like, from what it says by itself. It decides nothing but which line of a remedy is shown:
//! words can be changed by whoever runs the server.

use serde::Serialize;

use super::Context;
use crate::{
    facts::{Failure, Observed, Session},
    smtp::Reply,
    wire::WireText,
};

/// A software that a server, or something before it, looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Product {
    /// Its name.
    pub name: &'static str,
    /// Whether it is the mail server or stands before it.
    pub role: Role,
    /// How sure that is.
    pub certainty: Certainty,
    /// What it was known by.
    pub evidence: WireText,
}

/// Where in the way of a connection something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The mail server itself.
    Server,
    /// A firewall or filter before the mail server, which is another.
    Middlebox,
}

/// How sure it is that a server is what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Its words are those of this software, and could be another's.
    Likely,
    /// It says so itself, or leaves a mark that nothing else does.
    Certain,
}

impl Certainty {
    /// For sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// Where a mark is looked for.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The text of the greeting holds it.
    Greeting,
    /// It is an EHLO keyword.
    Keyword,
    /// The reply to STARTTLS holds it.
    Starttls,
    /// Any reply holds it.
    Anywhere,
}

struct Mark {
    name: &'static str,
    role: Role,
    certainty: Certainty,
    place: Place,
    text: &'static str,
}

const fn says(name: &'static str, text: &'static str) -> Mark {
    Mark { name, role: Role::Server, certainty: Certainty::Certain, place: Place::Greeting, text }
}

const fn like(name: &'static str, place: Place, text: &'static str) -> Mark {
    Mark { name, role: Role::Server, certainty: Certainty::Likely, place, text }
}

const fn before(name: &'static str, place: Place, text: &'static str) -> Mark {
    Mark { name, role: Role::Middlebox, certainty: Certainty::Likely, place, text }
}

/// In the order in which they count: of two that are as sure, the first.
const MARKS: [Mark; 35] = [
    says("Postfix", "ESMTP Postfix"),
    // Not the greeting of `with_version`, which has a comma there.
    says("Exchange", "Microsoft ESMTP MAIL Service "),
    says("Exchange", "Microsoft Exchange Internet Mail Service"),
    says("Exim", "ESMTP Exim "),
    says("Sendmail", " Sendmail "),
    says("OpenSMTPD", "ESMTP OpenSMTPD"),
    says("Domino", "Lotus Domino Release"),
    says("Domino", "IBM Domino Release"),
    says("Domino", "HCL Domino Release"),
    says("Courier", "Courier ESMTP"),
    says("chasquid", "ESMTP chasquid"),
    says("MDaemon", "ESMTP MDaemon"),
    says("MailEnable", "MailEnable Service"),
    says("Kerio Connect", "Kerio Connect"),
    says("CommuniGate", "CommuniGate Pro"),
    says("GroupWise", "GroupWise Internet Agent"),
    says("hMailServer", "hMailServer"),
    says("Symantec Messaging Gateway", "Symantec Messaging Gateway"),
    says("Mimecast", "mimecast.com ESMTP"),
    says("Proofpoint", "pphosted.com ESMTP"),
    // As seen of smtp.gmail.com, gmail-smtp-in.l.google.com and aspmx.l.google.com.
    says("Google", " - gsmtp"),
    says("Cisco ESA", "ESMTP AsyncOS"),
    like("Cisco ESA", Place::Starttls, "Go ahead with TLS"),
    like("Cisco ESA", Place::Anywhere, "#4.4.5 "),
    like("Exchange", Place::Keyword, "X-ANONYMOUSTLS"),
    like("Exchange", Place::Keyword, "X-EXPS"),
    like("Exchange", Place::Starttls, "2.0.0 SMTP server ready"),
    like("Exim", Place::Starttls, "TLS go ahead"),
    like("Sendmail", Place::Keyword, "DELIVERBY"),
    like("Postfix", Place::Anywhere, "5.5.2 Error: command not recognized"),
    like("qmail", Place::Anywhere, "unimplemented (#5.5.1)"),
    like("Domino", Place::Anywhere, "Lotus Domino"),
    before("Kaspersky or another virus scanner", Place::Keyword, "XANTIVIR"),
    before("Kaspersky or another virus scanner", Place::Keyword, "X-ANTIVIR"),
    before("Proofpoint", Place::Anywhere, "Blocked - see https://ipcheck.proofpoint.com/"),
];

/// What the server and what stands before it look like, each once, what is surer first.
pub fn products(context: &Context) -> Vec<Product> {
    let mut found: Vec<Product> = Vec::new();
    let mut add = |product: Product| match found.iter_mut().find(|known| known.name == product.name && known.role == product.role)
    {
        Some(known) if known.certainty < product.certainty => *known = product,
        Some(_) => {}
        None => found.push(product),
    };
    for (session, _) in context.facts.views.iter().flat_map(super::starttls::dialogs) {
        masks(session).into_iter().for_each(&mut add);
        for mark in &MARKS {
            if let Some(evidence) = mark.found(session) {
                add(Product { name: mark.name, role: mark.role, certainty: mark.certainty, evidence: WireText::from(evidence) });
            }
        }
        ready_to_start(session).into_iter().chain(with_version(session)).for_each(&mut add);
    }
    // Who says its name is not what only its words are like.
    let is_named = |role: Role| found.iter().any(|known| known.role == role && known.certainty == Certainty::Certain);
    let named = [Role::Server, Role::Middlebox].map(|role| (role, is_named(role)));
    found.retain(|known| known.certainty == Certainty::Certain || !named.contains(&(known.role, true)));
    found.sort_by_key(|known| (known.role, std::cmp::Reverse(known.certainty)));
    found
}

/// The one mail server that it is, as far as that is known.
pub fn server(products: &[Product]) -> Option<&'static str> {
    let mut servers = products.iter().filter(|product| product.role == Role::Server);
    match (servers.next(), servers.next()) {
        (Some(one), None) => Some(one.name),
        _ => None,
    }
}

impl Mark {
    fn found(&self, session: &Session) -> Option<String> {
        let holds = |reply: &Reply| reply.lines.iter().any(|line| line.as_str().contains(self.text));
        let in_reply = |what: &str, reply: &Observed<Reply>| {
            reply.seen().filter(|reply| holds(reply)).map(|_| format!("{what} says `{}`", self.text.trim()))
        };
        match self.place {
            Place::Greeting => in_reply("the greeting", &session.greeting),
            Place::Keyword => {
                let is_listed = session.ehlo.seen().is_some_and(|ehlo| ehlo.offers(self.text));
                is_listed.then(|| format!("the reply to EHLO lists {}", self.text))
            }
            Place::Starttls => in_reply("the reply to STARTTLS", &session.starttls),
            Place::Anywhere => {
                let replies = [&session.greeting, &session.starttls, &session.unoffered_starttls, &session.help, &session.helo];
                let refusal =
                    session.ehlo.why_not().contains(self.text).then(|| format!("the reply to EHLO says `{}`", self.text.trim()));
                replies.into_iter().find_map(|reply| in_reply("a reply", reply)).or(refusal)
            }
        }
    }
}

/// What a Cisco ASA or PIX that inspects ESMTP writes over.
fn masks(session: &Session) -> Option<Product> {
    let asa = |certainty, evidence: String| {
        Some(Product { name: "Cisco ASA", role: Role::Middlebox, certainty, evidence: WireText::from(evidence) })
    };
    let keywords = session.ehlo.seen().map(|ehlo| ehlo.keywords.as_slice()).unwrap_or_default();
    if let Some(masked) = keywords.iter().find(|keyword| super::starttls::is_masked_keyword(keyword.name.as_str())) {
        let certainty = if masked.name.as_str().contains('*') { Certainty::Likely } else { Certainty::Certain };
        return asa(certainty, format!("the reply to EHLO lists {}", masked.name));
    }
    // Commands that it does not let pass reach the server as X.
    let to_ehlo = match &session.ehlo {
        Observed::Failed(Failure::EhloRefused(reply)) => Some(reply),
        _ => None,
    };
    let replies = [&session.help, &session.starttls, &session.unoffered_starttls].into_iter().filter_map(Observed::seen);
    if let Some(reply) = to_ehlo.into_iter().chain(replies).find(|reply| reply.quotes_a_mask()) {
        return asa(Certainty::Likely, format!("a command is overwritten: {}", super::short(&reply.to_string())));
    }
    let greeting = session.greeting.seen().filter(|greeting| super::starttls::is_masked_greeting(greeting))?;
    asa(Certainty::Likely, format!("the greeting is overwritten: {}", super::short(&greeting.to_string())))
}

/// Postfix, OpenSMTPD, Sendmail, Gmail and others say the same words. Postfix has no HELP, and Gmail none of ETRN and VRFY;
/// OpenSMTPD lists HELP, and neither ETRN nor PIPELINING. DELIVERBY and EXPN are Sendmail's.
fn ready_to_start(session: &Session) -> Option<Product> {
    let reply =
        session.starttls.seen().filter(|reply| reply.lines.iter().any(|line| line.as_str() == "2.0.0 Ready to start TLS"))?;
    let ehlo = session.ehlo.seen()?;
    let has_any = |keywords: &[&str]| keywords.iter().any(|keyword| ehlo.offers(keyword));
    let name = match ehlo.offers("HELP") {
        _ if has_any(&["DELIVERBY", "EXPN"]) => return None,
        true if !has_any(&["ETRN", "PIPELINING"]) => "OpenSMTPD",
        false if has_any(&["ETRN", "VRFY"]) => "Postfix",
        _ => return None,
    };
    let evidence = WireText::from(format!("the reply to STARTTLS says `{}`, and the keywords fit", reply.lines.first()?));
    Some(Product { name, role: Role::Server, certainty: Certainty::Likely, evidence })
}

/// The SMTP service of IIS says its version; Exchange 2000 and 2003 are built on it, and list what it does not have.
fn with_version(session: &Session) -> Option<Product> {
    const SAYS: &str = "Microsoft ESMTP MAIL Service, Version:";
    session.greeting.seen().filter(|greeting| greeting.lines.iter().any(|line| line.as_str().contains(SAYS)))?;
    let of_exchange =
        ["X-LINK2STATE", "XEXCH50"].into_iter().find(|keyword| session.ehlo.seen().is_some_and(|ehlo| ehlo.offers(keyword)));
    let (name, evidence) = match of_exchange {
        Some(keyword) => ("Exchange", format!("the greeting says `{SAYS}`, and the reply to EHLO lists {keyword}")),
        None => ("IIS SMTP", format!("the greeting says `{SAYS}`")),
    };
    Some(Product { name, role: Role::Server, certainty: Certainty::Certain, evidence: WireText::from(evidence) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, ehlo, reply};

    fn seen(greeting: &str, keywords: &[&str], starttls: &str) -> Vec<Product> {
        let world = World::correct();
        let mut facts = world.facts(1);
        let session = &mut facts.views[0].session;
        session.greeting = Observed::Seen(reply(220, greeting));
        session.ehlo = ehlo("mx.example.test", keywords);
        session.starttls = Observed::Seen(reply(220, starttls));
        products(&world.context(&facts))
    }

    #[rstest]
    #[case("mx ESMTP Postfix (Debian/GNU)", &["PIPELINING"], "2.0.0 Ready to start TLS", &[("Postfix", Certainty::Certain)])]
    #[case("mx ESMTP", &["ETRN"], "2.0.0 Ready to start TLS", &[("Postfix", Certainty::Likely)])]
    #[case("mx ESMTP", &["HELP"], "2.0.0 Ready to start TLS", &[("OpenSMTPD", Certainty::Likely)])]
    #[case("mx ESMTP", &["STARTTLS"], "Go ahead with TLS", &[("Cisco ESA", Certainty::Likely)])]
    #[case("mx Microsoft ESMTP MAIL Service ready at X", &["X-EXPS"], "2.0.0 SMTP server ready", &[("Exchange", Certainty::Certain)])]
    #[case("mx Microsoft ESMTP MAIL Service, Version: 10.0.1 ready at  X ", &["TURN"], "2.0.0 SMTP server ready", &[("IIS SMTP", Certainty::Certain)])]
    #[case("mx Microsoft ESMTP MAIL Service, Version: 6.0.1 ready at  X ", &["XEXCH50"], "2.0.0 SMTP server ready", &[("Exchange", Certainty::Certain)])]
    #[case("mx.google.com ESMTP a640c23a62f3a-b6ff1f8a8a9si12.3 - gsmtp", &["SIZE", "PIPELINING", "CHUNKING", "SMTPUTF8"], "2.0.0 Ready to start TLS", &[("Google", Certainty::Certain)])]
    #[case("mx ESMTP", &["SIZE", "8BITMIME", "PIPELINING", "CHUNKING", "SMTPUTF8"], "2.0.0 Ready to start TLS", &[])]
    #[case("mx ESMTP; Tue", &["PIPELINING", "8BITMIME", "ETRN", "DELIVERBY", "HELP"], "2.0.0 Ready to start TLS", &[("Sendmail", Certainty::Likely)])]
    #[case("mx ESMTP; Tue", &["PIPELINING", "8BITMIME", "ETRN", "HELP"], "2.0.0 Ready to start TLS", &[])]
    // A name in the greeting of somebody who is not that software.
    #[case("postfix.example.test ESMTP", &["SIZE"], "go", &[])]
    #[case("mx ESMTP", &["XXXXXXXA"], "go", &[("Cisco ASA", Certainty::Certain)])]
    #[case("*************************", &["SIZE", "X-EXPS"], "go", &[("Exchange", Certainty::Likely), ("Cisco ASA", Certainty::Likely)])]
    fn what_it_says_by_itself_counts(
        #[case] greeting: &str,
        #[case] keywords: &[&str],
        #[case] starttls: &str,
        #[case] expected: &[(&str, Certainty)],
    ) {
        let found: Vec<_> = seen(greeting, keywords, starttls).iter().map(|p| (p.name, p.certainty)).collect();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("500 5.5.1 Command unrecognized: \"XXXX\"")]
    #[case("500 5.3.3 Unrecognized command 'XXXXXXXX'")]
    fn a_command_that_was_written_over_names_who_did(#[case] said: &str) {
        let world = World::correct();
        let mut facts = world.facts(1);
        World::without_starttls(&mut facts.views[0]);
        facts.views[0].session.unoffered_starttls = Observed::Seen(reply(500, &said[4..]));
        let found = products(&world.context(&facts));
        assert!(found.iter().any(|product| (product.name, product.certainty) == ("Cisco ASA", Certainty::Likely)), "{found:?}");
    }

    #[test]
    fn two_servers_are_none() {
        let mut both = seen("mx ESMTP Postfix", &["SIZE"], "go");
        assert_eq!(server(&both), Some("Postfix"));
        both.extend(seen("mx ESMTP Exim 4.96 X", &["SIZE"], "go"));
        assert_eq!(server(&both), None);
    }
}
