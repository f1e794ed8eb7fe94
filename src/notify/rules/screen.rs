//! What is on screen: one notice a conversation, and at most one summary over several.

use super::counts::{Counts, KEPT};
use super::input::{Candidate, Place};
use super::judge::World;
use super::note::{LINES, Line, Note};
use super::queue::Item;
use crate::model::{ConversationId, ConversationKind, MessageId, Position};
use crate::notify::desktop::{Shown, Urgency};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Which notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// A conversation's own.
    Conversation(ConversationId),
    /// The summary over several.
    Summary,
}

/// One notice on screen.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) shown: Shown,
    /// In the order of history; the texts of those that are only counted are empty.
    pub(super) seen: BTreeMap<(Position, ConversationId), Candidate>,
    /// It hides who wrote what.
    pub(super) hidden: bool,
    /// What it says is no longer true: to be written anew, silently, not before this time.
    pub(super) refresh: Option<Instant>,
    /// When it was last written.
    pub(super) written: Instant,
}

impl Card {
    fn of(&self, conversation: ConversationId) -> impl Iterator<Item = &Candidate> {
        self.seen.values().filter(move |seen| seen.place.conversation == conversation)
    }

    /// Takes the oldest of a conversation off until as many are left as are kept.
    fn overflow(&mut self, conversation: ConversationId) -> Vec<Candidate> {
        let count = self.of(conversation).count();
        if crate::mutant("banner-pile-unbounded") {
            return Vec::new();
        }
        let oldest = self.of(conversation).take(count.saturating_sub(KEPT));
        let oldest: Vec<_> = oldest.map(|seen| (seen.position, conversation)).collect();
        oldest.iter().flat_map(|key| self.seen.remove(key)).collect()
    }
}

/// All notices on screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) cards: BTreeMap<Slot, Card>,
    index: BTreeMap<MessageId, (Slot, Position, ConversationId)>,
}

impl Screen {
    pub(super) fn contains(&self, message: MessageId) -> bool {
        self.index.contains_key(&message)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = MessageId> {
        self.index.keys().copied()
    }

    pub(super) fn of(&self, conversation: ConversationId) -> impl Iterator<Item = MessageId> {
        let all = self.cards.values().flat_map(|card| card.seen.values());
        all.filter(move |seen| seen.place.conversation == conversation).map(|seen| seen.message)
    }

    pub(super) fn slot_of(&self, id: u32) -> Option<Slot> {
        self.cards.iter().find_map(|(slot, card)| (card.shown.id == id).then_some(*slot))
    }

    /// Whether a card stands for messages of a conversation.
    pub(super) fn has(&self, slot: Slot, conversation: ConversationId) -> bool {
        self.cards.get(&slot).is_some_and(|card| card.of(conversation).next().is_some())
    }

    /// Whether any card does.
    pub(super) fn shows(&self, conversation: ConversationId) -> bool {
        [Slot::Conversation(conversation), Slot::Summary].into_iter().any(|slot| self.has(slot, conversation))
    }

    /// Puts messages on a card, which is made if it is new. Gives those back that are too many to be kept one by one.
    #[must_use]
    pub(super) fn put(
        &mut self,
        now: Instant,
        slot: Slot,
        shown: Shown,
        hidden: bool,
        fresh: &[Item],
    ) -> Vec<Candidate> {
        let card = self.cards.entry(slot).or_insert_with(|| Card {
            shown: shown.clone(),
            seen: BTreeMap::new(),
            hidden,
            refresh: None,
            written: now,
        });
        (card.shown, card.hidden, card.written) = (shown, hidden, now);
        for item in fresh {
            let (position, conversation) = (item.candidate.position, item.candidate.place.conversation);
            card.seen.insert((position, conversation), item.candidate.clone());
            self.index.insert(item.candidate.message, (slot, position, conversation));
            if let Some((_, old)) = card.seen.iter_mut().rev().nth(LINES) {
                old.text = String::new();
            }
        }
        let conversations: BTreeSet<ConversationId> =
            fresh.iter().map(|item| item.candidate.place.conversation).collect();
        let over = conversations.into_iter().flat_map(|conversation| card.overflow(conversation));
        let over: Vec<Candidate> = over.collect();
        for seen in &over {
            self.index.remove(&seen.message);
        }
        over
    }

    /// Takes a message off its card; answers with the slot, the message, and the card if it was the last one on it.
    pub(super) fn remove(&mut self, message: MessageId) -> Option<(Slot, Candidate, Option<Card>)> {
        let (slot, position, conversation) = self.index.remove(&message)?;
        let card = self.cards.get_mut(&slot)?;
        let seen = card.seen.remove(&(position, conversation))?;
        let last = if card.seen.is_empty() { self.cards.remove(&slot) } else { None };
        Some((slot, seen, last))
    }

    /// Takes a whole card away.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Card> {
        let card = self.cards.remove(&slot)?;
        for seen in card.seen.values() {
            self.index.remove(&seen.message);
        }
        Some(card)
    }

