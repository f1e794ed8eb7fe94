//! What the machine and its session offer: secrets, the service manager, facts about sleep, network, power and lock.
//!
//! Everything here may be absent, and absence is an ordinary state. Nothing here knows accounts' protocols or messages.

#[cfg(unix)]
pub mod detach;
mod lock;
pub mod memory;
pub mod ready;
pub mod secrets;
pub mod signals;

pub use lock::{LockError, StateLock};
