//! Holes as readers see them: what lies between two ranges of the ledger or below its oldest, why it is not here, and
//! what is being done about it. It only reads; the ledger itself is written in `ledger` and `retention`.

use super::ledger::{COLUMNS, Range, range, ranges};
use super::tx::{Result, Tx, all, conversation_id, one};
use super::{conversation, place};
use crate::model::{AccountId, ConversationId, Hole, HoleCause, HoleFill, Timestamp};
use rusqlite::Connection;

/// A question to the server that is older is taken for lost, milliseconds.
const ANSWERED_WITHIN: i64 = 60_000;
/// Holes of one answer at most.
pub(super) const MOST: usize = 1_000;

/// A hole and the place directly above which it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The place of the oldest message above it.
    pub(super) above: i64,
    pub(super) hole: Hole,
}

/// The place up to which an archive was thrown away.
fn thrown(conn: &Connection, archive: i64) -> Result<Option<i64>> {
    one(conn, "SELECT upto_position FROM thrown WHERE archive = ?1", [archive], |row| row.get(0))
}

/// The holes that a reader of a conversation meets, oldest first. Where its archive was begun anew (a new epoch),
/// only the newest one counts: the older cannot be asked any more.
pub(super) fn of_conversation(conn: &Connection, key: i64, now: Timestamp) -> Result<Vec<Gap>> {
    let archive = one(
        conn,
        "SELECT s.archive, c.id, a.name FROM span s JOIN archive a ON a.key = s.archive, conversation c
         WHERE c.key = ?1 AND (s.conversation = ?1
            OR (s.conversation IS NULL AND c.kind = 0 AND s.account = c.account))
         ORDER BY s.conversation IS NULL, s.id DESC LIMIT 1",
        [key],
        |row| Ok((row.get::<_, i64>(0)?, conversation_id(row.get(1)?), row.get::<_, String>(2)?)),
    )?;
    let Some((archive, conversation, name)) = archive else { return emptied(conn, key) };
    let ranges = ranges(conn, archive)?;
    let thrown = thrown(conn, archive)?;
    let place = Place { conversation, archive: &name, thrown, now };
    Ok(place.between(&ranges))
}

/// Everything of it was thrown away and nothing came since.
fn emptied(conn: &Connection, key: i64) -> Result<Vec<Gap>> {
    let found = one(
        conn,
        "SELECT c.id, a.name, t.upto, t.upto_at FROM thrown t JOIN archive a ON a.key = t.archive
         JOIN conversation c ON c.key = t.conversation WHERE t.conversation = ?1 ORDER BY t.archive DESC LIMIT 1",
        [key],
        |row| {
            let hole = Hole {
                conversation: conversation_id(row.get(0)?),
                archive: row.get(1)?,
                below: None,
                above: None,
                from: None,
                to: Some(Timestamp(row.get(3)?)),
                cause: HoleCause::Retention,
                fill: HoleFill::Kept,
                asked_at: None,
            };
            Ok(Gap { above: place::PENDING - 1, hole })
        },
    )?;
    Ok(found.into_iter().collect())
}

/// What is the same for all holes of an archive.
struct Place<'a> {
    conversation: ConversationId,
    archive: &'a str,
    thrown: Option<i64>,
    now: Timestamp,
}

