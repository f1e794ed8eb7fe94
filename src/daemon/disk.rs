//! A disk that takes no writes: the user is told once, and it is tried again until it does. Nothing announces that there
//! is room again, so this is the one thing that has to be tried.

use crate::ipc::Control;
use crate::notify::Notifier;
use crate::store::Store;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Bytes kept free for what the user does on a full disk: some hundred small changes.
pub(super) const BALLAST: u64 = 4 << 20;
/// The first pause, and the longest: each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Until `shutdown`. When the disk takes writes again, `control` is asked to read the configuration: an account that could
/// not be written down at the start is begun by that, the others are left alone.
pub(super) async fn watch(
    store: Store,
    notifier: Notifier,
    control: mpsc::Sender<Control>,
    shutdown: CancellationToken,
) {
    let mut trouble = store.disk();
    loop {
        let why = tokio::select! {
            () = shutdown.cancelled() => return,
            found = trouble.wait_for(Option::is_some) => match found {
                Ok(why) => why.clone().unwrap_or_default(),
                Err(_) => return,
            },
        };
        tracing::error!(why, "messages cannot be written; free some space, wakeful goes on by itself");
        let text = format!("Messages cannot be written: {why}. Free some space; wakeful goes on by itself.");
        // Beside the tries: a notification server may hang, or come later. What is mended by then is not told any more.
        let told = notifier.clone();
        let mut telling = JoinSet::new();
        telling.spawn(async move { told.alert(text).await });
        let mut pause = PAUSES.0;
        while trouble.borrow_and_update().is_some() {
            if tokio::time::timeout(pause, shutdown.cancelled()).await.is_ok() {
                return;
            }
            if let Err(error) = store.try_disk().await {
                tracing::debug!(%error, "still no room");
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        tracing::info!("messages can be written again");
        let (answer, _nobody_waits) = oneshot::channel();
        control.send(Control::Reload(answer)).await.ok();
    }
}
