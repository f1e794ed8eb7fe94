//! What the world offers the link: a WebSocket over TLS, or a simulated network behind the same trait.

mod host_meta;
mod network;
mod proxy;
mod settings;
mod socket;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod upgrade;

pub use network::NetworkDialer;
pub use settings::{Proxy, Settings};

use crate::model::Reason;
use crate::proto::{CloseCode, Endpoint, Frame, Refusal};
use futures_util::future::BoxFuture;
use futures_util::{Sink, Stream};

/// Opens WebSockets.
pub trait Dialer: Send + Sync + 'static {
    /// Connects to `endpoint`. Dropping the future gives the attempt up and leaves nothing behind.
    fn dial(&self, endpoint: Endpoint) -> BoxFuture<'static, Result<Socket, DialError>>;
}

/// An open WebSocket. The stream ends, or yields an error, when the connection is gone.
pub type Socket = Box<dyn Transport>;

/// Both directions of a WebSocket.
pub trait Transport: Stream<Item = Result<Wire, Broken>> + Sink<Wire, Error = Broken> + Send + Unpin {}

impl<T: Stream<Item = Result<Wire, Broken>> + Sink<Wire, Error = Broken> + Send + Unpin> Transport for T {}

/// What crosses a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A message.
    Frame(Frame),
    /// A WebSocket ping. One that comes in is answered by the transport itself; the link only flushes.
    Ping(Vec<u8>),
    /// The answer to one.
    Pong(Vec<u8>),
    /// A close frame, in either direction.
    Close(Option<CloseCode>),
}

impl Wire {
    /// Bytes of payload.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
            Self::Close(close) => close.as_ref().map_or(0, |close| close.reason.len() + 2),
        }
    }

    /// No payload at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The connection broke, in the system's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// Why a dial failed, by who decides what it means.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// A server answered the upgrade with something other than a WebSocket: the protocol judges it.
    #[error("the upgrade was answered with HTTP {}", .0.status)]
    Refused(Refusal),
    /// There was no answer to judge: come back with the ordinary backoff.
    #[error("{}", .0.text())]
    Unreachable(Reason),
    /// It can never work as configured: only the user can mend it.
    #[error("{}", .0.text())]
    Forbidden(Reason),
}
