//! A session's cursors: how many may be open, when an idle one ends, and what is said of one that is gone. Pure: it
//! reads no clock and no store.

mod cursor;
mod filling;
mod filter;

pub(super) use cursor::{Ask, Cursor, Mark, Spec};
pub(super) use filling::Filling;
pub(super) use filter::{fits, in_scope};

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How many cursors that are gone are remembered, so that `cursor.next` can say where to reopen.
const REMEMBERED: usize = 1_024;

/// Why a cursor cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Missing {
    /// It was never opened in this session.
    Unknown,
    /// Its client closed it.
    Closed(Box<Mark>),
    /// It was read to its end.
    Exhausted,
    /// It was idle for too long.
    TimedOut(Box<Mark>),
    /// A request on it is not answered yet.
    InUse,
}

/// The table.
#[derive(Debug)]
pub(super) struct Cursors {
    limit: usize,
    idle: Duration,
    last: u64,
    open: BTreeMap<u64, Slot>,
    gone: VecDeque<(u64, Missing)>,
}

#[derive(Debug)]
enum Slot {
    /// Since when it is idle.
    Idle(Box<Cursor>, Instant),
    /// A request works on it.
    InUse,
}

impl Cursors {
    pub(super) fn new(limit: usize, idle: Duration) -> Self {
        Self { limit, idle, last: 0, open: BTreeMap::new(), gone: VecDeque::new() }
    }

    /// There is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < self.limit
    }

    /// A number for a new cursor, which counts as in use until [`Cursors::put`].
    pub(super) fn begin(&mut self) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Slot::InUse);
        self.last
    }

    /// Takes a cursor for a request.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn take(&mut self, id: u64) -> Result<Box<Cursor>, Missing> {
        let Some(slot) = self.open.get_mut(&id) else { return Err(self.missing(id)) };
        match std::mem::replace(slot, Slot::InUse) {
            Slot::Idle(cursor, _) => Ok(cursor),
            Slot::InUse => Err(Missing::InUse),
        }
    }

    /// Gives it back after the request; its idle time begins anew. One that was closed meanwhile stays closed.
    pub(super) fn put(&mut self, id: u64, cursor: Box<Cursor>, now: Instant) {
        if let Some(slot) = self.open.get_mut(&id) {
            *slot = Slot::Idle(cursor, now);
        }
    }

    /// It was read to its end, or its opening failed.
    pub(super) fn finish(&mut self, id: u64) {
        if self.open.remove(&id).is_some() {
            self.remember(id, Missing::Exhausted);
        }
    }

    /// Its client closes it.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn close(&mut self, id: u64) -> Result<(), Missing> {
        match self.open.remove(&id) {
            Some(Slot::Idle(cursor, _)) => self.remember(id, Missing::Closed(Box::new(cursor.into_mark()))),
            Some(Slot::InUse) => self.remember(id, Missing::Exhausted),
            None => return Err(self.missing(id)),
        }
        Ok(())
    }

    /// Ends what has been idle for too long.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if crate::mutant("cursor-idle-forever") {
            return;
        }
        let idle = self.idle;
        let late =
            |slot: &Slot| matches!(slot, Slot::Idle(cursor, since) if !cursor.no_timeout() && *since + idle <= now);
        let late: Vec<u64> = self.open.iter().filter(|(_, slot)| late(slot)).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(Slot::Idle(cursor, _)) = self.open.remove(&id) {
                self.remember(id, Missing::TimedOut(Box::new(cursor.into_mark())));
            }
        }
    }

    /// When the next one will have been idle for too long.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = |slot: &Slot| match slot {
            Slot::Idle(cursor, since) if !cursor.no_timeout() => Some(*since + self.idle),
            Slot::Idle(..) | Slot::InUse => None,
        };
        self.open.values().filter_map(due).min()
    }

    fn remember(&mut self, id: u64, why: Missing) {
        if self.gone.len() == REMEMBERED {
            self.gone.pop_front();
        }
        self.gone.push_back((id, why));
    }

    fn missing(&self, id: u64) -> Missing {
        self.gone.iter().rev().find(|(gone, _)| *gone == id).map_or(Missing::Unknown, |(_, why)| why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Query, Scope, Seq};
    use crate::world::Clock;

    const IDLE: Duration = Duration::from_secs(600);

    fn cursor(no_timeout: bool) -> Box<Cursor> {
        let spec = Spec { no_timeout, ..Spec::default() };
        Box::new(Cursor::new(spec, Mark::new(Query::new(Scope::All), Seq(1))))
    }

    fn opened(cursors: &mut Cursors, no_timeout: bool, now: Instant) -> u64 {
        let id = cursors.begin();
        cursors.put(id, cursor(no_timeout), now);
        id
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_cursor_ends_after_its_time_and_says_where_it_stood() {
        let start = Clock::system().now();
        let mut cursors = Cursors::new(4, IDLE);
        let (mortal, immortal) = (opened(&mut cursors, false, start), opened(&mut cursors, true, start));
        assert_eq!(cursors.poll_timeout(), Some(start + IDLE));
        cursors.handle_timeout(start + IDLE);
        assert!(matches!(cursors.take(mortal), Err(Missing::TimedOut(_))));
        assert!(cursors.take(immortal).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn every_use_begins_the_idle_time_anew() {
        let start = Clock::system().now();
        let mut cursors = Cursors::new(4, IDLE);
        let id = opened(&mut cursors, false, start);
        let taken = cursors.take(id).unwrap();
        cursors.handle_timeout(start + IDLE);
        cursors.put(id, taken, start + IDLE);
        cursors.handle_timeout(start + IDLE + Duration::from_secs(1));
        assert!(cursors.take(id).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cursor_serves_one_request_at_a_time_and_a_closed_one_none() {
        let start = Clock::system().now();
        let mut cursors = Cursors::new(4, IDLE);
        let id = opened(&mut cursors, false, start);
        let taken = cursors.take(id).unwrap();
        assert_eq!(cursors.take(id).unwrap_err(), Missing::InUse);
        cursors.close(id).unwrap();
        cursors.put(id, taken, start);
        assert_eq!(cursors.take(id).unwrap_err(), Missing::Exhausted);
        assert_eq!(cursors.close(99), Err(Missing::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_open_cursors_is_limited() {
        let start = Clock::system().now();
        let mut cursors = Cursors::new(2, IDLE);
        opened(&mut cursors, false, start);
        let second = opened(&mut cursors, false, start);
        assert!(!cursors.has_room());
        cursors.close(second).unwrap();
        assert!(cursors.has_room());
    }
}
