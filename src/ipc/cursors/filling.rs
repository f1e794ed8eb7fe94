//! One batch on its way: the rows so far and when it is full. What it costs is counted in rows and in bytes.

use super::super::wire::Row;
use crate::model::{Hole, Message};

/// What a row costs besides its text, bytes of JSON.
const ROW_BYTES: usize = 480;

/// Rows that go into one answer.
#[derive(Debug)]
pub(in crate::ipc) struct Filling {
    /// The rows so far.
    pub(in crate::ipc) rows: Vec<Row>,
    /// A hole that must be fetched before reading can go on.
    pub(in crate::ipc) hole: Option<Hole>,
    /// There is nothing more.
    pub(in crate::ipc) done: bool,
    want: usize,
    bytes: usize,
}

impl Filling {
    /// An empty batch of at most so many rows and about so many bytes; one row always fits.
    pub(in crate::ipc) fn new(want: usize, bytes: usize) -> Self {
        Self { rows: Vec::new(), hole: None, done: false, want, bytes }
    }

    /// Rows that still fit by number.
    pub(in crate::ipc) fn room(&self) -> usize {
        if self.bytes == 0 { 0 } else { self.want.saturating_sub(self.rows.len()) }
    }

    /// Nothing more goes in.
    pub(in crate::ipc) fn full(&self) -> bool {
        self.done || self.hole.is_some() || self.room() == 0
    }

    /// Puts a message in, unless it is too large for what is left; the first always fits.
    pub(super) fn push(&mut self, message: Box<Message>) -> Result<(), Box<Message>> {
        let cost = cost(&message);
        if cost > self.bytes && !self.rows.is_empty() {
            self.bytes = 0;
            return Err(message);
        }
        self.bytes = self.bytes.saturating_sub(cost);
        self.rows.push(Row::Message(message));
        Ok(())
    }

    pub(super) fn push_hole(&mut self, hole: Hole) {
        self.bytes = self.bytes.saturating_sub(ROW_BYTES);
        self.rows.push(Row::Hole(hole));
    }
}

/// About the bytes of a message's JSON.
fn cost(message: &Message) -> usize {
    let files: usize = message.attachments.iter().map(|file| file.url.len() + 120).sum();
    ROW_BYTES + message.text.len() + message.reactions.len() * 60 + files
}
