//! The ledger: which ranges of an archive are here without a gap. Ranges that touch or overlap are merged; what lies
//! between two that do not is a hole, and readers see it. Ranges grow only by what a protocol says, never by guessing.

use super::apply::Batching;
use super::names;
use super::tx::{Result, Tx, all};
use crate::model::{AccountId, FeedKind, Position, Span, SpanEdge};
use rusqlite::{Connection, Row};

/// A range as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) id: i64,
    pub(super) conversation: Option<i64>,
    pub(super) lo: Edge,
    pub(super) hi: Edge,
    after: Option<String>,
    before: Option<String>,
    pub(super) at_start: bool,
    at_end: bool,
    /// When the server was last asked for what lies below.
    pub(super) asked_at: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) id: String,
    pub(super) at: i64,
    pub(super) position: i64,
}

pub(super) const COLUMNS: &str =
    "id, conversation, lo, lo_at, lo_position, hi, hi_at, hi_position, after, before, at_start, at_end, asked_at";

pub(super) fn range(row: &Row<'_>) -> rusqlite::Result<Range> {
    Ok(Range {
        id: row.get(0)?,
        conversation: row.get(1)?,
        lo: Edge { id: row.get(2)?, at: row.get(3)?, position: row.get(4)? },
        hi: Edge { id: row.get(5)?, at: row.get(6)?, position: row.get(7)? },
        after: row.get(8)?,
        before: row.get(9)?,
        at_start: row.get(10)?,
        at_end: row.get(11)?,
        asked_at: row.get(12)?,
    })
}

/// Takes in a range.
pub(super) fn apply(batching: &mut Batching<'_, '_>, span: &Span) -> Result<()> {
    let archive = names::archive_key(batching.tx, batching.account, &span.archive)?;
    let conversation = match &span.conversation {
        Some(key) => Some(batching.conversation(key)?),
        None => None,
    };
    let key = conversation.as_ref().map(|conv| conv.key);
    let changed = match (&span.lo, &span.hi) {
        (Some(lo), Some(hi)) => {
            let lo = edge(batching.tx, batching.account, &span.archive, lo)?;
            let hi = edge(batching.tx, batching.account, &span.archive, hi)?;
            let new = Range {
                id: 0,
                conversation: key,
                lo,
                hi,
                after: span.after.clone(),
                before: span.before.clone(),
                at_start: span.at_start,
                at_end: span.at_end,
                asked_at: None,
            };
            insert(batching.tx, batching.account, archive, new)?
        }
        _ => empty(batching.tx, batching.account, archive, span)?,
    };
    if changed {
        batching.tx.change(batching.account, FeedKind::Ledger, conversation.map(|conv| conv.id), None)?;
    }
    Ok(())
}

/// Where an end of a range stands: at its message, or at its time if it is no message that we keep.
fn edge(tx: &Tx<'_>, account: AccountId, archive: &str, edge: &SpanEdge) -> Result<Edge> {
    let found = names::by_server(tx, account, &names::join(archive, &edge.id))?;
    let position = found.map_or(Position::of_ms(edge.at.ms()).0, |found| found.position);
    Ok(Edge { id: edge.id.clone(), at: edge.at.ms(), position })
}

/// An archive's ranges, oldest first.
pub(super) fn ranges(conn: &Connection, archive: i64) -> Result<Vec<Range>> {
    all(conn, &format!("SELECT {COLUMNS} FROM span WHERE archive = ?1 ORDER BY lo_position"), [archive], range)
}

/// Puts a range in, merged with all that it touches; `false` if nothing new was said.
fn insert(tx: &Tx<'_>, account: AccountId, archive: i64, mut new: Range) -> Result<bool> {
    let known = ranges(tx.conn, archive)?;
    if known.iter().any(|old| contains(old, &new)) {
        return Ok(false);
    }
    // A merged range may touch further ones, so each is tried until none does.
    let mut rest = known;
    while let Some(index) = rest.iter().position(|old| touches(old, &new)) {
        let old = rest.swap_remove(index);
        tx.run("DELETE FROM span WHERE id = ?1", [old.id])?;
        new = union(new, old);
    }
    write(tx, account, archive, &new)?;
    Ok(true)
}

