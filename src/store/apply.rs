//! A batch of facts as one change of the database: everything in it and the protocol's checkpoint, or nothing.

use super::conversation::{self, Conv};
use super::place::Between;
use super::tx::{Result, Tx};
use super::{Batch, amend, arrival, ledger, marks, names, settle};
use crate::model::{AccountId, CheckpointRow, ConversationKey, Event, FeedKind, Span};
use std::collections::BTreeMap;

/// What a batch has touched so far, written once at its end.
pub(super) struct Batching<'t, 'c> {
    pub(super) tx: &'t mut Tx<'c>,
    pub(super) account: AccountId,
    touched: BTreeMap<i64, Touched>,
    known: BTreeMap<ConversationKey, Conv>,
    spans: Vec<Span>,
    /// The last place taken in an archive by this batch.
    last: BTreeMap<i64, i64>,
    /// Something waits for messages that were not here.
    pub(super) orphans: bool,
}

#[derive(Default)]
struct Touched {
    unread: i64,
    below: i64,
    last_at: Option<i64>,
}

/// Applies a batch. The caller's savepoint makes it all or nothing.
pub(super) fn batch(tx: &mut Tx<'_>, account: AccountId, batch: Batch) -> Result<()> {
    if !crate::mutant("checkpoint-apart") {
        checkpoint(tx, account, &batch.checkpoint.rows)?;
    }
    let spans = batch.events.iter().filter_map(|event| match event {
        Event::Span(span) => Some(span.clone()),
        _ => None,
    });
    let spans = spans.collect();
    let orphans = tx.one("SELECT 1 FROM orphan WHERE account = ?1 LIMIT 1", [account.0], |_| Ok(()))?.is_some();
    let mut batching = Batching {
        tx,
        account,
        touched: BTreeMap::new(),
        known: BTreeMap::new(),
        spans,
        last: BTreeMap::new(),
        orphans,
    };
    for event in batch.events {
        batching.event(event)?;
    }
    batching.finish()
}

/// Writes the protocol's rows.
pub(super) fn checkpoint(tx: &Tx<'_>, account: AccountId, rows: &[CheckpointRow]) -> Result<()> {
    for row in rows {
        match &row.value {
            Some(value) => tx.run(
                "INSERT INTO checkpoint(account, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT(account, key) DO UPDATE SET value = excluded.value",
                (account.0, &row.key, value),
            )?,
            None => tx.run("DELETE FROM checkpoint WHERE account = ?1 AND key = ?2", (account.0, &row.key))?,
        };
    }
    Ok(())
}

impl Batching<'_, '_> {
    fn event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Conversation(news) => {
                self.known.clear();
                conversation::update(self.tx, self.account, &news)
            }
            Event::Gone(key) => {
                self.known.clear();
                conversation::gone(self.tx, self.account, &key)
            }
            Event::Member(news) => conversation::member(self.tx, self.account, &news),
            Event::User(news) => conversation::user(self.tx, self.account, &news),
            Event::Message(arrival) => arrival::apply(self, *arrival),
            Event::Change(change) => amend::apply(self, change),
            Event::Read(mark) => marks::read(self, mark),
            Event::Delivered(mark) => marks::delivered(self, mark),
            Event::Settled(settled) => settle::apply(self, settled),
            Event::Unconfirmed(row) => settle::unconfirmed(self, row),
            Event::Span(span) => ledger::apply(self, &span),
            Event::CaughtUp => self.tx.change(self.account, FeedKind::CaughtUp, None, None).map(drop),
        }
    }

    /// The conversation of a key, made if it is new.
    pub(super) fn conversation(&mut self, key: &ConversationKey) -> Result<Conv> {
        if let Some(found) = self.known.get(key) {
            return Ok(found.clone());
        }
        let found = conversation::of_key(self.tx, self.account, key, None)?;
        self.known.insert(key.clone(), found.clone());
        Ok(found)
    }

    /// What was read of conversations is out of date.
    pub(super) fn forget_conversations(&mut self) {
        self.known.clear();
    }

    /// Unread messages came (positive) or were read (negative).
    pub(super) fn unread(&mut self, conversation: i64, by: i64) {
        self.touched.entry(conversation).or_default().unread += by;
    }

    /// A message that the server had counted as unread below our history is now here.
    pub(super) fn below(&mut self, conversation: i64, by: i64) {
        self.touched.entry(conversation).or_default().below += by;
    }

    /// A message of this server time is in the conversation.
    pub(super) fn active(&mut self, conversation: i64, ms: i64) {
        let touched = self.touched.entry(conversation).or_default();
        touched.last_at = touched.last_at.max(Some(ms));
    }

    /// What is known of the neighbours of a message: by the server's numbering, else by the contiguous range in
    /// which this batch brings it.
    pub(super) fn between(&mut self, conversation: i64, order: Option<i64>, server: Option<&str>) -> Result<Between> {
        if let Some(order) = order {
            return Between::by_order(self.tx, conversation, order);
        }
        let Some((archive, _)) = server.map(names::split) else { return self.after_newest(conversation) };
        let Some(key) = names::known_archive(self.tx, self.account, archive)? else { return Ok(Between::default()) };
        let older = self.last.get(&key).copied();
        let span = self.spans.iter().find(|span| span.archive == archive);
        let (after, before) = span.map_or((None, None), |span| (span.after.clone(), span.before.clone()));
        let place = |tx: &Tx<'_>, id: Option<String>| -> Result<Option<i64>> {
            let Some(id) = id else { return Ok(None) };
            Ok(names::by_server(tx, self.account, &names::join(archive, &id))?.map(|found| found.position))
        };
        let older = match older {
            Some(older) => Some(older),
            None => place(self.tx, after)?,
        };
        let newer = place(self.tx, before)?.filter(|newer| older.is_none_or(|older| older < *newer));
        Ok(Between { older: older.map(|place| (place, 1)), newer: newer.map(|place| (place, 1)) })
    }

    /// Where a server names and numbers nothing, a message comes after what is here.
    fn after_newest(&self, conversation: i64) -> Result<Between> {
        let newest = self.tx.one(
            "SELECT max(position) FROM message WHERE conversation = ?1 AND position < ?2",
            (conversation, super::place::PENDING),
            |row| row.get::<_, Option<i64>>(0),
        )?;
        Ok(Between { older: newest.flatten().map(|place| (place, 1)), newer: None })
    }

    /// A message of an archive was put at this place.
    pub(super) fn placed(&mut self, archive: Option<i64>, position: i64) {
        if let Some(archive) = archive {
            let last = self.last.entry(archive).or_insert(position);
            *last = position.max(*last);
        }
    }

    fn finish(mut self) -> Result<()> {
        for (key, touched) in std::mem::take(&mut self.touched) {
            self.tx.run(
                "UPDATE conversation SET unread = max(0, unread + ?2), unread_below = max(0, unread_below + ?3),
                    last_at = max(coalesce(last_at, ?4), coalesce(?4, last_at)) WHERE key = ?1",
                (key, touched.unread, touched.below, touched.last_at),
            )?;
            let id = conversation::by_key(self.tx, key)?.id;
            self.tx.change(self.account, FeedKind::Conversation, Some(id), None)?;
        }
        Ok(())
    }
}
