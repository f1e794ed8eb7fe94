//! Client frames (`c_*`). Those with an `id` are answered by exactly one `ok` or `err` that names it.

use super::object::{Attachment, Availability, Body, Mode, Order, Role, Scope, Token, words};
use super::{one_of, wire};

one_of! {
    /// A frame from a client.
    ClientFrame {
        /// The first frame.
        Hello(Hello) = "hello",
        /// Change of one's own token.
        Auth(Auth) = "auth",
        /// One's devices.
        Dev(Dev) = "dev",
        /// Everything up to here is safely stored.
        Ack(Ack) = "ack",
        /// Asks for a pong.
        Ping(Ping) = "ping",
        /// Answers the hub's ping.
        Pong(Pong) = "pong",
        /// How closely the user looks.
        State(State) = "state",
        /// Whose ephemera to send.
        Watch(Watch) = "watch",
        /// The user types, or stopped.
        Typing(Typing) = "typing",
        /// The user's availability.
        Presence(Presence) = "presence",
        /// A message.
        Send(Send) = "send",
        /// A message's new text.
        Edit(Edit) = "edit",
        /// Take messages back.
        Del(Del) = "del",
        /// Put or take away a reaction.
        React(React) = "react",
        /// Read up to here.
        Mark(Mark) = "mark",
        /// An operation on a conversation.
        Conv(Conv) = "conv",
        /// The user's own settings.
        Pref(Pref) = "pref",
        /// A page of history.
        Hist(Hist) = "hist",
        /// What changed since a `rev`.
        Changes(Changes) = "changes",
        /// A page of conversations.
        Convs(Convs) = "convs",
        /// A page of members.
        Members(Members) = "members",
        /// Announces an upload.
        Blob(Blob) = "blob",
        /// The client is about to close.
        Bye(Bye) = "bye",
    }
}

