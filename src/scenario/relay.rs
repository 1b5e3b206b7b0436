//! What stands between the clients and the server, and changes what they hear.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::DurationText;

/// A relay before the server: a middlebox, or trouble at one stage of what the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RelayFault {
    /// It is a Cisco ASA that inspects ESMTP: it writes over the greeting, keywords and commands that it does not know.
    #[schemars(extend("const" = true))]
    pub asa: Option<bool>,
    /// Where it interferes.
    pub at: Option<RelayStage>,
    /// What it does there.
    pub r#do: Option<RelayAction>,
    /// How long it holds back what it delays.
    pub by: Option<DurationText>,
    /// What it says instead, a line without its end.
    #[schemars(length(min = 1, max = 4000))]
    pub with: Option<String>,
    /// It passes everything on, and the server takes all clients for one: a balancer that does not say where they come from.
    #[schemars(extend("const" = true))]
    pub hides_clients: Option<bool>,
}

/// A stage of what the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RelayStage {
    /// Where clients connect, which then get no further.
    Connect,
    /// The greeting: its last line.
    Greeting,
    /// A line of the reply to EHLO, from 1 on.
    Ehlo(u8),
    /// The reply to STARTTLS: its last line.
    Starttls,
    /// A record that the server sends after it, from 1 on.
    Record(u8),
}

/// What a relay does with a line or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RelayAction {
    /// It holds it back.
    Delay,
    /// It passes it on in ten pieces a second, a byte each.
    Drip,
    /// It passes it on in two pieces.
    Split,
    /// It closes the connection instead.
    Close,
    /// It resets the connection instead.
    Reset,
    /// It says something else instead.
    Replace,
    /// It leaves it out.
    Remove,
    /// It refuses the connection, as a firewall does that rejects.
    Refuse,
    /// It says nothing to whoever would connect, as a firewall does that drops.
    Drop,
}

impl TryFrom<String> for RelayStage {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u8>().ok().filter(|number| *number > 0);
        let stage = match text.split_once(':') {
            None if text == "connect" => Some(Self::Connect),
            None if text == "greeting" => Some(Self::Greeting),
            None if text == "starttls" => Some(Self::Starttls),
            Some(("ehlo", line)) => number(line).map(Self::Ehlo),
            Some(("record", place)) => number(place).map(Self::Record),
            _ => None,
        };
        stage.ok_or_else(|| {
            format!("`{text}` is none of `connect`, `greeting`, `ehlo:1`, `starttls` and `record:1`, or of their numbers")
        })
    }
}

impl From<RelayStage> for String {
    fn from(stage: RelayStage) -> Self {
        match stage {
            RelayStage::Connect => "connect".to_owned(),
            RelayStage::Greeting => "greeting".to_owned(),
            RelayStage::Ehlo(line) => format!("ehlo:{line}"),
            RelayStage::Starttls => "starttls".to_owned(),
            RelayStage::Record(place) => format!("record:{place}"),
        }
    }
}

impl JsonSchema for RelayStage {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RelayStage".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Where clients connect, or a stage of what the server says: the greeting, a line of the reply to EHLO, the reply to STARTTLS, a record after it.",
            "type": "string",
            "pattern": "^(connect|greeting|starttls|(ehlo|record):[1-9][0-9]{0,2})$"
        })
    }
}

impl RelayFault {
    /// What is said of it that does not go together, in words; none where all does.
    pub fn contradiction(&self) -> Option<&'static str> {
        let Self { asa, at, r#do, by, with, hides_clients } = self;
        let needs = |action: RelayAction| *r#do == Some(action);
        let ends_at_once = matches!(r#do, Some(RelayAction::Refuse | RelayAction::Drop));
        if hides_clients.is_some() && (asa.is_some() || at.is_some() || r#do.is_some()) {
            Some("a relay that hides clients passes everything on: `asa`, `at` and `do` are for another one")
        } else if hides_clients.is_some() {
            None
        } else if asa.is_some() && (at.is_some() || r#do.is_some()) {
            Some("an ASA does what an ASA does: `at` and `do` are for another relay")
        } else if asa.is_none() && (at.is_none() || r#do.is_none()) {
            Some("a relay needs `asa`, `hides-clients`, or `at` and `do`")
        } else if ends_at_once != (*at == Some(RelayStage::Connect)) {
            Some("`refuse` and `drop` are what can be done at `connect`, and only there")
        } else if by.is_some() != needs(RelayAction::Delay) {
            Some("`by` belongs to `do = \"delay\"`, and that needs it")
        } else if with.is_some() != needs(RelayAction::Replace) {
            Some("`with` belongs to `do = \"replace\"`, and that needs it")
        } else {
            None
        }
    }
}
