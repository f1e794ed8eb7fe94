//! notify-rust: the backend for macOS, and elsewhere the fallback where D-Bus is not ours to speak.
//!
//! It shows, and where the system can it replaces. It hears no clicks, replies or dismissals and withdraws nothing:
//! `docs/notifications.md` says what that means. Every notification opens a connection of its own.

use super::desktop::{CALL_LIMIT, Capabilities, Desktop, DesktopError, DesktopEvent, Notice, Shown, Urgency};
use crate::world::Entropy;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Notices through notify-rust.
#[derive(Debug)]
pub struct Portable {
    /// Ids mean something to this process only.
    server: String,
    announced: bool,
    last: u32,
}

impl Portable {
    /// A backend whose ids no other process takes for its own.
    #[must_use]
    pub fn new(entropy: &Entropy) -> Self {
        Self { server: format!("notify-rust/{:016x}", entropy.seed()), announced: false, last: 0 }
    }
}

impl Desktop for Portable {
    fn notify(&mut self, notice: Notice) -> BoxFuture<'_, Result<Shown, DesktopError>> {
        async move {
            let notification = build(&notice);
            let shown = tokio::time::timeout(CALL_LIMIT, show(notification)).await;
            let given = shown.map_err(|_| DesktopError::Silent)?.map_err(DesktopError::Absent)?;
            self.last = given.unwrap_or_else(|| self.last.saturating_add(1));
            Ok(Shown { server: self.server.clone(), id: self.last })
        }
        .boxed()
    }
    fn close(&mut self, _id: u32) -> BoxFuture<'_, Result<(), DesktopError>> {
        std::future::ready(Ok(())).boxed()
    }
    fn wake(&mut self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
    fn unread(&mut self, _count: u64) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
    fn event(&mut self) -> BoxFuture<'_, DesktopEvent> {
        if std::mem::replace(&mut self.announced, true) {
            return std::future::pending().boxed();
        }
        let capabilities = Capabilities { body: true, ..Capabilities::default() };
        let up = DesktopEvent::Up { server: self.server.clone(), name: "notify-rust".into(), capabilities };
        std::future::ready(up).boxed()
    }
}

fn build(notice: &Notice) -> notify_rust::Notification {
    let mut notification = notify_rust::Notification::new();
    notification.appname("wakeful").summary(&notice.summary).body(&notice.body);
    if let Some(sound) = &notice.sound {
        notification.sound_name(sound);
    }
    #[cfg(all(unix, not(target_os = "macos")))]
    {
        // These servers may read markup whatever we know of them, so nothing may look like it.
        notification.body(&notice.body.replace('&', "&amp;").replace('<', "&lt;"));
        notification.hint(notify_rust::Hint::Category(notice.category.clone()));
        notification.hint(notify_rust::Hint::DesktopEntry("wakeful".into()));
        notification.urgency(match notice.urgency {
            Urgency::Low => notify_rust::Urgency::Low,
            Urgency::Normal => notify_rust::Urgency::Normal,
            Urgency::Critical => notify_rust::Urgency::Critical,
        });
        if notice.replaces > 0 {
            notification.id(notice.replaces);
        }
    }
    #[cfg(target_os = "macos")]
    let _: (Urgency, &str) = (notice.urgency, &notice.category);
    notification
}

/// Shows it; answers with the id where the system gives one.
#[cfg(all(unix, not(target_os = "macos")))]
async fn show(notification: notify_rust::Notification) -> Result<Option<u32>, String> {
    let handle = notification.show_async().await.map_err(|error| error.to_string())?;
    Ok(Some(handle.id()))
}

/// Shows it; answers with the id where the system gives one.
#[cfg(not(all(unix, not(target_os = "macos"))))]
async fn show(notification: notify_rust::Notification) -> Result<Option<u32>, String> {
    // It blocks, and dropping the handle is what sends it.
    let shown = tokio::task::spawn_blocking(move || {
        #[expect(clippy::disallowed_methods, reason = "on a thread that may block")]
        notification.show().map(drop).map_err(|error| error.to_string())
    });
    shown.await.map_err(|error| error.to_string())?.map(|()| None)
}
