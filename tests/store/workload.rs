//! Everything that the store can be told, as steps that can be tried again: messages, edits, reactions, marks, the
//! outbox, banners, spans, settings, the protocol's progress, restarts. And what the file says afterwards.

use rusqlite::Connection;
use std::path::Path;
use wakeful::model::{
    AccountId, Amendment, Arrival, Change, Checkpoint, CheckpointRow, CommandKind, ConversationId, ConversationKey,
    ConversationKind, ConversationUpdate, Event, Member, MessageId, MessageKind, Order, Origin, Outcome, PageRow,
    Query, ReadMark, Reader, Role, Scope, ServerRef, Settled, Span, SpanEdge, Target, Timestamp, Upto,
};
use wakeful::store::{BannerState, Batch, Draft, Named, Settings, Store, StoreError};
use wakeful::world::{Clock, Entropy};

const T0: i64 = 1_700_000_000_000;

/// One step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The protocol's facts number `n`, with its progress.
    Batch(u64),
    /// The user writes message `n`.
    Write(u64),
    /// The link takes what waits.
    Take,
    /// The server has message `n`.
    Settle(u64),
    /// The user has read everything of a conversation.
    Read(&'static str),
    /// What is due was shown.
    Show,
    /// A room keeps something.
    Keep(u64),
    /// The connection broke.
    Requeue,
    /// The user takes message `n` back before it was sent.
    Cancel(u64),
    /// The process ends in order and starts again.
    Restart,
}

/// The whole of it, `rounds` times with a restart (and so a checkpoint of the log) in between.
pub fn steps(rounds: u64) -> Vec<Step> {
    let mut all = Vec::new();
    for round in 0..rounds {
        let n = |step: u64| round * 10 + step;
        all.extend([Step::Batch(n(0)), Step::Batch(n(1)), Step::Write(n(0)), Step::Write(n(1)), Step::Batch(n(2))]);
        all.extend([
            Step::Take,
            Step::Settle(n(0)),
            Step::Show,
            Step::Batch(n(3)),
            // A mark that waits is replaced, one that is out is followed by another: after a crash it waits again.
            Step::Requeue,
            Step::Read("c1"),
            Step::Write(n(2)),
        ]);
        all.extend([Step::Requeue, Step::Take, Step::Settle(n(1)), Step::Batch(n(4)), Step::Keep(n(0))]);
        all.extend([Step::Write(n(3)), Step::Cancel(n(3)), Step::Batch(n(5)), Step::Restart, Step::Batch(n(6))]);
    }
    all
}

/// A store that is open, and what is needed to use it.
pub struct Running {
    pub store: Store,
    account: AccountId,
}

/// Opens it, as the daemon does at its start.
pub async fn open(dir: &Path, full_sync: bool, entropy: &Entropy) -> Result<Running, StoreError> {
    let settings = Settings { full_sync, ..Settings::default() };
    let store = Store::open(dir, settings, Clock::simulated(Timestamp(T0)), entropy.clone())?;
    match store.account("ann", "hub", Some("ann")).await {
        Ok(account) => Ok(Running { store, account }),
        Err(error) => {
            store.close().await;
            Err(error)
        }
    }
}

impl Running {
    /// Does a step; an error means that it may be tried again. [`Step::Restart`] is the caller's.
    pub async fn step(&self, step: Step) -> Result<(), StoreError> {
        match step {
            Step::Batch(n) => self.batch(n).await,
            Step::Write(n) => {
                let draft = Draft {
                    account: self.account,
                    conversation: Some(self.conversation(if n.is_multiple_of(2) { "c1" } else { "c2" }).await?),
                    what: CommandKind::Send { text: format!("ours {n}"), reply_to: None, attachments: Vec::new() },
                    id: Some(own(n)),
                    at: at(n * 10 + 9),
                };
                self.store.enqueue(draft).await.map(drop)
            }
            Step::Take => self.store.take_outbox(self.account, 8, at(99)).await.map(drop),
            Step::Settle(n) => self.settle(n).await,
            Step::Read(conversation) => {
                self.store.mark_read(self.conversation(conversation).await?, None, at(500)).await
            }
            Step::Show => {
                let due = self.store.banners().await?.into_iter().filter(|banner| banner.state == BannerState::Due);
                let shown = |id| BannerState::Shown { server: ":1.7".into(), id };
                let states = due.zip(1..).map(|(banner, id)| (banner.message, shown(id))).collect();
                self.store.set_banners(states).await
            }
            Step::Keep(n) => self.store.set_setting("notify", Some(format!("kept {n}"))).await,
            Step::Requeue => self.store.requeue_outbox(self.account).await,
            Step::Cancel(n) => self.store.cancel(own(n)).await.map(drop),
            Step::Restart => Ok(()),
        }
    }

    async fn conversation(&self, name: &str) -> Result<ConversationId, StoreError> {
        match self.store.resolve(self.account, name).await? {
            Named::Known(id) => Ok(id),
            Named::User(name) => Err(StoreError::NotFound { what: name }),
        }
    }

