//! The one shape that every decision in wakeful has: a state machine that does no I/O.
//!
//! A machine is told what happened and asked what to do. It never opens a socket, reads a clock,
//! rolls a die or touches a disk: time and randomness come in as arguments, so that a recorded list
//! of inputs is at once a test, a bug report and a fuzz input.

use std::time::Instant;

/// A state machine that does no I/O: told what happened, asked what to do.
///
/// After any `handle_*`, drain [`poll_output`](Machine::poll_output) to `None`, then sleep until
/// [`poll_timeout`](Machine::poll_timeout). Machines cannot fail: a bad peer is an output.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it wants done.
    type Output;

    /// Something happened at `now` (monotonic; stands still while Linux sleeps).
    fn handle_input(&mut self, now: Instant, input: Self::Input);

    /// The time named by [`poll_timeout`](Machine::poll_timeout) may have come. Early calls are harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// The next thing to do, in order; `None` when there is nothing left for now.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When to call [`handle_timeout`](Machine::handle_timeout) at the latest; `None`: not needed.
    fn poll_timeout(&self) -> Option<Instant>;
}
