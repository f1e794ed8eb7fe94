//! Candidates that wait: held by a rule, or ready and waiting for their turn.

use super::counts::KEPT;
use super::input::Candidate;
use super::note::LINES;
use crate::model::{ConversationId, MessageId, Position};
use crate::notify::decision::Why;
use std::collections::BTreeMap;
use std::time::Instant;

/// A candidate that waits.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) candidate: Candidate,
    /// When it became due here.
    pub(super) since: Instant,
    /// It was on screen before: it comes back without a sound.
    pub(super) again: bool,
    /// Every rule lets it pass.
    pub(super) ready: bool,
    /// The reason for holding it that was last recorded.
    pub(super) told: Option<Why>,
}

impl Item {
    pub(super) fn new(candidate: Candidate, since: Instant) -> Self {
        let again = (candidate.shown.is_some() || candidate.uncertain) && !crate::mutant("banner-repeated-loudly");
        Self { candidate, since, again, ready: false, told: None }
    }
}

/// What waits in one conversation, in the order of history.
pub(super) type Pile = BTreeMap<Position, Item>;

/// All piles.
#[derive(Debug, Default)]
pub(super) struct Queue {
    piles: BTreeMap<ConversationId, Pile>,
    index: BTreeMap<MessageId, (ConversationId, Position)>,
}

impl Queue {
    pub(super) fn contains(&self, message: MessageId) -> bool {
        self.index.contains_key(&message)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = MessageId> {
        self.index.keys().copied()
    }

    /// Messages that wait in a conversation.
    pub(super) fn of(&self, conversation: ConversationId) -> impl Iterator<Item = MessageId> {
        self.piles.get(&conversation).into_iter().flatten().map(|(_, item)| item.candidate.message)
    }

    /// Whether something of a conversation waits.
    pub(super) fn has(&self, conversation: ConversationId) -> bool {
        self.piles.contains_key(&conversation)
    }

    /// Adds one; gives the oldest back when there are too many. The texts of those that will not be listed are let go.
    #[must_use]
    pub(super) fn insert(&mut self, item: Item) -> Option<Item> {
        let (conversation, position) = (item.candidate.place.conversation, item.candidate.position);
        self.index.insert(item.candidate.message, (conversation, position));
        let pile = self.piles.entry(conversation).or_default();
        pile.insert(position, item);
        if let Some((_, old)) = pile.iter_mut().rev().nth(LINES) {
            old.candidate.text = String::new();
            old.candidate.sender = String::new();
        }
        if pile.len() <= KEPT || crate::mutant("banner-pile-unbounded") {
            return None;
        }
        let (_, oldest) = pile.pop_first()?;
        self.index.remove(&oldest.candidate.message);
        Some(oldest)
    }

    pub(super) fn remove(&mut self, message: MessageId) -> Option<Item> {
        let (conversation, position) = self.index.remove(&message)?;
        let pile = self.piles.get_mut(&conversation)?;
        let item = pile.remove(&position);
        if pile.is_empty() {
            self.piles.remove(&conversation);
        }
        item
    }

    pub(super) fn get_mut(&mut self, message: MessageId) -> Option<&mut Item> {
        let (conversation, position) = self.index.get(&message)?;
        self.piles.get_mut(conversation)?.get_mut(position)
    }

    pub(super) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.piles.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// Conversations with something ready: direct ones first, then mentions, then the rest; the newest first.
    pub(super) fn ready(&self) -> Vec<ConversationId> {
        let mut found: Vec<_> = self.piles.iter().filter_map(|(id, pile)| Some((rank(pile)?, *id))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes what is ready in a conversation.
    pub(super) fn take(&mut self, conversation: ConversationId) -> Vec<Item> {
        let Some(pile) = self.piles.get_mut(&conversation) else { return Vec::new() };
        let taken: Vec<Item> = pile.extract_if(.., |_, item| item.ready).map(|(_, item)| item).collect();
        if pile.is_empty() {
            self.piles.remove(&conversation);
        }
        for item in &taken {
            self.index.remove(&item.candidate.message);
        }
        taken
    }
}

/// The lower, the sooner.
fn rank(pile: &Pile) -> Option<(u8, std::cmp::Reverse<Position>)> {
    let ready = pile.values().filter(|item| item.ready).map(|item| {
        let class = match (item.candidate.place.kind, item.candidate.mentions_me) {
            (crate::model::ConversationKind::Direct, _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        };
        (class, std::cmp::Reverse(item.candidate.position))
    });
    ready.min()
}
