//! The update stream and the snapshot: what arrives becomes facts, and progress is noted beside them.

use super::desk::Request;
use super::facts::{self, key};
use super::progress::{Cursor, Mark};
use super::{Hub, Phase, Repair};
use crate::model::{Event, Origin, Perishable, ReadMark, Reader, Reason, Upto};
use crate::proto::Verdict;
use crate::proto::hub::wire::client;
use crate::proto::hub::wire::event::{self, Ephemeral, Msg};
use crate::proto::hub::wire::object::Availability;
use crate::proto::hub::wire::server::{Ev, Resume, Snap, SnapReason, Welcome};
use crate::proto::hub::wire::{ConvKind, ConvObj};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Contiguous messages of one frame in one conversation: (seq, ts) of both ends.
type Run = ((u64, u64), (u64, u64));

impl Hub {
    pub(super) fn on_welcome(&mut self, welcome: Welcome) {
        if !matches!(self.phase, Phase::Greeting) {
            self.refused += 1;
            return;
        }
        let known = self.ledger.cursor().cloned();
        self.me = facts::Me { user: welcome.user, epoch: welcome.epoch.clone() };
        self.desk.allow(welcome.limits.inflight);
        self.hist_limit = welcome.limits.hist.clamp(1, 200);
        self.interval = millis(welcome.ka.interval);
        self.server_timeout = millis(welcome.ka.max);
        self.head = welcome.head;
        if known.as_ref().is_some_and(|cursor| cursor.epoch != welcome.epoch) {
            self.ledger.new_epoch();
        }
        match welcome.resume {
            Resume::Ok if known.as_ref().is_some_and(|cursor| cursor.epoch == welcome.epoch) => {
                self.phase = Phase::Live;
                self.ready();
                self.live();
                self.owes = true;
                self.acknowledge();
            }
            Resume::Ok => {
                let detail = "resumed a cursor that was never given".to_owned();
                self.disconnect(Verdict::Retry, Reason::Protocol { detail });
            }
            Resume::Snap => {
                let fresh = known.is_none() || matches!(welcome.reason, Some(SnapReason::First | SnapReason::Epoch));
                self.phase = Phase::Snapshot { seen: BTreeSet::new(), fresh };
                self.ready();
            }
        }
    }

    pub(super) fn on_snap(&mut self, snap: Snap) {
        let Phase::Snapshot { mut seen, fresh } = std::mem::replace(&mut self.phase, Phase::Live) else {
            self.phase = Phase::Greeting;
            self.disconnect(Verdict::Retry, Reason::Protocol { detail: "a snapshot out of place".into() });
            return;
        };
        for person in snap.users {
            self.facts(facts::user(person.user, person.name));
        }
        for conv in snap.convs {
            seen.insert(conv.conv.clone());
            self.snap_conv(conv, fresh);
        }
        if snap.more {
            self.phase = Phase::Snapshot { seen, fresh };
            return;
        }
        let gone: Vec<String> = self.ledger.marks().keys().filter(|conv| !seen.contains(*conv)).cloned().collect();
        for conv in gone {
            self.ledger.forget(&conv);
            self.fact(Event::Gone(crate::model::ConversationKey::server(conv)));
        }
        let Some(cur) = snap.cur else {
            self.disconnect(Verdict::Retry, Reason::Protocol { detail: "a snapshot without its cursor".into() });
            return;
        };
        self.ledger.set_cursor(Cursor { epoch: self.me.epoch.clone(), cur });
        self.live();
    }

