//! How far somebody has read or received: ours make unread counts, theirs make the state of what we wrote. No mark
//! ever moves backwards.

use super::amend::{self, Waiting};
use super::apply::Batching;
use super::conversation::{self, Conv};
use super::names::{self, Found};
use super::tx::{Result, Tx, message_id};
use super::{banner, code};
use crate::model::{DeliveryMark, FeedKind, Position, ReadMark, Reader, Timestamp, Upto};

/// Somebody has read.
pub(super) fn read(batching: &mut Batching<'_, '_>, mark: ReadMark) -> Result<()> {
    let conv = batching.conversation(&mark.conversation)?;
    let body = match &mark.by {
        Reader::Me => Waiting::ReadByMe,
        Reader::User(user) => Waiting::ReadBy { user: user.clone() },
    };
    let Some((position, order)) = upto(batching, &conv, &mark.upto, mark.at, &body)? else { return Ok(()) };
    match &mark.by {
        Reader::Me => read_by_me(batching, conv.key, position, order),
        Reader::User(user) => theirs(batching, conv.key, user, position, order, true),
    }
}

/// A receiver's device has something of ours.
pub(super) fn delivered(batching: &mut Batching<'_, '_>, mark: DeliveryMark) -> Result<()> {
    let conv = batching.conversation(&mark.conversation)?;
    let body = Waiting::DeliveredTo { user: mark.by.clone() };
    let Some((position, order)) = upto(batching, &conv, &mark.upto, batching.tx.at, &body)? else { return Ok(()) };
    theirs(batching, conv.key, &mark.by, position, order, false)
}

/// A mark as a place and a number; `None` if it waits for its message.
fn upto(
    batching: &mut Batching<'_, '_>,
    conv: &Conv,
    upto: &Upto,
    at: Timestamp,
    body: &Waiting,
) -> Result<Option<(Option<i64>, Option<i64>)>> {
    match upto {
        Upto::Order(order) => {
            let order = i64::try_from(*order).unwrap_or(i64::MAX);
            let position = batching.tx.one(
                "SELECT position FROM message WHERE conversation = ?1 AND server_order <= ?2
                 AND server_order IS NOT NULL ORDER BY server_order DESC LIMIT 1",
                (conv.key, order),
                |row| row.get(0),
            )?;
            Ok(Some((position, Some(order))))
        }
        Upto::Time(time) => Ok(Some((Some(Position::of_ms(time.ms().saturating_add(1)).0 - 1), None))),
        Upto::Message(target) => match names::resolve(batching.tx, batching.account, conv.key, target)? {
            Some(found) => Ok(Some((Some(found.position), found.order))),
            None => {
                amend::wait(batching, conv, target, 0, at, body)?;
                Ok(None)
            }
        },
    }
}

/// We have read up to here, on any device.
pub(super) fn read_by_me(
    batching: &mut Batching<'_, '_>,
    conversation: i64,
    position: Option<i64>,
    order: Option<i64>,
) -> Result<()> {
    let conv = conversation::by_key(batching.tx, conversation)?;
    let moved = advance(batching.tx, &conv, position, order)?;
    batching.unread(conversation, moved.unread);
    batching.forget_conversations();
    Ok(())
}

/// What an advance of our own mark did.
pub(super) struct Moved {
    /// Change of the unread count.
    pub(super) unread: i64,
    /// Anything at all.
    pub(super) any: bool,
}

/// Moves our own mark: states, banners, the feed. The unread count is left to the caller.
pub(super) fn advance(tx: &mut Tx<'_>, conv: &Conv, position: Option<i64>, order: Option<i64>) -> Result<Moved> {
    // Rows that still wait in the outbox are no place to have read up to.
    let position = position.unwrap_or(0).min(super::place::PENDING - 1);
    let order = order.unwrap_or(0);
    let (mut to_position, mut to_order) = (position.max(conv.read_position), order.max(conv.read_order));
    if crate::mutant("read-backwards") {
        (to_position, to_order) = (position, order);
    }
    let read = tx.run(
        "UPDATE message SET state = 5 WHERE conversation = ?1 AND state = 0
         AND (position <= ?2 OR (server_order IS NOT NULL AND server_order <= ?3))",
        (conv.key, to_position, to_order),
    )?;
    let mut unread = -i64::try_from(read).unwrap_or(0);
    if !conv.read_known || crate::mutant("read-backwards") {
        // The first mark ever: what was taken for old history and lies beyond it is unread after all.
        let beyond = tx.run(
            "UPDATE message SET state = 0 WHERE conversation = ?1 AND state = 5 AND outgoing = 0 AND position > ?2
             AND (server_order IS NULL OR server_order > ?3)",
            (conv.key, to_position, to_order),
        )?;
        unread += i64::try_from(beyond).unwrap_or(0);
    }
    let below = position > 0 && conv.unread_below > 0;
    let any =
        unread != 0 || below || to_position != conv.read_position || to_order != conv.read_order || !conv.read_known;
    if any {
        tx.run(
            "UPDATE conversation SET read_known = 1, read_position = ?2, read_order = ?3,
                unread_below = CASE WHEN ?4 THEN 0 ELSE unread_below END WHERE key = ?1",
            (conv.key, to_position, to_order, below),
        )?;
        banner::withdraw_read(tx, conv.key)?;
        tx.change(conv.account, FeedKind::Read, Some(conv.id), None)?;
    }
    Ok(Moved { unread, any: unread != 0 || below })
}

/// Somebody else has read (`true`) or received (`false`) what we wrote up to here.
pub(super) fn theirs(
    batching: &mut Batching<'_, '_>,
    conversation: i64,
    user: &str,
    position: Option<i64>,
    order: Option<i64>,
    read: bool,
) -> Result<()> {
    let (position, order) = (position.unwrap_or(0), order.unwrap_or(0));
    let kind = if read { "read" } else { "delivered" };
    batching.tx.run(
        &format!(
            "INSERT INTO mark(conversation, user, {kind}_position, {kind}_order) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(conversation, user) DO UPDATE SET
                {kind}_position = max({kind}_position, excluded.{kind}_position),
                {kind}_order = max({kind}_order, excluded.{kind}_order)"
        ),
        (conversation, user, position, order),
    )?;
    let (below, to) = if read { (code::READ, code::READ) } else { (code::DELIVERED, code::DELIVERED) };
    let changed = batching.tx.all(
        "UPDATE message SET state = ?4 WHERE conversation = ?1 AND state IN (3, 4) AND state < ?5 AND outgoing = 1
         AND (position <= ?2 OR (server_order IS NOT NULL AND server_order <= ?3))
         RETURNING position, id, server_order",
        (conversation, position, order, to, below),
        |row| Ok(Found { position: row.get(0)?, id: message_id(row.get(1)?), conversation, order: row.get(2)? }),
    )?;
    for found in changed {
        amend::announce(batching.tx, batching.account, found)?;
    }
    Ok(())
}

/// The state of a message of ours that the server has: as far as anybody's marks reach.
pub(super) fn reached(tx: &Tx<'_>, conversation: i64, position: i64, order: Option<i64>) -> Result<i64> {
    let order = order.unwrap_or(i64::MAX);
    let state = tx.one(
        "SELECT max(CASE WHEN read_position >= ?2 OR read_order >= ?3 THEN 5
                         WHEN delivered_position >= ?2 OR delivered_order >= ?3 THEN 4 ELSE 3 END)
         FROM mark WHERE conversation = ?1",
        (conversation, position, order),
        |row| row.get::<_, Option<i64>>(0),
    )?;
    Ok(state.flatten().unwrap_or(code::SENT))
}
