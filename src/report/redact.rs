//! Stable placeholders for what differs from run to run, so that a snapshot shows only
//! what matters. The text renderer redacts before it lays out, so tables stay aligned.

use std::net::{IpAddr, SocketAddr};

use crate::facts::{DomainFacts, Facts, View};

/// Replaces addresses, ports, dates, times, fingerprints, timings and mtalab's version.
/// Counts of days stay, since most certificates are made relative to the moment of judgement; those of five digits go: they are
/// of dates that stand fixed (`ends-in-2060`), and change with the day.
#[derive(Clone, Debug)]
pub struct Redactor {
    /// `name:port` of the target, and its placeholder.
    target: (String, String),
    servers: Vec<(SocketAddr, String)>,
    sources: Vec<(IpAddr, String)>,
    /// What replacement leaves behind, and its shorter form.
    tidy: Vec<(String, String)>,
}

impl Redactor {
    /// Learns the addresses of these facts: `[server]`, `[server 2]`, and for each vantage
    /// point its label in brackets, or `[vantage]`.
    pub fn new(facts: &Facts) -> Self {
        let name = &facts.target.name;
        let target = (format!("{name}:{}", facts.target.port), format!("{name}:[port]"));
        let mut redactor = Self { target, servers: Vec::new(), sources: Vec::new(), tidy: Vec::new() };
        for view in &facts.views {
            redactor.learn(view);
        }
        redactor
    }

    /// Learns the addresses of all servers of a domain, of its policy host and of the resolver.
    pub fn of_domain(facts: &DomainFacts) -> Self {
        let target = (format!("{}:25", facts.domain), format!("{}:[port]", facts.domain));
        let mut redactor = Self { target, servers: Vec::new(), sources: Vec::new(), tidy: Vec::new() };
        for view in facts.hosts.iter().flat_map(|host| &host.facts.views) {
            redactor.learn(view);
        }
        // Addresses of a lab that nobody looked at; those that a scenario names stay as they are.
        for passed in facts.hosts.iter().flat_map(|host| &host.passed_over).filter(|passed| passed.address.is_loopback()) {
            let address = SocketAddr::new(passed.address, 25);
            if !redactor.servers.iter().any(|(known, _)| known.ip() == passed.address) {
                redactor.servers.push((address, numbered("server", redactor.servers.len())));
            }
        }
        if let Some(address) = facts.mta_sts.policy.seen().and_then(|fetched| fetched.address) {
            redactor.servers.push((address, "[policy host]".to_owned()));
        }
        redactor.servers.extend(facts.resolver.parse().ok().map(|resolver| (resolver, "[resolver]".to_owned())));
        redactor
    }

    fn learn(&mut self, view: &View) {
        if !self.servers.iter().any(|(known, _)| *known == view.address) {
            let placeholder = numbered("server", self.servers.len());
            self.servers.push((view.address, placeholder));
        }
        let Some(source) = view.source().map(|source| source.to_canonical()) else { return };
        if self.sources.iter().any(|(known, _)| *known == source) {
            return;
        }
        let placeholder = match &view.vantage.label {
            Some(label) => format!("[{label}]"),
            None => numbered("vantage", self.sources.len()),
        };
        if let Some(label) = &view.vantage.label {
            self.tidy.push((format!("{label} ({placeholder})"), placeholder.clone()));
        }
        self.tidy.push((format!("[{placeholder}]"), placeholder.clone())); // an address literal
        self.sources.push((source, placeholder));
    }

    /// The text with placeholders.
    pub fn redact(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut previous = ' ';
        while let Some(c) = rest.chars().next() {
            let is_start = !(previous.is_alphanumeric() || previous == '.');
            if let Some((length, placeholder)) = is_start.then(|| self.replace(rest, previous)).flatten() {
                out.push_str(&placeholder);
                previous = ']';
                rest = &rest[length..];
            } else {
                out.push(c);
                previous = c;
                rest = &rest[c.len_utf8()..];
            }
        }
        for (long, short) in &self.tidy {
            out = out.replace(long, short);
        }
        out
    }

    /// What stands at the head of `rest`, behind `previous`, and must go: its length and its placeholder.
    fn replace(&self, rest: &str, previous: char) -> Option<(usize, String)> {
        let fixed = |placeholder: &'static str| move |length: usize| (length, placeholder.to_owned());
        let (target, placeholder) = &self.target;
        if rest.starts_with(target.as_str()) && is_end(&rest[target.len()..]) {
            return Some((target.len(), placeholder.clone()));
        }
        self.address(rest, previous)
            .or_else(|| iso_time(rest).map(fixed("[time]")))
            .or_else(|| iso_date(rest).map(fixed("[date]")))
            .or_else(|| mail_time(rest).map(fixed("[time]")))
            .or_else(|| timing(rest).map(fixed("[ms] ms")))
            .or_else(|| many_days(rest).map(fixed("[count]")))
            .or_else(|| hex(rest).map(fixed("[hex]")))
            .or_else(|| own_version(rest).map(|(length, prefix)| (length, format!("{prefix}[version]"))))
    }