    /// A conversation of the snapshot: its newest page, and what is missing below it if it was known before.
    fn snap_conv(&mut self, mut conv: ConvObj, fresh: bool) {
        let known = self.ledger.marks().get(&conv.conv).cloned();
        let mut last = conv.last.take().unwrap_or_default();
        last.retain(|msg| msg.conv == conv.conv);
        last.sort_by_key(|msg| msg.seq);
        let read = conv.read.unwrap_or_default();
        let above = last.iter().filter(|msg| msg.seq > read && msg.from != self.me.user).count() as u64;
        let floor = conv.joined.unwrap_or(1).max(1);
        // It began while we were away: all of it was missed, and is fetched like any other gap.
        let began = known.is_none() && !fresh && !crate::mutant("hub-began-unfetched");
        let below = conv.unread.map(|unread| unread.saturating_sub(above)).filter(|_| known.is_none() && !began);
        self.fact(facts::conversation(&conv, below));
        self.own_read(&conv);
        if let (Some(lo), Some(hi)) = (last.first(), last.last()) {
            let (lo, hi) = ((lo.seq, lo.ts), (hi.seq, hi.ts));
            let mark = self.ledger.mark(&conv.conv);
            if began {
                mark.seq = floor - 1;
            }
            extend(mark, known.is_some() || began, lo.0, hi.0);
            for msg in last {
                let origin = match &known {
                    Some(mark) if msg.seq <= mark.seq => continue,
                    Some(_) => Origin::CatchUp,
                    None if !fresh && msg.seq > read => Origin::CatchUp,
                    None => Origin::Snapshot,
                };
                let message = self.me.message(msg, origin);
                self.fact(message);
            }
            let span = self.me.span(&conv.conv, lo, hi, lo.0 <= floor, true);
            self.fact(span);
        }
        let mark = self.ledger.mark(&conv.conv);
        match &known {
            Some(before) if conv.rev > before.rev => mark.stale = Some(conv.rev.max(mark.stale.unwrap_or_default())),
            Some(_) => {}
            None => mark.rev = conv.rev,
        }
        self.ask_members(&conv);
    }

    /// Nothing read yet is known, too: without it what a first snapshot brings would count as read long ago.
    fn own_read(&mut self, conv: &ConvObj) {
        if let Some(read) = conv.read {
            let at = facts::time(conv.ts.unwrap_or_default());
            self.fact(Event::Read(ReadMark { conversation: key(conv), by: Reader::Me, upto: Upto::Order(read), at }));
        }
    }

    fn ask_members(&mut self, conv: &ConvObj) {
        if conv.kind != ConvKind::Direct {
            self.members_page(conv.conv.clone(), Vec::new(), None);
        }
    }

    pub(super) fn members_page(&mut self, conv: String, so_far: Vec<crate::model::Member>, cursor: Option<String>) {
        let id = self.desk.id();
        let frame = client::Members { id, conv: conv.clone(), limit: Some(200), cursor };
        self.desk.push(id, &frame.into(), Request::Members { conv, so_far });
        self.pump();
    }

    pub(super) fn on_ev(&mut self, now: Instant, ev: Ev) {
        let Phase::Live = self.phase else {
            self.refused += 1;
            return;
        };
        self.heard_ev = true;
        let cur = self.ledger.cursor().map_or(0, |cursor| cursor.cur);
        if ev.prev != cur && !crate::mutant("hub-prev-ignored") {
            if ev.cur > cur {
                self.repair_stream(now);
            }
            return;
        }
        self.repair = None;
        let mut runs: BTreeMap<String, Run> = BTreeMap::new();
        for event in ev.evs {
            self.on_event(event, &mut runs);
        }
        for (conv, run) in runs {
            self.end_run(&conv, run);
            self.fill(conv);
        }
        self.ledger.set_cursor(Cursor { epoch: self.me.epoch.clone(), cur: ev.cur });
        self.acknowledge();
        self.check_caught_up();
    }

    fn end_run(&mut self, conv: &str, (lo, hi): Run) {
        let span = self.me.span(conv, lo, hi, false, true);
        self.fact(span);
    }

