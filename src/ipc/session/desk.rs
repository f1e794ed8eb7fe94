//! Dispatch: which method does what, and how names become ids.

use super::super::cursors::Cursors;
use super::super::hall::{Hall, Wish};
use super::super::leases::LeaseChange;
use super::super::token::Key;
use super::super::wire::{self, Call, Done, Fault, FaultCode, Limits, RequestId, Welcome};
use super::feed::Subscriptions;
use super::{Desk, Outcome, value};
use crate::model::{AccountId, Conversation, ConversationId};
use crate::store::{Named, StoreError};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a conversation's name turned out to be.
pub(super) enum Place {
    /// It exists.
    Known(ConversationId),
    /// A user with whom there is no conversation yet.
    User(AccountId, String),
}

impl Desk {
    pub(super) fn new(session: u64, hall: Hall, key: Key, lease: mpsc::Sender<LeaseChange>) -> Self {
        Self {
            session,
            cursors: Cursors::new(hall.settings.cursors, hall.settings.cursor_idle),
            subscriptions: Subscriptions::new(hall.settings.subscriptions),
            hall,
            key,
            lease,
            attending: false,
            watches_status: false,
            names: BTreeMap::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// Carries out one request.
    pub(super) async fn handle(&mut self, id: Option<RequestId>, call: Call) -> Result<Outcome, Fault> {
        match call {
            Call::Hello(ask) => self.hello(&ask),
            Call::Status(_) => value(&self.status().await),
            Call::StatusSubscribe(_) => {
                self.watches_status = true;
                value(&self.status().await)
            }
            Call::Accounts(_) => self.accounts().await,
            Call::Conversations(ask) => self.conversations(*ask).await,
            Call::ConversationGet(ask) => self.conversation_get(*ask).await,
            Call::ConversationMembers(ask) => self.conversation_members(*ask).await,
            Call::ConversationCreate(ask) => self.conversation_create(*ask).await,
            Call::ConversationAdd(ask) => self.conversation_add(*ask).await,
            Call::ConversationRemove(ask) => self.conversation_remove(*ask).await,
            Call::ConversationLeave(ask) => self.conversation_leave(*ask).await,
            Call::RoomJoin(ask) => self.room_join(*ask).await,
            Call::Contact(ask) => self.contact(*ask).await,
            Call::Send(ask) => self.send(*ask).await,
            Call::MessageEdit(ask) => self.message_edit(*ask).await,
            Call::MessageRetract(ask) => self.message_retract(*ask).await,
            Call::MessageReact(ask) => self.message_react(*ask).await,
            Call::MessageGet(ask) => value(&self.hall.store.message(ask.id).await?),
            Call::MarkRead(ask) => self.mark_read(*ask).await,
            Call::Unread(ask) => self.unread(*ask).await,
            Call::OutboxGet(ask) => self.outbox_get(*ask).await,
            Call::OutboxWait(ask) => Ok(self.outbox_wait(id, *ask)),
            Call::OutboxCancel(ask) => self.outbox_cancel(*ask).await,
            Call::OutboxRetry(ask) => self.outbox_retry(*ask).await,
            Call::OutboxList(ask) => self.outbox_list(*ask).await,
            Call::Holes(ask) => self.holes(*ask).await,
            Call::Import(ask) => self.import(*ask).await,
            Call::AccountPurge(ask) => self.purge(id, *ask).await,
            Call::CursorOpen(ask) => self.cursor_open(id, *ask).await,
            Call::CursorNext(ask) => self.cursor_next(id, *ask).await,
            Call::CursorClose(ask) => self.cursor_close(&ask),
            Call::CursorCount(ask) => self.cursor_count(*ask).await,
            Call::Page(ask) => self.page(*ask).await,
            Call::Subscribe(ask) => self.subscribe(*ask).await,
            Call::Unsubscribe(ask) => self.unsubscribe(&ask),
            Call::AttentionSet(ask) => self.attention(*ask).await,
            Call::Typing(ask) => self.typing(*ask).await,
            Call::Fetch(ask) => self.fetch(*ask).await,
            Call::Reconnect(ask) => self.reconnect(*ask).await,
            Call::Reload(_) => self.reload(id).await,
            Call::Shutdown(_) => self.stop().await,
            Call::NotifyDecisions(ask) => self.notify_decisions(id, &ask).await,
            Call::NotifyTest(_) => self.notify_test(id).await,
            Call::NotifyMute(ask) => self.notify_mute(id, *ask).await,
            Call::NotifyDnd(ask) => self.choose(id, Wish::Dnd(ask.hold)).await,
            Call::NotifyQuiet(ask) => self.notify_quiet(id, ask.quiet).await,
            Call::NotifyChoices(_) => self.notify_choices(id).await,
            Call::Why(ask) => self.why(id, &ask).await,
        }
    }

    fn hello(&self, ask: &wire::Hello) -> Result<Outcome, Fault> {
        tracing::debug!(session = self.session, client = %ask.client.chars().take(80).collect::<String>(), "hello");
        let settings = &self.hall.settings;
        value(&Welcome {
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: wire::PROTOCOL,
            capabilities: Call::METHODS.iter().map(|name| (*name).into()).collect(),
            limits: Limits {
                request_bytes: settings.request_bytes,
                cursors: settings.cursors,
                subscriptions: settings.subscriptions,
                waiting: settings.waiting,
                cursor_idle_ms: millis(settings.cursor_idle),
                attention_lease_ms: millis(settings.attention_lease),
            },
            seq: *self.hall.store.feed().borrow(),
        })
    }

    /// The account of this name, where one was named.
    pub(super) async fn account_if(&self, name: Option<&str>) -> Result<Option<AccountId>, Fault> {
        match name {
            Some(name) => self.account(name).await.map(Some),
            None => Ok(None),
        }
    }

    /// The account of this name.
    pub(super) async fn account(&self, name: &str) -> Result<AccountId, Fault> {
        let accounts = self.hall.store.accounts().await?;
        accounts.iter().find(|(_, known)| known == name).map(|(id, _)| *id).ok_or_else(|| {
            let known: Vec<&str> = accounts.iter().map(|(_, name)| name.as_str()).collect();
            let text = format!("there is no account {name:?}");
            Fault::new(FaultCode::NotFound, text).remedy(match known.as_slice() {
                [] => "add one with `wakeful account add`".into(),
                known => format!("the accounts are: {}", known.join(", ")),
            })
        })
    }

    /// The account named, or the only one.
    async fn some_account(&self, name: Option<&str>) -> Result<AccountId, Fault> {
        if let Some(name) = name {
            return self.account(name).await;
        }
        match self.hall.store.accounts().await?.as_slice() {
            [(id, _)] => Ok(*id),
            _ => Err(Fault::params("which account is not said").remedy("give `account`, or a conversation's local id")),
        }
    }

    /// What a conversation's name means.
    pub(super) async fn place(&self, account: Option<&str>, name: &str) -> Result<Place, Fault> {
        if let Ok(id) = name.parse::<ConversationId>()
            && let Ok(conversation) = self.hall.store.conversation(id).await
        {
            return match account {
                Some(account) if account != conversation.account_name => {
                    Err(Fault::new(FaultCode::NotFound, format!("account {account:?} has no conversation {id}")))
                }
                _ => Ok(Place::Known(id)),
            };
        }
        let account = self.some_account(account).await?;
        Ok(match self.hall.store.resolve(account, name).await? {
            Named::Known(id) => Place::Known(id),
            Named::User(user) => Place::User(account, user),
        })
    }

    /// A conversation that exists.
    pub(super) async fn known(&self, account: Option<&str>, name: &str) -> Result<Conversation, Fault> {
        match self.place(account, name).await? {
            Place::Known(id) => Ok(self.hall.store.conversation(id).await?),
            Place::User(..) => {
                let text = format!("there is no conversation {name:?} here yet");
                Err(Fault::new(FaultCode::NotFound, text).remedy("`wakeful conversation list` shows those there are"))
            }
        }
    }

    /// An account's name, for what is told about it.
    pub(super) async fn account_name(&mut self, id: AccountId) -> String {
        if !self.names.contains_key(&id) {
            self.names = self.hall.store.accounts().await.unwrap_or_default().into_iter().collect();
        }
        self.names.get(&id).cloned().unwrap_or_default()
    }

    /// The client is gone: nobody looks any more.
    pub(super) async fn leave(&mut self) {
        if self.attending && !crate::mutant("lease-outlives-session") {
            self.lease.send(LeaseChange::End { session: self.session }).await.ok();
        }
    }
}

/// It was done.
pub(super) fn done() -> Result<Outcome, Fault> {
    value(&Done {})
}

/// Whole milliseconds.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Disk { .. } => Self::new(FaultCode::Disk, text).remedy("free some space and ask again"),
            StoreError::Corrupt { .. } | StoreError::Newer { .. } => Self::new(FaultCode::Disk, text),
            StoreError::NotFound { .. } => Self::new(FaultCode::NotFound, text),
            StoreError::Invalid(_) => Self::params(text),
            StoreError::Fault { .. } => Self::new(FaultCode::Internal, text),
            StoreError::Closed => Self::new(FaultCode::Closing, "the daemon is stopping").remedy("start it again"),
        }
    }
}
