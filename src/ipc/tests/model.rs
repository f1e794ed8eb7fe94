//! Cursors under concurrent change against a reference: whatever arrives, is edited or is filled in, and however often the
//! daemon restarts, every message that existed at a cursor's opening is given exactly once and in order.

use super::*;
use crate::ipc::wire::{Batch, CursorNext, CursorOpen};
use crate::model::{Amendment, Change, Order, Target};
use std::collections::BTreeSet;

/// Numbers below are filled into the past; from here on messages are live.
const LIVE: u64 = 10_000;

struct Reader {
    ascending: bool,
    opened: BTreeSet<u64>,
    later: BTreeSet<u64>,
    seen: Vec<u64>,
    cursor: Option<u64>,
    token: Option<String>,
}

impl Reader {
    fn take(&mut self, batch: Batch) {
        for row in batch.rows {
            let Row::Message(message) = row else { continue };
            let digits: String = message.text.chars().take_while(char::is_ascii_digit).collect();
            self.seen.push(digits.parse().unwrap());
        }
        (self.cursor, self.token) = (batch.cursor, batch.token);
    }

    fn check(&self, seed: u64) {
        let in_order =
            self.seen.windows(2).all(|pair| if self.ascending { pair[0] < pair[1] } else { pair[0] > pair[1] });
        assert!(in_order, "seed {seed}: doubled or out of order: {:?}", self.seen);
        let seen: BTreeSet<u64> = self.seen.iter().copied().collect();
        let lost: Vec<_> = self.opened.difference(&seen).collect();
        assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
        let extra: Vec<_> = seen.difference(&self.opened).filter(|n| !self.later.contains(n) || **n >= LIVE).collect();
        assert!(extra.is_empty(), "seed {seed}: not there at the opening: {extra:?}");
    }
}

struct World {
    house: House,
    team: ConversationId,
    client: Client,
    here: BTreeSet<u64>,
    next_live: u64,
    revision: u64,
    readers: Vec<Reader>,
    dice: fastrand::Rng,
}

impl World {
    async fn new(seed: u64) -> Self {
        let house = House::new().await;
        let team = house.conversation("team").await;
        let client = house.client().await;
        let dice = fastrand::Rng::with_seed(seed);
        Self { house, team, client, here: BTreeSet::new(), next_live: LIVE, revision: 0, readers: Vec::new(), dice }
    }

    async fn step(mut self) -> Self {
        match self.dice.u32(0..100) {
            0..25 => {
                let n = self.next_live;
                self.next_live += 1;
                self.message(n, Origin::Live).await;
            }
            25..45 => {
                let n = self.dice.u64(0..LIVE);
                if !self.here.contains(&n) {
                    self.message(n, Origin::History).await;
                }
            }
            45..55 => self.edit().await,
            55..65 if self.readers.len() < 8 => self.open().await,
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

    async fn message(&mut self, n: u64, origin: Origin) {
        self.house.apply(vec![Event::Message(Box::new(arrival("team", n, origin)))]).await;
        self.here.insert(n);
        for reader in &mut self.readers {
            reader.later.insert(n);
        }
    }

    async fn edit(&mut self) {
        let Some(n) = self.here.iter().nth(self.dice.usize(0..self.here.len().max(1))).copied() else { return };
        self.revision += 1;
        let change = Change {
            conversation: ConversationKey::server("team"),
            target: Target::Server(format!("e/team/{n}")),
            rev: self.revision,
            by: "bob".into(),
            at: Timestamp(T0),
            what: Amendment::Edit { text: format!("{n} edited") },
        };
        self.house.apply(vec![Event::Change(change)]).await;
    }

    async fn open(&mut self) {
        let ascending = self.dice.bool();
        let sort = if ascending { Order::Asc } else { Order::Desc };
        let find = if self.dice.bool() { in_conversation(self.team) } else { Find::default() };
        let batch = Some(self.dice.u32(0..6));
        let opened = self.client.call(CursorOpen { find: Find { sort, ..find }, batch, ..CursorOpen::default() });
        let mut reader = Reader {
            ascending,
            opened: self.here.clone(),
            later: BTreeSet::new(),
            seen: Vec::new(),
            cursor: None,
            token: None,
        };
        reader.take(opened.await.unwrap());
        self.readers.push(reader);
    }

    async fn advance(&mut self, which: usize) {
        let reader = &mut self.readers[which];
        if let Some(cursor) = reader.cursor {
            let ask = CursorNext { cursor, batch: Some(self.dice.u32(1..9)), wait_ms: None };
            reader.take(self.client.call(ask).await.unwrap());
        }
    }

    async fn restart(mut self) -> Self {
        self.house = self.house.restart().await;
        self.client = self.house.client().await;
        for reader in &mut self.readers {
            if let Some(token) = reader.token.take() {
                let ask = CursorOpen { token: Some(token), batch: Some(2), ..CursorOpen::default() };
                reader.take(self.client.call(ask).await.unwrap());
            }
        }
        self
    }
}

async fn run(seed: u64, steps: usize) {
    let mut world = World::new(seed).await;
    for _ in 0..steps {
        world = Box::pin(world.step()).await;
    }
    for which in 0..world.readers.len() {
        while world.readers[which].cursor.is_some() {
            world.advance(which).await;
        }
        world.readers[which].check(seed);
    }
}

#[tokio::test]
async fn every_message_that_existed_at_opening_is_given_exactly_once_in_order() {
    for seed in 0..12 {
        Box::pin(run(seed, 250)).await;
    }
}

#[tokio::test]
#[ignore = "minutes; run by hand with --ignored"]
async fn every_message_that_existed_at_opening_is_given_exactly_once_in_order_for_many_seeds() {
    for seed in 1_000..1_400 {
        Box::pin(run(seed, 400)).await;
    }
}

#[tokio::test]
async fn own_messages_that_settle_while_a_cursor_is_open_are_given_once() {
    use crate::model::{Outcome, Settled};
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
