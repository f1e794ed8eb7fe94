//! Pages of history: keyset paging by place, never by counting rows. A question that would have to read everything to
//! find little is refused.

use super::gaps::{self, Gap};
use super::tx::{Result, one};
use super::{StoreError, code, place, row, search};
use crate::model::{Anchor, MessageId, Order, Page, PageRow, Position, Query, Scope, Timestamp};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Rows of a list ordered by rank at most.
const RANKED: usize = 1_000;
/// Rows of a page at most.
const LARGEST: usize = 1_000;

/// A question as SQL: where rows come from and which of them.
struct Plan {
    from: String,
    conditions: Vec<String>,
    values: Vec<Value>,
    conversation: Option<i64>,
    place: &'static str,
}

impl Plan {
    fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.conditions.push(condition.replace('?', &format!("?{}", self.values.len())));
    }

    fn when(&mut self, asked: bool, condition: &str) {
        if asked {
            self.conditions.push(condition.to_owned());
        }
    }

    fn condition(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("WHERE {}", self.conditions.join(" AND ")) }
    }
}

impl Plan {
    fn sql(&self, direction: &str, limit: usize, skip: u32) -> String {
        let (from, condition, place) = (&self.from, self.condition(), self.place);
        format!("{} FROM {from} {condition} ORDER BY {place} {direction} LIMIT {limit} OFFSET {skip}", row::select())
    }
}

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
        (Some(Anchor::Around(id)), None) if query.order != Order::Rank => around(conn, query, id, limit, now),
        _ => {
            let limit = match (from, query.limit) {
                (None, Some(most)) => limit.min(usize::try_from(most).unwrap_or(usize::MAX)),
                _ => limit,
            };
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
    let mut plan = plan(conn, query)?;
    if order == Order::Rank {
        return ranked(conn, query, &plan, limit);
    }
    let descending = order == Order::Desc;
    let start = match (from, query.anchor) {
        (Some(from), _) => Some(from.0),
        (None, Some(Anchor::Before(id))) if descending => Some(position_of(conn, id)?),
        (None, Some(Anchor::After(id))) if !descending => Some(position_of(conn, id)?),
        _ => None,
    };
    match query.anchor {
        Some(Anchor::Before(id)) => plan.with(&format!("{} < ?", plan.place), position_of(conn, id)?),
        Some(Anchor::After(id)) => plan.with(&format!("{} > ?", plan.place), position_of(conn, id)?),
        _ => {}
    }
    if let Some(from) = from {
        let beyond = if descending { "<" } else { ">" };
        plan.with(&format!("{} {beyond} ?", plan.place), from.0);
    }
    let direction = if descending { "DESC" } else { "ASC" };
    let skip = if from.is_none() { query.skip } else { 0 };
    let sql = plan.sql(direction, limit + 1, skip);
    let mut messages = super::tx::all(conn, &sql, rusqlite::params_from_iter(&plan.values), row::load)?;
    let more = messages.len() > limit;
    messages.truncate(limit);
    let messages = messages.into_iter().map(|loaded| row::complete(conn, loaded)).collect::<Result<Vec<_>>>()?;
    let end = messages.last().map(|message| message.position);
    let end_of_page = if more { end.map(|end| end.0) } else { None };
    let holes = holes(conn, query, &plan, now, if descending { (end_of_page, start) } else { (start, end_of_page) })?;
    let rows = weave(messages, holes, descending, start, end_of_page);
    Ok(Page { rows, next: if more { end } else { None } })
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
    messages: Vec<crate::model::Message>,
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
    Ok(Page { rows, next })
}

/// The best matches first: one fixed list.
fn ranked(conn: &Connection, query: &Query, plan: &Plan, limit: usize) -> Result<Page> {
    if query.text.is_none() {
        return Err(StoreError::Invalid("order by rank needs a text to search for".into()));
    }
    let sql = format!(
        "{} FROM {} {} ORDER BY f.rank LIMIT {} OFFSET {}",
        row::select(),
        plan.from,
        plan.condition(),
        limit.min(RANKED),
        query.skip
    );
    let found = super::tx::all(conn, &sql, rusqlite::params_from_iter(&plan.values), row::load)?;
    let rows =
        found.into_iter().map(|loaded| row::complete(conn, loaded).map(|message| PageRow::Message(Box::new(message))));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next: None })
}

/// How many messages a question finds.
pub(super) fn count(conn: &Connection, query: &Query) -> Result<u64> {
    let plan = plan(conn, query)?;
    let most = query.limit.map_or(-1, i64::from);
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} {} LIMIT {most})", plan.from, plan.condition());
    let count: Option<i64> = one(conn, &sql, rusqlite::params_from_iter(&plan.values), |row| row.get(0))?;
    Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0).saturating_sub(u64::from(query.skip)))
}

