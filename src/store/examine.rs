//! Proofs that a store agrees with itself, for `wakeful doctor`: counts, ranges, the outbox, the text index. Read-only, but that
//! damage is noted beside the file.

use super::place::PENDING;
use super::tx::{Result, all, one};
use super::{Viewer, gaps, quarantine};
use crate::db;
use crate::model::{Hole, Quarantined, Timestamp};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What does not agree, each as one sentence; empty: everything does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Sums that are kept and sums that are counted.
    pub counts: Vec<String>,
    /// Ranges in which fewer messages are here than their ends say: not all are the user's to see.
    pub ranges: Vec<String>,
    /// Requests without their message, and the other way round.
    pub outbox: Vec<String>,
}

impl Viewer {
    /// Reads the whole file through; `thorough` compares indices with tables too, which takes about twice as long.
    ///
    /// # Errors
    /// `Corrupt` with the first finding.
    pub fn integrity(&self, thorough: bool) -> Result<()> {
        Ok(db::integrity(&self.conn, &self.path, !thorough)?)
    }

    /// Notes that this file is damaged: whoever opens the store next moves it aside. Where another has taken its place
    /// meanwhile there is nothing to be noted.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn condemn(&self, why: &str) -> io::Result<()> {
        if identity(&self.path)? == self.file { quarantine::mark(&self.path, why) } else { Ok(()) }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// Bytes of the file in which nothing stands any more: new messages come there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn spare(&self) -> Result<u64> {
        let sql = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
        let bytes: Option<i64> = one(&self.conn, sql, [], |row| row.get(0))?;
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
    }

    /// Holes that are listed at most.
    pub const HOLES: usize = gaps::MOST;

    /// What is missing here, with its cause: the oldest [`Viewer::HOLES`].
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn holes(&self, now: Timestamp) -> Result<Vec<Hole>> {
        gaps::list(&self.conn, None, None, now)
    }

    /// Server time of the newest message that has one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn newest_message(&self) -> Result<Option<Timestamp>> {
        let sql =
            "SELECT sent_at FROM message WHERE position < ?1 AND server_ref IS NOT NULL ORDER BY position DESC LIMIT 1";
        Ok(one(&self.conn, sql, [PENDING], |row| row.get(0))?.map(Timestamp))
    }

    /// A damaged file that was moved aside and is still there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn quarantined(&self) -> Result<Option<Quarantined>> {
        super::health::quarantined(&self.conn)
    }

    /// Compares what is kept with what is counted.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn findings(&self) -> Result<Findings> {
        Ok(Findings { counts: self.counts()?, ranges: self.ranges()?, outbox: self.outbox()? })
    }

    /// Counts that disagree with the messages: unread, and the search index.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn counts(&self) -> Result<Vec<String>> {
        let mut found = all(
            &self.conn,
            "SELECT coalesce(title, peer, server, ''), unread, counted FROM (
                SELECT title, peer, server, unread,
                    (SELECT count(*) FROM message m WHERE m.conversation = c.key AND m.state = 0) AS counted
                FROM conversation c) WHERE unread <> counted LIMIT 10",
            [],
            |row| {
                let (name, kept, counted): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(format!("{name:?} says {kept} unread, {counted} are"))
            },
        )?;
        // One statement, since a daemon may write between two.
        let both =
            "SELECT (SELECT count(*) FROM message WHERE text <> ''), (SELECT count(*) FROM message_text_docsize)";
        let both = one(&self.conn, both, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        if let Some((with_text, indexed)) = both.filter(|(with_text, indexed)| with_text != indexed) {
            found.push(format!("{with_text} messages have a text and {indexed} are in the search index"));
        }
        Ok(found)
    }

    /// Where the server numbers without holes, a range holds as many messages as its ends say, but for those that the
    /// server does not give to this user: of a time outside of the group, or deleted for oneself.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn ranges(&self) -> Result<Vec<String>> {
        all(
            &self.conn,
            "SELECT name, lo, hi, wanted, found FROM (
                SELECT a.name, s.lo, s.hi, CAST(s.hi AS INTEGER) - CAST(s.lo AS INTEGER) + 1 AS wanted,
                    (SELECT count(*) FROM message m WHERE m.conversation = s.conversation AND m.archive = s.archive
                     AND m.server_order BETWEEN CAST(s.lo AS INTEGER) AND CAST(s.hi AS INTEGER)) AS found
                FROM span s JOIN archive a ON a.key = s.archive JOIN account c ON c.id = s.account
                JOIN conversation v ON v.key = s.conversation
                WHERE c.protocol = 'hub' AND a.name LIKE '%/' || v.server) WHERE wanted <> found LIMIT 10",
            [],
            |row| {
                let (name, lo, hi): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (wanted, found): (i64, i64) = (row.get(3)?, row.get(4)?);
                Ok(format!("{name} is whole from {lo} to {hi}, which is {wanted} messages; {found} are here"))
            },
        )
    }

    /// Requests without their message, and messages that wait without a request.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn outbox(&self) -> Result<Vec<String>> {
        let count = |sql: &str| -> Result<i64> { Ok(one(&self.conn, sql, [], |row| row.get(0))?.unwrap_or(0)) };
        let headless = count(
            "SELECT count(*) FROM outbox o WHERE o.state IN (0, 1) AND o.kind = 'send'
             AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = o.message)",
        )?;
        let forgotten = count(
            "SELECT count(*) FROM message m WHERE m.position >= 4611686018427387904 AND m.state IN (1, 2)
             AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.message = m.id AND o.state IN (0, 1))",
        )?;
        let mut found = Vec::new();
        if headless > 0 {
            found.push(format!("{headless} rows wait to be sent whose message is not here"));
        }
        if forgotten > 0 {
            found.push(format!("{forgotten} messages are shown as waiting that nothing will send"));
        }
        Ok(found)
    }
}

/// Tells a file from another that takes its name.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}
