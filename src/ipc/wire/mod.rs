//! The wire: JSON-RPC 2.0, one object a line (`\n`), UTF-8, over a Unix socket. Shapes only; it never does I/O.
//!
//! A request is `{"jsonrpc":"2.0","id":1,"method":"status","params":{}}`. Answers may come out of order: match them by
//! `id`. A request without `id` is carried out and not answered. Batches (arrays) are not accepted. Unknown members of
//! `params` are errors, so that a misspelt filter never silently widens a question; readers ignore unknown members of
//! answers and notifications, so that later versions can add some.

mod ask;
mod cursor;
mod fault;
mod feed;
mod method;
mod reply;
mod status;
mod upkeep;

pub use ask::{
    Accounts, AttentionSet, Contact, ContactVerb, ConversationAdd, ConversationCreate, ConversationGet,
    ConversationLeave, ConversationMembers, ConversationRemove, Conversations, Fetch, Hello, Hold, MarkRead,
    MessageEdit, MessageGet, MessageReact, MessageRetract, NotifyChoices, NotifyDecisions, NotifyDnd, NotifyMute,
    NotifyQuiet, NotifyTest, OutboxCancel, OutboxGet, OutboxRetry, OutboxWait, Quiet, Reconnect, Reload, RoomJoin,
    Send, Shutdown, Typing, Unread, Until, Why,
};
pub use cursor::{
    Batch, ChangeNote, CursorClose, CursorCount, CursorNext, CursorOpen, Find, Holes, NoteKind, PageAsk, Row, Waiting,
};
pub use fault::{Fault, FaultCode};
pub use feed::{Event, Fleeting, Resync, Subscribe, Subscribed, Unsubscribe};
pub use method::{Call, Method, schema};
pub use reply::{
    AccountBrief, AccountList, Cancelled, ConversationInfo, ConversationList, Counted, Done, HolesFound, Imported,
    Limits, Members, OutboxEntry, OutboxInfo, OutboxProgress, OutboxRows, Queued, Retried, UnreadCount, Welcome,
};
pub use status::{AccountInfo, ReasonInfo, StatusAsk, StatusInfo, StatusSubscribe, StoreInfo};
pub use upkeep::{AccountPurge, HoleList, Import, OutboxList};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of this interface. It grows only when something that a client may rely on goes away.
pub const PROTOCOL: u32 = 1;

/// The longest request line that the daemon reads, bytes without the line feed. A longer one is skipped and answered
/// with `too_large`.
pub const MAX_REQUEST: usize = 1 << 20;

/// The longest line that a client must be ready to read, bytes.
pub const MAX_ANSWER: usize = 32 << 20;

/// How long attention that a client announced holds without being renewed, milliseconds.
pub const ATTENTION_LEASE_MS: u64 = 30_000;

/// A request's id, chosen by the client and given back in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A request as a client writes it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// Absent for a request that wants no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// Which method.
    pub method: String,
    /// Its parameters, by name.
    #[serde(default)]
    pub params: Value,
}

/// The literal `2.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Version {
    /// JSON-RPC 2.0.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// An answer as the daemon writes it: exactly one of `result` and `error`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Response {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// The request's; null where it could not be read.
    pub id: Option<RequestId>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

impl Response {
    /// The answer to a request that may have failed.
    #[must_use]
    pub fn new(id: Option<RequestId>, outcome: Result<Value, Fault>) -> Self {
        let (result, error) = match outcome {
            Ok(value) => (Some(value), None),
            Err(fault) => (None, Some(fault)),
        };
        Self { jsonrpc: Version::V2, id, result, error }
    }
}

/// Something the daemon says unasked.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "method", content = "params")]
pub enum Notification {
    /// A committed change, to a subscriber.
    #[serde(rename = "event")]
    Event(Box<Event>),
    /// Changes before this one are no longer kept: read what you show anew.
    #[serde(rename = "resync")]
    Resync(Resync),
    /// The accounts' states changed, after `status.subscribe`.
    #[serde(rename = "status")]
    Status(StatusInfo),
    /// Typing or presence, to a subscriber that asked for it.
    #[serde(rename = "fleeting")]
    Fleeting(Fleeting),
}

/// What a client reads: an answer or a notification.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// To one of its requests.
    Response(Response),
    /// Unasked.
    Notification(Notification),
    /// A notification that this version does not know; to be ignored.
    Unknown,
}

/// A request that was understood.
#[derive(Debug)]
pub struct Asked {
    /// Absent when no answer is wanted.
    pub id: Option<RequestId>,
    /// What is wanted.
    pub call: Call,
}

