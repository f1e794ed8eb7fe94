//! Archives (XEP-0313 with XEP-0059): catching up from the last contiguous id, and pages of older history on demand.
//!
//! The newest page alone at first sight; after that every gap is filled. Results count only for a query of ours that
//! is still open, and only from the archive it was sent to.

use super::inbound::Via;
use super::session::About;
use super::tag::{Tag, form};
use super::xml::{self, Element, child};
use super::{Xmpp, iq, ns, stanzas};
use crate::model::{ConversationKey, Event, MessageId, Origin, Span, SpanEdge, Timestamp};
use std::time::Instant;

/// Messages of the first page of an archive never seen before.
const SNAPSHOT: u32 = 100;
/// Live ids remembered while the last page is on its way.
const MAX_LIVE: usize = 4_096;
/// Seconds a page may take.
pub(super) const PATIENCE: u64 = 90;

/// Where an archive stands in this connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Sync {
    /// Everything up to now is here: live messages follow on directly.
    pub(super) synced: bool,
    pub(super) running: bool,
    /// A catch-up that began in this connection is through.
    pub(super) checked: bool,
    /// It began in an earlier connection: of what was sent since it knows nothing.
    pub(super) older: bool,
    /// There is no archive.
    pub(super) unavailable: bool,
    /// It failed so often in a row in this connection; it is asked again then.
    pub(super) failures: u8,
    pub(super) again_at: Option<Instant>,
    /// Ids that came live since this began.
    pub(super) live: Vec<(String, i64)>,
    /// How many of them had come when the last page was asked for.
    pub(super) live_before: usize,
    /// Rows of ours that this catch-up looks for.
    pub(super) looking: Vec<MessageId>,
    /// Where it began, if for their sake that was earlier than the newest message here.
    pub(super) from: Option<(Option<String>, u64)>,
}

/// What a page is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    CatchUp,
    Snapshot,
    Hole {
        above: Option<String>,
    },
    /// Only the newest message's id, to see whether it is here.
    Newest,
}

/// A page on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) archive: String,
    pub(super) purpose: Purpose,
    after: Option<String>,
    /// The id to go on from is pruned; it goes on from its time.
    pub(super) by_time: bool,
    /// When the message before this page was, where that is known.
    floor: Option<i64>,
    lo: Option<(String, i64)>,
    hi: Option<(String, i64)>,
    ids: Vec<String>,
    /// What came since the last batch was cut, and the id before it.
    part: Option<(String, i64)>,
    part_after: Option<String>,
    /// When the last message of the batches cut so far was.
    parted: Option<i64>,
}

impl Query {
    pub(super) fn is_catch_up(&self) -> bool {
        self.purpose == Purpose::CatchUp
    }

    /// The same as of the last batch: what came since is lost with the connection.
    pub(super) fn as_cut(&self) -> Self {
        let (lo, hi, part, ids) = (None, None, None, Vec::new());
        let (archive, purpose, part_after) = (self.archive.clone(), self.purpose.clone(), self.part_after.clone());
        let parted = self.parted;
        let (after, by_time, floor) = match parted {
            Some(_) => (part_after.clone(), false, parted),
            None => (self.after.clone(), self.by_time, self.floor),
        };
        Self { archive, purpose, after, by_time, floor, lo, hi, ids, part, part_after, parted }
    }

    /// The id that it goes on from.
    pub(super) fn after(&self) -> Option<String> {
        self.after.clone()
    }
}

fn edge(end: Option<&(String, i64)>) -> Option<SpanEdge> {
    end.map(|(id, at)| SpanEdge { id: id.clone(), at: Timestamp(*at) })
}

impl Xmpp {
    pub(super) fn has_archive(&self, archive: &str) -> bool {
        if archive == self.me {
            return self.durable.able.mam;
        }
        self.durable.rooms.get(archive).is_some_and(|room| room.mam)
    }

    fn archive_conversation(&self, archive: &str) -> Option<ConversationKey> {
        (archive != self.me).then(|| ConversationKey::server(archive))
    }

