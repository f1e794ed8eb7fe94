//! Pages of history and of changes. Every page is bounded by count, by bytes and by the rows it looks at.

use super::Stop;
use super::desk::{ConvRow, Desk, place, positive, stored};
use super::message::{COLUMNS, within};
use super::page::{Page, foreign};
use crate::proto::hub::wire::client::{Changes, Filter, Has, Hist};
use crate::proto::hub::wire::event::Msg;
use crate::proto::hub::wire::object::Order;
use crate::proto::hub::wire::server::Ok as WireOk;
use crate::proto::hub::wire::{Body, ErrorCode};
use rusqlite::types::ValueRef;

/// Bytes of message bodies in one page; one message more may still go with it.
const PAGE_BYTES: usize = 512 * 1024;
/// Rows that one page looks at before it says "more".
const ROWS_MOST: usize = 20_000;

/// What a page is asked for.
struct Request {
    conv: ConvRow,
    /// Go on beyond this `seq`, in the direction of `ascending`.
    from: i64,
    ascending: bool,
    skip: u64,
    limit: u64,
    /// Stop before this `seq`.
    bound: Option<i64>,
    filter: Option<Filter>,
    no_timeout: bool,
}

/// What a page has.
struct Found {
    msgs: Vec<Msg>,
    /// The last `seq` looked at and what is still to be left out; `None`: that was all.
    rest: Option<(i64, u64)>,
}