fn plan(conn: &Connection, query: &Query) -> Result<Plan> {
    let mut plan = Plan {
        from: format!("message m {}", row::JOINS),
        conditions: Vec::new(),
        values: Vec::new(),
        conversation: None,
        place: "m.position",
    };
    if let Some(typed) = &query.text {
        let wanted = search::parse(typed)?;
        plan.from = format!("{} f CROSS JOIN message m ON m.position = f.rowid {}", wanted.table, row::JOINS);
        plan.with(&format!("{} MATCH ?", wanted.table), wanted.query);
        plan.place = "f.rowid";
    }
    match &query.scope {
        Scope::All => {}
        Scope::Account(account) => plan.with("m.account = ?", account.0),
        Scope::Conversation(id) => {
            let sql = "SELECT key FROM conversation WHERE id = ?1";
            let key: Option<i64> = one(conn, sql, [*id.0.as_bytes()], |row| row.get(0))?;
            let key = key.ok_or_else(|| StoreError::not_found(format!("conversation {id}")))?;
            plan.with("m.conversation = ?", key);
            plan.conversation = Some(key);
        }
    }
    filter(&mut plan, query);
    Ok(plan)
}

fn filter(plan: &mut Plan, query: &Query) {
    if let Some(sender) = &query.sender {
        plan.with("m.sender IN (SELECT key FROM user WHERE user = ?)", sender.clone());
    }
    let place = plan.place;
    if let Some(since) = query.since {
        plan.with(&format!("{place} >= ?"), Position::of_ms(since.ms()).0);
    }
    if let Some(until) = query.until {
        plan.with(&format!("{place} < ?"), Position::of_ms(until.ms()).0.min(place::PENDING));
    }
    if let Some(kind) = query.kind {
        plan.with("m.kind = ?", code::of_kind(kind));
    }
    plan.when(query.has_attachment, "m.attachments IS NOT NULL");
    plan.when(query.has_link, "m.link = 1");
    plan.when(query.unread, "m.state = 0");
}

fn position_of(conn: &Connection, id: MessageId) -> Result<i64> {
    one(conn, "SELECT position FROM message WHERE id = ?1", [*id.0.as_bytes()], |row| row.get(0))?
        .ok_or_else(|| StoreError::not_found(format!("message {id}")))
}

/// Incoming messages not read, over everything or one account, with what the servers count below our history.
pub(super) fn unread(conn: &Connection, account: Option<i64>) -> Result<u64> {
    let sql = "SELECT coalesce(sum(unread + unread_below), 0) FROM conversation WHERE ?1 IS NULL OR account = ?1";
    let count: Option<i64> = one(conn, sql, [account], |row| row.get(0))?;
    Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, ConversationId};

    /// How SQLite would look for a page.
    fn explained(query: &Query) -> String {
        let settings = crate::db::Settings::default();
        let conn = crate::db::open_memory(&settings, &super::super::schema::migrations()).unwrap();
        let id = ConversationId(uuid::Uuid::nil());
        conn.execute("INSERT INTO account(id, name, protocol) VALUES (1, 'a', 'hub')", []).unwrap();
        conn.execute("INSERT INTO conversation(id, account, kind) VALUES (?1, 1, 0)", [*id.0.as_bytes()]).unwrap();
        let mut plan = plan(&conn, query).unwrap();
        plan.with(&format!("{} < ?", plan.place), 1_000_000_i64);
        let sql = format!("EXPLAIN QUERY PLAN {}", plan.sql("DESC", 51, 0));
        let values = rusqlite::params_from_iter(&plan.values);
        super::super::tx::all(&conn, &sql, values, |row| row.get::<_, String>(3)).unwrap().join("; ")
    }

    #[test]
    fn a_page_is_found_by_its_place_and_never_by_sorting() {
        let conversation = || Query::new(Scope::Conversation(ConversationId(uuid::Uuid::nil())));
        let account = || Query::new(Scope::Account(AccountId(1)));
        for query in [
            Query::new(Scope::All),
            account(),
            conversation(),
            Query { unread: true, ..conversation() },
            Query { has_link: true, ..conversation() },
            Query { has_attachment: true, ..conversation() },
            Query { kind: Some(crate::model::MessageKind::Call), ..conversation() },
            Query { text: Some("word".into()), ..conversation() },
            Query { text: Some("word".into()), ..Query::new(Scope::All) },
        ] {
            let plan = explained(&query);
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN m"), "{query:?}: {plan}");
        }
    }
}
