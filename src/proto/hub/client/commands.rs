//! Outbox rows as requests, and the hub's answers as their fate.

use super::desk::Request;
use super::facts::{self, time};
use super::{Hub, Phase, verdict};
use crate::model::{
    Attachment, Command, CommandKind, CommandTarget, ConversationKey, Event, MessageId, OutboxId, Outcome, SendFailure,
    Settled, Timestamp,
};
use crate::proto::hub::wire::client::{self, ClientFrame, ConvVerb};
use crate::proto::hub::wire::server::{Err, Ok};
use crate::proto::hub::wire::{self, Body, ErrorCode, Malformed, Scope, decode_client, encode};
use std::time::Duration;

/// Read marks that wait at one time; those beyond go back to the disk, so that there is always room for what is sent.
const WAITING: usize = 16;

impl Hub {
    pub(super) fn on_command(&mut self, command: Command) {
        let out = self.desk.holds(command.outbox) || self.waiting.iter().any(|row| row.outbox == command.outbox);
        if !matches!(self.phase, Phase::Snapshot { .. } | Phase::Live) || out {
            return;
        }
        if !self.reads_over_gap(&command) {
            self.request(command);
        } else if self.waiting.len() < WAITING {
            self.waiting.push(command);
        } else {
            self.settle(command.outbox, Outcome::Later(self.settings.later));
        }
    }

    /// A read mark tells others that everything below it has arrived, so it waits for what is still being fetched there.
    fn reads_over_gap(&self, command: &Command) -> bool {
        let CommandKind::Mark { upto } = &command.what else { return false };
        let Some(conv) = command.conversation.as_ref().and_then(|key| key.server.as_ref()) else { return false };
        let filling = self.is_filling(|other| other == conv);
        let coming = matches!(self.phase, Phase::Snapshot { .. }) || filling || self.ledger.is_landing(conv);
        let over = order(upto).is_some_and(|seq| self.ledger.lacks_below(conv, seq));
        coming && over && !crate::mutant("hub-read-over-gap")
    }

    /// Something was fetched, or cannot be: marks that waited for it go on.
    pub(super) fn resume_waiting(&mut self) {
        for command in std::mem::take(&mut self.waiting) {
            self.on_command(command);
        }
    }

    fn request(&mut self, command: Command) {
        let id = self.desk.id();
        let sends = matches!(command.what, CommandKind::Send { .. }).then_some(command.cid);
        self.desk.back(command.outbox);
        let before = command.conversation.as_ref().and_then(|to| self.desk.before(command.outbox, to));
        let Some(frame) = frame(id, &command, before.filter(|_| !crate::mutant("hub-order-unsaid"))) else {
            self.settle(command.outbox, failed("unsupported", "this server does not offer that"));
            return;
        };
        if let Err(error) = decode_client(&encode(&frame)) {
            self.settle(command.outbox, refused(&error));
            return;
        }
        let Command { outbox, conversation, .. } = command;
        self.desk.push(id, &frame, Request::Command { outbox, conversation, sends });
        self.pump();
    }

    fn settle(&mut self, outbox: OutboxId, outcome: Outcome) {
        self.fact(Event::Settled(Settled { outbox, outcome }));
    }

    pub(super) fn on_command_ok(
        &mut self,
        outbox: OutboxId,
        conversation: Option<ConversationKey>,
        sends: Option<MessageId>,
        ok: Ok,
    ) {
        self.later.remove(&outbox);
        let at = ok.ts.map_or(Timestamp(0), time);
        if let Some(made) = &ok.c {
            self.fact(facts::conversation(made, None));
        }
        let conv = ok.conv.clone().or_else(|| ok.c.as_ref().map(|made| made.conv.clone()));
        let server = match (&conv, ok.seq) {
            (Some(conv), Some(seq)) if sends.is_some() => Some(self.me.server_ref(conv, seq)),
            _ => None,
        };
        let peer = conversation.and_then(|key| key.peer);
        let conversation = conv.map(|conv| ConversationKey { server: Some(conv), peer });
        self.settle(outbox, Outcome::Sent { conversation, server, at });
    }