    /// Brings an archive up to date.
    pub(super) fn sync(&mut self, archive: &str) {
        let available = self.has_archive(archive);
        let sync = self.session.syncs.entry(archive.to_owned()).or_default();
        if sync.running {
            return;
        }
        if !available {
            return self.go_without(archive);
        }
        let ours = self.durable.unseen.iter().filter(|unseen| unseen.archive == archive);
        // What is still on its way need not be there yet.
        let flying: Vec<_> = self.flight.rows().map(|row| row.cid).collect();
        let looking = ours.clone().filter(|row| row.acked || !flying.contains(&row.cid)).map(|row| row.cid).collect();
        let from = ours.min_by_key(|unseen| unseen.nth).map(|unseen| (unseen.after.clone(), unseen.nth));
        let earliest = from.clone().map(|(after, _)| after);
        *sync = Sync { running: true, looking, from, failures: sync.failures, ..Sync::default() };
        let (purpose, after) = match self.durable.archives.get(archive) {
            None => (Purpose::Snapshot, None),
            Some(row) => (Purpose::CatchUp, earliest.unwrap_or_else(|| row.last.clone())),
        };
        // Cut off before its end, this session must not be taken for one that had everything: what is replayed then
        // would be called contiguous over the gap.
        if let Some(row) = self.durable.archives.get_mut(archive)
            && !crate::mutant("xmpp-cut-catch-up-is-whole")
        {
            row.whole = false;
        }
        self.query(archive, purpose, after, false);
    }

    pub(super) fn query(&mut self, archive: &str, purpose: Purpose, after: Option<String>, by_time: bool) {
        if let Some(sync) = self.session.syncs.get_mut(archive).filter(|_| purpose == Purpose::CatchUp) {
            sync.live_before = sync.live.len();
        }
        let queryid = self.names.id();
        let size = match purpose {
            Purpose::Snapshot => SNAPSHOT,
            Purpose::Newest => 1,
            Purpose::CatchUp | Purpose::Hole { .. } => self.settings.page,
        };
        let mut set = Tag::new("set", ns::RSM).child(Tag::plain("max").text(size.to_string()));
        match (&purpose, &after) {
            (Purpose::CatchUp, Some(after)) if !by_time => set = set.child(Tag::plain("after").text(after)),
            (Purpose::CatchUp, _) => {}
            (Purpose::Snapshot | Purpose::Newest, _) => set = set.child(Tag::plain("before")),
            (Purpose::Hole { above }, _) => {
                set = set.child(Tag::plain("before").text(above.as_deref().unwrap_or_default()));
            }
        }
        let mut payload = Tag::new("query", ns::MAM).attr("queryid", &queryid);
        if by_time {
            // Ten minutes of slack for clocks; what is doubled by it has the same ids.
            let at = self.durable.archives.get(archive).map_or(0, |row| row.at).saturating_sub(600_000);
            payload = payload.child(form(ns::MAM, &[("start", &Timestamp(at.max(0)).to_string())]));
        }
        let to = (archive != self.me).then(|| archive.to_owned());
        let about = About::Archive(queryid.clone());
        self.ask("set", to.as_deref(), payload.child(set), about, PATIENCE);
        let archive = archive.to_owned();
        let row = self.durable.archives.get(&archive).filter(|row| purpose == Purpose::CatchUp && row.last == after);
        let floor = row.map(|row| row.at);
        let part_after = after.clone().filter(|_| !by_time);
        let (lo, hi, part, parted, ids) = (None, None, None, None, Vec::new());
        let query = Query { archive, purpose, after, by_time, floor, lo, hi, ids, part, part_after, parted };
        self.session.queries.insert(queryid, query);
    }

