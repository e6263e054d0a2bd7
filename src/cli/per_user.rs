//! `--per-user`: a file with the figures of each user.

use std::io::Write;
use wgmf::core::Ids;
use wgmf::evaluate::ByUser;
use wgmf::files::Output;
use wgmf::{Error, Result};

/// Writes user and figures as CSV, what a user has no figure for empty; `ids` names the users. The file
/// was opened before any work.
pub(super) fn write(mut out: Output, table: &ByUser, ids: &Ids) -> Result<()> {
    let wrong = |e: csv::Error| Error::data(format!("cannot be written as CSV: {e}"));
    let mut csv = csv::Writer::from_writer(Vec::new());
    let names = ["user"].into_iter().chain(table.names.iter().map(String::as_str));
    csv.write_record(names).map_err(wrong)?;
    for (user, figures) in table.rows() {
        let figure = |x: &f64| if x.is_nan() { String::new() } else { x.to_string() };
        let record = [ids.name(user).to_owned()].into_iter().chain(figures.iter().map(figure));
        csv.write_record(record).map_err(wrong)?;
    }
    let text = csv.into_inner().map_err(|e| Error::data(e.to_string()))?;
    out.write(|sink| sink.write_all(&text))?;
    out.commit()
}
