//! Doing what the rules say, and recording it only once it is true.

use super::{Clicked, Driver, REMEMBERED};
use crate::machine::Machine;
use crate::model::ConversationId;
use crate::notify::decision::Why;
use crate::notify::desktop::{DesktopError, Shown};
use crate::notify::open::Target;
use crate::notify::picture;
use crate::notify::rules::{Input, Note, Output, Slot};
use crate::notify::text;
use std::sync::Arc;

/// Judgements in one transaction.
const AT_ONCE: usize = 256;

impl Driver {
    /// Does everything that the rules want done now.
    pub(super) async fn settle(&mut self) {
        while let Some(output) = self.rules.poll_output() {
            match output {
                Output::Notify(replaces, note) => {
                    self.keep().await;
                    self.show(replaces, &note).await;
                }
                Output::Close(id) => {
                    if let Err(error) = self.desktop.close(id).await {
                        tracing::debug!(%error, "a notice could not be withdrawn");
                    }
                }
                Output::Record(message, state) => self.records.push((message, state)),
                Output::Uncount(conversation) => self.uncount(conversation).await,
                Output::Decided(decision) => self.decided(*decision),
                Output::Wake => self.desktop.wake().await,
            }
        }
        self.keep().await;
    }

    /// A number that is over must not come back with the next message.
    async fn uncount(&mut self, conversation: ConversationId) {
        self.keep().await;
        let renamed = self.store.rename_dropped(conversation, Why::Counted.code(), Why::Dismissed.code()).await;
        if let Err(error) = renamed {
            tracing::warn!(%error, "messages that were only counted may be counted again");
        }
    }

    async fn show(&mut self, replaces: u32, note: &Note) {
        let sound = self.settings.borrow().sound.clone();
        let mut notice = text::render(note, self.capabilities, sound.as_deref(), replaces);
        if let Some(file) = notice.picture.take() {
            notice.picture = picture::checked(file).await;
        }
        crate::failpoint("before-notify");
        let answer = self.desktop.notify(notice).await;
        crate::failpoint("after-notify");
        if let Err(error) = &answer {
            tracing::info!(%error, "a banner could not be shown");
        }
        let id = answer.as_ref().ok().map(|shown: &Shown| shown.id);
        self.tell(Input::Answer(answer));
        if let Some(id) = id {
            self.remember(id);
        }
    }

    /// Keeps what a notice is about for longer than it is on screen: an answer typed into it must not get lost because
    /// it was read elsewhere in that moment.
    fn remember(&mut self, id: u32) {
        let Some((slot, messages)) = self.rules.on_screen(id) else { return };
        let newest = messages.last().filter(|_| slot != Slot::Summary);
        let clicked = match newest {
            Some((message, place)) => Clicked {
                target: Target {
                    conversation: place.conversation.to_string(),
                    account: place.account_name.clone(),
                    message: message.to_string(),
                },
                place: Some((Arc::new((*place).clone()), *message)),
            },
            None => Clicked { target: Target::default(), place: None },
        };
        self.told.retain(|(old, _)| *old != id);
        if self.told.len() >= REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back((id, clicked));
    }

    /// Puts judgements on disk; what could not be written is kept for the next time.
    pub(super) async fn keep(&mut self) {
        if self.records.is_empty() {
            return;
        }
        // In pieces, so that no link waits long for its own commit.
        while !self.records.is_empty() {
            let rest = self.records.split_off(self.records.len().min(AT_ONCE));
            let records = std::mem::replace(&mut self.records, rest);
            if let Err(error) = self.store.set_banners(records.clone()).await {
                tracing::warn!(%error, "banners' states could not be written; tried again");
                self.records.splice(..0, records);
                return;
            }
        }
    }

    /// Something about wakeful itself.
    pub(super) async fn alert(&mut self, text: String) -> Result<(), DesktopError> {
        let body = text::written(&text, self.capabilities.body_markup);
        let notice = crate::notify::Notice {
            summary: "wakeful".into(),
            body,
            urgency: crate::notify::Urgency::Critical,
            category: "device.error".into(),
            ..crate::notify::Notice::default()
        };
        self.desktop.notify(notice).await.map(drop)
    }

    /// A notification that says that it is a test.
    pub(super) async fn test(&mut self) -> Result<u32, DesktopError> {
        let notice = crate::notify::Notice {
            summary: "wakeful".into(),
            body: "This is a test. Messages will look like this.".into(),
            sound: self.settings.borrow().sound.clone(),
            category: "im.received".into(),
            ..crate::notify::Notice::default()
        };
        Ok(self.desktop.notify(notice).await?.id)
    }
}
