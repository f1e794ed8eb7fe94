//! Through an HTTP CONNECT or SOCKS5 proxy, where configuration or environment name one.

use super::tcp::Tcp;
use super::{DialError, Proxy};
use crate::model::Reason;
use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::net::TcpStream;
use tower_service::Service as _;

/// Which destinations go through which proxy.
#[derive(Debug)]
pub(super) enum Route {
    Direct,
    /// From the environment: never for this machine itself.
    Environment(Matcher),
    Configured(Matcher),
}

impl Route {
    pub(super) fn new(proxy: &Proxy) -> Self {
        match proxy {
            Proxy::Environment => Self::Environment(Matcher::from_env()),
            Proxy::Direct => Self::Direct,
            Proxy::Url(url) => Self::Configured(Matcher::builder().all(url.clone()).build()),
        }
    }

    /// The proxy for this destination, if any.
    pub(super) fn proxy(&self, to: &Uri, loopback: bool) -> Option<Intercept> {
        match self {
            Self::Environment(matcher) if !loopback => matcher.intercept(to),
            Self::Configured(matcher) => matcher.intercept(to),
            Self::Direct | Self::Environment(_) => None,
        }
    }
}

/// A connection to `to` (`http` or `https`, with its port) through the proxy.
pub(super) async fn connect(tcp: &Tcp, proxy: &Intercept, to: Uri) -> Result<TcpStream, DialError> {
    let (at, tcp) = (proxy.uri().clone(), tcp.clone());
    let stream = match at.scheme_str() {
        Some("http") => {
            let mut tunnel = Tunnel::new(at.clone(), tcp);
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            tunnel.call(to).await.map_err(|error| failed(&at, &error))?
        }
        Some(scheme @ ("socks5" | "socks5h")) => {
            let mut socks = SocksV5::new(at.clone(), tcp).local_dns(scheme == "socks5");
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.call(to).await.map_err(|error| failed(&at, &error))?
        }
        _ => {
            let detail = "the proxy is neither http:// nor socks5://".to_owned();
            return Err(DialError::Forbidden(Reason::Connect { detail }));
        }
    };
    Ok(stream.into_inner())
}

/// Names the proxy without its credentials.
fn failed(at: &Uri, error: &dyn std::error::Error) -> DialError {
    let (host, port) = (at.host().unwrap_or_default(), at.port_u16().map_or(String::new(), |port| format!(":{port}")));
    let mut detail = format!("proxy {host}{port}: {error}");
    if let Some(cause) = error.source() {
        detail = format!("{detail}: {cause}");
    }
    DialError::Unreachable(Reason::Connect { detail })
}
