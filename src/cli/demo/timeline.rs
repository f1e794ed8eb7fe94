//! The demo's story as it happens: one line an event with the time since the start.

use std::io::Write;
use std::time::Instant;

/// Prints lines with times, or collects them for `--json`.
#[derive(Debug)]
pub(super) struct Timeline {
    start: Instant,
    quiet: bool,
    lines: Vec<Line>,
}

/// One event of the story.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Line {
    /// Milliseconds since the start.
    pub(super) at_ms: u128,
    /// What happened.
    pub(super) what: String,
}

impl Timeline {
    /// A story that begins at `start`. `quiet` keeps the lines for later instead of printing them.
    #[must_use]
    pub(super) fn new(start: Instant, quiet: bool) -> Self {
        Self { start, quiet, lines: Vec::new() }
    }

    /// Something happened at `now`.
    pub(super) fn say(&mut self, now: Instant, what: impl Into<String>) {
        let what = what.into();
        let at = now.saturating_duration_since(self.start);
        if !self.quiet {
            // A closed terminal must not end the demo before its verdict.
            let _ = writeln!(std::io::stdout(), "{:>8.3} s  {what}", at.as_secs_f64());
        }
        self.lines.push(Line { at_ms: at.as_millis(), what });
    }

    /// The whole story.
    #[must_use]
    pub(super) fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}
