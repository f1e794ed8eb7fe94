//! One connection to the daemon's socket, as an app in any language has it: a line out, a line in.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection.
pub struct Line {
    stream: UnixStream,
    input: BufReader<UnixStream>,
    last: u64,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(super::PATIENCE))?;
        Ok(Self { input: BufReader::new(stream.try_clone()?), stream, last: 0 })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other side has closed.
    pub fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next line; `None` when the other side has closed.
    ///
    /// # Errors
    /// When nothing comes, or the connection breaks.
    pub fn next(&mut self) -> std::io::Result<Option<Value>> {
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).map_err(std::io::Error::other)
    }

    /// Asks, and waits for the answer: the whole response object.
    ///
    /// # Errors
    /// When the daemon goes away before it answers.
    pub fn ask(&mut self, method: &str, params: &Value) -> std::io::Result<Value> {
        self.last += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
        self.raw(format!("{request}\n").as_bytes())?;
        loop {
            match self.next()? {
                Some(answer) if answer["id"] == self.last => return Ok(answer),
                Some(_) => (),
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}
