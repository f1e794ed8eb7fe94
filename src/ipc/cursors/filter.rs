//! Whether a message that changed or arrived still fits what a cursor looks for, without asking the store.

use crate::model::{FeedItem, Message, MessageState, Position, Query, Scope};

/// The change is about the query's scope.
pub(in crate::ipc) fn in_scope(query: &Query, item: &FeedItem) -> bool {
    match query.scope {
        Scope::All => true,
        Scope::Account(account) => item.account == account,
        Scope::Conversation(conversation) => item.conversation == Some(conversation),
    }
}

/// The message fits the conditions. Full text is left to the store: here it always fits.
pub(in crate::ipc) fn fits(query: &Query, message: &Message) -> bool {
    let linked = || message.text.contains("https://") || message.text.contains("http://");
    if crate::mutant("live-unfiltered") {
        return true;
    }
    query.sender.as_ref().is_none_or(|sender| *sender == message.sender)
        && query.since.is_none_or(|since| message.position >= Position::of_ms(since.ms()))
        && query.until.is_none_or(|until| message.position < Position::of_ms(until.ms()) && !unsettled(message))
        && query.kind.is_none_or(|kind| message.kind == kind)
        && (!query.has_attachment || !message.attachments.is_empty())
        && (!query.has_link || linked())
        && (!query.unread || (!message.outgoing && message.state == MessageState::Received))
}

/// It has no place by time yet: it stands behind every time.
pub(super) fn unsettled(message: &Message) -> bool {
    matches!(message.state, MessageState::Pending | MessageState::InFlight)
}
