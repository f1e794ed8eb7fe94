//! How far this client has come: the cursor in the update stream, and for each conversation how far its history is
//! contiguous. What is committed and what is only read are kept apart; a lost connection falls back to the former.

use crate::model::{BatchId, Checkpoint, CheckpointRow};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// `{epoch, cur}`: what resumes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) epoch: String,
    pub(super) cur: u64,
}

/// One conversation's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Up to here nothing is missing since the first message that is here.
    pub(super) seq: u64,
    /// Changes up to this `rev` are here.
    pub(super) rev: u64,
    /// Messages above `seq` and below this one are missing and are being fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<u64>,
    /// Newest message that is here; differs from `seq` only while there is a gap.
    #[serde(default)]
    pub(super) top: u64,
    /// Changes above `rev` may be missing and are being fetched; this is the newest seen meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stale: Option<u64>,
}

impl Mark {
    /// A message came. The contiguous point never moves past a gap.
    pub(super) fn message(&mut self, seq: u64, rev: u64) {
        self.change(rev);
        if self.gap.is_none() && seq > self.seq + 1 && self.seq > 0 {
            self.gap = Some(seq);
        }
        self.top = self.top.max(seq);
        if self.gap.is_none() || crate::mutant("hub-mark-past-gap") {
            self.seq = self.seq.max(seq);
        }
    }

    /// A change came.
    pub(super) fn change(&mut self, rev: u64) {
        match &mut self.stale {
            Some(seen) => *seen = rev.max(*seen),
            None => self.rev = self.rev.max(rev),
        }
    }

    /// The gap is filled up to `seq`; `done`: up to its end.
    pub(super) fn filled(&mut self, seq: u64, done: bool) {
        self.seq = self.seq.max(seq);
        if done || self.gap.is_some_and(|gap| self.seq + 1 >= gap) {
            self.gap = None;
            self.seq = self.seq.max(self.top);
        }
    }

    /// Changes are complete up to `rev`.
    pub(super) fn repaired(&mut self, rev: u64, done: bool) {
        self.rev = self.rev.max(rev);
        if done && let Some(seen) = self.stale.take() {
            self.rev = self.rev.max(seen);
        }
    }
}

/// Cursor and marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) cursor: Option<Cursor>,
    pub(super) marks: BTreeMap<String, Mark>,
}

/// What changed with one batch.
#[derive(Debug)]
struct Cut {
    id: BatchId,
    cursor: Option<Cursor>,
    marks: Vec<(String, Option<Mark>)>,
}

/// Working progress, committed progress, and the batches between them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    now: Progress,
    committed: Progress,
    cuts: VecDeque<Cut>,
    touched: BTreeSet<String>,
    /// Facts were told since the last cut.
    facts: bool,
}

const CURSOR: &str = "cursor";
const CONV: &str = "conv:";

impl Ledger {
    /// From the rows of the store; a row that cannot be read counts as absent (the hub then sends a snapshot).
    pub(super) fn load(rows: &[CheckpointRow]) -> Self {
        let mut progress = Progress::default();
        for row in rows {
            let Some(value) = &row.value else { continue };
            if row.key == CURSOR {
                progress.cursor = serde_json::from_slice(value).ok();
            } else if let Some(conv) = row.key.strip_prefix(CONV)
                && let Ok(mark) = serde_json::from_slice(value)
            {
                progress.marks.insert(conv.to_owned(), mark);
            }
        }
        Self { now: progress.clone(), committed: progress, ..Self::default() }
    }

    pub(super) fn cursor(&self) -> Option<&Cursor> {
        self.now.cursor.as_ref()
    }

    pub(super) fn marks(&self) -> &BTreeMap<String, Mark> {
        &self.now.marks
    }

    pub(super) fn set_cursor(&mut self, cursor: Cursor) {
        self.now.cursor = Some(cursor);
    }

    pub(super) fn mark(&mut self, conv: &str) -> &mut Mark {
        self.touched.insert(conv.to_owned());
        self.now.marks.entry(conv.to_owned()).or_default()
    }

    pub(super) fn forget(&mut self, conv: &str) {
        if self.now.marks.remove(conv).is_some() {
            self.touched.insert(conv.to_owned());
        }
    }

    /// A new numbering: nothing known belongs to it.
    pub(super) fn new_epoch(&mut self) {
        self.touched.extend(self.now.marks.keys().cloned());
        self.now = Progress::default();
    }

    pub(super) fn fact(&mut self) {
        self.facts = true;
    }

