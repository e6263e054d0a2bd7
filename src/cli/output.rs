//! Where results go: standard output, with its failures as errors of this library.

use std::io::{self, Write};
use std::path::Path;
use wgmf::files::Output;
use wgmf::{Error, ErrorKind, Result};

/// Buffered standard output.
pub(super) fn stdout() -> io::BufWriter<io::StdoutLock<'static>> {
    io::BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Turns a failure to write to standard output into an error of this library.
pub(super) fn to_stdout(result: io::Result<()>) -> Result<()> {
    result.map_err(|e| Error::io("standard output", e))
}

/// Refuses an output directory within that of the model that is read, which a stranger would make no model
/// any more.
pub(super) fn check_outside(output: &Path, model: &Path) -> Result<()> {
    let output_there = output.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().ok()
    });
    let (Some(there), Ok(model)) = (output_there, model.canonicalize()) else { return Ok(()) };
    let itself = output.canonicalize().is_ok_and(|output| output == model);
    match there.starts_with(&model) && !itself {
        true => {
            Err(Error::file(output, "lies within the model that is read; choose another place"))
        }
        false => Ok(()),
    }
}

/// Refuses an output that is one of the files that are read, or a directory that one of them lies in: `--force` would
/// put what comes of a file in its place.
pub(super) fn check_other(output: &Path, inputs: &[impl AsRef<Path>]) -> Result<()> {
    let Ok(there) = output.canonicalize() else { return Ok(()) };
    let is_lost = |input: &&_| {
        let input = AsRef::<Path>::as_ref(*input).canonicalize();
        input.is_ok_and(|input| input.starts_with(&there))
    };
    // What is no file or directory (a pipe, a device) keeps nothing.
    let keeps = there.is_file() || there.is_dir();
    match inputs.iter().find(is_lost).filter(|_| keeps) {
        Some(input) => Err(Error::file(
            output,
            format!(
                "would take the place of {}, which is read; choose another name",
                input.as_ref().display()
            ),
        )),
        None => Ok(()),
    }
}

/// Refuses an output within the directory of a model, which holds nothing but the model: what is written there takes the
/// place of a part, or keeps training from replacing the model.
pub(super) fn check_apart(output: &Path, model: &Path) -> Result<()> {
    let whole = |path: &Path| {
        let named = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
        let real = path.canonicalize().ok().or_else(named);
        real.or_else(|| std::path::absolute(path).ok()).unwrap_or_else(|| path.to_owned())
    };
    match !Output::is_standard(output) && whole(output).starts_with(whole(model)) {
        true => Err(Error::file(
            output,
            "a model directory holds nothing but the model; choose a name beside it",
        )),
        false => Ok(()),
    }
}

/// Prints `value` as one JSON object on a line of standard output.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let mut out = stdout();
    let written = serde_json::to_writer(&mut out, value).map_err(io::Error::from);
    to_stdout(written.and_then(|()| writeln!(out)).and_then(|()| out.flush()))
}

/// A reader that went away (`wgmf ... | head`) is a normal end.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io { source, .. }
        if source.kind() == io::ErrorKind::BrokenPipe)
}
