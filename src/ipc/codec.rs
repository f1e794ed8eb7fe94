//! Lines with a limit. A line that is too long is skipped to its end and reported once; it never fills memory.

use bytes::{Buf as _, Bytes, BytesMut};
use std::io;
use tokio_util::codec::Decoder;

/// One line that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its bytes, without the line feed.
    Whole(Bytes),
    /// It was longer than the limit; this is said when its end (or the limit) was reached, the rest is skipped.
    TooLong,
}

/// Cuts a byte stream into lines of at most `limit` bytes.
#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    searched: usize,
    skipping: bool,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, searched: 0, skipping: false }
    }

    fn line_end(&mut self, bytes: &BytesMut) -> Option<usize> {
        let fresh = bytes.get(self.searched..).unwrap_or_default();
        let found = fresh.iter().position(|byte| *byte == b'\n').map(|at| self.searched + at);
        self.searched = if found.is_some() { 0 } else { bytes.len() };
        found
    }
}

impl Decoder for Lines {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Line>> {
        loop {
            let end = self.line_end(bytes);
            if self.skipping {
                let Some(end) = end else {
                    bytes.clear();
                    self.searched = 0;
                    return Ok(None);
                };
                bytes.advance(end + 1);
                self.skipping = false;
                continue;
            }
            return match end {
                Some(end) if end > self.limit => {
                    bytes.advance(end + 1);
                    Ok(Some(Line::TooLong))
                }
                Some(end) => {
                    let mut line = bytes.split_to(end + 1).freeze();
                    line.truncate(end);
                    Ok(Some(Line::Whole(line)))
                }
                None if bytes.len() > self.limit => {
                    bytes.clear();
                    (self.searched, self.skipping) = (0, true);
                    Ok(Some(Line::TooLong))
                }
                None => Ok(None),
            };
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Line>> {
        let whole = self.decode(bytes)?;
        if whole.is_none() {
            bytes.clear();
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limit: usize, pieces: &[&[u8]]) -> Vec<Line> {
        let mut codec = Lines::new(limit);
        let mut bytes = BytesMut::new();
        let mut out = Vec::new();
        for piece in pieces {
            bytes.extend_from_slice(piece);
            while let Some(line) = codec.decode(&mut bytes).unwrap() {
                out.push(line);
            }
            assert!(bytes.len() <= limit, "no more than the limit is kept");
        }
        out
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        assert_eq!(lines(9, &[b"a", b"b\nc", b"d\n\n"]), [whole("ab"), whole("cd"), whole("")]);
    }

    #[test]
    fn a_giant_line_is_reported_once_and_the_next_one_is_read() {
        assert_eq!(lines(4, &[b"12345", b"6789", b"0\nok\n"]), [Line::TooLong, whole("ok")]);
        assert_eq!(lines(4, &[b"12345\nok\n"]), [Line::TooLong, whole("ok")]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_read() {
        assert_eq!(lines(4, &[b"1234\n"]), [whole("1234")]);
    }
}
