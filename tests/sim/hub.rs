//! The hub: its real sessions over its real record in memory. Hints are lost, doubled and come late.

use super::net::Accepted;
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use wakeful::hub::ask::{Ask, Hint, Identity};
use wakeful::hub::session::{self, Input, Output, Session};
use wakeful::hub::store::{Settings, Store};
use wakeful::link::dial::Wire;
use wakeful::machine::Machine;
use wakeful::proto::{CloseCode, Frame, FrameBody};
use wakeful::world::{Clock, Entropy};

/// Events that a user's stream keeps: few, so that snapshots and gaps happen.
const KEPT: u64 = 40;

#[derive(Clone)]
pub struct Hub {
    pub store: Store,
    clock: Clock,
    hints: broadcast::Sender<Hint>,
    /// Counts restarts.
    pub restarts: watch::Sender<u64>,
    rng: Arc<Mutex<fastrand::Rng>>,
}

impl Hub {
    pub fn new(seed: u64, clock: Clock) -> Self {
        let hints = broadcast::Sender::new(1024);
        let tell = hints.clone();
        let announce = move |news: Vec<Hint>| news.into_iter().for_each(|hint| drop(tell.send(hint)));
        let settings = Settings { retain_events: KEPT, ..Settings::default() };
        let store = Store::in_memory(settings, Entropy::seeded(seed), announce).unwrap();
        let rng = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        Self { store, clock, hints, restarts: watch::Sender::new(0), rng }
    }

    pub async fn user(&self, name: &str) -> Identity {
        let at = self.clock.wall();
        let device = self.store.add_user(name, Some("dev"), at).await.unwrap();
        self.store.authenticate(device.token, at).await.unwrap().unwrap()
    }

    pub async fn ask(&self, who: &Identity, ask: Ask) -> wakeful::hub::ask::Done {
        self.store.carry_out(who, ask, self.clock.wall()).await
    }

    /// Accepts whatever this user opens.
    pub fn accept(&self, who: Identity) -> mpsc::UnboundedSender<Accepted> {
        let (door, mut opened) = mpsc::unbounded_channel();
        let hub = self.clone();
        tokio::spawn(async move {
            while let Some(accepted) = opened.recv().await {
                tokio::spawn(hub.clone().serve(who.clone(), accepted));
            }
        });
        door
    }

    async fn serve(self, who: Identity, mut accepted: Accepted) {
        let (mut hints, mut restarts) = (self.hints.subscribe(), self.restarts.subscribe());
        let mut session = Session::new(session::Settings::default(), self.clock.now());
        session.handle_input(self.clock.now(), Input::Opened { who: Some(who.clone()), conn: "c".into() });
        loop {
            while let Some(output) = session.poll_output() {
                match output {
                    Output::Transmit(text) => send(&accepted, Wire::Frame(Frame::text(text))),
                    Output::Ask(ask) => {
                        let answer = self.ask(&who, ask).await.answer;
                        session.handle_input(self.clock.now(), Input::Answer { answer, at: self.clock.wall() });
                    }
                    Output::Joined(_) => {}
                    Output::Close(code) => {
                        let code = CloseCode { code: code.code, reason: code.reason.into() };
                        send(&accepted, Wire::Close(Some(code)));
                        return;
                    }
                }
            }
            let deadline = session.poll_timeout().map(Instant::from_std);
            let input = tokio::select! {
                biased;
                _ = accepted.line.wait_for(|line| line.reset) => return,
                wire = accepted.from_client.recv() => match wire {
                    Some(Wire::Frame(Frame { body: FrameBody::Text(text), .. })) => {
                        Some(Input::Frame { text, at: self.clock.wall() })
                    }
                    Some(Wire::Close(_)) | None => return,
                    Some(_) => None,
                },
                _ = restarts.changed() => Some(Input::Shutdown),
                hint = hints.recv() => self.hint(&who, hint),
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    session.handle_timeout(self.clock.now());
                    None
                }
            };
            if let Some(input) = input {
                session.handle_input(self.clock.now(), input);
            }
        }
    }

    /// One hint in five is lost, one in ten names an older number.
    fn hint(&self, who: &Identity, hint: Result<Hint, broadcast::error::RecvError>) -> Option<Input> {
        match hint {
            Ok(Hint::Head { user, head }) if user == who.user => match self.rng.lock().unwrap().u32(0..10) {
                0 | 1 => None,
                2 => Some(Input::Head(head.saturating_sub(1))),
                _ => Some(Input::Head(head)),
            },
            _ => None,
        }
    }
}

fn send(accepted: &Accepted, wire: Wire) {
    let _gone = accepted.to_client.send((Instant::now() + std::time::Duration::from_millis(20), wire));
}
