-- Schema v3: how long things are kept, and what is remembered of those that are not.
-- When a row was settled; rows from before this step are as old as they were written.
ALTER TABLE outbox ADD COLUMN settled_at INTEGER;
CREATE INDEX outbox_settled ON outbox(coalesce(settled_at, written_at)) WHERE state > 1;

-- Ids of requests whose rows are gone: asking again with one of them still does nothing a second time.
-- state: as in outbox (2 done, 3 failed, 4 cancelled).
CREATE TABLE spent(
    id BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    state INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_at ON spent(at);

-- Which change was the newest at a time: tells how old a row of the feed is.
CREATE TABLE feed_mark(at INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;

-- How far messages of an archive were thrown away because of their age, number or size: explains the hole below.
CREATE TABLE thrown(
    archive INTEGER PRIMARY KEY REFERENCES archive(key) ON DELETE CASCADE,
    conversation INTEGER REFERENCES conversation(key) ON DELETE CASCADE,
    upto TEXT NOT NULL,
    upto_at INTEGER NOT NULL,
    upto_position INTEGER NOT NULL
) STRICT;
CREATE INDEX thrown_conversation ON thrown(conversation);

-- When a reader last asked the server for what is missing below a range.
ALTER TABLE span ADD COLUMN asked_at INTEGER;
CREATE INDEX span_place ON span(lo_position);
