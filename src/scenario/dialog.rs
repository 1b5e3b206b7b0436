//! What goes wrong between connect and TLS.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::DurationText;
use crate::name::Name;

/// The dialog in the clear goes wrong; each key is one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DialogFault {
    /// It breaks off.
    pub breaks: Option<Break>,
    /// Replies in other words than the server's own: to a command in capitals, or `greeting`. The lines as they are sent,
    /// with their code; what follows the last line of a reply is sent along with it.
    #[serde(default)]
    pub replies: BTreeMap<String, Vec<String>>,
    /// The greeting begins with a line that is not its last, and the rest comes late: who speaks before is turned away.
    #[schemars(extend("const" = true))]
    pub teaser: Option<bool>,
    /// Something comes late.
    pub delay: Option<Delay>,
    /// STARTTLS is accepted, though the reply to EHLO does not list it.
    #[schemars(extend("const" = true))]
    pub starttls_hidden: Option<bool>,
    /// Another server, or another way to it, takes its turn.
    pub turns: Option<TurnsFault>,
    /// So many connections at one time; more are turned away with 421.
    #[schemars(range(min = 1, max = 100))]
    pub at_once: Option<u32>,
    /// So many connections in a minute; more are turned away with 421.
    #[schemars(range(min = 1, max = 1000))]
    pub per_minute: Option<u32>,
    /// Commands that come with STARTTLS in one piece are carried out inside TLS (CVE-2011-0411).
    #[schemars(extend("const" = true))]
    pub keeps_commands: Option<bool>,
    /// STARTTLS is offered to those only who give one of these names in EHLO.
    #[schemars(length(min = 1, max = 8), extend("uniqueItems" = true))]
    pub starttls_only_for: Option<Vec<Name>>,
    /// STARTTLS that comes with more in one piece is not taken, which it is alone.
    pub pair: Option<PairFault>,
    /// Lines end in other bytes than CR LF (RFC 5321, 2.3.8).
    pub line_ends: Option<LineEnds>,
    /// Letters beyond ASCII are sent in ISO 8859-1, a byte each, and not in UTF-8.
    #[schemars(extend("const" = true))]
    pub latin_1: Option<bool>,
    /// A mail transaction that was begun before TLS is still open inside it.
    #[schemars(extend("const" = true))]
    pub keeps_transaction: Option<bool>,
    /// TLS from the first byte on, as on port 465 (RFC 8314, 3).
    #[schemars(extend("const" = true))]
    pub implicit_tls: Option<bool>,
    /// On port 465, the dialog begins in the clear all the same.
    #[schemars(extend("const" = true))]
    pub plaintext: Option<bool>,
}

impl DialogFault {
    /// Whether anything is wrong at all.
    pub fn says_anything(&self) -> bool {
        *self != Self::default()
    }
}

/// Servers, or ways to one, take turns: in the first `times` of each `of` connections STARTTLS is not what it is in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TurnsFault {
    /// What becomes of it there.
    pub starttls: InTurn,
    /// In so many connections...
    #[schemars(range(min = 1, max = 99))]
    pub times: u32,
    /// ... of so many.
    #[schemars(range(min = 2, max = 100))]
    pub of: u32,
    /// So many connections before the first of these are as they should be.
    #[schemars(range(min = 1, max = 100))]
    pub after: Option<u32>,
}

/// What becomes of STARTTLS when it is another's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InTurn {
    /// It is not offered.
    Missing,
    /// A middlebox writes over it.
    Masked,
    /// It is offered, and refused with 454.
    Refused,
    /// The server knows no EHLO, only HELO.
    HeloOnly,
    /// It is accepted, and the connection closed.
    Broken,
    /// It is accepted, and a reply follows in the clear.
    Followed,
    /// The connection is closed when it is asked for.
    Closed,
    /// It is put off with 451.
    PutOff,
    /// A byte stands behind the keyword that no keyword has.
    Garbled,
}

impl TurnsFault {
    /// What becomes of STARTTLS in the connection of that number, from 1 on, where it is another's turn.
    pub fn at(self, number: u32) -> Option<InTurn> {
        let place = number.checked_sub(1 + self.after.unwrap_or(0))?;
        (place % self.of.max(1) < self.times).then_some(self.starttls)
    }
}

/// What is done to STARTTLS with more behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PairFault {
    /// It is answered 554.
    Refused,
    /// The connection is closed.
    Closed,
}

/// What lines end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnds {
    /// LF alone.
    Lf,
    /// CR alone.
    Cr,
}

/// The dialog breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Break {
    /// Where.
    pub at: Stage,
    /// How.
    pub r#do: BreakKind,
}

/// Something comes late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delay {
    /// What.
    pub of: Stage,
    /// How late.
    pub by: DurationText,
}

/// What the server says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The greeting.
    Greeting,
    /// The reply to EHLO.
    Ehlo,
    /// The reply to STARTTLS.
    Starttls,
    /// The answer to the ClientHello, after a 220.
    Handshake,
    /// The reply to QUIT, inside TLS as well.
    Quit,
    /// Each reply, inside TLS as well; for what comes late.
    Every,
}

/// What a server does instead of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakKind {
    /// It closes the connection.
    Close,
    /// It resets the connection.
    Reset,
    /// It says nothing.
    Silence,
    /// It says what it has to say, a byte a second.
    Drip,
    /// It closes in the middle of a line.
    HalfLine,
    /// It speaks HTTP.
    WebPage,
    /// It speaks SSH.
    Ssh,
    /// It sends bytes that are no protocol.
    Garbage,
    /// Its line has no end.
    EndlessLine,
    /// Its reply has no last line.
    EndlessLines,
    /// It goes on in the clear with the words of SMTP.
    Plaintext,
    /// It sends the alert handshake_failure of TLS, and waits for no hello.
    Alert,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_round() {
        let turns = TurnsFault { starttls: InTurn::Missing, times: 2, of: 3, after: None };
        let in_turn: Vec<bool> = (1..=7).map(|number| turns.at(number).is_some()).collect();
        assert_eq!(in_turn, [true, true, false, true, true, false, true]);
        let later = TurnsFault { times: 1, of: 2, after: Some(1), ..turns };
        assert_eq!((1..=5).map(|number| later.at(number).is_some()).collect::<Vec<_>>(), [false, true, false, true, false]);
    }
}
