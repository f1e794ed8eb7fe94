//! What the demo found, and whether the promise held.

use serde::Serialize;
use std::fmt;

/// Counted from what the daemon has on disk, not from what was intended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// The notification server that showed them; `None`: the terminal told what would have been shown.
    pub(super) notification_server: Option<String>,
    /// Messages that the hub acknowledged.
    pub(super) sent: usize,
    /// Messages on the receiver's disk.
    pub(super) received: usize,
    /// Acknowledged and not there.
    pub(super) lost: usize,
    /// There more than once.
    pub(super) doubled: usize,
    /// In the order of sending.
    pub(super) in_order: bool,
    /// Notifications shown.
    pub(super) banners: usize,
    /// No notification while a GUI looked.
    pub(super) silent_while_looking: bool,
    /// The GUI's reply reached the other side.
    pub(super) reply_arrived: bool,
    /// From the send to the notification server's answer, milliseconds.
    pub(super) send_to_notification_ms: Option<u64>,
    /// From the silent cut until `status` said so, milliseconds.
    pub(super) cut_noticed_after_ms: Option<u64>,
    /// From the network's return until all was on disk, milliseconds.
    pub(super) back_after_ms: Option<u64>,
}

impl Summary {
    /// Everything that was promised is so.
    #[must_use]
    pub(super) fn holds(&self) -> bool {
        let all_there = self.sent > 0 && self.received == self.sent && self.lost == 0 && self.doubled == 0;
        let told = self.banners == 2 && self.silent_while_looking && self.send_to_notification_ms.is_some();
        all_there && self.in_order && told && self.reply_arrived && self.back_after_ms.is_some()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: Option<u64>| ms.map_or("-".into(), |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
        let order = if self.in_order { "in order" } else { "OUT OF ORDER" };
        writeln!(f)?;
        writeln!(
            f,
            "  sent {}, received {}, lost {}, doubled {}, {order}",
            self.sent, self.received, self.lost, self.doubled
        )?;
        writeln!(f, "  send to notification   {}", seconds(self.send_to_notification_ms))?;
        writeln!(f, "  silent cut noticed     {}", seconds(self.cut_noticed_after_ms))?;
        writeln!(f, "  back after the cut     {}", seconds(self.back_after_ms))?;
        let server = self.notification_server.as_deref().unwrap_or("none here: shown on the terminal instead");
        writeln!(f, "  notification server    {server}")?;
        write!(f, "  {}", if self.holds() { "The promise held." } else { "THE PROMISE DID NOT HOLD." })
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    fn good() -> Summary {
        Summary {
            sent: 5,
            received: 5,
            in_order: true,
            banners: 2,
            silent_while_looking: true,
            reply_arrived: true,
            send_to_notification_ms: Some(4),
            back_after_ms: Some(700),
            ..Summary::default()
        }
    }

    #[test]
    fn the_verdict_is_good_only_if_everything_held() {
        assert!(good().holds());
        let spoilt: [fn(&mut Summary); 7] = [
            |it| it.received = 4,
            |it| it.lost = 1,
            |it| it.doubled = 1,
            |it| it.in_order = false,
            |it| it.banners = 3,
            |it| it.silent_while_looking = false,
            |it| it.reply_arrived = false,
        ];
        for spoil in spoilt {
            let mut summary = good();
            spoil(&mut summary);
            assert!(!summary.holds(), "{summary:?}");
        }
    }
}
