//! Pages of history: keyset paging by place, never by counting rows. A question that would have to read everything to
//! find little is refused.

use super::gaps::{self, Gap};
use super::plan::{Plan, plan, position_of};
use super::tx::{Result, one};
use super::{row, search, walk};
use crate::model::{Anchor, Message, MessageId, Order, Page, PageRow, Position, Query, Scope, Timestamp};
use rusqlite::Connection;

/// Rows of a list ordered by rank at most.
const RANKED: usize = 1_000;
/// The newest so many matches are ranked: a common word's rank costs a bounded time.
const AMONG: usize = 100_000;
/// Rows of a page at most.
const LARGEST: usize = 1_000;
/// Rows that one step of a count looks at.
const COUNTED: usize = 200_000;

/// One page; `from` is where the page before ended.
pub(super) fn page(
    conn: &Connection,
    query: &Query,
    from: Option<Position>,
    limit: usize,
    now: Timestamp,
) -> Result<Page> {
    let limit = limit.clamp(1, LARGEST);
    match (query.anchor, from) {
        (Some(Anchor::Around(id)), None) if !query.order.is_rank() => around(conn, query, id, limit, now),
        _ => {
            let limit = match (from, query.limit) {
                (None, Some(most)) => limit.min(usize::try_from(most).unwrap_or(usize::MAX)),
                _ => limit,
            };
            if query.order.is_rank() {
                return ranked(conn, query, limit);
            }
            one_way(conn, query, query.order, from, limit, now)
        }
    }
}

fn one_way(
    conn: &Connection,
    query: &Query,
    order: Order,
    from: Option<Position>,
    limit: usize,
    now: Timestamp,
) -> Result<Page> {
    let descending = order == Order::Desc;
    let plan = plan(conn, query, descending, from)?;
    let (mut messages, next, skip) = match plan.streams.as_slice() {
        [only] if only.is_exact() => {
            let (sql, values) = only.rows(descending, limit + 1, query.skip);
            let mut loaded = super::tx::all(conn, &sql, rusqlite::params_from_iter(&values), row::load)?;
            let more = loaded.len() > limit;
            loaded.truncate(limit);
            let messages = loaded.into_iter().map(|loaded| row::complete(conn, loaded)).collect::<Result<Vec<_>>>()?;
            let next = if more { messages.last().map(|message| message.position.0) } else { None };
            (messages, next, 0)
        }
        _ => {
            let walked = walk::walk(conn, &plan, descending, limit, query.skip)?;
            (row::at(conn, &walked.places)?, walked.next, walked.skip)
        }
    };
    if let Some(wanted) = &plan.wanted {
        mark(conn, wanted, &mut messages)?;
    }
    let start = start(query, descending, from, plan.between);
    let holes = holes(conn, query, &plan, now, if descending { (next, start) } else { (start, next) })?;
    Ok(Page { rows: weave(messages, holes, descending, start, next), next: next.map(Position), skip })
}

/// The place from which the page goes on, so that a hole directly behind it is seen once.
fn start(query: &Query, descending: bool, from: Option<Position>, (above, below): (i64, i64)) -> Option<i64> {
    let anchored = match query.anchor {
        Some(Anchor::Before(_)) => descending,
        Some(Anchor::After(_)) => !descending,
        Some(Anchor::Around(_)) | None => false,
    };
    match from {
        Some(from) => Some(from.0),
        None if anchored => Some(if descending { below } else { above }),
        None => None,
    }
}

/// The holes that belong between messages of places in `(low, high]`. Where only some messages are asked for over several
/// conversations, a hole among them says nothing.
fn holes(
    conn: &Connection,
    query: &Query,
    plan: &Plan,
    now: Timestamp,
    (low, high): (Option<i64>, Option<i64>),
) -> Result<Vec<Gap>> {
    let some = query.sender.is_some() || query.kind.is_some();
    let some = some || query.has_attachment || query.has_link || query.unread;
    let mut holes = match (plan.conversation, &query.scope) {
        _ if query.text.is_some() => return Ok(Vec::new()),
        (Some(key), _) => gaps::of_conversation(conn, key, now)?,
        (None, Scope::Account(account)) if !some => gaps::within(conn, Some(account.0), low, high, now)?,
        (None, Scope::All) if !some => gaps::within(conn, None, low, high, now)?,
        (None, _) => return Ok(Vec::new()),
    };
    let (since, until) = (query.since.map(Timestamp::ms), query.until.map(Timestamp::ms));
    holes.retain(|gap| {
        since.is_none_or(|since| Position::of_ms(since).0 <= gap.above)
            && until.is_none_or(|until| gap.above < Position::of_ms(until).0)
    });
    Ok(holes)
}

