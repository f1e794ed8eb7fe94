//! What must be remembered between connections and restarts: it is committed with the messages it accounts for.
//!
//! One checkpoint row for the session, one an archive, one a room, one for the rows of ours not yet seen in an archive,
//! and one for each that was seen a moment ago.

use crate::model::{CheckpointRow, MessageId, OutboxId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

/// A stream-management session (XEP-0198).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SmRow {
    /// The id by which it can be resumed; `None`: it cannot.
    pub(super) id: Option<String>,
    /// Stanzas of the server's that are committed, modulo 2^32.
    pub(super) h: u32,
    /// The full JID bound in it.
    pub(super) jid: String,
    /// Presence is sent: the session is complete and worth resuming.
    pub(super) present: bool,
}

/// What the server and our account there can do (XEP-0030).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Able {
    /// Our account has an archive.
    pub(super) mam: bool,
    /// `stanza-id`s by our own bare JID are genuine: the server strips forged ones (XEP-0359, 5).
    pub(super) sid: bool,
    /// Blocking.
    pub(super) blocking: bool,
}

/// How far an archive is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArchiveRow {
    /// Archive id up to which, from the first page on, nothing is missing. `None`: the archive was empty.
    pub(super) last: Option<String>,
    /// Server time of that one, Unix milliseconds.
    pub(super) at: i64,
    /// Live messages of the present session follow on directly.
    pub(super) whole: bool,
}

/// A room we are, or want to be, in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRow {
    /// Our nick there.
    pub(super) nick: String,
    /// It has an archive.
    pub(super) mam: bool,
    /// Its `stanza-id`s are genuine.
    pub(super) sid: bool,
    /// Its title as last told.
    pub(super) title: Option<String>,
    /// We were in it in the present session.
    pub(super) joined: bool,
    /// When it last sent something, Unix milliseconds; used where there is no archive.
    pub(super) heard: i64,
}

/// A message of ours that was put on the wire and has not been seen in its archive yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unseen {
    pub(super) outbox: OutboxId,
    pub(super) cid: MessageId,
    /// Whom it went to.
    pub(super) to: String,
    /// Bare JID of the archive that will have it.
    pub(super) archive: String,
    /// The archive's newest id when it was sent: looking for it begins there.
    pub(super) after: Option<String>,
    /// Grows with each row: of several, looking begins for the one sent first. No clock: the server's and ours differ.
    #[serde(default)]
    pub(super) nth: u64,
    /// The server has acknowledged it: the row was called sent.
    pub(super) acked: bool,
}

/// A row of ours that its archive has shown, and when it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fresh {
    pub(super) row: Unseen,
    /// Unix milliseconds.
    pub(super) at: i64,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Durable {
    pub(super) sm: Option<SmRow>,
    /// As last told, so that a message that comes before the next answer is judged by it.
    pub(super) able: Able,
    pub(super) archives: BTreeMap<String, ArchiveRow>,
    pub(super) rooms: BTreeMap<String, RoomRow>,
    pub(super) unseen: Vec<Unseen>,
    /// Seen a moment ago: a server that is killed now may forget them. Shared, since every batch keeps a copy.
    pub(super) fresh: BTreeMap<OutboxId, Arc<Fresh>>,
}

impl Durable {
    /// For a row that is sent now: above those of all that are still looked for, or may be again.
    pub(super) fn next_nth(&self) -> u64 {
        let known = self.unseen.iter().chain(self.fresh.values().map(|fresh| &fresh.row));
        known.map(|row| row.nth).max().map_or(1, |nth| nth.saturating_add(1))
    }

    /// As the rows have it; what cannot be read counts as absent, which costs a catch-up and loses nothing.
    pub(super) fn load(rows: &[CheckpointRow]) -> Self {
        let mut durable = Self::default();
        for row in rows {
            let Some(value) = row.value.as_deref() else { continue };
            match row.key.split_once(':') {
                None if row.key == "sm" => durable.sm = serde_json::from_slice(value).ok(),
                None if row.key == "able" => durable.able = serde_json::from_slice(value).unwrap_or_default(),
                None if row.key == "unseen" => durable.unseen = serde_json::from_slice(value).unwrap_or_default(),
                Some(("archive", jid)) => {
                    if let Ok(row) = serde_json::from_slice(value) {
                        durable.archives.insert(jid.to_owned(), row);
                    }
                }
                Some(("fresh", _)) => {
                    if let Ok(fresh) = serde_json::from_slice::<Fresh>(value) {
                        durable.fresh.insert(fresh.row.outbox, Arc::new(fresh));
                    }
                }
                Some(("room", jid)) => {
                    if let Ok(row) = serde_json::from_slice(value) {
                        durable.rooms.insert(jid.to_owned(), row);
                    }
                }
                _ => {}
            }
        }
        durable
    }

    /// The rows that differ from an earlier state.
    pub(super) fn changed_since(&self, old: &Self) -> Vec<CheckpointRow> {
        let mut rows = Vec::new();
        if self.sm != old.sm {
            rows.push(CheckpointRow { key: "sm".into(), value: self.sm.as_ref().and_then(bytes) });
        }
        if self.able != old.able {
            rows.push(CheckpointRow { key: "able".into(), value: bytes(&self.able) });
        }
        if self.unseen != old.unseen {
            rows.push(CheckpointRow { key: "unseen".into(), value: bytes(&self.unseen) });
        }
        differing("archive", &self.archives, &old.archives, bytes, &mut rows);
        differing("room", &self.rooms, &old.rooms, bytes, &mut rows);
        differing("fresh", &self.fresh, &old.fresh, |fresh| bytes(&**fresh), &mut rows);
        rows
    }
}

fn bytes<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    serde_json::to_vec(value).ok()
}

fn differing<K: Ord + Display, T: PartialEq>(
    kind: &str,
    new: &BTreeMap<K, T>,
    old: &BTreeMap<K, T>,
    bytes: impl Fn(&T) -> Option<Vec<u8>>,
    rows: &mut Vec<CheckpointRow>,
) {
    for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
        rows.push(CheckpointRow { key: format!("{kind}:{key}"), value: bytes(value) });
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        rows.push(CheckpointRow { key: format!("{kind}:{key}"), value: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_written_and_read_back_and_nothing_else() {
        let mut state =
            Durable { sm: Some(SmRow { id: Some("x".into()), h: 7, ..SmRow::default() }), ..Durable::default() };
        state.archives.insert("me@x".into(), ArchiveRow { last: Some("i".into()), at: 5, whole: true });
        state.rooms.insert("r@muc".into(), RoomRow { nick: "me".into(), ..RoomRow::default() });
        let rows = state.changed_since(&Durable::default());
        assert_eq!(rows.len(), 3);
        assert_eq!(Durable::load(&rows), state);
        let mut later = state.clone();
        later.rooms.clear();
        assert_eq!(later.changed_since(&state), [CheckpointRow { key: "room:r@muc".into(), value: None }]);
        let junk = [CheckpointRow { key: "sm".into(), value: Some(b"{".to_vec()) }];
        assert_eq!(Durable::load(&junk), Durable::default());
    }
}
