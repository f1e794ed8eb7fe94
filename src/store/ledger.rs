//! The ledger: which ranges of an archive are here without a gap. Ranges that touch or overlap are merged; what lies
//! between two that do not is a hole, and readers see it. Ranges grow only by what a protocol says, never by guessing.

use super::apply::Batching;
use super::names;
use super::tx::{Result, Tx, conversation_id, one};
use crate::model::{AccountId, ConversationId, FeedKind, Hole, Position, Span, SpanEdge, Timestamp};
use rusqlite::{Connection, Row};

/// A range as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    id: i64,
    conversation: Option<i64>,
    lo: Edge,
    hi: Edge,
    after: Option<String>,
    before: Option<String>,
    at_start: bool,
    at_end: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    id: String,
    at: i64,
    position: i64,
}

const COLUMNS: &str =
    "id, conversation, lo, lo_at, lo_position, hi, hi_at, hi_position, after, before, at_start, at_end";

fn range(row: &Row<'_>) -> rusqlite::Result<Range> {
    Ok(Range {
        id: row.get(0)?,
        conversation: row.get(1)?,
        lo: Edge { id: row.get(2)?, at: row.get(3)?, position: row.get(4)? },
        hi: Edge { id: row.get(5)?, at: row.get(6)?, position: row.get(7)? },
        after: row.get(8)?,
        before: row.get(9)?,
        at_start: row.get(10)?,
        at_end: row.get(11)?,
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

fn ranges(tx: &Tx<'_>, archive: i64) -> Result<Vec<Range>> {
    tx.all(&format!("SELECT {COLUMNS} FROM span WHERE archive = ?1 ORDER BY lo_position"), [archive], range)
}

/// Puts a range in, merged with all that it touches; `false` if nothing new was said.
fn insert(tx: &Tx<'_>, account: AccountId, archive: i64, mut new: Range) -> Result<bool> {
    let known = ranges(tx, archive)?;
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
    let known = ranges(tx, archive)?;
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
    }
}

/// A hole and the place directly above which it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The place of the oldest message above it.
    pub(super) above: i64,
    pub(super) hole: Hole,
}

/// The holes that a reader of a conversation meets, oldest first. Where its archive was begun anew (a new epoch),
/// only the newest one counts: the older cannot be asked any more.
pub(super) fn gaps(conn: &Connection, conversation: i64) -> Result<Vec<Gap>> {
    let archive = one(
        conn,
        "SELECT s.archive, c.id, a.name FROM span s JOIN archive a ON a.key = s.archive, conversation c
         WHERE c.key = ?1 AND (s.conversation = ?1
            OR (s.conversation IS NULL AND c.kind = 0 AND s.account = c.account))
         ORDER BY s.conversation IS NULL, s.id DESC LIMIT 1",
        [conversation],
        |row| Ok((row.get::<_, i64>(0)?, conversation_id(row.get(1)?), row.get::<_, String>(2)?)),
    )?;
    let Some((key, conversation, archive)) = archive else { return Ok(Vec::new()) };
    let sql = format!("SELECT {COLUMNS} FROM span WHERE archive = ?1 ORDER BY lo_position");
    let ranges = super::tx::all(conn, &sql, [key], range)?;
    Ok(between(conversation, &archive, &ranges))
}

fn between(conversation: ConversationId, archive: &str, ranges: &[Range]) -> Vec<Gap> {
    let gap = |below: Option<&Range>, above: &Range| Gap {
        above: above.lo.position,
        hole: Hole {
            conversation,
            archive: archive.to_owned(),
            below: below.map(|range| range.hi.id.clone()),
            above: Some(above.lo.id.clone()),
            from: below.map(|range| Timestamp(range.hi.at)),
            to: Some(Timestamp(above.lo.at)),
        },
    };
    let oldest = ranges.first().filter(|range| !range.at_start).map(|range| gap(None, range));
    let inner = ranges.windows(2).filter_map(|pair| match pair {
        [below, above] => Some(gap(Some(below), above)),
        _ => None,
    });
    oldest.into_iter().chain(inner).collect()
}
