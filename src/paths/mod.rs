//! Where wakeful's files are: one folder under `WAKEFUL_HOME`, else the places that XDG or macOS name.
//!
//! Never reads or writes what stands in those files; it only knows where they are and that nobody else may read them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest path a Unix socket may have everywhere (macOS: 104 bytes with the closing NUL).
const SOCKET_PATH_MAX: usize = 103;

/// What can be wrong with the places.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// No home folder is known.
    #[error("no home folder is known: set HOME, or WAKEFUL_HOME=DIR to keep everything under one folder")]
    NoHome,
    /// `WAKEFUL_HOME` is relative: two commands run from two folders would not mean the same place.
    #[error("WAKEFUL_HOME={0} is not an absolute path: give the whole path")]
    Relative(PathBuf),
    /// The socket's path does not fit into a Unix socket address.
    #[error(
        "the socket's path {path} has {bytes} bytes, a Unix socket takes at most 103: choose a shorter WAKEFUL_HOME"
    )]
    SocketTooLong {
        /// The path that is too long.
        path: PathBuf,
        /// How many bytes it has.
        bytes: usize,
    },
    /// A folder could not be made.
    #[error("cannot make the folder {path}: {cause}")]
    Make {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others may write where the configuration stands.
    #[error("{path} may be written by others (mode {mode:o}): chmod go-w it, or choose another WAKEFUL_HOME")]
    Open {
        /// Which folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A folder that must be private belongs to somebody else.
    #[error("{0} belongs to another user: remove it, or choose another WAKEFUL_HOME")]
    Foreign(PathBuf),
}

/// Where everything is. Nothing is made until [`Paths::make`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    config: PathBuf,
    state: PathBuf,
    cache: PathBuf,
    runtime: PathBuf,
    one_folder: bool,
}

impl Paths {
    /// The places for this environment: `home` is the value of `WAKEFUL_HOME`, which `main` read.
    ///
    /// # Errors
    /// When no place can be named, or the socket would not fit into an address.
    pub fn discover(home: Option<OsString>) -> Result<Self, PathError> {
        let paths = match home.filter(|value| !value.is_empty()) {
            Some(home) => Self::under(Path::new(&home)),
            None => Self::standard()?,
        };
        if paths.one_folder && !paths.config.is_absolute() {
            return Err(PathError::Relative(paths.config));
        }
        paths.check_socket()?;
        Ok(paths)
    }

    /// Everything under one folder.
    #[must_use]
    pub fn under(home: &Path) -> Self {
        Self {
            config: home.to_path_buf(),
            state: home.join("state"),
            cache: home.join("cache"),
            runtime: home.join("run"),
            one_folder: true,
        }
    }

    /// XDG on Linux, `~/Library` on macOS. Without a runtime folder the socket stands in the state folder.
    fn standard() -> Result<Self, PathError> {
        let dirs = directories::ProjectDirs::from("", "", "wakeful").ok_or(PathError::NoHome)?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_path_buf();
        let runtime = dirs.runtime_dir().map_or_else(|| state.clone(), Path::to_path_buf);
        Ok(Self {
            config: dirs.config_dir().to_path_buf(),
            state,
            cache: dirs.cache_dir().to_path_buf(),
            runtime,
            one_folder: false,
        })
    }

    fn check_socket(&self) -> Result<(), PathError> {
        let path = self.socket();
        let bytes = path.as_os_str().len();
        if bytes > SOCKET_PATH_MAX { Err(PathError::SocketTooLong { path, bytes }) } else { Ok(()) }
    }

    /// Makes the folders (configuration, state, cache, runtime), each 0700. A `WAKEFUL_HOME` that exists keeps its
    /// mode, since it may be a folder with other uses; it is refused if others may write there.
    ///
    /// # Errors
    /// When one cannot be made, or others may write to it.
    pub fn make(&self) -> Result<(), PathError> {
        self.check_socket()?;
        if self.one_folder {
            make_closed(&self.config)?;
        } else {
            make_private(&self.config)?;
        }
        for dir in [&self.state, &self.cache, &self.runtime] {
            make_private(dir)?;
        }
        Ok(())
    }

