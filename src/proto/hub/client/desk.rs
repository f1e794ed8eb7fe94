//! Requests on their way: each has an id, the hub's limit on open ones is kept, people's commands go first.

use crate::model::{ConversationKey, FetchHole, MessageId, OutboxId};
use crate::proto::hub::wire::{ClientFrame, encode};
use std::collections::{BTreeMap, VecDeque};

/// What an answer is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// An outbox row; the id that it has if it is a message.
    Command { outbox: OutboxId, conversation: Option<ConversationKey>, sends: Option<MessageId> },
    /// A reader's wish for older history.
    Fetch(FetchHole),
    /// The gap since the last contiguous point.
    Fill { conv: String },
    /// Changes that were missed.
    Repair { conv: String },
    /// Who is in a group; what came on the pages before.
    Members { conv: String, so_far: Vec<crate::model::Member> },
}

/// A message that was refused for now.
#[derive(Debug)]
struct Deferred {
    row: OutboxId,
    place: ConversationKey,
    id: MessageId,
}

fn same(a: &ConversationKey, b: &ConversationKey) -> bool {
    let both = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    both(&a.server, &b.server) || both(&a.peer, &b.peer)
}

/// Requests on their way.
#[derive(Debug)]
pub(super) struct Desk {
    next: u64,
    open: BTreeMap<u64, Request>,
    commands: VecDeque<(u64, String)>,
    others: VecDeque<(u64, String)>,
    deferred: Vec<Deferred>,
    flying: u64,
    limit: u64,
}

impl Desk {
    pub(super) fn new() -> Self {
        let (commands, others) = (VecDeque::new(), VecDeque::new());
        Self { next: 1, open: BTreeMap::new(), commands, others, deferred: Vec::new(), flying: 0, limit: 1 }
    }

    /// Ids of this connection begin anew; whatever was open got no answer.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    pub(super) fn allow(&mut self, limit: u64) {
        self.limit = limit.max(1);
    }

    pub(super) fn id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    pub(super) fn push(&mut self, id: u64, frame: &ClientFrame, request: Request) {
        let command = matches!(request, Request::Command { .. });
        let queue = if command { &mut self.commands } else { &mut self.others };
        queue.push_back((id, encode(frame)));
        self.open.insert(id, request);
    }

    /// The next text to transmit, while the hub's limit allows.
    pub(super) fn pop(&mut self) -> Option<String> {
        if self.flying >= self.limit {
            return None;
        }
        let (_, text) = self.commands.pop_front().or_else(|| self.others.pop_front())?;
        self.flying += 1;
        Some(text)
    }

    /// The answer to `id` came.
    pub(super) fn answered(&mut self, id: u64) -> Option<Request> {
        let request = self.open.remove(&id)?;
        self.flying = self.flying.saturating_sub(1);
        Some(request)
    }

    pub(super) fn any(&self, mut wanted: impl FnMut(&Request) -> bool) -> bool {
        self.open.values().any(&mut wanted)
    }

    /// The last message of a conversation that was written before this row and has no answer yet, or one that passes.
    pub(super) fn before(&self, row: OutboxId, to: &ConversationKey) -> Option<MessageId> {
        let open = self.open.values().filter_map(|request| match request {
            Request::Command { outbox, conversation: Some(place), sends: Some(id) } => Some((*outbox, place, *id)),
            _ => None,
        });
        let deferred = self.deferred.iter().map(|sent| (sent.row, &sent.place, sent.id));
        let there = open.chain(deferred).filter(|(other, place, _)| *other < row && same(place, to));
        there.max_by_key(|(other, ..)| *other).map(|(.., id)| id)
    }

    /// A message was refused for now. Until it is handed out again, what was written behind it may come first: it was
    /// taken from the disk before that knew.
    pub(super) fn defer(&mut self, row: OutboxId, place: ConversationKey, id: MessageId) {
        self.deferred.push(Deferred { row, place, id });
    }

    /// This row is handed out again.
    pub(super) fn back(&mut self, row: OutboxId) {
        self.deferred.retain(|sent| sent.row != row);
    }

    /// This row was refused for the sake of one before it. By the time that it comes again the disk knows of that one,
    /// and has handed it out first, or it is gone.
    pub(super) fn known(&mut self, row: OutboxId, place: &ConversationKey) {
        self.deferred.retain(|sent| sent.row >= row || !same(&sent.place, place));
    }

    pub(super) fn holds(&self, row: OutboxId) -> bool {
        self.any(|request| matches!(request, Request::Command { outbox, .. } if *outbox == row))
    }
}
