//! What is said of a file that was read: lines passed over, values that may be no ratings.

use super::form::Doubt;
use super::layout::Layout;
use super::names::Role;
use super::options::ReadOptions;
use super::read::grouped;
use rayon::prelude::*;

/// Words for the lines that were passed over.
pub(super) fn skipped(first: &[(u64, String)], count: u64) -> String {
    // What would help is the error's to say.
    let why = |text: &str| text.split("; `").next().unwrap_or_default().to_owned();
    let shown = first.iter().map(|(line, text)| format!("line {line}: {}", why(text)));
    let shown = shown.collect::<Vec<_>>().join("; ");
    let more = if count > first.len() as u64 { "; ..." } else { "" };
    let s = if count == 1 { "" } else { "s" };
    format!("{} line{s} passed over ({shown}{more})", grouped(count as usize))
}

/// What of the ratings may have been meant otherwise.
pub(super) fn doubts(
    layout: &Layout,
    literal: u64,
    values: &[f32],
    options: &ReadOptions,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if literal > 0 {
        let (s, s_not) = if literal == 1 { ("", "s") } else { ("s", "") };
        doubts.push(Doubt::new(
            "quotes",
            format!(
                "{} field{s} begin{s_not} with a quote that does not end it, read as it stands (`quotes`)",
                grouped(literal as usize)
            ),
        ));
    }
    if layout.has(Role::Rating)
        && !options.filters()
        && let Some((value, share)) = apart(values)
    {
        doubts.push(Doubt::new(
                "drop_value",
                format!(
                    "{value} stands apart from all other ratings and is {:.0} % of them; if it means \"not \
                     rated\", leave it out (`drop_value` {value})",
                    100.0 * share
                ),
            ));
    }
    doubts
}

/// The least or the greatest value, where it makes up a tenth or more of many and lies apart from
/// the others: it is not above 0 and they are, or it is further from them than they are from each
/// other.
fn apart(values: &[f32]) -> Option<(f32, f64)> {
    if values.len() < 10 {
        return None;
    }
    let (least, most) = bounds(values, f32::NAN);
    [least, most].into_iter().find_map(|value| {
        let count = |part: &[f32]| part.iter().map(|&v| usize::from(v == value)).sum::<usize>();
        let count: usize = values.par_chunks(PART).map(count).sum();
        if count * 10 < values.len() || count == values.len() {
            return None;
        }
        let (low, high) = bounds(values, value);
        // Two values are labels.
        let sign = value <= 0.0 && low > 0.0 && low < high;
        let far = low < high && (low - value).max(value - high) > high - low;
        (sign || far).then_some((value, count as f64 / values.len() as f64))
    })
}

/// Values that are looked at together.
const PART: usize = 1 << 16;

/// The least and the greatest value that is not `but`.
fn bounds(values: &[f32], but: f32) -> (f32, f32) {
    let widen = |(least, most): (f32, f32), (low, high): (f32, f32)| {
        (if low < least { low } else { least }, if high > most { high } else { most })
    };
    let none = (f32::INFINITY, f32::NEG_INFINITY);
    let part = |part: &[f32]| {
        part.iter().fold(none, |found, &v| widen(found, if v == but { none } else { (v, v) }))
    };
    values.par_chunks(PART).map(part).reduce(|| none, widen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_apart_are_found() {
        let cases: [(&[f32], Option<f32>); 8] = [
            (&[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 4.0, 3.0], Some(0.0)),
            (&[-1.0, 7.0, 8.0, 9.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0], Some(-1.0)),
            (&[99.0, -9.5, 8.0, 9.0, -10.0, 9.0, 8.0, 7.0, 6.0, 99.0], Some(99.0)),
            (&[-999.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0], Some(-999.0)),
            (&[1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0], None),
            (&[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], None),
            (&[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0], None),
            (&[-2.0, -1.0, 0.0, 1.0, 2.0, -2.0, -1.0, 0.0, 1.0, 2.0], None),
        ];
        for (values, want) in cases {
            assert_eq!(apart(values).map(|found| found.0), want, "{values:?}");
        }
    }
}
