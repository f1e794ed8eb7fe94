//! Opening SQLite safely, writing in groups, reading without blocking, checkpoints beside the writer.
//! Used by `store` and `hub`; it knows no table of either.
//!
//! - [`open()`] / [`open_memory`]: a writing connection with our pragmas, migrated; newer and damaged files are refused.
//! - [`Memory`]: many databases in memory with the same schema.
//! - [`Writer`]: one thread owns that connection. [`Writer::call`] queues a closure; all that is queued runs in one
//!   transaction, each in a SAVEPOINT of its own, and is answered after the commit. A closure returns its value and
//!   an announcement `A`, which the `announce` hook gets after the commit and before the answer.
//! - [`Reader`]: threads with read-only connections; each closure sees one snapshot and none is held afterwards.
//! - [`Checkpointer`]: moves the WAL into the file from a thread that sleeps while nothing is written.
//!
//! It never waits on a timer and never blocks the async runtime. On a database in memory the closures run in the
//! caller, so that a simulation is the same every time; or they land when a simulated [`Disk`] says so.

mod checkpointer;
mod error;
mod memory;
mod open;
mod reader;
mod sums;
mod writer;

pub use checkpointer::Checkpointer;
pub use error::DbError;
pub use memory::Memory;
pub use open::{Settings, integrity, open, open_memory, open_reader};
pub use reader::{Reader, shrink};
pub use writer::{Disk, Fate, Writer};
