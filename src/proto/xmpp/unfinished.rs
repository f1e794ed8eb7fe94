//! Pages that were on their way when the connection broke. A resumed session brings what is left of them, so they go on
//! where the last batch ended: on a link too slow for one page a connection, a catch-up still ends.
//!
//! A session that is lost, or a daemon that starts anew, asks again from the last message on disk.

use super::Xmpp;
use super::archive::{PATIENCE, Query, Sync};
use super::session::{About, Ask};

/// Connections in a row in which nothing of a page came, before it is asked for anew.
const TRIES: u8 = 3;

/// A page, as of the last batch.
#[derive(Debug)]
pub(super) struct Unfinished {
    /// The question's and the query's id.
    iq: String,
    queryid: String,
    query: Query,
    /// The catch-up that it belongs to, as of the same batch: what came live since then comes again.
    sync: Sync,
    /// Connections in which nothing of it came.
    idle: u8,
}

impl Xmpp {
    /// A batch is cut: what the connection's end would leave unfinished as of now.
    pub(super) fn note_unfinished(&mut self) {
        if !self.session.ready || crate::mutant("xmpp-page-or-nothing") {
            return;
        }
        let before = std::mem::take(&mut self.unfinished);
        for (iq, ask) in &self.session.asks {
            let About::Archive(queryid) = &ask.about else { continue };
            let Some(query) = self.session.queries.get(queryid).filter(|query| query.is_catch_up()) else { continue };
            let Some(sync) = self.session.syncs.get(&query.archive).filter(|sync| sync.running) else { continue };
            let (query, sync) = (query.as_cut(), sync.clone());
            let idle = before.get(&query.archive).filter(|known| known.query == query).map_or(0, |known| known.idle);
            let (iq, queryid, archive) = (iq.clone(), queryid.clone(), query.archive.clone());
            self.unfinished.insert(archive, Unfinished { iq, queryid, query, sync, idle });
        }
    }

    /// The session goes on, and with it the page; false where none was on its way.
    pub(super) fn go_on_with(&mut self, archive: &str) -> bool {
        let Some(known) = self.unfinished.get_mut(archive).filter(|known| known.idle < TRIES) else { return false };
        known.idle += 1;
        let sync = known.sync.clone();
        let (iq, queryid, query) = (known.iq.clone(), known.queryid.clone(), known.query.clone());
        let to = if archive == self.me { String::new() } else { archive.to_owned() };
        let ask = Ask { to, about: About::Archive(queryid.clone()), until: self.in_time(PATIENCE) };
        self.session.asks.insert(iq, ask);
        self.session.queries.insert(queryid, query);
        self.session.syncs.insert(archive.to_owned(), Sync { older: true, ..sync });
        true
    }
}