    async fn settle(&self, n: u64) -> Result<(), StoreError> {
        let row = self.store.outbox_row(own(n)).await?;
        let conversation = if n.is_multiple_of(2) { "c1" } else { "c2" };
        let outcome = Outcome::Sent {
            conversation: Some(ConversationKey::server(conversation)),
            server: Some(server(conversation, 1_000 + n)),
            at: at(1_000 + n),
        };
        self.apply(n, vec![Event::Settled(Settled { outbox: row.id, outcome })], "sent").await
    }

    async fn batch(&self, n: u64) -> Result<(), StoreError> {
        self.apply(n, facts(n), "cursor").await
    }

    async fn apply(&self, n: u64, events: Vec<Event>, key: &str) -> Result<(), StoreError> {
        let row = CheckpointRow { key: key.into(), value: Some(n.to_string().into_bytes()) };
        let batch = Batch { events, checkpoint: Checkpoint { rows: vec![row] }, at: at(n) };
        self.store.apply(self.account, batch).await.map(drop)
    }

    /// Everything that a reader can ask for, each question with its answer or refusal. `conversations` are those of
    /// the sound file, so that every question is asked whatever the others answer.
    pub async fn answers(&self, conversations: &[ConversationId]) -> Vec<Result<String, StoreError>> {
        let mut said = vec![self.store.conversations(None, 100).await.map(|list| format!("{list:?}"))];
        for id in conversations {
            said.push(self.store.conversation(*id).await.map(|one| format!("{one:?}")));
            said.push(self.store.members(*id).await.map(|list| format!("{list:?}")));
            for order in [Order::Asc, Order::Desc] {
                said.push(self.page(Query { order, ..Query::new(Scope::Conversation(*id)) }).await);
            }
            let unread = Query { unread: true, ..Query::new(Scope::Conversation(*id)) };
            said.push(self.store.count(unread).await.map(|count| count.to_string()));
        }
        for word in ["ours", "number", "edited"] {
            said.push(self.page(Query { text: Some(word.into()), ..Query::new(Scope::All) }).await);
        }
        said.push(self.page(Query::new(Scope::All)).await);
        said.push(self.store.checkpoint(self.account).await.map(|rows| format!("{rows:?}")));
        said.push(self.store.unread(None).await.map(|count| count.to_string()));
        said.push(self.store.banners().await.map(|list| format!("{list:?}")));
        said.push(self.store.setting("notify").await.map(|text| format!("{text:?}")));
        said.push(self.store.changes(wakeful::model::Seq(0), 10_000).await.map(|list| format!("{list:?}")));
        for n in 0..14 {
            said.push(self.store.outbox_row(own(n)).await.map(|row| format!("{row:?}")));
        }
        said
    }

    async fn page(&self, query: Query) -> Result<String, StoreError> {
        Ok(self.store.page(query, None, 1_000).await?.rows.iter().map(row).collect())
    }

    /// The ids of all conversations.
    pub async fn conversations(&self) -> Vec<ConversationId> {
        self.store.conversations(None, 100).await.unwrap().into_iter().map(|one| one.id).collect()
    }
}

fn row(row: &PageRow) -> String {
    match row {
        PageRow::Message(message) => format!("{message:?}"),
        PageRow::Hole(hole) => format!("{hole:?}"),
    }
}

fn own(n: u64) -> MessageId {
    MessageId::new(1_700_000_000_000 + n, &[7; 10])
}

fn at(n: u64) -> Timestamp {
    Timestamp(T0 + 1_000 * i64::try_from(n).unwrap())
}

fn server(conversation: &str, order: u64) -> ServerRef {
    ServerRef { id: format!("e1/{conversation}/{order}"), order: Some(order) }
}

fn arrival(conversation: &str, order: u64, text: String) -> Event {
    Event::Message(Box::new(Arrival {
        conversation: ConversationKey::server(conversation),
        sender: "bob".into(),
        outgoing: false,
        server: Some(server(conversation, order)),
        own_id: None,
        sender_ref: None,
        sent_at: at(order),
        kind: MessageKind::Text,
        text,
        reply_to: None,
        mentions_me: order.is_multiple_of(3),
        attachments: Vec::new(),
        rev: 1,
        edited_at: None,
        retracted: false,
        reactions: Vec::new(),
        silent: false,
        origin: Origin::Live,
    }))
}

fn change(conversation: &str, order: u64, rev: u64, what: Amendment) -> Event {
    let target = Target::Server(server(conversation, order).id);
    Event::Change(Change {
        conversation: ConversationKey::server(conversation),
        target,
        rev,
        by: "bob".into(),
        at: at(order + 1),
        what,
    })
}

