//! The list of methods: name, parameters, answer. The server's dispatch, the client's types and the schema follow it.

use super::{
    AccountList, AccountPurge, Accounts, AttentionSet, Batch, Cancelled, Contact, ConversationAdd, ConversationCreate,
    ConversationGet, ConversationInfo, ConversationLeave, ConversationList, ConversationMembers, ConversationRemove,
    Conversations, Counted, CursorClose, CursorCount, CursorNext, CursorOpen, Done, Fault, FaultCode, Fetch, Hello,
    HoleList, HolesFound, Import, Imported, MarkRead, Members, MessageEdit, MessageGet, MessageReact, MessageRetract,
    Notification, NotifyChoices, NotifyDecisions, NotifyDnd, NotifyMute, NotifyQuiet, NotifyTest, OutboxCancel,
    OutboxGet, OutboxInfo, OutboxList, OutboxRetry, OutboxRows, OutboxWait, PageAsk, Queued, Reconnect, Reload,
    Retried, RoomJoin, Send, Shutdown, StatusAsk, StatusInfo, StatusSubscribe, Subscribe, Subscribed, Typing, Unread,
    UnreadCount, Unsubscribe, Welcome, Why,
};
use crate::model::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// A method as its parameters' type knows it.
pub trait Method: Serialize + DeserializeOwned + std::marker::Send {
    /// Its name on the wire.
    const NAME: &'static str;
    /// What it answers.
    type Answer: Serialize + DeserializeOwned + std::marker::Send;
}

