//! Subscriptions: the session reads the change table from where each subscription stands, as fast as the client reads.

use super::super::wire::{
    self, Event, Fault, FaultCode, Fleeting, Notification, Resync, Subscribe, Subscribed, Unsubscribe,
};
use super::desk::done;
use super::{Desk, Outcome, value};
use crate::model::{
    AccountId, ConversationBrief, ConversationId, FeedItem, FeedKind, Message, MessageId, Perishable, Seq,
};
use crate::store::StoreError;
use std::collections::BTreeMap;

/// Changes read at once.
const CHANGES: usize = 256;

/// A session's subscriptions.
#[derive(Debug)]
pub(super) struct Subscriptions {
    limit: usize,
    last: u64,
    open: BTreeMap<u64, Subscription>,
}

#[derive(Debug)]
struct Subscription {
    after: Seq,
    /// The client named the point itself: whether it is still kept, or ever was, is not known yet.
    unchecked: bool,
    account: Option<AccountId>,
    conversation: Option<ConversationId>,
    kinds: Vec<FeedKind>,
    fleeting: bool,
}

impl Subscription {
    fn is_behind(&self, head: Seq) -> bool {
        self.unchecked || self.after < head
    }

    fn wants(&self, item: &FeedItem) -> bool {
        self.account.is_none_or(|account| account == item.account)
            && self.conversation.is_none_or(|conversation| Some(conversation) == item.conversation)
            && (self.kinds.is_empty() || self.kinds.contains(&item.kind))
    }
}

impl Subscriptions {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, last: 0, open: BTreeMap::new() }
    }

    /// Some subscription has not been told of all changes up to `head`. One may well stand beyond it: what is on disk
    /// can be read before it is announced.
    pub(super) fn behind(&self, head: Seq) -> bool {
        self.open.values().any(|subscription| subscription.is_behind(head))
    }
}

impl Desk {
    pub(super) async fn subscribe(&mut self, ask: Subscribe) -> Result<Outcome, Fault> {
        if self.subscriptions.open.len() >= self.subscriptions.limit {
            return Err(Fault::new(FaultCode::Busy, "too many subscriptions").remedy("end one with `unsubscribe`"));
        }
        let conversation = match &ask.conversation {
            Some(name) => Some(self.known(ask.account.as_deref(), name).await?.id),
            None => None,
        };
        let account = self.account_if(ask.account.as_deref()).await?;
        let head = *self.hall.store.feed().borrow();
        let after = ask.after.unwrap_or(head);
        self.subscriptions.last += 1;
        let subscription = self.subscriptions.last;
        let unchecked = ask.after.is_some();
        let open = Subscription { after, unchecked, account, conversation, kinds: ask.kinds, fleeting: ask.fleeting };
        self.subscriptions.open.insert(subscription, open);
        value(&Subscribed { subscription, seq: after })
    }

    pub(super) fn unsubscribe(&mut self, ask: &Unsubscribe) -> Result<Outcome, Fault> {
        match self.subscriptions.open.remove(&ask.subscription) {
            Some(_) => done(),
            None => Err(Fault::new(FaultCode::NotFound, format!("there is no subscription {}", ask.subscription))),
        }
    }

    /// The next lines for the subscription that is furthest behind.
    pub(super) async fn pump(&mut self) -> Vec<u8> {
        let head = *self.hall.store.feed().borrow();
        let furthest = self.subscriptions.open.iter_mut().filter(|(_, subscription)| subscription.is_behind(head));
        let furthest = furthest.min_by_key(|(_, subscription)| subscription.after);
        let Some((&number, subscription)) = furthest else { return Vec::new() };
        let after = subscription.after;
        subscription.unchecked = false;
        match self.hall.store.changes(after, CHANGES).await {
            Ok(items) => self.events(number, head.max(after), items).await,
            Err(StoreError::Invalid(_)) => self.resync(number),
            Err(error) => {
                tracing::warn!(%error, "changes cannot be read");
                self.subscriptions.open.remove(&number);
                Vec::new()
            }
        }
    }

    fn resync(&mut self, number: u64) -> Vec<u8> {
        let seq = *self.hall.store.feed().borrow();
        if let Some(subscription) = self.subscriptions.open.get_mut(&number) {
            subscription.after = seq;
        }
        wire::notification_line(&Notification::Resync(Resync { subscription: number, seq }))
    }

    /// `head` is from before the items were read: what was committed since is not among them.
    async fn events(&mut self, number: u64, head: Seq, items: Vec<FeedItem>) -> Vec<u8> {
        let upto = items.last().map_or(head, |item| item.seq);
        let Some(subscription) = self.subscriptions.open.get_mut(&number) else { return Vec::new() };
        subscription.after = if crate::mutant("subscription-skips") { Seq(upto.0 + 1) } else { upto };
        let wanted: Vec<FeedItem> = items.into_iter().filter(|item| subscription.wants(item)).collect();
        let messages = self.messages(wanted.iter().filter_map(|item| item.message).collect()).await;
        let mut lines = Vec::new();
        for item in wanted {
            let event = Event {
                subscription: number,
                seq: item.seq,
                kind: item.kind,
                account: self.account_name(item.account).await,
                conversation: item.conversation,
                id: item.message,
                message: item.message.and_then(|id| messages.get(&id)).cloned(),
            };
            lines.extend(wire::notification_line(&Notification::Event(Box::new(event))));
        }
        lines
    }

    /// Messages by id; those that are gone are left out.
    pub(super) async fn messages(&self, mut ids: Vec<MessageId>) -> BTreeMap<MessageId, Message> {
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let messages = self.hall.store.messages(ids).await.unwrap_or_default();
        messages.into_iter().map(|message| (message.id, message)).collect()
    }

    /// The lines that tell of typing or presence, for the subscriptions that want it.
    pub(super) async fn fleeting(&mut self, account: AccountId, what: Perishable) -> Vec<u8> {
        let wants = |subscription: &Subscription| {
            subscription.fleeting && subscription.account.is_none_or(|wanted| wanted == account)
        };
        if !self.subscriptions.open.values().any(wants) {
            return Vec::new();
        }
        let conversation = match &what {
            Perishable::Typing { conversation, .. } => self.brief(account, conversation).await,
            Perishable::Presence { .. } => None,
        };
        let name = self.account_name(account).await;
        wire::notification_line(&Notification::Fleeting(Fleeting { account: name, conversation, what }))
    }

    async fn brief(&self, account: AccountId, server: &str) -> Option<ConversationBrief> {
        let crate::store::Named::Known(id) = self.hall.store.resolve(account, server).await.ok()? else { return None };
        let conversation = self.hall.store.conversation(id).await.ok()?;
        Some(ConversationBrief { id, name: conversation.name, peer: conversation.peer })
    }
}
