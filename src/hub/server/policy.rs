//! Where the hub may listen: beyond this machine only with TLS, or behind a proxy that has it.

use crate::hub::HubError;
use std::net::SocketAddr;

/// Tokens and messages must not cross a network in the clear.
///
/// # Errors
/// [`HubError::Invalid`] with the ways out, for an address beyond loopback without TLS and without a proxy.
pub fn check_listen(addr: SocketAddr, tls: bool, behind_proxy: bool) -> Result<(), HubError> {
    let loopback = match addr.ip() {
        std::net::IpAddr::V4(ip) => ip.is_loopback(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    };
    if loopback || tls || behind_proxy {
        return Ok(());
    }
    Err(HubError::Invalid(format!(
        "{addr} can be reached from other machines, and tokens would cross the network in the clear: give --tls-cert \
         and --tls-key, or --behind-proxy if a proxy in front does TLS, or listen on 127.0.0.1"
    )))
}

#[cfg(test)]
mod tests {
    use super::check_listen;

    #[test]
    fn beyond_loopback_the_hub_listens_only_with_tls_or_behind_a_proxy() {
        let try_it = |addr: &str, tls, proxy| check_listen(addr.parse().unwrap(), tls, proxy);
        for addr in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(try_it(addr, false, false).is_ok(), "{addr}");
        }
        for addr in ["0.0.0.0:1", "192.168.1.2:1", "[::]:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            let error = try_it(addr, false, false).unwrap_err().to_string();
            assert!(error.contains("--tls-cert") && error.contains("--behind-proxy"), "{error}");
            assert!(try_it(addr, true, false).is_ok() && try_it(addr, false, true).is_ok(), "{addr}");
        }
    }
}