    /// `WAKEFUL_HOME` is in use: nothing outside that folder is touched, no keyring either.
    #[must_use]
    pub fn one_folder(&self) -> bool {
        self.one_folder
    }

    /// The folder of the configuration.
    #[must_use]
    pub fn config_dir(&self) -> &Path {
        &self.config
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The folder of the database, the lock and the log.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The folder for what can be made again.
    #[must_use]
    pub fn cache_dir(&self) -> &Path {
        &self.cache
    }

    /// The folder of 0600 secret files.
    #[must_use]
    pub fn secrets_dir(&self) -> PathBuf {
        self.state.join("secrets")
    }

    /// The socket that GUIs and commands connect to.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("socket")
    }

    /// Locked by the one daemon of this state folder, for as long as it lives.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Locked while the configuration is being edited.
    #[must_use]
    pub fn config_lock(&self) -> PathBuf {
        self.state.join("config.lock")
    }

    /// Where a daemon started by `wakeful start` writes what it has to say.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.state.join("wakeful.log")
    }
}

/// Makes a folder of wakeful's own 0700 with its parents; one that exists is made 0700.
///
/// # Errors
/// When it cannot be made, or belongs to another user.
pub fn make_private(dir: &Path) -> Result<(), PathError> {
    let mode = make_owned(dir)?;
    if mode & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dir, private).map_err(|cause| PathError::Make { path: dir.to_path_buf(), cause })?;
    }
    Ok(())
}

/// Makes a folder 0700; one that exists is left as it is, if only its owner may write there.
fn make_closed(dir: &Path) -> Result<(), PathError> {
    let mode = make_owned(dir)?;
    if mode & 0o022 != 0 { Err(PathError::Open { path: dir.to_path_buf(), mode: mode & 0o7777 }) } else { Ok(()) }
}

/// Makes a folder, checks whose it is and returns its mode.
fn make_owned(dir: &Path) -> Result<u32, PathError> {
    let fail = |cause| PathError::Make { path: dir.to_path_buf(), cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
    let meta = std::fs::metadata(dir).map_err(fail)?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(PathError::Foreign(dir.to_path_buf()));
    }
    Ok(meta.permissions().mode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_under_wakeful_home() {
        let paths = Paths::discover(Some("/srv/w".into())).unwrap();
        assert_eq!(paths.config_file(), Path::new("/srv/w/config.toml"));
        assert_eq!(paths.socket(), Path::new("/srv/w/run/socket"));
        assert_eq!(paths.lock_file(), Path::new("/srv/w/state/lock"));
        assert!(paths.one_folder());
    }

    #[test]
    fn a_socket_path_that_no_system_takes_is_refused_with_its_length() {
        let home = format!("/{}", "x".repeat(93));
        let error = Paths::discover(Some(home.clone().into())).unwrap_err();
        assert!(error.to_string().contains("has 105 bytes"), "{error}");
        assert!(Paths::discover(Some(home[..92].into())).is_ok());
    }

    #[test]
    fn a_relative_home_is_refused() {
        assert!(matches!(Paths::discover(Some("w".into())), Err(PathError::Relative(_))));
    }

    fn mode(dir: &Path) -> u32 {
        std::fs::metadata(dir).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_are_made_for_their_owner_alone_even_if_they_were_open() {
        let temp = tempfile::tempdir().unwrap();
        let paths = Paths::under(&temp.path().join("home"));
        std::fs::create_dir_all(paths.state_dir()).unwrap();
        std::fs::set_permissions(paths.state_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(paths.config_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
        paths.make().unwrap();
        assert_eq!([mode(paths.state_dir()), mode(paths.cache_dir())], [0o700, 0o700]);
        assert_eq!(mode(paths.config_dir()), 0o755, "a folder that may have other uses keeps its mode");
    }

    #[test]
    fn a_home_where_others_may_write_is_refused_and_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = Paths::under(temp.path()).make().unwrap_err();
        assert!(error.to_string().contains("mode 777"), "{error}");
        assert_eq!(mode(temp.path()), 0o777);
    }
}
