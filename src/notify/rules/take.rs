//! Taking candidates in: fresh ones, those left over from before a restart, and those whose server has gone.

use super::input::Candidate;
use super::judge::Judgement;
use super::queue::Item;
use super::screen::Slot;
use super::{Output, Rules};
use crate::notify::decision::{Verdict, Why};
use crate::notify::desktop::Shown;
use std::time::Instant;

impl Rules {
    pub(super) fn candidate(&mut self, now: Instant, candidate: Candidate) {
        if self.tracks(candidate.message) || self.flying(candidate.message) {
            return;
        }
        self.accounts.insert(candidate.place.account_name.clone());
        if candidate.catch_up {
            let until = now.checked_add(self.world.settings.catch_up).unwrap_or(now);
            self.world.catching.entry(candidate.place.account).or_insert(until);
        }
        let item = Item::new(candidate, now);
        match item.candidate.shown {
            Some(_) if self.server.is_none() => {
                self.before.insert(item.candidate.message, item);
            }
            _ => {
                let (message, shown) = (item.candidate.message, item.candidate.shown.clone());
                self.take_in(now, item);
                self.close_left_over(shown.filter(|_| !self.tracks(message)));
            }
        }
    }

    /// Judges one and puts it where it belongs.
    fn take_in(&mut self, now: Instant, mut item: Item) {
        let judgement = self.world.judge(now, item.since, &item.candidate);
        let shown = item.candidate.shown.take();
        match (judgement, shown) {
            (Judgement::Drop(why), _) => self.drop_candidate(now, &item.candidate, why),
            (_, Some(shown)) if Some(&shown.server) == self.server.as_ref() => self.restore(now, shown, item),
            (Judgement::Hold(why, until), _) => {
                self.tell_held(now, &mut item, why);
                self.wake_at(until);
                self.enqueue(now, item);
            }
            (Judgement::Show, _) => {
                item.ready = true;
                self.enqueue(now, item);
            }
        }
    }

    /// It is still on the same server's screen: it is written again in its place, without a sound.
    fn restore(&mut self, now: Instant, shown: Shown, item: Item) {
        let conversation = item.candidate.place.conversation;
        let slot = match self.screen.slot_of(shown.id) {
            Some(slot) if slot == Slot::Conversation(conversation) => slot,
            None if !self.screen.cards.contains_key(&Slot::Conversation(conversation)) => {
                Slot::Conversation(conversation)
            }
            Some(Slot::Conversation(_)) => self.merge_into_summary(now, &shown),
            _ => Slot::Summary,
        };
        self.decide(now, &item.candidate, Verdict::Shown, Why::Again);
        for over in self.screen.put(now, slot, shown, false, &[item]) {
            self.count_shown(&over);
        }
        if let Some(card) = self.screen.cards.get_mut(&slot) {
            card.refresh = Some(now);
        }
    }

    /// One notice with messages of several conversations was a summary.
    fn merge_into_summary(&mut self, now: Instant, shown: &Shown) -> Slot {
        if let Some(card) = self.screen.slot_of(shown.id).and_then(|slot| self.screen.take(slot)) {
            for over in self.screen.adopt(now, Slot::Summary, card) {
                self.count_shown(&over);
            }
        }
        Slot::Summary
    }

    pub(super) fn up(&mut self, now: Instant, server: String) {
        (self.server, self.down) = (Some(server.clone()), false);
        let lost: Vec<Slot> =
            self.screen.cards.iter().filter(|(_, card)| card.shown.server != server).map(|(s, _)| *s).collect();
        for slot in lost {
            self.lose(now, slot);
        }
        let mut left_over = Vec::new();
        for item in std::mem::take(&mut self.before).into_values() {
            let (message, shown) = (item.candidate.message, item.candidate.shown.clone());
            self.take_in(now, item);
            left_over.extend(shown.filter(|_| !self.tracks(message)));
        }
        left_over.dedup();
        self.close_left_over(left_over);
        self.rejudge(now);
    }

    /// The server that had it is gone: what is still unread comes back, without a sound.
    fn lose(&mut self, now: Instant, slot: Slot) {
        let Some(card) = self.screen.take(slot) else { return };
        for candidate in card.seen.into_values() {
            let mut item = Item::new(candidate, now);
            item.again = true;
            self.take_in(now, item);
        }
    }

    /// What this server still shows and nobody wants.
    fn close_left_over(&mut self, shown: impl IntoIterator<Item = Shown>) {
        for shown in shown {
            if Some(&shown.server) == self.server.as_ref() && self.screen.slot_of(shown.id).is_none() {
                self.outputs.push_back(Output::Close(shown.id));
            }
        }
    }
}
