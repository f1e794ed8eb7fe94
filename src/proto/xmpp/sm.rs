//! Stream management (XEP-0198): what is out there unacknowledged, what came in, and going on after a break.
//!
//! Incoming stanzas are acknowledged only as far as they are committed. Counters run modulo 2^32.

use super::session::{About, Stage};
use super::tag::Tag;
use super::xml::Element;
use super::{Xmpp, ns};
use crate::model::{MessageId, OutboxId};
use crate::proto::{Frame, Output};
use std::collections::VecDeque;

/// Outgoing stanzas that the server has not acknowledged.
#[derive(Default)]
pub(super) struct Flight {
    /// Both sides count.
    pub(super) counting: bool,
    /// Stanzas acknowledged by the server in this session.
    pub(super) base: u32,
    pub(super) queue: VecDeque<Sent>,
    /// An acknowledgement was asked for.
    asked: bool,
}

/// One outgoing stanza.
pub(super) struct Sent {
    pub(super) xml: String,
    pub(super) row: Option<SentRow>,
}

/// The outbox row a stanza carries out.
#[derive(Clone, Debug)]
pub(super) struct SentRow {
    pub(super) outbox: OutboxId,
    pub(super) cid: MessageId,
    /// The server's acknowledgement settles it (a room's own echo settles what goes to a room).
    pub(super) settles: bool,
}

impl Flight {
    pub(super) fn holds(&self, outbox: OutboxId) -> bool {
        self.rows().any(|row| row.outbox == outbox)
    }

    /// The outbox rows that are out.
    pub(super) fn rows(&self) -> impl Iterator<Item = &SentRow> {
        self.queue.iter().filter_map(|sent| sent.row.as_ref())
    }

    pub(super) fn largest(&self) -> usize {
        self.queue.iter().map(|sent| sent.xml.len()).max().unwrap_or_default()
    }
}

impl Xmpp {
    pub(super) fn transmit(&mut self, xml: String) {
        self.out.push_back(Output::Transmit(Frame::text(xml)));
    }

    /// Sends a stanza and keeps it until the server has it.
    pub(super) fn send(&mut self, stanza: &Tag, row: Option<SentRow>) {
        let xml = stanza.xml();
        self.transmit(xml.clone());
        if matches!(self.session.stage, Stage::Online) {
            self.flight.queue.push_back(Sent { xml, row });
        }
    }

    /// Asks for an acknowledgement where something is out and none was asked for.
    pub(super) fn ask_for_ack(&mut self) {
        if self.flight.queue.is_empty() || self.flight.asked || !self.online() {
            return;
        }
        self.flight.asked = true;
        if self.flight.counting {
            self.transmit(Tag::new("r", ns::SM).xml());
        } else {
            let upto = u32::try_from(self.flight.queue.len()).unwrap_or(u32::MAX).wrapping_add(self.flight.base);
            self.ping(About::Ack(upto));
        }
    }

    /// A server without stream management answered a ping: it has handled all that went before.
    pub(super) fn on_pinged_ack(&mut self, upto: u32) {
        self.on_ack_value(upto);
        // The ping itself stood last in the queue.
        if self.flight.queue.front().is_some_and(|sent| sent.row.is_none()) {
            self.flight.queue.pop_front();
            self.flight.base = self.flight.base.wrapping_add(1);
        }
    }

    pub(super) fn on_ack(&mut self, ack: &Element) {
        match ack.attr("h").and_then(|h| h.parse().ok()) {
            Some(h) if self.flight.counting => self.on_ack_value(h),
            _ => self.refuse(),
        }
    }

    fn on_ack_value(&mut self, h: u32) {
        self.flight.asked = false;
        let count = h.wrapping_sub(self.flight.base) as usize;
        if count > self.flight.queue.len() {
            self.refuse();
            self.drop_session();
            self.broken("it acknowledged more than was sent");
            return;
        }
        self.flight.base = h;
        let done: Vec<Sent> = self.flight.queue.drain(..count).collect();
        for row in done.into_iter().filter_map(|sent| sent.row) {
            self.on_row_acked(row);
        }
    }

    fn on_row_acked(&mut self, row: SentRow) {
        if !row.settles {
            return self.await_echo(row);
        }
        if let Some(unseen) = self.durable.unseen.iter_mut().find(|unseen| unseen.cid == row.cid) {
            unseen.acked = true;
            self.confirm_soon();
        }
        self.settle_sent(row.outbox, None);
    }

    /// A stanza of the server's was handled.
    pub(super) fn count_in(&mut self) {
        if self.flight.counting
            && let Some(sm) = &mut self.durable.sm
        {
            sm.h = sm.h.wrapping_add(1);
        }
    }

    /// Tells the server how far we are: as far as is on disk. Without its asking only when that is news.
    pub(super) fn acknowledge(&mut self, asked: bool) {
        if !self.flight.counting || !self.online() {
            return;
        }
        let id = self.durable.sm.as_ref().map(|sm| sm.id.clone());
        let committed = self.committed.sm.as_ref().filter(|sm| Some(&sm.id) == id.as_ref());
        let h = committed.map_or(0, |sm| sm.h);
        if !asked && self.session.told_h == h {
            return;
        }
        self.session.told_h = h;
        self.transmit(Tag::new("a", ns::SM).attr("h", h.to_string()).xml());
    }

    /// Tries to go on with the session that broke; false where there is none.
    pub(super) fn try_resume(&mut self) -> bool {
        if self.resume_drops >= 2 && !crate::mutant("xmpp-resume-for-ever") {
            self.drop_session();
            self.resume_drops = 0;
        }
        let whole = self.durable.sm.as_ref().filter(|sm| sm.present);
        let Some((id, h)) = whole.and_then(|sm| Some((sm.id.clone()?, sm.h))) else { return false };
        self.session.stage = Stage::Resuming;
        self.transmit(Tag::new("resume", ns::SM).attr("previd", id).attr("h", h.to_string()).xml());
        true
    }

    /// The session goes on: what the server has not got is sent again, in order and under the same counters.
    pub(super) fn on_resumed(&mut self, resumed: &Element) {
        let Some(h) = resumed.attr("h").and_then(|h| h.parse::<u32>().ok()) else {
            self.drop_session();
            return self.broken("<resumed/> without h");
        };
        self.resume_drops = 0;
        self.session.stage = Stage::Online;
        self.session.resumed = true;
        self.flight.asked = false;
        if self.flight.counting {
            self.on_ack_value(h);
        } else {
            // After a restart nothing is known of what was out: the archive decides about it.
            self.flight.counting = true;
            self.flight.base = h;
        }
        let again: Vec<String> = self.flight.queue.iter().map(|sent| sent.xml.clone()).collect();
        for xml in again {
            self.transmit(xml);
        }
        self.on_session();
    }

    /// The session will not be tried again.
    pub(super) fn drop_session(&mut self) {
        self.durable.sm = None;
        self.committed.sm = None;
        for (_, durable, _) in &mut self.cuts {
            durable.sm = None;
        }
    }

    /// The session is lost, with or without `h` (real servers omit it). A new one begins.
    pub(super) fn forget_session(&mut self) {
        self.drop_session();
        self.flight = Flight::default();
        self.unfinished.clear();
        self.rooms.clear();
        self.own_seen.clear();
        for row in self.durable.archives.values_mut() {
            row.whole = false;
        }
        for room in self.durable.rooms.values_mut() {
            room.joined = false;
        }
        self.doubt();
    }
}
