//! Which file and line each rating came from, in little memory.

/// The origin of ratings. Ratings mostly lie on consecutive lines, so only the breaks are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// `(first row, lines from a row to the next, file)`.
    files: Vec<(u64, u64, String)>,
    /// `(row, line)` wherever a row does not lie one line below the row before.
    runs: Vec<(u64, u64)>,
}

impl Lines {
    /// From here on rows belong to `file`; `row` is the next one. In the grouped form the rows
    /// after a break lie on its line instead of on the lines below.
    pub(super) fn begin_file(&mut self, row: u64, file: &str, grouped: bool) {
        self.files.push((row, u64::from(!grouped), file.to_owned()));
    }

    /// Row `row` is at `line`, those after it on the lines below.
    pub(super) fn add(&mut self, row: u64, line: u64) {
        // A chunk that just goes on needs no run of its own, unless another file began.
        let goes_on = self.files.last().is_some_and(|file| file.0 != row && file.1 == 1)
            && self.runs.last().is_some_and(|&(r, l)| row.wrapping_sub(r) == line.wrapping_sub(l));
        if !goes_on {
            self.runs.push((row, line));
        }
    }

    /// The file and the line, counted from 1, of a row.
    pub(super) fn locate(&self, row: usize) -> (&str, u64) {
        let row = row as u64;
        let file = self.files.partition_point(|file| file.0 <= row).saturating_sub(1);
        let run = self.runs.partition_point(|run| run.0 <= row).saturating_sub(1);
        let (step, name) = self.files.get(file).map_or((1, ""), |file| (file.1, &file.2));
        (name, self.runs.get(run).map_or(0, |&(first, line)| line + step * (row - first)))
    }
}