wire! {
    /// The client's wish for the keepalive, milliseconds.
    KeepaliveWish {
        ?
        /// Not more often.
        min: u64,
        /// Not more seldom.
        max: u64,
    }
}
wire! {
    /// How big a snapshot to send, if one is due.
    SnapWish {
        ?
        /// Conversations a page, at most 100.
        convs: u64,
        /// Newest messages a conversation, at most 20.
        msgs: u64,
    }
}
wire! {
    /// The first frame.
    Hello, "t" = "hello" {
        /// The program and its version.
        app: String,
        ?
        /// For clients that cannot set a header (browsers).
        token: Token,
        /// The numbering that `cur` belongs to.
        epoch: String,
        /// The cursor: everything up to it is safely stored.
        cur: u64,
        /// Most events without an ack, 16 to 4096.
        window: u64,
        /// What the client can do.
        caps: Vec<String>,
        /// How closely the user looks.
        state: Mode,
        /// Keepalive wish.
        ka: KeepaliveWish,
        /// Snapshot wish.
        snap: SnapWish,
        /// Minutes east of UTC.
        tz: i64,
        /// Language tag (BCP 47).
        lang: String,
    }
}
words! {
    /// What to do with one's token.
    AuthOp {
        /// Make a new one; the old one lives on for a while.
        #[default]
        Rotate,
    }
}
wire! {
    /// Change of one's own token.
    Auth, "t" = "auth" {
        /// Request id.
        id: u64,
        /// What to do.
        op: AuthOp,
    }
}
words! {
    /// What to do with one's devices.
    DevOp {
        /// Show them.
        #[default]
        List,
        /// Rename one.
        Rename,
        /// Void one's token.
        Revoke,
    }
}
wire! {
    /// One's devices.
    Dev, "t" = "dev" {
        /// Request id.
        id: u64,
        /// What to do.
        op: DevOp,
        ?
        /// Which.
        device: String,
        /// Its new name.
        name: String,
    }
}
wire! {
    /// Everything up to `cur` is safely stored.
    Ack, "t" = "ack" {
        /// The cursor.
        cur: u64,
        ?
        /// A batch did not fit the cursor: start again from `cur`.
        resync: bool,
    }
}
wire! {
    /// Asks for a pong.
    Ping, "t" = "ping" {
        /// Its number.
        n: u64,
        ?
        /// The cursor: an ack on the same ride.
        cur: u64,
    }
}
wire! {
    /// Answers the hub's ping.
    Pong, "t" = "pong" {
        /// The ping's number.
        n: u64,
    }
}
wire! {
    /// How closely the user looks.
    State, "t" = "state" {
        /// The mode.
        mode: Mode,
    }
}
wire! {
    /// Whose ephemera to send from now on; replaces the watch before.
    Watch, "t" = "watch" {
        ?
        /// Conversations whose typing is wanted, at most 200.
        convs: Vec<String>,
        /// People whose presence is wanted, at most 200.
        users: Vec<String>,
    }
}
wire! {
    /// The user types, or stopped.
    Typing, "t" = "typing" {
        /// Where.
        conv: String,
        /// Types, or stopped.
        on: bool,
    }
}
wire! {
    /// The user's availability.
    Presence, "t" = "presence" {
        /// Whether they can be reached.
        st: Availability,
        ?
        /// In their own words.
        text: String,
        /// Until then, Unix milliseconds.
        until: u64,
    }
}
wire! {
    /// A message; exactly one of `conv` and `to`.
    Send, "t" = "send" {
        /// Request id.
        id: u64,
        /// UUIDv7, unique per (conversation, sender) for ever; makes a repeat harmless.
        cid: String,
        /// What it says.
        body: Body,
        ?
        /// Into this conversation,
        conv: String,
        /// or to this user, opening the direct conversation if need be.
        to: String,
        /// The sender's message before this one, if that has no answer yet: without it this one is refused for now.
        after: String,
        /// The message it answers.
        re: u64,
        /// Who is named in it.
        mentions: Vec<String>,
        /// Files, at most 10.
        att: Vec<Attachment>,
    }
}
wire! {
    /// A message's new text.
    Edit, "t" = "edit" {
        /// Request id.
        id: u64,
        /// Where.
        conv: String,
        /// Which message.
        seq: u64,
        /// The whole new body.
        body: Body,
        ?
        /// The whole new list of files.
        att: Vec<Attachment>,
        /// Makes a repeat harmless.
        cid: String,
    }
}
wire! {
    /// Take messages back.
    Del, "t" = "del" {
        /// Request id.
        id: u64,
        /// Where.
        conv: String,
        /// Which messages, at most 100.
        seqs: Vec<u64>,
        /// For whom.
        scope: Scope,
    }
}
wire! {
    /// Put or take away a reaction.
    React, "t" = "react" {
        /// Request id.
        id: u64,
        /// Where.
        conv: String,
        /// Which message.
        seq: u64,
        /// Emoji or short text.
        key: String,
        /// Put, or take away.
        on: bool,
    }
}
wire! {
    /// Read up to here.
    Mark, "t" = "mark" {
        /// Request id.
        id: u64,
        /// Where.
        conv: String,
        /// Up to this `seq`.
        read: u64,
        ?
        /// Mark as unread by hand.
        unread: bool,
    }
}
words! {
    /// What to do with a conversation.
    ConvVerb {
        /// Open the direct conversation with `user`.
        Direct,
        /// Make a group; `cid` makes a repeat harmless.
        Create,
        /// Change title or picture.
        Set,
        /// Add `members` or `user`.
        Add,
        /// Remove `user`.
        Remove,
        /// Give `user` a role.
        Role,
        /// Leave.
        Leave,
        /// Show it.
        #[default]
        Get,
    }
}
wire! {
    /// An operation on a conversation.
    Conv, "t" = "conv" {
        /// Request id.
        id: u64,
        /// What to do.
        op: ConvVerb,
        ?
        /// Which conversation.
        conv: String,
        /// Which person.
        user: String,
        /// Makes a repeat of `create` harmless.
        cid: String,
        /// Title.
        title: String,
        /// Blob of a picture.
        avatar: String,
        /// People, at most 100.
        members: Vec<String>,
        /// Role.
        role: Role,
    }
}
wire! {
    /// The user's own settings; exactly one of `conv` and `user`.
    Pref, "t" = "pref" {
        /// Request id.
        id: u64,
        ?
        /// For this conversation,
        conv: String,
        /// or for this person.
        user: String,
        /// Muted until this Unix time in milliseconds; -1 for ever, 0 not.
        mute: i64,
        /// Only mentions count.
        mentions: bool,
        /// Place among the pinned; 0 not pinned.
        pin: u64,
        /// Put away.
        archive: bool,
        /// Blocked.
        block: bool,
    }
}
words! {
    /// What a message must carry.
    Has {
        /// A file.
        #[default]
        Att,
        /// A link.
        Link,
    }
}
wire! {
    /// Which messages of a history.
    Filter {
        ?
        /// By this user.
        from: String,
        /// Of this kind.
        #[serde(rename = "type")]
        kind: String,
        /// With this.
        has: Has,
        /// Not before, Unix milliseconds.
        since: u64,
        /// Before, Unix milliseconds.
        until: u64,
        /// Containing this text.
        text: String,
        /// By others and not read.
        unread: bool,
    }
}
wire! {
    /// A page of history; exactly one of `conv` and `cursor`.
    Hist, "t" = "hist" {
        /// Request id.
        id: u64,
        ?
        /// Open at this conversation,
        conv: String,
        /// below this `seq`,
        before: u64,
        /// above this `seq`,
        after: u64,
        /// or on both sides of this `seq`.
        around: u64,
        /// Messages a page, at most 200.
        limit: u64,
        /// Newest or oldest first.
        order: Order,
        /// Leave out this many, at most 10,000.
        skip: u64,
        /// Go on from here.
        cursor: String,
        /// The page token does not end.
        no_timeout: bool,
        /// Which messages.
        filter: Filter,
    }
}
wire! {
    /// Messages that changed since a `rev`.
    Changes, "t" = "changes" {
        /// Request id.
        id: u64,
        /// Where.
        conv: String,
        /// Since this `rev`.
        since: u64,
        ?
        /// Messages a page, at most 200.
        limit: u64,
    }
}
wire! {
    /// A page of conversations, newest first.
    Convs, "t" = "convs" {
        /// Request id.
        id: u64,
        ?
        /// Conversations a page, at most 100.
        limit: u64,
        /// Go on from here.
        cursor: String,
    }
}
wire! {
    /// A page of members.
    Members, "t" = "members" {
        /// Request id.
        id: u64,
        /// Where.
        conv: String,
        ?
        /// Members a page, at most 200.
        limit: u64,
        /// Go on from here.
        cursor: String,
    }
}
wire! {
    /// Announces an upload.
    Blob, "t" = "blob" {
        /// Request id.
        id: u64,
        /// Media type.
        mime: String,
        /// Bytes.
        size: u64,
        /// Lower-case hexadecimal.
        sha256: String,
        ?
        /// File name.
        name: String,
    }
}
wire! {
    /// The client is about to close.
    Bye, "t" = "bye" {
        /// The close code that follows.
        code: u64,
        ?
        /// Why, in a word.
        reason: String,
    }
}
