//! Desktop notifications: pure rules, and the backends that show what the rules decided.
//!
//! A banner is `due` in its message's own transaction. This room judges it after the commit, shows it, and records
//! `shown` only after the server has answered. It never delays a link: it reads the store, and a notification server
//! that hangs holds up nothing but banners.

mod decision;
mod desktop;
mod driver;
#[cfg(target_os = "linux")]
mod linux;
mod notifier;
mod observed;
mod open;
mod picture;
mod portable;
pub mod rules;
mod settings;
mod text;

pub use decision::{Decision, Verdict, Why};
pub use desktop::{
    Activation, Capabilities, Closed, Desktop, DesktopError, DesktopEvent, Notice, Opening, Shown, Urgency,
};
#[cfg(target_os = "linux")]
pub use linux::Linux;
pub use notifier::{Asks, Choice, Notifier, NotifyError, Tested};
pub use observed::{Imagined, Observed, Seen};
pub use portable::Portable;
pub use settings::{Choices, Hours, Muted, Override, Privacy, Quiet, QuietChoice, Settings, Standing, Until};

use crate::model::{Addressed, Attention};
use crate::store::Store;
use crate::world::{Clock, Entropy};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The desktop entry that notifications name: `applications/wakeful.desktop` under a data folder (XDG).
pub const DESKTOP_ENTRY: &str = include_str!("assets/wakeful.desktop");
/// The icon that the entry and notifications name: `icons/hicolor/scalable/apps/wakeful.svg` under a data folder (XDG).
pub const ICON: &str = include_str!("assets/wakeful.svg");

/// What the notification task is made of.
pub struct NotifyParts {
    /// Messages, banners, the outbox.
    pub store: Store,
    /// Where notices are shown; see [`desktop()`].
    pub desktop: Box<dyn Desktop>,
    /// Who looks at what.
    pub attention: watch::Receiver<Attention>,
    /// `Locked` is heard; the rest is ignored.
    pub signals: broadcast::Receiver<Addressed>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// From the configuration; the newest value counts.
    pub settings: watch::Receiver<Settings>,
    /// Questions from other rooms: the other end of a [`Notifier`].
    pub asks: Asks,
    /// Ends the task; what is on screen stays there.
    pub shutdown: CancellationToken,
}

/// Starts the notification task. Must be called within a runtime.
#[must_use]
pub fn spawn(parts: NotifyParts) -> JoinHandle<()> {
    tokio::spawn(driver::Driver::new(parts).run())
}

/// The desktop's own notification server, which need not be there yet: over D-Bus on Linux, notify-rust elsewhere.
/// `icon`: a file to show where there is no other picture; some servers find none by its name alone. Must be called
/// within a runtime.
#[must_use]
pub fn desktop(entropy: &Entropy, icon: Option<std::path::PathBuf>) -> Box<dyn Desktop> {
    #[cfg(target_os = "linux")]
    {
        let _: &Entropy = entropy;
        Box::new(Linux::start(None).with_icon(icon))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _: Option<std::path::PathBuf> = icon;
        Box::new(Portable::new(entropy))
    }
}

/// Which notification server answers, by name and version.
///
/// # Errors
/// [`DesktopError::Absent`] where there is none, or no session.
pub async fn server() -> Result<String, DesktopError> {
    #[cfg(target_os = "linux")]
    return linux::server().await;
    #[cfg(not(target_os = "linux"))]
    Ok("the system's own".into())
}

/// Shows nothing: for `notifications = false` and tests.
#[derive(Debug, Default)]
pub struct Nowhere;

impl Desktop for Nowhere {
    fn notify(&mut self, _notice: Notice) -> futures_util::future::BoxFuture<'_, Result<Shown, DesktopError>> {
        Box::pin(async { Err(DesktopError::Absent("notifications are switched off".into())) })
    }
    fn close(&mut self, _id: u32) -> futures_util::future::BoxFuture<'_, Result<(), DesktopError>> {
        Box::pin(async { Ok(()) })
    }
    fn wake(&mut self) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn unread(&mut self, _count: u64) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn event(&mut self) -> futures_util::future::BoxFuture<'_, DesktopEvent> {
        Box::pin(std::future::pending())
    }
}
