//! Who looks at what: each client's attention holds for a lease and ends with its session. One task owns all leases and
//! alone says what the attention over all clients is.

use super::hall::Hall;
use crate::model::{Addressed, Attention, ConversationId, Signal};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a session says about its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseChange {
    /// The user looks at this, or is away; holds for one lease.
    Set {
        /// The session's number.
        session: u64,
        /// What is on screen.
        conversation: Option<ConversationId>,
        /// The user is away from the screen.
        idle: bool,
    },
    /// The session ended.
    End {
        /// Its number.
        session: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    conversation: Option<ConversationId>,
    idle: bool,
    until: Instant,
}

/// The leases of all sessions.
#[derive(Debug)]
pub(super) struct Leases {
    term: Duration,
    leases: BTreeMap<u64, Lease>,
}

impl Leases {
    pub(super) fn new(term: Duration) -> Self {
        Self { term, leases: BTreeMap::new() }
    }

    fn handle(&mut self, now: Instant, change: LeaseChange) {
        match change {
            LeaseChange::Set { session, conversation, idle } => {
                self.leases.insert(session, Lease { conversation, idle, until: now + self.term });
            }
            LeaseChange::End { session } => {
                self.leases.remove(&session);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if !crate::mutant("lease-never-ends") {
            self.leases.retain(|_, lease| lease.until > now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.leases.values().map(|lease| lease.until).min()
    }

    fn attention(&self) -> Attention {
        let present = self.leases.values().filter(|lease| !lease.idle);
        Attention { attached: self.leases.len(), looking: present.filter_map(|lease| lease.conversation).collect() }
    }
}

/// Owns the leases until every session is gone, then says that nobody looks.
pub(super) async fn run(mut leases: Leases, mut changes: mpsc::Receiver<LeaseChange>, hall: Hall) {
    loop {
        let due = leases.poll_timeout();
        let alarm = tokio::time::sleep_until(due.unwrap_or_else(|| hall.clock.now()).into());
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => leases.handle(hall.clock.now(), change),
                None => break,
            },
            () = alarm, if due.is_some() => leases.handle_timeout(hall.clock.now()),
        }
        announce(&hall, leases.attention());
    }
    announce(&hall, Attention::default());
}

fn announce(hall: &Hall, attention: Attention) {
    let changed = hall.attention.send_if_modified(|current| {
        let changed = *current != attention;
        current.clone_from(&attention);
        changed
    });
    if changed {
        hall.signals.send(Addressed { account: None, signal: Signal::Attention(attention) }).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Clock;

    const TERM: Duration = Duration::from_secs(30);

    fn conversation(n: u8) -> ConversationId {
        ConversationId::new(0, &[n; 10])
    }

    fn set(session: u64, n: u8, idle: bool) -> LeaseChange {
        LeaseChange::Set { session, conversation: Some(conversation(n)), idle }
    }

    #[tokio::test(start_paused = true)]
    async fn attention_ends_with_its_lease_unless_it_is_renewed() {
        let start = Clock::system().now();
        let mut leases = Leases::new(TERM);
        leases.handle(start, set(1, 1, false));
        leases.handle(start + Duration::from_secs(20), set(1, 1, false));
        leases.handle_timeout(start + TERM);
        assert_eq!(leases.attention().looking.len(), 1, "renewed");
        assert_eq!(leases.poll_timeout(), Some(start + Duration::from_secs(50)));
        leases.handle_timeout(start + Duration::from_secs(50));
        assert_eq!(leases.attention(), Attention::default());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_gui_is_attached_but_looks_at_nothing() {
        let start = Clock::system().now();
        let mut leases = Leases::new(TERM);
        leases.handle(start, set(1, 1, true));
        leases.handle(start, set(2, 2, false));
        assert_eq!(leases.attention(), Attention { attached: 2, looking: [conversation(2)].into() });
        leases.handle(start, LeaseChange::End { session: 2 });
        assert_eq!(leases.attention(), Attention { attached: 1, looking: [].into() });
    }
}
