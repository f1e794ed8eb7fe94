//! XMPP over WebSocket (RFC 6120, 6121, 7395) for one account, as a pure machine.
//!
//! Resuming a session (XEP-0198) is an optimisation; the archive (XEP-0313) is the guarantee. Nothing is acknowledged
//! before it was committed. It never does I/O, reads no clock and rolls no die.

mod settings;

pub use settings::Settings;

use super::{Endpoint, Frame, Input, Output, Place, Protocol};
use crate::machine::Machine;
use crate::model::CheckpointRow;
use std::collections::VecDeque;
use std::time::Instant;

/// One XMPP account, for as long as it exists.
pub struct Xmpp {
    settings: Settings,
    out: VecDeque<Output>,
}

impl Xmpp {
    /// An account with the progress that was last committed. `seed` feeds nonces and ids.
    #[must_use]
    pub fn new(settings: Settings, checkpoint: &[CheckpointRow], seed: u64) -> Self {
        let _ = (checkpoint, seed);
        Self { settings, out: VecDeque::new() }
    }
}

impl Machine for Xmpp {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, _now: Instant, input: Input) {
        if let Input::Opened { .. } = input {
            self.out.push_back(Output::Transmit(Frame::text(
                "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>",
            )));
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl Protocol for Xmpp {
    fn endpoint(&self) -> Endpoint {
        let place = match &self.settings.url {
            Some(url) => Place::Url(url.clone()),
            None => Place::HostMeta(self.settings.domain().to_owned()),
        };
        Endpoint { place, subprotocol: "xmpp", headers: Vec::new(), max_frame: settings::MAX_FRAME }
    }
}