    /// Puts a card's messages under another slot; see [`Screen::put`].
    #[must_use]
    pub(super) fn adopt(&mut self, now: Instant, slot: Slot, card: Card) -> Vec<Candidate> {
        let fresh: Vec<Item> = card.seen.into_values().map(|candidate| Item::new(candidate, now)).collect();
        self.put(now, slot, card.shown, card.hidden, &fresh)
    }

    /// Changes a message's text; answers with the card that lists it.
    pub(super) fn edit(&mut self, message: MessageId, text: &str) -> Option<Slot> {
        let (slot, position, conversation) = self.index.get(&message)?;
        let seen = self.cards.get_mut(slot)?.seen.get_mut(&(*position, *conversation))?;
        if seen.text.is_empty() {
            return None;
        }
        text.clone_into(&mut seen.text);
        Some(*slot)
    }
}

/// Writes what a slot says: what is on its card and what is new.
pub(super) fn compose(
    world: &World,
    many_accounts: bool,
    card: Option<&Card>,
    slot: Slot,
    fresh: &[Item],
    counts: &Counts,
) -> Note {
    let new = fresh.iter().map(|item| &item.candidate);
    let mut all: Vec<&Candidate> = card.into_iter().flat_map(|card| card.seen.values()).chain(new).collect();
    all.sort_by_key(|seen| seen.position);
    let hidden = all.iter().any(|seen| world.hidden(&seen.place));
    let places: BTreeSet<ConversationId> = all.iter().map(|seen| seen.place.conversation).collect();
    let picture = match slot {
        Slot::Summary => None,
        Slot::Conversation(_) => all.last().and_then(|seen| world.picture(&seen.place)),
    };
    let (conversation, title, lines) = match slot {
        Slot::Summary => (None, String::new(), count_lines(&all, counts)),
        Slot::Conversation(id) => {
            let place = all.last().map(|seen| Arc::clone(&seen.place));
            let title = place.as_deref().map(|place| title(place, many_accounts)).unwrap_or_default();
            let total = all.len();
            all.drain(..total.saturating_sub(LINES));
            (Some(id), title, all.iter().filter_map(|seen| line(seen)).collect())
        }
    };
    let counted = places.iter().map(|id| counts.of(*id)).sum();
    let total = card.map_or(0, |card| card.seen.len()).saturating_add(fresh.len()).saturating_add(counted);
    let quiet = fresh.iter().all(|item| item.again || item.candidate.silent);
    let low = !fresh.is_empty() && fresh.iter().all(|item| item.candidate.silent);
    Note {
        title: if hidden { String::new() } else { title },
        lines: if hidden { Vec::new() } else { lines },
        total,
        conversations: places.len(),
        conversation,
        hidden,
        picture: picture.filter(|_| !hidden),
        openable: !world.settings.open.is_empty() || world.settings.app.is_some(),
        silent: quiet || !world.attention.looking.is_empty(),
        urgency: if low { Urgency::Low } else { Urgency::Normal },
    }
}

fn title(place: &Place, many_accounts: bool) -> String {
    if many_accounts { format!("{} ({})", place.title, place.account_name) } else { place.title.clone() }
}

fn line(seen: &Candidate) -> Option<Line> {
    let direct = matches!(seen.place.kind, ConversationKind::Direct);
    let listed = !seen.text.is_empty();
    listed.then(|| Line { sender: (!direct).then(|| seen.sender.clone()), text: seen.text.clone() })
}

/// A line for each of the newest conversations: its name and how many.
fn count_lines(all: &[&Candidate], counts: &Counts) -> Vec<Line> {
    let mut rows: Vec<(&Place, usize)> = Vec::new();
    for seen in all.iter().rev() {
        let room = rows.len() < LINES;
        match rows.iter_mut().find(|(place, _)| place.conversation == seen.place.conversation) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if room => rows.push((&seen.place, counts.of(seen.place.conversation).saturating_add(1))),
            None => {}
        }
    }
    let line = |(place, count): (&Place, usize)| Line { sender: Some(place.title.clone()), text: count.to_string() };
    rows.into_iter().map(line).collect()
}
