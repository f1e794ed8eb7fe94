//! Drives one session over one WebSocket: frames in, frames out, asks to the store, hints from the bus.
//!
//! While the client does not take what is written, nothing more is read from it and nothing more is fetched for it:
//! a slow client holds one batch, not a queue.

use super::Doorway;
use crate::hub::ask::{Answer, Ask, Done, Identity};
use crate::hub::bus::Seat;
use crate::hub::session::{CloseCode, Input, Output, Session};
use crate::hub::store::nobody;
use crate::machine::Machine;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

/// After a close frame the rest of what the client sends is read and dropped for this long, so that the kernel does
/// not throw our last words away: long where they must be heard (42xx), else for what was just under way.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BRIEFLY: Duration = Duration::from_millis(100);

type Pending = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The asks under way. Changes all at once, answered in the order in which they came; pages one after the other, since each may be large.
#[derive(Default)]
struct Asked {
    changes: FuturesOrdered<Pending>,
    page: Option<Pending>,
    waiting: VecDeque<Ask>,
}

/// The connection is gone or must go.
struct Gone;

struct Driver<'a, S> {
    socket: WebSocketStream<S>,
    session: Session,
    doorway: &'a Doorway,
    who: Identity,
    seat: Option<Seat>,
    asked: Asked,
}

/// Runs until the connection ends.
pub(super) async fn run<S>(socket: WebSocketStream<S>, session: Session, doorway: &Doorway)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let asked = Asked::default();
    let mut driver = Driver { socket, session, doorway, who: nobody(), seat: None, asked };
    while driver.act().await.is_ok() && driver.wait().await.is_ok() {}
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Driver<'_, S> {
    /// Does what the session wants done.
    async fn act(&mut self) -> Result<(), Gone> {
        let mut written = false;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit(text) => {
                    self.write(Message::text(text)).await?;
                    written = true;
                }
                Output::Ask(ask) => self.ask(ask),
                Output::Joined(who) => {
                    self.seat = Some(self.doorway.bus.join(&who).await);
                    self.who = who;
                }
                Output::Close(code) => return self.close(code).await,
            }
        }
        if written { self.flush().await } else { Ok(()) }
    }

    /// Waits for the next thing that concerns the session and tells it.
    async fn wait(&mut self) -> Result<(), Gone> {
        let deadline = self.session.poll_timeout().map(tokio::time::Instant::from_std);
        let input = tokio::select! {
            message = self.socket.next() => match self.received(message).await? {
                Some(input) => input,
                None => return Ok(()),
            },
            Some(done) = self.asked.changes.next(), if !self.asked.changes.is_empty() => self.answered(done).await,
            done = page(&mut self.asked.page), if self.asked.page.is_some() => {
                self.asked.page = self.asked.waiting.pop_front().map(|ask| self.start(ask));
                self.answered(done).await
            }
            heard = hear(&mut self.seat), if self.seat.is_some() => heard,
            () = until(deadline), if deadline.is_some() => {
                self.session.handle_timeout(self.doorway.clock.now());
                return Ok(());
            }
            () = self.doorway.shutdown.cancelled() => Input::Shutdown,
        };
        self.session.handle_input(self.doorway.clock.now(), input);
        Ok(())
    }

    async fn received(&mut self, message: Option<Result<Message, Error>>) -> Result<Option<Input>, Gone> {
        match message {
            Some(Ok(Message::Text(text))) => {
                Ok(Some(Input::Frame { text: text.as_str().to_owned(), at: self.doorway.clock.wall() }))
            }
            Some(Ok(Message::Binary(_))) => Ok(Some(Input::Binary)),
            // The pong to a WebSocket ping leaves with the next flush.
            Some(Ok(Message::Ping(_))) => self.flush().await.map(|()| None),
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Err(Error::Capacity(_))) => Ok(Some(Input::Oversized)),
            Some(Ok(Message::Close(_))) => {
                let _answered = self.flush().await;
                Err(Gone)
            }
            Some(Err(_)) | None => Err(Gone),
        }
    }

    async fn answered(&mut self, done: Done) -> Input {
        self.doorway.bus.tell(done.hints).await;
        Input::Answer { answer: done.answer, at: self.doorway.clock.wall() }
    }

    fn ask(&mut self, ask: Ask) {
        if !ask.is_write() {
            if self.asked.page.is_some() {
                self.asked.waiting.push_back(ask);
            } else {
                self.asked.page = Some(self.start(ask));
            }
            return;
        }
        let mut change = self.start(ask);
        // Polled once right here it stands in the writer's queue: changes keep the order in which they came.
        match (&mut change).now_or_never() {
            Some(done) => self.asked.changes.push_back(Box::pin(std::future::ready(done))),
            None => self.asked.changes.push_back(change),
        }
    }

    fn start(&self, ask: Ask) -> Pending {
        let (store, who, at) = (self.doorway.store.clone(), self.who.clone(), self.doorway.clock.wall());
        Box::pin(async move { store.carry_out(&who, ask, at).await })
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        let within = self.doorway.settings.write_within;
        match tokio::time::timeout(within, self.socket.feed(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let within = self.doorway.settings.write_within;
        match tokio::time::timeout(within, self.socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Says goodbye, then reads on for a moment: bytes left unread would make the kernel reset the connection and
    /// with it drop what was just said.
    async fn close(&mut self, code: CloseCode) -> Result<(), Gone> {
        let frame = CloseFrame { code: code.code.into(), reason: code.reason.into() };
        self.write(Message::Close(Some(frame))).await?;
        self.flush().await?;
        let stream = self.socket.get_mut();
        let mut sink = [0; 1024];
        let drained = async { while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {} };
        let linger = if code.code >= 4200 { LINGER } else { LINGER_BRIEFLY };
        let _long_enough = tokio::time::timeout(linger, drained).await;
        Err(Gone)
    }
}

async fn page(pending: &mut Option<Pending>) -> Done {
    match pending {
        Some(page) => page.await,
        None => Answer::Failed.into(),
    }
}

/// The next hint. A bus that is gone never hints again.
async fn hear(seat: &mut Option<Seat>) -> Input {
    let Some(seat) = seat else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = seat.bell.changed() => {
            let bell = *seat.bell.borrow_and_update();
            if bell.revoked { Input::Revoked } else { Input::Head(bell.head) }
        }
        Some(what) = seat.ephemera.recv() => Input::Eph(what),
        else => std::future::pending().await,
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
