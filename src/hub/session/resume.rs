//! From hello to live: welcome, and the snapshot where the cursor cannot be used.

use super::{Flow, Output, Phase, Session, unix_ms};
use crate::hub::ask::{Ask, Identity};
use crate::model::Timestamp;
use crate::proto::hub::wire::client::Hello;
use crate::proto::hub::wire::server::{Keepalive, Resume, Retain, Snap, SnapReason, Welcome};
use crate::proto::hub::wire::{ConvObj, User};
use std::time::Duration;

impl Session {
    pub(super) fn resume(&mut self, who: Identity, hello: Box<Hello>) {
        self.who = Some(who.clone());
        self.out.push_back(Output::Joined(who));
        self.ask(Ask::Resume { app: hello.app.clone() });
        self.phase = Phase::Resuming(hello);
    }

    pub(super) fn on_resume(&mut self, at: Timestamp, epoch: String, head: u64, floor: u64) {
        let Phase::Resuming(hello) = std::mem::replace(&mut self.phase, Phase::Live) else { return };
        let reason = snap_reason(&hello, &epoch, head, floor, self.settings.too_far);
        // A hint may have overtaken this answer: what it said still holds.
        let heard = self.flow.head();
        self.flow = Flow::new(hello.window.map_or(self.settings.window, |wish| wish.min(self.settings.window)));
        self.flow.learn(heard);
        self.epoch.clone_from(&epoch);
        self.welcome(at, epoch, head, reason, &hello);
        match (reason, hello.cur) {
            (None, Some(cur)) => self.flow.start(cur),
            (None, None) => {}
            (Some(_), _) => {
                let wish = hello.snap.clone().unwrap_or_default();
                let (convs, msgs) = (wish.convs.unwrap_or(50), wish.msgs.unwrap_or(20));
                self.phase = Phase::Snapping { part: 1, cur: head, convs, msgs };
                self.ask(Ask::Snap { after: None, convs, msgs });
            }
        }
        self.flow.learn(head);
        self.fetch();
    }

    fn welcome(&mut self, at: Timestamp, epoch: String, head: u64, reason: Option<SnapReason>, hello: &Hello) {
        let Some(who) = self.who.clone() else { return };
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let settings = &self.settings;
        let welcome = Welcome {
            user: who.user_name,
            device: who.device_name,
            conn: self.conn.clone(),
            epoch,
            resume: if reason.is_some() { Resume::Snap } else { Resume::Ok },
            head,
            now: unix_ms(at),
            window: self.flow.window(),
            caps: ["hist", "changes", "edit", "del", "react", "typing", "auth", "dev"].map(str::to_owned).to_vec(),
            ka: Keepalive {
                interval: interval(ms(settings.ping_every), ms(settings.silence_most) / 2, hello),
                timeout: ms(settings.pong_within),
                max: ms(settings.silence_most),
            },
            limits: settings.limits.clone(),
            retain: Retain { days: settings.retain_days, events: settings.retain_events },
            reason,
        };
        self.transmit(&welcome);
    }

    pub(super) fn on_snap(&mut self, convs: Vec<ConvObj>, users: Vec<User>, next: Option<String>) {
        let Phase::Snapping { part, cur, convs: page, msgs } = self.phase else { return };
        let last = next.is_none();
        let epoch = last.then(|| self.epoch.clone());
        self.transmit(&Snap { part, more: !last, convs, users, epoch, cur: last.then_some(cur) });
        if last {
            self.phase = Phase::Live;
            self.flow.start(cur);
            self.fetch();
        } else {
            self.phase = Phase::Snapping { part: part + 1, cur, convs: page, msgs };
            self.ask(Ask::Snap { after: next, convs: page, msgs });
        }
    }
}

/// Why a client cannot go on from its cursor; `None`: it can.
pub(super) fn snap_reason(hello: &Hello, epoch: &str, head: u64, floor: u64, too_far: u64) -> Option<SnapReason> {
    match (hello.epoch.as_deref(), hello.cur) {
        (None, _) | (_, None) => Some(SnapReason::First),
        (Some(theirs), _) if theirs != epoch => Some(SnapReason::Epoch),
        (_, Some(cur)) if cur > head => Some(SnapReason::Future),
        (_, Some(cur)) if cur < floor => Some(SnapReason::TooOld),
        (_, Some(cur)) if head - cur > too_far => Some(SnapReason::TooFar),
        _ => None,
    }
}

/// The advised ping interval, milliseconds: the client's wish counts as long as the hub does not take it for dead.
pub(super) fn interval(usual: u64, most: u64, hello: &Hello) -> u64 {
    let Some(wish) = &hello.ka else { return usual };
    usual.min(wish.max.unwrap_or(u64::MAX)).max(wish.min.unwrap_or(0)).clamp(1_000.min(most), most)
}
