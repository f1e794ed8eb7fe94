//! What a protocol must remember between connections and restarts, committed with the messages it accounts for.

/// A protocol's progress as of one batch. It is written in that batch's transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The rows that changed; rows not named stay as they are.
    pub rows: Vec<CheckpointRow>,
}

/// One row: (account, key) to bytes that the store does not read. One key an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The protocol's own key, e.g. `cursor` or `archive:room@muc.example.org`.
    pub key: String,
    /// The value; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}
