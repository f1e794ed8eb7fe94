-- Two triggers on one change fire in no order that SQLite promises: the new text went into the index before the old one
-- was taken out, and words that both have were no longer found. One trigger has an order; the index is made anew.
DROP TRIGGER message_text_drop;
DROP TRIGGER message_text_put;
CREATE TRIGGER message_text_change AFTER UPDATE OF position, text ON message BEGIN
    INSERT INTO message_text(message_text, rowid, text) SELECT 'delete', old.position, old.text WHERE old.text <> '';
    INSERT INTO message_text(rowid, text) SELECT new.position, new.text WHERE new.text <> '';
END;
INSERT INTO message_text(message_text) VALUES ('delete-all');
INSERT INTO message_text(rowid, text) SELECT position, text FROM message WHERE text <> '';
