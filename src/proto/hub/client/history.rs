//! History on demand and the filling of what an outage left open.

use super::again::Page;
use super::desk::Request;
use super::facts;
use super::{Hub, Phase, verdict};
use crate::model::{ConversationKey, ConversationUpdate, Event, FetchHole, Member, Origin, Span, SpanEdge};
use crate::proto::hub::wire::ConvKind;
use crate::proto::hub::wire::client;
use crate::proto::hub::wire::object::Order;
use crate::proto::hub::wire::server::{Err, Ok};
use crate::proto::hub::wire::{ErrorCode, event::Msg};
use std::time::{Duration, Instant};

/// Readers' wishes under way at one time; a wish beyond is dropped, the reader asks again.
const FETCHES: usize = 16;

impl Hub {
    /// Asks for everything that the marks say is missing.
    pub(super) fn begin_fills(&mut self) {
        let open: Vec<(String, bool, bool)> = self
            .ledger
            .marks()
            .iter()
            .filter(|(_, mark)| mark.gap.is_some() || mark.stale.is_some())
            .map(|(conv, mark)| (conv.clone(), mark.gap.is_some(), mark.stale.is_some()))
            .collect();
        for (conv, gap, stale) in open {
            if gap {
                self.fill(conv.clone());
            }
            if stale {
                self.repair_conv(conv);
            }
        }
    }

    pub(super) fn fill(&mut self, conv: String) {
        let Some(mark) = self.ledger.marks().get(&conv).filter(|mark| mark.gap.is_some()) else { return };
        if self.is_filling(|other| other == conv) {
            return;
        }
        let id = self.desk.id();
        let frame = client::Hist {
            id,
            conv: Some(conv.clone()),
            after: Some(mark.seq),
            order: Some(Order::Asc),
            limit: Some(self.settings.fill_page.min(self.hist_limit)),
            ..client::Hist::default()
        };
        self.desk.push(id, &frame.into(), Request::Fill { conv });
        self.pump();
    }

    /// A gap of such a conversation is being filled, or will be after a pause.
    pub(super) fn is_filling(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.desk.any(|open| matches!(open, Request::Fill { conv } if wanted(conv)))
            || self.again.any(|conv, page| page == Page::Fill && wanted(conv))
    }

    /// Asks for the pages whose pause is over.
    pub(super) fn ask_pages_again(&mut self, now: Instant) {
        let due = self.again.due(now);
        if due.is_empty() {
            return;
        }
        for (conv, page) in due {
            match page {
                Page::Fill => self.fill(conv),
                Page::Repair => self.repair_conv(conv),
            }
        }
        // One that is no longer needed holds nothing up.
        self.check_caught_up();
        self.acknowledge();
        self.resume_waiting();
    }

    fn repair_conv(&mut self, conv: String) {
        let Some(mark) = self.ledger.marks().get(&conv) else { return };
        let id = self.desk.id();
        let limit = Some(self.settings.fill_page.min(self.hist_limit));
        let frame = client::Changes { id, conv: conv.clone(), since: mark.rev, limit };
        self.desk.push(id, &frame.into(), Request::Repair { conv });
        self.pump();
    }

    /// A reader reached a hole.
    pub(super) fn on_fetch(&mut self, hole: FetchHole) {
        let Some(conv) = hole.archive.strip_prefix(&self.me.epoch).and_then(|rest| rest.strip_prefix('/')) else {
            return;
        };
        let open = |request: &Request| matches!(request, Request::Fetch(other) if *other == hole);
        let mut fetches = 0;
        self.desk.any(|request| {
            fetches += usize::from(matches!(request, Request::Fetch(_)));
            false
        });
        if !matches!(self.phase, Phase::Live) || fetches >= FETCHES || self.desk.any(open) {
            return;
        }
        let id = self.desk.id();
        let frame = client::Hist {
            id,
            conv: Some(conv.to_owned()),
            before: hole.above.as_ref().and_then(|seq| seq.parse().ok()),
            order: Some(Order::Desc),
            limit: Some(u64::from(hole.limit).clamp(1, self.hist_limit)),
            ..client::Hist::default()
        };
        self.desk.push(id, &frame.into(), Request::Fetch(hole));
        self.pump();
    }

    pub(super) fn on_fetched(&mut self, hole: FetchHole, ok: Ok) {
        let conv = hole.archive.rsplit('/').next().unwrap_or_default().to_owned();
        let more = ok.more == Some(true);
        let floor = ok.floor.unwrap_or(1);
        let below = hole.below.as_ref().and_then(|seq| seq.parse::<u64>().ok());
        let mut msgs = ok.msgs.unwrap_or_default();
        msgs.retain(|msg| msg.conv == conv);
        msgs.sort_by_key(|msg| msg.seq);
        let reached = !more || msgs.first().is_some_and(|msg| below.is_some_and(|below| msg.seq <= below + 1));
        let at_start = !more || msgs.first().is_some_and(|msg| msg.seq <= floor);
        let after = if reached { hole.below.clone() } else { None };
        self.page(&conv, msgs, Origin::History, after, hole.above, at_start && below.is_none());
    }

