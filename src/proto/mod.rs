//! Wire protocols as pure machines: one [`Protocol`] for one account, for as long as the account exists.
//!
//! A protocol is told what came over the connection and what was committed, and says what to send, what is
//! durable fact and what to acknowledge. It never does I/O and never fails: a bad peer is a `Disconnect`.

pub mod hub;
pub mod xmpp;

use crate::machine::Machine;
use crate::model::{BatchId, Checkpoint, Command, Event, Perishable, Reason, Secret, Signal, Timestamp};
use std::time::Duration;

/// One wire protocol for one account. It outlives connections.
///
/// What the driver (`link`) does with it, in this order:
/// 1. `Opened` after each successful upgrade, or `Refused` when the server answered the upgrade otherwise.
/// 2. `Frame`s as they come; every `Event` that comes out belongs to the batch now being filled.
/// 3. `Cut(id)` before a batch is applied; the machine answers `Checkpoint(id, _)` with its progress as of that
///    batch. `Committed(id)` after the transaction: only now may it acknowledge to the server. `CommitFailed(id)`
///    means the driver will try the same batch again.
/// 4. `Ready` (logged in) makes the driver offer every unsettled outbox row as `Command`.
/// 5. `Probe(n)` asks for a round trip; the machine transmits a ping of its own and says `Proof(n)` when the answer
///    to exactly this probe came. `has_probe()` false: the driver uses a WebSocket ping instead.
/// 6. `Closed` when the connection is gone for whatever cause: the machine falls back to its last committed
///    checkpoint and forgets whatever was not committed.
pub trait Protocol: Machine<Input = Input, Output = Output> + Send {
    /// Where to connect now. May change (`see-other-uri`, a hub's `bye.to`).
    fn endpoint(&self) -> Endpoint;

    /// The protocol has a ping of its own.
    fn has_probe(&self) -> bool {
        true
    }

    /// The probe interval the server advised, if any.
    fn advised_interval(&self) -> Option<Duration> {
        None
    }

    /// After how long a silence the server forgets this client, if it said so.
    fn server_timeout(&self) -> Option<Duration> {
        None
    }

    /// Frames, stanzas or fields that were ignored or refused as invalid or forged, since start.
    fn refused(&self) -> u64 {
        0
    }
}

/// What can happen to a protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The WebSocket is open.
    Opened {
        /// Wall-clock time now.
        at: Timestamp,
    },
    /// The server answered the upgrade with something else.
    Refused(Refusal),
    /// A frame came.
    Frame(Frame),
    /// An outbox row to carry out.
    Command(Box<Command>),
    /// Show that the peer lives.
    Probe(u64),
    /// The batch with this id ends here.
    Cut(BatchId),
    /// That batch is on disk.
    Committed(BatchId),
    /// That batch could not be written; it will be tried again.
    CommitFailed(BatchId),
    /// A fact about the machine or a reader's wish.
    Signal(Signal),
    /// The connection is gone.
    Closed(Option<CloseCode>),
}

/// What a protocol wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Put this frame on the wire.
    Transmit(Frame),
    /// A durable fact for the batch now being filled.
    Event(Event),
    /// Something true only for a moment.
    Perishable(Perishable),
    /// The progress that goes with a batch; the answer to `Cut`.
    Checkpoint(BatchId, Checkpoint),
    /// Logged in.
    Ready,
    /// The answer to this probe came.
    Proof(u64),
    /// End this connection: when to come back, and why.
    Disconnect(Verdict, Reason),
}

/// What a disconnect means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Come back with the ordinary backoff.
    Retry,
    /// Not before this long.
    RetryAfter(Duration),
    /// Only after the user did something.
    Halt,
}

/// One WebSocket message.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub body: FrameBody,
    /// Wall-clock time at which it came; 0 for frames to be sent.
    pub received_at: Timestamp,
}

/// Text or binary.
#[derive(Clone, PartialEq, Eq)]
pub enum FrameBody {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Frame {
    /// A text frame to be sent.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { body: FrameBody::Text(text.into()), received_at: Timestamp(0) }
    }

    /// A text frame that came.
    #[must_use]
    pub fn received(text: impl Into<String>, at: Timestamp) -> Self {
        Self { body: FrameBody::Text(text.into()), received_at: at }
    }

    /// Bytes of payload.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.body {
            FrameBody::Text(text) => text.len(),
            FrameBody::Binary(bytes) => bytes.len(),
        }
    }

    /// No payload at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Frames may carry secrets and people's words: `Debug` tells only the size.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.body {
            FrameBody::Text(text) => write!(f, "Frame(text, {} bytes)", text.len()),
            FrameBody::Binary(bytes) => write!(f, "Frame(binary, {} bytes)", bytes.len()),
        }
    }
}

/// The server's answer to an upgrade when it was not 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, where given.
    pub retry_after: Option<Duration>,
    /// The answer looks like a web page: a captive portal.
    pub html: bool,
    /// The first bytes of the answer's body, for the error text; never more than 256.
    pub body: String,
}

/// A WebSocket close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseCode {
    /// Its code (RFC 6455, 7.4); 1006 where the connection broke without one.
    pub code: u16,
    /// Its reason.
    pub reason: String,
}

/// Where and how to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A `ws://` or `wss://` URL, or where to find one.
    pub place: Place,
    /// The WebSocket subprotocol; the server must choose it.
    pub subprotocol: &'static str,
    /// Further headers of the upgrade, such as `Authorization`.
    pub headers: Vec<(&'static str, Secret)>,
    /// Largest message to accept, bytes.
    pub max_frame: usize,
}

/// A URL, or a domain whose host-meta names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `ws://` or `wss://`.
    Url(String),
    /// Ask `https://DOMAIN/.well-known/host-meta` (XEP-0156).
    HostMeta(String),
}
