//! One connection's state: how far the login is, what was asked of whom. Gone when the connection is.

use super::Xmpp;
use super::archive::{Query, Sync};
use super::scram::Exchange;
use crate::model::OutboxId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// How far the login is.
#[derive(Default)]
pub(super) enum Stage {
    /// No connection, or one that is being given up.
    #[default]
    Closed,
    /// `<open/>` is sent; features are awaited.
    Opening {
        /// The password was accepted: this is the second stream.
        authenticated: bool,
    },
    /// The password is being proven.
    Proving(Box<Exchange>),
    /// `<resume/>` is sent.
    Resuming,
    /// A resource is being bound.
    Binding,
    /// `<enable/>` is sent.
    Enabling,
    /// Stanzas flow.
    Online,
}

/// What an iq was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Bind {
        with_resource: bool,
    },
    ServerInfo,
    AccountInfo,
    Services,
    ServiceInfo(String),
    Carbons,
    Roster,
    Bookmarks,
    Probe(u64),
    /// What was sent before it has been answered: the resumed session's replay is over.
    Fence,
    /// Without stream management: so many stanzas of ours had gone out before it.
    Ack(u32),
    Archive(String),
    RoomInfo(String),
    RoomConfig(String),
    InRoom(String),
    Row(OutboxId),
    /// Whatever the answer, the row is done.
    RowAnyway(OutboxId),
    Nothing,
}

/// An iq that awaits its answer.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// From whom the answer must come (a bare or full JID); ours and the server's are one.
    pub(super) to: String,
    pub(super) about: About,
    /// Given up then.
    pub(super) until: Option<Instant>,
}

/// What the second stream's features offer.
#[derive(Clone, Debug, Default)]
pub(super) struct Features {
    pub(super) sm: bool,
    pub(super) csi: bool,
}

/// One connection.
#[derive(Default)]
pub(super) struct Session {
    pub(super) stage: Stage,
    pub(super) features: Features,
    /// The password was accepted.
    pub(super) logged_in: bool,
    /// `Ready` was said.
    pub(super) ready: bool,
    /// The session before this connection goes on.
    pub(super) resumed: bool,
    pub(super) caught_up: bool,
    /// Disco is through, presence is sent.
    pub(super) present: bool,
    /// The replay after `<resumed/>` is over, or there was none.
    pub(super) fenced: bool,
    /// The newest message of our archive is here.
    pub(super) newest_here: bool,
    /// The id that is awaited, and until when.
    pub(super) awaited: Option<(String, Instant)>,
    pub(super) told_active: Option<bool>,
    /// The count of theirs that we acknowledged last.
    pub(super) told_h: u32,
    /// Rows whose fate was told in this connection.
    pub(super) done: BTreeSet<OutboxId>,
    pub(super) asks: BTreeMap<String, Ask>,
    pub(super) queries: BTreeMap<String, Query>,
    pub(super) syncs: BTreeMap<String, Sync>,
    pub(super) muc_service: Option<String>,
    /// Bookmarks were read, or cannot be.
    pub(super) rooms_known: bool,
}

impl Xmpp {
    /// Stanzas may come: the first ones even before stream management is on.
    pub(super) fn bound(&self) -> bool {
        matches!(self.session.stage, Stage::Online | Stage::Enabling)
    }

    /// Stanzas may be sent.
    pub(super) fn online(&self) -> bool {
        matches!(self.session.stage, Stage::Online)
    }
}