    /// A message with `<result/>`: part of a page.
    pub(super) fn on_archive_result(&mut self, from: Option<&str>, result: &Element) {
        let forged = crate::mutant("xmpp-trust-any-mam");
        let queryid = result.attr("queryid").unwrap_or_default().to_owned();
        let query = self.session.queries.get(&queryid);
        let archive = match query {
            Some(query) => query.archive.clone(),
            None if forged => self.me.clone(),
            // What an earlier connection asked for may still come; it will be asked for again.
            None if from.is_none_or(|from| from == self.me || self.durable.rooms.contains_key(from)) => return,
            None => return self.refuse(),
        };
        let genuine = match from {
            None => archive == self.me,
            Some(from) => from == archive,
        };
        let inner = child(result, "forwarded", ns::FORWARD);
        let message = inner.and_then(|f| child(f, "message", ns::CLIENT));
        let at = inner.and_then(|f| child(f, "delay", ns::DELAY)).and_then(stanzas::stamp);
        let (true, Some(id), Some(message), Some(at)) = (genuine || forged, result.attr("id"), message, at) else {
            return self.refuse();
        };
        let origin = match query.map(|query| &query.purpose) {
            Some(Purpose::Snapshot) => Origin::Snapshot,
            Some(Purpose::Hole { .. }) => Origin::History,
            _ if self.session.caught_up => Origin::Live,
            _ => Origin::CatchUp,
        };
        let live = self.session.syncs.get(&archive).and_then(|sync| sync.live.iter().find(|(known, _)| known == id));
        let mut at = stanzas::time_of_id(id).unwrap_or(at);
        if let Some(query) = self.session.queries.get_mut(&queryid) {
            let floor = query.hi.as_ref().map(|(_, at)| *at).or(query.floor);
            at = live.map_or_else(|| stanzas::not_before(at, floor), |(_, at)| Timestamp(*at));
            let end = (id.to_owned(), at.ms());
            query.lo.get_or_insert_with(|| end.clone());
            query.part.get_or_insert_with(|| end.clone());
            query.hi = Some(end);
            query.ids.push(id.to_owned());
            if query.purpose == Purpose::Newest {
                return;
            }
        }
        self.on_message(message, &Via::Archive { archive, id: id.to_owned(), at, origin });
    }

    pub(super) fn on_archive_answer(&mut self, queryid: &str, answer: &Element) {
        self.say_parts();
        let Some(mut query) = self.session.queries.remove(queryid) else { return };
        let Some(fin) = iq::payload(answer, "fin", ns::MAM) else { return self.on_archive_error(&query, answer) };
        let complete = matches!(fin.attr("complete"), Some("true" | "1"));
        let last = child(fin, "set", ns::RSM).and_then(|set| xml::child_text(set, "last", ns::RSM));
        // The page's own end counts: it also stands for what the archive filtered out.
        if let (Some(last), Some(hi)) = (last, &mut query.hi) {
            hi.0 = last;
        }
        match query.purpose.clone() {
            Purpose::CatchUp => self.on_caught_page(&query, complete),
            Purpose::Snapshot => {
                self.say_span(&query, None, complete, true);
                self.end_sync(&query);
            }
            Purpose::Hole { above } => self.say_span(&query, above, complete || query.lo.is_none(), false),
            Purpose::Newest => self.on_newest(query.hi.map(|(id, _)| id)),
        }
    }

    fn on_caught_page(&mut self, query: &Query, complete: bool) {
        // A page that brings nothing is the last one, unless a connection before this one brought its messages.
        let complete = complete || query.hi.is_none() && query.parted.is_none();
        if query.hi.is_some() {
            self.say_span(query, None, query.after.is_none() && !query.by_time, complete);
        }
        if complete {
            return self.end_sync(query);
        }
        if let Some(hi) = &query.hi {
            self.note_last(&query.archive, hi);
        }
        let next = query.hi.as_ref().map(|(id, _)| id.clone()).or(query.part_after.clone());
        self.query(&query.archive, Purpose::CatchUp, next, false);
    }

    pub(super) fn say_span(&mut self, query: &Query, before: Option<String>, at_start: bool, at_end: bool) {
        let span = Span {
            archive: query.archive.clone(),
            conversation: self.archive_conversation(&query.archive),
            lo: edge(query.lo.as_ref()),
            hi: edge(query.hi.as_ref()),
            after: query.after.clone(),
            before,
            at_start,
            at_end,
        };
        self.event(Event::Span(span));
    }

