//! Lists where every user ranks the candidates alike, as by popularity: one sort serves all.

use crate::recommend::Scored;

/// Candidates by score, best first, equal scores by lower row.
pub(super) struct OneOrder {
    order: Vec<Scored>,
    /// (candidates): where in the order a row stands.
    places: Vec<u32>,
    /// (candidates): the first and the end of the places that share a row's score.
    ties: Vec<[u32; 2]>,
}

impl OneOrder {
    /// From the scores of all rows.
    pub(super) fn new(scores: &[f32]) -> Self {
        let mut order: Vec<Scored> = scores
            .iter()
            .zip(0..)
            .map(|(&score, row)| Scored { row, score: f64::from(score) })
            .collect();
        order.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        let mut places = vec![0; order.len()];
        let mut ties = vec![[0; 2]; order.len()];
        let mut place = 0_u32;
        for group in order.chunk_by(|a, b| a.score == b.score) {
            let end = place + group.len() as u32;
            for (scored, at) in group.iter().zip(place..) {
                places[scored.row as usize] = at;
                ties[scored.row as usize] = [place, end];
            }
            place = end;
        }
        Self { order, places, ties }
    }

    /// The `n` best rows that are not among `excluded` (ascending).
    pub(super) fn top(&self, excluded: &[u32], n: usize) -> Vec<Scored> {
        let open = |scored: &&Scored| excluded.binary_search(&scored.row).is_err();
        self.order.iter().filter(open).take(n).copied().collect()
    }

    /// For each relevant row, how many rows are better and how many equal, but for itself and for
    /// those `excluded`, of which it is none.
    pub(super) fn ranks(&self, excluded: &[u32], relevant: &[u32]) -> Vec<[u64; 2]> {
        let mut out: Vec<u32> = excluded.iter().map(|&row| self.places[row as usize]).collect();
        out.sort_unstable();
        let open_before =
            |place: u32| u64::from(place) - out.partition_point(|&p| p < place) as u64;
        let rank = |&row: &u32| {
            let [first, end] = self.ties[row as usize];
            let better = open_before(first);
            [better, open_before(end) - better - 1]
        };
        relevant.iter().map(rank).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_by_row_and_count_as_equal() {
        let order = OneOrder::new(&[2.0, 5.0, 2.0, 7.0, 2.0, 5.0]);
        let rows = |list: Vec<Scored>| list.iter().map(|scored| scored.row).collect::<Vec<_>>();
        assert_eq!(rows(order.top(&[], 9)), [3, 1, 5, 0, 2, 4]);
        assert_eq!(rows(order.top(&[1, 3], 3)), [5, 0, 2]);
        assert_eq!(order.ranks(&[], &[3, 5, 4]), [[0, 0], [1, 1], [3, 2]]);
        assert_eq!(order.ranks(&[1, 2, 3], &[5, 4]), [[0, 0], [1, 1]]);
    }
}
