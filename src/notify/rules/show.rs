//! Turning what is ready into notices: one a conversation, so many within a window, then a summary.

use super::queue::Item;
use super::screen::{Slot, compose};
use super::{Output, Rules};
use crate::model::{ConversationId, MessageId};
use crate::notify::decision::{Verdict, Why};
use crate::notify::desktop::{DesktopError, Shown};
use crate::store::BannerState;
use std::time::{Duration, Instant};

/// A notice is not rewritten more often than this, unless it has to hide something.
const REWRITE: Duration = Duration::from_secs(2);
/// A missing server is asked for at most this often.
const WAKE: Duration = Duration::from_secs(30);

/// The notice that is with the server.
#[derive(Debug)]
pub(super) struct Flight {
    slot: Slot,
    pub(super) fresh: Vec<Item>,
    hidden: bool,
    counted: bool,
    /// A message on it has gone meanwhile.
    stale: bool,
}

impl Flight {
    pub(super) fn forget(&mut self, message: MessageId) {
        let before = self.fresh.len();
        self.fresh.retain(|item| item.candidate.message != message);
        self.stale |= self.fresh.len() != before;
    }
}

impl Rules {
    pub(super) fn flying(&self, message: MessageId) -> bool {
        let fresh = self.flight.iter().flat_map(|flight| &flight.fresh);
        fresh.into_iter().any(|item| item.candidate.message == message)
    }

    pub(super) fn flying_in(&self, conversation: ConversationId) -> bool {
        let fresh = self.flight.iter().flat_map(|flight| &flight.fresh);
        fresh.into_iter().any(|item| item.candidate.place.conversation == conversation)
    }

    /// Shows the next thing that may be shown now. The rest follows on its answer.
    pub(super) fn flush(&mut self, now: Instant) {
        if self.flight.is_some() {
            return;
        }
        if self.server.is_none() {
            self.wait_for_server(now);
            return;
        }
        if self.rewrite(now) {
            return;
        }
        let ready = self.queue.ready();
        let Some(first) = ready.first().copied() else { return };
        let (limit, window) = (self.world.settings.rate, self.world.settings.rate_window);
        let available = self.rate.available(now, limit, window);
        if available == 0 {
            self.wake_at(self.rate.next(window));
            self.tell_ready(now, Why::Rate);
        } else if ready.len() > available && available == 1 {
            let fresh = ready.into_iter().flat_map(|id| self.queue.take(id)).collect();
            self.launch(now, Slot::Summary, fresh);
        } else {
            let fresh = self.queue.take(first);
            self.launch(now, Slot::Conversation(first), fresh);
        }
    }

    /// Writes one notice anew that is no longer true; `true` if there was one.
    fn rewrite(&mut self, now: Instant) -> bool {
        let stale = self.screen.cards.iter().filter_map(|(slot, card)| Some((card.refresh?, *slot)));
        let Some((at, slot)) = stale.min() else { return false };
        if at > now {
            self.wake_at(Some(at));
            return false;
        }
        if let Some(card) = self.screen.cards.get_mut(&slot) {
            card.refresh = None;
        }
        self.send(slot, Vec::new(), false);
        true
    }

    fn launch(&mut self, now: Instant, slot: Slot, fresh: Vec<Item>) {
        self.rate.spend(now);
        self.send(slot, fresh, true);
    }

    fn send(&mut self, slot: Slot, fresh: Vec<Item>, counted: bool) {
        let card = self.screen.cards.get(&slot);
        let note = compose(&self.world, self.accounts.len() > 1, card, slot, &fresh, &self.counts);
        let replaces = card.map_or(0, |card| card.shown.id);
        self.flight = Some(Flight { slot, fresh, hidden: note.hidden, counted, stale: false });
        self.outputs.push_back(Output::Notify(replaces, Box::new(note)));
    }

