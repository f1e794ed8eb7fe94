//! What can be read beside history: states, accounts, conversations, members, counts.

use super::super::wire::{
    AccountBrief, AccountInfo, AccountList, ConversationGet, ConversationInfo, ConversationList, ConversationMembers,
    Conversations, Fault, HoleList, HolesFound, Members, StatusInfo, Unread, UnreadCount,
};
use super::{Desk, Outcome, value};

impl Desk {
    /// Every account's state as of now.
    pub(super) async fn status(&mut self) -> StatusInfo {
        let statuses = self.hall.statuses.borrow().clone();
        let now = self.hall.clock.wall();
        let mut accounts = Vec::with_capacity(statuses.len());
        for (id, status) in &statuses {
            let unread = self.hall.store.unread(Some(*id)).await.unwrap_or(0);
            accounts.push(AccountInfo::at(status, unread, now));
        }
        let seq = *self.hall.store.feed().borrow();
        let store = self.hall.store.health().borrow().clone().into();
        StatusInfo { accounts, seq, store, disk: self.hall.store.disk().borrow().clone() }
    }

    pub(super) async fn accounts(&mut self) -> Result<Outcome, Fault> {
        let known = self.hall.store.accounts().await?;
        let statuses = self.hall.statuses.borrow();
        let brief = |(id, name): (_, String)| {
            let status = statuses.get(&id);
            AccountBrief {
                name,
                protocol: status.map(|status| status.protocol.clone()).unwrap_or_default(),
                state: status.map(|status| status.state).unwrap_or_default(),
            }
        };
        value(&AccountList { accounts: known.into_iter().map(brief).collect() })
    }

    pub(super) async fn conversations(&mut self, ask: Conversations) -> Result<Outcome, Fault> {
        let account = self.account_if(ask.account.as_deref()).await?;
        let limit = ask.limit.unwrap_or(500).clamp(1, 10_000);
        let found = self.hall.store.conversations(account, limit).await?;
        value(&ConversationList { conversations: found.into_iter().map(ConversationInfo::from).collect() })
    }

    pub(super) async fn conversation_get(&mut self, ask: ConversationGet) -> Result<Outcome, Fault> {
        value(&ConversationInfo::from(self.known(ask.account.as_deref(), &ask.conversation).await?))
    }

    pub(super) async fn conversation_members(&mut self, ask: ConversationMembers) -> Result<Outcome, Fault> {
        let conversation = self.known(ask.account.as_deref(), &ask.conversation).await?;
        value(&Members { members: self.hall.store.members(conversation.id).await? })
    }

    pub(super) async fn unread(&mut self, ask: Unread) -> Result<Outcome, Fault> {
        let account = self.account_if(ask.account.as_deref()).await?;
        value(&UnreadCount { unread: self.hall.store.unread(account).await? })
    }

    pub(super) async fn holes(&mut self, ask: HoleList) -> Result<Outcome, Fault> {
        let (account, conversation) = match &ask.conversation {
            Some(name) => (None, Some(self.known(ask.account.as_deref(), name).await?.id)),
            None => (self.account_if(ask.account.as_deref()).await?, None),
        };
        value(&HolesFound { holes: self.hall.store.holes(account, conversation).await? })
    }
}
