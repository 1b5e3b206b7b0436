//! Values of the command line that the compiler does not check: what is no such value is refused in words.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[cfg(feature = "docker")]
use crate::lab::docker::{Release, Sign};
use crate::{facts::Depth, wire::WireText};

/// A value as a scenario file has it.
pub(super) fn parse_word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
}

/// A name that a reader can see and tell from others.
pub(super) fn parse_label(text: &str) -> Result<WireText, String> {
    let is_seen = |c: char| !c.is_whitespace() && textwrap::core::display_width(c.encode_utf8(&mut [0; 4])) > 0;
    if text.chars().any(is_seen) { Ok(WireText::from(text.trim())) } else { Err("there is nothing to be seen in it".to_owned()) }
}

pub(super) fn parse_resolved(text: &str) -> Result<((String, u16), SocketAddr), String> {
    let read = || {
        let (place, address) = text.split_once('=')?;
        let (host, port) = place.rsplit_once(':')?;
        Some(((host.to_ascii_lowercase(), port.parse().ok()?), address.parse().ok()?))
    };
    read().ok_or_else(|| "expected HOST:PORT=ADDRESS:PORT, `pki.example.org:80=192.0.2.7:80` for example".to_owned())
}

/// A sender whose policy is known, and is not what DNS says.
pub(super) fn parse_sender() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(crate::senders::of_hosts().map(|sender| sender.id))
}

/// A mailbox that stands in a command of SMTP: nothing that could end it early.
pub(super) fn parse_mailbox(text: &str) -> Result<String, String> {
    let is_plain = text.chars().all(|c| matches!(c, '!'..='~') && !matches!(c, '<' | '>'));
    let has_domain =
        text.is_empty() || text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if is_plain && has_domain && text.len() <= 254 {
        Ok(text.to_owned())
    } else {
        Err("expected a mailbox such as postmaster@example.org".to_owned())
    }
}

/// An address that can be connected to.
pub(super) fn parse_endpoint(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "expected an address with a port, such as 192.0.2.1:25 or [2001:db8::1]:25".to_owned())?;
    if address.port() == 0 { Err("no server listens on port 0".to_owned()) } else { Ok(address) }
}

/// A resolver; its port is 53 where none is named.
pub(super) fn parse_resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    address.or_else(|_| text.parse()).map_err(|_| "expected an address, with a port if it is not 53: 192.0.2.1:5353".to_owned())
}

/// A time to wait that is neither nothing nor longer than anybody waits.
pub(super) fn parse_patience(text: &str) -> Result<Duration, String> {
    const HOUR: Duration = Duration::from_secs(3600);
    let patience = humantime::parse_duration(text).map_err(|error| format!("{error}; expected a duration such as 60s or 5m"))?;
    if (Duration::from_secs(1)..=HOUR).contains(&patience) { Ok(patience) } else { Err("expected 1s to 1h".to_owned()) }
}

/// How long before something an alarm rings.
pub(super) fn parse_alarm(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(366 * 86_400);
    let alarm = humantime::parse_duration(text).map_err(|error| format!("{error}; expected a duration such as 7d or 36h"))?;
    if (Duration::from_secs(60)..=YEAR).contains(&alarm) { Ok(alarm) } else { Err("expected 1m to 366d".to_owned()) }
}

/// The name of a depth.
#[cfg(feature = "docker")]
pub(super) fn parse_release() -> impl TypedValueParser<Value = Release> {
    PossibleValuesParser::new(Release::ALL.map(Release::name))
        .map(|name| Release::ALL.into_iter().find(|release| release.name() == name).unwrap_or_default())
}

/// The name of a sign.
#[cfg(feature = "docker")]
pub(super) fn parse_sign() -> impl TypedValueParser<Value = Sign> {
    PossibleValuesParser::new(Sign::ALL.map(Sign::name))
        .map(|name| Sign::ALL.into_iter().find(|sign| sign.name() == name).unwrap_or(Sign::Greeting))
}

pub(super) fn parse_depth() -> impl TypedValueParser<Value = Depth> {
    PossibleValuesParser::new(Depth::ALL.map(Depth::name))
        .map(|name| Depth::ALL.into_iter().find(|depth| depth.name() == name).unwrap_or_default())
}

/// A delay that a relay can hold data back for.
pub(super) fn parse_delay(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(600);
    let delay = humantime::parse_duration(text).map_err(|error| format!("{error}; expected a duration such as 50ms"))?;
    if delay <= LONGEST { Ok(delay) } else { Err("expected 10m at most".to_owned()) }
}

pub(super) fn parse_moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "expected a time such as 2026-03-01T12:00:00Z".to_owned())
}