impl Place<'_> {
    fn between(&self, ranges: &[Range]) -> Vec<Gap> {
        let oldest = ranges.first().filter(|range| !range.at_start).map(|range| self.gap(None, range));
        let inner = ranges.windows(2).filter_map(|pair| match pair {
            [below, above] => Some(self.gap(Some(below), above)),
            _ => None,
        });
        oldest.into_iter().chain(inner).collect()
    }

    fn gap(&self, below: Option<&Range>, above: &Range) -> Gap {
        // What was thrown away reaches to the lower end of the oldest range, or was asked for again above it.
        let thrown = self.thrown.filter(|thrown| below.is_none() && *thrown < above.lo.position);
        let cause = match (thrown, below) {
            (Some(_), _) => HoleCause::Retention,
            (None, Some(_)) => HoleCause::Missed,
            (None, None) => HoleCause::NotFetched,
        };
        let asked = above.asked_at.filter(|asked| self.now.ms().saturating_sub(*asked) < ANSWERED_WITHIN);
        let fill = match (cause, asked) {
            (HoleCause::Retention, _) => HoleFill::Kept,
            (_, Some(_)) => HoleFill::Asked,
            (_, None) => HoleFill::Open,
        };
        let hole = Hole {
            conversation: self.conversation,
            archive: self.archive.to_owned(),
            below: below.map(|range| range.hi.id.clone()),
            above: Some(above.lo.id.clone()),
            from: below.map(|range| Timestamp(range.hi.at)),
            to: Some(Timestamp(above.lo.at)),
            cause,
            fill,
            asked_at: above.asked_at.map(Timestamp),
        };
        Gap { above: above.lo.position, hole }
    }
}

/// The holes of an account, or of all, whose upper end lies above `low` and not above `high`, oldest first. Each stands
/// once, in the conversation of the message above it.
pub(super) fn within(
    conn: &Connection,
    account: Option<i64>,
    low: Option<i64>,
    high: Option<i64>,
    now: Timestamp,
) -> Result<Vec<Gap>> {
    let columns = COLUMNS.split(", ").map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns}, s.archive, a.name, coalesce(c.id, mc.id) FROM span s JOIN archive a ON a.key = s.archive
         LEFT JOIN conversation c ON c.key = s.conversation LEFT JOIN message m ON m.position = s.lo_position
         LEFT JOIN conversation mc ON mc.key = m.conversation
         WHERE s.lo_position > ?1 AND s.lo_position <= ?2 AND (?3 IS NULL OR s.account = ?3) AND s.at_start = 0
            AND (s.conversation IS NULL OR s.archive = (SELECT n.archive FROM span n
                 WHERE n.conversation = s.conversation ORDER BY n.id DESC LIMIT 1))
         ORDER BY s.lo_position LIMIT {MOST}"
    );
    let bounds = (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX), account);
    let found = all(conn, &sql, bounds, |row| {
        let conversation = row.get::<_, Option<[u8; 16]>>(15)?.map(conversation_id);
        Ok((range(row)?, row.get::<_, i64>(13)?, row.get::<_, String>(14)?, conversation))
    })?;
    let below =
        format!("SELECT {COLUMNS} FROM span WHERE archive = ?1 AND lo_position < ?2 ORDER BY lo_position DESC LIMIT 1");
    let mut gaps = Vec::new();
    for (above, archive, name, conversation) in found {
        let Some(conversation) = conversation else { continue };
        let under = one(conn, &below, (archive, above.lo.position), range)?;
        let thrown = thrown(conn, archive)?;
        let place = Place { conversation, archive: &name, thrown, now };
        gaps.push(place.gap(under.as_ref(), &above));
    }
    Ok(gaps)
}

/// The holes of a conversation, an account, or all, oldest first; at most 1,000.
pub(super) fn list(
    conn: &Connection,
    account: Option<AccountId>,
    conversation: Option<ConversationId>,
    now: Timestamp,
) -> Result<Vec<Hole>> {
    let Some(conversation) = conversation else {
        let account = account.map(|account| account.0);
        return Ok(within(conn, account, None, None, now)?.into_iter().map(|gap| gap.hole).collect());
    };
    let key = conversation::key_of(conn, conversation)?;
    Ok(of_conversation(conn, key, now)?.into_iter().map(|gap| gap.hole).collect())
}

/// A reader came to a hole and the server was asked for what is in it.
pub(super) fn asked(tx: &Tx<'_>, account: AccountId, hole: &Hole) -> Result<()> {
    tx.run(
        "UPDATE span SET asked_at = ?4 WHERE account = ?1 AND lo = ?3
         AND archive = (SELECT key FROM archive WHERE account = ?1 AND name = ?2)",
        (account.0, &hole.archive, &hole.above, tx.at.ms()),
    )?;
    Ok(())
}
