//! Replies that are about who asks, and not about what was asked.

use std::net::IpAddr;

use super::Reply;

/// Lists of addresses by their names, and where they say why; they are about the client whatever stands beside them.
const LISTS: [&str; 10] = [
    "spamhaus",
    "spamcop",
    "barracudacentral",
    "sorbs.net",
    "dnsbl",
    "uceprotect",
    "abuseat.org",
    "senderscore",
    "mailspike",
    "ipcheck.proofpoint",
];

/// Who asks, in the words of servers.
const CLIENT: [&str; 22] = [
    "client host",
    "client address",
    "client ip",
    "your ip",
    "your host",
    "your address",
    "your network",
    "your server",
    "your mail server",
    "your mta",
    "sending mta",
    "sending ip",
    "sending host",
    "sending server",
    "this ip",
    "ip address",
    "source address",
    "source ip",
    "connections from",
    "connection from",
    "not welcome",
    "blocked sender host",
];

/// Lists in general.
const LISTED: [&str; 10] = [
    "blocklist",
    "block list",
    "block-list",
    "blacklist",
    "black list",
    "blackhole",
    "denylist",
    "deny list",
    "reputation",
    "banned",
];

impl Reply {
    /// Whether a refusal is about the name that DNS has for the client's address, or has not (X.7.25 of RFC 7372).
    pub fn minds_the_reverse_name(&self) -> bool {
        const NO_NAME: [&str; 4] = ["cannot find your hostname", "no reverse", "without reverse", "missing reverse"];
        const OF_DNS: [&str; 5] = ["dns", "name", "hostname", "lookup", "record"];
        if self.code < 400 {
            return false;
        }
        let text = self.words();
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let is_reverse = |pair: &[&str]| pair[0] == "reverse" && OF_DNS.contains(&pair[1]);
        self.enhanced_code().is_some_and(|code| (code.subject, code.detail) == (7, 25))
            || NO_NAME.iter().any(|phrase| text.contains(phrase))
            || words.iter().any(|word| matches!(*word, "rdns" | "ptr"))
            || words.windows(2).any(is_reverse)
    }

    /// Whether a refusal is about who asks, and would be the answer to anything: a list of addresses, a client that is not let
    /// in, one without a name. It says nothing about the command. What speaks of TLS, of a name given in EHLO, of
    /// authentication or of a limit that will be over later is not meant.
    pub fn turns_the_client_away(&self) -> bool {
        const OF_TLS: [&str; 8] = ["tls", "starttls", "ssl", "certificate", "cipher", "encrypt", "crypto", "handshake"];
        const FOR_NOW: [&str; 11] =
            ["too many", "limit", "again", "later", "greylist", "graylist", "busy", "overload", "concurren", "defer", "rate "];
        if self.code < 400 || self.is_about_the_name() {
            return false;
        }
        if self.is_transient() && self.speaks_of(&FOR_NOW) {
            return false;
        }
        if self.minds_the_reverse_name() || self.speaks_of(&LISTS) {
            return true;
        }
        let text = self.words();
        let words = || text.split(|c: char| !c.is_ascii_alphanumeric());
        let speaks = |stems: &[&str]| words().any(|word| stems.iter().any(|stem| word.starts_with(stem)));
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        if speaks(&["authent"]) || self.is_about_the_command() {
            return false;
        }
        // "Too many connections from 192.0.2.1": a limit is over some time, whatever the code.
        let is_of_clients = has(&["client host"]);
        if !is_of_clients && self.speaks_of_a_limit() && !has(&LISTED) {
            return false;
        }
        // "Access denied for 192.0.2.1".
        let is_of_an_address = || {
            let bare = |word: &'_ str| word.trim_matches(|c: char| !c.is_ascii_hexdigit() && c != ':').parse::<IpAddr>().is_ok();
            speaks(&["denied", "deny", "reject", "block", "refuse", "forbid"])
                && text.split([' ', '=', '[', ']', '(', ')']).any(bare)
        };
        is_of_clients
            || (!speaks(&OF_TLS) && (has(&CLIENT) || has(&LISTED) || words().any(|word| word == "rbl") || is_of_an_address()))
    }

