//! The hub protocol `wakeful.v1.json`: frames and the client machine.

pub mod client;
pub mod wire;
