//! Cursors under concurrent change against a reference: whatever arrives, is edited, deleted, read or filled in, and however
//! often the daemon restarts, every message that existed at a cursor's opening, and still exists and fits, is given exactly
//! once and in order; a tail gives what comes after it too. `MODEL_SEEDS=FROM..TO` chooses the seeds of the long form.

use super::*;
use crate::ipc::wire::{Batch, CursorNext, CursorOpen, NoteKind, OutboxCancel};
use crate::model::{Amendment, Change, MessageId, Order, Outcome, Settled, Target};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers below are filled into the past; from here on messages are live.
const LIVE: u64 = 10_000;
/// From here on they are our own, whose place is not known while they wait.
const OWN: u64 = 1_000_000;

/// What a reader looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    All,
    Bob,
    Link,
    Unread,
}

/// A message as the reference knows it.
#[derive(Clone, Copy, Debug)]
struct Known {
    link: bool,
    unread: bool,
}

impl Want {
    fn fits(self, n: u64, known: Known) -> bool {
        match self {
            Self::All => true,
            Self::Bob => n < OWN && n.is_multiple_of(3),
            Self::Link => known.link,
            Self::Unread => known.unread,
        }
    }
}

struct Reader {
    want: Want,
    ascending: bool,
    tail: bool,
    /// Existed at the opening, and has existed and fitted ever since.
    must: BTreeSet<u64>,
    /// Has fitted at some time since the opening.
    may: BTreeSet<u64>,
    seen: Vec<u64>,
    told: BTreeSet<u64>,
    cursor: Option<u64>,
    token: Option<String>,
}

fn number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

impl Reader {
    fn take(&mut self, batch: Batch) -> bool {
        let empty = batch.rows.is_empty();
        for row in batch.rows {
            let Row::Message(message) = row else { continue };
            self.seen.push(number(&message.text));
        }
        let told = batch.notes.iter().filter(|note| matches!(note.kind, NoteKind::Changed | NoteKind::Filled));
        self.told.extend(told.filter_map(|note| note.message.as_ref()).map(|message| number(&message.text)));
        (self.cursor, self.token) = (batch.cursor, batch.token);
        !empty
    }

    fn check(&self, seed: u64) {
        let who = format!("seed {seed}, {:?} {} {}", self.want, self.ascending, self.tail);
        let placed: Vec<u64> = self.seen.iter().copied().filter(|n| *n < OWN).collect();
        let in_order = placed.windows(2).all(|pair| if self.ascending { pair[0] < pair[1] } else { pair[0] > pair[1] });
        let seen: BTreeSet<u64> = self.seen.iter().copied().collect();
        assert!(in_order && seen.len() == self.seen.len(), "{who}: doubled or out of order: {:?}", self.seen);
        let lost: Vec<_> = self.must.difference(&seen).filter(|n| !(**n >= OWN && self.told.contains(n))).collect();
        assert!(lost.is_empty(), "{who}: lost {lost:?} of {:?}", self.seen);
        let extra: Vec<_> = seen.difference(&self.may).collect();
        assert!(extra.is_empty(), "{who}: not there at the opening, or never fitting: {extra:?}");
    }
}

struct World {
    house: House,
    team: ConversationId,
    client: Client,
    here: BTreeMap<u64, Known>,
    /// Our own ones that wait: by number, their ids.
    waiting: BTreeMap<u64, MessageId>,
    next_live: u64,
    next_own: u64,
    revision: u64,
    read: bool,
    readers: Vec<Reader>,
    dice: fastrand::Rng,
}

