//! Random interleavings of server events, repeats, gaps, sends, restarts and reads against a simple reference model.

use super::*;
use crate::model::{Amendment, Change, MessageId, MessageState, Target};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const CONVERSATIONS: [&str; 2] = ["c1", "c2"];
/// Orders below this are others' messages, from here on ours.
const OURS: u64 = 100;

#[derive(Clone, Debug)]
enum Op {
    /// The server tells of these messages of others, in one batch.
    Arrive(usize, Vec<u64>),
    Edit(usize, u64, u64),
    ReadByMe(usize, u64),
    ReadByBob(usize, u64),
    /// The user reads everything here.
    ReadHere(usize),
    Send(usize),
    /// The link takes rows; the server takes each once.
    Take(usize),
    /// The server's answer to a taken row arrives (perhaps again).
    Answer(usize),
    /// The echo of a taken row arrives (perhaps again).
    Echo(usize),
    /// The connection breaks.
    Requeue,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let conversation = || 0..CONVERSATIONS.len();
    prop_oneof![
        6 => (conversation(), prop::collection::vec(1..15_u64, 1..5)).prop_map(|(c, orders)| Op::Arrive(c, orders)),
        3 => (conversation(), 1..15_u64, 2..5_u64).prop_map(|(c, order, rev)| Op::Edit(c, order, rev)),
        2 => (conversation(), 1..15_u64).prop_map(|(c, order)| Op::ReadByMe(c, order)),
        1 => (conversation(), OURS..OURS + 4).prop_map(|(c, order)| Op::ReadByBob(c, order)),
        1 => conversation().prop_map(Op::ReadHere),
        3 => conversation().prop_map(Op::Send),
        3 => (1..4_usize).prop_map(Op::Take),
        3 => (0..8_usize).prop_map(Op::Answer),
        3 => (0..8_usize).prop_map(Op::Echo),
        1 => Just(Op::Requeue),
        1 => Just(Op::Restart),
    ]
}

/// A row that the server has taken.
#[derive(Clone)]
struct Taken {
    command: Command,
    conversation: usize,
    order: u64,
}

/// What must be so.
#[derive(Default)]
struct Model {
    /// Others' messages that are here, by order, with the revision of their text.
    here: [BTreeSet<u64>; 2],
    revs: [BTreeMap<u64, u64>; 2],
    read: [u64; 2],
    bob: [u64; 2],
    /// Our messages in the order of writing: id, text.
    written: [Vec<(MessageId, String)>; 2],
    /// Those that we know the server has.
    settled: [BTreeMap<MessageId, u64>; 2],
    taken: Vec<Taken>,
    count: usize,
}

impl Model {
    fn text(&self, c: usize, order: u64) -> String {
        format!("{order} rev {}", self.revs[c].get(&order).copied().unwrap_or(1))
    }

    /// The texts of a conversation in their order.
    fn texts(&self, c: usize) -> Vec<String> {
        let theirs = self.here[c].iter().map(|order| self.text(c, *order));
        let mut sent: Vec<_> = self.settled[c].iter().map(|(id, order)| (*order, *id)).collect();
        sent.sort_unstable();
        let text = |id: &MessageId| self.written[c].iter().find(|(other, _)| other == id).unwrap().1.clone();
        let ours = sent.iter().map(|(_, id)| text(id));
        let waiting = self.written[c].iter().filter(|(id, _)| !self.settled[c].contains_key(id));
        theirs.chain(ours).chain(waiting.map(|(_, text)| text.clone())).collect()
    }

    fn unread(&self, c: usize) -> u64 {
        self.here[c].iter().filter(|order| **order > self.read[c]).count() as u64
    }

    /// The server takes a row: the same row gets the same number.
    fn accept(&mut self, command: Command) {
        let of = |written: &Vec<(MessageId, String)>| written.iter().any(|(id, _)| *id == command.cid);
        let conversation = self.written.iter().position(of).unwrap();
        let before = self.taken.iter().find(|taken| taken.command.cid == command.cid).map(|taken| taken.order);
        let known: BTreeSet<_> =
            self.taken.iter().filter(|taken| taken.conversation == conversation).map(|taken| taken.order).collect();
        let order = before.unwrap_or(OURS + known.len() as u64);
        self.taken.push(Taken { command, conversation, order });
    }
}

/// Times that often contradict the order.
fn time(order: u64) -> Timestamp {
    Timestamp(T0 + i64::try_from(order * 7_919 % 5).unwrap() * 10)
}

