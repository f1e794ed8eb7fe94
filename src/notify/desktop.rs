//! What a desktop offers: one contract for every backend. A backend shows, replaces and withdraws; it never judges,
//! never reads the store, and never makes its caller wait longer than [`CALL_LIMIT`].

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// How long one call to a notification server may take.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(2);

/// A notification server, or what stands in for one.
///
/// Every future may be dropped at any time; nothing that happened is lost by that.
pub trait Desktop: Send + 'static {
    /// Shows a notice, or replaces the one that `notice.replaces` names. Answers with the server that has it and its id.
    ///
    /// # Errors
    /// [`DesktopError::Absent`] or [`DesktopError::Silent`]: nothing was shown; an [`DesktopEvent::Up`] follows when it
    /// is worth trying again. [`DesktopError::Refused`]: this notice will never be shown.
    fn notify(&mut self, notice: Notice) -> BoxFuture<'_, Result<Shown, DesktopError>>;

    /// Withdraws a notice. One that is gone already counts as withdrawn.
    ///
    /// # Errors
    /// As [`Desktop::notify`]; there is nothing to repeat.
    fn close(&mut self, id: u32) -> BoxFuture<'_, Result<(), DesktopError>>;

    /// Something is to be shown and there is no server: start one, where the desktop can.
    fn wake(&mut self) -> BoxFuture<'_, ()>;

    /// Tells the launcher how many messages are unread.
    fn unread(&mut self, count: u64) -> BoxFuture<'_, ()>;

    /// Opens an app over the desktop's bus; whoever has no such bus leaves it. Returns at once.
    fn activate(&mut self, activation: Activation) -> BoxFuture<'_, ()> {
        tracing::warn!(app = activation.app, "no app can be opened here over D-Bus: configure `open` instead of `app`");
        std::future::ready(()).boxed()
    }

    /// The next thing that happened there; pending while nothing does.
    fn event(&mut self) -> BoxFuture<'_, DesktopEvent>;
}

/// What the server says it can do (`GetCapabilities`, Desktop Notifications Specification 1.2, table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one capability of the specification")]
pub struct Capabilities {
    /// Buttons (`actions`).
    pub actions: bool,
    /// A body below the summary (`body`).
    pub body: bool,
    /// The body is read as markup (`body-markup`): text must be escaped.
    pub body_markup: bool,
    /// A text field in the notification (`inline-reply`, an extension of KDE's).
    pub inline_reply: bool,
    /// Notifications stay until they are dismissed (`persistence`).
    pub persistence: bool,
    /// Plays sounds (`sound`).
    pub sound: bool,
}

/// One rendered notification as it goes to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// The id of the notification to replace; 0 for a new one.
    pub replaces: u32,
    /// One line, plain text.
    pub summary: String,
    /// Lines; markup where the server reads markup, else plain text.
    pub body: String,
    /// Buttons in their order: (key, label). `default` is a click on the notification itself.
    pub actions: Vec<(String, String)>,
    /// How loud.
    pub urgency: Urgency,
    /// Name of a sound in the desktop's theme; `None`: no sound, whatever the theme says.
    pub sound: Option<String>,
    /// A picture's file, in place of our icon.
    pub picture: Option<std::path::PathBuf>,
    /// `im.received` and the like (specification, table 2).
    pub category: String,
}

/// An app to be opened over D-Bus (Desktop Entry Specification 1.5, "D-Bus Activation").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Its id, which is its bus name.
    pub app: String,
    /// What it is to do.
    pub what: Opening,
    /// From the notification server: lets the app come to the front.
    pub token: Option<String>,
}

/// What an app is asked for (`org.freedesktop.Application`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `Activate`: come to the front.
    Front,
    /// `Open`: show this URI.
    Uri(String),
    /// `ActivateAction`: its name and its parameter.
    Action(String, String),
}

/// How loud a notice is (specification, "Urgency levels").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Needs no attention now.
    Low,
    /// As messages are.
    #[default]
    Normal,
    /// Stays until dismissed.
    Critical,
}

/// A notice is on screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The server's unique bus name: an id means something only to the server that gave it.
    pub server: String,
    /// Its id there.
    pub id: u32,
}

/// What happens at a desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesktopEvent {
    /// A server is there and answers: new, restarted, or answering again.
    Up {
        /// Its unique bus name.
        server: String,
        /// Name and version, for people.
        name: String,
        /// What it can do.
        capabilities: Capabilities,
    },
    /// There is no server, or it does not answer.
    Down {
        /// In plain words.
        why: String,
    },
    /// The server's own do-not-disturb (property `Inhibited`).
    Inhibited(bool),
    /// A button or the notification itself was clicked.
    Invoked {
        /// Which notice.
        id: u32,
        /// The button's key; `default` for the notification itself.
        key: String,
    },
    /// Text was typed into the notification.
    Replied {
        /// Which notice.
        id: u32,
        /// The text.
        text: String,
    },
    /// Precedes [`DesktopEvent::Invoked`]: lets the program that is opened come to the front.
    Token {
        /// Which notice.
        id: u32,
        /// For `XDG_ACTIVATION_TOKEN`.
        token: String,
    },
    /// It left the screen.
    Closed {
        /// Which notice.
        id: u32,
        /// Why.
        reason: Closed,
    },
}

/// Why a notice left the screen (`NotificationClosed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its time was over (1).
    Expired,
    /// The user dismissed it (2).
    Dismissed,
    /// We withdrew it (3).
    Withdrawn,
    /// Undefined (4 and above).
    Other,
}

/// Why a call failed, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesktopError {
    /// No server, or no session bus: wait for `Up`.
    #[error("there is no notification server: {0}")]
    Absent(String),
    /// The server did not answer within `CALL_LIMIT`: wait for `Up`.
    #[error("the notification server does not answer")]
    Silent,
    /// The server refuses this notice.
    #[error("the notification server refuses: {0}")]
    Refused(String),
}
