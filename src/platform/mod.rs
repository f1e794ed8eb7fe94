//! What the operating system offers: secrets, service managers, sleep, networks, detaching.