impl Desk<'_> {
    pub(super) fn hist(&self, frame: &Hist) -> Result<WireOk, Stop> {
        let request = match &frame.cursor {
            Some(token) => self.reopened(frame, token)?,
            None => self.opened(frame)?,
        };
        let Some(anchor) = frame.around.filter(|_| frame.cursor.is_none()) else {
            let found = self.page(&request)?;
            return self.hist_ok(&request, found);
        };
        self.around(request, stored(anchor))
    }

    fn opened(&self, frame: &Hist) -> Result<Request, Stop> {
        let name = frame.conv.as_deref().ok_or_else(foreign)?;
        let (conv, _) = self.conv_named(name)?;
        if frame.around.is_some() && (frame.before.is_some() || frame.after.is_some()) {
            return Err(
                Stop::refuse(ErrorCode::BadRequest, "`around` goes without `before` and `after`").field("around")
            );
        }
        let ascending = match frame.order {
            Some(order) => order == Order::Asc,
            None => frame.after.is_some() && frame.before.is_none(),
        };
        let (before, after) = (frame.before.map(stored), frame.after.map(stored));
        // Oldest first, what comes after the opening belongs to the update stream: a page never runs into it.
        let end = Some(conv.seq + 1).filter(|_| !crate::mutant("hub-hist-unbounded"));
        let (from, bound) = if ascending {
            (after.unwrap_or(0), before.or(end))
        } else {
            (before.unwrap_or(i64::from(u32::MAX)), after)
        };
        let limit = frame.limit.unwrap_or(50);
        let (skip, filter) = (frame.skip.unwrap_or(0), frame.filter.clone());
        Ok(Request { conv, from, ascending, skip, limit, bound, filter, no_timeout: frame.no_timeout == Some(true) })
    }

    fn reopened(&self, frame: &Hist, token: &str) -> Result<Request, Stop> {
        let Page::Hist { c, s, a, k, l, b, f, n } = self.open_page(token)? else { return Err(foreign()) };
        let name = self.conv_by("id", c)?.ok_or_else(foreign)?.name;
        let (conv, _) = self.conv_named(&name)?;
        let (limit, no_timeout) = (frame.limit.unwrap_or(l), frame.no_timeout.unwrap_or(n));
        Ok(Request { conv, from: s, ascending: a, skip: k, limit, bound: b, filter: f, no_timeout })
    }

    /// Both sides of a message, which itself counts to the newer side.
    fn around(&self, request: Request, anchor: i64) -> Result<WireOk, Stop> {
        let newer = Request { from: anchor - 1, ascending: true, skip: 0, ..request.share(request.limit.div_ceil(2)) };
        let older = Request { from: anchor, ascending: false, skip: 0, ..request.share(request.limit / 2) };
        let (up, down) = (self.page(&newer)?, if older.limit > 0 { self.page(&older)? } else { Found::none() });
        let (mut msgs, rest) = if request.ascending {
            (down.msgs.into_iter().rev().chain(up.msgs).collect::<Vec<_>>(), up.rest)
        } else {
            (up.msgs.into_iter().rev().chain(down.msgs).collect(), down.rest)
        };
        msgs.truncate(usize::try_from(request.limit).unwrap_or_default());
        self.hist_ok(&request, Found { msgs, rest })
    }

    fn page(&self, request: &Request) -> Result<Found, Stop> {
        let conv = request.conv.id;
        let spans = self.spans(conv)?;
        let order = if request.ascending { "ASC" } else { "DESC" };
        let hidden = "SELECT 1 FROM hidden WHERE user = ?3 AND msg = m.id";
        let sql = format!(
            "SELECT {COLUMNS}, EXISTS ({hidden}) FROM msg m WHERE m.id > ?1 AND m.id < ?2 ORDER BY m.id {order}"
        );
        let (least, most) = match (request.ascending, request.bound) {
            (true, bound) => (request.from, bound.unwrap_or(i64::from(u32::MAX))),
            (false, bound) => (bound.unwrap_or(0), request.from),
        };
        let edge = |seq: i64| place(conv, seq.clamp(0, i64::from(u32::MAX)));
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([edge(least), edge(most), self.who.user])?;
        let unread = request.filter.as_ref().is_some_and(|filter| filter.unread == Some(true));
        let read = if unread { self.read_upto(conv)? } else { 0 };
        let (mut msgs, mut skip, mut bytes, mut looked) = (Vec::new(), request.skip, 0, 0);
        let mut last = request.from;
        while let Some(row) = rows.next()? {
            if msgs.len() as u64 >= request.limit || bytes >= PAGE_BYTES || looked >= ROWS_MOST {
                return Ok(Found { msgs, rest: Some((last, skip)) });
            }
            looked += 1;
            last = row.get(0)?;
            if row.get::<_, bool>(14)? || !within(&spans, last) {
                continue;
            }
            if unread && (last <= read || row.get::<_, i64>(11)? == self.who.user || row.get_ref(13)? != ValueRef::Null)
            {
                continue;
            }
            let msg = self.read_message(&request.conv.name, row)?;
            if request.filter.as_ref().is_some_and(|filter| !matches(filter, &msg)) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            bytes += msg.body.as_ref().map_or(0, body_size);
            msgs.push(msg);
        }
        Ok(Found { msgs, rest: None })
    }

    /// How far this user has read.
    pub(super) fn read_upto(&self, conv: i64) -> Result<i64, Stop> {
        let mut select = self.conn.prepare_cached("SELECT read FROM member WHERE conv = ?1 AND user = ?2")?;
        Ok(select.query_row([conv, self.who.user], |row| row.get(0))?)
    }

    fn hist_ok(&self, request: &Request, found: Found) -> Result<WireOk, Stop> {
        let floor = self.spans(request.conv.id)?.first().map(|(lo, _)| positive(*lo));
        let cursor = match found.rest {
            None => None,
            Some((last, skip)) => {
                let page = Page::Hist {
                    c: request.conv.id,
                    s: last,
                    a: request.ascending,
                    k: skip,
                    l: request.limit,
                    b: request.bound,
                    f: request.filter.clone(),
                    n: request.no_timeout,
                };
                Some(self.seal_page(&page, request.no_timeout)?)
            }
        };
        Ok(WireOk {
            conv: Some(request.conv.name.clone()),
            rev: Some(positive(request.conv.rev)),
            msgs: Some(found.msgs),
            more: Some(cursor.is_some()),
            cursor,
            floor,
            ..WireOk::default()
        })
    }

    pub(super) fn changes(&self, frame: &Changes) -> Result<WireOk, Stop> {
        let (conv, _) = self.conv_named(&frame.conv)?;
        let spans = self.spans(conv.id)?;
        let sql = format!("SELECT {COLUMNS} FROM msg m WHERE m.conv = ?1 AND m.rev > ?2 ORDER BY m.rev, m.seq");
        let mut select = self.conn.prepare_cached(&sql)?;
        let mut rows = select.query([conv.id, stored(frame.since)])?;
        let limit = frame.limit.unwrap_or(100);
        let (mut msgs, mut bytes, mut looked) = (Vec::<Msg>::new(), 0, 0);
        let (mut since, mut more) = (frame.since, false);
        while let Some(row) = rows.next()? {
            let rev = positive(row.get(1)?);
            // Messages deleted together share a rev: a page never ends between them.
            let full = msgs.len() as u64 >= limit || bytes >= PAGE_BYTES || looked >= ROWS_MOST;
            if full && rev > since {
                more = true;
                break;
            }
            (since, looked) = (rev, looked + 1);
            if within(&spans, row.get(0)?) {
                let msg = self.read_message(&conv.name, row)?;
                bytes += msg.body.as_ref().map_or(0, body_size);
                msgs.push(msg);
            }
        }
        let since = if more { since } else { positive(conv.rev).max(frame.since) };
        let (name, rev) = (Some(conv.name), Some(positive(conv.rev)));
        Ok(WireOk { conv: name, rev, msgs: Some(msgs), since: Some(since), more: Some(more), ..WireOk::default() })
    }
}

impl Request {
    fn share(&self, limit: u64) -> Self {
        let (conv, filter) = (self.conv.clone(), self.filter.clone());
        Self { conv, filter, limit, bound: None, ..*self }
    }
}

impl Found {
    fn none() -> Self {
        Self { msgs: Vec::new(), rest: None }
    }
}

fn body_size(body: &Body) -> usize {
    body.text.as_ref().map_or(0, String::len) + body.ct.as_ref().map_or(0, String::len)
}

fn matches(filter: &Filter, msg: &Msg) -> bool {
    let text = msg.body.as_ref().and_then(|body| body.text.as_deref()).unwrap_or_default();
    let kind = msg.body.as_ref().map(|body| body.kind.as_str());
    let has = match filter.has {
        None => true,
        Some(Has::Att) => msg.att.as_ref().is_some_and(|att| !att.is_empty()),
        Some(Has::Link) => text.contains("http://") || text.contains("https://"),
    };
    has && filter.from.as_ref().is_none_or(|from| *from == msg.from)
        && filter.kind.as_deref().is_none_or(|wanted| kind == Some(wanted))
        && filter.since.is_none_or(|since| since <= msg.ts)
        && filter.until.is_none_or(|until| msg.ts < until)
        && filter.text.as_ref().is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
}
