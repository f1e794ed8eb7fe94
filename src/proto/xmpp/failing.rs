//! Archives that answer with an error, or are not there.
//!
//! An error that may pass never makes an archive count as absent: it is asked again, often at first and then seldom, and
//! until it answers nobody is told that everything is here. What may have been sent waits for it, but not for ever.

use super::archive::{Purpose, Query, Sync};
use super::xml::Element;
use super::{Xmpp, errors};

/// Seconds until an archive that failed is asked again: the first times, and later.
const SOON: u64 = 3;
const LATER: u64 = 60;
/// Failures in a row after which it is asked seldom, and new messages go out although they cannot be looked for.
const OFTEN: u8 = 10;
/// After so many (some ten minutes) what may have been sent is sent again: rather a repeat than a message that never goes.
const TOO_OFTEN: u8 = 20;

impl Sync {
    /// It fails for longer than a server needs for its start.
    pub(super) fn is_failing(&self) -> bool {
        self.failures >= OFTEN
    }

    /// Nobody waits for it any longer.
    pub(super) fn is_given_up(&self) -> bool {
        self.failures >= TOO_OFTEN || crate::mutant("xmpp-archive-error-is-final") && self.failures > 0
    }
}

impl Xmpp {
    /// There is no such archive.
    pub(super) fn go_without(&mut self, archive: &str) {
        self.session.syncs.entry(archive.to_owned()).or_default().unavailable = true;
        self.session.newest_here |= archive == self.me;
        self.doubts_decided();
        self.consider_caught_up();
    }

    pub(super) fn on_archive_error(&mut self, query: &Query, answer: &Element) {
        let (condition, _) = errors::stanza_condition(answer);
        let pruned = condition == "item-not-found";
        match &query.purpose {
            Purpose::CatchUp if pruned && !query.by_time => {
                self.query(&query.archive.clone(), Purpose::CatchUp, query.after(), true);
            }
            Purpose::Hole { above } => {
                // Pruned: nothing older will ever come.
                if pruned {
                    self.say_span(query, above.clone(), true, false);
                }
            }
            // Whether everything was replayed is not known: a catch-up tells.
            Purpose::Newest => self.sync(&query.archive.clone()),
            Purpose::CatchUp | Purpose::Snapshot if errors::is_passing(&condition) => self.on_failing(&query.archive),
            Purpose::CatchUp | Purpose::Snapshot => {
                self.session.syncs.entry(query.archive.clone()).or_default().running = false;
                self.go_without(&query.archive);
                self.pump();
            }
        }
    }

    /// A server that has just started may not have its database yet.
    fn on_failing(&mut self, archive: &str) {
        let (soon, later) = (self.in_time(SOON), self.in_time(LATER));
        let sync = self.session.syncs.entry(archive.to_owned()).or_default();
        sync.running = false;
        sync.failures = sync.failures.saturating_add(1);
        sync.again_at = if sync.is_failing() { later } else { soon };
        if sync.is_given_up() {
            self.doubts_decided();
        }
        self.consider_caught_up();
        self.pump();
    }
}
