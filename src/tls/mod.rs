//! The words of TLS that both halves speak: versions, suites, groups, signature schemes, alerts,
//! by the names of the IANA registries.
//!
//! A code that has no name here is written as hexadecimal and read back the same way.

mod alert;
mod group;
mod scheme;
mod suite;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alert::Alert;
pub use group::{Group, GroupKind};
pub use scheme::SignatureScheme;
pub use suite::{Authentication, Suite, SuiteFamily};

/// A protocol version, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Version {
    /// SSL 2.0 (prohibited by RFC 6176).
    #[serde(rename = "SSLv2")]
    Ssl2,
    /// SSL 3.0 (prohibited by RFC 7568).
    #[serde(rename = "SSLv3")]
    Ssl3,
    /// TLS 1.0 (deprecated by RFC 8996).
    #[serde(rename = "TLSv1.0")]
    Tls10,
    /// TLS 1.1 (deprecated by RFC 8996).
    #[serde(rename = "TLSv1.1")]
    Tls11,
    /// TLS 1.2 (RFC 5246).
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 6] = [Self::Ssl2, Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// `SSLv3`, `TLSv1.2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssl2 => "SSLv2",
            Self::Ssl3 => "SSLv3",
            Self::Tls10 => "TLSv1.0",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// The version on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::Ssl2 => 0x0002,
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// The version of that code.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.code() == code)
    }

    /// The version of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A code of a registry: its newtype, its table of names, and its text form both ways.
macro_rules! registry {
    (
        $(#[$doc:meta])*
        $type:ident($repr:ty), $digits:literal, $schema:literal;
        $($code:literal => $name:literal,)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $repr);

        impl $type {
            /// Those that have a name, by code.
            pub const NAMED: &[(Self, &'static str)] = &[$((Self($code), $name)),+];

            /// The name in the registry.
            pub fn name(self) -> Option<&'static str> {
                Self::NAMED.iter().find(|(code, _)| *code == self).map(|(_, name)| *name)
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::NAMED.iter().find(|(_, known)| *known == name).map(|(code, _)| *code)
            }
        }

        $crate::tls::text_form!($type($repr), $digits, $schema);
    };
}

/// `Display`, serde and JSON Schema by name, or by hexadecimal code where there is none.
macro_rules! text_form {
    ($type:ident($repr:ty), $digits:literal, $schema:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!("0x{:0", $digits, "x}"), self.0),
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let code = || <$repr>::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(Self);
                Self::from_name(text).or_else(code).ok_or_else(|| format!(concat!("`{}` is no ", $schema), text))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": concat!("The IANA name of a ", $schema, ", or its code as 0x and hexadecimal digits.") })
            }
        }
    };
}
use {registry, text_form};

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn versions_read_back_and_are_in_order() {
        for version in Version::ALL {
            assert_eq!(Version::from_name(version.name()), Some(version));
            assert_eq!(Version::from_code(version.code()), Some(version));
            assert_eq!(serde_json::to_value(version).unwrap(), version.name());
        }
        assert!(Version::ALL.is_sorted());
    }

    #[rstest]
    #[case("x25519", 0x001d)]
    #[case("X25519MLKEM768", 0x11ec)]
    #[case("0x7a7a", 0x7a7a)]
    fn codes_are_written_by_name_where_they_have_one(#[case] text: &str, #[case] code: u16) {
        assert_eq!(Group(code).to_string(), text);
        assert_eq!(text.parse(), Ok(Group(code)));
        let json = serde_json::to_string(&Group(code)).unwrap();
        assert_eq!(serde_json::from_str::<Group>(&json).unwrap(), Group(code));
    }

    #[test]
    fn what_is_no_code_is_refused_in_words() {
        assert_eq!("curve25519".parse::<Group>(), Err("`curve25519` is no group".to_owned()));
        assert_eq!("0x10000".parse::<Group>(), Err("`0x10000` is no group".to_owned()));
    }

    #[test]
    fn no_name_and_no_code_is_there_twice() {
        fn check<T: Copy + Ord>(named: &[(T, &'static str)]) {
            assert!(named.is_sorted_by(|a, b| a.0 < b.0));
            let names: std::collections::BTreeSet<_> = named.iter().map(|(_, name)| name).collect();
            assert_eq!(names.len(), named.len());
        }
        check(Group::NAMED);
        check(SignatureScheme::NAMED);
        check(Alert::NAMED);
    }
}
