//! Hub frames (`s_*`).

use super::event::{Ephemeral, Event, Msg};
use super::object::{ConvObj, Device, Limits, Member, Token, User, words};
use super::{one_of, wire};
use serde::{Deserialize, Serialize};

one_of! {
    /// A frame from the hub.
    ServerFrame {
        /// The first frame: who you are and from where you go on.
        Welcome(Welcome) = "welcome",
        /// A page of the snapshot.
        Snap(Snap) = "snap",
        /// Durable events.
        Ev(Ev) = "ev",
        /// What is true only for a moment.
        Eph(Eph) = "eph",
        /// The answer to a ping.
        Pong(Pong) = "pong",
        /// The hub asks for a pong.
        Ping(Ping) = "ping",
        /// A request was carried out.
        Ok(Ok) = "ok",
        /// A request, or the connection, failed.
        Err(Err) = "err",
        /// The hub is about to close.
        Bye(Bye) = "bye",
        ?
        /// A kind that this version does not know: its `t`.
        Unknown(String)
    }
}

words! {
    /// How a client goes on after welcome.
    Resume {
        /// From its cursor.
        #[default]
        Ok,
        /// From a snapshot that follows.
        Snap,
    }
}
words! {
    /// Why a snapshot.
    SnapReason {
        /// The client has no cursor.
        #[default]
        First,
        /// Its cursor is older than what the hub keeps.
        TooOld,
        /// Too many events lie between.
        TooFar,
        /// The hub's numbers began anew.
        Epoch,
        /// The cursor lies ahead of the hub.
        Future,
    }
}
wire! {
    /// Advice for the keepalive, milliseconds.
    Keepalive {
        /// Ping after this much silence.
        interval: u64,
        /// Give up this long after an unanswered ping.
        timeout: u64,
        /// The hub hangs up after this much silence.
        max: u64,
    }
}
wire! {
    /// How far back the update stream reaches.
    Retain {
        /// Days.
        days: u64,
        /// Events.
        events: u64,
    }
}
wire! {
    /// The first frame: who you are and from where you go on.
    Welcome, "t" = "welcome" {
        /// User id.
        user: String,
        /// Device id.
        device: String,
        /// This connection, for logs.
        conn: String,
        /// The numbering that cursors belong to.
        epoch: String,
        /// How to go on.
        resume: Resume,
        /// The newest number of the user's update stream.
        head: u64,
        /// The hub's time, Unix milliseconds.
        now: u64,
        /// Most events without an ack.
        window: u64,
        /// What the hub can do.
        caps: Vec<String>,
        /// Keepalive advice.
        ka: Keepalive,
        /// Limits.
        limits: Limits,
        /// How far back the update stream reaches.
        retain: Retain,
        ?
        /// Why a snapshot.
        reason: SnapReason,
    }
}
wire! {
    /// A page of the snapshot.
    Snap, "t" = "snap" {
        /// From 1.
        part: u64,
        /// Another page follows.
        more: bool,
        /// Conversations.
        convs: Vec<ConvObj>,
        /// People in them.
        users: Vec<User>,
        ?
        /// The numbering; with the last page.
        epoch: String,
        /// The cursor that the whole snapshot stands for; with the last page.
        cur: u64,
    }
}
wire! {
    /// Durable events. Apply only if `prev` is the cursor; then the cursor is `cur`.
    Ev, "t" = "ev" {
        /// The cursor before.
        prev: u64,
        /// The cursor after. Numbers between may be missing.
        cur: u64,
        /// At most 100.
        evs: Vec<Event>,
    }
}
wire! {
    /// What is true only for a moment.
    Eph, "t" = "eph" {
        /// At most 100.
        evs: Vec<Ephemeral>,
    }
}
wire! {
    /// The answer to a ping.
    Pong, "t" = "pong" {
        /// The ping's number.
        n: u64,
        /// The newest number of the user's update stream: shows a lost hint.
        head: u64,
        /// The hub's time, Unix milliseconds.
        now: u64,
    }
}
wire! {
    /// The hub asks for a pong.
    Ping, "t" = "ping" {
        /// Its number.
        n: u64,
    }
}
wire! {
    /// A request was carried out. Which members are there depends on the request.
    Ok, "t" = "ok" {
        /// The request's id.
        re: u64,
        ?
        /// Conversation id.
        conv: String,
        /// The message's place.
        seq: u64,
        /// Count of changes.
        rev: u64,
        /// The hub's time of it, Unix milliseconds.
        ts: u64,
        /// It had been carried out before.
        dup: bool,
        /// There was nothing to do.
        noop: bool,
        /// A new device token.
        token: Token,
        /// When that token ends, Unix milliseconds.
        exp: u64,
        /// How long the old token still counts, milliseconds.
        grace_ms: u64,
        /// Devices.
        devices: Vec<Device>,
        /// The conversation.
        c: ConvObj,
        /// Blob id.
        blob: String,
        /// Where to put it.
        put: String,
        /// The hub has it already.
        have: bool,
        /// Messages, in the order asked for.
        msgs: Vec<Msg>,
        /// Where to go on; absent at the end.
        cursor: String,
        /// More follows.
        more: bool,
        /// The first `seq` that this user may see.
        floor: u64,
        /// Where `changes` goes on.
        since: u64,
        /// Conversations.
        convs: Vec<ConvObj>,
        /// Members.
        members: Vec<Member>,
    }
}

/// Why a request failed, for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a frame.
    BadFrame,
    /// A member is missing or out of bounds.
    BadRequest,
    /// This hub does not do that.
    Unsupported,
    /// No valid token.
    Unauthenticated,
    /// Not allowed.
    Forbidden,
    /// No such thing.
    NotFound,
    /// Not in that conversation.
    NotMember,
    /// The `cid` was used for another message.
    CidReuse,
    /// Changed meanwhile.
    Conflict,
    /// Too many bytes or characters.
    TooLarge,
    /// Too many of something.
    Limit,
    /// Not a page token of this hub.
    BadCursor,
    /// The page token's time is over; `at` names where to reopen.
    CursorExpired,
    /// Too often; see `retry_after`.
    RateLimited,
    /// Not now.
    Unavailable,
    /// Took too long.
    Timeout,
    /// The hub's own fault.
    #[default]
    Internal,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

words! {
    /// What an error is about.
    ErrScope {
        /// The connection.
        #[default]
        Conn,
        /// Sending.
        Send,
        /// History.
        Hist,
        /// A conversation.
        Conv,
        /// Authentication.
        Auth,
    }
}
wire! {
    /// A request, or (without `re`) the connection, failed.
    Err, "t" = "err" {
        /// Why, for programs.
        code: ErrorCode,
        ?
        /// The request's id.
        re: u64,
        /// Why, in words.
        msg: String,
        /// The member at fault.
        field: String,
        /// Not again before this many milliseconds.
        retry_after: u64,
        /// What it is about.
        scope: ErrScope,
        /// Where to reopen an expired page token: a `seq`.
        at: u64,
        /// The limit that was exceeded.
        max: String,
        /// The hub's name for this fault, for its logs.
        #[serde(rename = "ref")]
        reference: String,
    }
}
wire! {
    /// The hub is about to close. 40xx retry with backoff, 41xx not before `after`, 42xx stop and tell the user.
    Bye, "t" = "bye" {
        /// The close code that follows.
        code: u64,
        ?
        /// Why, in a word.
        reason: String,
        /// Not again before this many milliseconds.
        after: u64,
        /// Go there instead.
        to: String,
    }
}
