//! How far a message or request has come, and waiting for it.

use super::super::wire::{
    Cancelled, Fault, FaultCode, OutboxCancel, OutboxEntry, OutboxGet, OutboxInfo, OutboxList, OutboxProgress,
    OutboxRetry, OutboxRows, OutboxWait, RequestId, Retried, Until,
};
use super::waits::Woken;
use super::{Desk, Outcome, value};
use crate::model::{MessageId, MessageState};
use crate::store::{OutboxState, RequestInfo, Store, StoreError};
use std::time::Duration;

impl Desk {
    pub(super) async fn outbox_get(&mut self, ask: OutboxGet) -> Result<Outcome, Fault> {
        value(&look(&self.hall.store, ask.id).await?)
    }

    pub(super) async fn outbox_cancel(&mut self, ask: OutboxCancel) -> Result<Outcome, Fault> {
        value(&Cancelled { cancelled: self.hall.store.cancel(ask.id).await? })
    }

    pub(super) async fn outbox_retry(&mut self, ask: OutboxRetry) -> Result<Outcome, Fault> {
        value(&Retried { retried: self.hall.store.retry(ask.id).await? })
    }

    pub(super) async fn outbox_list(&mut self, ask: OutboxList) -> Result<Outcome, Fault> {
        let account = self.account_if(ask.account.as_deref()).await?;
        let limit = ask.limit.unwrap_or(100).clamp(1, 1_000);
        let found = self.hall.store.requests(account, ask.all, limit).await?;
        value(&OutboxRows { rows: found.into_iter().map(entry).collect() })
    }

    /// The wait looks again after every committed change.
    pub(super) fn outbox_wait(&mut self, id: Option<RequestId>, ask: OutboxWait) -> Outcome {
        let store = self.hall.store.clone();
        let patience = Duration::from_millis(ask.timeout_ms.unwrap_or(30_000).min(600_000));
        Outcome::Wait(Box::pin(async move {
            let outcome = match tokio::time::timeout(patience, reached(&store, &ask)).await {
                Ok(Ok(info)) => {
                    serde_json::to_value(info).map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))
                }
                Ok(Err(fault)) => Err(fault),
                Err(_) => Err(Fault::new(FaultCode::Timeout, "it has not come so far in the time given")
                    .remedy("it stays in the outbox and goes on by itself; ask again")),
            };
            Woken::Answer(id, outcome)
        }))
    }
}

fn entry(row: RequestInfo) -> OutboxEntry {
    let json = row.what.as_ref().and_then(|what| serde_json::to_value(what).ok());
    let word =
        |name: &str| json.as_ref().and_then(|json| json.get(name)).and_then(|word| word.as_str()).map(String::from);
    let (state, code, error) = progress(row.state);
    OutboxEntry {
        id: row.id,
        account: row.account,
        conversation: row.conversation,
        kind: word("kind").unwrap_or_else(|| "unreadable".into()),
        text: word("text").or_else(|| word("key")),
        state,
        written_at: row.written_at,
        tries: row.tries,
        due_at: row.due_at,
        code,
        error,
    }
}

fn progress(state: OutboxState) -> (OutboxProgress, Option<String>, Option<String>) {
    match state {
        OutboxState::Pending => (OutboxProgress::Pending, None, None),
        OutboxState::InFlight => (OutboxProgress::InFlight, None, None),
        OutboxState::Done => (OutboxProgress::Done, None, None),
        OutboxState::Failed { code, text } => (OutboxProgress::Failed, Some(code), Some(text)),
    }
}

async fn reached(store: &Store, ask: &OutboxWait) -> Result<OutboxInfo, Fault> {
    let mut bell = store.feed();
    loop {
        bell.borrow_and_update();
        let info = look(store, ask.id).await?;
        if info.state == OutboxProgress::Failed || has_reached(&info, ask.until) {
            return Ok(info);
        }
        bell.changed().await.map_err(|_| Fault::from(StoreError::Closed))?;
    }
}

fn has_reached(info: &OutboxInfo, until: Until) -> bool {
    match (info.message_state, until) {
        (Some(state), Until::Sent) => {
            matches!(state, MessageState::Sent | MessageState::Delivered | MessageState::Read)
        }
        (Some(state), Until::Delivered) => matches!(state, MessageState::Delivered | MessageState::Read),
        (None, _) => info.state == OutboxProgress::Done,
    }
}

/// The row, or, once it is settled and gone, the message itself.
async fn look(store: &Store, id: MessageId) -> Result<OutboxInfo, Fault> {
    let message = match store.message(id).await {
        Ok(message) => Some(message),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let message_state = message.as_ref().map(|message| message.state);
    let conversation = message.as_ref().map(|message| message.conversation.id);
    match (store.outbox_row(id).await, message) {
        (Ok(row), _) => {
            let (state, code, text) = progress(row.state);
            let conversation = row.conversation.or(conversation);
            Ok(OutboxInfo { id, conversation, state, message_state, code, text })
        }
        (Err(StoreError::NotFound { .. }), Some(message)) if message.outgoing => {
            let state = match message.state {
                MessageState::Failed => OutboxProgress::Failed,
                MessageState::Pending => OutboxProgress::Pending,
                MessageState::InFlight => OutboxProgress::InFlight,
                MessageState::Sent | MessageState::Delivered | MessageState::Read | MessageState::Received => {
                    OutboxProgress::Done
                }
            };
            Ok(OutboxInfo { id, conversation, state, message_state, code: None, text: message.error })
        }
        (Err(error), _) => Err(error.into()),
    }
}
