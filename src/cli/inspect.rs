//! `wgmf inspect`.

use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use super::with_flags;
use super::words::{counted, thousands};
use serde_json::Value;
use std::io::{self, Write};
use std::path::PathBuf;
use wgmf::Result;
use wgmf::data::{Counts, Inspection, ReadOptions, read};

/// Show what rating files are taken for and what they hold, without training
///
/// Says format, delimiter, header and columns of each file, shows the first rows as they were parsed,
/// counts and distributions, and what deserves a second look, with the option that would settle it.
#[derive(clap::Args)]
#[command(after_long_help = KEYS)]
pub(super) struct Args {
    /// Files of ratings, read as one set as `wgmf train` reads them; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// How many of the first rows are shown as they were parsed
    #[arg(long, value_name = "N", default_value_t = 5)]
    rows: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadOptions,
}

const KEYS: &str = "\
Keys of --json:
  files             a file each: file, compression, encoding, format, delimiter, quotes, header (names
                    of the columns, or null), fields, columns (of user, item, rating, timestamp, from
                    1 as --columns counts), ratings, doubts (what was assumed, and the option that settles it)
  ratings, users, items, sparsity (fraction of all pairs without a rating), has_ratings
  rows              the first rows: file, line, user, item, rating, timestamp
  values            min, max, mean, median, distinct, most_frequent (value, ratings, share)
  ratings_per_user, ratings_per_item
                    min, quarter, median, nine_tenths (of the ids have no more), max, single
  repeats           pairs that come more than once, ratings beyond the first of each, and how many of
                    these have other_values
  times             first, last, unit (date, seconds, milliseconds, microseconds, nanoseconds, days, or
                    null), without (ratings whose time cannot be read); null where there are none
  remarks           kind (no_ratings, all_equal, labels, two_values, outlier, heavy_tail,
                    times, repeats) and text";

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    let table = read(&args.ratings, &args.read, &Steps::new(false))?;
    let mut seen = Inspection::new(&table, args.rows)?;
    for remark in &mut seen.remarks {
        remark.text = with_flags(&remark.text);
    }
    for doubt in seen.files.iter_mut().flat_map(|file| &mut file.doubts) {
        doubt.what = with_flags(&doubt.what);
    }
    if args.json {
        // As --columns counts them.
        for at in seen.files.iter_mut().flat_map(|file| file.columns.iter_mut().flatten()) {
            *at += 1;
        }
        return print_json(&seen);
    }
    to_stdout(show(&seen, &table.recognised, &args.read))
}

fn show(seen: &Inspection, recognised: &[String], asked: &ReadOptions) -> io::Result<()> {
    let mut out = stdout();
    for (line, file) in recognised.iter().zip(&seen.files) {
        writeln!(out, "{}", with_flags(line))?;
        writeln!(out, "  the same by {}", flags(&file.options(asked)))?;
    }
    if !seen.rows.is_empty() {
        writeln!(out, "\nfirst rows")?;
    }
    for row in &seen.rows {
        writeln!(out, "  {}:{:<6} {}", row.file, row.line, row)?;
    }
    writeln!(out)?;
    let mut line = |name: &str, text: String| writeln!(out, "{name:<12}{text}");
    let none = format!("{:.2} % of all pairs have none", 100.0 * seen.sparsity);
    line("ratings", format!("{}; {none}", thousands(seen.ratings as u64)))?;
    for (name, count, counts) in [
        ("users", seen.users, &seen.ratings_per_user),
        ("items", seen.items, &seen.ratings_per_item),
    ] {
        line(name, format!("{}; ratings each: {}", thousands(count as u64), spread(counts)))?;
    }
    let v = &seen.values;
    let distinct = counted(v.distinct, "distinct value");
    let mean = v.mean as f32;
    line(
        "values",
        format!("{distinct}, {} to {}, mean {mean}, median {}", v.min, v.max, v.median),
    )?;
    for share in &v.most_frequent {
        let percent = format!("{:.1} %", 100.0 * share.share);
        line(
            "",
            format!("{:<10} {percent:>7} {:>14}", share.value, thousands(share.ratings as u64)),
        )?;
    }
    if v.distinct > v.most_frequent.len() {
        line("", format!("and {} others", thousands((v.distinct - v.most_frequent.len()) as u64)))?;
    }
    if let Some(times) = &seen.times {
        let unit = match times.unit {
            None => ", of what unit cannot be told".to_owned(),
            Some("date") => String::new(),
            Some(unit) => format!(" ({unit})"),
        };
        let mut text = format!("{} to {}{unit}", times.first, times.last);
        if times.without > 0 {
            text += &format!("; {} without", counted(times.without, "rating"));
        }
        line("times", text)?;
    }
    let r = &seen.repeats;
    let repeats = match r.pairs {
        0 => "no pair of a user and an item comes twice".to_owned(),
        pairs => format!(
            "{} of a user and an item come again, in {}, {} of them with another value",
            counted(pairs, "pair"),
            counted(r.ratings, "rating"),
            thousands(r.other_values as u64)
        ),
    };
    line("repeats", repeats)?;
    for remark in &seen.remarks {
        writeln!(out, "note: {}", remark.text)?;
    }
    out.flush()
}

fn spread(counts: &Counts) -> String {
    let Counts { min, quarter, median, nine_tenths, max, single, .. } = *counts;
    let all = [min, quarter, median, nine_tenths, max].map(|count| thousands(u64::from(count)));
    let [min, quarter, median, nine_tenths, max] = all;
    let mut text = format!(
        "{min} to {max}, a quarter up to {quarter}, half up to {median}, 9 of 10 up to {nine_tenths}"
    );
    if single > 0 {
        text += &format!("; {} with one", thousands(single as u64));
    }
    text
}

/// Options as flags that say all of them; what is as it is without a flag is left out.
pub(super) fn flags(options: &ReadOptions) -> String {
    let (Ok(Value::Object(options)), Ok(usual)) =
        (serde_json::to_value(options), serde_json::to_value(ReadOptions::default()))
    else {
        return String::new();
    };
    let mut flags = Vec::new();
    for (name, value) in options.iter().filter(|(name, value)| usual[*name] != **value) {
        let values = match value {
            Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        };
        for value in values {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let plain = |c: char| c.is_alphanumeric() || ",.-_:/".contains(c);
            let bare = !text.is_empty() && text.chars().all(plain);
            let text = if bare { text } else { format!("'{}'", text.replace('\'', "'\\''")) };
            flags.push(format!("--{} {text}", name.replace('_', "-")));
        }
    }
    flags.join(" ")
}