    /// Pages under way: what each batch brings of them follows directly on what the batch before it brought, whatever their
    /// stamps say.
    pub(super) fn say_parts(&mut self) {
        let mut parts = Vec::new();
        for query in self.session.queries.values_mut().filter(|query| query.purpose == Purpose::CatchUp) {
            let (Some(lo), Some(hi)) = (query.part.take(), query.hi.clone()) else { continue };
            let after = query.part_after.replace(hi.0.clone());
            query.parted = Some(hi.1);
            parts.push((query.archive.clone(), lo, hi, after));
        }
        for (archive, lo, hi, after) in parts {
            if !crate::mutant("xmpp-page-or-nothing") {
                self.note_last(&archive, &hi);
            }
            let conversation = self.archive_conversation(&archive);
            let (lo, hi) = (edge(Some(&lo)), edge(Some(&hi)));
            let span = Span { archive, conversation, lo, hi, after, before: None, at_start: false, at_end: false };
            self.event(Event::Span(span));
        }
    }

    fn note_last(&mut self, archive: &str, (id, at): &(String, i64)) {
        let row = self.durable.archives.entry(archive.to_owned()).or_default();
        row.last = Some(id.clone());
        row.at = *at;
    }

    fn end_sync(&mut self, query: &Query) {
        let archive = &query.archive;
        if let Some(hi) = &query.hi {
            self.note_last(archive, hi);
        }
        self.durable.archives.entry(archive.clone()).or_default().whole = true;
        let sync = self.session.syncs.entry(archive.clone()).or_default();
        sync.running = false;
        sync.synced = true;
        sync.checked = !sync.older || crate::mutant("xmpp-older-page-decides");
        let live: Vec<_> =
            sync.live.drain(..).skip(sync.live_before).filter(|(id, _)| !query.ids.contains(id)).collect();
        // What an earlier connection's page looked for may have been sent since then.
        let older = sync.older && !crate::mutant("xmpp-older-page-decides");
        let looked = if older { Vec::new() } else { std::mem::take(&mut sync.looking) };
        for (id, at) in live {
            self.extend(archive, &id, at);
        }
        // What was looked for and is not there either waits in the outbox or is not archived by this server.
        let flying: Vec<_> = self.flight.rows().map(|row| row.cid).collect();
        self.durable.unseen.retain(|unseen| !looked.contains(&unseen.cid) || flying.contains(&unseen.cid));
        self.confirm_soon();
        if query.archive == self.me {
            self.session.newest_here = true;
            self.session.awaited = None;
        }
        self.echoes_looked_for(&query.archive);
        self.doubts_decided();
        self.consider_caught_up();
        self.pump();
    }

    /// A message with a genuine id came live.
    pub(super) fn on_live_id(&mut self, archive: &str, id: &str, at: Timestamp, delayed: bool) {
        let Some(sync) = self.session.syncs.get_mut(archive) else { return };
        if sync.running {
            // A resumed session may bring it again.
            if !delayed && sync.live.len() < MAX_LIVE && !sync.live.iter().any(|(known, _)| known == id) {
                sync.live.push((id.to_owned(), at.ms()));
            }
        } else if sync.synced {
            // An offline message that comes late is older than what is here: its place is known already.
            let older = delayed && self.durable.archives.get(archive).is_some_and(|row| at.ms() < row.at);
            if !older {
                self.extend(archive, id, at.ms());
            }
        }
    }

    /// The archive's contiguous range reaches up to this message.
    fn extend(&mut self, archive: &str, id: &str, at: i64) {
        let row = self.durable.archives.entry(archive.to_owned()).or_default();
        if row.last.as_deref() == Some(id) {
            return;
        }
        let after = row.last.replace(id.to_owned());
        row.at = row.at.max(at);
        let end = SpanEdge { id: id.to_owned(), at: Timestamp(at) };
        let span = Span {
            archive: archive.to_owned(),
            conversation: self.archive_conversation(archive),
            lo: Some(end.clone()),
            hi: Some(end),
            at_start: after.is_none(),
            after,
            before: None,
            at_end: true,
        };
        self.event(Event::Span(span));
        if archive == self.me && self.session.awaited.take_if(|(awaited, _)| awaited == id).is_some() {
            self.session.newest_here = true;
            self.consider_caught_up();
        }
    }
}
