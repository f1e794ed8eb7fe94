//! Listens on the socket and gives each client a session of its own. It owns no client's state.

use super::hall::Hall;
use super::leases::{self, Leases};
use super::session::Session;
use super::token::Key;
use super::wire::{self, Fault, FaultCode, Response};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a refused client may take to read why.
const FAREWELL: Duration = Duration::from_millis(500);
/// Refused clients that are told why at once; beyond them the connection is just closed.
const FAREWELLS: usize = 32;
/// Pieces of 4 KiB that are read of a refused client.
const FAREWELL_READS: usize = 64;

/// Why the socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon listens there.
    #[error("another wakeful already listens at {}", .0.display())]
    Taken(PathBuf),
    /// Something that is not a socket stands there.
    #[error("{} is not a socket: move it away", .0.display())]
    Foreign(PathBuf),
    /// The system refused.
    #[error("cannot {intent} {}: {cause}", path.display())]
    Io {
        /// What was being done.
        intent: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Opens the socket: its folder must exist and be private (`Paths::make`); the socket becomes 0600. A socket that a
/// killed daemon left behind is replaced. Must be called within a tokio runtime.
///
/// # Errors
/// When somebody listens there, something else stands there, or the system refuses.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let io = |intent| move |cause| BindError::Io { intent, path: path.to_path_buf(), cause };
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(BindError::Foreign(path.to_path_buf()));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() && !crate::mutant("lock-off") {
            return Err(BindError::Taken(path.to_path_buf()));
        }
        std::fs::remove_file(path).map_err(io("remove the old socket"))?;
    }
    let listener = UnixListener::bind(path).map_err(io("listen at"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io("protect"))?;
    Ok(listener)
}

/// Serves clients until `shutdown`; returns when every session has ended.
pub async fn serve(listener: UnixListener, hall: Hall, shutdown: CancellationToken) {
    let key = Key::load(&hall.store, &hall.entropy).await;
    let (lease, changes) = mpsc::channel(64);
    let leases = tokio::spawn(leases::run(Leases::new(hall.settings.attention_lease), changes, hall.clone()));
    let mut sessions = JoinSet::new();
    let mut farewells = JoinSet::new();
    let mut next = 0_u64;
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
            Some(_) = farewells.join_next(), if !farewells.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a client");
                    pause(&shutdown).await;
                    continue;
                }
            },
        };
        if let Some(fault) = refuse(&stream, sessions.len(), hall.settings.clients) {
            tracing::warn!(%fault, "a client was refused");
            if farewells.len() < FAREWELLS {
                farewells.spawn(farewell(stream, fault));
            }
            continue;
        }
        next += 1;
        let session = Session::new(next, stream, hall.clone(), key.clone(), lease.clone());
        sessions.spawn(session.run(shutdown.clone()));
    }
    drop((listener, lease));
    while sessions.join_next().await.is_some() {}
    leases.await.ok();
}

/// Out of file descriptors, `accept` fails at once again and again: a breath between the attempts.
async fn pause(shutdown: &CancellationToken) {
    tokio::time::timeout(Duration::from_millis(100), shutdown.cancelled()).await.ok();
}

/// Only processes of our own user are served, and only so many.
fn refuse(stream: &UnixStream, clients: usize, limit: usize) -> Option<Fault> {
    let own = rustix::process::geteuid().as_raw();
    let peer = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => return Some(Fault::new(FaultCode::Forbidden, format!("your user cannot be told: {error}"))),
    };
    if peer != own && !crate::mutant("peer-uid-off") {
        let text = format!("this daemon serves user {own} only, and you are user {peer}");
        return Some(Fault::new(FaultCode::Forbidden, text).remedy("run a wakeful of your own"));
    }
    if clients >= limit {
        let text = format!("there are {limit} clients already");
        return Some(Fault::new(FaultCode::Busy, text).remedy("close one of them"));
    }
    None
}

/// Says why, and closes. What the client wrote meanwhile is read first, else the system would drop the reason.
async fn farewell(mut stream: UnixStream, fault: Fault) {
    let line = wire::line(&Response::new(None, Err(fault)));
    let mut ignored = [0; 4_096];
    let goodbye = async {
        stream.write_all(&line).await.ok();
        stream.shutdown().await.ok();
        for _ in 0..FAREWELL_READS {
            match stream.read(&mut ignored).await {
                Ok(bytes) if bytes > 0 => {}
                _ => break,
            }
        }
    };
    tokio::time::timeout(FAREWELL, goodbye).await.ok();
}
