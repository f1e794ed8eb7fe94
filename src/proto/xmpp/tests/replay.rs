//! Exchanges recorded with Prosody 0.12.3 and ejabberd 23.01, played against the machine.