    /// The longest address at the head, if it is one of this check.
    fn address(&self, rest: &str, previous: char) -> Option<(usize, String)> {
        // A server can be looked at from where it stands: IPv6 has one loopback address for both. The client's is a literal, or
        // in parentheses behind its label.
        let is_client = matches!(previous, '(' | '[' | ':');
        // An IPv6 socket address in text has at most 47 characters.
        let length = rest.bytes().take(48).take_while(|b| b.is_ascii_hexdigit() || b".:[]".contains(b)).count();
        (3..=length).rev().filter(|length| is_end(&rest[*length..])).find_map(|length| {
            let text = &rest[..length];
            let placeholder = match (text.parse::<SocketAddr>(), text.parse::<IpAddr>()) {
                (Ok(socket), _) => self.server(socket).or_else(|| self.source(socket.ip())).or_else(|| self.host(socket.ip())),
                (_, Ok(ip)) if is_client => self.source(ip).or_else(|| self.host(ip)),
                (_, Ok(ip)) => self.host(ip).or_else(|| self.source(ip)),
                _ => None,
            };
            Some((length, placeholder?.to_owned()))
        })
    }

    fn server(&self, socket: SocketAddr) -> Option<&str> {
        self.servers.iter().find(|(known, _)| *known == socket).map(|(_, placeholder)| placeholder.as_str())
    }

    fn source(&self, ip: IpAddr) -> Option<&str> {
        self.sources.iter().find(|(known, _)| *known == ip.to_canonical()).map(|(_, placeholder)| placeholder.as_str())
    }

    fn host(&self, ip: IpAddr) -> Option<&str> {
        self.servers.iter().find(|(known, _)| known.ip() == ip).map(|(_, placeholder)| placeholder.as_str())
    }
}

fn numbered(word: &str, earlier: usize) -> String {
    if earlier == 0 { format!("[{word}]") } else { format!("[{word} {}]", earlier + 1) }
}

/// Whether a word cannot go on here.
fn is_end(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_alphanumeric())
}

/// Steps over a text piece by piece; each step tells whether the piece was there.
struct Steps<'a> {
    rest: &'a str,
    whole: &'a str,
}

impl<'a> Steps<'a> {
    fn new(whole: &'a str) -> Self {
        Self { rest: whole, whole }
    }

    fn digits(&mut self, least: usize, most: usize) -> bool {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let is_there = count >= least;
        if is_there {
            self.rest = &self.rest[count..];
        }
        is_there
    }

    fn one_of(&mut self, words: &[&str]) -> bool {
        let rest = words.iter().find_map(|word| self.rest.strip_prefix(word));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `hh:mm` or `hh:mm:ss`, with a fraction.
    fn clock(&mut self) -> bool {
        let is_there = self.digits(2, 2) && self.one_of(&[":"]) && self.digits(2, 2);
        if is_there && self.one_of(&[":"]) && self.digits(2, 2) && self.one_of(&["."]) {
            self.digits(1, 9);
        }
        is_there
    }

    /// The length of what was stepped over, if no word goes on there.
    fn end(self) -> Option<usize> {
        is_end(self.rest).then_some(self.whole.len() - self.rest.len())
    }
}

fn iso_date(text: &str) -> Option<usize> {
    let mut steps = Steps::new(text);
    (steps.digits(4, 4) && steps.one_of(&["-"]) && steps.digits(2, 2) && steps.one_of(&["-"]) && steps.digits(2, 2))
        .then(|| steps.end())?
}

/// RFC 3339, and the same with a space and `UTC`.
fn iso_time(text: &str) -> Option<usize> {
    let mut steps = Steps::new(text.get(10..).filter(|_| text.is_char_boundary(10))?);
    iso_date(&text[..10])?;
    let is_time = steps.one_of(&["T", " "]) && steps.clock();
    if steps.one_of(&["+", "-"]) {
        let _ = steps.clock();
    } else {
        steps.one_of(&["Z", " UTC", " Z"]);
    }
    is_time.then(|| steps.end())?.map(|length| length + 10)
}

/// The dates of greetings: RFC 5322, 3.3, and the form of C's `ctime`.
fn mail_time(text: &str) -> Option<usize> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut steps = Steps::new(text);
    if steps.one_of(&DAYS) && !steps.one_of(&[", ", ",", " "]) {
        return None;
    }
    if steps.one_of(&MONTHS) {
        let is_ctime = steps.one_of(&["  ", " "]) && steps.digits(1, 2) && steps.one_of(&[" "]) && steps.clock();
        return (is_ctime && steps.one_of(&[" "]) && steps.digits(4, 4)).then(|| steps.end())?;
    }
    let is_date = steps.digits(1, 2) && steps.one_of(&[" "]) && steps.one_of(&MONTHS) && steps.one_of(&[" "]);
    if !(is_date && steps.digits(4, 4) && steps.one_of(&[" "]) && steps.clock()) {
        return None;
    }
    if steps.one_of(&[" +", " -"]) {
        steps.digits(4, 4);
        // The comment after it names the zone.
        if let Some((zone, rest)) = steps.rest.strip_prefix(" (").and_then(|rest| rest.split_once(')'))
            && zone.len() <= 5
            && zone.bytes().all(|b| b.is_ascii_uppercase())
        {
            steps.rest = rest;
        }
    } else {
        steps.one_of(&[" GMT", " UTC", " UT"]);
    }
    steps.end()
}

