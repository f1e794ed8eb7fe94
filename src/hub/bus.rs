//! Who is connected, and the hints they get. One task owns the list; it stores nothing and may lose everything:
//! what a client has not heard of it finds by its cursor.

use super::ask::{Hint, Identity};
use crate::proto::hub::wire::event::Ephemeral;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, watch};

/// Messages that may wait for the task; then those who tell wait.
const QUEUE: usize = 1_024;
/// Ephemera that may wait for one connection; more are dropped.
const EPHEMERA: usize = 8;

/// What a connection must know at once, whatever happened in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bell {
    /// The newest number of the user's stream that was heard of.
    pub(super) head: u64,
    /// The device's token does not count any more.
    pub(super) revoked: bool,
}

/// A connection's place at the bus. It is given up when this is dropped.
pub(super) struct Seat {
    pub(super) bell: watch::Receiver<Bell>,
    pub(super) ephemera: mpsc::Receiver<Ephemeral>,
}

enum News {
    Join { user: i64, device: i64, bell: watch::Sender<Bell>, ephemera: mpsc::Sender<Ephemeral> },
    Hints(Vec<Hint>),
}

/// A handle to the bus.
#[derive(Clone)]
pub(super) struct Bus(mpsc::Sender<News>);

impl Bus {
    /// Starts the task in the current runtime; it ends when the last handle is gone.
    pub(super) fn start() -> Self {
        let (queue, news) = mpsc::channel(QUEUE);
        tokio::spawn(run(news));
        Self(queue)
    }

    /// Takes a seat. Hints of commits that begin after this returns are not missed.
    pub(super) async fn join(&self, who: &Identity) -> Seat {
        let (bell, heard) = watch::channel(Bell::default());
        let (ephemera, lane) = mpsc::channel(EPHEMERA);
        let _bus_gone = self.0.send(News::Join { user: who.user, device: who.device, bell, ephemera }).await;
        Seat { bell: heard, ephemera: lane }
    }

    /// Tells hints from within the runtime.
    pub(super) async fn tell(&self, hints: Vec<Hint>) {
        if !hints.is_empty() {
            let _bus_gone = self.0.send(News::Hints(hints)).await;
        }
    }

    /// Tells hints from the writer's thread.
    pub(super) fn tell_blocking(&self, hints: Vec<Hint>) {
        if !hints.is_empty() {
            let _bus_gone = self.0.blocking_send(News::Hints(hints));
        }
    }
}

struct Connected {
    device: i64,
    bell: watch::Sender<Bell>,
    ephemera: mpsc::Sender<Ephemeral>,
}

async fn run(mut news: mpsc::Receiver<News>) {
    let mut users: BTreeMap<i64, Vec<Connected>> = BTreeMap::new();
    let mut joined = 0_usize;
    while let Some(next) = news.recv().await {
        match next {
            News::Join { user, device, bell, ephemera } => {
                let seats = users.entry(user).or_default();
                seats.retain(|seat| !seat.bell.is_closed());
                seats.push(Connected { device, bell, ephemera });
                joined += 1;
                if joined.is_multiple_of(1_024) {
                    users.retain(|_, seats| seats.iter().any(|seat| !seat.bell.is_closed()));
                }
            }
            News::Hints(hints) => hints.into_iter().for_each(|hint| pass_on(&mut users, hint)),
        }
    }
}

fn pass_on(users: &mut BTreeMap<i64, Vec<Connected>>, hint: Hint) {
    match hint {
        Hint::Head { user, head } => {
            for seat in users.get(&user).into_iter().flatten() {
                seat.bell.send_if_modified(|bell| {
                    let newer = bell.head < head;
                    bell.head = bell.head.max(head);
                    newer
                });
            }
        }
        Hint::Eph { user, what } => {
            for seat in users.get(&user).into_iter().flatten() {
                let _full = seat.ephemera.try_send(what.clone());
            }
        }
        Hint::Revoked { device } => {
            for seat in users.values().flatten().filter(|seat| seat.device == device) {
                seat.bell.send_modify(|bell| bell.revoked = true);
            }
        }
    }
}
