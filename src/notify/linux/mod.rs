//! The desktop's notification server over D-Bus: one long-lived connection for as long as the daemon runs.
//!
//! One connection, because servers send clicks only to the connection that called `Notify`. A server that hangs, is
//! absent or restarts, and a session bus that goes away, are ordinary states here: calls answer within two seconds,
//! and an event says when it is worth trying again. Specification: Desktop Notifications 1.2.

mod activate;
mod calls;
mod session;
mod signals;

use super::desktop::{Activation, Desktop, DesktopError, DesktopEvent, Notice, Shown};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use session::Session;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Events that may wait for their reader.
const EVENTS: usize = 64;
/// First pause before the session bus is tried again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the task is asked for.
enum Request {
    Notify(Box<Notice>, oneshot::Sender<Result<Shown, DesktopError>>),
    Close(u32, oneshot::Sender<Result<(), DesktopError>>),
    Wake,
    Unread(u64),
    Activate(Box<Activation>),
}

/// The session bus's notification server.
#[derive(Debug)]
pub struct Linux {
    requests: mpsc::Sender<Request>,
    events: mpsc::Receiver<DesktopEvent>,
    icon: Option<PathBuf>,
}

impl Linux {
    /// Starts the connection's task on the session bus, or on the bus at this address. Must be called within a runtime.
    /// The task ends when this is dropped.
    #[must_use]
    pub fn start(address: Option<String>) -> Self {
        let (requests, asked) = mpsc::channel(1);
        let (happened, events) = mpsc::channel(EVENTS);
        tokio::spawn(run(address, asked, happened));
        Self { requests, events, icon: None }
    }

    /// Shows this file where a notice has no picture.
    #[must_use]
    pub fn with_icon(self, icon: Option<PathBuf>) -> Self {
        Self { icon, ..self }
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, DesktopError>>) -> Request,
    ) -> Result<T, DesktopError> {
        let stopped = || DesktopError::Absent("the connection's task has stopped".into());
        let (sender, receiver) = oneshot::channel();
        self.requests.send(request(sender)).await.map_err(|_| stopped())?;
        receiver.await.map_err(|_| stopped())?
    }
}

/// Which server answers on the session bus.
pub(super) async fn server() -> Result<String, DesktopError> {
    let absent = |error: zbus::Error| DesktopError::Absent(format!("no session bus: {error}"));
    let bus = zbus::Connection::session().await.map_err(absent)?;
    calls::introduce(bus).await.map(|found| found.name)
}

impl Desktop for Linux {
    fn notify(&mut self, mut notice: Notice) -> BoxFuture<'_, Result<Shown, DesktopError>> {
        notice.picture = notice.picture.or_else(|| self.icon.clone());
        self.ask(|answer| Request::Notify(Box::new(notice), answer)).boxed()
    }
    fn close(&mut self, id: u32) -> BoxFuture<'_, Result<(), DesktopError>> {
        self.ask(move |answer| Request::Close(id, answer)).boxed()
    }
    fn wake(&mut self) -> BoxFuture<'_, ()> {
        self.requests.send(Request::Wake).map(|_| ()).boxed()
    }
    fn unread(&mut self, count: u64) -> BoxFuture<'_, ()> {
        self.requests.send(Request::Unread(count)).map(|_| ()).boxed()
    }
    fn activate(&mut self, activation: Activation) -> BoxFuture<'_, ()> {
        self.requests.send(Request::Activate(Box::new(activation))).map(|_| ()).boxed()
    }
    fn event(&mut self) -> BoxFuture<'_, DesktopEvent> {
        async {
            match self.events.recv().await {
                Some(event) => event,
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}

/// Connects again and again, for as long as somebody holds the other end.
async fn run(address: Option<String>, mut requests: mpsc::Receiver<Request>, events: mpsc::Sender<DesktopEvent>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let connecting = Session::open(address.as_deref());
        let why = match without_bus(connecting, &mut requests, false).await {
            Meanwhile::Done(Ok(mut session)) => {
                pause = FIRST_PAUSE;
                if session.run(&mut requests, &events).await.is_break() {
                    return;
                }
                "the session bus has gone".to_owned()
            }
            Meanwhile::Done(Err(why)) => why,
            Meanwhile::Woken => continue,
            Meanwhile::Stopped => return,
        };
        let _ = events.try_send(DesktopEvent::Down { why });
        match without_bus(tokio::time::sleep(pause), &mut requests, true).await {
            Meanwhile::Done(()) => pause = pause.saturating_mul(2).min(LONGEST_PAUSE),
            Meanwhile::Woken => {}
            Meanwhile::Stopped => return,
        }
    }
}

enum Meanwhile<T> {
    Done(T),
    /// Something is to be shown: try now.
    Woken,
    Stopped,
}

/// Waits for something while there is no bus; requests get an answer at once.
async fn without_bus<T>(
    what: impl Future<Output = T>,
    requests: &mut mpsc::Receiver<Request>,
    wakes: bool,
) -> Meanwhile<T> {
    tokio::pin!(what);
    let absent = || DesktopError::Absent("there is no session bus".into());
    loop {
        tokio::select! {
            done = &mut what => return Meanwhile::Done(done),
            request = requests.recv() => match request {
                None => return Meanwhile::Stopped,
                Some(Request::Wake) if wakes => return Meanwhile::Woken,
                Some(Request::Wake | Request::Unread(_)) => {}
                Some(Request::Activate(activation)) => {
                    tracing::warn!(app = activation.app, "the app cannot be opened: there is no session bus");
                }
                Some(Request::Notify(_, answer)) => drop(answer.send(Err(absent()))),
                Some(Request::Close(_, answer)) => drop(answer.send(Err(absent()))),
            }
        }
    }
}
