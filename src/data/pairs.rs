//! Files of pairs, handed out one by one in constant memory.

use super::alike::{self, Need};
#[cfg(feature = "parquet")]
use super::columnar;
use super::fields;
use super::json;
use super::lane::{SHOWN, checked};
use super::layout::{Head, Layout, shorten};
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
    #[cfg(feature = "parquet")]
    if let Some(table) = columnar::Table::open(path)? {
        let mut pairs = Pairs::new(&table.name, &mut each);
        table.pairs(options, progress, &mut pairs)?;
        return pairs.end(progress);
    }
    let mut source = Source::open(path, options.encoding, progress)?
        .remembers(alike::remembers_encoding(options));
    let name = source.name.clone();
    let mut chunk = Vec::new();
    let mut more = source.next_chunk(&mut chunk)?;
    let layout = recognise(&name, &Head::Text(&chunk), options, progress)?;
    let shape = Shape::quoted(&layout);
    let (mut skip, mut before) = (layout.skip, 0);
    let mut pairs = Pairs::new(&name, &mut each);
    while more {
        if let Some(shape) = &shape {
            super::source::whole_records(&mut source, &mut chunk, shape)?;
        }
        before += records(&chunk, &layout, shape.as_ref(), &mut skip, |line, pair| {
            pairs.add(&layout, before + line + 1, pair)
        })?;
        more = source.next_chunk(&mut chunk)?;
    }
    pairs.end(progress)
}

/// Recognises a file of pairs.
pub(super) fn recognise(
    name: &str,
    head: &Head<'_>,
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<Layout> {
    let (layout, note) = alike::recognise(name, head, options, Need::Pairs)?;
    if let Some(note) = note {
        progress.note(&note);
    }
    if layout.has_lists() {
        let message = "holds a user and its items a line, not pairs; write a pair a line";
        return Err(Error::file(name, message));
    }
    Ok(layout)
}

/// The pairs of a file as they are handed out.
pub(super) struct Pairs<'e> {
    name: String,
    each: &'e mut Each<'e>,
    count: u64,
    skipped: u64,
    first: Vec<(u64, String)>,
}

type Each<'e> = dyn FnMut(&str, (&str, &str), u64) -> Result<()> + 'e;

impl<'e> Pairs<'e> {
    fn new(name: &str, each: &'e mut Each<'e>) -> Self {
        Self { name: name.to_owned(), each, count: 0, skipped: 0, first: Vec::new() }
    }

    /// Hands out what stands at `line`, from 1.
    pub(super) fn add(
        &mut self,
        layout: &Layout,
        line: u64,
        pair: Result<(&str, &str), String>,
    ) -> Result<()> {
        match pair {
            Ok((user, item)) => {
                self.count += 1;
                (self.each)(&self.name, (user, item), line)
            }
            Err(message) if layout.skips_bad => {
                self.skipped += 1;
                if self.first.len() < SHOWN {
                    self.first.push((line, message));
                }
                Ok(())
            }
            Err(message) => Err(layout.error(&self.name, line, message)),
        }
    }

    fn end(self, progress: &dyn Progress) -> Result<()> {
        progress.finish();
        let told = notes::skipped(&self.first, self.skipped);
        match self.skipped {
            0 => {}
            skipped if skipped > self.count => {
                let message = format!("more lines cannot be read than can: {told}");
                return Err(Error::file(self.name, message));
            }
            _ => progress.note(&format!("{}: {told}", escaped(&self.name))),
        }
        Ok(())
    }
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
    ids(user, item)
}

/// The ids in two fields.
pub(super) fn ids<'a>(user: &'a [u8], item: &'a [u8]) -> Result<(&'a str, &'a str), String> {
    let id = |role: Role, id: &'a [u8]| {
        checked(id).map_err(|error| format!("the {} id {}", role.word(), error.describe(id)))
    };
    Ok((id(Role::User, user)?, id(Role::Item, item)?))
}
