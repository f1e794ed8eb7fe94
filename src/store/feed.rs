//! The feed: every committed change in its order, kept for as long as readers may need to catch up.

use super::StoreError;
use super::tx::{Result, Tx, all, conversation_id, message_id, one};
use crate::model::{AccountId, FeedItem, FeedKind, Seq};
use rusqlite::Connection;

/// Old rows are thrown away each time so many were written.
const SWEEP: i64 = 256;

pub(super) fn kind_code(kind: FeedKind) -> i64 {
    match kind {
        FeedKind::Message => 0,
        FeedKind::Backfill => 1,
        FeedKind::Changed => 2,
        FeedKind::Removed => 3,
        FeedKind::Conversation => 4,
        FeedKind::Read => 5,
        FeedKind::Ledger => 6,
        FeedKind::CaughtUp => 7,
        FeedKind::Banner => 8,
    }
}

fn kind_of(code: i64) -> FeedKind {
    match code {
        0 => FeedKind::Message,
        1 => FeedKind::Backfill,
        3 => FeedKind::Removed,
        4 => FeedKind::Conversation,
        5 => FeedKind::Read,
        6 => FeedKind::Ledger,
        7 => FeedKind::CaughtUp,
        8 => FeedKind::Banner,
        _ => FeedKind::Changed,
    }
}

/// The newest change; survives the sweeping of rows.
pub(super) fn newest(conn: &Connection) -> Result<Seq> {
    let seq = one(conn, "SELECT seq FROM sqlite_sequence WHERE name = 'change'", [], |row| row.get(0))?;
    Ok(Seq(seq.unwrap_or(0)))
}

/// Changes after `after`; `Invalid` when they are no longer kept.
pub(super) fn changes(conn: &Connection, after: Seq, limit: usize) -> Result<Vec<FeedItem>> {
    let newest = newest(conn)?;
    let oldest: Option<i64> = one(conn, "SELECT min(seq) FROM change", [], |row| row.get(0))?.flatten();
    let kept_from = oldest.unwrap_or(newest.0 + 1);
    if after.0 + 1 < kept_from || after > newest {
        return Err(StoreError::Invalid(format!(
            "changes after {after} are not kept (oldest {kept_from}, newest {newest}): read everything anew"
        )));
    }
    all(
        conn,
        "SELECT seq, account, kind, conversation, message FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        (after.0, i64::try_from(limit).unwrap_or(i64::MAX)),
        |row| {
            Ok(FeedItem {
                seq: Seq(row.get(0)?),
                account: AccountId(row.get(1)?),
                kind: kind_of(row.get(2)?),
                conversation: row.get::<_, Option<[u8; 16]>>(3)?.map(conversation_id),
                message: row.get::<_, Option<[u8; 16]>>(4)?.map(message_id),
            })
        },
    )
}

/// Throws away what is older than the newest `keep` rows, now and then.
pub(super) fn sweep(tx: &Tx<'_>, keep: u64) -> Result<()> {
    let Some(seq) = tx.announcement.seq else { return Ok(()) };
    if seq.0 / SWEEP != (seq.0 - tx.changes) / SWEEP {
        let keep = i64::try_from(keep.max(1)).unwrap_or(i64::MAX);
        tx.run("DELETE FROM change WHERE seq <= ?1", [seq.0.saturating_sub(keep)])?;
    }
    Ok(())
}