/// What the server says.
async fn told(f: &Fixture, model: &mut Model, op: Op) {
    match op {
        Op::Arrive(c, orders) => {
            let made = |order: &u64| {
                event(Arrival { sent_at: time(*order), ..arrival(CONVERSATIONS[c], *order, &format!("{order} rev 1")) })
            };
            f.apply(orders.iter().map(made).collect()).await;
            model.here[c].extend(orders);
        }
        Op::Edit(c, order, rev) => {
            let change = Change {
                conversation: ConversationKey::server(CONVERSATIONS[c]),
                target: Target::Server(server_ref(CONVERSATIONS[c], order).id),
                rev,
                by: "bob".into(),
                at: Timestamp(T0),
                what: Amendment::Edit { text: format!("{order} rev {rev}") },
            };
            f.apply(vec![Event::Change(change)]).await;
            let known = model.revs[c].entry(order).or_insert(1);
            *known = rev.max(*known);
        }
        Op::ReadByMe(c, order) => {
            f.apply(vec![read_by_me(CONVERSATIONS[c], order)]).await;
            model.read[c] = model.read[c].max(order);
        }
        Op::ReadByBob(c, order) => {
            f.apply(vec![read_by(CONVERSATIONS[c], Reader::User("bob".into()), order)]).await;
            model.bob[c] = model.bob[c].max(order);
        }
        Op::Answer(index) => {
            let Some(taken) = model.taken.get(index).cloned() else { return };
            f.apply(vec![sent(&taken.command, CONVERSATIONS[taken.conversation], taken.order)]).await;
            model.settled[taken.conversation].insert(taken.command.cid, taken.order);
        }
        Op::Echo(index) => {
            let Some(taken) = model.taken.get(index).cloned() else { return };
            let conversation = CONVERSATIONS[taken.conversation];
            let CommandKind::Send { text, .. } = &taken.command.what else { panic!() };
            let echo = Arrival {
                outgoing: true,
                own_id: Some(taken.command.cid),
                rev: 0,
                sent_at: time(taken.order),
                ..arrival(conversation, taken.order, text)
            };
            f.apply(vec![event(echo)]).await;
            model.settled[taken.conversation].insert(taken.command.cid, taken.order);
        }
        Op::ReadHere(_) | Op::Send(_) | Op::Take(_) | Op::Requeue | Op::Restart => {}
    }
}

/// What happens here.
async fn step(f: &mut Fixture, model: &mut Model, op: Op) {
    match op {
        Op::ReadHere(c) => {
            let id = f.conversation(CONVERSATIONS[c]).await;
            f.store.mark_read(id, None, Timestamp(T0)).await.unwrap();
            let newest = model.here[c].last().copied().unwrap_or(0);
            model.read[c] = model.read[c].max(newest);
        }
        Op::Send(c) => {
            model.count += 1;
            let text = format!("ours {}", model.count);
            let enqueued = f.send(f.conversation(CONVERSATIONS[c]).await, &text).await;
            model.written[c].push((enqueued.message, text));
        }
        Op::Take(limit) => {
            for command in f.take(limit).await {
                if matches!(command.what, CommandKind::Send { .. }) {
                    model.accept(command);
                }
            }
        }
        Op::Requeue => f.store.requeue_outbox(f.account).await.unwrap(),
        Op::Restart => f.restart().await,
        op => told(f, model, op).await,
    }
}

async fn check(f: &Fixture, model: &Model) {
    for (c, server) in CONVERSATIONS.into_iter().enumerate() {
        let id = f.conversation(server).await;
        let query = Query { order: Order::Asc, ..Query::new(Scope::Conversation(id)) };
        let rows = messages(f.store.page(query.clone(), None, 1_000).await.unwrap().rows);
        let texts: Vec<_> = rows.iter().map(|message| message.text.clone()).collect();
        assert_eq!(texts, model.texts(c), "{server}");
        let unread = Query { unread: true, ..query };
        assert_eq!(f.store.count(unread).await.unwrap(), model.unread(c), "{server}");
        assert_eq!(f.unread(server).await, model.unread(c), "{server}");
        for message in rows.iter().filter(|message| message.outgoing) {
            let read = model.settled[c].get(&message.id).is_some_and(|order| *order <= model.bob[c]);
            assert_eq!(message.state == MessageState::Read, read, "{message:?}");
        }
        let due: BTreeSet<_> = f.store.banners().await.unwrap().into_iter().map(|banner| banner.message).collect();
        for message in rows.iter().filter(|message| !message.outgoing) {
            assert_eq!(due.contains(&message.id), message.state == MessageState::Received, "{message:?}");
        }
    }
}

/// `PROPTEST_CASES`, or few.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]
    #[test]
    fn whatever_the_interleaving_the_store_says_what_a_simple_model_says(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut f = Fixture::new().await;
            let mut model = Model::default();
            f.apply(CONVERSATIONS.iter().map(|server| came(server, 15, "15 rev 1")).collect()).await;
            for here in &mut model.here {
                here.insert(15);
            }
            for op in ops {
                step(&mut f, &mut model, op).await;
                check(&f, &model).await;
            }
        });
    }

    #[test]
    fn the_same_calls_in_memory_have_the_same_effects_every_time(ops in prop::collection::vec(op(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let run = || runtime.block_on(async {
            let (dir, entropy) = (tempfile::tempdir().unwrap(), Entropy::seeded(7));
            let store = Store::in_memory(Settings::default(), Clock::simulated(Timestamp(T0)), entropy.clone()).unwrap();
            let account = store.account("ann", "hub", Some("ann")).await.unwrap();
            let mut f = Fixture { dir, store, account, entropy };
            let mut model = Model::default();
            f.apply(CONVERSATIONS.iter().map(|server| came(server, 15, "15 rev 1")).collect()).await;
            for op in ops.clone() {
                if !matches!(op, Op::Restart) {
                    step(&mut f, &mut model, op).await;
                }
            }
            (f.all().await, f.changes(Seq(0)).await)
        });
        prop_assert_eq!(run(), run());
    }
}
