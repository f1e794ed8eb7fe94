//! The schema and its versions. A version that was released never changes; the next one is a further step.

use rusqlite_migration::{M, Migrations};

/// All steps, oldest first.
pub(super) fn migrations() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(include_str!("schema.sql")),
        // Its sender asked for no noise: the banner comes without a sound.
        M::up("ALTER TABLE banner ADD COLUMN silent INTEGER NOT NULL DEFAULT 0"),
    ])
}
