//! What can be wrong with the configuration file, with the place.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What can be wrong, by what the user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("cannot read the configuration {path}: {cause}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something in it is not right.
    #[error("{path}:{line}:{column}: {what}{shown}")]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is not right, and what would be.
        what: String,
        /// The line itself with a mark below, or nothing.
        shown: String,
    },
    /// The file cannot be written.
    #[error("cannot write the configuration {path}: {cause}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The edit makes no sense.
    #[error("{0}")]
    Edit(String),
}

impl ConfigError {
    /// An error at a place in the text; without one it stands at the first line.
    pub(super) fn at(path: &Path, text: &str, span: Option<Range<usize>>, what: String) -> Self {
        let start = span.map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let shown = text.lines().nth(line - 1).filter(|shown| !shown.trim().is_empty() && shown.len() < 200);
        let shown = shown.map_or_else(String::new, |shown| format!("\n  | {shown}\n  | {:>column$}", "^"));
        Self::Wrong { path: path.to_path_buf(), line, column, what: what.replace('\n', ", "), shown }
    }
}
