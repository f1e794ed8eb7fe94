//! XMPP over WebSocket (RFC 7395) as a pure machine.
