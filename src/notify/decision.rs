//! Why a banner was shown, held, dropped or withdrawn: one record a judgement, the last 1,000 are kept in memory.

use crate::model::{ConversationId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many decisions are kept.
pub(super) const KEPT: usize = 1_000;

/// One judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// When it was taken.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// About which message.
    pub message: MessageId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// The account's name.
    pub account: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Stable code of the reason.
    pub why: Why,
    /// The reason in plain words.
    pub text: String,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is on screen.
    Shown,
    /// Not now.
    Held,
    /// Never.
    Dropped,
    /// It was on screen and was taken away.
    Withdrawn,
}

/// Why. The store keeps the code beside the banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Shown: nothing spoke against it.
    Wanted,
    /// Shown as part of a summary over several conversations.
    Summary,
    /// Shown again, silently: after a restart, an unlock, an edit.
    Again,
    /// Notifications are switched off.
    Off,
    /// We wrote it ourselves.
    Own,
    /// It was read, here or on another device.
    Read,
    /// It was taken back or deleted.
    Retracted,
    /// The user looks at the conversation.
    OnScreen,
    /// The conversation or account is muted.
    Muted,
    /// Only mentions are wanted and it names nobody.
    NoMention,
    /// It is older than banners may be.
    Old,
    /// Not everything that was missed is here yet.
    CatchUp,
    /// Quiet hours.
    Quiet,
    /// Do not disturb, by our own switch.
    Dnd,
    /// Do not disturb, by the notification server.
    Inhibited,
    /// Too many banners just now.
    Rate,
    /// Another device is in use: it may be read there.
    OtherDevice,
    /// There is no notification server that answers.
    NoServer,
    /// The notification server refuses it.
    Refused,
    /// The user dismissed the notification or acted on it.
    Dismissed,
    /// Its time on screen was over.
    Expired,
    /// Newer ones of its conversation stand in the notification; of it there is only the number.
    Counted,
}

impl Why {
    /// In one plain clause.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Wanted => "nothing spoke against it",
            Self::Summary => "it stands in a summary over several conversations",
            Self::Again => "it is still unread, so it was shown again without a sound",
            Self::Off => "notifications are switched off",
            Self::Own => "it is our own message",
            Self::Read => "it has been read",
            Self::Retracted => "it was taken back",
            Self::OnScreen => "an app has this conversation on screen",
            Self::Muted => "the conversation or the account is muted",
            Self::NoMention => "only messages that name you are wanted here",
            Self::Old => "it is too old for a banner",
            Self::CatchUp => "what was missed is still arriving",
            Self::Quiet => "it is quiet time",
            Self::Dnd => "do not disturb is on",
            Self::Inhibited => "the desktop's do not disturb is on",
            Self::Rate => "there were too many banners just now",
            Self::OtherDevice => "another device is in use, it may be read there",
            Self::NoServer => "no notification server answers",
            Self::Refused => "the notification server refused it",
            Self::Dismissed => "the notification was dismissed or acted on",
            Self::Expired => "the notification's time on screen was over",
            Self::Counted => "there are many newer ones in its conversation: it is only counted",
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Summary => "summary",
            Self::Again => "again",
            Self::Off => "off",
            Self::Own => "own",
            Self::Read => "read",
            Self::Retracted => "retracted",
            Self::OnScreen => "on_screen",
            Self::Muted => "muted",
            Self::NoMention => "no_mention",
            Self::Old => "old",
            Self::CatchUp => "catch_up",
            Self::Quiet => "quiet",
            Self::Dnd => "dnd",
            Self::Inhibited => "inhibited",
            Self::Rate => "rate",
            Self::OtherDevice => "other_device",
            Self::NoServer => "no_server",
            Self::Refused => "refused",
            Self::Dismissed => "dismissed",
            Self::Expired => "expired",
            Self::Counted => "counted",
        }
    }
}

/// The last [`KEPT`] decisions.
#[derive(Debug, Default)]
pub(super) struct Decisions(VecDeque<Decision>);

impl Decisions {
    /// Keeps one; the oldest makes room.
    pub(super) fn push(&mut self, decision: Decision) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(decision);
    }

    /// The newest `limit`, oldest first.
    #[must_use]
    pub(super) fn recent(&self, limit: usize) -> Vec<Decision> {
        self.0.iter().skip(self.0.len().saturating_sub(limit)).cloned().collect()
    }

    /// All about one message, oldest first.
    #[must_use]
    pub(super) fn about(&self, message: MessageId) -> Vec<Decision> {
        self.0.iter().filter(|decision| decision.message == message).cloned().collect()
    }
}