    /// The cursor up to which everything is on disk: what may be acknowledged. Where nothing was told since the last
    /// commit, a cursor that moved alone counts: there is nothing that could be lost.
    pub(super) fn durable(&self) -> Option<u64> {
        let progress = if self.is_idle() || crate::mutant("hub-ack-early") { &self.now } else { &self.committed };
        progress.cursor.as_ref().map(|cursor| cursor.cur)
    }

    /// Everything that was told is on disk.
    pub(super) fn is_idle(&self) -> bool {
        self.cuts.is_empty() && !self.facts
    }

    /// On disk are newer messages than some that are missing.
    pub(super) fn lacks(&self) -> bool {
        self.committed.marks.values().any(|mark| mark.gap.is_some())
    }

    /// How far this conversation is without a gap has changed, and is not on disk yet.
    pub(super) fn is_landing(&self, conv: &str) -> bool {
        let reach = |progress: &Progress| progress.marks.get(conv).map(|mark| (mark.seq, mark.gap));
        reach(&self.now) != reach(&self.committed)
    }

    /// Messages below `seq` are missing in this conversation, or are not yet on disk.
    pub(super) fn lacks_below(&self, conv: &str, seq: u64) -> bool {
        let lacks = |mark: &Mark| mark.gap.is_some() && mark.seq < seq;
        [&self.now, &self.committed].iter().any(|progress| progress.marks.get(conv).is_some_and(lacks))
    }

    /// Ends a batch: the rows that changed with it.
    pub(super) fn cut(&mut self, id: BatchId) -> Checkpoint {
        let mut rows = Vec::new();
        if let Some(cursor) = &self.now.cursor {
            rows.push(CheckpointRow { key: CURSOR.into(), value: serde_json::to_vec(cursor).ok() });
        }
        let mut marks = Vec::new();
        for conv in std::mem::take(&mut self.touched) {
            let mark = self.now.marks.get(&conv).cloned();
            let value = mark.as_ref().and_then(|mark| serde_json::to_vec(mark).ok());
            rows.push(CheckpointRow { key: format!("{CONV}{conv}"), value });
            marks.push((conv, mark));
        }
        self.facts = false;
        self.cuts.push_back(Cut { id, cursor: self.now.cursor.clone(), marks });
        Checkpoint { rows }
    }

    /// The batch is on disk; `false`: no such batch is known (it belongs to a connection before).
    pub(super) fn commit(&mut self, id: BatchId) -> bool {
        if !self.cuts.iter().any(|cut| cut.id == id) {
            return false;
        }
        while let Some(cut) = self.cuts.pop_front() {
            self.committed.cursor = cut.cursor;
            for (conv, mark) in cut.marks {
                match mark {
                    Some(mark) => self.committed.marks.insert(conv, mark),
                    None => self.committed.marks.remove(&conv),
                };
            }
            if cut.id == id {
                break;
            }
        }
        true
    }

    /// The connection is gone: what was not committed never was.
    pub(super) fn fall_back(&mut self) {
        self.cuts.clear();
        self.touched.clear();
        self.facts = false;
        if !crate::mutant("hub-no-fall-back") {
            self.now.clone_from(&self.committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchId, Cursor, Ledger, Mark};

    #[test]
    fn a_live_message_never_moves_the_contiguous_point_past_a_gap() {
        let mut mark = Mark { seq: 10, top: 10, ..Mark::default() };
        mark.message(20, 0);
        assert_eq!((mark.seq, mark.gap, mark.top), (10, Some(20), 20));
        mark.message(21, 0);
        mark.filled(15, false);
        assert_eq!((mark.seq, mark.gap), (15, Some(20)));
        mark.filled(19, false);
        assert_eq!((mark.seq, mark.gap), (21, None));
    }

    #[test]
    fn what_was_not_committed_never_was_and_rows_read_back_as_they_were_written() {
        let mut ledger = Ledger::load(&[]);
        ledger.set_cursor(Cursor { epoch: "e".into(), cur: 5 });
        ledger.mark("c").message(1, 1);
        ledger.fact();
        assert_eq!(ledger.durable(), None);
        let checkpoint = ledger.cut(BatchId(1));
        assert!(ledger.commit(BatchId(1)) && !ledger.commit(BatchId(1)));
        assert_eq!(ledger.durable(), Some(5));
        ledger.set_cursor(Cursor { epoch: "e".into(), cur: 9 });
        ledger.mark("c").message(2, 2);
        ledger.cut(BatchId(2));
        ledger.fall_back();
        let read = Ledger::load(&checkpoint.rows);
        assert_eq!((ledger.cursor(), ledger.marks()), (read.cursor(), read.marks()));
        assert_eq!(read.marks()["c"].seq, 1);
    }
}