/// Reads one line of a client.
///
/// # Errors
/// The answer to give: a parse error, an invalid request, an unknown method or bad parameters.
pub fn read_request(line: &[u8]) -> Result<Asked, Box<Response>> {
    let refuse = |id, fault| Err(Box::new(Response::new(id, Err(fault))));
    let value: Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => return refuse(None, Fault::new(FaultCode::Parse, format!("this line is not JSON: {error}"))),
    };
    let id = value.get("id").and_then(|id| RequestId::deserialize(id).ok());
    let request = match Request::deserialize(value) {
        Ok(request) => request,
        Err(error) => {
            let text = format!("this is not a JSON-RPC 2.0 request: {error}");
            return refuse(id, Fault::new(FaultCode::InvalidRequest, text));
        }
    };
    match Call::read(&request.method, request.params) {
        Ok(call) => Ok(Asked { id: request.id, call }),
        Err(fault) => refuse(request.id, fault),
    }
}

/// Reads one line of the daemon.
///
/// # Errors
/// The line is not a JSON-RPC 2.0 object.
pub fn read_incoming(line: &[u8]) -> Result<Incoming, serde_json::Error> {
    let value: Value = serde_json::from_slice(line)?;
    if value.get("method").is_some() {
        return Ok(Notification::deserialize(value).map_or(Incoming::Unknown, Incoming::Notification));
    }
    Response::deserialize(value).map(Incoming::Response)
}

/// One line: the object and a line feed.
#[must_use]
pub fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The line of an answer whose result is JSON already.
#[must_use]
pub fn result_line(id: &RequestId, result: &str) -> Vec<u8> {
    let id = serde_json::to_string(id).unwrap_or_default();
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n").into_bytes()
}

/// A notification's line.
#[must_use]
pub fn notification_line(notification: &Notification) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        jsonrpc: Version,
        #[serde(flatten)]
        notification: &'a Notification,
    }
    line(&Line { jsonrpc: Version::V2, notification })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_a_parse_error_with_a_null_id() {
        let answer = read_request(b"\x00\xff garbage").unwrap_err();
        let text = String::from_utf8(line(&answer)).unwrap();
        assert!(text.contains("-32700") && text.contains("\"id\":null"), "{text}");
    }

    #[test]
    fn an_object_that_is_no_request_keeps_its_id_in_the_refusal() {
        let answer = read_request(br#"{"id":7,"method":"status"}"#).unwrap_err();
        assert_eq!(answer.id, Some(RequestId::Number(7)));
        assert_eq!(answer.error.unwrap().code, FaultCode::InvalidRequest.number());
    }

    #[test]
    fn parameters_may_be_left_out_where_none_are_needed() {
        let asked = read_request(br#"{"jsonrpc":"2.0","id":"a","method":"status"}"#).unwrap();
        assert!(matches!(asked.call, Call::Status(_)));
        assert_eq!(asked.id, Some(RequestId::Text("a".into())));
    }

    #[test]
    fn an_unknown_method_and_a_misspelt_parameter_are_told_apart() {
        let unknown = read_request(br#"{"jsonrpc":"2.0","id":1,"method":"stauts"}"#).unwrap_err().error.unwrap();
        assert_eq!(unknown.code, FaultCode::UnknownMethod.number());
        let line = br#"{"jsonrpc":"2.0","id":1,"method":"cursor.open","params":{"find":{"sendr":"a"}}}"#;
        let misspelt = read_request(line).unwrap_err().error.unwrap();
        assert_eq!(misspelt.code, FaultCode::BadParams.number());
        assert!(misspelt.message.contains("sendr"), "{}", misspelt.message);
    }

    #[test]
    fn an_answer_that_is_json_already_reads_as_any_other() {
        for id in [RequestId::Number(7), RequestId::Text("a\"b".into())] {
            let written = result_line(&id, r#"{"x":[1]}"#);
            assert!(written.ends_with(b"}\n"));
            let Incoming::Response(read) = read_incoming(&written).unwrap() else { panic!("no answer") };
            assert_eq!((read.id, read.result), (Some(id), Some(serde_json::json!({"x": [1]}))));
        }
    }

    #[test]
    fn a_batch_is_refused() {
        let answer = read_request(br#"[{"jsonrpc":"2.0","id":1,"method":"status"}]"#).unwrap_err();
        assert_eq!(answer.error.unwrap().code, FaultCode::InvalidRequest.number());
    }

    #[test]
    fn a_client_ignores_notifications_of_later_versions() {
        let line = br#"{"jsonrpc":"2.0","method":"novelty","params":{"x":1}}"#;
        assert!(matches!(read_incoming(line).unwrap(), Incoming::Unknown));
    }

    #[test]
    fn a_notification_reads_what_it_writes() {
        let written = notification_line(&Notification::Resync(Resync { subscription: 3, seq: crate::model::Seq(9) }));
        let Incoming::Notification(Notification::Resync(read)) = read_incoming(&written).unwrap() else {
            panic!("not a resync")
        };
        assert_eq!((read.subscription, read.seq.0), (3, 9));
    }
}
