//! The nouns that every room shares. No I/O, no async, no SQL; only `serde` shapes and plain logic.

mod checkpoint;
mod command;
mod conversation;
mod event;
mod feed;
mod ids;
mod message;
mod query;
mod reason;
mod record;
mod secret;
mod signal;
mod status;
mod time;
mod window;

pub use checkpoint::{Checkpoint, CheckpointRow};
pub use command::{Command, CommandKind, CommandTarget};
pub use conversation::{Conversation, ConversationBrief, ConversationKey, ConversationKind, Member, Role};
pub use event::{
    Amendment, Arrival, Attachment, Change, ConversationUpdate, DeliveryMark, Event, MemberUpdate, Origin, Outcome,
    ReadMark, Reader, SendFailure, ServerRef, Settled, Span, SpanEdge, Target, Upto, UserUpdate,
};
pub use feed::{FeedItem, FeedKind};
pub use ids::{AccountId, BatchId, ConversationId, MessageId, OutboxId, Position, Seq};
pub use message::{Message, MessageKind, MessageState, Reaction, SnippetPart};
pub use query::{Anchor, Hole, HoleCause, HoleFill, Order, Page, PageRow, Query, Scope};
pub use reason::Reason;
pub use record::{AccountRecord, ConversationRecord, ExportEnd, ExportHead, MessageRecord, Record, SpanRecord};
pub use secret::Secret;
pub use signal::{Addressed, Attention, FetchHole, Perishable, Power, Signal};
pub use status::{AccountState, AccountStatus, Quarantined, Statuses, StoreState, StoreStatus};
pub use time::Timestamp;
pub use window::{Day, Hour, Window};
