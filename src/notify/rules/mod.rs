//! Which message deserves a banner, when, together with which others, and when it is taken away again.
//!
//! Pure: it is told what happened and says what to show. It never calls a notification server, reads the store or a
//! clock; it never shows a message twice with a sound, and never forgets one without saying why.

mod counts;
mod input;
mod judge;
mod note;
mod queue;
mod rate;
mod screen;
mod show;
#[cfg(test)]
mod table;
mod take;

pub use input::{Candidate, Input, Output, Place};
pub use note::{Line, Note};
pub use screen::Slot;

use super::decision::{Decision, Verdict, Why};
use super::desktop::Closed;
use super::settings::Settings;
use crate::machine::Machine;
use crate::model::{ConversationId, MessageId};
use crate::store::BannerState;
use counts::Counts;
use judge::{Judgement, World};
use queue::{Item, Queue};
use rate::Rate;
use screen::Screen;
use show::Flight;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// The rules. See [`Input`] and [`Output`].
#[derive(Debug)]
pub struct Rules {
    world: World,
    /// The notification server's unique bus name.
    server: Option<String>,
    /// It is known that there is none; before the first word about it nothing is asked for.
    down: bool,
    queue: Queue,
    screen: Screen,
    /// Shown before a restart, until the server is known; by its old place.
    before: BTreeMap<MessageId, Item>,
    /// What is only counted.
    counts: Counts,
    rate: Rate,
    flight: Option<Flight>,
    accounts: BTreeSet<String>,
    outputs: VecDeque<Output>,
    /// Something changed since ready candidates were last looked at.
    dirty: bool,
    deadline: Option<Instant>,
    woken: Option<Instant>,
    /// The time of the latest input.
    now: Option<Instant>,
}

impl Rules {
    /// With nothing known but the configuration.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            world: World::new(settings),
            server: None,
            down: false,
            queue: Queue::default(),
            screen: Screen::default(),
            before: BTreeMap::new(),
            counts: Counts::default(),
            rate: Rate::default(),
            flight: None,
            accounts: BTreeSet::new(),
            outputs: VecDeque::new(),
            dirty: false,
            deadline: None,
            woken: None,
            now: None,
        }
    }

    /// Whether a message waits or is on screen.
    #[must_use]
    pub fn tracks(&self, message: MessageId) -> bool {
        self.queue.contains(message) || self.screen.contains(message) || self.before.contains_key(&message)
    }

    /// Every message that waits or is on screen.
    #[must_use]
    pub fn tracked(&self) -> Vec<MessageId> {
        self.queue.messages().chain(self.screen.messages()).chain(self.before.keys().copied()).collect()
    }

    /// The messages of a conversation that wait or are on screen.
    #[must_use]
    pub fn tracked_in(&self, conversation: ConversationId) -> Vec<MessageId> {
        let before = self.before.values().filter(|item| item.candidate.place.conversation == conversation);
        let before = before.map(|item| item.candidate.message);
        self.queue.of(conversation).chain(self.screen.of(conversation)).chain(before).collect()
    }

    /// What a notice stands for: where, and its messages, oldest first.
    #[must_use]
    pub fn on_screen(&self, id: u32) -> Option<(Slot, Vec<(MessageId, &Place)>)> {
        let slot = self.screen.slot_of(id)?;
        let card = self.screen.cards.get(&slot)?;
        Some((slot, card.seen.values().map(|seen| (seen.message, &*seen.place)).collect()))
    }

    /// What keeps banners away at this moment, whoever writes.
    #[must_use]
    pub fn obstacles(&self, now: Instant) -> Vec<Why> {
        let world = &self.world;
        let mut found = world.obstacles(now);
        if self.server.is_none() {
            found.push(Why::NoServer);
        }
        found
    }

    /// Judges everything that waits anew.
    fn rejudge(&mut self, now: Instant) {
        self.deadline = None;
        let (mut dropped, mut held) = (Vec::new(), Vec::new());
        let mut deadline: Option<Instant> = None;
        for item in self.queue.items_mut() {
            let judgement = self.world.judge(now, item.since, &item.candidate);
            item.ready = judgement == Judgement::Show;
            match judgement {
                Judgement::Show => {}
                Judgement::Hold(why, until) => {
                    deadline = until.into_iter().chain(deadline).min();
                    if item.told != Some(why) {
                        held.push((item.candidate.message, why));
                    }
                }
                Judgement::Drop(why) => dropped.push((item.candidate.message, why)),
            }
        }
        self.wake_at(deadline);
        for (message, why) in held {
            if let Some(mut item) = self.queue.remove(message) {
                self.tell_held(now, &mut item, why);
                self.enqueue(now, item);
            }
        }
        for (message, why) in dropped {
            if let Some(item) = self.queue.remove(message) {
                self.drop_candidate(now, &item.candidate, why);
            }
        }
    }

    fn gone(&mut self, now: Instant, message: MessageId, why: Why) {
        if let Some(item) = self.queue.remove(message).or_else(|| self.before.remove(&message)) {
            // Left over from before: closed once the server is known.
            if let Some(shown) = item.candidate.shown.clone() {
                let mut item = Item::new(item.candidate.clone(), now);
                (item.candidate.read, item.candidate.shown) = (true, Some(shown));
                self.before.insert(message, item);
                return;
            }
            self.drop_candidate(now, &item.candidate, why);
        }
        if let Some(flight) = &mut self.flight {
            flight.forget(message);
        }
        if crate::mutant("banner-not-withdrawn") {
            return;
        }
        let Some((slot, seen, last)) = self.screen.remove(message) else { return };
        self.record_end(now, &seen, Verdict::Withdrawn, why);
        match last {
            Some(card) => self.outputs.push_back(Output::Close(card.shown.id)),
            None => self.refresh(now, slot),
        }
    }

    fn closed(&mut self, now: Instant, id: u32, reason: Closed) {
        let why = match reason {
            Closed::Dismissed => Why::Dismissed,
            Closed::Expired | Closed::Other => Why::Expired,
            Closed::Withdrawn => Why::Dismissed,
        };
        let Some(card) = self.screen.slot_of(id).and_then(|slot| self.screen.take(slot)) else { return };
        for seen in card.seen.values() {
            self.record_end(now, seen, Verdict::Withdrawn, why);
        }
    }

    /// Muted while on screen.
    fn withdraw_muted(&mut self, now: Instant) {
        let muted = |world: &World, place: &Place| world.muted(now, place);
        let cards = self.screen.cards.values().flat_map(|card| card.seen.values());
        let gone: Vec<_> = cards.filter(|seen| muted(&self.world, &seen.place)).map(|seen| seen.message).collect();
        for message in gone {
            self.gone(now, message, Why::Muted);
        }
    }

    /// It waits; the oldest of too many is only counted from now on.
    fn enqueue(&mut self, now: Instant, item: Item) {
        if let Some(oldest) = self.queue.insert(item) {
            self.count(now, &oldest.candidate);
        }
    }

    fn drop_candidate(&mut self, now: Instant, candidate: &Candidate, why: Why) {
        self.outputs.push_back(Output::Record(candidate.message, BannerState::Dropped(why.code().into())));
        self.decide(now, candidate, Verdict::Dropped, why);
    }

    fn tell_held(&mut self, now: Instant, item: &mut Item, why: Why) {
        if item.told == Some(why) {
            return;
        }
        item.told = Some(why);
        // What lasts seconds is not worth a write: a restart judges `due` and `held` alike.
        if !matches!(why, Why::CatchUp | Why::Rate | Why::OtherDevice) {
            self.outputs.push_back(Output::Record(item.candidate.message, BannerState::Held(why.code().into())));
        }
        self.decide(now, &item.candidate, Verdict::Held, why);
    }

    fn decide(&mut self, now: Instant, candidate: &Candidate, verdict: Verdict, why: Why) {
        self.decided(now, candidate.message, &candidate.place, verdict, why);
    }

    fn decided(&mut self, now: Instant, message: MessageId, place: &Place, verdict: Verdict, why: Why) {
        self.outputs.push_back(Output::Decided(Box::new(Decision {
            at: self.world.wall(now),
            message,
            conversation: place.conversation,
            account: place.account_name.clone(),
            verdict,
            why,
            text: why.text().into(),
        })));
    }

    fn record_end(&mut self, now: Instant, seen: &Candidate, verdict: Verdict, why: Why) {
        self.outputs.push_back(Output::Record(seen.message, BannerState::Dropped(why.code().into())));
        self.decided(now, seen.message, &seen.place, verdict, why);
    }

    fn wake_at(&mut self, at: Option<Instant>) {
        self.deadline = at.into_iter().chain(self.deadline).min();
    }
}

