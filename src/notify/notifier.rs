//! The handle by which other rooms ask the notification task: what was decided and why, mutes, a test banner.

use super::decision::Decision;
use super::desktop::DesktopError;
use super::settings::{Muted, QuietChoice, Standing, Until};
use crate::model::MessageId;
use crate::store::StoreError;
use tokio::sync::{mpsc, oneshot};

/// How many questions may wait.
const WAITING: usize = 32;

/// Why a question was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotifyError {
    /// The task has stopped.
    #[error("notifications are not running")]
    Closed,
    /// The choice could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The notification server did not take the test.
    #[error(transparent)]
    Desktop(#[from] DesktopError),
}

/// What `notify test` found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Tested {
    /// Name and version of the server.
    pub server: String,
    /// The id that the server gave.
    pub id: u32,
    /// What keeps real banners away at this moment, in plain words; empty when nothing does.
    pub obstacles: Vec<String>,
}

/// A handle to the notification task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notifier(mpsc::Sender<Ask>);

/// The task's end of the handle.
#[derive(Debug)]
pub struct Asks(pub(super) mpsc::Receiver<Ask>);

/// One question.
#[derive(Debug)]
pub(super) enum Ask {
    Recent(usize, oneshot::Sender<Vec<Decision>>),
    Why(MessageId, oneshot::Sender<Vec<Decision>>),
    Choices(oneshot::Sender<Standing>),
    Choose(Choice, oneshot::Sender<Result<Standing, NotifyError>>),
    Test(oneshot::Sender<Result<Tested, NotifyError>>),
    Alert(String, oneshot::Sender<Result<(), NotifyError>>),
}

/// One change of the user's choices. `None` lifts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Mute a conversation or account.
    Mute(Muted, Option<Until>),
    /// Do not disturb.
    Dnd(Option<Until>),
    /// Quiet hours in place of the configured ones.
    Quiet(Option<QuietChoice>),
}

impl Notifier {
    /// A handle and the end to hand to [`super::spawn`].
    #[must_use]
    pub fn new() -> (Self, Asks) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), Asks(receiver))
    }

    /// The newest `limit` decisions, oldest first; at most 1,000 are kept.
    ///
    /// # Errors
    /// [`NotifyError::Closed`].
    pub async fn recent(&self, limit: usize) -> Result<Vec<Decision>, NotifyError> {
        self.ask(|answer| Ask::Recent(limit, answer)).await
    }

    /// What was decided about a message since the daemon started, oldest first.
    ///
    /// # Errors
    /// [`NotifyError::Closed`].
    pub async fn why(&self, message: MessageId) -> Result<Vec<Decision>, NotifyError> {
        self.ask(|answer| Ask::Why(message, answer)).await
    }

    /// What is muted, do-not-disturb and quiet hours.
    ///
    /// # Errors
    /// [`NotifyError::Closed`].
    pub async fn choices(&self) -> Result<Standing, NotifyError> {
        self.ask(Ask::Choices).await
    }

    /// Changes a choice; it is on disk when this returns. Answers with all choices.
    ///
    /// # Errors
    /// [`NotifyError::Store`] when it could not be kept; nothing changed then.
    pub async fn choose(&self, choice: Choice) -> Result<Standing, NotifyError> {
        self.ask(|answer| Ask::Choose(choice, answer)).await?
    }

    /// Shows a test notification, whatever the rules say.
    ///
    /// # Errors
    /// [`NotifyError::Desktop`] with what the server said.
    pub async fn test(&self) -> Result<Tested, NotifyError> {
        self.ask(Ask::Test).await?
    }

    /// Tells the user something about wakeful itself, whatever the rules say: one notice that stays until dismissed. Waits
    /// until there is a notification server; whoever stops waiting takes it back.
    ///
    /// # Errors
    /// [`NotifyError::Desktop`] with what the server said.
    pub async fn alert(&self, text: String) -> Result<(), NotifyError> {
        self.ask(|answer| Ask::Alert(text, answer)).await?
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, NotifyError> {
        let (sender, receiver) = oneshot::channel();
        self.0.send(question(sender)).await.map_err(|_| NotifyError::Closed)?;
        receiver.await.map_err(|_| NotifyError::Closed)
    }
}
