//! From the configuration to each room's own settings: the only place that knows both.

use crate::config::{Config, Interval, Preview, Rule};
use crate::{link, notify, store};
use std::time::Duration;

/// A link's settings.
pub(super) fn link(config: &Config) -> link::Settings {
    let mut to = link::Settings::default();
    let from = &config.link;
    let pairs: [(&mut Duration, Option<Interval>); 12] = [
        (&mut to.probe_interval, from.probe_interval),
        (&mut to.probe_interval_saving, from.probe_interval_saving),
        (&mut to.probe_timeout, from.probe_timeout),
        (&mut to.backoff_first, from.backoff_first),
        (&mut to.backoff_cap_early, from.backoff_cap_early),
        (&mut to.backoff_cap, from.backoff_cap),
        (&mut to.backoff_cap_battery, from.backoff_cap_battery),
        (&mut to.healthy_after, from.healthy_after),
        (&mut to.race_after, from.race_after),
        (&mut to.server_timeout, from.server_timeout),
        (&mut to.dial_timeout, from.dial_timeout),
        (&mut to.login_timeout, from.login_timeout),
    ];
    for (setting, value) in pairs {
        if let Some(value) = value {
            *setting = value.duration();
        }
    }
    to.take_advice = from.probe_interval.is_none() && from.probe_interval_saving.is_none();
    to
}

/// The notification task's settings; `launcher` goes before the command that a click opens.
pub(super) fn notify(config: &Config, launcher: &[String]) -> notify::Settings {
    let from = &config.notifications;
    let fallback = notify::Settings::default();
    notify::Settings {
        enabled: from.enabled.unwrap_or(fallback.enabled),
        privacy: from.preview.map_or(fallback.privacy, privacy),
        mentions_only: from.mentions_only.unwrap_or(fallback.mentions_only),
        quiet: from.quiet.map(|quiet| notify::Quiet { from: quiet.from.0, to: quiet.to.0 }),
        max_age: from.max_age.map_or(fallback.max_age, Interval::duration),
        other_device_delay: from.other_device_delay.map_or(fallback.other_device_delay, Interval::duration),
        sound: match &from.sound {
            None => fallback.sound,
            Some(name) => Some(name.clone()).filter(|name| !name.is_empty()),
        },
        open: from
            .open
            .as_ref()
            .filter(|open| !open.is_empty())
            .map_or_else(Vec::new, |open| [launcher, open].concat()),
        app: from.app.as_ref().map(|app| app.0.clone()),
        app_action: from.app_action.clone(),
        accounts: from.account.iter().map(|(name, rule)| (name.to_string(), differs(rule))).collect(),
        conversations: from.conversation.iter().map(|(name, rule)| (name.clone(), differs(rule))).collect(),
        ..fallback
    }
}

/// How much of each account is kept.
pub(super) fn keep(config: &Config) -> super::upkeep::Keep {
    let limits = |from: &crate::config::Retention| store::Retention {
        age: from.age.map(crate::config::Age::duration),
        count: from.count.map(crate::config::Count::messages),
        bytes: from.size.map(crate::config::Size::bytes),
    };
    let own = |name: &crate::config::AccountName| (name.to_string(), limits(config.retention(name)));
    super::upkeep::Keep { general: limits(&config.retention), accounts: config.accounts.keys().map(own).collect() }
}

fn differs(rule: &Rule) -> notify::Override {
    notify::Override {
        mute: rule.mute,
        mentions_only: rule.mentions_only,
        privacy: rule.preview.map(privacy),
        picture: rule.picture.clone(),
    }
}

fn privacy(preview: Preview) -> notify::Privacy {
    match preview {
        Preview::Show => notify::Privacy::Show,
        Preview::HideLocked => notify::Privacy::HideLocked,
        Preview::Hide => notify::Privacy::Hide,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_the_file_does_not_say_keeps_its_rooms_default() {
        let config = Config::default();
        assert_eq!(link(&config), link::Settings::default());
        assert_eq!(notify(&config, &["x".into()]), notify::Settings::default());
    }

    #[test]
    fn what_the_file_says_reaches_its_room() {
        let text = "[link]\nprobe_interval = \"1s\"\nlogin_timeout = \"3s\"\n[notifications]\nopen = [\"gui\"]\napp = \"org.example.Chat\"\nsound = \"\"\n\
            preview = \"hide\"\nquiet = { from = \"22:00\", to = \"06:30\" }\n[notifications.account.a]\nmute = true\n";
        let config = Config::parse(text, Path::new("c")).unwrap();
        let link = link(&config);
        assert_eq!([link.probe_interval, link.login_timeout], [Duration::from_secs(1), Duration::from_secs(3)]);
        let notify = notify(&config, &["run".into(), "--".into()]);
        assert_eq!(notify.open, ["run", "--", "gui"]);
        assert_eq!(notify.app.as_deref(), Some("org.example.Chat"));
        assert_eq!(notify.sound, None);
        assert_eq!(notify.privacy, notify::Privacy::Hide);
        assert_eq!(notify.quiet, Some(notify::Quiet { from: 1320, to: 390 }));
        assert_eq!(notify.accounts["a"].mute, Some(true));
    }
}
