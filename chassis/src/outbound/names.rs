//! Names that lead away: what was typed into a form is not to reach what listens beside this program, whatever its name says.

use std::io;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::http::tls::addresses;

/// Looks names up as the system does, each time a connection is made, and leaves out addresses of this machine and of its links.
#[derive(Debug)]
pub(super) struct Away;

impl Resolve for Away {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let own = addresses::local();
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let away: Vec<SocketAddr> =
                found.filter(|found| is_away(found.ip()) && !own.contains(&found.ip().to_canonical())).collect();
            if away.is_empty() {
                return Err(io::Error::other("its name leads to no other machine").into());
            }
            let addresses: Addrs = Box::new(away.into_iter());
            Ok(addresses)
        })
    }
}

fn is_away(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast())
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || ip.is_multicast()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_its_links_are_not_away_however_they_are_written() {
        for away in ["192.0.2.1", "10.0.0.7", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(is_away(away.parse().unwrap()), "{away}");
        }
        for here in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.251",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
        ] {
            assert!(!is_away(here.parse().unwrap()), "{here}");
        }
    }
}
