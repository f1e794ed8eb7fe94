//! What a session asks of the store and what comes back. Plain data, so that sessions stay pure and a simulation can
//! stand between the two.

use crate::model::Secret;
use crate::proto::hub::wire::server::{Err, Ok};
use crate::proto::hub::wire::{ClientFrame, ConvObj, ErrorCode, User, event::Ephemeral};

/// Who is at the other end of a connection: a user and the device whose token was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's number in this hub.
    pub user: i64,
    /// The user's id on the wire.
    pub user_name: String,
    /// The device's number in this hub.
    pub device: i64,
    /// The device's id on the wire.
    pub device_name: String,
}

/// One thing a session wants of the store. Every one is answered by exactly one [`Answer`].
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Whose token is this? (Only from clients that could not set the header.)
    Authenticate(Secret),
    /// A device says hello: how can it go on?
    Resume {
        /// The program, kept with the device.
        app: String,
    },
    /// The next events of the user's update stream.
    Fetch {
        /// Above this number.
        after: u64,
        /// At most so many.
        limit: u64,
    },
    /// The newest number of the stream, for the pong to this ping; and whether the token still counts.
    Head {
        /// The ping's number.
        ping: u64,
    },
    /// The device has everything up to here: others learn that their messages were delivered.
    Ack {
        /// The cursor.
        cur: u64,
    },
    /// A page of the snapshot.
    Snap {
        /// After this conversation.
        after: Option<String>,
        /// Conversations.
        convs: u64,
        /// Newest messages of each.
        msgs: u64,
    },
    /// Tell the others that the user types, or stopped.
    Typing {
        /// Where.
        conv: String,
        /// Types, or stopped.
        on: bool,
    },
    /// A request of the client: a frame with an id.
    Request(Box<ClientFrame>),
}

impl Ask {
    /// It changes the database and must go through the writer.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self {
            Self::Resume { .. } | Self::Ack { .. } => true,
            Self::Authenticate(_) | Self::Fetch { .. } | Self::Head { .. } => false,
            Self::Snap { .. } | Self::Typing { .. } => false,
            Self::Request(frame) => match &**frame {
                ClientFrame::Hist(_) | ClientFrame::Changes(_) => false,
                ClientFrame::Convs(_) | ClientFrame::Members(_) => false,
                ClientFrame::Conv(conv) => conv.op != crate::proto::hub::wire::client::ConvVerb::Get,
                _ => true,
            },
        }
    }
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To `Authenticate`: this one; `None`: no such token.
    Identity(Option<Identity>),
    /// To `Resume`.
    Resume {
        /// The numbering of this hub.
        epoch: String,
        /// The newest number of the user's stream.
        head: u64,
        /// Cursors below this one are too old.
        floor: u64,
    },
    /// To `Fetch`.
    Batch {
        /// The number asked from.
        after: u64,
        /// The number that these events lead to.
        cur: u64,
        /// The events as text.
        events: Vec<String>,
        /// There are messages of others among them, whose senders wait for a receipt.
        foreign: bool,
    },
    /// To `Fetch`: so far back the stream does not reach any more.
    TooOld,
    /// To `Head`.
    Head {
        /// The ping's number.
        ping: u64,
        /// The newest number of the stream.
        head: u64,
    },
    /// To `Head`: the token does not count any more.
    Revoked,
    /// To `Snap`.
    Snap {
        /// Conversations.
        convs: Vec<ConvObj>,
        /// People in them.
        users: Vec<User>,
        /// Where to go on; `None`: that was all.
        next: Option<String>,
    },
    /// To `Request`: done.
    Ok(Box<Ok>),
    /// To `Request`: not done.
    Err(Box<Err>),
    /// To `Ack` and `Typing`.
    Nothing,
    /// The store could not answer; the connection cannot go on without it.
    Failed,
}

impl Answer {
    /// The answer to `ask` when the store is not there (disk full, shutting down).
    #[must_use]
    pub fn unavailable(ask: &Ask) -> Self {
        match ask {
            Ask::Request(frame) => Self::Err(Box::new(Err {
                code: ErrorCode::Unavailable,
                re: frame.request(),
                msg: Some("the hub cannot write now".into()),
                retry_after: Some(5_000),
                ..Err::default()
            })),
            Ask::Ack { .. } | Ask::Typing { .. } => Self::Nothing,
            _ => Self::Failed,
        }
    }
}

/// What others must be told, once the commit stands. May be lost, doubled or reordered without harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// The user's update stream has grown to this number.
    Head {
        /// Which user.
        user: i64,
        /// The newest number.
        head: u64,
    },
    /// Something true only for a moment.
    Eph {
        /// Which user.
        user: i64,
        /// What.
        what: Ephemeral,
    },
    /// The device's token does not count any more.
    Revoked {
        /// Which device.
        device: i64,
    },
}

/// An answer with what others must be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// For the one who asked.
    pub answer: Answer,
    /// For others.
    pub hints: Vec<Hint>,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { answer, hints: Vec::new() }
    }
}
