//! Durability, proved from outside: disks that fail or lose power, processes that are killed, files that rot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "tests of the real binary run on the machine's clock")]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

#[path = "../support/mod.rs"]
mod support;

mod disk;
mod faults;
mod flips;
mod kills;
mod load;
mod power;
mod races;
mod replaced;
mod room;
mod survival;
mod workload;
