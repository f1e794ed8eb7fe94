//! A desktop with a witness: every call is reported as it is made. For the demo, which tells its times, and for a
//! machine without a notification server, where the terminal says what would have been shown.

use super::desktop::{Activation, Capabilities, Desktop, DesktopError, DesktopEvent, Notice, Shown};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

/// What was asked of the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A notice, with the server's answer.
    Notify(Notice, Result<Shown, DesktopError>),
    /// A withdrawal.
    Close(u32),
    /// The unread count.
    Unread(u64),
}

/// Passes every call on and reports it. A report that finds the channel full is left out: a witness never delays.
pub struct Observed {
    inner: Box<dyn Desktop>,
    reports: mpsc::Sender<Seen>,
}

impl Observed {
    /// Watches over `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Desktop>, reports: mpsc::Sender<Seen>) -> Self {
        Self { inner, reports }
    }
}

impl Desktop for Observed {
    fn notify(&mut self, notice: Notice) -> BoxFuture<'_, Result<Shown, DesktopError>> {
        async move {
            let answer = self.inner.notify(notice.clone()).await;
            let _ = self.reports.try_send(Seen::Notify(notice, answer.clone()));
            answer
        }
        .boxed()
    }
    fn close(&mut self, id: u32) -> BoxFuture<'_, Result<(), DesktopError>> {
        let _ = self.reports.try_send(Seen::Close(id));
        self.inner.close(id)
    }
    fn wake(&mut self) -> BoxFuture<'_, ()> {
        self.inner.wake()
    }
    fn unread(&mut self, count: u64) -> BoxFuture<'_, ()> {
        let _ = self.reports.try_send(Seen::Unread(count));
        self.inner.unread(count)
    }
    fn activate(&mut self, activation: Activation) -> BoxFuture<'_, ()> {
        self.inner.activate(activation)
    }
    fn event(&mut self) -> BoxFuture<'_, DesktopEvent> {
        self.inner.event()
    }
}

/// A desktop that takes every notice and shows none: give it to [`Observed`] and print what is reported.
#[derive(Debug)]
pub struct Imagined {
    announced: bool,
    capabilities: Capabilities,
    last: u32,
}

impl Imagined {
    /// With these capabilities.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Self {
        Self { announced: false, capabilities, last: 0 }
    }
}

/// The name under which an imagined server keeps its ids.
const IMAGINED: &str = "imagined";

impl Desktop for Imagined {
    fn notify(&mut self, notice: Notice) -> BoxFuture<'_, Result<Shown, DesktopError>> {
        let id = if notice.replaces > 0 { notice.replaces } else { self.last.saturating_add(1) };
        self.last = self.last.max(id);
        std::future::ready(Ok(Shown { server: IMAGINED.into(), id })).boxed()
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
        let up = DesktopEvent::Up { server: IMAGINED.into(), name: IMAGINED.into(), capabilities: self.capabilities };
        std::future::ready(up).boxed()
    }
}
