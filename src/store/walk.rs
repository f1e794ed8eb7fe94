//! Walks the ranges of a plan side by side in the order of history, and takes the rows that fit.

use super::plan::Plan;
use super::tx::Result;
use rusqlite::{Connection, Rows};

/// Rows that one page looks at before it says where to go on: a page takes a bounded time however rare its rows are.
pub(super) const LOOK: usize = if cfg!(test) { 500 } else { 20_000 };

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The places of rows that fit.
    pub(super) places: Vec<i64>,
    /// Go on behind this place; `None`: that was all.
    pub(super) next: Option<i64>,
    /// Rows that fit and are still to be left out.
    pub(super) skip: u32,
}

/// A row at the front of a range: its place and whether it fits.
type Head = Option<(i64, bool)>;

/// At most `limit` rows that fit, behind `skip` of them, and at most [`LOOK`] looked at.
pub(super) fn walk(conn: &Connection, plan: &Plan, descending: bool, limit: usize, skip: u32) -> Result<Walked> {
    let look = if crate::mutant("look-unbounded") { usize::MAX } else { LOOK };
    let mut walked = Walked { skip, ..Walked::default() };
    let (mut looked, mut last) = (0, None);
    merged(conn, plan, descending, |place, fits| {
        if walked.places.len() == limit || looked == look {
            walked.next = last;
            return false;
        }
        looked += 1;
        last = Some(place);
        match (fits, walked.skip) {
            (false, _) => {}
            (true, 0) => walked.places.push(place),
            (true, _) => walked.skip -= 1,
        }
        true
    })?;
    Ok(walked)
}

/// How many rows fit among the next so many, and where to go on.
pub(super) fn count(conn: &Connection, plan: &Plan, look: usize) -> Result<(u64, Option<i64>)> {
    let (mut found, mut looked, mut last, mut next) = (0, 0, None, None);
    merged(conn, plan, true, |place, fits| {
        if looked == look {
            next = last;
            return false;
        }
        (looked, last) = (looked + 1, Some(place));
        found += u64::from(fits);
        true
    })?;
    Ok((found, next))
}

/// Calls `each` with every row of all ranges in order, until it says `false`.
fn merged(conn: &Connection, plan: &Plan, descending: bool, mut each: impl FnMut(i64, bool) -> bool) -> Result<()> {
    let mut statements = Vec::with_capacity(plan.streams.len());
    for stream in &plan.streams {
        statements.push(conn.prepare_cached(&stream.places(descending))?);
    }
    let mut ranges: Vec<(Rows<'_>, Head)> = Vec::with_capacity(statements.len());
    for (statement, stream) in statements.iter_mut().zip(&plan.streams) {
        let mut rows = statement.query(stream.values())?;
        let head = advance(&mut rows)?;
        ranges.push((rows, head));
    }
    let place = |head: &Head| head.map(|(place, _)| if descending { place } else { -place });
    while let Some((rows, head)) = ranges.iter_mut().max_by_key(|(_, head)| place(head))
        && let Some((place, fits)) = *head
    {
        if !each(place, fits) {
            break;
        }
        *head = advance(rows)?;
    }
    Ok(())
}

fn advance(rows: &mut Rows<'_>) -> Result<Head> {
    match rows.next()? {
        Some(row) => Ok(Some((row.get(0)?, row.get(1)?))),
        None => Ok(None),
    }
}