    pub(super) fn on_command_err(
        &mut self,
        outbox: OutboxId,
        conversation: Option<ConversationKey>,
        sends: Option<MessageId>,
        err: Err,
    ) {
        let outcome = match err.code {
            code if verdict::passes(code) => {
                let tries = self.later.entry(outbox).or_default();
                let pause = self.settings.later.saturating_mul(1 << (*tries).min(7));
                *tries += 1;
                if let (Some(place), Some(id)) = (conversation, sends) {
                    if err.field.as_deref() == Some("after") {
                        self.desk.known(outbox, &place);
                    }
                    self.desk.defer(outbox, place, id);
                }
                Outcome::Later(err.retry_after.map_or(pause, Duration::from_millis).max(self.settings.later))
            }
            code => {
                self.later.remove(&outbox);
                failed(name(code), &err.msg.unwrap_or_else(|| "the server refused it".into()))
            }
        };
        self.settle(outbox, outcome);
    }
}

fn failed(code: &str, text: &str) -> Outcome {
    Outcome::Failed(SendFailure { code: code.into(), text: text.into() })
}

fn refused(error: &Malformed) -> Outcome {
    match error {
        Malformed::Invalid { field: Some("text" | "ct"), .. } => failed("too_large", "the text is too long"),
        other => failed("bad_request", &other.to_string()),
    }
}

/// The stable code of an error that is final.
fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::NotFound => "not_found",
        ErrorCode::NotMember => "not_member",
        ErrorCode::CidReuse => "cid_reuse",
        ErrorCode::Conflict => "conflict",
        ErrorCode::TooLarge => "too_large",
        ErrorCode::Limit => "limit",
        ErrorCode::Unsupported => "unsupported",
        ErrorCode::Unauthenticated => "unauthenticated",
        ErrorCode::BadFrame | ErrorCode::BadRequest | ErrorCode::BadCursor | ErrorCode::CursorExpired => "bad_request",
        ErrorCode::RateLimited
        | ErrorCode::Unavailable
        | ErrorCode::Timeout
        | ErrorCode::Internal
        | ErrorCode::Unknown => "unavailable",
    }
}

fn order(target: &CommandTarget) -> Option<u64> {
    target.server.as_ref().and_then(|server| server.order)
}

fn blob(file: Attachment) -> wire::Attachment {
    wire::Attachment {
        blob: file.url,
        mime: file.mime,
        size: file.size,
        name: file.name,
        ..wire::Attachment::default()
    }
}

/// The request for a row; `None` where the hub has nothing like it.
fn frame(id: u64, command: &Command, before: Option<MessageId>) -> Option<ClientFrame> {
    let server = command.conversation.as_ref().and_then(|key| key.server.clone());
    let peer = command.conversation.as_ref().and_then(|key| key.peer.clone());
    let cid = command.cid.to_string();
    let on = |op| client::Conv { id, op, conv: server.clone(), ..client::Conv::default() };
    Some(match command.what.clone() {
        CommandKind::Send { text, reply_to, attachments } => {
            let re = reply_to.as_ref().and_then(order);
            let att = (!attachments.is_empty()).then(|| attachments.into_iter().map(blob).collect());
            let to = if server.is_none() { peer } else { None };
            let (body, after) = (Body::text(text), before.map(|id| id.to_string()));
            client::Send { id, cid, body, conv: server, to, after, re, att, ..client::Send::default() }.into()
        }
        CommandKind::Edit { target, text } => {
            let (conv, seq) = (server?, order(&target)?);
            client::Edit { id, conv, seq, body: Body::text(text), cid: Some(cid), ..client::Edit::default() }.into()
        }
        CommandKind::Retract { target } => {
            client::Del { id, conv: server?, seqs: vec![order(&target)?], scope: Scope::All }.into()
        }
        CommandKind::React { target, key, on, .. } => {
            client::React { id, conv: server?, seq: order(&target)?, key, on }.into()
        }
        CommandKind::Mark { upto } => {
            client::Mark { id, conv: server?, read: order(&upto)?, ..client::Mark::default() }.into()
        }
        CommandKind::Create { title, members } => client::Conv {
            conv: None,
            cid: Some(cid),
            title: Some(title),
            members: Some(members),
            ..on(ConvVerb::Create)
        }
        .into(),
        CommandKind::Add { user } => client::Conv { members: Some(vec![user]), ..on(ConvVerb::Add) }.into(),
        CommandKind::Remove { user } => client::Conv { user: Some(user), ..on(ConvVerb::Remove) }.into(),
        CommandKind::Leave => on(ConvVerb::Leave).into(),
        CommandKind::Block { user, on } => {
            client::Pref { id, user: Some(user), block: Some(on), ..client::Pref::default() }.into()
        }
        CommandKind::Join { .. }
        | CommandKind::ContactAdd { .. }
        | CommandKind::ContactAccept { .. }
        | CommandKind::ContactRemove { .. } => return None,
    })
}
