//! One account's connection: the driver, the pure supervisor that decides when to dial, ping, hang up and wait, and the dialer.

pub mod dial;
mod driver;
mod settings;
pub mod supervisor;

pub use driver::{Link, LinkParts};
pub use settings::Settings;