    /// The server has answered for the notice in flight.
    pub(super) fn answer(&mut self, now: Instant, answer: Result<Shown, DesktopError>) {
        let Some(flight) = self.flight.take() else { return };
        match answer {
            Ok(shown) => self.landed(now, flight, shown),
            Err(DesktopError::Refused(_)) => {
                for item in &flight.fresh {
                    self.drop_candidate(now, &item.candidate, Why::Refused);
                }
            }
            Err(DesktopError::Absent(_) | DesktopError::Silent) => {
                (self.server, self.down) = (None, true);
                if flight.counted {
                    self.rate.refund();
                }
                if let Some(card) = self.screen.cards.get_mut(&flight.slot).filter(|_| !flight.counted) {
                    card.refresh = Some(now);
                }
                for item in flight.fresh {
                    self.enqueue(now, item);
                }
            }
        }
    }

    fn landed(&mut self, now: Instant, flight: Flight, shown: Shown) {
        let Flight { slot, fresh, hidden, stale, .. } = flight;
        let state = || BannerState::Shown { server: shown.server.clone(), id: shown.id };
        let moved = self.screen.cards.get(&slot).filter(|card| card.shown != shown);
        let moved: Vec<_> = moved.into_iter().flat_map(|card| card.seen.values()).map(|seen| seen.message).collect();
        for message in moved.into_iter().chain(fresh.iter().map(|item| item.candidate.message)) {
            self.outputs.push_back(Output::Record(message, state()));
        }
        for item in &fresh {
            let why = match slot {
                _ if item.again => Why::Again,
                Slot::Summary => Why::Summary,
                Slot::Conversation(_) => Why::Wanted,
            };
            self.decide(now, &item.candidate, Verdict::Shown, why);
        }
        if fresh.is_empty() && !self.screen.cards.contains_key(&slot) {
            // Everything on it was read while it was on its way.
            self.outputs.push_back(Output::Close(shown.id));
            return;
        }
        for over in self.screen.put(now, slot, shown, hidden, &fresh) {
            self.count_shown(&over);
        }
        if stale {
            self.refresh(now, slot);
        }
        self.check_privacy(now);
    }

    fn wait_for_server(&mut self, now: Instant) {
        if !self.down || self.queue.ready().is_empty() {
            return;
        }
        self.tell_ready(now, Why::NoServer);
        if self.woken.is_none_or(|at| now.saturating_duration_since(at) >= WAKE) {
            self.woken = Some(now);
            self.outputs.push_back(Output::Wake);
        }
    }

    fn tell_ready(&mut self, now: Instant, why: Why) {
        let waiting = self.queue.items_mut().filter(|item| item.ready && item.told != Some(why));
        let waiting: Vec<_> = waiting.map(|item| item.candidate.message).collect();
        for message in waiting {
            if let Some(mut item) = self.queue.remove(message) {
                self.tell_held(now, &mut item, why);
                self.enqueue(now, item);
            }
        }
    }

    /// A card is no longer true.
    pub(super) fn refresh(&mut self, now: Instant, slot: Slot) {
        if let Some(card) = self.screen.cards.get_mut(&slot) {
            let at = card.written.checked_add(REWRITE).unwrap_or(now).max(now);
            card.refresh = Some(card.refresh.map_or(at, |earlier| earlier.min(at)));
            self.wake_at(Some(at));
        }
    }

    /// Cards that hide too little or too much are written anew at once.
    pub(super) fn check_privacy(&mut self, now: Instant) {
        for card in self.screen.cards.values_mut() {
            let hidden = card.seen.values().any(|seen| self.world.hidden(&seen.place));
            if hidden != card.hidden {
                card.refresh = Some(now);
            }
        }
    }

    pub(super) fn edited(&mut self, now: Instant, message: MessageId, text: &str) {
        if let Some(item) = self.queue.get_mut(message).filter(|item| !item.candidate.text.is_empty()) {
            item.candidate.text = text.to_owned();
        }
        if let Some(slot) = self.screen.edit(message, text) {
            self.refresh(now, slot);
        }
    }
}
