//! Where state, cache, socket and configuration live on each system.
