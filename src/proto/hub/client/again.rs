//! Pages of the catch-up that the hub cannot give now. Each is asked for again after a pause that doubles; one that still
//! does not come is given up for this connection.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first pause; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// Pauses before a page is given up: half a minute in all.
const PAUSES: u32 = 5;
/// Who asks to be left alone for longer is asked by the next connection.
const LONGEST: Duration = Duration::from_secs(60);

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Page {
    /// Messages in a gap.
    Fill,
    /// Changes that were missed.
    Repair,
}

/// How often in a row a page did not come, and when it is asked for again.
#[derive(Debug, Default)]
struct Tries {
    failed: u32,
    at: Option<Instant>,
}

/// The pages that did not come.
#[derive(Debug, Default)]
pub(super) struct Again {
    pages: BTreeMap<(String, Page), Tries>,
}

impl Again {
    /// It did not come now. Once given up, it stays so until a page of it comes: nothing is held up twice.
    pub(super) fn failed(&mut self, conv: String, page: Page, now: Instant, wish: Option<Duration>) {
        let tries = self.pages.entry((conv, page)).or_default();
        let pause = FIRST.saturating_mul(1 << tries.failed.min(PAUSES)).max(wish.unwrap_or_default());
        tries.at = (tries.failed < PAUSES && pause <= LONGEST).then(|| now + pause);
        tries.failed = if tries.at.is_some() { tries.failed + 1 } else { PAUSES };
    }

    /// It came, or never will.
    pub(super) fn answered(&mut self, conv: &str, page: Page) {
        self.pages.remove(&(conv.to_owned(), page));
    }

    /// Some page is to be asked for again that is of this conversation and kind.
    pub(super) fn any(&self, wanted: impl Fn(&str, Page) -> bool) -> bool {
        self.pages.iter().any(|((conv, page), tries)| tries.at.is_some() && wanted(conv, *page))
    }

    /// When the next one is to be asked for.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pages.values().filter_map(|tries| tries.at).min()
    }

    /// Those whose pause is over; they no longer wait here.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(String, Page)> {
        let due = self.pages.iter_mut().filter(|(_, tries)| tries.at.is_some_and(|at| at <= now));
        due.map(|(key, tries)| {
            tries.at = None;
            key.clone()
        })
        .collect()
    }
}
