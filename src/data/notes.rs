//! What is said of a file that was read: lines passed over, values that may be no ratings.

use super::form::Doubt;
use super::layout::Layout;
use super::names::Role;
use super::options::ReadOptions;
use super::read::Tally;
use rayon::prelude::*;

/// Words for the lines that were passed over.
pub(super) fn skipped(first: &[(u64, String)], count: u64) -> String {
    // What would help is the error's to say.
    let why = |text: &str| text.split("; `").next().unwrap_or_default().to_owned();
    let shown = first.iter().map(|(line, text)| format!("line {line}: {}", why(text)));
    let shown = shown.collect::<Vec<_>>().join("; ");
    let more = if count > first.len() as u64 { "; ..." } else { "" };
    format!("{} passed over ({shown}{more})", counted(count as usize, "line"))
}

/// A count and what is counted: `1 line`, `20,000 lines`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A count with a comma after every three digits.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What of the ratings may have been meant otherwise.
pub(super) fn doubts(
    layout: &Layout,
    tally: &Tally,
    values: &[f32],
    options: &ReadOptions,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if tally.literal > 0 {
        let what = format!(
            "{} begin{} with a quote that does not end it, read as it stands (`quotes`)",
            counted(tally.literal as usize, "field"),
            if tally.literal == 1 { "s" } else { "" },
        );
        doubts.push(Doubt::new("quotes", what));
    }
    if layout.has(Role::Rating)
        && !options.filters()
        && let Some((codes, share)) = apart(values)
    {
        let shown: Vec<String> = codes.iter().map(f32::to_string).collect();
        let flags: Vec<String> = codes.iter().map(|code| format!("`drop_value` {code}")).collect();
        let [stand, is, it, means] = match codes.len() {
            1 => ["stands", "is", "it", "means"],
            _ => ["stand", "are", "they", "mean"],
        };
        let what = format!(
            "{} {stand} apart from all other ratings and {is} {:.0} % of them; if {it} {means} \"not rated\", \
             leave {} out ({})",
            shown.join(" and "),
            100.0 * share,
            if codes.len() == 1 { "it" } else { "them" },
            flags.join(" ")
        );
        doubts.push(Doubt::new("drop_value", what));
    }
    if tally.rounded > 0 {
        let what = format!(
            "{} above 16,777,216 {} rounded to single precision (the first: line {}); is this the column of \
             the ratings (`columns`)?",
            counted(tally.rounded as usize, "rating"),
            if tally.rounded == 1 { "is" } else { "are" },
            tally.rounded_first
        );
        doubts.push(Doubt::new("columns", what));
    }
    doubts
}

/// The values that make up a tenth or more of many and lie apart from the others, with their share: not above 0
/// where the others are, or further from them than they are from each other. Two side by side may do so
/// together.
fn apart(values: &[f32]) -> Option<(Vec<f32>, f64)> {
    if values.len() < 10 {
        return None;
    }
    let ends = values.par_chunks(PART).map(Ends::new).reduce(Ends::default, Ends::join).sorted();
    let count = |codes: &[f32]| -> usize {
        let part = |part: &[f32]| part.iter().filter(|value| codes.contains(value)).count();
        values.par_chunks(PART).map(part).sum()
    };
    let mut codes = groups(&ends);
    codes.retain(|codes| count(codes) * 10 >= values.len());
    let mut codes: Vec<f32> = codes.concat();
    codes.sort_by(f32::total_cmp);
    let share = count(&codes) as f64 / values.len() as f64;
    (!codes.is_empty()).then_some((codes, share))
}

/// The values of `ends`, sorted, that lie apart from the rest, alone or two together, the outermost first.
fn groups(ends: &[f32]) -> Vec<Vec<f32>> {
    let (mut rest, mut found) = (ends, Vec::new());
    // One may hide another that lies behind it, or at the other end.
    while ends.len() - rest.len() < MOST_CODES {
        let next = [1, 2].into_iter().find_map(|count| {
            let (low, above) = rest.split_at_checked(count)?;
            let (below, high) = rest.split_at_checked(rest.len() - count)?;
            // Two values are labels; two together are codes where they are whole and others enough, else an
            // end of a scale.
            let width = |codes: &[f32], others: &[f32]| {
                let whole = count == 1 || codes.iter().all(|code| code.fract() == 0.0);
                (others.len() > count && whole).then(|| others[others.len() - 1] - others[0])
            };
            let under = width(low, above).is_some_and(|width| {
                let last = low[count - 1];
                last <= 0.0 && above[0] > 0.0 || above[0] - last > width
            });
            let over =
                width(high, below).is_some_and(|width| high[0] - below[below.len() - 1] > width);
            under.then_some((low, above)).or(over.then_some((high, below)))
        });
        let Some((codes, others)) = next else { break };
        found.push(codes.to_vec());
        rest = others;
    }
    found
}

/// More values than this that mean "not rated" are none.
const MOST_CODES: usize = 3;
/// Values that are looked at together.
const PART: usize = 1 << 16;

/// The least and the greatest distinct values.
#[derive(Clone, Copy)]
struct Ends {
    low: [f32; MOST_CODES + 2],
    high: [f32; MOST_CODES + 2],
}

impl Default for Ends {
    fn default() -> Self {
        Ends { low: [f32::INFINITY; MOST_CODES + 2], high: [f32::NEG_INFINITY; MOST_CODES + 2] }
    }
}

impl Ends {
    fn new(values: &[f32]) -> Self {
        let mut ends = Ends::default();
        values.iter().for_each(|&value| ends.add(value));
        ends
    }

    fn add(&mut self, value: f32) {
        let Ends { low, high } = self;
        let last = low.len() - 1;
        if value < low[last] && !low.contains(&value) {
            low[last] = value;
            low.sort_by(f32::total_cmp);
        }
        if value > high[last] && !high.contains(&value) {
            high[last] = value;
            high.sort_by(|a, b| b.total_cmp(a));
        }
    }

    fn join(mut self, other: Ends) -> Self {
        other.low.into_iter().chain(other.high).for_each(|value| self.add(value));
        self
    }

    fn sorted(self) -> Vec<f32> {
        let mut all: Vec<f32> = self.low.into_iter().chain(self.high).collect();
        all.retain(|value| value.is_finite());
        all.sort_by(f32::total_cmp);
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_apart_are_found() {
        let cases: [(&[f32], &[f32]); 14] = [
            (&[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 4.0, 3.0], &[0.0]),
            (&[-1.0, 7.0, 8.0, 9.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0], &[-1.0]),
            (&[99.0, -9.5, 8.0, 9.0, -10.0, 9.0, 8.0, 7.0, 6.0, 99.0], &[99.0]),
            (&[-999.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0], &[-999.0]),
            (&[1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0], &[]),
            (&[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], &[]),
            (&[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0], &[]),
            (&[-2.0, -1.0, 0.0, 1.0, 2.0, -2.0, -1.0, 0.0, 1.0, 2.0], &[]),
            (&[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 4.0, 3.0], &[-1.0, 0.0]),
            (&[-9.0, -9.0, 5.0, 99.0, 3.0, 4.0, 5.0, 1.0, 2.0, 3.0], &[-9.0, 99.0]),
            (&[-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0, 1.0], &[]),
            (&[-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0], &[]),
            (&[0.0, 0.0, 99.0, 99.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0], &[0.0, 99.0]),
            (&[98.0, 99.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 1.0, 2.0], &[98.0, 99.0]),
        ];
        for (values, want) in cases {
            let found = apart(values).map(|found| found.0).unwrap_or_default();
            assert_eq!(found, want, "{values:?}");
        }
    }
}
