//! Messages that are only counted: of each conversation the newest [`KEPT`] wait or stand on screen one by one, so that
//! neither memory nor the work for a message grows with what is unread.

use super::Rules;
use super::input::{Candidate, Output};
use super::screen::Slot;
use crate::model::ConversationId;
use crate::notify::decision::{Verdict, Why};
use crate::store::BannerState;
use std::collections::BTreeMap;
use std::time::Instant;

/// So many messages of a conversation are kept one by one, in the queue and on its card.
pub(super) const KEPT: usize = 32;

/// How many of each conversation are only counted.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<ConversationId, usize>);

impl Counts {
    pub(super) fn of(&self, conversation: ConversationId) -> usize {
        self.0.get(&conversation).copied().unwrap_or_default()
    }

    fn add(&mut self, conversation: ConversationId) {
        let count = self.0.entry(conversation).or_default();
        *count = count.saturating_add(1);
    }
}

impl Rules {
    /// How many messages of a conversation are only counted. The store knows them by their reason.
    #[must_use]
    pub fn counted_in(&self, conversation: ConversationId) -> usize {
        self.counts.of(conversation)
    }

    /// It waits no longer by itself.
    pub(super) fn count(&mut self, now: Instant, candidate: &Candidate) {
        self.decide(now, candidate, Verdict::Dropped, Why::Counted);
        self.count_shown(candidate);
    }

    /// It stays on screen as a number.
    pub(super) fn count_shown(&mut self, candidate: &Candidate) {
        self.counts.add(candidate.place.conversation);
        let counted = BannerState::Dropped(Why::Counted.code().into());
        self.outputs.push_back(Output::Record(candidate.message, counted));
    }

    /// The store has counted: some were read, or the daemon has just started.
    pub(super) fn counted(&mut self, now: Instant, conversation: ConversationId, number: usize) {
        if self.counts.of(conversation) == number {
            return;
        }
        self.counts.0.insert(conversation, number);
        for slot in [Slot::Conversation(conversation), Slot::Summary] {
            if self.screen.has(slot, conversation) {
                self.refresh(now, slot);
            }
        }
    }

    /// Numbers of conversations of which nothing waits or is on screen any more are over.
    pub(super) fn forget_counts(&mut self) {
        let before = |id| self.before.values().any(|item| item.candidate.place.conversation == id);
        let alive = |id| self.queue.has(id) || self.screen.shows(id) || self.flying_in(id) || before(id);
        let over: Vec<ConversationId> = self.counts.0.keys().copied().filter(|id| !alive(*id)).collect();
        for conversation in over {
            self.counts.0.remove(&conversation);
            self.outputs.push_back(Output::Uncount(conversation));
        }
    }
}
