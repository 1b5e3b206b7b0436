//! Where a scenario is looked at from.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::name::Name;

/// A vantage point.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VantageSpec {
    /// Who stands there.
    #[schemars(length(min = 1, max = 100))]
    pub title: String,
    /// The name that it gives in EHLO; its address literal if absent.
    pub ehlo: Option<Name>,
    /// The version of IP that it comes over; IPv4 if absent. The server then has an address of each.
    pub over: Option<IpVersion>,
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpVersion {
    /// RFC 791.
    Ipv4,
    /// RFC 8200.
    Ipv6,
}
