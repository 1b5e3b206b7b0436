//! Which addresses may be connected to, where a stranger names them.

use std::{fmt, net::IpAddr, str::FromStr};

/// The addresses of the internet, and what the user allows beyond them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Ranges that are connected to all the same.
    pub beyond: Vec<Range>,
}

impl Reach {
    /// Everything, this machine included.
    pub fn anywhere() -> Self {
        let all = |address: IpAddr| Range { address, prefix: 0 };
        Self { beyond: vec![all(std::net::Ipv4Addr::UNSPECIFIED.into()), all(std::net::Ipv6Addr::UNSPECIFIED.into())] }
    }

    /// Whether that address may be connected to.
    pub fn includes(&self, address: IpAddr) -> bool {
        is_public(address) || self.beyond.iter().any(|range| range.holds(address))
    }
}

/// `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, or one with the length of a prefix: 10.0.0.0/8")]
pub struct RangeError;

impl Range {
    /// Whether the address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let share = |a: u128, b: u128, bits: u32| {
            let differing = bits - u32::from(self.prefix).min(bits);
            a.checked_shr(differing).unwrap_or(0) == b.checked_shr(differing).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => share(u32::from(own).into(), u32::from(other).into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => share(own.into(), other.into(), 128),
            _ => false,
        }
    }
}

impl From<IpAddr> for Range {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Range {
    type Err = RangeError;
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| RangeError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), |prefix| prefix.parse().map_err(|_| RangeError))?;
        if prefix > most { Err(RangeError) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Whether an address is one of the internet, and not of this machine, this network or of no one (RFC 6890).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_of_no_one =
                a == 0 || a >= 240 || (a == 192 && b == 0 && v4.octets()[2] == 0) || (a == 198 && (b & 0xfe) == 18);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || is_shared || is_of_no_one)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // Global unicast is 2000::/3 (RFC 4291, 2.4); 64:ff9b::/96 and 2002::/16 lead to IPv4.
            None => v6.segments()[0] & 0xe000 == 0x2000 && v6.segments()[0] != 0x2002,
        },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1", false)]
    #[case("10.1.2.3", false)]
    #[case("169.254.169.254", false)]
    #[case("100.64.0.1", false)]
    #[case("0.0.0.0", false)]
    #[case("255.255.255.255", false)]
    #[case("::1", false)]
    #[case("fd00::1", false)]
    #[case("fe80::1", false)]
    #[case("::ffff:127.0.0.1", false)]
    #[case("64:ff9b::7f00:1", false)]
    #[case("2002:7f00:1::", false)]
    #[case("93.184.215.14", true)]
    #[case("2606:2800:21f::1", true)]
    fn the_inside_is_told_from_the_internet(#[case] address: &str, #[case] expected: bool) {
        assert_eq!(is_public(address.parse().unwrap()), expected);
    }

    #[rstest]
    #[case("10.0.0.0/8", "10.255.0.1", true)]
    #[case("10.0.0.0/8", "11.0.0.1", false)]
    #[case("127.0.0.1", "127.0.0.2", false)]
    #[case("::1", "::1", true)]
    #[case("0.0.0.0/0", "255.1.2.3", true)]
    #[case("0.0.0.0/0", "::1", false)]
    #[case("fd00::/8", "fdff::1", true)]
    fn ranges_hold_what_shares_their_prefix(#[case] range: &str, #[case] address: &str, #[case] expected: bool) {
        let range: Range = range.parse().unwrap();
        assert_eq!(range.holds(address.parse().unwrap()), expected, "{range}");
        assert!(Reach::anywhere().includes(address.parse().unwrap()));
    }

    #[rstest]
    #[case("10.0.0.0/33")]
    #[case("10.0.0.0/")]
    #[case("lab.test/8")]
    #[case("10/8")]
    fn what_is_no_range_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Range>(), Err(RangeError));
    }
}
