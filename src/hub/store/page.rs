//! Page tokens: opaque, signed, for one user, with an end. They hold a position and what was asked for, no state here.

use super::Stop;
use super::desk::Desk;
use crate::proto::hub::wire::client::Filter;
use crate::proto::hub::wire::server::ErrScope;
use crate::proto::hub::wire::{ErrorCode, encode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// How long a page token lasts, milliseconds.
const LASTS: i64 = 600_000;
/// Bytes of the signature.
const SIGNATURE: usize = 16;
/// Longest token, characters.
const LONGEST: usize = 1024;

/// Where a page ended and what it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Page {
    /// A history page.
    #[serde(rename = "h")]
    Hist {
        /// Conversation.
        c: i64,
        /// The last `seq` looked at.
        s: i64,
        /// Oldest first.
        a: bool,
        /// Still to be left out.
        k: u64,
        /// Messages a page.
        l: u64,
        /// The far bound that was asked for, exclusive.
        b: Option<i64>,
        /// Which messages.
        f: Option<Filter>,
        /// It does not end.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        n: bool,
    },
    /// A page of conversations.
    #[serde(rename = "c")]
    Convs {
        /// Time of the last one.
        ts: i64,
        /// The last one.
        conv: i64,
    },
    /// A page of members.
    #[serde(rename = "m")]
    Members {
        /// Of this conversation.
        conv: i64,
        /// After this name.
        after: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    u: i64,
    /// End, Unix milliseconds; 0: none.
    e: i64,
    p: Page,
}

/// The token is not one of this hub, or was made for something else.
pub(super) fn foreign() -> Stop {
    Stop::refuse(ErrorCode::BadCursor, "not a page token for this").field("cursor").scope(ErrScope::Hist)
}

impl Desk<'_> {
    /// Makes a token.
    pub(super) fn seal_page(&self, page: &Page, no_timeout: bool) -> Result<String, Stop> {
        let end = if no_timeout { 0 } else { self.at.saturating_add(LASTS) };
        let text = encode(&Sealed { u: self.who.user, e: end, p: page.clone() });
        let mut bytes = self.sign(text.as_bytes());
        bytes.extend_from_slice(text.as_bytes());
        let token = URL_SAFE_NO_PAD.encode(&bytes);
        if token.len() > LONGEST {
            let stop = Stop::refuse(ErrorCode::TooLarge, "the filter is too long for a page token");
            return Err(stop.field("filter").scope(ErrScope::Hist));
        }
        Ok(token)
    }

    /// Reads a token of this user. One that has ended says where to reopen.
    pub(super) fn open_page(&self, token: &str) -> Result<Page, Stop> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        let (signature, text) = bytes.split_at_checked(SIGNATURE).ok_or_else(foreign)?;
        if !crate::mutant("hub-token-unsigned") && !self.signed(text, signature) {
            return Err(foreign());
        }
        let sealed: Sealed = serde_json::from_slice(text).map_err(|_| foreign())?;
        if sealed.u != self.who.user {
            return Err(foreign());
        }
        if sealed.e != 0 && sealed.e <= self.at && !crate::mutant("hub-token-endless") {
            let at = match sealed.p {
                Page::Hist { s, .. } => u64::try_from(s).ok(),
                Page::Convs { .. } | Page::Members { .. } => None,
            };
            let stop = Stop::refuse(ErrorCode::CursorExpired, "this page token has ended: reopen at `at`");
            return Err(stop.field("cursor").scope(ErrScope::Hist).with(|err| err.at = at));
        }
        Ok(sealed.p)
    }

    fn mac(&self, text: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.fixed.page_key).ok()?;
        mac.update(text);
        Some(mac)
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let mut signature = self.mac(text).map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default();
        signature.truncate(SIGNATURE);
        signature
    }

    fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.mac(text).is_some_and(|mac| mac.verify_truncated_left(signature).is_ok())
    }
}
