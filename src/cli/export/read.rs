//! An export read line by line, counted and summed up as it goes.

use crate::model::{ExportEnd, Record};
use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{BufRead, Read as _};

/// The longest line that is read, bytes.
const LONGEST: u64 = 64 << 20;

/// What was read or written so far.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Sum {
    pub(super) digest: Sha256,
    pub(super) lines: u64,
    pub(super) messages: u64,
    pub(super) conversations: u64,
    pub(super) bytes: u64,
}

impl Sum {
    /// One more line, with its line feed.
    pub(super) fn add(&mut self, line: &[u8], record: &Record) {
        self.digest.update(line);
        self.lines += 1;
        self.bytes += line.len() as u64;
        self.messages += u64::from(matches!(record, Record::Message(_)));
        self.conversations += u64::from(matches!(record, Record::Conversation(_)));
    }

    /// As the last line says it.
    pub(super) fn end(&self) -> ExportEnd {
        let mut sha256 = String::with_capacity(64);
        for byte in self.digest.clone().finalize() {
            write!(sha256, "{byte:02x}").ok();
        }
        let Self { lines, messages, conversations, .. } = *self;
        ExportEnd { lines, messages, conversations, sha256 }
    }
}

/// The lines of an export.
pub(in crate::cli) struct Lines<R> {
    from: R,
    sum: Sum,
    line: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(in crate::cli) fn new(from: R) -> Self {
        Self { from, sum: Sum::default(), line: Vec::new(), ended: false }
    }

    /// What was read so far, without the last line of all.
    pub(in crate::cli) fn sum(&self) -> &Sum {
        &self.sum
    }

    /// Lines read so far.
    pub(in crate::cli) fn count(&self) -> u64 {
        self.sum.lines
    }

    /// Bytes read so far.
    pub(in crate::cli) fn bytes(&self) -> u64 {
        self.sum.bytes
    }

    /// The next line; the last is compared with what was read.
    ///
    /// # Errors
    /// A line that is cut off or does not read, an end that does not fit, lines behind it.
    pub(in crate::cli) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        self.line.clear();
        let number = self.sum.lines + 1;
        let read = self.from.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
        if read.with_context(|| format!("line {number} cannot be read"))? == 0 {
            return Ok(None);
        }
        if self.ended {
            bail!("there are lines behind the last one");
        }
        if self.line.last() != Some(&b'\n') {
            bail!("line {number} is cut off");
        }
        let record: Record =
            serde_json::from_slice(&self.line).with_context(|| format!("line {number} does not read"))?;
        if number == 1 && !matches!(&record, Record::Wakeful(head) if head.format == 1) {
            bail!("it does not begin as an export of this format does");
        }
        if let Record::End(end) = &record {
            self.ended = true;
            let found = self.sum.end();
            if *end != found && !crate::mutant("export-unverified") {
                bail!(
                    "its last line says {} lines, {} messages and SHA-256 {}; there are {}, {} and {}",
                    end.lines,
                    end.messages,
                    end.sha256,
                    found.lines,
                    found.messages,
                    found.sha256
                );
            }
        } else {
            self.sum.add(&self.line, &record);
        }
        Ok(Some(record))
    }

    /// The last line was there and right.
    pub(in crate::cli) fn is_whole(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small export, whole.
    fn whole() -> Vec<u8> {
        let head = br#"{"wakeful":{"format":1,"id":"x","version":"0","at":"2026-01-01T00:00:00.000Z","seq":0}}"#;
        let account = br#"{"account":{"name":"work","protocol":"hub"}}"#;
        let mut sum = Sum::default();
        let mut out = Vec::new();
        for line in [&head[..], &account[..]] {
            let line = [line, b"\n"].concat();
            sum.add(&line, &serde_json::from_slice(&line).unwrap());
            out.extend(line);
        }
        out.extend(serde_json::to_vec(&Record::End(sum.end())).unwrap());
        out.push(b'\n');
        out
    }

    fn read(bytes: &[u8]) -> anyhow::Result<bool> {
        let mut lines = Lines::new(bytes);
        while lines.next()?.is_some() {}
        Ok(lines.is_whole())
    }

    #[test]
    fn any_changed_letter_missing_line_or_cut_is_noticed() {
        let sound = whole();
        assert!(read(&sound).unwrap());
        let text = String::from_utf8(sound.clone()).unwrap();
        assert!(read(text.replace("work", "fork").as_bytes()).unwrap_err().to_string().contains("SHA-256"));
        let without: String =
            text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| format!("{l}\n")).collect();
        assert!(
            read(without.as_bytes()).unwrap_err().to_string().contains("3 lines") || read(without.as_bytes()).is_err()
        );
        assert!(read(format!("{text}{text}").as_bytes()).is_err(), "lines behind the last");
        assert!(read(text.lines().next_back().unwrap().as_bytes()).is_err(), "no beginning");
        for cut in 0..sound.len() {
            assert!(!matches!(read(&sound[..cut]), Ok(true)), "cut at {cut}");
        }
    }
}
