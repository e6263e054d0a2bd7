//! What a table is written as, by the ending of the file's name.

use crate::{Error, Result};
use std::path::Path;

/// What a table is kept in that is written by column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableForm {
    /// Apache Parquet, compressed by zstd.
    Parquet,
    /// Arrow's file format (Feather's second version), as it lies in memory.
    Arrow,
}

impl TableForm {
    /// What a file of this name is to be: `.parquet`, or `.arrow` and `.feather`. Nothing of any other, which is text.
    ///
    /// # Errors
    /// One that is to be compressed once more, as no program would read it; in a build without the feature
    /// `parquet` any.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let end = |path: &Path| path.extension().and_then(|end| end.to_str().map(str::to_owned));
        let packed = matches!(end(path).as_deref(), Some("gz" | "zst"));
        let inner = if packed { Path::new(path.file_stem().unwrap_or_default()) } else { path };
        let form = match end(inner).as_deref() {
            Some("parquet") => TableForm::Parquet,
            Some("arrow" | "feather") => TableForm::Arrow,
            _ => return Ok(None),
        };
        if packed {
            let message = "Parquet and Arrow files are not compressed once more, as nothing reads them then; \
                           leave out the last ending";
            return Err(Error::file(path, message));
        }
        if !cfg!(feature = "parquet") {
            let message = "Parquet and Arrow files are written by a build with the feature \"parquet\"; name a \
                           .csv file";
            return Err(Error::file(path, message));
        }
        Ok(Some(form))
    }
}