macro_rules! methods {
    ($($(#[$doc:meta])* $params:ident = $name:literal -> $answer:ty, as $variant:ident;)*) => {
        /// One request, typed.
        #[derive(Clone, Debug)]
        pub enum Call {
            $($(#[$doc])* $variant(Box<$params>),)*
        }

        impl Call {
            /// Every method's name.
            pub const METHODS: &'static [&'static str] = &[$($name),*];

            /// Reads a method's parameters; `null` stands for none.
            ///
            /// # Errors
            /// `unknown_method` or `bad_params`, each saying which.
            pub fn read(method: &str, params: Value) -> Result<Self, Fault> {
                let params = if params.is_null() { json!({}) } else { params };
                match method {
                    $($name => serde_json::from_value(params).map(Self::$variant).map_err(|error| {
                        Fault::params(format!("{method}: {error}"))
                    }),)*
                    _ => Err(Fault::new(FaultCode::UnknownMethod, format!("there is no method {method:?}"))
                        .remedy("`hello` lists the methods of this daemon")),
                }
            }

            /// Its name on the wire.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }
        }

        $(impl Method for $params {
            const NAME: &'static str = $name;
            type Answer = $answer;
        })*

        /// The interface as JSON Schema: every method's parameters and answer, and the notifications.
        #[must_use]
        pub fn schema() -> Value {
            let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
            let mut methods = Map::new();
            $(methods.insert($name.into(), json!({
                "params": generator.subschema_for::<$params>(),
                "result": generator.subschema_for::<$answer>(),
            }));)*
            let notifications = generator.subschema_for::<Notification>();
            let error = generator.subschema_for::<Fault>();
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "wakeful IPC",
                "protocol": super::PROTOCOL,
                "methods": methods,
                "notifications": notifications,
                "error": error,
                "$defs": generator.take_definitions(true),
            })
        }
    };
}

methods! {
    /// Who is there.
    Hello = "hello" -> Welcome, as Hello;
    /// Every account's state, once.
    StatusAsk = "status" -> StatusInfo, as Status;
    /// Every account's state, and whenever one changes.
    StatusSubscribe = "status.subscribe" -> StatusInfo, as StatusSubscribe;
    /// The accounts.
    Accounts = "accounts" -> AccountList, as Accounts;
    /// The conversations.
    Conversations = "conversations" -> ConversationList, as Conversations;
    /// One conversation.
    ConversationGet = "conversation.get" -> ConversationInfo, as ConversationGet;
    /// Makes a group.
    ConversationCreate = "conversation.create" -> Queued, as ConversationCreate;
    /// Adds somebody.
    ConversationAdd = "conversation.add" -> Queued, as ConversationAdd;
    /// Removes somebody.
    ConversationRemove = "conversation.remove" -> Queued, as ConversationRemove;
    /// Leaves it.
    ConversationLeave = "conversation.leave" -> Queued, as ConversationLeave;
    /// Who is in it.
    ConversationMembers = "conversation.members" -> Members, as ConversationMembers;
    /// Joins a room.
    RoomJoin = "room.join" -> Queued, as RoomJoin;
    /// Changes a contact.
    Contact = "contact" -> Queued, as Contact;
    /// Sends a message.
    Send = "send" -> Queued, as Send;
    /// Replaces a message's text.
    MessageEdit = "message.edit" -> Queued, as MessageEdit;
    /// Takes a message back.
    MessageRetract = "message.retract" -> Queued, as MessageRetract;
    /// Puts or takes away a reaction.
    MessageReact = "message.react" -> Queued, as MessageReact;
    /// One message.
    MessageGet = "message.get" -> Message, as MessageGet;
    /// How far an outbox row is.
    OutboxGet = "outbox.get" -> OutboxInfo, as OutboxGet;
    /// Waits for an outbox row.
    OutboxWait = "outbox.wait" -> OutboxInfo, as OutboxWait;
    /// Takes an outbox row back.
    OutboxCancel = "outbox.cancel" -> Cancelled, as OutboxCancel;
    /// Sends again what failed.
    OutboxRetry = "outbox.retry" -> Retried, as OutboxRetry;
    /// The outbox.
    OutboxList = "outbox.list" -> OutboxRows, as OutboxList;
    /// What is missing here.
    HoleList = "holes" -> HolesFound, as Holes;
    /// Takes lines of an export in.
    Import = "import" -> Imported, as Import;
    /// Deletes what is left of an account.
    AccountPurge = "account.purge" -> Value, as AccountPurge;
    /// We have read it.
    MarkRead = "mark_read" -> Done, as MarkRead;
    /// Opens a cursor.
    CursorOpen = "cursor.open" -> Batch, as CursorOpen;
    /// The next batch.
    CursorNext = "cursor.next" -> Batch, as CursorNext;
    /// Closes a cursor.
    CursorClose = "cursor.close" -> Done, as CursorClose;
    /// Counts.
    CursorCount = "cursor.count" -> Counted, as CursorCount;
    /// A page without a session.
    PageAsk = "page" -> Batch, as Page;
    /// Every change from here on.
    Subscribe = "subscribe" -> Subscribed, as Subscribe;
    /// Ends a subscription.
    Unsubscribe = "unsubscribe" -> Done, as Unsubscribe;
    /// Who looks at what.
    AttentionSet = "attention.set" -> Done, as AttentionSet;
    /// We are typing.
    Typing = "typing" -> Done, as Typing;
    /// Asks for missing messages.
    Fetch = "fetch" -> Done, as Fetch;
    /// Messages not read.
    Unread = "unread" -> UnreadCount, as Unread;
    /// A new connection.
    Reconnect = "reconnect" -> Done, as Reconnect;
    /// Reads the configuration again.
    Reload = "reload" -> Value, as Reload;
    /// Stops the daemon.
    Shutdown = "shutdown" -> Done, as Shutdown;
    /// Decisions about banners.
    NotifyDecisions = "notify.decisions" -> Value, as NotifyDecisions;
    /// A test notification.
    NotifyTest = "notify.test" -> Value, as NotifyTest;
    /// Silences a conversation or an account.
    NotifyMute = "notify.mute" -> Value, as NotifyMute;
    /// Do not disturb.
    NotifyDnd = "notify.dnd" -> Value, as NotifyDnd;
    /// Quiet hours.
    NotifyQuiet = "notify.quiet" -> Value, as NotifyQuiet;
    /// Mutes, do-not-disturb, quiet hours.
    NotifyChoices = "notify.choices" -> Value, as NotifyChoices;
    /// Why a message raised a banner or not.
    Why = "why" -> Value, as Why;
}