fn write(tx: &Tx<'_>, account: AccountId, archive: i64, new: &Range) -> Result<()> {
    tx.run(
        "INSERT INTO span(account, archive, conversation, lo, lo_at, lo_position, hi, hi_at, hi_position, after, before,
            at_start, at_end)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        rusqlite::params![
            account.0,
            archive,
            new.conversation,
            new.lo.id,
            new.lo.at,
            new.lo.position,
            new.hi.id,
            new.hi.at,
            new.hi.position,
            new.after,
            new.before,
            new.at_start,
            new.at_end,
        ],
    )?;
    Ok(())
}

/// Nothing lies between two messages, or beyond one of them.
fn empty(tx: &Tx<'_>, account: AccountId, archive: i64, span: &Span) -> Result<bool> {
    let known = ranges(tx.conn, archive)?;
    let below = span.after.as_ref().and_then(|id| known.iter().find(|range| range.hi.id == *id));
    let above = span.before.as_ref().and_then(|id| known.iter().find(|range| range.lo.id == *id));
    match (below, above) {
        (Some(below), Some(above)) if below.id != above.id => {
            for range in [below, above] {
                tx.run("DELETE FROM span WHERE id = ?1", [range.id])?;
            }
            write(tx, account, archive, &union(below.clone(), above.clone()))?;
            Ok(true)
        }
        (None, Some(above)) if span.at_start => {
            Ok(tx.run("UPDATE span SET at_start = 1 WHERE id = ?1 AND at_start = 0", [above.id])? > 0)
        }
        (Some(below), None) if span.at_end => {
            Ok(tx.run("UPDATE span SET at_end = 1 WHERE id = ?1 AND at_end = 0", [below.id])? > 0)
        }
        _ => Ok(false),
    }
}

fn contains(old: &Range, new: &Range) -> bool {
    old.lo.position <= new.lo.position
        && new.hi.position <= old.hi.position
        && (old.lo.id == new.lo.id || old.lo.position < new.lo.position)
        && (old.hi.id == new.hi.id || new.hi.position < old.hi.position)
        && (old.at_start || !new.at_start)
        && (old.at_end || !new.at_end || old.hi.id != new.hi.id)
        && (new.after.is_none() || old.lo.id != new.lo.id || old.after == new.after)
}

fn touches(old: &Range, new: &Range) -> bool {
    let same = old.lo.id == new.lo.id || old.lo.id == new.hi.id || old.hi.id == new.lo.id || old.hi.id == new.hi.id;
    let follows =
        |low: &Range, high: &Range| high.after.as_ref() == Some(&low.hi.id) || low.before.as_ref() == Some(&high.lo.id);
    let overlap = old.lo.position < new.hi.position && new.lo.position < old.hi.position;
    // The end of one lies strictly inside the other: a range of one message has no inside of its own.
    let inside = |point: i64, range: &Range| range.lo.position < point && point < range.hi.position;
    same || follows(old, new)
        || follows(new, old)
        || overlap
        || inside(new.lo.position, old)
        || inside(old.lo.position, new)
}

fn union(a: Range, b: Range) -> Range {
    let (lower, other) = if a.lo.position <= b.lo.position { (&a, &b) } else { (&b, &a) };
    let (upper, under) = if a.hi.position >= b.hi.position { (&a, &b) } else { (&b, &a) };
    let same_lo = lower.lo.id == other.lo.id;
    let same_hi = upper.hi.id == under.hi.id;
    Range {
        id: 0,
        conversation: a.conversation.or(b.conversation),
        lo: lower.lo.clone(),
        hi: upper.hi.clone(),
        after: lower.after.clone().or_else(|| other.after.clone().filter(|_| same_lo)),
        before: upper.before.clone().or_else(|| under.before.clone().filter(|_| same_hi)),
        at_start: a.at_start || b.at_start,
        at_end: upper.at_end || (same_hi && under.at_end),
        asked_at: None,
    }
}
