//! Names to addresses, and the race between them (Happy Eyeballs, RFC 8305): a dead path costs one stagger, not a
//! whole timeout.

use super::DialError;
use crate::model::Reason;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};

/// Lookups under way at one time. One that hangs keeps its place, its thread and nothing else.
const LOOKUPS: usize = 4;

/// Opens TCP connections to a name and port.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    pub(super) dns: Duration,
    pub(super) stagger: Duration,
    lookups: Arc<Semaphore>,
}

impl Tcp {
    pub(super) fn new(dns: Duration, stagger: Duration) -> Self {
        Self { dns, stagger, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// Connects to the first address that answers. `loopback`: nothing beyond this machine.
    pub(super) async fn connect(&self, host: &str, port: u16, loopback: bool) -> Result<TcpStream, DialError> {
        let step = || DialError::Unreachable(Reason::Timeout { step: "dns".into() });
        let found = tokio::time::timeout(self.dns, self.resolve(host, port)).await.map_err(|_| step())?;
        let mut found = found.map_err(|error| DialError::Unreachable(Reason::Dns { detail: error.to_string() }))?;
        found.retain(|address| !loopback || address.ip().is_loopback());
        if found.is_empty() {
            let detail = format!("{host} has no address");
            return Err(DialError::Unreachable(Reason::Dns { detail }));
        }
        let connect: Connect = |address| Box::pin(TcpStream::connect(address));
        let stream = race(interleave(found), self.stagger, connect).await;
        let stream = stream.map_err(|error| DialError::Unreachable(Reason::Connect { detail: error.to_string() }))?;
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    /// A thread of its own for each lookup: the system's resolver cannot be interrupted, and a runtime that shuts
    /// down must not wait for it.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let (tell, told) = oneshot::channel();
        let host = bare.to_owned();
        std::thread::Builder::new().name("dns".into()).spawn(move || {
            let _permit = permit;
            // Nobody waits any more if the dial was given up.
            let _ = tell.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect));
        })?;
        told.await.map_err(io::Error::other)?
    }
}

type Connect = fn(SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>>;

/// Families in turn, beginning with the family that the system prefers (RFC 8305, section 4).
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut order = VecDeque::new();
    while !one.is_empty() || !other.is_empty() {
        order.extend(one.pop_front());
        order.extend(other.pop_front());
    }
    order
}

/// The first that connects wins, the others are dropped. A failure starts the next at once.
async fn race<T, F>(mut waiting: VecDeque<SocketAddr>, stagger: Duration, connect: F) -> io::Result<T>
where
    F: Fn(SocketAddr) -> BoxFuture<'static, io::Result<T>>,
{
    let mut running = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    loop {
        if let Some(address) = waiting.pop_front() {
            let attempt = connect(address);
            running.push(async move {
                attempt.await.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
            });
        }
        let next = async {
            if waiting.is_empty() && !crate::mutant("no-happy-eyeballs") {
                std::future::pending::<()>().await;
            }
            let pause = if crate::mutant("no-happy-eyeballs") { Duration::from_secs(3600) } else { stagger };
            tokio::time::sleep(pause).await;
        };
        tokio::select! {
            biased;
            done = running.next() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error,
                None => return Err(last),
            },
            () = next => {}
        }
    }
}

impl tower_service::Service<http::Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let tcp = self.clone();
        Box::pin(async move {
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 1080 });
            tcp.connect(uri.host().unwrap_or_default(), port, false).await.map(TokioIo::new)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BoxFuture, Duration, SocketAddr, interleave, io, race};

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_preferred_one() {
        let found = addresses(&["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "192.0.2.2:1"]);
        let order: Vec<_> = interleave(found).into();
        assert_eq!(order, addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1"]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_ipv6_path_costs_a_quarter_of_a_second() {
        let connect = |address: SocketAddr| -> BoxFuture<'static, io::Result<SocketAddr>> {
            Box::pin(async move {
                if address.is_ipv6() {
                    std::future::pending::<()>().await;
                }
                Ok(address)
            })
        };
        let begin = tokio::time::Instant::now();
        let found = addresses(&["[2001:db8::1]:1", "192.0.2.1:1"]);
        let won =
            tokio::time::timeout(Duration::from_secs(10), race(found.into(), Duration::from_millis(250), connect));
        assert!(won.await.unwrap().unwrap().is_ipv4());
        assert_eq!(begin.elapsed(), Duration::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_at_once_and_the_last_one_is_told() {
        let connect = |_: SocketAddr| -> BoxFuture<'static, io::Result<()>> {
            Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
        };
        let begin = tokio::time::Instant::now();
        let found = addresses(&["[2001:db8::1]:1", "192.0.2.1:1"]);
        let error = race(found.into(), Duration::from_millis(250), connect).await.unwrap_err();
        assert!(error.to_string().contains("192.0.2.1:1"), "{error}");
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
