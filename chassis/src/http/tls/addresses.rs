//! By which names and addresses this machine is reached in its network, as the kernel tells.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More of either are not put into a certificate.
const MOST: usize = 32;

/// The machine's name, where it has one that can stand in a certificate.
pub(crate) fn host_name() -> Option<String> {
    let name = crate::machine::host_name()?.to_ascii_lowercase();
    is_name(&name).then_some(name)
}

/// Whether `name` is a name of a host, or of a domain.
pub(super) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// The machine's addresses.
pub(crate) fn local() -> BTreeSet<IpAddr> {
    // Of the process's own: whatever else of /proc it may not see, it sees these.
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    let v4 = v4(&read("fib_trie")).into_iter().map(IpAddr::V4);
    let v6 = v6(&read("if_inet6")).into_iter().map(IpAddr::V6);
    v4.take(MOST).chain(v6.take(MOST)).collect()
}

/// Those of the routing table that are the machine's own: `|-- ADDRESS`, followed by `/32 host LOCAL`.
fn v4(table: &str) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in table.lines().map(str::trim) {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last);
        }
    }
    found
}

/// The first column, 32 hexadecimal characters, without addresses that mean something on one link only.
fn v6(table: &str) -> BTreeSet<Ipv6Addr> {
    let address = |line: &str| {
        let digits = line.split_whitespace().next().filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    };
    table.lines().filter_map(address).filter(|address| !address.is_unicast_link_local()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_understood() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 192.168.7.0/24 2 0 2\n\
                     \x20       |-- 192.168.7.21\n           /32 host LOCAL\n        |-- 192.168.7.255\n           /32 link BROADCAST\n\
                     Local:\n        |-- 192.168.7.21\n           /32 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n";
        assert_eq!(v4(table), BTreeSet::from([Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 168, 7, 21)]));
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000025056fffec00008 02 40 20 80     eth0\n";
        assert_eq!(v6(table), BTreeSet::from([Ipv6Addr::LOCALHOST]));
        assert!(local().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[test]
    fn only_names_of_hosts_are_names() {
        assert!(is_name("till-1") && is_name("till-1.store.example.com"));
        for wrong in ["", "a..b", "-a", "a-", "Till", "a b", "a_b", "*.example.com", &"a".repeat(64)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
