//! The Rust client: a handle to one connection, typed by the methods' parameter types. It knows no store and no daemon,
//! only the wire.

mod connection;
mod cursor;
mod subscription;

pub use cursor::Cursor;
pub use subscription::Subscription;

use super::wire::{self, Fault, Find, Method};
use connection::Connection;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

/// What went wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers there: start the daemon.
    #[error("no daemon answers at {}: {cause}", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The connection ended; whether the request was carried out is not known. Connect again.
    #[error("the daemon ended the connection")]
    Lost,
    /// The daemon refused the request.
    #[error(transparent)]
    Fault(#[from] Box<Fault>),
    /// The other side does not speak this interface.
    #[error("the answer is not understood: {0}")]
    Strange(String),
    /// The limit given to [`Cursor::to_vec`] was reached.
    #[error("there are more than {0} rows: raise the limit, or read them one by one")]
    TooMany(usize),
}

impl ClientError {
    /// The daemon's own error, where it is one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }
}

/// A handle to a connection with the daemon; clones share it. Requests of several clones are answered independently.
/// The connection closes when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Client {
    ask: mpsc::Sender<Question>,
    path: PathBuf,
}

/// A request on its way to the connection's task.
#[derive(Debug)]
struct Question {
    method: &'static str,
    params: Value,
    answer: oneshot::Sender<Result<Value, ClientError>>,
}

impl Client {
    /// Connects to the daemon's socket. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] when nothing listens there.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = open(path).await?;
        let (ask, questions) = mpsc::channel(16);
        tokio::spawn(Connection::new(stream).run(questions));
        Ok(Self { ask, path: path.to_path_buf() })
    }

    /// Where it is connected.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Carries out one request.
    ///
    /// # Errors
    /// The daemon's refusal, or the connection's end.
    pub async fn call<M: Method>(&self, params: M) -> Result<M::Answer, ClientError> {
        let params = serde_json::to_value(params).map_err(strange)?;
        let (answer, answered) = oneshot::channel();
        let question = Question { method: M::NAME, params, answer };
        self.ask.send(question).await.map_err(|_| ClientError::Lost)?;
        let value = answered.await.map_err(|_| ClientError::Lost)??;
        serde_json::from_value(value).map_err(strange)
    }

    /// What every account's connection is doing.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn status(&self) -> Result<wire::StatusInfo, ClientError> {
        self.call(wire::StatusAsk {}).await
    }

    /// Sends a text; returns when it is durably in the outbox.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn send(&self, account: &str, conversation: &str, text: &str) -> Result<wire::Queued, ClientError> {
        self.call(wire::Send {
            account: Some(account.into()),
            conversation: conversation.into(),
            text: text.into(),
            reply_to: None,
            attachments: Vec::new(),
            id: None,
        })
        .await
    }

    /// A cursor over history. Nothing is asked until its first row is wanted.
    #[must_use]
    pub fn find(&self, find: Find) -> Cursor {
        Cursor::new(self.clone(), find)
    }

    /// Every committed change after a point, over a connection of its own, so that a slow reader holds nothing up.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::call`].
    pub async fn subscribe(&self, ask: wire::Subscribe) -> Result<Subscription, ClientError> {
        Subscription::open(&self.path, ask).await
    }

    /// The accounts' states whenever one changes, over a connection of its own; the first item comes at once.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::call`].
    pub async fn watch_status(&self) -> Result<Subscription, ClientError> {
        Subscription::status(&self.path).await
    }
}

async fn open(path: &Path) -> Result<UnixStream, ClientError> {
    UnixStream::connect(path).await.map_err(|cause| ClientError::NoDaemon { path: path.to_path_buf(), cause })
}

fn strange(error: serde_json::Error) -> ClientError {
    ClientError::Strange(error.to_string())
}
