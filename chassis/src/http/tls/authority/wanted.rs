//! What a site's certificate is for: what the machine is called and has now, and what a person says.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::addresses;

/// Names that anybody may have in a network of their own.
pub(super) const LOCAL_NAMES: [&str; 4] = ["local", "localhost", "internal", "home.arpa"];
/// Most names that can be given.
const MOST_NAMES: usize = 32;

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

impl Wanted {
    /// What is given, and what the machine is called and has now.
    pub(super) fn now(given: &[String]) -> Self {
        Self::of(given, addresses::host_name(), addresses::local())
    }

    fn of(given: &[String], host: Option<String>, found: BTreeSet<IpAddr>) -> Self {
        let mut names = vec!["localhost".to_owned()];
        if let Some(host) = host {
            if !host.contains('.') {
                names.push(format!("{host}.local"));
            }
            names.push(host);
        }
        // A global address of the network's may be another one tomorrow, and an authority that has to vouch for it would be
        // another one, too: nobody would trust the site any more. Whoever is to reach it by one gives it.
        let mut found: BTreeSet<IpAddr> = found.into_iter().filter(is_private).collect();
        found.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        for name in given {
            match name.parse() {
                Ok(address) => drop(found.insert(address)),
                Err(_) => names.push(name.clone()),
            }
        }
        names.sort();
        names.dedup();
        Self { names, addresses: found.into_iter().collect() }
    }

    /// What of it nobody may vouch for who can vouch for local names and private addresses only.
    pub(super) fn beyond_local(&self) -> (Vec<String>, Vec<IpAddr>) {
        let local = |name: &String| LOCAL_NAMES.iter().any(|end| is_below(name, end));
        (
            self.names.iter().filter(|name| !local(name)).cloned().collect(),
            self.addresses.iter().filter(|address| !is_private(address)).copied().collect(),
        )
    }
}

/// Whether `name` is `end`, or a name below it.
pub(super) fn is_below(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_private(address: &IpAddr) -> bool {
    private_networks().iter().any(|(net, bits)| is_in(*address, *net, *bits))
}

/// Checks names and addresses that a person gave.
///
/// # Errors
/// One line that says which is none.
pub fn check_names(names: &[String]) -> Result<(), String> {
    if names.len() > MOST_NAMES {
        return Err(format!("{} names; give at most {MOST_NAMES}", names.len()));
    }
    match names.iter().find(|name| name.parse::<IpAddr>().is_err() && !addresses::is_name(name)) {
        Some(name) => Err(format!("{name:?} is neither a name in lower case nor an address")),
        None => Ok(()),
    }
}

/// Networks that anybody may have, as address and number of bits.
pub(super) fn private_networks() -> [(IpAddr, u8); 8] {
    let v4 = |a, b, c, d, bits| (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits);
    let v6 = |first: u128, bits| (IpAddr::V6(Ipv6Addr::from(first << 112)), bits);
    [
        v4(10, 0, 0, 0, 8),
        v4(172, 16, 0, 0, 12),
        v4(192, 168, 0, 0, 16),
        v4(169, 254, 0, 0, 16),
        v4(127, 0, 0, 0, 8),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        v6(0xfc00, 7),
        v6(0xfe80, 10),
    ]
}

fn is_in(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            address.to_bits() & mask == net.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(net)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            address.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_the_internet_gave_and_may_give_anew_is_none_that_the_authority_has_to_vouch_for() {
        let found = |text: &[&str]| text.iter().map(|text| text.parse().unwrap()).collect();
        let wanted = |given: &[&str], addresses: &[&str]| {
            let given: Vec<_> = given.iter().map(|name| (*name).to_owned()).collect();
            Wanted::of(&given, Some("till-1".to_owned()), found(addresses))
        };
        let today = wanted(&[], &["192.168.7.2", "2001:db8::1"]);
        assert_eq!(today, wanted(&[], &["192.168.7.2", "2001:db8::ffff"]));
        assert_eq!(today.beyond_local(), (vec!["till-1".to_owned()], Vec::new()));
        // Unless somebody says that it is reached by it.
        let given = wanted(&["2001:db8::1"], &[]);
        assert_eq!(given.beyond_local().1, ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_lies_beyond_a_network_of_ones_own_is_known() {
        let wanted = Wanted {
            names: ["localhost", "till.local", "local.example.com", "x.home.arpa", "mylocal"].map(str::to_owned).into(),
            addresses: [
                "10.1.1.1",
                "172.32.0.1",
                "172.31.9.9",
                "192.168.0.9",
                "8.8.8.8",
                "fd00::1",
                "2001:db8::1",
                "::1",
            ]
            .map(|text| text.parse().unwrap())
            .into(),
        };
        let (names, addresses) = wanted.beyond_local();
        assert_eq!(names, ["local.example.com", "mylocal"]);
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["172.32.0.1", "8.8.8.8", "2001:db8::1"]);
        assert!(check_names(&["a.b".to_owned(), "::1".to_owned()]).is_ok());
        assert!(check_names(&["A.b".to_owned()]).is_err());
        assert!(check_names(&vec!["a".to_owned(); MOST_NAMES + 1]).is_err());
    }
}
