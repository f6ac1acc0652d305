//! `[limits]` of a configuration.

use std::net::IpAddr;

use serde::Deserialize;

use crate::config::within;

/// The most that a number of requests may be set to.
const MOST: u32 = 1_000_000;
/// The most wrong guesses that may cost nothing.
const MOST_FAILURES: u32 = 10_000;
/// The most connections of one address that can be allowed.
const MOST_CONNECTIONS: u32 = 100_000;
/// Most proxies.
const MOST_PROXIES: usize = 64;

/// How often a key may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; 0: there is no limit.
    pub per_s: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}

impl Rate {
    /// What is set by keys of these names, 0 to 1,000,000 and 1 to 1,000,000.
    ///
    /// # Errors
    /// A number out of range; one line.
    pub fn new(names: [&str; 2], per_s: u32, burst: u32) -> Result<Self, String> {
        Ok(Self {
            per_s: within(names[0], per_s, 0, MOST)?,
            burst: within(names[1], burst, 1, MOST)?,
        })
    }
}

/// What one caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of an address; of IPv6, of its /64. Against floods: a hundred people may be behind one. Default 1000 a second, 5000 at once.
    pub address: Rate,
    /// Of an account. Default 200 a second, 2000 at once.
    pub account: Rate,
    /// Of a node: more than one needs that brings weeks of reports and photos. Default 200 a second, 5000 at once.
    pub node: Rate,
    /// Wrong passwords, PINs and codes of an address within five minutes before the next one has to wait; 0: any number. Default 30.
    pub login_failures: u32,
    /// Connections of one address; 0: any number. Default 256.
    pub connections_per_address: u32,
    /// Whether this machine's own programs are limited as all others. Default false.
    pub loopback: bool,
    /// Proxies that say in `X-Forwarded-For` whom a request comes from. By default nobody is believed.
    pub proxies: Vec<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            address: Rate { per_s: 1000, burst: 5000 },
            account: Rate { per_s: 200, burst: 2000 },
            node: Rate { per_s: 200, burst: 5000 },
            login_failures: 30,
            connections_per_address: 256,
            loopback: false,
            proxies: Vec::new(),
        }
    }
}

impl Limits {
    /// Whether a request from this machine need not be looked at.
    pub(super) fn spares_loopback(&self) -> bool {
        !self.loopback && !self.proxies.iter().any(IpAddr::is_loopback)
    }
}

/// `[limits]` of a configuration file, or what options say of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsLayer {
    /// Of [`Limits::address`].
    pub address_per_s: Option<u32>,
    /// Of [`Limits::address`].
    pub address_burst: Option<u32>,
    /// Of [`Limits::account`].
    pub account_per_s: Option<u32>,
    /// Of [`Limits::account`].
    pub account_burst: Option<u32>,
    /// [`Limits::login_failures`].
    pub login_failures: Option<u32>,
    /// [`Limits::connections_per_address`].
    pub connections_per_address: Option<u32>,
    /// [`Limits::loopback`].
    pub loopback: Option<bool>,
    /// [`Limits::proxies`].
    pub proxies: Option<Vec<IpAddr>>,
}

impl LimitsLayer {
    /// What this layer says, and where it says nothing the one `below`; else the defaults.
    ///
    /// # Errors
    /// A number out of range; one line.
    pub fn over(self, below: Option<Self>) -> Result<Limits, String> {
        let (below, unset) = (below.unwrap_or_default(), Limits::default());
        let rate = |names: [&str; 2], per_s: Option<u32>, burst: Option<u32>, unset: Rate| {
            Rate::new(names, per_s.unwrap_or(unset.per_s), burst.unwrap_or(unset.burst))
        };
        let proxies = self.proxies.or(below.proxies).unwrap_or_default();
        if proxies.len() > MOST_PROXIES {
            return Err(format!("limits.proxies has {} addresses; give at most {MOST_PROXIES}", proxies.len()));
        }
        let (per_s, burst) = (self.address_per_s.or(below.address_per_s), self.address_burst.or(below.address_burst));
        let address = rate(["limits.address_per_s", "limits.address_burst"], per_s, burst, unset.address)?;
        let (per_s, burst) = (self.account_per_s.or(below.account_per_s), self.account_burst.or(below.account_burst));
        let account = rate(["limits.account_per_s", "limits.account_burst"], per_s, burst, unset.account)?;
        let failures = self.login_failures.or(below.login_failures).unwrap_or(unset.login_failures);
        let connections = self.connections_per_address.or(below.connections_per_address);
        let connections = connections.unwrap_or(unset.connections_per_address);
        Ok(Limits {
            address,
            account,
            login_failures: within("limits.login_failures", failures, 0, MOST_FAILURES)?,
            connections_per_address: within("limits.connections_per_address", connections, 0, MOST_CONNECTIONS)?,
            loopback: self.loopback.or(below.loopback).unwrap_or(unset.loopback),
            proxies: proxies.iter().map(IpAddr::to_canonical).collect(),
            ..unset
        })
    }
}
