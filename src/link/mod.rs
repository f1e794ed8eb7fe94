//! One account's connection: the driver, the pure supervisor that decides when to dial, ping, hang up and wait, and the dialer.
