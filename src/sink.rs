//! How senders used TLS with a test server: what they did, and whose policy that is.
//!
//! A sender is told from others by what it does with a server that has a fault. What each would do is known from the facts
//! of the server ([`crate::senders`]); whoever does the same may be one of those.

use std::{collections::BTreeMap, net::IpAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    lab::embedded::Visited,
    senders::{Demand, Fate, Row, names},
    wire::WireText,
};

/// How many senders are told apart; more are counted together.
pub const MAX_GUESTS: usize = 1000;

/// What one sender did, in all its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Guest {
    /// What it called itself last.
    pub helo: WireText,
    /// Its connections.
    pub connections: u64,
    /// In how many of them STARTTLS was offered.
    pub offered: u64,
    /// In how many of them it asked for TLS.
    pub asked: u64,
    /// How many handshakes were finished.
    pub handshakes: u64,
    /// How often it used which version and suite; the most frequent ones.
    pub suites: BTreeMap<String, u64>,
    /// The names that it asked for, each once.
    pub server_names: Vec<WireText>,
    /// Whether it showed a certificate.
    pub client_certificate: bool,
    /// Messages that it delivered without TLS.
    pub messages_in_clear: u64,
    /// Messages that it delivered inside TLS.
    pub messages_in_tls: u64,
    /// The last trouble.
    pub failure: Option<WireText>,
}

/// All that came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Guests {
    /// By their addresses.
    pub by_address: BTreeMap<IpAddr, Guest>,
    /// Connections of others, when there were too many to tell apart.
    pub others: u64,
}

/// The most names and suites that are kept of one sender.
const MAX_KEPT: usize = 8;

impl Guests {
    /// Counts one connection.
    pub fn count(&mut self, visited: &Visited) {
        if self.by_address.len() >= MAX_GUESTS && !self.by_address.contains_key(&visited.client) {
            self.others += 1;
            return;
        }
        let guest = self.by_address.entry(visited.client).or_default();
        guest.connections += 1;
        if !visited.helo.as_str().is_empty() {
            guest.helo = visited.helo.clone();
        }
        guest.offered += u64::from(visited.offered);
        guest.asked += u64::from(visited.asked);
        guest.messages_in_clear += u64::from(visited.messages_in_clear);
        guest.messages_in_tls += u64::from(visited.messages_in_tls);
        if let Some(tls) = &visited.tls {
            guest.handshakes += 1;
            guest.client_certificate |= tls.client_certificate;
            let suite = format!("{} {}", tls.version, tls.suite);
            if guest.suites.len() < MAX_KEPT || guest.suites.contains_key(&suite) {
                *guest.suites.entry(suite).or_default() += 1;
            }
            let is_new = |name: &&WireText| !guest.server_names.contains(name) && guest.server_names.len() < MAX_KEPT;
            guest.server_names.extend(tls.server_name.iter().filter(is_new).cloned().collect::<Vec<_>>());
        }
        if visited.failure.is_some() {
            guest.failure.clone_from(&visited.failure);
        }
    }
}

impl Guest {
    /// What became of its messages, in the words of predictions: inside TLS is all that a server sees.
    pub fn fates(&self) -> &'static [Fate] {
        match (self.messages_in_tls, self.messages_in_clear) {
            (1.., _) => &[Fate::Authenticated, Fate::Encrypted],
            (0, 1..) => &[Fate::Clear],
            (0, 0) => &[Fate::Defers, Fate::Bounces],
        }
    }

    /// Which senders do as it did; `rows` are what they would do with this server.
    pub fn alike<'a>(&self, rows: &'a [Row]) -> Vec<&'a Row> {
        let speaks_tls = self.asked > 0 || self.offered == 0;
        // Who never asked for TLS where it was offered speaks none.
        let fits = |row: &&Row| self.fates().contains(&row.fate) && (row.demand != Demand::Nothing) == speaks_tls;
        rows.iter().filter(fits).collect()
    }

    /// What it did and whose policy that is, in words.
    pub fn words(&self, rows: &[Row]) -> String {
        let did = match (self.messages_in_tls, self.messages_in_clear) {
            (1.., 0) => "delivers inside TLS",
            (1.., 1..) => "delivers inside TLS and in the clear",
            (0, 1..) if self.handshakes > 0 => "delivers in the clear, and not inside TLS",
            (0, 1..) if self.asked > 0 => "asks for TLS, and delivers in the clear where it fails",
            (0, 1..) if self.offered > 0 => "delivers in the clear, and does not ask for TLS",
            (0, 1..) => "delivers in the clear, where TLS is not offered",
            (0, 0) if self.handshakes > 0 => "finishes the handshake, and does not deliver",
            (0, 0) if self.asked > 0 => "asks for TLS, and does not deliver where it fails",
            (0, 0) => "does not deliver",
        };
        let alike = self.alike(rows);
        if alike.is_empty() {
            format!("{did}; no sender that is known here does so")
        } else {
            format!("{did}, as do {}", names(&alike))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rstest::rstest;

    use super::*;
    use crate::{lab::embedded::Negotiated, senders};

    fn visited(client: u32) -> Visited {
        Visited {
            client: IpAddr::V4(Ipv4Addr::from_bits(client)),
            helo: WireText::from("x"),
            offered: true,
            asked: true,
            tls: Some(Negotiated { version: "TLSv1.3".to_owned(), ..Negotiated::default() }),
            failure: None,
            messages_in_clear: 0,
            messages_in_tls: 0,
            quit: true,
        }
    }

    /// What senders do with an expired certificate.
    fn rows() -> Vec<Row> {
        let fate = |demand| match demand {
            Demand::Nothing => Fate::Clear,
            Demand::IfPossible | Demand::Encryption => Fate::Encrypted,
            Demand::Pin => Fate::Authenticated,
            _ => Fate::Defers,
        };
        let row = |sender: &'static senders::Sender| Row {
            sender: sender.id,
            product: sender.product,
            policy: sender.policy,
            demand: sender.demand,
            fate: fate(sender.demand),
            why: String::new(),
            result_type: None,
            views: vec![0],
            source: sender.source,
        };
        senders::of_hosts().map(row).collect()
    }

    #[rstest]
    #[case(Visited { messages_in_tls: 1, ..visited(1) }, "delivers inside TLS, as do Postfix may, encrypt, fingerprint; Exim default")]
    #[case(visited(1), "finishes the handshake, and does not deliver, as do Postfix verify, secure; Exim tls_verify_hosts")]
    #[case(Visited { asked: false, tls: None, messages_in_clear: 1, ..visited(1) }, "does not ask for TLS, as do Postfix none")]
    fn a_policy_shows_in_what_is_done(#[case] visited: Visited, #[case] expected: &str) {
        let mut guests = Guests::default();
        guests.count(&visited);
        let words = guests.by_address.values().next().unwrap().words(&rows());
        assert!(words.contains(expected), "{words}");
    }

    #[test]
    fn a_flood_of_guests_is_bounded() {
        let mut guests = Guests::default();
        for client in 0..5000 {
            guests.count(&visited(client));
        }
        assert_eq!((guests.by_address.len(), guests.others), (MAX_GUESTS, 4000));
    }
}