/// Puts holes between the messages where they belong. `start` and `end` bound the page (exclusive, inclusive); `None`
/// is the end of history.
fn weave(
    messages: Vec<Message>,
    mut holes: Vec<Gap>,
    descending: bool,
    start: Option<i64>,
    end: Option<i64>,
) -> Vec<PageRow> {
    holes.retain(|gap| {
        if descending {
            start.is_none_or(|start| gap.above <= start) && end.is_none_or(|end| end < gap.above)
        } else {
            start.is_none_or(|start| start < gap.above) && end.is_none_or(|end| gap.above <= end)
        }
    });
    if descending {
        holes.reverse();
    }
    let mut rows = Vec::with_capacity(messages.len() + holes.len());
    let mut holes = holes.into_iter().peekable();
    for message in messages {
        let passed = |gap: &Gap| {
            if descending { message.position.0 < gap.above } else { gap.above <= message.position.0 }
        };
        while let Some(gap) = holes.next_if(passed) {
            rows.push(PageRow::Hole(gap.hole));
        }
        rows.push(PageRow::Message(Box::new(message)));
    }
    rows.extend(holes.map(|gap| PageRow::Hole(gap.hole)));
    rows
}

/// Rows on both sides of a message, itself included, in the asked order.
fn around(conn: &Connection, query: &Query, id: MessageId, limit: usize, now: Timestamp) -> Result<Page> {
    let here = position_of(conn, id)?;
    let bare = Query { anchor: None, skip: 0, limit: None, ..query.clone() };
    let newer = one_way(conn, &bare, Order::Asc, Some(Position(here)), limit / 2, now)?;
    let rest = limit.saturating_sub(newer.rows.iter().filter(|row| matches!(row, PageRow::Message(_))).count());
    // From just above, so that the message itself is the first.
    let older = one_way(conn, &bare, Order::Desc, Some(Position(here + 1)), rest.max(1), now)?;
    let descending = query.order == Order::Desc;
    let (mut rows, then, next) = if descending {
        (newer.rows.into_iter().rev().collect::<Vec<_>>(), older.rows, older.next)
    } else {
        (older.rows.into_iter().rev().collect::<Vec<_>>(), newer.rows, newer.next)
    };
    rows.extend(then);
    Ok(Page { rows, next, skip: 0 })
}

/// The best matches of the newest many: one fixed list.
fn ranked(conn: &Connection, query: &Query, limit: usize) -> Result<Page> {
    let plan = plan(conn, query, true, None)?;
    let (Some(wanted), Some(stream)) = (&plan.wanted, plan.streams.first()) else {
        return Ok(Page { rows: Vec::new(), next: None, skip: 0 });
    };
    let sql = stream.ranked(wanted.table, AMONG, limit.min(RANKED), query.skip);
    let places: Vec<i64> = super::tx::all(conn, &sql, stream.values(), |row| row.get(0))?;
    let mut messages = row::at(conn, &places)?;
    if query.order == Order::RankAsc {
        messages.reverse();
    }
    mark(conn, wanted, &mut messages)?;
    let rows = messages.into_iter().map(|message| PageRow::Message(Box::new(message))).collect();
    Ok(Page { rows, next: None, skip: 0 })
}

/// Marks in these messages what was found.
fn mark(conn: &Connection, wanted: &search::Match, messages: &mut [Message]) -> Result<()> {
    for message in messages {
        message.snippet = search::snippet(conn, wanted, message.position.0, &message.text)?;
    }
    Ok(())
}

/// These messages as a search shows them, with what was found in them marked; those that are gone are left out.
pub(super) fn shown(conn: &Connection, text: &str, ids: &[MessageId]) -> Result<Vec<Message>> {
    let wanted = search::parse(text)?;
    let mut messages = row::several(conn, ids)?;
    mark(conn, &wanted, &mut messages)?;
    Ok(messages)
}

/// How many messages a question finds, from a place on: a bounded part of the count, and where to go on.
pub(super) fn count(conn: &Connection, query: &Query, from: Option<Position>) -> Result<(u64, Option<Position>)> {
    let bare = Query { skip: 0, ..query.clone() };
    let plan = plan(conn, &bare, true, from)?;
    if plan.streams.iter().any(|stream| !stream.is_exact()) {
        let (found, next) = walk::count(conn, &plan, COUNTED)?;
        return Ok((found, next.map(Position)));
    }
    let mut found = 0;
    for stream in &plan.streams {
        let some: Option<i64> = one(conn, &stream.count(), stream.values(), |row| row.get(0))?;
        found += some.and_then(|some| u64::try_from(some).ok()).unwrap_or(0);
    }
    Ok((found, None))
}

/// Incoming messages not read, over everything or one account, with what the servers count below our history.
pub(super) fn unread(conn: &Connection, account: Option<i64>) -> Result<u64> {
    let sql = "SELECT coalesce(sum(unread + unread_below), 0) FROM conversation WHERE ?1 IS NULL OR account = ?1";
    let count: Option<i64> = one(conn, sql, [account], |row| row.get(0))?;
    Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
}
