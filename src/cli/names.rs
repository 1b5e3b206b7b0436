//! The arguments about names: who is asked for them, what is believed, and what may be connected to.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::parse::parse_resolver;
use crate::probe::reach::{Range, Reach};

/// Who is asked for names, what is believed, and what may be connected to.
#[derive(Debug, Args)]
pub(super) struct NameArguments {
    /// Ask this resolver instead of those of this system; repeat for more.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_resolver)]
    pub(super) resolver: Vec<SocketAddr>,
    /// Validate DNSSEC from the DNSKEY or DS records in this file, one a line as in a zone file, instead of the root's keys.
    #[arg(long, value_name = "FILE")]
    pub(super) dns_anchor: Option<PathBuf>,
    /// Connect to this port of the servers of a domain, as a lab may need. TLSA records are looked for at `_25._tcp` all the same.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), default_value_t = 25)]
    pub(super) smtp_port: u16,
    /// Connect to this port of the policy host of MTA-STS.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), default_value_t = 443)]
    pub(super) policy_port: u16,
    /// Also connect to addresses that are none of the internet, where DNS names them: `10.0.0.0/8` for example, or `any`;
    /// repeat for more.
    #[arg(long, value_name = "RANGE")]
    reach: Vec<ReachText>,
}

/// A range, or all of them.
#[derive(Clone, Copy, Debug)]
enum ReachText {
    Any,
    Range(Range),
}

impl std::str::FromStr for ReachText {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self::Any),
            _ => text.parse().map(Self::Range).map_err(|error: crate::probe::reach::RangeError| format!("{error}, or `any`")),
        }
    }
}

impl NameArguments {
    /// What may be connected to, by what was named.
    pub(super) fn reach(&self) -> Reach {
        match self.reach.iter().any(|text| matches!(text, ReachText::Any)) {
            true => Reach::anywhere(),
            false => Reach {
                beyond: self
                    .reach
                    .iter()
                    .filter_map(|text| if let ReachText::Range(range) = text { Some(*range) } else { None })
                    .collect(),
            },
        }
    }
}
