//! Where an export goes: a file that only its owner reads, or standard output.

use super::read::Sum;
use crate::cli::Fault;
use crate::model::{ExportEnd, Record};
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The lines written so far and where to.
pub(super) struct Out {
    to: BufWriter<Box<dyn Write>>,
    file: Option<File>,
    sum: Sum,
}

impl Out {
    pub(super) fn stdout() -> Self {
        Self { to: BufWriter::new(Box::new(io::stdout())), file: None, sum: Sum::default() }
    }

    /// A new file, 0600.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let made = File::options().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(file) => Self::on(file, Sum::default()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let text =
                    format!("{} is there already: --resume goes on with it, or choose another name", path.display());
                Err(Fault::Usage(text).into())
            }
            Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
        }
    }

    /// A file that was begun, cut back to what is whole of it.
    pub(super) fn resume(path: &Path, sum: Sum) -> anyhow::Result<Self> {
        let open = || -> io::Result<File> {
            let mut file = File::options().write(true).open(path)?;
            file.set_len(sum.bytes)?;
            io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
            Ok(file)
        };
        Self::on(open().with_context(|| format!("cannot go on with {}", path.display()))?, sum)
    }

    fn on(file: File, sum: Sum) -> anyhow::Result<Self> {
        let same = file.try_clone()?;
        Ok(Self { to: BufWriter::with_capacity(1 << 16, Box::new(file)), file: Some(same), sum })
    }

    /// Messages written so far.
    pub(super) fn messages(&self) -> u64 {
        self.sum.messages
    }

    /// One line.
    pub(super) fn line(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.to.write_all(&line).map_err(closed)?;
        self.sum.add(&line, record);
        Ok(())
    }

    /// The last line; when this returns everything is on disk.
    pub(super) fn end(mut self) -> anyhow::Result<ExportEnd> {
        let end = self.sum.end();
        let mut line = serde_json::to_vec(&Record::End(end.clone()))?;
        line.push(b'\n');
        self.to.write_all(&line).and_then(|()| self.to.flush()).map_err(closed)?;
        if let Some(file) = &self.file {
            file.sync_all().context("the file is not on disk")?;
        }
        Ok(end)
    }
}

fn closed(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Fault::OutputClosed.into(),
        _ => anyhow::Error::new(error).context("the export cannot be written: --resume goes on once there is room"),
    }
}
