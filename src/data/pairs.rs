//! Files of pairs, handed out one by one in constant memory.

use super::alike::{self, Need};
use super::fields;
use super::json;
use super::lane::{SHOWN, checked};
use super::layout::{Layout, shorten};
use super::names::Role;
use super::notes;
use super::options::{Format, ReadOptions};
use super::quoted::{self, Shape};
use super::source::Source;
use crate::core::escaped;
use crate::progress::Progress;
use crate::{Error, Result};
use std::ops::ControlFlow;
use std::path::Path;

/// Reads pairs from a file, recognised as rating files are (`-` is standard input), and hands each to
/// `each`, in order, with the file's name and the line, from 1.
pub(crate) fn pairs(
    path: &Path,
    options: &ReadOptions,
    progress: &dyn Progress,
    mut each: impl FnMut(&str, (&str, &str), u64) -> Result<()>,
) -> Result<()> {
    let options = &alike::told(options);
    options.check()?;
    let mut source = Source::open(path, options.encoding, progress)?
        .remembers(alike::remembers_encoding(options));
    let name = source.name.clone();
    let mut chunk = Vec::new();
    let mut more = source.next_chunk(&mut chunk)?;
    let (layout, note) = alike::recognise(&name, &chunk, options, Need::Pairs)?;
    if let Some(note) = note {
        progress.note(&note);
    }
    if layout.has_lists() {
        let message = "holds a user and its items a line, not pairs; write a pair a line";
        return Err(Error::file(name, message));
    }
    let shape = Shape::quoted(&layout);
    let mut skip = layout.skip;
    let (mut before, mut count, mut skipped, mut first) = (0, 0, 0, Vec::new());
    while more {
        if let Some(shape) = &shape {
            super::read::whole_records(&mut source, &mut chunk, shape)?;
        }
        before += records(&chunk, &layout, shape.as_ref(), &mut skip, |line, pair| {
            let line = before + line + 1;
            match pair {
                Ok((user, item)) => {
                    count += 1;
                    each(&name, (user, item), line)
                }
                Err(message) if layout.skips_bad => {
                    skipped += 1;
                    if first.len() < SHOWN {
                        first.push((line, message));
                    }
                    Ok(())
                }
                Err(message) => Err(Error::line(&name, line, message)),
            }
        })?;
        more = source.next_chunk(&mut chunk)?;
    }
    progress.finish();
    let told = notes::skipped(&first, skipped);
    match skipped {
        0 => {}
        _ if skipped > count => {
            return Err(Error::file(name, format!("more lines cannot be read than can: {told}")));
        }
        _ => progress.note(&format!("{}: {told}", escaped(&name))),
    }
    Ok(())
}

/// Hands the pairs of a chunk to `each`; how many lines it has.
fn records(
    chunk: &[u8],
    layout: &Layout,
    shape: Option<&Shape>,
    skip: &mut u64,
    mut each: impl FnMut(u64, Result<(&str, &str), String>) -> Result<()>,
) -> Result<u64> {
    let [Some(user), Some(item), ..] = layout.columns else { return Ok(0) };
    let mut skips = || {
        let skips = *skip > 0;
        *skip = skip.saturating_sub(1);
        skips
    };
    if let Some(shape) = shape.filter(|_| memchr::memchr(b'"', chunk).is_some()) {
        let mut outcome = Ok(());
        let lines = quoted::records(chunk, shape, |line, record| {
            if skips() {
                return ControlFlow::Continue(());
            }
            outcome = match record {
                Err(message) => each(line, Err(message.to_owned())),
                Ok(record) => {
                    let field = |at| record.field(at).bytes();
                    each(line, pair(layout, record.len(), field(user), field(item), record.raw()))
                }
            };
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        return outcome.map(|()| lines);
    }
    let mut number = 0;
    for line in chunk.split_inclusive(|&byte| byte == b'\n') {
        number += 1;
        let line = fields::without_return(line.strip_suffix(b"\n").unwrap_or(line));
        if line.trim_ascii().is_empty() || skips() {
            continue;
        }
        if layout.format == Format::Json {
            match json::values(line, layout) {
                Err(message) => each(number - 1, Err(message))?,
                Ok(values) => {
                    let [user, item, ..] = values.fields();
                    each(number - 1, pair(layout, usize::MAX, user.bytes(), item.bytes(), line))?;
                }
            }
            continue;
        }
        let mut cut = fields::all(layout.delimiter, line);
        if layout.trims {
            cut.iter_mut().skip(1).for_each(|field| *field = field.trim_ascii_start());
        }
        let field = |at: usize| cut.get(at).copied().unwrap_or_default();
        each(number - 1, pair(layout, cut.len(), field(user), field(item), line))?;
    }
    Ok(number)
}

fn pair<'a>(
    layout: &Layout,
    fields: usize,
    user: &'a [u8],
    item: &'a [u8],
    line: &[u8],
) -> Result<(&'a str, &'a str), String> {
    let [Some(user_at), Some(item_at), ..] = layout.columns else { return Err(String::new()) };
    if fields <= user_at.max(item_at) {
        return Err(format!(
            "{fields} {} where a user and an item are needed (the file is {}): \"{}\"; `columns` says \
             which fields they are",
            if fields == 1 { "field" } else { "fields" },
            layout.describe(),
            shorten(line)
        ));
    }
    let id = |role: Role, id: &'a [u8]| {
        checked(id).map_err(|error| format!("the {} id {}", role.word(), error.describe(id)))
    };
    Ok((id(Role::User, user)?, id(Role::Item, item)?))
}
