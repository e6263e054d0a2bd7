//! Sums by how many training ratings a row has.

/// Upper bounds of the groups; the last has no end.
const BOUNDS: [u32; 9] = [0, 2, 5, 10, 20, 50, 100, 500, 2000];

/// How many groups there are.
pub(super) const GROUPS: usize = BOUNDS.len() + 1;

/// The group of a row with so many training ratings.
pub(super) fn group(ratings: u32) -> usize {
    BOUNDS.partition_point(|&bound| bound < ratings)
}

/// What a group is called: `0`, `1–2`, … `> 2000`.
fn name(group: usize) -> String {
    match group {
        0 => "0".to_owned(),
        _ if group == BOUNDS.len() => format!("> {}", BOUNDS[group - 1]),
        _ => format!("{}–{}", BOUNDS[group - 1] + 1, BOUNDS[group]),
    }
}

/// Numbers of some groups, as bars have them: those groups that `counts` has any of.
pub(super) struct Kept {
    groups: Vec<usize>,
}

impl Kept {
    pub(super) fn of(counts: &[f64; GROUPS]) -> Self {
        Self { groups: (0..GROUPS).filter(|&group| counts[group] > 0.0).collect() }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.groups.iter().map(|&group| name(group)).collect()
    }

    pub(super) fn points(&self, values: &[f64; GROUPS]) -> Vec<(f64, f64)> {
        self.groups.iter().enumerate().map(|(at, &group)| (at as f64, values[group])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_in_the_group_that_names_it() {
        for (ratings, expected) in
            [(0, "0"), (1, "1–2"), (2, "1–2"), (3, "3–5"), (2000, "501–2000"), (2001, "> 2000")]
        {
            assert_eq!(name(group(ratings)), expected);
        }
        assert_eq!(group(u32::MAX), GROUPS - 1);
    }
}
