//! One client's session: one task that owns its connection, its cursors, its subscriptions and its lease. Everything ends
//! with it. What a client does not read is not made: requests and changes wait until the bounded queue has room.

mod cursors;
mod daemon;
mod desk;
mod feed;
mod outbox;
mod reads;
mod waits;
mod writes;

use super::codec::{Line, Lines};
use super::cursors::Cursors;
use super::hall::Hall;
use super::leases::LeaseChange;
use super::token::Key;
use super::wire::{self, Asked, Fault, FaultCode, Notification, RequestId, Response};
use crate::model::{AccountId, Perishable, Seq, Statuses};
use feed::Subscriptions;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;
use waits::{Wait, Woken};

/// What a request came to.
enum Outcome {
    /// The answer's JSON.
    Text(String),
    /// The answer comes later.
    Wait(Wait),
}

/// One client.
pub(super) struct Session {
    id: u64,
    lines: FramedRead<OwnedReadHalf, Lines>,
    writer: OwnedWriteHalf,
    desk: Desk,
    out: Vec<u8>,
    bell: watch::Receiver<Seq>,
    statuses: watch::Receiver<Statuses>,
    perishables: broadcast::Receiver<(AccountId, Perishable)>,
    waits: FuturesUnordered<Wait>,
}

/// What requests work on: all of a session but its connection.
struct Desk {
    session: u64,
    hall: Hall,
    key: Key,
    lease: mpsc::Sender<LeaseChange>,
    attending: bool,
    cursors: Cursors,
    subscriptions: Subscriptions,
    watches_status: bool,
    names: BTreeMap<AccountId, String>,
    shutdown: CancellationToken,
}

impl Session {
    pub(super) fn new(id: u64, stream: UnixStream, hall: Hall, key: Key, lease: mpsc::Sender<LeaseChange>) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            id,
            lines: FramedRead::with_capacity(reader, Lines::new(hall.settings.request_bytes), 1024),
            writer,
            out: Vec::new(),
            bell: hall.store.feed(),
            statuses: hall.statuses.clone(),
            perishables: hall.perishables.subscribe(),
            waits: FuturesUnordered::new(),
            desk: Desk::new(id, hall, key, lease),
        }
    }

    /// Serves the client until it goes or the daemon stops.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        self.desk.shutdown = shutdown.clone();
        while !shutdown.is_cancelled() {
            if !Box::pin(self.step(&shutdown)).await {
                break;
            }
        }
        self.desk.leave().await;
        let rest = self.writer.write_all(&self.out);
        tokio::time::timeout(std::time::Duration::from_millis(200), rest).await.ok();
        tracing::debug!(session = self.id, "a client left");
    }

    /// Waits for one thing and does it; `false`: the client is gone.
    async fn step(&mut self, shutdown: &CancellationToken) -> bool {
        let room = self.out.len() < self.desk.hall.settings.queue_bytes || crate::mutant("queue-unbounded");
        let idle_at = self.desk.cursors.poll_timeout();
        let alarm = tokio::time::sleep_until(idle_at.unwrap_or_else(|| self.desk.hall.clock.now()).into());
        let behind = self.desk.subscriptions.behind(*self.bell.borrow());
        tokio::select! {
            () = shutdown.cancelled() => {}
            written = self.writer.write(&self.out), if !self.out.is_empty() => match written {
                Ok(bytes) if bytes > 0 => self.written(bytes),
                _ => return false,
            },
            line = self.lines.next(), if room => match line {
                Some(Ok(line)) => self.read(line).await,
                Some(Err(_)) | None => return false,
            },
            Some(woken) = self.waits.next(), if room && !self.waits.is_empty() => self.wake(woken).await,
            () = std::future::ready(()), if room && behind => {
                self.out.extend(self.desk.pump().await);
            }
            changed = self.bell.changed(), if room && !behind => if changed.is_err() { return false },
            changed = self.statuses.changed(), if room && self.desk.watches_status => match changed {
                Ok(()) => {
                    let status = self.desk.status().await;
                    self.tell(&Notification::Status(status));
                }
                Err(_) => self.desk.watches_status = false,
            },
            fleeting = self.perishables.recv() => if let Ok((account, what)) = fleeting && room {
                self.out.extend(self.desk.fleeting(account, what).await);
            },
            () = alarm, if idle_at.is_some() => self.desk.cursors.handle_timeout(self.desk.hall.clock.now()),
        }
        true
    }

    fn written(&mut self, bytes: usize) {
        self.out.drain(..bytes);
        if self.out.is_empty() && self.out.capacity() > self.desk.hall.settings.queue_bytes {
            self.out = Vec::new();
        }
    }

    async fn read(&mut self, line: Line) {
        let line = match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => return,
            Line::Whole(line) => line,
            Line::TooLong => {
                let limit = self.desk.hall.settings.request_bytes;
                let fault = Fault::new(FaultCode::TooLarge, format!("a line may have {limit} bytes"));
                return self.answer(None, Err(fault.remedy("split the request")));
            }
        };
        match wire::read_request(&line) {
            Ok(asked) => self.carry_out(asked).await,
            Err(refusal) => self.out.extend(wire::line(&refusal)),
        }
    }

    async fn carry_out(&mut self, asked: Asked) {
        if self.waits.len() >= self.desk.hall.settings.waiting {
            let fault = Fault::new(FaultCode::Busy, "too many of your requests are waiting");
            return self.answer(asked.id, Err(fault.remedy("wait for some of their answers")));
        }
        let outcome = Box::pin(self.desk.handle(asked.id.clone(), asked.call)).await;
        self.come(asked.id, outcome);
    }

    async fn wake(&mut self, woken: Woken) {
        match woken {
            Woken::Answer(id, outcome) => self.answer(id, outcome),
            Woken::Cursor(parked) => {
                let id = parked.request.clone();
                let outcome = Box::pin(self.desk.go_on(*parked)).await;
                self.come(id, outcome);
            }
        }
    }

    /// What a request came to so far.
    fn come(&mut self, id: Option<RequestId>, outcome: Result<Outcome, Fault>) {
        match outcome {
            Ok(Outcome::Text(text)) => self.say(id.as_ref(), &text),
            Ok(Outcome::Wait(wait)) => self.waits.push(wait),
            Err(fault) => self.answer(id, Err(fault)),
        }
    }

    fn answer(&mut self, id: Option<RequestId>, outcome: Result<Value, Fault>) {
        let unreadable = outcome.as_ref().is_err_and(|fault| fault.kind() == FaultCode::TooLarge);
        if id.is_some() || unreadable {
            self.out.extend(wire::line(&Response::new(id, outcome)));
        }
    }

    /// Answers with a result that is JSON already.
    fn say(&mut self, id: Option<&RequestId>, result: &str) {
        if let Some(id) = id {
            self.out.extend(wire::result_line(id, result));
        }
    }

    fn tell(&mut self, notification: &Notification) {
        self.out.extend(wire::notification_line(notification));
    }
}

/// An answer's JSON.
fn value<T: Serialize>(answer: &T) -> Result<Outcome, Fault> {
    serde_json::to_string(answer).map(Outcome::Text).map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))
}
