//! From a question to ordered ranges of indices. Every range is walked in the order of history, so that nothing is ever
//! sorted; each names its index, so that SQLite cannot choose to read everything instead. Where a question has several
//! conditions the narrowest leads, and the others are looked at row by row, so many a page.

use super::tx::{Result, one};
use super::{StoreError, code, conversation, place, row, search};
use crate::model::{AccountId, Anchor, MessageId, MessageKind, Position, Query, Scope};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::fmt::Write as _;

/// Most rows that a question may leave out first: each is counted one by one.
const MOST_SKIPPED: u32 = 10_000;

/// How a question is answered.
pub(super) struct Plan {
    /// Ordered ranges, to be merged by place.
    pub(super) streams: Vec<Stream>,
    /// The key of the conversation, where it is one.
    pub(super) conversation: Option<i64>,
    /// What is searched for.
    pub(super) wanted: Option<search::Match>,
    /// Places strictly between these two.
    pub(super) between: (i64, i64),
}

/// One range of one index, in the order of history.
pub(super) struct Stream {
    from: String,
    place: &'static str,
    conditions: Vec<String>,
    /// What holds for all but rows that came after the opening.
    kept: Vec<String>,
    /// What the index does not answer.
    rest: Vec<String>,
    values: Vec<Value>,
}

impl Stream {
    fn of(index: &str) -> Self {
        let index = if crate::mutant("plan-unindexed") { "" } else { index };
        Self {
            from: format!("message m {index}"),
            place: "m.position",
            conditions: Vec::new(),
            kept: Vec::new(),
            rest: Vec::new(),
            values: Vec::new(),
        }
    }

    fn bind(&mut self, condition: &str, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        condition.replace('?', &format!("?{}", self.values.len()))
    }

    fn with(mut self, condition: &str, value: impl Into<Value>) -> Self {
        let condition = self.bind(condition, value);
        self.conditions.push(condition);
        self
    }

