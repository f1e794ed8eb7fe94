//! What the user wants of notifications: `Settings` from the configuration file, `Choices` made by hand at run time.
//! Plain data; the judging is in `rules`.

use crate::model::{ConversationId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// From the configuration; a change takes effect at the next judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `false`: every banner is dropped.
    pub enabled: bool,
    /// When a message's text and sender are hidden.
    pub privacy: Privacy,
    /// Groups and channels raise a banner only when they name us.
    pub mentions_only: bool,
    /// Every day, hold banners between these times.
    pub quiet: Option<Quiet>,
    /// Messages older than this by the server's time raise no banner.
    pub max_age: Duration,
    /// How long banners wait for `CaughtUp`.
    pub catch_up: Duration,
    /// So many banners within [`Settings::rate_window`], then a summary.
    pub rate: usize,
    /// See [`Settings::rate`].
    pub rate_window: Duration,
    /// We wrote from another device within this time: banners wait for [`Settings::other_device_delay`].
    pub other_device_window: Duration,
    /// Zero: no delay.
    pub other_device_delay: Duration,
    /// Name of the sound in the desktop's theme (Sound Naming Specification); `None`: no sound.
    pub sound: Option<String>,
    /// The command that opens the GUI: program and arguments; `{conversation}`, `{account}` and `{message}` are
    /// replaced. Empty: a click opens nothing.
    pub open: Vec<String>,
    /// The app that a click opens over D-Bus, by its id; goes before [`Settings::open`].
    pub app: Option<String>,
    /// The app's action that takes a conversation's local id; `None`: the app is given a URI to open.
    pub app_action: Option<String>,
    /// By the account's name.
    pub accounts: BTreeMap<String, Override>,
    /// By the conversation's local id, peer or title.
    pub conversations: BTreeMap<String, Override>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            privacy: Privacy::default(),
            mentions_only: false,
            quiet: None,
            max_age: Duration::from_secs(7 * 24 * 3600),
            catch_up: Duration::from_secs(60),
            rate: 3,
            rate_window: Duration::from_secs(10),
            other_device_window: Duration::from_secs(120),
            other_device_delay: Duration::from_secs(10),
            sound: Some("message-new-instant".into()),
            open: Vec::new(),
            app: None,
            app_action: None,
            accounts: BTreeMap::new(),
            conversations: BTreeMap::new(),
        }
    }
}

/// What differs for one account or conversation; the conversation's word goes before the account's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// No banners, for ever.
    pub mute: Option<bool>,
    /// Only messages that name us.
    pub mentions_only: Option<bool>,
    /// Hidden text.
    pub privacy: Option<Privacy>,
    /// A PNG file to show in place of our icon.
    pub picture: Option<std::path::PathBuf>,
}

/// When a banner hides who wrote what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// Never.
    Show,
    /// While the screen is locked.
    #[default]
    HideLocked,
    /// Always.
    Hide,
}

/// A daily time span in local time, minutes after midnight; `from > to` spans midnight; equal: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Quiet {
    /// First minute.
    pub from: u16,
    /// First minute after it.
    pub to: u16,
}

/// Quiet hours chosen by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuietChoice {
    /// None at all.
    Never,
    /// Every day.
    Daily(Quiet),
}

/// How long a choice holds. In JSON: `"forever"`, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Until it is lifted.
    Forever,
    /// Until this time.
    Time(#[schemars(with = "String")] Timestamp),
}

impl Until {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(self, now: Timestamp) -> bool {
        match self {
            Self::Forever => true,
            Self::Time(end) => now < end,
        }
    }
}

/// What is muted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Muted {
    /// A conversation.
    Conversation(ConversationId),
    /// An account, by its name.
    Account(String),
}

/// What the user chose by hand (`wakeful mute|dnd|quiet`, the button Mute 1 h). Survives restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Choices {
    /// Muted conversations.
    pub conversations: BTreeMap<ConversationId, Until>,
    /// Muted accounts, by name.
    pub accounts: BTreeMap<String, Until>,
    /// Do not disturb.
    pub dnd: Option<Until>,
    /// Quiet hours that stand in for the configured ones.
    pub quiet: Option<QuietChoice>,
}

/// What holds now: the user's choices, and what they and the configuration come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Standing {
    /// Made by hand.
    #[serde(flatten)]
    pub choices: Choices,
    /// Quiet hours in force, local time; `null`: none.
    pub quiet_hours: Option<Hours>,
    /// It is quiet time now.
    pub quiet_now: bool,
}

/// Two times of a day as people write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hours {
    /// `"22:00"`.
    pub from: String,
    /// `"07:00"`.
    pub to: String,
}

impl From<Quiet> for Hours {
    fn from(quiet: Quiet) -> Self {
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self { from: time(quiet.from), to: time(quiet.to) }
    }
}

impl Choices {
    /// Quiet hours in force where the configuration has these.
    pub(super) fn quiet_hours(&self, configured: Option<Quiet>) -> Option<Quiet> {
        match self.quiet {
            None => configured,
            Some(QuietChoice::Never) => None,
            Some(QuietChoice::Daily(quiet)) => Some(quiet),
        }
    }

    /// Leaves out what no longer holds.
    pub(super) fn forget_past(&mut self, now: Timestamp) {
        self.conversations.retain(|_, until| until.holds(now));
        self.accounts.retain(|_, until| until.holds(now));
        self.dnd = self.dnd.filter(|until| until.holds(now));
    }

    /// Changes one choice.
    pub(super) fn apply(&mut self, choice: super::Choice) {
        use super::Choice;
        match choice {
            Choice::Mute(Muted::Conversation(id), Some(until)) => drop(self.conversations.insert(id, until)),
            Choice::Mute(Muted::Conversation(id), None) => drop(self.conversations.remove(&id)),
            Choice::Mute(Muted::Account(name), Some(until)) => drop(self.accounts.insert(name, until)),
            Choice::Mute(Muted::Account(name), None) => drop(self.accounts.remove(&name)),
            Choice::Dnd(until) => self.dnd = until,
            Choice::Quiet(quiet) => self.quiet = quiet,
        }
    }
}
