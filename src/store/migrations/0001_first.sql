-- Schema v1. A message's place in history (server time and a tie-break) is its primary key; ids that the outside
-- knows are UUIDs in columns of their own. Small integers stand for accounts, conversations, archives and users.
CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE account(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    protocol TEXT NOT NULL,
    me TEXT
) STRICT;

CREATE TABLE checkpoint(
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY(account, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE user(
    key INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    user TEXT NOT NULL,
    name TEXT,
    UNIQUE(account, user)
) STRICT;

-- Where server ids come from: the part before the last slash of a `ServerRef`, shared by many messages.
CREATE TABLE archive(
    key INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    UNIQUE(account, name)
) STRICT;

CREATE TABLE conversation(
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    kind INTEGER NOT NULL,
    server TEXT,
    peer TEXT,
    title TEXT,
    gone INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    unread_below INTEGER NOT NULL DEFAULT 0,
    read_known INTEGER NOT NULL DEFAULT 0,
    read_position INTEGER NOT NULL DEFAULT 0,
    read_order INTEGER NOT NULL DEFAULT 0,
    last_at INTEGER
) STRICT;
CREATE UNIQUE INDEX conversation_server ON conversation(account, server) WHERE server IS NOT NULL;
CREATE UNIQUE INDEX conversation_peer ON conversation(account, peer) WHERE peer IS NOT NULL AND kind = 0;
CREATE INDEX conversation_recent ON conversation(last_at);

CREATE TABLE member(
    conversation INTEGER NOT NULL REFERENCES conversation(key) ON DELETE CASCADE,
    user TEXT NOT NULL,
    role INTEGER NOT NULL,
    PRIMARY KEY(conversation, user)
) STRICT, WITHOUT ROWID;

-- How far others have read and received what we wrote.
CREATE TABLE mark(
    conversation INTEGER NOT NULL REFERENCES conversation(key) ON DELETE CASCADE,
    user TEXT NOT NULL,
    read_position INTEGER NOT NULL DEFAULT 0,
    read_order INTEGER NOT NULL DEFAULT 0,
    delivered_position INTEGER NOT NULL DEFAULT 0,
    delivered_order INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(conversation, user)
) STRICT, WITHOUT ROWID;

-- state: 0 received, 1 pending, 2 in flight, 3 sent, 4 delivered, 5 read, 6 failed.
CREATE TABLE message(
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversation(key) ON DELETE CASCADE,
    sender INTEGER NOT NULL REFERENCES user(key),
    outgoing INTEGER NOT NULL,
    state INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    text TEXT NOT NULL,
    archive INTEGER,
    server_ref TEXT,
    server_order INTEGER,
    sender_ref TEXT,
    reply_to BLOB,
    reply_ref TEXT,
    edited_at INTEGER,
    retracted INTEGER NOT NULL DEFAULT 0,
    mentions INTEGER NOT NULL DEFAULT 0,
    link INTEGER NOT NULL DEFAULT 0,
    reacted INTEGER NOT NULL DEFAULT 0,
    attachments TEXT,
    error TEXT
) STRICT;
CREATE UNIQUE INDEX message_id ON message(id);
CREATE UNIQUE INDEX message_server ON message(archive, server_ref) WHERE server_ref IS NOT NULL;
CREATE INDEX message_conversation ON message(conversation, position);
CREATE INDEX message_account ON message(account, position);
CREATE INDEX message_sender ON message(sender, position);
CREATE INDEX message_order ON message(conversation, server_order) WHERE server_order IS NOT NULL;
CREATE INDEX message_sender_ref ON message(conversation, sender_ref) WHERE sender_ref IS NOT NULL;
CREATE INDEX message_unread ON message(conversation, position) WHERE state = 0;
CREATE INDEX message_unconfirmed ON message(conversation, position) WHERE state IN (3, 4);
CREATE INDEX message_file ON message(conversation, position) WHERE attachments IS NOT NULL;
CREATE INDEX message_link ON message(conversation, position) WHERE link = 1;
CREATE INDEX message_kind ON message(conversation, kind, position) WHERE kind <> 0;

CREATE VIRTUAL TABLE message_text USING fts5(
    text, content='message', content_rowid='position', tokenize='unicode61 remove_diacritics 2', prefix='3'
);
CREATE TRIGGER message_text_in AFTER INSERT ON message WHEN new.text <> '' BEGIN
    INSERT INTO message_text(rowid, text) VALUES (new.position, new.text);
END;
CREATE TRIGGER message_text_out AFTER DELETE ON message WHEN old.text <> '' BEGIN
    INSERT INTO message_text(message_text, rowid, text) VALUES ('delete', old.position, old.text);
END;
CREATE TRIGGER message_text_drop AFTER UPDATE OF position, text ON message WHEN old.text <> '' BEGIN
    INSERT INTO message_text(message_text, rowid, text) VALUES ('delete', old.position, old.text);
END;
CREATE TRIGGER message_text_put AFTER UPDATE OF position, text ON message WHEN new.text <> '' BEGIN
    INSERT INTO message_text(rowid, text) VALUES (new.position, new.text);
END;

-- Scripts written without spaces, one token a character, so that a phrase of characters finds any part of a text.
CREATE VIRTUAL TABLE message_glyph USING fts5(
    text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER message_glyph_out AFTER DELETE ON message BEGIN
    DELETE FROM message_glyph WHERE rowid = old.position;
END;

CREATE TABLE reaction(
    message BLOB NOT NULL,
    by TEXT NOT NULL,
    key TEXT NOT NULL,
    stands INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY(message, by, key)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER reaction_out AFTER DELETE ON message WHEN old.reacted = 1 BEGIN
    DELETE FROM reaction WHERE message = old.id;
END;

-- Changes and marks whose message is not here yet.
CREATE TABLE orphan(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversation(key) ON DELETE CASCADE,
    target TEXT NOT NULL,
    rev INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX orphan_target ON orphan(account, target);

-- state: 0 pending, 1 in flight, 2 done, 3 failed, 4 cancelled.
CREATE TABLE outbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    conversation INTEGER REFERENCES conversation(key) ON DELETE CASCADE,
    message BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    what TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    maybe_sent INTEGER NOT NULL DEFAULT 0,
    written_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    code TEXT,
    error TEXT
) STRICT;
CREATE INDEX outbox_open ON outbox(account, id) WHERE state IN (0, 1);
CREATE INDEX outbox_conversation ON outbox(conversation, id) WHERE state IN (0, 1);

-- Contiguous ranges of an archive: nothing is missing between `lo` and `hi`.
CREATE TABLE span(
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    archive INTEGER NOT NULL REFERENCES archive(key) ON DELETE CASCADE,
    conversation INTEGER REFERENCES conversation(key) ON DELETE CASCADE,
    lo TEXT NOT NULL,
    lo_at INTEGER NOT NULL,
    lo_position INTEGER NOT NULL,
    hi TEXT NOT NULL,
    hi_at INTEGER NOT NULL,
    hi_position INTEGER NOT NULL,
    after TEXT,
    before TEXT,
    at_start INTEGER NOT NULL,
    at_end INTEGER NOT NULL,
    cause TEXT
) STRICT;
CREATE INDEX span_archive ON span(archive, lo_position);
CREATE INDEX span_conversation ON span(conversation, lo_position);

-- state: 0 due, 1 held, 2 shown, 3 withdrawn (still on screen), 4 dropped.
CREATE TABLE banner(
    message BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversation(key) ON DELETE CASCADE,
    state INTEGER NOT NULL,
    reason TEXT,
    server TEXT,
    shown INTEGER,
    due_at INTEGER NOT NULL,
    catch_up INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX banner_conversation ON banner(conversation);
CREATE INDEX banner_open ON banner(due_at) WHERE state < 4;

CREATE TABLE change(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    conversation BLOB,
    message BLOB
) STRICT;
