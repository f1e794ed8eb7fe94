//! The bounds that the schema states for client frames: lengths, ranges, patterns, one-of-two members.

use super::client::{ClientFrame, Conv, Filter, Hello, Hist, Send};
use super::object::{Attachment, Body};
use super::{MAX_INT, client};

/// A member of a client frame that is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Which member.
    pub field: &'static str,
    /// What is wrong with it.
    pub cause: &'static str,
}

type Checked = Result<(), BadField>;

fn ensure(holds: bool, field: &'static str, cause: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(BadField { field, cause }) }
}

/// `[A-Za-z0-9_-]{1,64}`: ids of users, devices, conversations and blobs.
#[must_use]
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn id(text: &str, field: &'static str) -> Checked {
    ensure(is_id(text), field, "1 to 64 letters, digits, `_` or `-`")
}

fn may_id(text: Option<&String>, field: &'static str) -> Checked {
    text.map_or(Ok(()), |text| id(text, field))
}

fn ids(list: Option<&Vec<String>>, most: usize, field: &'static str) -> Checked {
    let Some(list) = list else { return Ok(()) };
    ensure(list.len() <= most, field, "too many")?;
    list.iter().try_for_each(|text| id(text, field))
}

fn short(text: Option<&String>, most: usize, field: &'static str) -> Checked {
    let fits = |text: &String| text.len() <= most || text.chars().count() <= most;
    ensure(text.is_none_or(fits), field, "too long")
}

fn int(number: u64, least: u64, most: u64, field: &'static str) -> Checked {
    ensure((least..=most).contains(&number), field, "out of range")
}

