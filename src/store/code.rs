//! Small integers in the file for the enums of the model.

use crate::model::{MessageKind, MessageState};

pub(super) const RECEIVED: i64 = 0;
pub(super) const PENDING: i64 = 1;
pub(super) const IN_FLIGHT: i64 = 2;
pub(super) const SENT: i64 = 3;
pub(super) const DELIVERED: i64 = 4;
pub(super) const READ: i64 = 5;
pub(super) const FAILED: i64 = 6;

pub(super) fn state(code: i64) -> MessageState {
    match code {
        PENDING => MessageState::Pending,
        IN_FLIGHT => MessageState::InFlight,
        SENT => MessageState::Sent,
        DELIVERED => MessageState::Delivered,
        READ => MessageState::Read,
        FAILED => MessageState::Failed,
        _ => MessageState::Received,
    }
}

pub(super) fn of_state(state: MessageState) -> i64 {
    match state {
        MessageState::Received => RECEIVED,
        MessageState::Pending => PENDING,
        MessageState::InFlight => IN_FLIGHT,
        MessageState::Sent => SENT,
        MessageState::Delivered => DELIVERED,
        MessageState::Read => READ,
        MessageState::Failed => FAILED,
    }
}

pub(super) fn kind(code: i64) -> MessageKind {
    match code {
        0 => MessageKind::Text,
        1 => MessageKind::Encrypted,
        2 => MessageKind::Call,
        3 => MessageKind::System,
        _ => MessageKind::Unsupported,
    }
}

pub(super) fn of_kind(kind: MessageKind) -> i64 {
    match kind {
        MessageKind::Text => 0,
        MessageKind::Encrypted => 1,
        MessageKind::Call => 2,
        MessageKind::System => 3,
        MessageKind::Unsupported => 4,
    }
}

/// A text holds a link.
pub(super) fn has_link(text: &str) -> bool {
    text.contains("http://") || text.contains("https://")
}