fn timing(text: &str) -> Option<usize> {
    let mut steps = Steps::new(text);
    (steps.digits(1, 20) && steps.one_of(&[" ms"])).then(|| steps.end())?
}

/// The number in front of `days` or `more days`, where it has five digits or more.
fn many_days(text: &str) -> Option<usize> {
    let mut steps = Steps::new(text);
    let is_count = steps.digits(5, 20);
    let length = text.len() - steps.rest.len();
    (is_count && steps.one_of(&[" days", " more days"])).then_some(length)
}

/// Fingerprints and serial numbers: at least 16 hexadecimal digits.
fn hex(text: &str) -> Option<usize> {
    let length = text.bytes().take_while(u8::is_ascii_hexdigit).count();
    (length >= 16 && is_end(&text[length..])).then_some(length)
}

fn own_version(text: &str) -> Option<(usize, &'static str)> {
    let prefix = ["mtalab/", "mtalab "].into_iter().find(|prefix| text.starts_with(prefix))?;
    let version = &text[prefix.len()..];
    let length = version.bytes().take_while(|b| b.is_ascii_alphanumeric() || b".-+".contains(b)).count();
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version[..length].contains('.');
    let length = version[..length].trim_end_matches('.').len();
    is_version.then_some((prefix.len() + length, prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::report::samples;

    fn redactor() -> Redactor {
        Redactor::new(&samples::story().facts)
    }

    #[rstest]
    #[case("connected to 192.0.2.10:25 as mx1.example.test:25", "connected to [server] as mx1.example.test:[port]")]
    #[case("192.0.2.10 and 192.0.2.100 and 192.0.2.10.", "[server] and 192.0.2.100 and [server].")]
    #[case("not offered to 203.0.113.9, port 203.0.113.9:50123", "not offered to [home], port [home]")]
    #[case("seen from partner (198.51.100.7)", "seen from [partner]")]
    #[case("Hello [198.51.100.7]", "Hello [partner]")]
    #[case("valid 2026-01-31 to 2026-02-17, 12 days ago", "valid [date] to [date], 12 days ago")]
    #[case("at 2026-03-01T12:30:45Z, 2026-03-01 12:30:45 UTC.", "at [time], [time].")]
    #[case("at 2026-03-01T12:30:45.123+01:00", "at [time]")]
    #[case("ready at Fri, 5 Aug 2016 16:24:41 -0700", "ready at [time]")]
    #[case("Exim 4.96 Fri, 05 Aug 2016 16:24:41 +0000 (UTC); hello", "Exim 4.96 [time]; hello")]
    #[case("8.17.1; 5 Aug 2016 16:24:41 GMT", "8.17.1; [time]")]
    #[case("at Fri Aug  5 16:24:41 2016", "at [time]")]
    #[case("Mon repos, 5 August", "Mon repos, 5 August")]
    #[case("serial 00a1b2c3d4e5f60718", "serial [hex]")]
    #[case("code deadbeef", "code deadbeef")]
    #[case("after 125 ms", "after [ms] ms")]
    #[case("mtalab 0.1.0, mtalab/1.2.3-rc.1, mtalab explain", "mtalab [version], mtalab/[version], mtalab explain")]
    #[case("expired 23342 days ago, 12085 more days, 3650 days", "expired [count] days ago, [count] more days, 3650 days")]
    #[case("Grüße, 漢字 10 days", "Grüße, 漢字 10 days")]
    fn what_differs_per_run_becomes_a_placeholder(#[case] text: &str, #[case] redacted: &str) {
        assert_eq!(redactor().redact(text), redacted);
    }

    #[test]
    fn places_without_a_label_are_numbered() {
        let mut facts = samples::story().facts;
        facts.views.iter_mut().for_each(|view| view.vantage.label = None);
        facts.views[1].address = "[2001:db8::10]:2525".parse().unwrap();
        let redacted = Redactor::new(&facts).redact("198.51.100.7 203.0.113.9 [2001:db8::10]:2525 2001:db8::10 ::1");
        assert_eq!(redacted, "[vantage] [vantage 2] [server 2] [server 2] ::1");
    }

    proptest! {
        #[test]
        fn any_text_is_redacted_once_and_for_all(text in "([a-zA-Z0-9 .:-]|2026-01-31|198\\.51\\.100\\.7| ms|ü){0,60}") {
            let once = redactor().redact(&text);
            prop_assert_eq!(redactor().redact(&once), once);
        }
    }
}