/// What the server says in batch `n`.
fn facts(n: u64) -> Vec<Event> {
    let (first, step) = (n / 10 * 10 * 6, n % 10);
    let order = |i: u64| first + step * 6 + i + 1;
    let mut events: Vec<Event> = ["c1", "c2"]
        .into_iter()
        .flat_map(|conversation| {
            (0..3).map(move |i| arrival(conversation, order(i), format!("number {} of {n}", order(i))))
        })
        .collect();
    match step {
        0 => events.insert(0, conversation("c1", n)),
        1 => {
            events.push(change("c1", first + 1, n + 2, Amendment::Edit { text: format!("edited in {n}") }));
            events.push(change("c2", order(4), n + 2, Amendment::Edit { text: "before it came".into() }));
            events.push(arrival("c2", order(4), "number, edited before it came".into()));
        }
        2 => events.push(arrival("c1", order(4), format!("number {}", "x".repeat(20_000)))),
        3 => {
            events.push(change("c1", first + 2, n + 3, Amendment::React { key: "🐦".into(), on: true }));
            events.push(change("c2", first + 2, n + 3, Amendment::Retract));
        }
        4 => events.extend([read("c2", Reader::Me, order(1)), read("c1", Reader::User("bob".into()), 1_000 + n)]),
        5 => events.push(Event::CaughtUp),
        _ => events.push(span(first + 1, order(2))),
    }
    events
}

fn conversation(name: &str, n: u64) -> Event {
    Event::Conversation(ConversationUpdate {
        key: ConversationKey::server(name),
        kind: ConversationKind::Group,
        title: Some(format!("title {n}")),
        members: Some(["ann", "bob"].map(|user| Member { user: user.into(), name: None, role: Role::Member }).to_vec()),
        unread_below: None,
    })
}

fn read(conversation: &str, by: Reader, order: u64) -> Event {
    Event::Read(ReadMark {
        conversation: ConversationKey::server(conversation),
        by,
        upto: Upto::Order(order),
        at: at(order),
    })
}

fn span(lo: u64, hi: u64) -> Event {
    let edge = |order: u64| Some(SpanEdge { id: order.to_string(), at: at(order) });
    Event::Span(Span {
        archive: "e1/c1".into(),
        conversation: Some(ConversationKey::server("c1")),
        lo: edge(lo),
        hi: edge(hi),
        after: None,
        before: None,
        at_start: false,
        at_end: true,
    })
}

/// What the file holds, without the ids that chance made: two files that went through the same steps say the same.
/// Fails when the file is not sound.
pub fn content(dir: &Path) -> Vec<String> {
    let conn = Connection::open(dir.join("wakeful.db")).unwrap();
    let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let orphans = conn.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!orphans, "a row refers to one that is not there");
    conn.execute("INSERT INTO message_text(message_text) VALUES ('integrity-check')", []).unwrap();
    TABLES.iter().flat_map(|sql| lines(&conn, sql)).collect()
}

/// How the file keeps what is not in its pages yet.
pub fn mode(dir: &Path) -> String {
    let conn = Connection::open(dir.join("wakeful.db")).unwrap();
    conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap()
}

/// Rows that were handed out are pending again after a restart.
const TABLES: &[&str] = &[
    "SELECT 'account', name, protocol, me FROM account",
    "SELECT 'checkpoint', key, CAST(value AS TEXT) FROM checkpoint ORDER BY key",
    "SELECT 'user', user, name FROM user ORDER BY user",
    "SELECT 'conversation', server, kind, title, unread, unread_below, read_position, read_order, last_at
     FROM conversation ORDER BY server",
    "SELECT 'member', c.server, m.user, m.role FROM member m JOIN conversation c ON c.key = m.conversation ORDER BY 2, 3",
    "SELECT 'mark', c.server, m.user, m.read_order, m.delivered_order FROM mark m JOIN conversation c ON c.key = m.conversation
     ORDER BY 2, 3",
    "SELECT 'message', m.position, c.server, u.user, outgoing, CASE m.state WHEN 2 THEN 1 ELSE m.state END, m.kind, sent_at, m.seq,
        rev, length(text), substr(text, 1, 40), server_ref, server_order, edited_at, retracted, mentions, reacted
     FROM message m JOIN conversation c ON c.key = m.conversation JOIN user u ON u.key = m.sender ORDER BY m.position",
    "SELECT 'reaction', m.position, r.by, r.key, r.stands FROM reaction r JOIN message m ON m.id = r.message ORDER BY 2, 3, 4",
    "SELECT 'orphan', target, rev, body FROM orphan ORDER BY id",
    "SELECT 'outbox', o.id, c.server, o.kind, CASE o.state WHEN 1 THEN 0 ELSE o.state END, o.code FROM outbox o
     LEFT JOIN conversation c ON c.key = o.conversation ORDER BY o.id",
    "SELECT 'span', lo, hi, after, before, at_start, at_end FROM span ORDER BY lo_position",
    "SELECT 'banner', m.position, b.state, b.shown, b.catch_up FROM banner b JOIN message m ON m.id = b.message ORDER BY 2",
    "SELECT 'change', h.seq, h.kind, c.server, m.text IS NULL FROM change h LEFT JOIN conversation c ON c.id = h.conversation
     LEFT JOIN message m ON m.id = h.message ORDER BY h.seq",
    "SELECT 'meta', key, value FROM meta WHERE key LIKE 'room:%' ORDER BY key",
];

fn lines(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).unwrap();
    let columns = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let cells: Vec<String> = (0..columns).map(|i| format!("{:?}", row.get_ref_unwrap(i))).collect();
        Ok(cells.join(" "))
    };
    statement.query_map([], line).unwrap().map(Result::unwrap).collect()
}