fn may_int(number: Option<u64>, least: u64, most: u64, field: &'static str) -> Checked {
    number.map_or(Ok(()), |number| int(number, least, most, field))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn uuid(text: Option<&String>, field: &'static str) -> Checked {
    ensure(text.is_none_or(|text| is_uuid(text)), field, "a UUID in lower-case hexadecimal")
}

fn hash(text: Option<&String>) -> Checked {
    let is_hash = |text: &String| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    ensure(text.is_none_or(is_hash), "sha256", "64 lower-case hexadecimal digits")
}

fn one_of_two(one: bool, other: bool, field: &'static str) -> Checked {
    ensure(one != other, field, "exactly one of two members is needed")
}

impl ClientFrame {
    /// Checks every bound that the schema states for this frame.
    ///
    /// # Errors
    /// The first member that is out of bounds.
    pub fn check(&self) -> Result<(), BadField> {
        if let Some(request) = self.request() {
            int(request, 1, MAX_INT, "id")?;
        }
        match self {
            Self::Hello(hello) => hello.check(),
            Self::Auth(_) | Self::State(_) => Ok(()),
            Self::Dev(f) => may_id(f.device.as_ref(), "device").and_then(|()| short(f.name.as_ref(), 64, "name")),
            Self::Ack(f) => int(f.cur, 0, MAX_INT, "cur"),
            Self::Ping(f) => int(f.n, 0, MAX_INT, "n").and_then(|()| may_int(f.cur, 0, MAX_INT, "cur")),
            Self::Pong(f) => int(f.n, 0, MAX_INT, "n"),
            Self::Watch(f) => ids(f.convs.as_ref(), 200, "convs").and_then(|()| ids(f.users.as_ref(), 200, "users")),
            Self::Typing(f) => id(&f.conv, "conv"),
            Self::Presence(f) => {
                short(f.text.as_ref(), 256, "text").and_then(|()| may_int(f.until, 0, MAX_INT, "until"))
            }
            Self::Send(send) => send.check(),
            Self::Edit(f) => id(&f.conv, "conv")
                .and_then(|()| int(f.seq, 1, MAX_INT, "seq"))
                .and_then(|()| uuid(f.cid.as_ref(), "cid"))
                .and_then(|()| f.body.check())
                .and_then(|()| attachments(f.att.as_ref())),
            Self::Del(f) => {
                id(&f.conv, "conv")?;
                ensure(f.seqs.len() <= 100, "seqs", "too many")?;
                f.seqs.iter().try_for_each(|seq| int(*seq, 1, MAX_INT, "seqs"))
            }
            Self::React(f) => id(&f.conv, "conv")
                .and_then(|()| int(f.seq, 1, MAX_INT, "seq"))
                .and_then(|()| short(Some(&f.key), 64, "key")),
            Self::Mark(f) => id(&f.conv, "conv").and_then(|()| int(f.read, 0, MAX_INT, "read")),
            Self::Conv(conv) => conv.check(),
            Self::Pref(f) => f.check(),
            Self::Hist(hist) => hist.check(),
            Self::Changes(f) => id(&f.conv, "conv")
                .and_then(|()| int(f.since, 0, MAX_INT, "since"))
                .and_then(|()| may_int(f.limit, 1, 200, "limit")),
            Self::Convs(f) => may_int(f.limit, 1, 100, "limit").and_then(|()| short(f.cursor.as_ref(), 1024, "cursor")),
            Self::Members(f) => id(&f.conv, "conv")
                .and_then(|()| may_int(f.limit, 1, 200, "limit"))
                .and_then(|()| short(f.cursor.as_ref(), 1024, "cursor")),
            Self::Blob(f) => short(Some(&f.mime), 127, "mime")
                .and_then(|()| int(f.size, 1, MAX_INT, "size"))
                .and_then(|()| hash(Some(&f.sha256)))
                .and_then(|()| short(f.name.as_ref(), 255, "name")),
            Self::Bye(f) => int(f.code, 1000, 4999, "code").and_then(|()| short(f.reason.as_ref(), 64, "reason")),
        }
    }

    /// The request's id, for frames that are answered.
    #[must_use]
    pub fn request(&self) -> Option<u64> {
        match self {
            Self::Auth(f) => Some(f.id),
            Self::Dev(f) => Some(f.id),
            Self::Send(f) => Some(f.id),
            Self::Edit(f) => Some(f.id),
            Self::Del(f) => Some(f.id),
            Self::React(f) => Some(f.id),
            Self::Mark(f) => Some(f.id),
            Self::Conv(f) => Some(f.id),
            Self::Pref(f) => Some(f.id),
            Self::Hist(f) => Some(f.id),
            Self::Changes(f) => Some(f.id),
            Self::Convs(f) => Some(f.id),
            Self::Members(f) => Some(f.id),
            Self::Blob(f) => Some(f.id),
            Self::Hello(_) | Self::Ack(_) | Self::Ping(_) | Self::Pong(_) | Self::State(_) | Self::Watch(_) => None,
            Self::Typing(_) | Self::Presence(_) | Self::Bye(_) => None,
        }
    }
}

impl Hello {
    fn check(&self) -> Checked {
        short(Some(&self.app), 64, "app")?;
        short(self.token.as_ref().map(|token| &token.0), 256, "token")?;
        short(self.epoch.as_ref(), 32, "epoch")?;
        may_int(self.cur, 0, MAX_INT, "cur")?;
        may_int(self.window, 16, 4096, "window")?;
        if let Some(caps) = &self.caps {
            ensure(caps.len() <= 32, "caps", "too many")?;
            caps.iter().try_for_each(|cap| short(Some(cap), 32, "caps"))?;
        }
        if let Some(ka) = &self.ka {
            may_int(ka.min, 0, MAX_INT, "ka")?;
            may_int(ka.max, 0, MAX_INT, "ka")?;
        }
        if let Some(snap) = &self.snap {
            may_int(snap.convs, 1, 100, "snap")?;
            may_int(snap.msgs, 0, 20, "snap")?;
        }
        ensure(self.tz.is_none_or(|tz| (-1000..=1000).contains(&tz)), "tz", "out of range")?;
        short(self.lang.as_ref(), 35, "lang")
    }
}

impl Send {
    fn check(&self) -> Checked {
        one_of_two(self.conv.is_some(), self.to.is_some(), "conv")?;
        may_id(self.conv.as_ref(), "conv")?;
        may_id(self.to.as_ref(), "to")?;
        uuid(Some(&self.cid), "cid")?;
        uuid(self.after.as_ref(), "after")?;
        may_int(self.re, 1, MAX_INT, "re")?;
        if let Some(mentions) = &self.mentions {
            ensure(mentions.len() <= 50, "mentions", "too many")?;
            mentions.iter().try_for_each(|name| short(Some(name), 64, "mentions"))?;
        }
        self.body.check()?;
        attachments(self.att.as_ref())
    }
}

impl Body {
    fn check(&self) -> Checked {
        short(Some(&self.kind), 32, "type")?;
        short(self.text.as_ref(), 16_384, "text")?;
        short(self.alg.as_ref(), 32, "alg")?;
        short(self.ct.as_ref(), 65_536, "ct")
    }
}

fn attachments(list: Option<&Vec<Attachment>>) -> Checked {
    let Some(list) = list else { return Ok(()) };
    ensure(list.len() <= 10, "att", "too many")?;
    list.iter().try_for_each(|att| {
        id(&att.blob, "blob")?;
        short(Some(&att.mime), 127, "mime")?;
        int(att.size, 0, MAX_INT, "size")?;
        short(att.name.as_ref(), 255, "name")?;
        [att.w, att.h, att.dur].into_iter().try_for_each(|number| may_int(number, 0, MAX_INT, "att"))?;
        hash(att.sha256.as_ref())?;
        may_id(att.thumb.as_ref(), "thumb")
    })
}

impl Conv {
    fn check(&self) -> Checked {
        may_id(self.conv.as_ref(), "conv")?;
        may_id(self.user.as_ref(), "user")?;
        uuid(self.cid.as_ref(), "cid")?;
        short(self.title.as_ref(), 256, "title")?;
        may_id(self.avatar.as_ref(), "avatar")?;
        ids(self.members.as_ref(), 100, "members")
    }
}

impl client::Pref {
    fn check(&self) -> Checked {
        one_of_two(self.conv.is_some(), self.user.is_some(), "conv")?;
        may_id(self.conv.as_ref(), "conv")?;
        may_id(self.user.as_ref(), "user")?;
        let most = i64::try_from(MAX_INT).unwrap_or(i64::MAX);
        ensure(self.mute.is_none_or(|mute| (-1..=most).contains(&mute)), "mute", "out of range")?;
        may_int(self.pin, 0, MAX_INT, "pin")
    }
}

impl Hist {
    fn check(&self) -> Checked {
        one_of_two(self.conv.is_some(), self.cursor.is_some(), "conv")?;
        may_id(self.conv.as_ref(), "conv")?;
        may_int(self.before, 1, MAX_INT, "before")?;
        may_int(self.after, 0, MAX_INT, "after")?;
        may_int(self.around, 1, MAX_INT, "around")?;
        may_int(self.limit, 1, 200, "limit")?;
        may_int(self.skip, 0, 10_000, "skip")?;
        short(self.cursor.as_ref(), 1024, "cursor")?;
        self.filter.as_ref().map_or(Ok(()), Filter::check)
    }
}

impl Filter {
    fn check(&self) -> Checked {
        may_id(self.from.as_ref(), "from")?;
        short(self.kind.as_ref(), 32, "type")?;
        may_int(self.since, 0, MAX_INT, "since")?;
        may_int(self.until, 0, MAX_INT, "until")?;
        short(self.text.as_ref(), 256, "text")
    }
}
