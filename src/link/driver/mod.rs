//! Drives one account's connection: the only place where its protocol, its supervisor, its socket and the store meet.
//! It decides nothing; the machines do.

mod acts;
mod board;
mod intake;
mod outbox;
mod pipe;
#[cfg(test)]
mod tests;

use super::Settings;
use super::dial::{DialError, Dialer, Socket};
use super::supervisor::{Attempt, Input as Told, Supervisor};
use crate::machine::Machine as _;
use crate::model::{AccountId, Addressed, Perishable, Seq, Statuses};
use crate::proto::{CloseCode, Protocol};
use crate::store::{Store, StoreError};
use crate::world::{Clock, Entropy};
use board::{Board, Counters};
use futures_util::future::BoxFuture;
use intake::Intake;
use outbox::{Done, Outbox};
use pipe::{Heard, Pipe};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a link needs. Everything that touches the world comes from outside.
pub struct LinkParts {
    /// Whose connection it is.
    pub account: AccountId,
    /// The account's name, for `status`.
    pub name: String,
    /// The wire protocol; made with the rows of `store.checkpoint(account)`.
    pub protocol: Box<dyn Protocol>,
    /// `hub` or `xmpp`, for `status`.
    pub protocol_name: String,
    /// How sockets are opened.
    pub dialer: Arc<dyn Dialer>,
    /// The hall.
    pub store: Store,
    /// Intervals and bounds.
    pub settings: Settings,
    /// Clocks.
    pub clock: Clock,
    /// Randomness for the jitter.
    pub entropy: Entropy,
    /// Facts about the machine and readers' wishes.
    pub signals: broadcast::Receiver<Addressed>,
    /// Where typing and presence go.
    pub perishables: broadcast::Sender<(AccountId, Perishable)>,
    /// Where this account's status is kept.
    pub statuses: watch::Sender<Statuses>,
    /// Ends the link; it says goodbye and stops within [`Settings::farewell`].
    pub shutdown: CancellationToken,
}

/// One account's connection.
pub struct Link;

impl Link {
    /// Starts the link's task. It ends only by `shutdown`, or when the store is closed.
    #[must_use]
    pub fn spawn(parts: LinkParts) -> JoinHandle<()> {
        tokio::spawn(Driver::new(parts).run())
    }
}

type Dialing = (Attempt, BoxFuture<'static, Result<Socket, DialError>>);

/// The task's own state.
struct Driver {
    account: AccountId,
    settings: Settings,
    clock: Clock,
    dialer: Arc<dyn Dialer>,
    protocol: Box<dyn Protocol>,
    supervisor: Supervisor,
    signals: broadcast::Receiver<Addressed>,
    perishables: broadcast::Sender<(AccountId, Perishable)>,
    shutdown: CancellationToken,
    intake: Intake,
    outbox: Outbox,
    board: Board,
    counters: Counters,
    dialing: Option<Dialing>,
    dialed: Option<(Attempt, Socket)>,
    pipe: Option<Pipe>,
    /// The protocol still has to be told that its connection is gone: first its last batch must land.
    owed_close: Option<Option<CloseCode>>,
    /// A new socket that waits for that.
    opening: Option<Socket>,
    /// The dial whose refusal the protocol is judging.
    judging: Option<Attempt>,
    stalled: bool,
}

/// What the task woke up for.
enum Woken {
    Shutdown,
    Written(Result<Seq, StoreError>),
    Dialed(Result<Socket, DialError>),
    Heard(Heard),
    Outbox(Option<Done>),
    Signal(Result<Addressed, RecvError>),
    Timer,
}

impl Driver {
    fn new(parts: LinkParts) -> Self {
        let supervisor = Supervisor::new(parts.settings.clone(), parts.entropy.seed());
        let at = parts.clock.wall();
        Self {
            account: parts.account,
            board: Board::new(parts.account, parts.name, parts.protocol_name, at, parts.statuses),
            intake: Intake::new(parts.account, parts.store.clone()),
            outbox: Outbox::new(parts.account, parts.store),
            settings: parts.settings,
            clock: parts.clock,
            dialer: parts.dialer,
            protocol: parts.protocol,
            supervisor,
            signals: parts.signals,
            perishables: parts.perishables,
            shutdown: parts.shutdown,
            counters: Counters::default(),
            dialing: None,
            dialed: None,
            pipe: None,
            owed_close: None,
            opening: None,
            judging: None,
            stalled: false,
        }
    }

    async fn run(mut self) {
        self.tell(Told::Start);
        loop {
            self.settle();
            let woken = self.wait().await;
            self.counters.wakeups += 1;
            match woken {
                Woken::Shutdown | Woken::Written(Err(StoreError::Closed)) => break,
                Woken::Written(result) => self.on_written(result),
                Woken::Dialed(result) => self.on_dialed(result),
                Woken::Heard(heard) => self.on_heard(heard),
                Woken::Outbox(Some(done)) => self.on_outbox(done),
                Woken::Outbox(None) => self.outbox.look(),
                Woken::Signal(Ok(addressed)) => self.on_signal(addressed),
                Woken::Signal(Err(_)) => self.on_missed_signals(),
                Woken::Timer => self.on_timer(),
            }
        }
        self.farewell().await;
    }

    async fn wait(&mut self) -> Woken {
        let now = self.clock.now();
        let reading = self.intake.has_room(&self.settings);
        let timeout = self.timeout(now);
        let Self { dialing, pipe, intake, outbox, signals, shutdown, .. } = self;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Woken::Shutdown,
            result = intake.written() => Woken::Written(result),
            signal = heard(signals) => Woken::Signal(signal),
            result = dialed(dialing) => Woken::Dialed(result),
            () = until(timeout) => Woken::Timer,
            done = outbox.next() => Woken::Outbox(done),
            heard = next(pipe, reading) => Woken::Heard(heard),
        }
    }

    fn timeout(&self, now: Instant) -> Option<Instant> {
        let machines = [self.supervisor.poll_timeout(), self.protocol.poll_timeout()];
        let rooms = [self.intake.timeout(now, &self.settings), self.outbox.timeout(now, self.clock.wall())];
        machines.into_iter().chain(rooms).flatten().min()
    }
}

async fn heard(signals: &mut broadcast::Receiver<Addressed>) -> Result<Addressed, RecvError> {
    match signals.recv().await {
        Err(RecvError::Closed) => std::future::pending().await,
        other => other,
    }
}

async fn dialed(dialing: &mut Option<Dialing>) -> Result<Socket, DialError> {
    match dialing {
        Some((_, dial)) => dial.await,
        None => std::future::pending().await,
    }
}

async fn next(pipe: &mut Option<Pipe>, reading: bool) -> Heard {
    match pipe {
        Some(pipe) => pipe.next(reading).await,
        None => std::future::pending().await,
    }
}

async fn until(timeout: Option<Instant>) {
    match timeout {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
