//! What was said in a room is settled by the room's echo. Where the server has the message and no echo comes, the room is
//! asked whether we are in it (XEP-0410): its answer comes after the echo, or there is none.
//!
//! It never sends a message a second time by itself: the archive decides, and without one the row fails.

use super::session::About;
use super::sm::SentRow;
use super::tag::Tag;
use super::{Xmpp, ns};
use crate::model::{Event, OutboxId, SendFailure};
use std::time::Instant;

/// Seconds that an echo may take before the room is asked.
const ECHO: u64 = 5;
/// Seconds until a room that gave no clear answer is asked again.
const AGAIN: u64 = 30;

/// Rows that a room has not echoed.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    awaited: Vec<SentRow>,
    /// When to ask the room.
    ask_at: Option<Instant>,
    /// The archive is being looked through for these.
    looked_for: Vec<SentRow>,
}

impl Echoes {
    pub(super) fn ask_at(&self) -> Option<Instant> {
        self.ask_at
    }

    pub(super) fn holds(&self, row: OutboxId) -> bool {
        self.awaited.iter().chain(&self.looked_for).any(|waiting| waiting.outbox == row)
    }

    fn take(&mut self) -> Vec<SentRow> {
        self.ask_at = None;
        let mut rows = std::mem::take(&mut self.looked_for);
        rows.append(&mut self.awaited);
        rows
    }

    /// A row was echoed, or failed.
    pub(super) fn done(&mut self, row: OutboxId) {
        self.awaited.retain(|waiting| waiting.outbox != row);
        self.looked_for.retain(|waiting| waiting.outbox != row);
    }

    /// Rows are offered again on the next connection.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Xmpp {
    /// Our server has taken a message to a room.
    pub(super) fn await_echo(&mut self, row: SentRow) {
        if self.session.done.contains(&row.outbox) {
            return;
        }
        let sent = self.recent.iter().rev().find(|recent| recent.outbox == row.outbox);
        let Some(room) = sent.map(|recent| recent.to.clone()) else { return };
        let ask_at = self.in_time(ECHO);
        if let Some(state) = self.rooms.get_mut(&room) {
            state.echoes.awaited.push(row);
            state.echoes.ask_at = state.echoes.ask_at.or(ask_at);
        }
    }

    pub(super) fn on_echo_time(&mut self, now: Instant) {
        let due = |room: &super::Room| room.echoes.ask_at.is_some_and(|at| at <= now);
        let rooms: Vec<String> = self.rooms.iter().filter(|(_, s)| due(s)).map(|(room, _)| room.clone()).collect();
        for room in rooms {
            let again = self.in_time(AGAIN);
            let Some(state) = self.rooms.get_mut(&room) else { continue };
            let waits = !state.echoes.awaited.is_empty() || !state.echoes.looked_for.is_empty();
            state.echoes.ask_at = again.filter(|_| waits);
            if waits && state.joined() && !crate::mutant("xmpp-echo-for-ever") {
                self.ask_whether_in(&room);
            }
        }
    }

    /// An own ping by way of the room.
    pub(super) fn ask_whether_in(&mut self, room: &str) {
        let Some(row) = self.durable.rooms.get(room) else { return };
        let to = format!("{room}/{}", row.nick);
        self.ask("get", Some(&to), Tag::new("ping", ns::PING), About::InRoom(room.to_owned()), 60);
    }

    /// The room knows us, and what it has not echoed by now it will not: its archive is looked through, where it has one.
    pub(super) fn no_echo_comes(&mut self, room: &str) {
        let archived = self.has_archive(room);
        let running = self.session.syncs.get(room).is_some_and(|sync| sync.running);
        let soon = self.in_time(ECHO);
        let Some(state) = self.rooms.get_mut(room) else { return };
        if archived && running {
            state.echoes.ask_at = soon;
        } else if archived && !state.echoes.awaited.is_empty() {
            state.echoes.looked_for.append(&mut state.echoes.awaited);
            self.sync(room);
        } else if !archived {
            let rows = state.echoes.take();
            self.not_taken(rows);
        }
    }

    /// The archive was looked through.
    pub(super) fn echoes_looked_for(&mut self, room: &str) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        let rows = std::mem::take(&mut state.echoes.looked_for);
        self.not_taken(rows);
    }

    fn not_taken(&mut self, rows: Vec<SentRow>) {
        for row in rows {
            if self.own_seen.contains(&row.cid) {
                continue;
            }
            self.durable.unseen.retain(|unseen| unseen.cid != row.cid);
            let text = "the room did not take it".to_owned();
            self.settle_failed(row.outbox, SendFailure { code: "not_taken".into(), text });
        }
    }

    /// We are out of the room: whether it took them is found out inside.
    pub(super) fn echoes_unknown(&mut self, room: &str) {
        let rows = self.rooms.get_mut(room).map(|state| state.echoes.take()).unwrap_or_default();
        for row in rows {
            self.event(Event::Unconfirmed(row.outbox));
        }
    }
}
