//! What the rules are told and what they want done.

use super::note::Note;
use crate::model::{AccountId, Attention, ConversationId, ConversationKind, MessageId, Position, Timestamp};
use crate::notify::decision::{Decision, Why};
use crate::notify::desktop::{Closed, DesktopError, Shown};
use crate::notify::settings::{Choices, Settings};
use crate::store::BannerState;
use std::sync::Arc;

/// Where a message stands: shared by all candidates of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose.
    pub account: AccountId,
    /// The account's name.
    pub account_name: String,
    /// Which conversation.
    pub conversation: ConversationId,
    /// What it is called.
    pub title: String,
    /// The other person of a direct conversation.
    pub peer: Option<String>,
    /// Direct, group or channel.
    pub kind: ConversationKind,
}

/// A message that may deserve a banner, with all that judging and showing it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the message")]
pub struct Candidate {
    /// Which.
    pub message: MessageId,
    /// Where.
    pub place: Arc<Place>,
    /// Its place in history: the order in which a banner lists its messages.
    pub position: Position,
    /// Who wrote it, as people call them.
    pub sender: String,
    /// What it says, already cut to a preview.
    pub text: String,
    /// Server time.
    pub sent_at: Timestamp,
    /// It names us.
    pub mentions_me: bool,
    /// Its sender asked for no noise.
    pub silent: bool,
    /// It came while catching up.
    pub catch_up: bool,
    /// We wrote it.
    pub outgoing: bool,
    /// It has been read.
    pub read: bool,
    /// It was taken back.
    pub retracted: bool,
    /// It was on screen when the daemon stopped.
    pub shown: Option<Shown>,
    /// It was due when the daemon stopped and may have been shown: no sound, whatever becomes of it.
    pub uncertain: bool,
}

/// What can happen to the rules.
#[derive(Clone, Debug)]
pub enum Input {
    /// The wall clock, and local time's distance from UTC in seconds. Comes before everything else, and again whenever
    /// the clocks may have parted.
    Wall(Timestamp, i32),
    /// The configuration.
    Settings(Box<Settings>),
    /// Mutes and do-not-disturb made by hand.
    Choices(Choices),
    /// Who looks at what.
    Attention(Attention),
    /// The screen was locked or unlocked.
    Locked(bool),
    /// We wrote from another device just now.
    OtherDevice(AccountId),
    /// A banner is due, or was left over from before a restart.
    Candidate(Box<Candidate>),
    /// A message's text changed.
    Edited(MessageId, String),
    /// No banner is wanted for it any more: read, taken back, deleted.
    Gone(MessageId, Why),
    /// So many messages of this conversation are only counted, by the store's word.
    Counted(ConversationId, usize),
    /// The account has everything that it missed.
    CaughtUp(AccountId),
    /// A notification server is there; its unique bus name.
    Up(String),
    /// There is none, or it does not answer.
    Down,
    /// The server's own do-not-disturb.
    Inhibited(bool),
    /// What became of the [`Output::Notify`] in flight.
    Answer(Result<Shown, DesktopError>),
    /// A notice left the screen.
    Closed(u32, Closed),
}

/// What the rules want done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Show it, replacing the notice with this id (0: a new one). Nothing else is shown before [`Input::Answer`].
    Notify(u32, Box<Note>),
    /// Take it away.
    Close(u32),
    /// Keep these judgements.
    Record(MessageId, BannerState),
    /// Those of this conversation that were only counted are no longer.
    Uncount(ConversationId),
    /// For those who ask why.
    Decided(Box<Decision>),
    /// Something is to be shown and there is no server: start one if possible.
    Wake,
}
