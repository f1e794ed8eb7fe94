//! Archives after a resumption, of one's own sent messages, of older history on demand, and when all of them are here.

use super::archive::{Purpose, Sync};
use super::{Xmpp, jid};
use crate::model::{Event, FetchHole};
use std::time::Instant;

/// Pages of older history that may be on their way at once.
const MAX_HOLES: usize = 4;

impl Xmpp {
    /// A resumed session: what was whole stays whole; the rest goes on where it was.
    pub(super) fn sync_resumed(&mut self) {
        let mut archives: Vec<String> =
            self.durable.rooms.iter().filter(|(_, r)| r.joined).map(|(j, _)| j.clone()).collect();
        archives.insert(0, self.me.clone());
        for archive in archives {
            let whole = self.durable.archives.get(&archive).is_some_and(|row| row.whole);
            if whole && self.has_archive(&archive) {
                self.session.syncs.insert(archive.clone(), Sync { synced: true, ..Sync::default() });
                if archive == self.me {
                    self.query(&archive, Purpose::Newest, None, false);
                }
            } else if !self.go_on_with(&archive) {
                self.sync(&archive);
            }
        }
        self.confirm_soon();
        if self.session.syncs.get(&self.me).is_some_and(|sync| sync.synced) {
            // Decided in the connection before this one, whose end came before the outbox had offered them.
            self.doubts_decided();
        }
    }

    /// The newest message of a resumed session's archive: replayed already, or awaited for a moment. Servers answer pings
    /// while the replay is still under way.
    pub(super) fn on_newest(&mut self, id: Option<String>) {
        let last = self.durable.archives.get(&self.me).and_then(|row| row.last.as_ref());
        if id.is_none() || last == id.as_ref() {
            self.session.newest_here = true;
            return self.consider_caught_up();
        }
        self.session.awaited = id.zip(self.in_time(1));
    }

    /// What was awaited has not come: the archive has it. An archive that failed is asked again.
    pub(super) fn on_archive_time(&mut self, now: Instant) {
        let due = |sync: &Sync| sync.again_at.is_some_and(|at| at <= now);
        let failed: Vec<_> = self.session.syncs.iter().filter(|(_, s)| due(s)).map(|(jid, _)| jid.clone()).collect();
        for archive in failed {
            self.sync(&archive);
        }
        if self.session.awaited.take_if(|(_, until)| *until <= now).is_some() {
            self.sync(&self.me.clone());
        }
    }

    /// A reader reached a hole: the page directly before it.
    pub(super) fn fetch(&mut self, hole: &FetchHole) {
        let Some(archive) = jid::bare(&hole.archive).filter(|archive| self.has_archive(archive)) else { return };
        let purpose = Purpose::Hole { above: hole.above.clone() };
        let holes = self.session.queries.values().filter(|q| matches!(q.purpose, Purpose::Hole { .. })).count();
        let again = self.session.queries.values().any(|q| q.archive == archive && q.purpose == purpose);
        if self.online() && !again && holes < MAX_HOLES {
            self.query(&archive, purpose, None, false);
        }
    }

    /// What was acknowledged and not seen is looked for in a moment.
    pub(super) fn confirm_soon(&mut self) {
        if self.durable.unseen.iter().any(|unseen| unseen.acked) {
            self.confirm_at = self.confirm_at.or(self.in_time(2));
        }
    }

    /// Looks for sent messages in the archive, once they should be there.
    pub(super) fn confirm(&mut self) {
        let me = self.me.clone();
        let waiting = self.durable.unseen.iter().any(|unseen| unseen.acked && unseen.archive == me);
        if waiting && self.session.syncs.get(&me).is_some_and(|sync| sync.synced) {
            self.sync(&me);
        }
    }

    /// Everything that was missed is here: say so, once a connection.
    pub(super) fn consider_caught_up(&mut self) {
        if self.session.caught_up || !self.session.fenced || !self.session.newest_here {
            return;
        }
        // A room whose archive fails for long must not keep the whole account waiting; it goes on being asked.
        let settled = |archive: &str| {
            self.session.syncs.get(archive).is_some_and(|sync| {
                (sync.synced && !sync.running) || sync.unavailable || (sync.is_failing() && archive != self.me)
            })
        };
        let rooms = self.rooms.iter().all(|(room, state)| state.settled() && (!state.joined() || settled(room)));
        if settled(&self.me) && rooms && self.session.rooms_known {
            self.session.caught_up = true;
            self.event(Event::CaughtUp);
        }
    }
}
