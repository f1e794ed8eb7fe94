//! What clients want sent or changed: drafts into the outbox. The answer comes when the row is on disk.

use super::super::wire::{
    Contact, ContactVerb, ConversationAdd, ConversationCreate, ConversationLeave, ConversationRemove, Fault, Import,
    Imported, MarkRead, MessageEdit, MessageReact, MessageRetract, Queued, RoomJoin, Send,
};
use super::desk::{Place, done};
use super::{Desk, Outcome, value};
use crate::model::{AccountId, CommandKind, CommandTarget, Conversation, ConversationId, Message, MessageId};
use crate::store::Draft;

impl Desk {
    pub(super) async fn send(&mut self, ask: Send) -> Result<Outcome, Fault> {
        if ask.text.trim().is_empty() && ask.attachments.is_empty() {
            return Err(Fault::params("a message needs a text"));
        }
        let conversation = match self.place(ask.account.as_deref(), &ask.conversation).await? {
            Place::Known(id) => id,
            Place::User(account, user) => self.hall.store.direct(account, &user).await?,
        };
        let conversation = self.hall.store.conversation(conversation).await?;
        let reply_to = match ask.reply_to {
            Some(id) => Some(self.target(id).await?.1),
            None => None,
        };
        let what = CommandKind::Send { text: ask.text, reply_to, attachments: ask.attachments };
        self.enqueue(conversation.account, Some(conversation.id), what, ask.id).await
    }

    pub(super) async fn import(&mut self, ask: Import) -> Result<Outcome, Fault> {
        let done = self.hall.store.import(ask.export, ask.line, ask.records).await?;
        value(&Imported { added: done.added, known: done.known, line: done.line })
    }

    pub(super) async fn message_edit(&mut self, ask: MessageEdit) -> Result<Outcome, Fault> {
        let (message, target) = self.target(ask.message).await?;
        self.amend(&message, CommandKind::Edit { target, text: ask.text }).await
    }

    pub(super) async fn message_retract(&mut self, ask: MessageRetract) -> Result<Outcome, Fault> {
        let (message, target) = self.target(ask.message).await?;
        self.amend(&message, CommandKind::Retract { target }).await
    }

    pub(super) async fn message_react(&mut self, ask: MessageReact) -> Result<Outcome, Fault> {
        let (message, target) = self.target(ask.message).await?;
        let what = CommandKind::React { target, key: ask.key, on: ask.on, all: Vec::new() };
        self.amend(&message, what).await
    }

    pub(super) async fn conversation_create(&mut self, ask: ConversationCreate) -> Result<Outcome, Fault> {
        let account = self.account(&ask.account).await?;
        let what = CommandKind::Create { title: ask.title, members: ask.members };
        self.enqueue(account, None, what, ask.id).await
    }

    pub(super) async fn room_join(&mut self, ask: RoomJoin) -> Result<Outcome, Fault> {
        let account = self.account(&ask.account).await?;
        self.enqueue(account, None, CommandKind::Join { room: ask.room, nick: ask.nick }, ask.id).await
    }

    pub(super) async fn contact(&mut self, ask: Contact) -> Result<Outcome, Fault> {
        let account = self.account(&ask.account).await?;
        let user = ask.user;
        let what = match ask.verb {
            ContactVerb::Add => CommandKind::ContactAdd { user, name: ask.name },
            ContactVerb::Accept => CommandKind::ContactAccept { user },
            ContactVerb::Remove => CommandKind::ContactRemove { user },
            ContactVerb::Block => CommandKind::Block { user, on: true },
            ContactVerb::Unblock => CommandKind::Block { user, on: false },
        };
        self.enqueue(account, None, what, ask.id).await
    }

    pub(super) async fn conversation_add(&mut self, ask: ConversationAdd) -> Result<Outcome, Fault> {
        let conversation = self.known(ask.account.as_deref(), &ask.conversation).await?;
        self.within(&conversation, CommandKind::Add { user: ask.user }).await
    }

    pub(super) async fn conversation_remove(&mut self, ask: ConversationRemove) -> Result<Outcome, Fault> {
        let conversation = self.known(ask.account.as_deref(), &ask.conversation).await?;
        self.within(&conversation, CommandKind::Remove { user: ask.user }).await
    }

    pub(super) async fn conversation_leave(&mut self, ask: ConversationLeave) -> Result<Outcome, Fault> {
        let conversation = self.known(ask.account.as_deref(), &ask.conversation).await?;
        self.within(&conversation, CommandKind::Leave).await
    }

    pub(super) async fn mark_read(&mut self, ask: MarkRead) -> Result<Outcome, Fault> {
        let conversation = self.known(ask.account.as_deref(), &ask.conversation).await?;
        self.hall.store.mark_read(conversation.id, ask.upto, self.hall.clock.wall()).await?;
        done()
    }

    /// A message as commands name it; what the server calls it is filled in when the row is handed out.
    async fn target(&self, id: MessageId) -> Result<(Message, CommandTarget), Fault> {
        let message = self.hall.store.message(id).await?;
        let target = CommandTarget { id, server: None, sender_ref: None, sender: message.sender.clone() };
        Ok((message, target))
    }

    async fn amend(&mut self, message: &Message, what: CommandKind) -> Result<Outcome, Fault> {
        let conversation = self.hall.store.conversation(message.conversation.id).await?;
        self.within(&conversation, what).await
    }

    async fn within(&mut self, conversation: &Conversation, what: CommandKind) -> Result<Outcome, Fault> {
        self.enqueue(conversation.account, Some(conversation.id), what, None).await
    }

    async fn enqueue(
        &mut self,
        account: AccountId,
        conversation: Option<ConversationId>,
        what: CommandKind,
        id: Option<MessageId>,
    ) -> Result<Outcome, Fault> {
        let draft = Draft { account, conversation, what, id, at: self.hall.clock.wall() };
        let queued = self.hall.store.enqueue(draft).await?;
        value(&Queued { id: queued.message, conversation, seq: queued.seq })
    }
}
