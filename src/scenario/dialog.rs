//! What goes wrong between connect and TLS.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::DurationText;

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
    /// Each connection of so many is not offered STARTTLS: another server takes its turn.
    #[schemars(range(min = 2, max = 100))]
    pub starttls_missing_every: Option<u32>,
    /// So many connections at one time; more are turned away with 421.
    #[schemars(range(min = 1, max = 100))]
    pub at_once: Option<u32>,
    /// So many connections in a minute; more are turned away with 421.
    #[schemars(range(min = 1, max = 1000))]
    pub per_minute: Option<u32>,
    /// Commands that come with STARTTLS in one piece are carried out inside TLS (CVE-2011-0411).
    #[schemars(extend("const" = true))]
    pub keeps_commands: Option<bool>,
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
}
