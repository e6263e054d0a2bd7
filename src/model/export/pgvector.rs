//! Tables for PostgreSQL with pgvector: `users.sql` and `items.sql`, which `psql --file` loads, each table whole or
//! not at all.
//!
//! An item's embedding is `[q_i, c_i]` and a user's `[p_u, 1]`, so that their inner product is all of a score that
//! differs between items: an index by inner product ranks as the model does. Of a model without biases of items they
//! are the factors as they are.

use super::{Labelled, Rows, number, sides};
use crate::core::{Side, escaped};
use crate::files::write_file;
use crate::model::Model;
use crate::{Error, Result};
use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::path::Path;

pub(super) const FILES: &[&str] = &["items.sql", "users.sql"];

/// The most dimensions of an index over `vector`, and over its numbers in half precision; of a column.
const INDEXED: usize = 2000;
const INDEXED_HALVES: usize = 4000;
const MOST: usize = 16_000;

pub(super) fn write(model: &Model, dir: &Path, progress: &Rows) -> Result<()> {
    let [users, items] = sides(model);
    let biases = items.bias.iter().any(|&bias| bias != 0.0);
    let width = model.factors.factors + usize::from(biases);
    if !(1..=MOST).contains(&width) {
        let (why, then) = match width {
            0 => ("has neither factors nor biases of items", "export it as csv"),
            _ => ("has more factors than a column of pgvector, 16,000", "train fewer factors"),
        };
        return Err(Error::data(format!("a model that {why}; {then}")));
    }
    for (side, own) in [(Side::User, &users), (Side::Item, &items)] {
        if let Some(id) = own.ids.iter().find(|id| id.contains('\0')) {
            return Err(Error::data(format!(
                "{} \"{}\" has a NUL byte, which PostgreSQL's text cannot hold; export it in another format",
                side.name(),
                escaped(id)
            )));
        }
        let last = biases.then_some(match side {
            Side::User => Last::One,
            Side::Item => Last::Bias,
        });
        write_file(&dir.join(format!("{}.sql", own.name)), |out| {
            head(out, model, own, width)?;
            for row in 0..own.ids.len() {
                write_row(out, own, row, last)?;
                progress.done(row);
            }
            writeln!(out, "\\.")?;
            if side == Side::Item {
                index(out, width)?;
            }
            writeln!(out, "COMMIT;")
        })?;
    }
    Ok(())
}

/// What stands behind the factors.
#[derive(Clone, Copy)]
enum Last {
    One,
    Bias,
}

fn head(out: &mut impl Write, model: &Model, side: &Labelled, width: usize) -> io::Result<()> {
    let name = side.name;
    let mean = number(model.factors.global_mean);
    let whose = match model.is_bayesian() {
        true => "as the means of the factors rank them (`wgmf recommend` asks every sample)",
        false => "as the model ranks them",
    };
    writeln!(
        out,
        "-- Embeddings of {name}, written by wgmf {}: psql --file {name}.sql\n\
         --\n\
         -- The score of a user and an item is {mean} + the user's bias + the inner product of both\n\
         -- embeddings, in the unit of training. The ten best items of a user, {whose},\n\
         -- those that he has rated among them (<#> is the negative inner product; an HNSW index may miss some, more seldom with a larger\n\
         -- hnsw.ef_search):\n\
         --\n\
         --   SELECT item.id FROM wgmf_items item ORDER BY item.embedding <#>\n\
         --     (SELECT embedding FROM wgmf_users WHERE id = 'somebody') LIMIT 10;\n\
         BEGIN;\n\
         CREATE EXTENSION IF NOT EXISTS vector;\n\
         DROP TABLE IF EXISTS wgmf_{name};\n\
         CREATE TABLE wgmf_{name} (id text PRIMARY KEY, ratings bigint NOT NULL, bias real NOT NULL, \
         embedding vector({width}) NOT NULL);\n\
         COPY wgmf_{name} (id, ratings, bias, embedding) FROM stdin;",
        env!("CARGO_PKG_VERSION")
    )
}

fn write_row(
    out: &mut impl Write,
    side: &Labelled,
    row: usize,
    last: Option<Last>,
) -> io::Result<()> {
    let id = side.ids.name(row as u32);
    write!(out, "{}\t{}\t{}\t[", Copied(id), side.ratings[row], number(side.bias[row]))?;
    let last = last.map(|last| match last {
        Last::One => 1.0,
        Last::Bias => side.bias[row],
    });
    for (at, &x) in side.row(row).iter().chain(&last).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}{}", number(x))?;
    }
    writeln!(out, "]")
}

fn index(out: &mut impl Write, width: usize) -> io::Result<()> {
    let name = "CREATE INDEX wgmf_items_embedding ON wgmf_items USING hnsw";
    if width <= INDEXED {
        writeln!(out, "{name} (embedding vector_ip_ops);")
    } else if width <= INDEXED_HALVES {
        writeln!(
            out,
            "-- Searches take the index where they order by embedding::halfvec({width}) <#> …\n\
             {name} ((embedding::halfvec({width})) halfvec_ip_ops);"
        )
    } else {
        writeln!(
            out,
            "-- No index of pgvector takes so many dimensions: searches look at every row."
        )
    }
}

/// Text as a line of COPY has it.
struct Copied<'a>(&'a str);

impl Display for Copied<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\t' => f.write_str("\\t")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_ends_its_line_or_the_table() {
        let shown =
            ["a\\.", "\\N", "t\tab", "new\nline\r", "plain 'q\""].map(|id| Copied(id).to_string());
        assert_eq!(shown, ["a\\\\.", "\\\\N", "t\\tab", "new\\nline\\r", "plain 'q\""]);
    }

    #[test]
    fn an_index_is_made_where_there_can_be_one() {
        let of = |width| {
            let mut out = Vec::new();
            index(&mut out, width).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(of(2000).contains("(embedding vector_ip_ops)"));
        assert!(of(2001).contains("embedding::halfvec(2001)) halfvec_ip_ops"));
        assert!(!of(4001).contains("CREATE INDEX"));
    }
}
