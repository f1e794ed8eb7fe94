//! The real dialer: name, TCP or proxy, TLS, upgrade, each with its own deadline.

use super::host_meta;
use super::proxy::{self, Route};
use super::socket::WebSocket;
use super::tcp::Tcp;
use super::tls::Tls;
use super::upgrade::upgrade;
use super::{DialError, Dialer, Settings, Socket};
use crate::model::Reason;
use crate::proto::{Endpoint, Place};
use futures_util::future::BoxFuture;
use http::Uri;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Opens WebSockets over the network for one account.
#[derive(Clone, Debug)]
pub struct NetworkDialer(Arc<Steps>);

/// What the steps of a dial need.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) settings: Settings,
    tcp: Tcp,
    tls: Tls,
    route: Route,
}

/// Where a URL leads.
pub(super) struct Destination {
    host: String,
    port: u16,
    secure: bool,
    loopback: bool,
}

/// A connection, encrypted or not.
pub(super) enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl NetworkDialer {
    /// A dialer; reads the proxy variables of the environment if the settings say so.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Steps {
            tcp: Tcp::new(settings.dns, settings.stagger),
            tls: Tls::new(settings.ca.clone()),
            route: Route::new(&settings.proxy),
            settings,
        }))
    }
}

impl Dialer for NetworkDialer {
    fn dial(&self, endpoint: Endpoint) -> BoxFuture<'static, Result<Socket, DialError>> {
        let steps = Arc::clone(&self.0);
        Box::pin(async move { steps.dial(&endpoint).await })
    }
}

impl Steps {
    async fn dial(&self, endpoint: &Endpoint) -> Result<Socket, DialError> {
        let urls = match &endpoint.place {
            Place::Url(url) => return self.dial_url(url, endpoint).await,
            Place::HostMeta(domain) => Box::pin(host_meta::find(self, domain)).await?,
        };
        // A node of a cluster that is down costs the next try nothing; the first one's words tell what is wrong.
        let mut first = None;
        for url in urls {
            match self.dial_url(&url, endpoint).await {
                Err(error @ (DialError::Unreachable(_) | DialError::Refused(_))) => {
                    first.get_or_insert(error);
                }
                done => return done,
            }
        }
        Err(first.unwrap_or(DialError::Unreachable(Reason::Connect { detail: "it names no address".into() })))
    }

    async fn dial_url(&self, url: &str, endpoint: &Endpoint) -> Result<Socket, DialError> {
        let to = destination(url)?;
        if !to.secure && !to.loopback && !self.settings.insecure && !crate::mutant("insecure-allowed") {
            return Err(DialError::Forbidden(Reason::Insecure));
        }
        match Box::pin(self.connect(&to)).await? {
            Link::Plain(stream) => Box::pin(self.upgrade(stream, url, endpoint)).await,
            Link::Tls(stream) => Box::pin(self.upgrade(*stream, url, endpoint)).await,
        }
    }

    async fn upgrade<S>(&self, stream: S, url: &str, endpoint: &Endpoint) -> Result<Socket, DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let socket = within("upgrade", self.settings.upgrade, upgrade(stream, url, endpoint)).await?;
        Ok(Box::new(WebSocket(socket)))
    }

    /// TCP (through the proxy, where there is one), and TLS.
    pub(super) async fn connect(&self, to: &Destination) -> Result<Link, DialError> {
        let scheme = if to.secure { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}:{}/", to.host, to.port).parse().map_err(|_| address(&to.host))?;
        let plain_loopback = to.loopback && !to.secure;
        let stream = match self.route.proxy(&uri, to.loopback) {
            Some(proxy) => within("tcp", self.settings.tcp, proxy::connect(&self.tcp, &proxy, uri)).await?,
            None => {
                let limit = self.settings.tcp + self.settings.dns;
                within("tcp", limit, self.tcp.connect(&to.host, to.port, plain_loopback)).await?
            }
        };
        if !to.secure {
            return Ok(Link::Plain(stream));
        }
        let stream = within("tls", self.settings.tls, self.tls.connect(stream, &to.host)).await?;
        Ok(Link::Tls(Box::new(stream)))
    }
}

pub(super) async fn within<T>(
    step: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(DialError::Unreachable(Reason::Timeout { step: step.to_owned() })),
    }
}

fn address(text: &str) -> DialError {
    DialError::Forbidden(Reason::Dns { detail: format!("`{text}` is no address") })
}

/// Takes a `ws`, `wss`, `http` or `https` URL apart.
pub(super) fn destination(url: &str) -> Result<Destination, DialError> {
    let uri: Uri = url.parse().map_err(|_| address(url))?;
    let secure = match uri.scheme_str() {
        Some("wss" | "https") => true,
        Some("ws" | "http") => false,
        _ => return Err(address(url)),
    };
    let host = uri.host().ok_or_else(|| address(url))?.to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let loopback = is_loopback(&host);
    Ok(Destination { host, port, secure, loopback })
}

/// This machine by its very name. What it resolves to is checked again when it is connected in the clear.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost");
    local || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
