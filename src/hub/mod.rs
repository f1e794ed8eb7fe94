//! The hub server: pure session, SQLite store, in-process bus.
