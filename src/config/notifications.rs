//! `[notifications]`: what the user wants to be told, and how much of it is shown.

use super::{AccountName, Interval};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Banners. What is not said keeps its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// `false`: none at all.
    pub enabled: Option<bool>,
    /// How much a banner shows: `show`, `hide_locked` (default: hide while the screen is locked) or `hide`.
    pub preview: Option<Preview>,
    /// Groups and channels only when they name us.
    pub mentions_only: Option<bool>,
    /// Every day, hold banners between two local times.
    pub quiet: Option<QuietHours>,
    /// Messages older than this raise none (default 7 d).
    pub max_age: Option<Interval>,
    /// A sound's name in the desktop's theme; `""`: none.
    pub sound: Option<String>,
    /// The program and its arguments that a click opens; `{conversation}`, `{account}`, `{message}` are replaced.
    pub open: Option<Vec<String>>,
    /// The app that a click opens over D-Bus, by its id (as in `org.example.Chat.desktop`); goes before `open`.
    pub app: Option<AppId>,
    /// The app's action that takes a conversation's id; without it the app is given `wakeful://ACCOUNT/CONVERSATION`.
    pub app_action: Option<String>,
    /// We wrote from another device just now: banners wait for this long (default 10 s; `0s`: not at all).
    pub other_device_delay: Option<Interval>,
    /// What differs for an account.
    pub account: BTreeMap<AccountName, Rule>,
    /// What differs for a conversation, by its id, peer or title.
    pub conversation: BTreeMap<String, Rule>,
}

/// What differs for one account or conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// No banners.
    pub mute: Option<bool>,
    /// Only messages that name us.
    pub mentions_only: Option<bool>,
    /// How much a banner shows.
    pub preview: Option<Preview>,
    /// A PNG file, at most 512 KiB and 1,024 pixels on each side, to show with its banners.
    pub picture: Option<std::path::PathBuf>,
}

/// How much a banner shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preview {
    /// Sender and text.
    Show,
    /// Nothing of either while the screen is locked.
    HideLocked,
    /// Never either.
    Hide,
}

/// A daily span of local time; `from` later than `to` spans midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// First minute.
    pub from: ClockTime,
    /// First minute after it.
    pub to: ClockTime,
}

/// An app's id: a D-Bus name (D-Bus Specification, "Bus names").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppId(pub String);

impl std::str::FromStr for AppId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let element = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            part.bytes().all(known) && part.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        };
        if text.len() <= 255 && text.contains('.') && text.split('.').all(element) {
            Ok(Self(text.into()))
        } else {
            Err(format!("{text:?} is not an app's id: write for example \"org.example.Chat\""))
        }
    }
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A time of day, written `"22:30"`: minutes after midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime(pub u16);

impl std::str::FromStr for ClockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').filter(|(_, minutes)| minutes.len() == 2);
        let parts = parts.and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
        match parts {
            Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(Self(hours * 60 + minutes)),
            _ => Err(format!("{text:?} is not a time of day: write for example \"22:30\"")),
        }
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
