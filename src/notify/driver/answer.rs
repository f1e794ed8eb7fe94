//! What the user does with a notification, and what other rooms ask.

use super::{CHOICES, Clicked, Driver};
use crate::model::{CommandKind, MessageId, Timestamp};
use crate::notify::decision::Why;
use crate::notify::notifier::{Ask, Choice, NotifyError, Tested};
use crate::notify::open::{Target, activation, open};
use crate::notify::rules::{Input, Place};
use crate::notify::settings::{Muted, Standing, Until};
use crate::notify::text::{MARK_READ, MUTE, OPEN, REPLY};
use crate::store::{Draft, StoreError};
use std::sync::Arc;

/// How long the button Mute 1 h mutes, milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// Longest reply taken from a notification, characters.
const LONGEST_REPLY: usize = 16_384;
/// Alerts that wait for a notification server; older ones are dropped.
const ALERTS: usize = 8;
/// Replies that wait for the disk.
const UNSENT: usize = 64;

impl Driver {
    fn clicked(&self, id: u32) -> Option<Clicked> {
        self.told.iter().find(|(known, _)| *known == id).map(|(_, clicked)| clicked.clone())
    }

    /// A button, or the notification itself.
    pub(super) async fn invoked(&mut self, id: u32, key: &str) {
        let clicked = self.clicked(id);
        let token = self.token.take_if(|(of, _)| *of == id).map(|(_, token)| token);
        match (key, clicked) {
            (OPEN | REPLY, clicked) => {
                let target = clicked.map_or_else(Target::default, |clicked| clicked.target);
                let settings = self.settings.borrow().clone();
                match &settings.app {
                    Some(app) => {
                        let activation = activation(app, settings.app_action.as_deref(), &target, token);
                        self.desktop.activate(activation).await;
                    }
                    None => open(&settings.open, &target, token.as_deref()),
                }
            }
            (MARK_READ, Some(Clicked { place: Some((place, message)), .. })) => self.mark_read(&place, message).await,
            (MUTE, Some(Clicked { place: Some((place, _)), .. })) => {
                let until = Until::Time(Timestamp(self.clock.wall().ms().saturating_add(HOUR_MS)));
                let choice = Choice::Mute(Muted::Conversation(place.conversation), Some(until));
                if let Err(error) = self.choose(choice).await {
                    tracing::warn!(%error, "the conversation could not be muted");
                }
            }
            (key, _) => tracing::debug!(key, "a click on a notice that is not ours any more"),
        }
    }

    /// Text was typed into the notification: it goes out through the outbox, whatever the network does.
    pub(super) async fn replied(&mut self, id: u32, text: String) {
        let text: String = text.trim().chars().take(LONGEST_REPLY).collect();
        let Some(Clicked { place: Some((place, message)), .. }) = self.clicked(id) else {
            tracing::warn!("a reply to a notice that is not ours any more; it is not sent");
            return;
        };
        if text.is_empty() {
            return;
        }
        let at = self.clock.wall();
        let draft = Draft {
            account: place.account,
            conversation: Some(place.conversation),
            what: CommandKind::Send { text, reply_to: None, attachments: Vec::new() },
            id: Some(self.entropy.message_id(at)),
            at,
        };
        self.enqueue(draft).await;
        self.mark_read(&place, message).await;
    }

    /// Into the outbox; what the disk does not take now is kept and tried again under the same id.
    pub(super) async fn enqueue(&mut self, draft: Draft) {
        match self.store.enqueue(draft.clone()).await {
            Ok(_) => {}
            Err(StoreError::Disk { .. }) if self.unsent.len() < UNSENT => {
                tracing::warn!("a reply cannot be written to disk; tried again");
                self.unsent.push(draft);
            }
            Err(error) => tracing::error!(%error, "a reply typed into a notification could not be kept"),
        }
    }

    async fn mark_read(&mut self, place: &Arc<Place>, message: MessageId) {
        let at = self.clock.wall();
        if let Err(error) = self.store.mark_read(place.conversation, Some(message), at).await {
            tracing::warn!(%error, "the conversation could not be marked read");
        }
    }

    pub(super) async fn answer(&mut self, ask: Ask) {
        // Whoever asked may have left; then nobody misses the answer.
        match ask {
            Ask::Recent(limit, to) => drop(to.send(self.decisions.recent(limit))),
            Ask::Why(message, to) => drop(to.send(self.decisions.about(message))),
            Ask::Choices(to) => drop(to.send(self.standing())),
            Ask::Choose(choice, to) => drop(to.send(self.choose(choice).await)),
            Ask::Alert(text, to) => {
                self.alerts.push((text, to));
                self.tell_alerts().await;
            }
            Ask::Test(to) => {
                let obstacles = self.rules.obstacles(self.clock.now());
                let obstacles = obstacles.into_iter().map(|why| why.text().to_owned()).collect();
                let server = self.server.clone().unwrap_or_default();
                let shown = self.test().await.map(|id| Tested { server, id, obstacles });
                drop(to.send(shown.map_err(NotifyError::from)));
            }
        }
    }

    /// Shows what wakeful has to say about itself, as soon as somebody can show it. Who no longer wants it told has left.
    pub(super) async fn tell_alerts(&mut self) {
        self.alerts.retain(|(_, to)| !to.is_closed());
        let without_server = self.server.is_none() && !crate::mutant("alert-once");
        if without_server {
            let surplus = self.alerts.len().saturating_sub(ALERTS);
            self.alerts.drain(..surplus);
            return;
        }
        for (text, to) in std::mem::take(&mut self.alerts) {
            drop(to.send(self.alert(text).await.map_err(NotifyError::from)));
        }
    }

    /// On disk first, then in force.
    async fn choose(&mut self, choice: Choice) -> Result<Standing, NotifyError> {
        let mut choices = self.choices.clone();
        choices.forget_past(self.clock.wall());
        choices.apply(choice);
        let text = serde_json::to_string(&choices).map_err(|error| StoreError::Invalid(error.to_string()))?;
        self.store.set_setting(CHOICES, Some(text)).await?;
        self.choices = choices.clone();
        self.tell(Input::Choices(choices));
        Ok(self.standing())
    }

    fn standing(&mut self) -> Standing {
        let mut choices = self.choices.clone();
        choices.forget_past(self.clock.wall());
        let quiet_hours = choices.quiet_hours(self.settings.borrow().quiet).map(Into::into);
        let quiet_now = self.rules.obstacles(self.clock.now()).contains(&Why::Quiet);
        Standing { choices, quiet_hours, quiet_now }
    }
}
