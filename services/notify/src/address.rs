//! Where notices may be sent. A `honk/notify-url` comes from whoever may edit an entity, so it must not reach what only this
//! machine or its network can: the cloud's metadata service never, private addresses only if the operator says so.
//!
//! Names are checked where they are resolved for the connection itself: a check before it could be answered differently a
//! moment later. Addresses written in the URL never get there and are checked apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Metadata services that lie in ranges which may be allowed: AWS over IPv6, Alibaba Cloud, Oracle Cloud.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// Decides where notices may be sent.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// Whether loopback and private networks are allowed.
    pub allow_private: bool,
}

/// An address that notices are not sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is no URL.
    #[error("is not a URL")]
    Malformed,
    /// Its scheme is another than http or https.
    #[error("is not an http:// or https:// URL")]
    Scheme,
    /// It carries a user name or password.
    #[error("carries a user name or password")]
    Credentials,
    /// It leads to an address that nobody outside could reach.
    #[error("leads to {host}, an address that notices are not sent to")]
    Address {
        /// The host, as it is written.
        host: String,
    },
}

/// How an address is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Private,
    Never,
}

impl Guard {
    /// The URL, if notices may be sent there as far as it tells by itself.
    pub fn check(self, text: &str) -> Result<Url, Forbidden> {
        let url = Url::parse(text.trim()).map_err(|_| Forbidden::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::Credentials);
        }
        let host = url.host_str().ok_or(Forbidden::Malformed)?;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !self.permits(address) => Err(Forbidden::Address { host: host.to_owned() }),
            _ => Ok(url),
        }
    }

    /// Whether a connection to the address may be made.
    pub fn permits(self, address: IpAddr) -> bool {
        match class(address) {
            Class::Public => true,
            Class::Private => self.allow_private,
            Class::Never => false,
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> = found.iter().copied().filter(|found| guard.permits(found.ip())).collect();
            if permitted.is_empty() && !found.is_empty() {
                return Err(Forbidden::Address { host }.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| class_v6(address), class_v4),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0 | 224.., ..] | [169, 254, ..] => Class::Never,
        _ if METADATA_V4.contains(&address) => Class::Never,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..]
        // Carrier-grade NAT (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544).
        | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => Class::Private,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    match address.segments() {
        [0xfe80..=0xfebf | 0xff00.., ..] => Class::Never,
        _ if address.is_unspecified() || address == METADATA_V6 => Class::Never,
        _ if address.is_loopback() => Class::Private,
        // Unique local (RFC 4193) and the former site-local addresses.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Class::Private,
        _ => Class::Public,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(v4(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Guard = Guard { allow_private: false };
    const LAX: Guard = Guard { allow_private: true };

    #[test]
    fn metadata_services_and_the_like_are_never_reached() {
        for address in [
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "192.0.0.192",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!LAX.permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn private_addresses_are_reached_only_if_the_operator_says_so() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            let address = address.parse().unwrap();
            assert!(!STRICT.permits(address) && LAX.permits(address), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.2.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(STRICT.permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_that_is_none_or_hides_an_address_is_refused() {
        let address = |host: &str| Forbidden::Address { host: host.to_owned() };
        for (text, expected) in [
            ("", Forbidden::Malformed),
            ("not a url", Forbidden::Malformed),
            ("ftp://example.org/", Forbidden::Scheme),
            ("file:///etc/passwd", Forbidden::Scheme),
            ("https://user:secret@example.org/", Forbidden::Credentials),
            ("http://127.0.0.1:8080/x", address("127.0.0.1")),
            ("http://0x7f.1/", address("127.0.0.1")),
            ("http://2130706433/", address("127.0.0.1")),
            ("http://017700000001/", address("127.0.0.1")),
            ("http://[::ffff:127.0.0.1]/", address("[::ffff:7f00:1]")),
            ("http://[::1]:80/", address("[::1]")),
            ("http://169.254.169.254/latest/meta-data/", address("169.254.169.254")),
        ] {
            assert_eq!(STRICT.check(text).unwrap_err(), expected, "{text}");
        }
        assert!(STRICT.check("https://hooks.example.org/a?b=c").is_ok());
        assert!(LAX.check("http://127.0.0.1:8080/x").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_resolved() {
        let refused = STRICT.resolve("localhost".parse().unwrap()).await.err().expect("refused");
        assert_eq!(refused.downcast_ref(), Some(&Forbidden::Address { host: "localhost".into() }));
        assert!(LAX.resolve("localhost".parse().unwrap()).await.is_ok());
    }
}
