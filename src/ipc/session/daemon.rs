//! What is not history: attention, typing, fetching, and what only the daemon itself can do.

use super::super::hall::{Answer, Control, Wish};
use super::super::leases::LeaseChange;
use super::super::wire::{
    AccountPurge, AttentionSet, Fault, FaultCode, Fetch, NotifyDecisions, NotifyMute, Quiet, Reconnect, RequestId,
    Typing, Why,
};
use super::desk::done;
use super::{Desk, Outcome, waits};
use crate::model::{AccountId, Addressed, Conversation, ConversationKey, FetchHole, Hole, Signal};
use tokio::sync::oneshot;

impl Desk {
    pub(super) async fn attention(&mut self, ask: AttentionSet) -> Result<Outcome, Fault> {
        self.attending = true;
        let change = LeaseChange::Set { session: self.session, conversation: ask.conversation, idle: ask.idle };
        self.lease.send(change).await.map_err(|_| closing())?;
        done()
    }

    pub(super) async fn typing(&mut self, ask: Typing) -> Result<Outcome, Fault> {
        let conversation = self.known(ask.account.as_deref(), &ask.conversation).await?;
        let (account, key) = (conversation.account, key(&conversation));
        self.signal(Some(account), Signal::Typing { conversation: key, on: ask.on });
        done()
    }

    pub(super) async fn fetch(&mut self, ask: Fetch) -> Result<Outcome, Fault> {
        self.fetch_hole(&ask.hole, ask.limit.unwrap_or(50).clamp(1, 500)).await?;
        done()
    }

    /// Asks the hole's account for its newest messages; says whether that account is online.
    pub(super) async fn fetch_hole(&self, hole: &Hole, limit: u32) -> Result<bool, Fault> {
        let conversation = self.hall.store.conversation(hole.conversation).await?;
        let own = conversation.server.as_ref().is_some_and(|server| {
            hole.archive == *server || hole.archive.strip_suffix(server).is_some_and(|rest| rest.ends_with('/'))
        });
        let fetch = FetchHole {
            archive: hole.archive.clone(),
            conversation: own.then(|| key(&conversation)),
            below: hole.below.clone(),
            above: hole.above.clone(),
            limit,
        };
        let online = self.online(conversation.account);
        if online && let Err(error) = self.hall.store.asked(conversation.account, hole.clone()).await {
            tracing::debug!(%error, "it is not noted that the server was asked");
        }
        self.signal(Some(conversation.account), Signal::Fetch(fetch));
        Ok(online)
    }

    pub(super) fn online(&self, account: AccountId) -> bool {
        let statuses = self.hall.statuses.borrow();
        statuses.get(&account).is_some_and(|status| status.state == crate::model::AccountState::Online)
    }

    pub(super) async fn reconnect(&self, ask: Reconnect) -> Result<Outcome, Fault> {
        let account = self.account_if(ask.account.as_deref()).await?;
        self.signal(account, Signal::Reconnect);
        done()
    }

    fn signal(&self, account: Option<AccountId>, signal: Signal) {
        self.hall.signals.send(Addressed { account, signal }).ok();
    }

    pub(super) async fn stop(&self) -> Result<Outcome, Fault> {
        self.hall.control.send(Control::Shutdown).await.map_err(|_| closing())?;
        done()
    }

    pub(super) async fn reload(&self, id: Option<RequestId>) -> Result<Outcome, Fault> {
        self.ask_daemon(id, Control::Reload).await
    }

    pub(super) async fn purge(&self, id: Option<RequestId>, ask: AccountPurge) -> Result<Outcome, Fault> {
        self.ask_daemon(id, |answer| Control::Purge(ask.account, answer)).await
    }

    pub(super) async fn notify_decisions(
        &self,
        id: Option<RequestId>,
        ask: &NotifyDecisions,
    ) -> Result<Outcome, Fault> {
        let limit = ask.limit.unwrap_or(20).clamp(1, 1_000);
        self.ask_daemon(id, |answer| Control::NotifyDecisions(limit, answer)).await
    }

    pub(super) async fn notify_test(&self, id: Option<RequestId>) -> Result<Outcome, Fault> {
        self.ask_daemon(id, Control::NotifyTest).await
    }

    pub(super) async fn notify_mute(&self, id: Option<RequestId>, ask: NotifyMute) -> Result<Outcome, Fault> {
        let wish = match (ask.conversation, ask.account) {
            (Some(name), account) => Wish::MuteConversation(self.known(account.as_deref(), &name).await?.id, ask.hold),
            (None, Some(account)) => {
                self.account(&account).await?;
                Wish::MuteAccount(account, ask.hold)
            }
            (None, None) => return Err(Fault::params("what to mute is not said").remedy("give `account`")),
        };
        self.choose(id, wish).await
    }

    pub(super) async fn notify_quiet(&self, id: Option<RequestId>, quiet: Quiet) -> Result<Outcome, Fault> {
        if let Quiet::Daily { from, to } = quiet
            && from.max(to) >= 24 * 60
        {
            let fault = Fault::params("a day has 1440 minutes");
            return Err(fault.remedy("give `from` and `to` in minutes after midnight, 0 to 1439"));
        }
        self.choose(id, Wish::Quiet(quiet)).await
    }

    pub(super) async fn notify_choices(&self, id: Option<RequestId>) -> Result<Outcome, Fault> {
        self.ask_daemon(id, Control::Choices).await
    }

    pub(super) async fn choose(&self, id: Option<RequestId>, wish: Wish) -> Result<Outcome, Fault> {
        self.ask_daemon(id, |answer| Control::Choose(wish, answer)).await
    }

    pub(super) async fn why(&self, id: Option<RequestId>, ask: &Why) -> Result<Outcome, Fault> {
        let message = ask.message;
        self.ask_daemon(id, |answer| Control::Why(message, answer)).await
    }

    async fn ask_daemon(
        &self,
        id: Option<RequestId>,
        control: impl FnOnce(Answer) -> Control,
    ) -> Result<Outcome, Fault> {
        let (answer, answered) = oneshot::channel();
        self.hall.control.send(control(answer)).await.map_err(|_| closing())?;
        Ok(Outcome::Wait(waits::daemon(id, answered)))
    }
}

/// How the protocols name a conversation.
fn key(conversation: &Conversation) -> ConversationKey {
    ConversationKey { server: conversation.server.clone(), peer: conversation.peer.clone() }
}

fn closing() -> Fault {
    Fault::new(FaultCode::Closing, "the daemon is stopping")
}