    /// The text in small letters, without places in the web: whatever letters those have, they say nothing.
    fn words(&self) -> String {
        let is_place = |word: &&str| word.contains("://") || word.starts_with("www.");
        let text = self.to_string().to_ascii_lowercase();
        text.split_whitespace().filter(|word| !is_place(word)).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn reply(line: &str) -> Reply {
        let (code, text) = line.split_at(3);
        Reply { code: code.parse().unwrap(), lines: vec![text.trim().into()], bare_lf: false }
    }

    #[rstest]
    #[case("550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using zen.spamhaus.org")]
    #[case("554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied")]
    #[case("554 5.7.1 Client host rejected: too many connections")]
    #[case("554 5.7.1 Connections from your IP are blacklisted: too many connections")]
    #[case("550 5.7.1 Client host rejected: blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1")]
    #[case("571 5.7.1 Your IP is on our block list")]
    #[case("554 Your access to this mail system has been rejected due to the sending MTA's poor reputation")]
    #[case("550 5.7.1 Access denied for 127.0.0.1")]
    #[case("550 Connection refused: [2001:db8::1]")]
    #[case("554 5.7.25 no")]
    #[case("550 5.7.1 No reverse DNS for 192.0.2.1")]
    #[case("421 4.7.1 Connection refused: your IP is blacklisted by zen.spamhaus.org")]
    #[case("450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]")]
    #[case("450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]")]
    #[case("450 4.7.1 Service unavailable; Client host [192.0.2.1] blocked using list.example")]
    #[case("554 5.7.1 STARTTLS rejected: 192.0.2.1 is listed at https://www.spamhaus.org/query")]
    fn who_minds_the_client(#[case] line: &str) {
        assert!(reply(line).turns_the_client_away());
    }

    #[rstest]
    #[case("220 no reverse DNS needed")]
    #[case("454 4.7.0 TLS not available due to local problem")]
    #[case("454 4.7.0 Error: too many new TLS sessions from 192.0.2.1")]
    #[case("421 4.7.0 too many connections from your IP")]
    #[case("554 5.7.0 Error: too many connections from 192.0.2.1")]
    #[case("550 5.7.0 rate limit exceeded for your IP")]
    #[case("451 4.7.1 Client host rejected: Greylisted, try again later")]
    #[case("421 4.7.0 messages from your IP address temporarily deferred")]
    #[case("500 5.5.1 command unrecognized")]
    #[case("502 5.5.1 not implemented")]
    #[case("502 5.7.1 command not implemented for your network's clients; TLS neither")]
    #[case("504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname")]
    #[case("530 5.7.0 Authentication required")]
    #[case("530 5.7.1 Client was not authenticated")]
    #[case("550 5.7.0 TLS is blocked by policy")]
    #[case("550 5.7.0 no certificate listed in configuration, STARTTLS rejected")]
    #[case("550 5.7.0 TLS is not offered to your IP address")]
    #[case("554 5.7.0 cipher blacklisted")]
    #[case("554 5.7.0 security failure")]
    #[case("554 5.7.1 access denied")]
    #[case("550 5.7.0 STARTTLS denied for 192.0.2.1")]
    #[case("554 5.7.1 access denied by rule 5.7.1")]
    #[case("554 5.7.1 access denied, id dead:beef")]
    #[case("521 5.3.2 this host does not accept mail")]
    #[case("554 5.3.5 see https://www.example.test/your-ip/ptr")]
    fn who_minds_something_else(#[case] line: &str) {
        assert!(!reply(line).turns_the_client_away());
    }

    #[rstest]
    #[case("450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", true)]
    #[case("554 5.7.1 Client host rejected: cannot find your reverse hostname", true)]
    #[case("550 5.7.1 192.0.2.1 has no PTR record", true)]
    #[case("550 rDNS missing", true)]
    #[case("550 5.7.1 Client host rejected: Access denied", false)]
    #[case("550 5.7.1 reverse the order of commands", false)]
    fn the_missing_name_is_told_from_other_reasons(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(reply(line).minds_the_reverse_name(), expected);
    }
}
