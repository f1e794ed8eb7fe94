//! One connection to the session bus, from its opening to its end: calls go out one at a time while signals are read.

use super::Request;
use super::activate;
use super::calls::{self, Introduction, limited};
use super::signals::{self, Heard};
use crate::notify::desktop::{CALL_LIMIT, DesktopError, DesktopEvent, Shown};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Sleep, sleep};
use zbus::{Connection, MessageStream, connection};

/// First pause before a silent server is asked again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Events that wait for a reader; what is older than that is of no use any more.
const BACKLOG: usize = 1_024;

/// A call that is with the server.
enum Call {
    Notify { reply: BoxFuture<'static, Result<u32, DesktopError>>, limit: Pin<Box<Sleep>>, to: Answer<Shown> },
    Close { reply: BoxFuture<'static, Result<(), DesktopError>>, to: Answer<()> },
    Unread(BoxFuture<'static, ()>),
}

type Answer<T> = oneshot::Sender<Result<T, DesktopError>>;

/// How the server stands.
enum Server {
    /// Nobody owns the name.
    Absent,
    /// Asked what it can do.
    Meeting(String, BoxFuture<'static, Result<Introduction, DesktopError>>),
    /// It answers.
    Up(String),
    /// It did not answer: asked again after a pause. The breaker is open, calls fail at once.
    Silent(String, Pin<Box<Sleep>>),
}

/// One connection.
pub(super) struct Session {
    bus: Connection,
    messages: MessageStream,
    server: Server,
    pause: Duration,
    call: Option<Call>,
    /// `Notify` calls that were given up: when the answer comes after all, the notice is withdrawn, since it is shown
    /// anew by then.
    late: FuturesUnordered<BoxFuture<'static, Result<u32, DesktopError>>>,
    backlog: VecDeque<DesktopEvent>,
}

impl Session {
    /// Connects and looks for the server. The error is in plain words.
    pub(super) async fn open(address: Option<&str>) -> Result<Self, String> {
        let opening = async {
            let builder = match address {
                Some(address) => connection::Builder::address(address)?,
                None => connection::Builder::session()?,
            };
            let bus = builder.build().await?;
            let messages = MessageStream::from(&bus);
            signals::subscribe(&bus).await?;
            Ok::<_, zbus::Error>((bus, messages))
        };
        let (bus, messages) = match tokio::time::timeout(CALL_LIMIT, opening).await {
            Ok(opened) => opened.map_err(|error| format!("there is no session bus: {error}"))?,
            Err(_) => return Err("the session bus does not answer".into()),
        };
        let (late, backlog) = (FuturesUnordered::new(), VecDeque::new());
        let owner = signals::owner(&bus).await;
        let mut session = Self { bus, messages, server: Server::Absent, pause: FIRST_PAUSE, call: None, late, backlog };
        session.owner(owner);
        Ok(session)
    }

    /// Works until the connection ends (`Continue`) or nobody asks any more (`Break`).
    pub(super) async fn run(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        events: &mpsc::Sender<DesktopEvent>,
    ) -> ControlFlow<()> {
        loop {
            tokio::select! {
                biased;
                permit = events.reserve(), if !self.backlog.is_empty() => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    (Ok(_), None) => {}
                    (Err(_), _) => return ControlFlow::Break(()),
                },
                message = self.messages.next() => match message {
                    Some(Ok(message)) => self.heard(&message),
                    Some(Err(_)) | None => return ControlFlow::Continue(()),
                },
                Some(done) = OptionFuture::from(self.call.as_mut().map(Call::done)) => self.done(done),
                next = self.server.next() => match next {
                    Some(met) => self.met(met),
                    None => self.ask_again(),
                },
                Some(late) = self.late.next(), if !self.late.is_empty() => self.came_late(late),
                request = requests.recv(), if self.call.is_none() => match request {
                    Some(request) => self.request(request),
                    None => return ControlFlow::Break(()),
                },
            }
        }
    }

    fn heard(&mut self, message: &zbus::Message) {
        match signals::read(message, self.server.name()) {
            Some(Heard::Owner(owner)) => self.owner(owner),
            Some(Heard::Event(event)) => self.tell(event),
            None => {}
        }
    }

    fn owner(&mut self, owner: Option<String>) {
        if self.server.name() == owner.as_deref() && owner.is_some() {
            return;
        }
        self.late.clear();
        match owner {
            Some(name) => {
                self.pause = FIRST_PAUSE;
                self.server = Server::Meeting(name, calls::introduce(self.bus.clone()).boxed());
            }
            None => {
                self.server = Server::Absent;
                self.tell(DesktopEvent::Down { why: "no notification server is running".into() });
            }
        }
    }

    fn met(&mut self, met: Result<Introduction, DesktopError>) {
        let Some(name) = self.server.name().map(str::to_owned) else { return };
        match met {
            Ok(Introduction { name: title, capabilities, inhibited }) => {
                self.pause = FIRST_PAUSE;
                self.tell(DesktopEvent::Up { server: name.clone(), name: title, capabilities });
                self.tell(DesktopEvent::Inhibited(inhibited.unwrap_or(false)));
                self.server = Server::Up(name);
            }
            Err(error) => self.trip(name, &error),
        }
    }

    /// Opens the breaker.
    fn trip(&mut self, name: String, error: &DesktopError) {
        let wait = Box::pin(sleep(self.pause));
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        self.server = Server::Silent(name, wait);
        self.tell(DesktopEvent::Down { why: error.to_string() });
    }

    fn ask_again(&mut self) {
        if let Server::Silent(name, _) = &self.server {
            self.server = Server::Meeting(name.clone(), calls::introduce(self.bus.clone()).boxed());
        }
    }

    fn request(&mut self, request: Request) {
        let bus = self.bus.clone();
        match (request, &self.server) {
            (Request::Unread(count), _) => self.call = Some(Call::Unread(calls::unread(bus, count).boxed())),
            // An app may take long to start, and nothing waits for it.
            (Request::Activate(activation), _) => drop(tokio::spawn(activate::activate(bus, *activation))),
            (Request::Wake, Server::Absent) => drop(tokio::spawn(calls::start_server(bus))),
            (Request::Wake, Server::Silent(..)) => self.ask_again(),
            (Request::Wake, Server::Up(_) | Server::Meeting(..)) => {}
            (Request::Notify(notice, to), Server::Up(_)) => {
                let limit = Box::pin(sleep(CALL_LIMIT));
                self.call = Some(Call::Notify { reply: calls::notify(bus, *notice).boxed(), limit, to });
            }
            (Request::Close(id, to), Server::Up(_)) => {
                self.call = Some(Call::Close { reply: limited(calls::close(bus, id)).boxed(), to });
            }
            (Request::Notify(_, to), server) => drop(to.send(Err(server.refusal()))),
            (Request::Close(_, to), server) => drop(to.send(Err(server.refusal()))),
        }
    }

    fn done(&mut self, done: Done) {
        let server = self.server.name().unwrap_or_default().to_owned();
        let error = match (self.call.take(), done) {
            (Some(Call::Notify { to, .. }), Done::Notify(answer)) => {
                let error = answer.as_ref().err().cloned();
                drop(to.send(answer.map(|id| Shown { server, id })));
                error
            }
            (Some(Call::Notify { reply, to, .. }), _) => {
                self.late.push(reply);
                drop(to.send(Err(DesktopError::Silent)));
                Some(DesktopError::Silent)
            }
            (Some(Call::Close { to, .. }), Done::Close(answer)) => {
                let error = answer.as_ref().err().cloned();
                drop(to.send(answer));
                error
            }
            _ => None,
        };
        // Whoever asked waits for `Up` now: it must come, also from a server that answers again without having left.
        if let (Some(error @ (DesktopError::Silent | DesktopError::Absent(_))), Server::Up(name)) =
            (error, &self.server)
        {
            self.trip(name.clone(), &error);
        }
    }

    fn came_late(&mut self, late: Result<u32, DesktopError>) {
        if let Ok(id) = late {
            let bus = self.bus.clone();
            tokio::spawn(async move { limited(calls::close(bus, id)).await });
        }
    }

    fn tell(&mut self, event: DesktopEvent) {
        if self.backlog.len() >= BACKLOG {
            self.backlog.pop_front();
        }
        self.backlog.push_back(event);
    }
}

/// A finished call.
enum Done {
    Notify(Result<u32, DesktopError>),
    Close(Result<(), DesktopError>),
    Unread,
    /// The limit has passed.
    GaveUp,
}

impl Call {
    async fn done(&mut self) -> Done {
        match self {
            Self::Notify { reply, limit, .. } => tokio::select! {
                biased;
                answer = reply => Done::Notify(answer),
                () = limit => Done::GaveUp,
            },
            Self::Close { reply, .. } => Done::Close(reply.await),
            Self::Unread(told) => {
                told.await;
                Done::Unread
            }
        }
    }
}

impl Server {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Meeting(name, _) | Self::Up(name) | Self::Silent(name, _) => Some(name),
        }
    }

    /// What it is about to say for itself; `None`: it is time to ask again.
    async fn next(&mut self) -> Option<Result<Introduction, DesktopError>> {
        match self {
            Self::Meeting(_, asked) => Some(asked.await),
            Self::Silent(_, wait) => {
                wait.await;
                None
            }
            Self::Absent | Self::Up(_) => std::future::pending().await,
        }
    }

    fn refusal(&self) -> DesktopError {
        match self {
            Self::Absent => DesktopError::Absent("no notification server is running".into()),
            Self::Meeting(..) => DesktopError::Absent("the notification server is just starting".into()),
            Self::Up(_) | Self::Silent(..) => DesktopError::Silent,
        }
    }
}
