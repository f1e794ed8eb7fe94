//! A bar for what takes a while: on a terminal only, on standard error, so that data and scripts never see it.

use std::io::{self, IsTerminal as _, Write as _};

/// Columns of the bar.
const WIDTH: u64 = 30;

/// A bar.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    total: u64,
    permille: Option<u64>,
}

impl Progress {
    /// For so many steps; nothing is drawn where standard error is no terminal.
    pub(super) fn new(total: u64) -> Self {
        Self { shown: io::stderr().is_terminal(), total: total.max(1), permille: None }
    }

    /// So many are done. Drawn only when it moves.
    pub(super) fn at(&mut self, done: u64) {
        let done = done.min(self.total);
        let permille = done.saturating_mul(1_000) / self.total;
        if !self.shown || self.permille == Some(permille) {
            return;
        }
        self.permille = Some(permille);
        let full = usize::try_from(permille * WIDTH / 1_000).unwrap_or(0);
        let rest = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(full);
        let bar = format!("{}{}", "#".repeat(full), "-".repeat(rest));
        write!(io::stderr(), "\r[{bar}] {:3} %  {done} of {}", permille / 10, self.total).ok();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.permille.is_some() {
            writeln!(io::stderr()).ok();
        }
    }
}