impl World {
    async fn new(seed: u64) -> Self {
        let house = House::new().await;
        let team = house.conversation("team").await;
        let client = house.client().await;
        Self {
            house,
            team,
            client,
            here: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_live: LIVE,
            next_own: OWN,
            revision: 0,
            read: false,
            readers: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    async fn step(mut self) -> Self {
        match self.dice.u32(0..100) {
            0..20 => {
                let n = self.next_live;
                self.next_live += 1;
                self.message(n, Origin::Live).await;
            }
            20..35 => {
                let n = self.dice.u64(0..LIVE);
                if !self.here.contains_key(&n) {
                    self.message(n, Origin::History).await;
                }
            }
            35..45 => self.edit().await,
            45..51 => self.write().await,
            51..54 => self.delete().await,
            54..57 => self.settle().await,
            57..58 => self.mark_read().await,
            58..66 if self.readers.len() < 10 => self.open().await,
            98..100 => return self.restart().await,
            _ => {
                if !self.readers.is_empty() {
                    let which = self.dice.usize(0..self.readers.len());
                    self.advance(which).await;
                }
            }
        }
        self
    }

    /// A message is new, or is not what it was: each reader's expectations follow. `new`: it came after the openings.
    fn became(&mut self, n: u64, known: Known, new: bool) {
        self.here.insert(n, known);
        for reader in &mut self.readers {
            match (reader.want.fits(n, known), new) {
                (true, true) if reader.tail => {
                    reader.must.insert(n);
                    reader.may.insert(n);
                }
                (true, true) => {}
                (true, false) => {
                    // Fits now: it may be given if it was there, or was filled into the past.
                    if n < LIVE || reader.tail || reader.may.contains(&n) || reader.was_here(n) {
                        reader.may.insert(n);
                    }
                }
                (false, _) => {
                    reader.must.remove(&n);
                }
            }
        }
    }

    async fn message(&mut self, n: u64, origin: Origin) {
        let sender = if n.is_multiple_of(3) { "bob" } else { "carol" };
        let link = n.is_multiple_of(5);
        let text = if link { format!("{n} http://x") } else { n.to_string() };
        let row = Arrival { sender: sender.into(), text, ..arrival("team", n, origin) };
        self.house.apply(vec![Event::Message(Box::new(row))]).await;
        // What is filled in is unread only above the mark; whether a reader gets it is left open.
        let unread = origin == Origin::Live || self.read;
        self.became(n, Known { link, unread }, origin == Origin::Live);
    }

    async fn edit(&mut self) {
        let placed: Vec<u64> = self.here.keys().copied().filter(|n| *n < OWN).collect();
        let Some(n) = placed.get(self.dice.usize(0..placed.len().max(1))).copied() else { return };
        self.revision += 1;
        let link = self.dice.bool();
        let change = Change {
            conversation: ConversationKey::server("team"),
            target: Target::Server(format!("e/team/{n}")),
            rev: self.revision,
            by: "bob".into(),
            at: Timestamp(T0),
            what: Amendment::Edit { text: format!("{n} edited{}", if link { " http://y" } else { "" }) },
        };
        self.house.apply(vec![Event::Change(change)]).await;
        let unread = self.here[&n].unread;
        self.became(n, Known { link, unread }, false);
    }

    async fn write(&mut self) {
        let n = self.next_own;
        self.next_own += 1;
        let sent = self.client.send("ann", "team", &format!("{n} own")).await.unwrap();
        self.waiting.insert(n, sent.id);
        self.became(n, Known { link: false, unread: false }, true);
    }

    /// One of ours is taken back before it left: it is gone.
    async fn delete(&mut self) {
        let Some((n, id)) = self.waiting.iter().nth(self.dice.usize(0..self.waiting.len().max(1))) else { return };
        let (n, id) = (*n, *id);
        if self.client.call(OutboxCancel { id }).await.unwrap().cancelled {
            self.waiting.remove(&n);
            self.here.remove(&n);
            for reader in &mut self.readers {
                reader.must.remove(&n);
            }
        }
    }

    /// The server has all of ours that wait: they get their places, above all that is here.
    async fn settle(&mut self) {
        let rows = self.house.store.take_outbox(self.house.account, 99, Timestamp(T0)).await.unwrap();
        let mut events = Vec::new();
        for row in rows {
            let at = Timestamp(T0 + i64::try_from(self.next_live).unwrap() * 1_000);
            let server = Some(ServerRef { id: format!("e/team/{}", self.next_live), order: None });
            self.next_live += 1;
            let outcome = Outcome::Sent { conversation: None, server, at };
            events.push(Event::Settled(Settled { outbox: row.outbox, outcome }));
        }
        self.house.apply(events).await;
        self.waiting.clear();
    }

    async fn mark_read(&mut self) {
        self.house.store.mark_read(self.team, None, Timestamp(T0)).await.unwrap();
        self.read = true;
        self.here.values_mut().for_each(|known| known.unread = false);
        for reader in self.readers.iter_mut().filter(|reader| reader.want == Want::Unread) {
            reader.must.clear();
        }
    }

    async fn open(&mut self) {
        let want = [Want::All, Want::All, Want::Bob, Want::Link, Want::Unread][self.dice.usize(0..5)];
        let ascending = self.dice.bool();
        let tail = ascending && self.dice.bool();
        let mut find = if self.dice.bool() { in_conversation(self.team) } else { Find::default() };
        find.sort = if ascending { Order::Asc } else { Order::Desc };
        find.sender = (want == Want::Bob).then(|| "bob".into());
        (find.has_link, find.unread) = (want == Want::Link, want == Want::Unread);
        let batch = Some(self.dice.u32(0..6));
        let opened = self.client.call(CursorOpen { find, batch, tail, wait_ms: Some(0), ..CursorOpen::default() });
        let fits: BTreeSet<u64> =
            self.here.iter().filter(|(n, known)| want.fits(**n, **known)).map(|(n, _)| *n).collect();
        // What is filled in counts as unread here although it may not be: it is never required.
        let must = fits.iter().copied().filter(|n| want != Want::Unread || *n >= LIVE).collect();
        let mut reader = Reader {
            want,
            ascending,
            tail,
            must,
            may: self.here.keys().copied().filter(|n| want.fits(*n, self.here[n]) || want == Want::Link).collect(),
            seen: Vec::new(),
            told: BTreeSet::new(),
            cursor: None,
            token: None,
        };
        reader.take(opened.await.unwrap());
        self.readers.push(reader);
    }

    /// `false` when it gave nothing.
    async fn advance(&mut self, which: usize) -> bool {
        let reader = &mut self.readers[which];
        let Some(cursor) = reader.cursor else { return false };
        let ask = CursorNext { cursor, batch: Some(self.dice.u32(1..9)), wait_ms: Some(0) };
        reader.take(self.client.call(ask).await.unwrap())
    }

    async fn restart(mut self) -> Self {
        self.house = self.house.restart().await;
        self.client = self.house.client().await;
        for reader in &mut self.readers {
            if let Some(token) = reader.token.take() {
                let ask = CursorOpen { token: Some(token), batch: Some(2), wait_ms: Some(0), ..CursorOpen::default() };
                reader.take(self.client.call(ask).await.unwrap());
            }
        }
        self
    }
}

impl Reader {
    /// With a filter on links an edit may bring in what was there without one; `may` holds all that was.
    fn was_here(&self, n: u64) -> bool {
        self.may.contains(&n)
    }
}

async fn run(seed: u64, steps: usize) {
    let mut world = World::new(seed).await;
    for _ in 0..steps {
        world = Box::pin(world.step()).await;
    }
    for which in 0..world.readers.len() {
        // A tail ends when it has twice nothing more to give: once at the end of history, once of what was new.
        let mut nothing = 0;
        while world.readers[which].cursor.is_some() && nothing < 2 {
            nothing = if world.advance(which).await { 0 } else { nothing + 1 };
        }
        world.readers[which].check(seed);
    }
}

/// Ten seeds; `MODEL_SEEDS=FROM..TO` plays others and longer (tests/long/cursors).
#[tokio::test]
async fn every_message_that_existed_at_opening_is_given_exactly_once_in_order() {
    let asked = std::env::var("MODEL_SEEDS").ok();
    let steps = if asked.is_some() { 400 } else { 250 };
    let seeds = asked.unwrap_or_else(|| "0..10".into());
    let (from, to) = seeds.split_once("..").expect("MODEL_SEEDS is FROM..TO");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        Box::pin(run(seed, steps)).await;
    }
}

#[tokio::test]
async fn own_messages_that_settle_while_a_cursor_is_open_are_given_once() {
    for ascending in [true, false] {
        let mut house = House::new().await;
        let team = house.conversation("team").await;
        house.arrive("team", 0..6).await;
        let client = house.client().await;
        for n in 0..4 {
            client.send("ann", "team", &format!("own {n}")).await.unwrap();
        }
        let find = Find { sort: if ascending { Order::Asc } else { Order::Desc }, ..in_conversation(team) };
        let mut cursor = client.find(find).batch_size(1);
        let mut seen = Vec::new();
        for _ in 0..if ascending { 8 } else { 2 } {
            seen.push(cursor.next().await.unwrap().unwrap());
        }
        let rows = house.store.take_outbox(house.account, 9, Timestamp(T0)).await.unwrap();
        let settle = |(n, row): (usize, &crate::model::Command)| {
            let server = Some(ServerRef { id: format!("e/team/own{n}"), order: None });
            let at = Timestamp(T0 + 5_500 + i64::try_from(n).unwrap());
            let outcome = Outcome::Sent { conversation: None, server, at };
            Event::Settled(Settled { outbox: row.outbox, outcome })
        };
        house.apply(rows.iter().enumerate().map(settle).collect()).await;
        seen.extend(cursor.to_vec(99).await.unwrap());
        let mut all = texts(&seen);
        all.sort();
        let mut expected: Vec<String> = numbers(0..6);
        expected.extend((0..4).map(|n| format!("own {n}")));
        assert_eq!(all, expected, "ascending: {ascending}");
    }
}
