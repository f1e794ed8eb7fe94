//! The gates that every candidate passes, in their order: first what ends it, then what delays it.

use super::input::{Candidate, Place};
use crate::model::{AccountId, Attention, ConversationKind, Timestamp};
use crate::notify::decision::Why;
use crate::notify::settings::{Choices, Override, Privacy, Quiet, Settings, Until};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is known of the world when a candidate is judged.
#[derive(Debug)]
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) choices: Choices,
    pub(super) attention: Attention,
    pub(super) locked: bool,
    pub(super) inhibited: bool,
    /// Wall time at one moment of the monotonic clock.
    pub(super) anchor: Option<(Instant, Timestamp)>,
    /// Local time's distance from UTC.
    pub(super) offset_s: i32,
    /// Accounts that are catching up: how long banners wait for them.
    pub(super) catching: BTreeMap<AccountId, Instant>,
    /// When we last wrote from another device.
    pub(super) elsewhere: BTreeMap<AccountId, Instant>,
}

/// What the gates say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Show,
    /// Not now; judge again at this time at the latest, or when something changes.
    Hold(Why, Option<Instant>),
    Drop(Why),
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            choices: Choices::default(),
            attention: Attention::default(),
            locked: false,
            inhibited: false,
            anchor: None,
            offset_s: 0,
            catching: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
        }
    }

    /// Judges a candidate that became due at `since`.
    pub(super) fn judge(&self, now: Instant, since: Instant, candidate: &Candidate) -> Judgement {
        match self.dropped(now, candidate) {
            Some(why) => Judgement::Drop(why),
            None => {
                self.held(now, since, candidate).map_or(Judgement::Show, |(why, until)| Judgement::Hold(why, until))
            }
        }
    }

    fn dropped(&self, now: Instant, candidate: &Candidate) -> Option<Why> {
        let age = self.wall(now).ms().saturating_sub(candidate.sent_at.ms());
        let looking =
            self.attention.looking.contains(&candidate.place.conversation) && !crate::mutant("banner-when-looking");
        let rules = [
            (!self.settings.enabled, Why::Off),
            (candidate.outgoing && !crate::mutant("banner-own"), Why::Own),
            (candidate.retracted, Why::Retracted),
            (candidate.read && !crate::mutant("banner-when-read"), Why::Read),
            (age > millis(self.settings.max_age) && !crate::mutant("banner-old"), Why::Old),
            (looking, Why::OnScreen),
            (self.muted(now, &candidate.place) && !crate::mutant("banner-muted"), Why::Muted),
            (!candidate.mentions_me && self.mentions_only(&candidate.place), Why::NoMention),
        ];
        rules.into_iter().find_map(|(holds, why)| holds.then_some(why))
    }

    fn held(&self, now: Instant, since: Instant, candidate: &Candidate) -> Option<(Why, Option<Instant>)> {
        if let Some(until) = self.catching.get(&candidate.place.account).filter(|until| now < **until)
            && !crate::mutant("banner-before-catchup")
        {
            return Some((Why::CatchUp, Some(*until)));
        }
        if let Some(end) = self.quiet_for(now) {
            return Some((Why::Quiet, now.checked_add(end)));
        }
        match self.choices.dnd {
            Some(until @ Until::Time(end)) if until.holds(self.wall(now)) => {
                return Some((Why::Dnd, now.checked_add(span(self.wall(now), end))));
            }
            Some(Until::Forever) => return Some((Why::Dnd, None)),
            Some(Until::Time(_)) | None => {}
        }
        if self.inhibited {
            return Some((Why::Inhibited, None));
        }
        let there = self.elsewhere.get(&candidate.place.account)?;
        let active = since.saturating_duration_since(*there) < self.settings.other_device_window;
        let until = since.checked_add(self.settings.other_device_delay)?;
        (active && now < until).then_some((Why::OtherDevice, Some(until)))
    }

    /// What is said for a conversation, before the account's word.
    fn overrides<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a Override> {
        let id = place.conversation.to_string();
        let table = &self.settings.conversations;
        let own = table
            .get(&id)
            .or_else(|| place.peer.as_ref().and_then(|peer| table.get(peer)))
            .or_else(|| table.get(&place.title));
        own.into_iter().chain(self.settings.accounts.get(&place.account_name))
    }

    pub(super) fn muted(&self, now: Instant, place: &Place) -> bool {
        let wall = self.wall(now);
        let by_hand = self.choices.conversations.get(&place.conversation);
        let account = self.choices.accounts.get(&place.account_name);
        by_hand.into_iter().chain(account).any(|until| until.holds(wall))
            || self.overrides(place).find_map(|over| over.mute).unwrap_or(false)
    }

    fn mentions_only(&self, place: &Place) -> bool {
        let group = !matches!(place.kind, ConversationKind::Direct);
        self.overrides(place).find_map(|over| over.mentions_only).unwrap_or(group && self.settings.mentions_only)
    }

    /// The picture for a conversation.
    pub(super) fn picture(&self, place: &Place) -> Option<std::path::PathBuf> {
        self.overrides(place).find_map(|over| over.picture.clone())
    }

    /// Whether who wrote what must not be seen now.
    pub(super) fn hidden(&self, place: &Place) -> bool {
        match self.overrides(place).find_map(|over| over.privacy).unwrap_or(self.settings.privacy) {
            Privacy::Show => false,
            Privacy::HideLocked => self.locked && !crate::mutant("banner-leaks-locked"),
            Privacy::Hide => true,
        }
    }

    /// What holds or drops every banner at this moment.
    pub(super) fn obstacles(&self, now: Instant) -> Vec<Why> {
        let rules = [
            (!self.settings.enabled, Why::Off),
            (self.quiet_for(now).is_some(), Why::Quiet),
            (self.choices.dnd.is_some_and(|until| until.holds(self.wall(now))), Why::Dnd),
            (self.inhibited, Why::Inhibited),
        ];
        rules.into_iter().filter_map(|(holds, why)| holds.then_some(why)).collect()
    }

    /// Wall time at a moment.
    pub(super) fn wall(&self, now: Instant) -> Timestamp {
        let Some((then, wall)) = self.anchor else { return Timestamp::default() };
        Timestamp(wall.ms().saturating_add(millis(now.saturating_duration_since(then))))
    }

    /// How long quiet time still lasts; `None`: it is not quiet.
    fn quiet_for(&self, now: Instant) -> Option<Duration> {
        let Quiet { from, to } = self.choices.quiet_hours(self.settings.quiet)?;
        let local_s = self.wall(now).ms().div_euclid(1000).saturating_add(i64::from(self.offset_s));
        let second = local_s.rem_euclid(DAY_S);
        let (from, to) = (i64::from(from) * 60, i64::from(to) * 60);
        let quiet = if from <= to { (from..to).contains(&second) } else { second >= from || second < to };
        let left = (to - second).rem_euclid(DAY_S);
        quiet.then(|| Duration::from_secs(u64::try_from(left).unwrap_or_default()))
    }
}

const DAY_S: i64 = 24 * 3600;

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(to.ms().saturating_sub(from.ms())).unwrap_or_default())
}