    /// A page of history: its messages and the range that is whole now.
    fn page(
        &mut self,
        conv: &str,
        msgs: Vec<Msg>,
        origin: Origin,
        after: Option<String>,
        before: Option<String>,
        at_start: bool,
    ) {
        let edge = |msg: &Msg| SpanEdge { id: msg.seq.to_string(), at: facts::time(msg.ts) };
        let (lo, hi) = (msgs.first().map(edge), msgs.last().map(edge));
        let lowest = msgs.first().map_or(0, |msg| msg.seq);
        for msg in msgs {
            let message = self.me.message(msg, origin);
            self.fact(message);
        }
        let after = after.or_else(|| (lowest > 1).then(|| (lowest - 1).to_string()));
        self.fact(Event::Span(Span {
            archive: self.me.archive(conv),
            conversation: Some(ConversationKey::server(conv)),
            at_start: at_start || lowest == 1,
            lo,
            hi,
            after,
            before,
            at_end: false,
        }));
    }

    pub(super) fn on_filled(&mut self, conv: String, ok: Ok) {
        self.again.answered(&conv, Page::Fill);
        let Some(mark) = self.ledger.marks().get(&conv).cloned() else { return };
        let Some(gap) = mark.gap else { return };
        let more = ok.more == Some(true);
        let mut msgs = ok.msgs.unwrap_or_default();
        msgs.retain(|msg| msg.conv == conv && msg.seq > mark.seq && msg.seq < gap);
        msgs.sort_by_key(|msg| msg.seq);
        let hi = msgs.last().map_or(mark.seq, |msg| msg.seq);
        let done = !more || msgs.is_empty() || hi + 1 >= gap;
        let before = done.then(|| gap.to_string());
        let at_start = mark.seq < ok.floor.unwrap_or(1).max(1);
        let after = (!at_start).then(|| mark.seq.to_string());
        self.page(&conv, msgs, Origin::CatchUp, after, before, at_start);
        self.ledger.mark(&conv).filled(hi, done);
        if !done {
            self.fill(conv);
        }
        self.check_caught_up();
    }

    pub(super) fn on_repaired(&mut self, conv: String, ok: Ok) {
        self.again.answered(&conv, Page::Repair);
        let Some(upto) = self.ledger.marks().get(&conv).map(|mark| mark.seq) else { return };
        let more = ok.more == Some(true) && ok.since.is_some();
        for msg in ok.msgs.unwrap_or_default() {
            if msg.conv == conv && msg.seq <= upto {
                let changes = self.me.repair(msg);
                self.facts(changes);
            }
        }
        self.ledger.mark(&conv).repaired(ok.since.unwrap_or_default(), !more);
        if more {
            self.repair_conv(conv);
        }
        self.check_caught_up();
    }

    pub(super) fn on_members(&mut self, conv: String, mut so_far: Vec<Member>, ok: Ok) {
        for member in ok.members.unwrap_or_default() {
            self.facts(facts::user(member.user.clone(), member.name.clone()));
            so_far.push(Member { user: member.user, name: member.name, role: facts::role(member.role) });
        }
        let next = ok.cursor.filter(|_| ok.more == Some(true) && so_far.len() < 10_000);
        if next.is_some() {
            self.members_page(conv, so_far, next);
            return;
        }
        let kind = match ok.c.as_ref().map(|conv| conv.kind) {
            Some(ConvKind::Channel) => crate::model::ConversationKind::Channel,
            _ => crate::model::ConversationKind::Group,
        };
        let key = ConversationKey::server(conv);
        let members = Some(so_far);
        self.fact(Event::Conversation(ConversationUpdate { key, kind, title: None, members, unread_below: None }));
    }

    /// A page could not be had. What can never be had stays a hole, what cannot be had now is asked for again; the rest is
    /// tried with the next connection.
    pub(super) fn on_history_err(&mut self, now: Instant, request: Request, err: &Err) {
        let passes = verdict::passes(err.code) && !crate::mutant("hub-page-error-is-final");
        let pause = err.retry_after.map(Duration::from_millis);
        let never = matches!(err.code, ErrorCode::NotFound | ErrorCode::NotMember | ErrorCode::Forbidden);
        match request {
            Request::Fill { conv } if passes => self.again.failed(conv, Page::Fill, now, pause),
            Request::Repair { conv } if passes => self.again.failed(conv, Page::Repair, now, pause),
            Request::Fill { conv } if never => self.ledger.mark(&conv).filled(0, true),
            Request::Repair { conv } if never => self.ledger.mark(&conv).repaired(0, true),
            _ => {}
        }
        self.check_caught_up();
    }
}
