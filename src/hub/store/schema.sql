CREATE TABLE fixed(
    key   TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE user(
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    -- The newest and the oldest kept number of the update stream.
    head    INTEGER NOT NULL DEFAULT 0,
    floor   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Tokens are stored as SHA-256. `former` still counts until `former_until`.
CREATE TABLE device(
    id           INTEGER PRIMARY KEY,
    user         INTEGER NOT NULL REFERENCES user(id),
    name         TEXT NOT NULL,
    label        TEXT NOT NULL,
    token        BLOB UNIQUE,
    former       BLOB,
    former_until INTEGER NOT NULL DEFAULT 0,
    created      INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL DEFAULT 0,
    app          TEXT NOT NULL DEFAULT '',
    acked        INTEGER NOT NULL DEFAULT 0,
    UNIQUE(user, name)
) STRICT;
CREATE INDEX device_former ON device(former) WHERE former IS NOT NULL;

CREATE TABLE conv(
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    kind    TEXT NOT NULL CHECK (kind IN ('direct', 'group', 'channel')),
    title   TEXT,
    avatar  TEXT,
    seq     INTEGER NOT NULL DEFAULT 0,
    rev     INTEGER NOT NULL DEFAULT 0,
    ts      INTEGER NOT NULL,
    -- The two of a direct conversation, in order.
    low     INTEGER REFERENCES user(id),
    high    INTEGER REFERENCES user(id),
    -- Who made a group, and the id they gave the making.
    maker   INTEGER NOT NULL REFERENCES user(id),
    cid     TEXT,
    UNIQUE(low, high),
    UNIQUE(maker, cid)
) STRICT;

-- Positions outlive a membership; `active` says whether it lasts.
CREATE TABLE member(
    conv      INTEGER NOT NULL REFERENCES conv(id),
    user      INTEGER NOT NULL REFERENCES user(id),
    role      TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    active    INTEGER NOT NULL DEFAULT 1,
    read      INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(conv, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_user ON member(user, conv);

-- Which messages a member may see: from `lo` to `hi`; an open end while they are in.
CREATE TABLE span(
    conv INTEGER NOT NULL,
    user INTEGER NOT NULL,
    lo   INTEGER NOT NULL,
    hi   INTEGER,
    PRIMARY KEY(conv, user, lo)
) STRICT, WITHOUT ROWID;

-- `id` is conv * 2^32 + seq: one conversation lies together, in order.
CREATE TABLE msg(
    id       INTEGER PRIMARY KEY,
    conv     INTEGER NOT NULL REFERENCES conv(id),
    seq      INTEGER NOT NULL,
    rev      INTEGER NOT NULL,
    sender   INTEGER NOT NULL REFERENCES user(id),
    ts       INTEGER NOT NULL,
    cid      TEXT,
    -- A digest of what was sent, to tell a repeat from another message under the same cid.
    digest   BLOB NOT NULL,
    body     TEXT,
    att      TEXT,
    mentions TEXT,
    re       INTEGER,
    edited   INTEGER,
    edit_cid TEXT,
    deleted  INTEGER REFERENCES user(id)
) STRICT;
CREATE UNIQUE INDEX msg_cid ON msg(conv, sender, cid);
CREATE UNIQUE INDEX msg_rev ON msg(conv, rev, seq);

CREATE TABLE react(
    msg  INTEGER NOT NULL REFERENCES msg(id),
    key  TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES user(id),
    PRIMARY KEY(msg, key, user)
) STRICT, WITHOUT ROWID;

-- Messages that a user deleted for themselves alone.
CREATE TABLE hidden(
    user INTEGER NOT NULL REFERENCES user(id),
    msg  INTEGER NOT NULL REFERENCES msg(id),
    PRIMARY KEY(user, msg)
) STRICT, WITHOUT ROWID;

-- Events stand once; each user's update stream refers to them.
CREATE TABLE event(
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    ts     INTEGER NOT NULL,
    conv   INTEGER NOT NULL DEFAULT 0,
    -- For messages: their place and who wrote them; else 0.
    seq    INTEGER NOT NULL DEFAULT 0,
    sender INTEGER NOT NULL DEFAULT 0,
    body   TEXT NOT NULL
) STRICT;
CREATE TABLE upd(
    user  INTEGER NOT NULL,
    cur   INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY(user, cur)
) STRICT, WITHOUT ROWID;
