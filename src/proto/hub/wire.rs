//! The frames of `wakeful.v1.json` as types: what `docs/hub-protocol.schema.json` says, in Rust.
//!
//! Receivers ignore members they do not know; events, hub frames and error codes of a later version are kept as
//! `Unknown`. Nothing here decides anything; both the client machine and the hub's session are built on it.

mod check;
pub mod client;
pub mod event;
pub mod object;
pub mod server;
#[cfg(test)]
mod tests;

pub use check::BadField;
#[cfg(feature = "hub")]
pub(crate) use check::is_id;
pub use client::ClientFrame;
pub use event::Event;
pub use object::{
    Attachment, Body, ConvKind, ConvObj, Device, Format, Limits, Member, Mode, Pref, ReactSum, Role, Scope, Token, User,
};
pub use server::{ErrorCode, ServerFrame};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "wakeful.v1.json";
/// The largest integer a frame may carry: what a JavaScript number holds exactly (2^53 - 1).
pub const MAX_INT: u64 = 9_007_199_254_740_991;
/// Most events in one `ev` frame.
pub const MAX_EVENTS: usize = 100;

/// Why a text is not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a JSON object with a string member `t`: the sender does not speak the protocol.
    #[error("not a frame: {0}")]
    NotAFrame(String),
    /// A frame of a kind that this version does not know.
    #[error("unknown frame `{t}`")]
    Unknown {
        /// Its `t`.
        t: String,
        /// The request's id, if it has one.
        id: Option<u64>,
    },
    /// A known frame with a member missing, of the wrong type or out of bounds.
    #[error("bad `{t}` frame: {cause}")]
    Invalid {
        /// Its `t`.
        t: String,
        /// The request's id, if it has one.
        id: Option<u64>,
        /// Which member, where known.
        field: Option<&'static str>,
        /// What is wrong with it.
        cause: String,
    },
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(default)]
    id: Option<serde_json::Value>,
}

impl<'a> Head<'a> {
    fn read(text: &'a str) -> Result<Self, Malformed> {
        serde_json::from_str(text).map_err(|error| Malformed::NotAFrame(error.to_string()))
    }

    fn request(&self) -> Option<u64> {
        self.id.as_ref().and_then(serde_json::Value::as_u64).filter(|id| (1..=MAX_INT).contains(id))
    }

    fn invalid(&self, error: &serde_json::Error) -> Malformed {
        Malformed::Invalid { t: self.t.to_string(), id: self.request(), field: None, cause: error.to_string() }
    }

    fn unknown(&self) -> Malformed {
        Malformed::Unknown { t: self.t.to_string(), id: self.request() }
    }
}

/// Reads a client's frame and checks every bound that the schema states.
///
/// # Errors
/// [`Malformed`], with the request's id where one could be read, so that the answer can name it.
pub fn decode_client(text: &str) -> Result<ClientFrame, Malformed> {
    let head = Head::read(text)?;
    let frame = match ClientFrame::read(&head.t, &mut serde_json::Deserializer::from_str(text)) {
        None => return Err(head.unknown()),
        Some(read) => read.map_err(|error| head.invalid(&error))?,
    };
    frame.check().map_err(|BadField { field, cause }| Malformed::Invalid {
        t: head.t.to_string(),
        id: head.request(),
        field: Some(field),
        cause: cause.to_owned(),
    })?;
    Ok(frame)
}

/// Reads a hub's frame. A kind that this version does not know is [`ServerFrame::Unknown`].
///
/// # Errors
/// [`Malformed`] when it is no frame, or a known one with a member missing or of the wrong type.
pub fn decode_server(text: &str) -> Result<ServerFrame, Malformed> {
    let head = Head::read(text)?;
    match ServerFrame::read(&head.t, &mut serde_json::Deserializer::from_str(text)) {
        None => Ok(ServerFrame::Unknown(head.t.into_owned())),
        Some(read) => read.map_err(|error| head.invalid(&error)),
    }
}

/// The text of a frame or event.
#[must_use]
pub fn encode<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}

/// The text of an `ev` frame around events that are already text: what the hub sends from its update stream.
#[must_use]
pub fn encode_ev<S: AsRef<str>>(prev: u64, cur: u64, events: &[S]) -> String {
    let body: usize = events.iter().map(|event| event.as_ref().len() + 1).sum();
    let mut text = String::with_capacity(body + 64);
    text.push_str(&format!(r#"{{"t":"ev","prev":{prev},"cur":{cur},"evs":["#));
    for (nth, event) in events.iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        text.push_str(event.as_ref());
    }
    text.push_str("]}");
    text
}

/// A struct of the wire: members that must be there, then members that may be. With `tag = "name"` it also carries
/// that constant.
macro_rules! wire {
    ($(#[$meta:meta])* $name:ident $(, $tag:literal = $value:literal)? {
        $($(#[$must_meta:meta])* $must:ident: $must_ty:ty,)*
        $(? $($(#[$may_meta:meta])* $may:ident: $may_ty:ty,)*)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[serde(tag = $tag, rename = $value)])?
        pub struct $name {
            $($(#[$must_meta])* pub $must: $must_ty,)*
            $($($(#[$may_meta])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $may: Option<$may_ty>,)*)?
        }
    };
}
pub(crate) use wire;

/// An enum over tagged structs: writes the struct as it is, reads the one whose tag it is told.
macro_rules! one_of {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident($ty:ty) = $value:literal,)*
        $(? $(#[$unknown_meta:meta])* $unknown:ident($raw:ty))?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        pub enum $name {
            $($(#[$variant_meta])* $variant(Box<$ty>),)*
            $($(#[$unknown_meta])* $unknown($raw),)?
        }

        impl $name {
            /// Reads the struct of this tag; `None`: there is no such tag.
            pub(crate) fn read<'de, D: serde::Deserializer<'de>>(tag: &str, from: D) -> Option<Result<Self, D::Error>> {
                use serde::Deserialize;
                match tag {
                    $($value => Some(<$ty>::deserialize(from).map(Self::from)),)*
                    _ => None,
                }
            }
        }

        $(impl From<$ty> for $name {
            fn from(inner: $ty) -> Self {
                Self::$variant(Box::new(inner))
            }
        })*
    };
}
pub(crate) use one_of;