    fn when(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    fn also(&mut self, condition: &str, value: impl Into<Value>) {
        let condition = self.bind(condition, value);
        self.rest.push(condition);
    }

    /// All conditions are answered by the index.
    pub(super) fn is_exact(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn values(&self) -> rusqlite::ParamsFromIter<&Vec<Value>> {
        rusqlite::params_from_iter(&self.values)
    }

    fn within(&mut self, (above, below): (i64, i64)) {
        let place = self.place;
        for (condition, bound) in [(format!("{place} > ?"), above), (format!("{place} < ?"), below)] {
            let condition = self.bind(&condition, bound);
            self.conditions.push(condition);
        }
    }

    fn condition(&self) -> String {
        let all: Vec<&str> = self.conditions.iter().chain(&self.kept).map(String::as_str).collect();
        all.join(" AND ")
    }

    /// Whole messages, where nothing must be looked at row by row.
    pub(super) fn rows(&self, descending: bool, limit: usize, skip: u32) -> (String, Vec<Value>) {
        let (from, place, direction) = (&self.from, self.place, direction(descending));
        let (condition, next) = (self.condition(), self.values.len() + 1);
        let mut values = self.values.clone();
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        values.push(Value::from(i64::from(skip)));
        let sql = format!(
            "{} FROM {from} {} WHERE {condition} ORDER BY {place} {direction} LIMIT ?{next} OFFSET ?{}",
            row::select(),
            row::JOINS,
            next + 1
        );
        (sql, values)
    }

    /// Places and whether the row fits, to be read one after another.
    pub(super) fn places(&self, descending: bool) -> String {
        let (from, place, direction) = (&self.from, self.place, direction(descending));
        let fits = if self.rest.is_empty() { "1".to_owned() } else { self.rest.join(" AND ") };
        format!("SELECT {place}, {fits} FROM {from} WHERE {} ORDER BY {place} {direction}", self.condition())
    }

    /// How many rows there are, where nothing must be looked at row by row.
    pub(super) fn count(&self) -> String {
        format!("SELECT count(*) FROM {} WHERE {}", self.from, self.condition())
    }

    /// The best of the newest so many matches, best first.
    pub(super) fn ranked(&self, table: &str, among: usize, limit: usize, skip: u32) -> String {
        let mut condition = String::new();
        for more in self.kept.iter().chain(&self.rest) {
            let _infallible = write!(condition, "{}{more}", if condition.is_empty() { "WHERE " } else { " AND " });
        }
        format!(
            "SELECT m.position FROM (SELECT f.rowid AS place, f.rank AS score FROM {table} f WHERE {} \
             ORDER BY f.rowid DESC LIMIT {among}) best \
             CROSS JOIN message m ON m.position = best.place {condition} ORDER BY best.score LIMIT {limit} OFFSET {skip}",
            self.conditions.join(" AND ")
        )
    }
}

fn direction(descending: bool) -> &'static str {
    if descending { "DESC" } else { "ASC" }
}

/// Plans a question. `from` is where the page before ended.
///
/// # Errors
/// `Invalid` for a question that could only be answered by reading everything, with the reason.
pub(super) fn plan(conn: &Connection, query: &Query, descending: bool, from: Option<Position>) -> Result<Plan> {
    let wanted = check(query)?;
    let conversation = match &query.scope {
        Scope::Conversation(id) => Some(conversation::key_of(conn, *id)?),
        Scope::All | Scope::Account(_) => None,
    };
    let between = between(conn, query, descending, from)?;
    let senders = match &query.sender {
        Some(sender) => Some(senders(conn, query, sender)?),
        None => None,
    };
    let mut streams = match &wanted {
        Some(wanted) => vec![text(query, conversation, wanted)],
        None => leading(conn, query, conversation, senders.as_deref())?,
    };
    for stream in &mut streams {
        rest(stream, query, wanted.is_some(), senders.as_deref());
        stream.within(between);
        if let Some(seq) = query.as_of.filter(|_| !crate::mutant("cursor-gives-new-rows")) {
            let condition = stream.bind("m.born <= ?", seq.0);
            stream.kept.push(condition);
        }
    }
    Ok(Plan { streams, conversation, wanted, between })
}

/// Whether the question can be answered at all, and what it searches for; needs no database.
///
/// # Errors
/// `Invalid` with the reason.
pub(super) fn check(query: &Query) -> Result<Option<search::Match>> {
    if query.skip > MOST_SKIPPED && !crate::mutant("skip-unbounded") {
        return Err(StoreError::Invalid(format!(
            "`skip` reads every row it leaves out, so {MOST_SKIPPED} is the most: go on from a message (`before`, `after`), \
             a time or a token instead"
        )));
    }
    let wanted = query.text.as_deref().map(search::parse).transpose()?;
    match query.order.is_rank() {
        true if query.text.is_none() => Err(StoreError::Invalid("only a search (`text`) can be sorted by rank".into())),
        true if query.anchor.is_some() => {
            Err(StoreError::Invalid("before, after or around a message means nothing in a list sorted by rank".into()))
        }
        _ => Ok(wanted),
    }
}

/// The tightest bounds of place, exclusive; one each, since SQLite would seek to only one of several.
fn between(conn: &Connection, query: &Query, descending: bool, from: Option<Position>) -> Result<(i64, i64)> {
    let (mut above, mut below) = (i64::MIN, i64::MAX);
    if let Some(since) = query.since {
        above = above.max(Position::of_ms(since.ms()).0.saturating_sub(1));
    }
    if let Some(until) = query.until {
        below = below.min(Position::of_ms(until.ms()).0.min(place::PENDING));
    }
    match query.anchor {
        Some(Anchor::Before(id)) => below = below.min(position_of(conn, id)?),
        Some(Anchor::After(id)) => above = above.max(position_of(conn, id)?),
        Some(Anchor::Around(_)) | None => {}
    }
    if let Some(from) = from {
        if descending {
            below = below.min(from.0);
        } else {
            above = above.max(from.0);
        }
    }
    Ok((above, below))
}

pub(super) fn position_of(conn: &Connection, id: MessageId) -> Result<i64> {
    one(conn, "SELECT position FROM message WHERE id = ?1", [*id.0.as_bytes()], |row| row.get(0))?
        .ok_or_else(|| StoreError::not_found(format!("message {id}")))
}

/// The keys of a person: one in each account of the scope that knows them.
fn senders(conn: &Connection, query: &Query, sender: &str) -> Result<Vec<i64>> {
    let mut keys = Vec::new();
    for account in accounts(conn, query)? {
        let sql = "SELECT key FROM user WHERE account = ?1 AND user = ?2";
        keys.extend(one(conn, sql, (account, sender), |row| row.get::<_, i64>(0))?);
    }
    Ok(keys)
}

fn accounts(conn: &Connection, query: &Query) -> Result<Vec<i64>> {
    match &query.scope {
        Scope::All => super::tx::all(conn, "SELECT id FROM account ORDER BY id", [], |row| row.get(0)),
        Scope::Account(AccountId(id)) => Ok(vec![*id]),
        Scope::Conversation(id) => {
            let sql = "SELECT account FROM conversation WHERE id = ?1";
            super::tx::all(conn, sql, [*id.0.as_bytes()], |row| row.get(0))
        }
    }
}

/// The matches of a text. Whatever else is asked is looked at row by row.
fn text(query: &Query, conversation: Option<i64>, wanted: &search::Match) -> Stream {
    let table = wanted.table;
    let mut stream = Stream::of("");
    stream.from = format!("{table} f CROSS JOIN message m ON m.position = f.rowid");
    stream.place = "f.rowid";
    let mut stream = stream.with(&format!("{table} MATCH ?"), wanted.query.clone());
    match (&query.scope, conversation) {
        (Scope::Account(account), _) => stream.also("m.account = ?", account.0),
        (_, Some(key)) => stream.also("m.conversation = ?", key),
        _ => {}
    }
    stream
}

/// What leads, narrowest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    Unread,
    File,
    Link,
    Kind,
    Sender,
    Scope,
}