impl Machine for Rules {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        self.now = Some(now);
        self.dirty = true;
        match input {
            Input::Wall(wall, offset_s) => (self.world.anchor, self.world.offset_s) = (Some((now, wall)), offset_s),
            Input::Settings(settings) => {
                self.world.settings = *settings;
                self.rejudge(now);
                self.withdraw_muted(now);
                self.check_privacy(now);
            }
            Input::Choices(choices) => {
                self.world.choices = choices;
                self.rejudge(now);
                self.withdraw_muted(now);
            }
            Input::Attention(attention) => {
                self.world.attention = attention;
                self.rejudge(now);
            }
            Input::Locked(locked) => {
                self.world.locked = locked;
                self.check_privacy(now);
            }
            Input::OtherDevice(account) => {
                self.world.elsewhere.insert(account, now);
            }
            Input::Candidate(candidate) => self.candidate(now, *candidate),
            Input::Edited(message, text) => self.edited(now, message, &text),
            Input::Gone(message, why) => self.gone(now, message, why),
            Input::Counted(conversation, number) => self.counted(now, conversation, number),
            Input::CaughtUp(account) => {
                self.world.catching.remove(&account);
                self.rejudge(now);
            }
            Input::Up(server) => self.up(now, server),
            Input::Down => (self.server, self.down) = (None, true),
            Input::Inhibited(on) => {
                self.world.inhibited = on;
                self.rejudge(now);
            }
            Input::Answer(answer) => self.answer(now, answer),
            Input::Closed(id, reason) => self.closed(now, id, reason),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        if self.deadline.is_some_and(|at| at <= now) {
            self.rejudge(now);
            self.dirty = true;
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty()
            && let Some(now) = self.now
            && std::mem::take(&mut self.dirty)
        {
            self.forget_counts();
            self.flush(now);
        }
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}
