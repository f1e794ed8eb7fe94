//! Where a message stands in history: server time, then a tie-break that keeps the server's order.
//!
//! Within a contiguous range a message always comes after its predecessor, whatever the clocks say; one that is
//! filled in later is kept between its neighbours. Rows that wait in the outbox sort last.

use super::tx::{Result, Tx};
use crate::model::Position;

/// Places from here on are those of rows that wait in the outbox.
pub(super) const PENDING: i64 = 1 << 62;
/// The furthest millisecond that is believed (the year 2109).
const LAST_MS: i64 = (1 << 42) - 2;
/// Room that is left for messages known to be missing between two neighbours.
const WIDEST_GAP: i64 = 1 << 18;

/// A row at this place still waits in the outbox.
pub(super) fn is_pending(position: i64) -> bool {
    position >= PENDING
}

/// What is known of a message's neighbours, as places that are taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Between {
    /// The nearest older neighbour, and how many steps before this one it is.
    pub(super) older: Option<(i64, i64)>,
    /// The nearest newer neighbour, and how many steps after this one it is.
    pub(super) newer: Option<(i64, i64)>,
}

impl Between {
    /// The neighbours by the server's own numbering.
    pub(super) fn by_order(tx: &Tx<'_>, conversation: i64, order: i64) -> Result<Self> {
        let step = |other: i64| other.abs_diff(order).try_into().unwrap_or(i64::MAX).min(WIDEST_GAP);
        let older = tx.one(
            "SELECT position, server_order FROM message WHERE conversation = ?1 AND server_order < ?2
             AND server_order IS NOT NULL ORDER BY server_order DESC LIMIT 1",
            (conversation, order),
            |row| Ok((row.get(0)?, step(row.get(1)?))),
        )?;
        let newer = tx.one(
            "SELECT position, server_order FROM message WHERE conversation = ?1 AND server_order > ?2
             AND server_order IS NOT NULL ORDER BY server_order LIMIT 1",
            (conversation, order),
            |row| Ok((row.get(0)?, step(row.get(1)?))),
        )?;
        Ok(Self { older, newer })
    }

    /// Whether a place lies between them.
    pub(super) fn allows(&self, position: i64) -> bool {
        self.older.is_none_or(|(older, _)| older < position) && self.newer.is_none_or(|(newer, _)| position < newer)
    }
}

/// A free place for a message of this server time (Unix milliseconds).
pub(super) fn find(tx: &Tx<'_>, conversation: i64, ms: i64, between: Between) -> Result<i64> {
    let between = if crate::mutant("order-lost") { Between::default() } else { between };
    // Conversations get different corners of a millisecond, so that they seldom stand in each other's way.
    let start = Position::of_ms(ms.clamp(0, LAST_MS)).0 + ((conversation & 0x3ff) << 10);
    let mut wanted = start;
    if let Some((older, steps)) = between.older {
        wanted = wanted.max(older.saturating_add(steps.max(1)));
    }
    if let Some((newer, steps)) = between.newer {
        wanted = wanted.min(newer.saturating_sub(steps.max(1)));
        if let Some((older, _)) = between.older {
            wanted = wanted.max(older.saturating_add(1));
        }
    }
    free(tx, wanted, between)
}

/// The nearest free place: upwards first, then downwards, within the neighbours.
fn free(tx: &Tx<'_>, wanted: i64, between: Between) -> Result<i64> {
    let taken = |position: i64| -> Result<bool> {
        Ok(tx.one("SELECT 1 FROM message WHERE position = ?1", [position], |_| Ok(()))?.is_some())
    };
    let mut position = wanted;
    while between.newer.is_none_or(|(newer, _)| position < newer) {
        if !taken(position)? {
            return Ok(position);
        }
        position += 1;
    }
    position = wanted - 1;
    while between.older.is_none_or(|(older, _)| position > older) {
        if !taken(position)? {
            return Ok(position);
        }
        position -= 1;
    }
    tracing::warn!(wanted, "no room between two neighbours: a message stands after its successor");
    free(tx, wanted, Between { newer: None, ..between })
}
