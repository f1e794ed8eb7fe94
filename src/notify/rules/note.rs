//! What one notification says, before it is written for a particular server.

use crate::model::ConversationId;
use crate::notify::desktop::Urgency;

/// So many lines are listed; what is older is counted.
pub(super) const LINES: usize = 5;

/// What one notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Conversation or person, or what is counted.
    pub title: String,
    /// The newest messages, oldest first.
    pub lines: Vec<Line>,
    /// How many messages it stands for; more than `lines` when older ones are only counted.
    pub total: usize,
    /// Over how many conversations.
    pub conversations: usize,
    /// The conversation; `None` for a summary over several.
    pub conversation: Option<ConversationId>,
    /// Who wrote what is not to be seen.
    pub hidden: bool,
    /// A picture's file; not looked at yet.
    pub picture: Option<std::path::PathBuf>,
    /// A click can open an app.
    pub openable: bool,
    /// No sound.
    pub silent: bool,
    /// How loud.
    pub urgency: Urgency,
}

/// One message in a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who, where the title does not say it.
    pub sender: Option<String>,
    /// What.
    pub text: String,
}
