//! How one account's sockets are opened.

use std::path::PathBuf;
use std::time::Duration;

/// How one account's sockets are opened. Every step has a deadline of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A PEM file with further authorities to trust.
    pub ca: Option<PathBuf>,
    /// `ws://` beyond this machine is allowed.
    pub insecure: bool,
    /// Through which proxy.
    pub proxy: Proxy,
    /// Asked instead of `https://DOMAIN` for host-meta; for tests.
    pub host_meta_base: Option<String>,
    /// Resolving the name.
    pub dns: Duration,
    /// Connecting, and the proxy's part where there is one.
    pub tcp: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The HTTP upgrade, or one request for host-meta.
    pub upgrade: Duration,
    /// The next address is tried beside the ones before after this long (RFC 8305, section 5).
    pub stagger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            ca: None,
            insecure: false,
            proxy: Proxy::Environment,
            host_meta_base: None,
            dns: s(10),
            tcp: s(15),
            tls: s(10),
            upgrade: s(10),
            stagger: Duration::from_millis(250),
        }
    }
}

/// Through which proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; never for this machine itself.
    #[default]
    Environment,
    /// None.
    Direct,
    /// `http://`, `socks5://` or `socks5h://`, with host and port.
    Url(String),
}
