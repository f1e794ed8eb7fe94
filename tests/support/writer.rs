//! Somebody who writes without pause over the daemon's socket, whatever happens to the daemon.

use super::Line;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who writes to whom, until when.
pub struct Writer {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// The account's name.
    pub account: &'static str,
    /// Whom it writes to.
    pub peer: &'static str,
    /// Ends it.
    pub stop: Arc<AtomicBool>,
}

impl Writer {
    /// Writes what `text` makes of the number, and rests as long as `rest` says after each. A message whose answer did not
    /// come is asked for again with the same id, so that every one is acknowledged in the end. Gives the texts in their order.
    pub fn start(
        self,
        text: impl Fn(usize) -> String + Send + 'static,
        mut rest: impl FnMut() -> Duration + Send + 'static,
    ) -> JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            let (mut written, mut line, mut refusals) = (Vec::new(), None, BTreeSet::new());
            while !self.stop.load(Ordering::Relaxed) {
                let text = text(written.len());
                self.write(&text, &mut line, &mut refusals);
                written.push(text);
                std::thread::sleep(rest());
            }
            for refusal in refusals {
                eprintln!("refused to whoever writes to {}, and taken later: {refusal}", self.peer);
            }
            written
        })
    }

    fn write(&self, text: &str, line: &mut Option<Line>, refusals: &mut BTreeSet<String>) {
        let random: [u8; 10] = std::array::from_fn(|_| fastrand::u8(..));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let id = wakeful::model::MessageId::new(now.as_millis() as u64, &random).to_string();
        let params = json!({"account": self.account, "conversation": self.peer, "text": text, "id": id});
        loop {
            if line.is_none() {
                *line = Line::connect(&self.socket).ok();
            }
            match line.as_mut().and_then(|line| line.ask("send", &params).ok()) {
                Some(answer) if answer["result"].is_object() => return,
                // A disk that takes no writes is said as such; whoever asks again later is served.
                Some(answer) if answer["error"]["data"]["code"] == "disk" => {
                    refusals.insert(answer["error"]["message"].to_string());
                }
                Some(answer) if answer["error"]["data"]["code"] != "closing" => panic!("{answer}"),
                _ => *line = None,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
