//! The hub: its real sessions over its real record in memory. Hints are lost, doubled and name older numbers.

use super::net::{Accepted, Line};
use super::stage::Stage;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use wakeful::hub::ask::{Answer, Ask, Done, Hint, Identity};
use wakeful::hub::session::{self, Input, Output, Session};
use wakeful::hub::store::{Settings, Store};
use wakeful::link::dial::Wire;
use wakeful::machine::Machine;
use wakeful::proto::hub::wire::client::{Convs, Hist};
use wakeful::proto::hub::wire::object::Order;
use wakeful::proto::hub::wire::server::{Err as WireErr, Ok as WireOk};
use wakeful::proto::hub::wire::{ClientFrame, ConvObj, ErrorCode};
use wakeful::proto::{CloseCode, Frame, FrameBody};
use wakeful::world::{Clock, Entropy};

#[derive(Clone)]
pub struct Hub {
    pub store: Store,
    clock: Clock,
    hints: broadcast::Sender<Hint>,
    /// Rung at a restart. Not a watch channel: it wakes in random order.
    pub restarts: broadcast::Sender<()>,
    stage: Stage,
}

/// One message as everybody must see it in the end; no text: it was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub seq: u64,
    pub from: String,
    pub text: Option<String>,
}

impl Hub {
    pub fn new(seed: u64, clock: Clock, stage: Stage) -> Self {
        let hints = broadcast::Sender::new(1024);
        let tell = hints.clone();
        let announce = move |news: Vec<Hint>| news.into_iter().for_each(|hint| drop(tell.send(hint)));
        let settings = Settings { retain_events: stage.climate().kept, ..Settings::default() };
        let store = Store::in_memory(settings, Entropy::seeded(seed), announce).unwrap();
        Self { store, clock, hints, restarts: broadcast::Sender::new(8), stage }
    }

    pub async fn user(&self, name: &str) -> Identity {
        let at = self.clock.wall();
        let device = self.store.add_user(name, Some("dev"), at).await.unwrap();
        self.store.authenticate(device.token, at).await.unwrap().unwrap()
    }

    async fn ask(&self, who: &Identity, ask: Ask) -> Done {
        self.store.carry_out(who, ask, self.clock.wall()).await
    }

    /// Carries a request out; it must succeed.
    pub async fn request(&self, who: &Identity, frame: impl Into<ClientFrame>) -> WireOk {
        match self.ask(who, Ask::Request(Box::new(frame.into()))).await.answer {
            Answer::Ok(ok) => *ok,
            other => panic!("the hub refuses a good request: {other:?}"),
        }
    }

    /// The conversations of this person.
    pub async fn conversations(&self, who: &Identity) -> Vec<ConvObj> {
        self.request(who, Convs { id: 1, limit: Some(100), cursor: None }).await.convs.unwrap_or_default()
    }

    /// The record of a conversation as this person may see it.
    pub async fn record(&self, who: &Identity, conv: &str) -> Vec<Told> {
        let (mut record, mut after): (Vec<Told>, u64) = (Vec::new(), 0);
        loop {
            let (conv, order) = (Some(conv.to_owned()), Some(Order::Asc));
            let page = Hist { id: 1, conv, after: Some(after), limit: Some(200), order, ..Hist::default() };
            let msgs = self.request(who, page).await.msgs.unwrap_or_default();
            record.extend(msgs.into_iter().map(|msg| Told {
                seq: msg.seq,
                from: msg.from,
                text: msg.body.and_then(|body| body.text).filter(|_| msg.del != Some(true)),
            }));
            match record.last() {
                Some(last) if last.seq > after => after = last.seq,
                _ => return record,
            }
        }
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
                    Output::Transmit(text) => self.send(&accepted, Wire::Frame(Frame::text(text))),
                    Output::Ask(ask) => {
                        let answer = self.answer(&who, ask).await;
                        session.handle_input(self.clock.now(), Input::Answer { answer, at: self.clock.wall() });
                    }
                    Output::Joined(_) => {}
                    Output::Close(code) => {
                        let code = CloseCode { code: code.code, reason: code.reason.into() };
                        self.send(&accepted, Wire::Close(Some(code)));
                        return;
                    }
                }
            }
            let deadline = session.poll_timeout().map(Instant::from_std);
            let inputs = tokio::select! {
                biased;
                _ = accepted.line.wait_for(Line::is_over) => return,
                wire = accepted.from_client.recv() => match wire {
                    Some(Wire::Frame(Frame { body: FrameBody::Text(text), .. })) => {
                        vec![Input::Frame { text, at: self.clock.wall() }]
                    }
                    Some(Wire::Close(_)) | None => return,
                    Some(_) => Vec::new(),
                },
                _ = restarts.recv() => vec![Input::Shutdown],
                hint = hints.recv() => self.hint(&who, hint),
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    session.handle_timeout(self.clock.now());
                    Vec::new()
                }
            };
            for input in inputs {
                session.handle_input(self.clock.now(), input);
            }
        }
    }

    /// The answer to a session, which now and then is that it cannot be done just now.
    async fn answer(&self, who: &Identity, ask: Ask) -> Answer {
        match &ask {
            Ask::Request(frame) if self.stage.hits(self.stage.climate().refused) => {
                self.stage.event(|| format!("{} is refused {frame:?}", who.user_name));
                let (code, re) = (ErrorCode::Unavailable, frame.request());
                Answer::Err(Box::new(WireErr { code, re, ..WireErr::default() }))
            }
            _ => self.ask(who, ask).await.answer,
        }
    }

    fn hint(&self, who: &Identity, hint: Result<Hint, broadcast::error::RecvError>) -> Vec<Input> {
        let climate = self.stage.climate();
        match hint {
            Ok(Hint::Head { user, head }) if user == who.user => {
                let (lost, old) = (self.stage.hits(climate.hints_lost), self.stage.hits(climate.hints_old));
                let times = if lost { 0 } else { 1 + usize::from(self.stage.hits(climate.hints_twice)) };
                self.stage.event(|| format!("{} is told of {head}, {times} times, old: {old}", who.user_name));
                (0..times).map(|_| Input::Head(head.saturating_sub(old.into()))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn send(&self, accepted: &Accepted, wire: Wire) {
        let at = Instant::now() + std::time::Duration::from_millis(self.stage.climate().latency);
        let _gone = accepted.to_client.send((at, wire));
    }
}