    fn on_event(&mut self, event: event::Event, runs: &mut BTreeMap<String, Run>) {
        use event::Event as Wire;
        match event {
            Wire::Msg(msg) => self.on_message(*msg, runs),
            Wire::Edit(edit) => {
                self.ledger.mark(&edit.conv).change(edit.rev);
                let edit = self.me.edit(*edit);
                self.fact(edit);
            }
            Wire::Del(del) => {
                self.ledger.mark(&del.conv).change(del.rev.unwrap_or_default());
                let gone = self.me.delete(&del);
                self.facts(gone);
            }
            Wire::React(react) => {
                self.ledger.mark(&react.conv).change(react.rev);
                let react = self.me.react(*react);
                self.fact(react);
            }
            Wire::Read(read) => {
                let read = self.me.read(*read);
                self.facts(read);
            }
            Wire::Dlvd(dlvd) => {
                let delivered = self.me.delivered(*dlvd);
                self.facts(delivered);
            }
            Wire::Conv(conv) => {
                self.ledger.mark(&conv.conv).change(conv.rev);
                self.fact(facts::conversation(&conv.c, None));
                self.own_read(&conv.c);
                self.ask_members(&conv.c);
            }
            Wire::Member(member) => {
                self.ledger.mark(&member.conv).change(member.rev);
                self.fact(facts::member(*member));
            }
            Wire::Gone(gone) => {
                self.ledger.forget(&gone.conv);
                self.fact(Event::Gone(crate::model::ConversationKey::server(gone.conv)));
            }
            Wire::User(user) => self.facts(facts::user(user.user, user.name)),
            Wire::Pref(_) | Wire::Dev(_) => {}
            Wire::Unknown(_) => self.refused += 1,
        }
    }

    fn on_message(&mut self, msg: Msg, runs: &mut BTreeMap<String, Run>) {
        self.ledger.mark(&msg.conv).message(msg.seq, msg.rev);
        let end = (msg.seq, msg.ts);
        match runs.get_mut(&msg.conv) {
            Some((_, hi)) if hi.0 + 1 == msg.seq => *hi = end,
            Some((_, hi)) if msg.seq <= hi.0 => {}
            Some(_) | None => {
                if let Some(run) = runs.insert(msg.conv.clone(), (end, end)) {
                    self.end_run(&msg.conv, run);
                }
            }
        }
        let origin = if self.caught_up { Origin::Live } else { Origin::CatchUp };
        let message = self.me.message(msg, origin);
        self.fact(message);
    }

    pub(super) fn on_ephemeral(&mut self, what: Ephemeral) {
        let perishable = match what {
            Ephemeral::Typing { conv, by, ttl } => {
                Perishable::Typing { conversation: conv, by, on: ttl > 0, ttl_ms: ttl }
            }
            Ephemeral::Pres { user, st, .. } => Perishable::Presence {
                user,
                state: match st {
                    Availability::Online => "online",
                    Availability::Away => "away",
                    Availability::Dnd => "dnd",
                    Availability::Offline => "offline",
                }
                .to_owned(),
            },
            Ephemeral::Unknown => return,
        };
        self.outputs.push_back(crate::proto::Output::Perishable(perishable));
    }

    /// Something announced did not come: ask again from what is safely here; if that does not help, come anew.
    pub(super) fn repair_stream(&mut self, now: Instant) {
        if self.repair.is_none() {
            self.repair = Some(Repair { until: now + self.settings.repair_after, asked: false });
            self.ask_again();
        }
    }

    /// An ack may name only what is on disk, so the repair waits for a commit under way.
    pub(super) fn ask_again(&mut self) {
        let durable = self.acknowledgeable();
        if durable != self.ledger.cursor().map(|cursor| cursor.cur) {
            return;
        }
        if let (Some(cur), Some(repair)) = (durable, &mut self.repair)
            && !repair.asked
        {
            repair.asked = true;
            self.acked = self.acked.max(cur);
            self.transmit(&client::Ack { cur, resync: Some(true) });
        }
    }
}

fn millis(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}

/// Joins the newest page to what was known: a gap opens where they do not touch.
fn extend(mark: &mut Mark, known: bool, lo: u64, hi: u64) {
    if known && lo > mark.top.max(mark.seq) + 1 {
        mark.gap = Some(lo);
    }
    mark.top = mark.top.max(hi);
    if mark.gap.is_none() {
        mark.seq = mark.seq.max(hi);
    }
}
