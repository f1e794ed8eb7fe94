-- As of which change a message came; 0: it was filled into the past. A cursor gives nothing that came after it was
-- opened, however long ago that is.
ALTER TABLE message ADD COLUMN born INTEGER NOT NULL DEFAULT 0;

-- Every filter of a query has an index in the order of history, for one conversation and for one account.
CREATE INDEX message_by ON message(conversation, sender, position);
CREATE INDEX message_account_unread ON message(account, position) WHERE state = 0;
CREATE INDEX message_account_file ON message(account, position) WHERE attachments IS NOT NULL;
CREATE INDEX message_account_link ON message(account, position) WHERE link = 1;
CREATE INDEX message_account_kind ON message(account, kind, position) WHERE kind <> 0;

-- Marks are part of a word in scripts without spaces: without them Thai "ดี" would be found in every "เด็ก".
DROP TRIGGER message_glyph_out;
DROP TABLE message_glyph;
CREATE VIRTUAL TABLE message_glyph USING fts5(
    text, content='', contentless_delete=1, tokenize="unicode61 remove_diacritics 2 categories 'L* N* M* Co'"
);
CREATE TRIGGER message_glyph_out AFTER DELETE ON message BEGIN
    DELETE FROM message_glyph WHERE rowid = old.position;
END;
