//! `[limits]` and `[nodes]`: how much one of those who ask may ask.

use chassis::http::{Limits, LimitsLayer, Rate};
use clap::Args;
use serde::Deserialize;
use std::net::IpAddr;

/// Connections of one address where nothing else is said: all stores of a company may come from one.
const CONNECTIONS_PER_ADDRESS: u32 = 4096;

/// How much one address and one account, and one node, may ask.
#[derive(Clone, Debug, Default, Args)]
pub struct LimitsArgs {
    /// Requests a second that one address may make in the long run, 0 to 1000000; 0: any number [default: 1000].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_LIMITS_ADDRESS_PER_S")]
    limits_address_per_s: Option<u32>,
    /// Requests that one address may make at once, after a rest [default: 5000].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_LIMITS_ADDRESS_BURST")]
    limits_address_burst: Option<u32>,
    /// Requests a second that one account may make in the long run, 0 to 1000000; 0: any number [default: 200].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_LIMITS_ACCOUNT_PER_S")]
    limits_account_per_s: Option<u32>,
    /// Requests that one account may make at once, after a rest [default: 2000].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_LIMITS_ACCOUNT_BURST")]
    limits_account_burst: Option<u32>,
    /// Wrong passwords, PINs and codes of one address within five minutes, after which the next ones wait, a minute at most; 0: they
    /// never do [default: 30].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_LIMITS_LOGIN_FAILURES")]
    limits_login_failures: Option<u32>,
    /// Connections of one address at once; 0: any number [default: 4096].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_LIMITS_CONNECTIONS_PER_ADDRESS")]
    limits_connections_per_address: Option<u32>,
    /// Limit this machine's own programs, too.
    #[arg(long, env = "AINCIDENT_HUB_LIMITS_LOOPBACK", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    limits_loopback: Option<bool>,
    /// Addresses of proxies in front of this site, which say in `X-Forwarded-For` whom a request comes from [default: none].
    #[arg(long, value_name = "ADDRESSES", env = "AINCIDENT_HUB_LIMITS_PROXIES", value_delimiter = ',')]
    limits_proxies: Option<Vec<IpAddr>>,
    /// Requests a second that one node may make in the long run, 0 to 1000000; 0: any number [default: 200].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_NODES_PER_S")]
    nodes_per_s: Option<u32>,
    /// Requests that one node may make at once, after a rest [default: 5000].
    #[arg(long, value_name = "NUMBER", env = "AINCIDENT_HUB_NODES_BURST")]
    nodes_burst: Option<u32>,
}

/// `[nodes]` of the file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NodesLayer {
    per_s: Option<u32>,
    burst: Option<u32>,
}

impl LimitsArgs {
    /// These over what the file says.
    ///
    /// # Errors
    /// A number out of range; one line.
    pub(super) fn over(self, below: Option<LimitsLayer>, nodes: Option<NodesLayer>) -> Result<Limits, String> {
        let (nodes, unset) = (nodes.unwrap_or_default(), Limits::default().node);
        let per_s = self.nodes_per_s.or(nodes.per_s).unwrap_or(unset.per_s);
        let burst = self.nodes_burst.or(nodes.burst).unwrap_or(unset.burst);
        let node = Rate::new(["nodes.per_s", "nodes.burst"], per_s, burst)?;
        let above = LimitsLayer {
            address_per_s: self.limits_address_per_s,
            address_burst: self.limits_address_burst,
            account_per_s: self.limits_account_per_s,
            account_burst: self.limits_account_burst,
            login_failures: self.limits_login_failures,
            connections_per_address: self.limits_connections_per_address,
            loopback: self.limits_loopback,
            proxies: self.limits_proxies,
        };
        let mut below = below.unwrap_or_default();
        below.connections_per_address = below.connections_per_address.or(Some(CONNECTIONS_PER_ADDRESS));
        Ok(Limits { node, ..above.over(Some(below))? })
    }
}