fn lead(query: &Query) -> Lead {
    match query {
        Query { unread: true, .. } => Lead::Unread,
        Query { has_attachment: true, .. } => Lead::File,
        Query { kind: Some(kind), .. } if *kind != MessageKind::Text => Lead::Kind,
        Query { has_link: true, .. } => Lead::Link,
        Query { sender: Some(_), .. } => Lead::Sender,
        _ => Lead::Scope,
    }
}

fn leading(
    conn: &Connection,
    query: &Query,
    conversation: Option<i64>,
    senders: Option<&[i64]>,
) -> Result<Vec<Stream>> {
    let (lead, kind) = (lead(query), query.kind.map_or(0, code::of_kind));
    if let (Scope::All, Lead::Scope) = (&query.scope, lead) {
        return Ok(vec![Stream::of("NOT INDEXED")]);
    }
    if lead == Lead::Sender {
        let by = |sender: &i64| match conversation {
            Some(key) => {
                Stream::of("INDEXED BY message_by").with("m.conversation = ?", key).with("m.sender = ?", *sender)
            }
            None => Stream::of("INDEXED BY message_sender").with("m.sender = ?", *sender),
        };
        return Ok(senders.unwrap_or_default().iter().map(by).collect());
    }
    let (column, keys, prefix) = match conversation {
        Some(key) => ("m.conversation = ?", vec![key], "INDEXED BY message"),
        None => ("m.account = ?", accounts(conn, query)?, "INDEXED BY message_account"),
    };
    let stream = |key: &i64| {
        let of = |index: &str| Stream::of(&format!("{prefix}{index}")).with(column, *key);
        match (lead, conversation) {
            (Lead::Unread, _) => of("_unread").when("m.state = 0"),
            (Lead::File, _) => of("_file").when("m.attachments IS NOT NULL"),
            (Lead::Link, _) => of("_link").when("m.link = 1"),
            (Lead::Kind, _) => of("_kind").with("m.kind = ?", kind).when("m.kind <> 0"),
            (Lead::Sender | Lead::Scope, Some(_)) => of("_conversation"),
            (Lead::Sender | Lead::Scope, None) => of(""),
        }
    };
    Ok(keys.iter().map(stream).collect())
}

/// The conditions that the lead does not answer.
fn rest(stream: &mut Stream, query: &Query, text: bool, senders: Option<&[i64]>) {
    let lead = if text { None } else { Some(lead(query)) };
    let open = |which: Lead| lead != Some(which);
    for (asked, which, condition) in [
        (query.unread, Lead::Unread, "m.state = 0"),
        (query.has_attachment, Lead::File, "m.attachments IS NOT NULL"),
        (query.has_link, Lead::Link, "m.link = 1"),
    ] {
        if asked && open(which) {
            stream.rest.push(condition.to_owned());
        }
    }
    if let Some(kind) = query.kind.filter(|_| open(Lead::Kind)) {
        stream.also("m.kind = ?", code::of_kind(kind));
    }
    if let Some(keys) = senders.filter(|_| open(Lead::Sender)) {
        let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
        stream.rest.push(format!("m.sender IN ({})", keys.join(", ")));
    }
}

#[cfg(test)]
mod tests;
