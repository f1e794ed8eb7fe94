//! The hub server: pure session, SQLite store, in-process bus.

pub mod ask;
pub mod session;
