//! What a client calls itself in EHLO.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::name::{Name, NameError};

/// A host name, or the address literal of a client that has none (RFC 5321, 4.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClientName {
    /// A host name.
    Host(Name),
    /// `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321, 4.1.3).
    Literal(IpAddr),
}

/// Why a text is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientNameError {
    /// It has no brackets, and is no host name.
    #[error(transparent)]
    Host(#[from] NameError),
    /// What stands in the brackets is no address as a literal has it.
    #[error("an address literal is `[192.0.2.1]` or `[IPv6:2001:db8::1]`")]
    Literal,
}

impl FromStr for ClientName {
    type Err = ClientNameError;
    fn from_str(text: &str) -> Result<Self, ClientNameError> {
        let Some(literal) = text.strip_prefix('[') else { return Ok(Self::Host(Name::parse(text)?)) };
        let literal = literal.strip_suffix(']').ok_or(ClientNameError::Literal)?;
        // The tag is a keyword of a grammar that knows no case (RFC 5234, 2.3).
        let address = match literal.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
            Some(tag) => literal[tag.len()..].parse::<Ipv6Addr>().map(IpAddr::V6),
            None => literal.parse::<Ipv4Addr>().map(IpAddr::V4),
        };
        address.map(Self::Literal).map_err(|_| ClientNameError::Literal)
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => name.fmt(f),
            Self::Literal(IpAddr::V4(v4)) => write!(f, "[{v4}]"),
            Self::Literal(IpAddr::V6(v6)) => write!(f, "[IPv6:{v6}]"),
        }
    }
}

impl From<Name> for ClientName {
    fn from(name: Name) -> Self {
        Self::Host(name)
    }
}

impl TryFrom<String> for ClientName {
    type Error = ClientNameError;
    fn try_from(text: String) -> Result<Self, ClientNameError> {
        text.parse()
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> Self {
        name.to_string()
    }
}

impl schemars::JsonSchema for ClientName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClientName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A host name, or an address literal.", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mail.example.org", "mail.example.org")]
    #[case("[192.0.2.1]", "[192.0.2.1]")]
    #[case("[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]")]
    fn names_and_literals_are_taken(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(text.parse::<ClientName>().unwrap().to_string(), expected);
    }

    #[rstest]
    #[case("")]
    #[case("[192.0.2.1")]
    #[case("[2001:db8::1]")]
    #[case("[IPv6:192.0.2.1]")]
    #[case("[]")]
    #[case("[IPv6:]")]
    #[case("[mail.example.org]")]
    #[case("192.0.2.1]")]
    #[case("a b")]
    fn others_are_not(#[case] text: &str) {
        assert!(text.parse::<ClientName>().is_err());
    }
}
