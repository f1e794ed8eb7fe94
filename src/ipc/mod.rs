//! Local IPC: JSON-RPC 2.0, one object a line, on a Unix socket; server, session, cursors, and the Rust client.
