//! Lists and counts by sorting every candidate, and the one comparison that holds a backend's ranker
//! against them.

use super::case::Draw;
use wgmf::backend::{Backend, Candidates, Interval, Ranked, WITHIN};

/// Candidates and queries with everything that is drawn, drawn.
///
/// All numbers are small multiples of a half, so that every sum is exact in f32 in whatever order,
/// many scores are equal, and lists and counts have to be the same to the last row.
#[derive(Clone, Debug)]
pub struct RankCase {
    pub name: String,
    pub factors: usize,
    /// (candidates, factors).
    pub rows: Vec<f32>,
    /// (candidates).
    pub bias: Vec<f32>,
    /// (queries, factors).
    pub queries: Vec<f32>,
    /// (queries): ascending.
    pub excluded: Vec<Vec<u32>>,
    /// Lengths of lists.
    pub lengths: Vec<usize>,
}

impl RankCase {
    pub fn new(factors: usize, candidates: usize, queries: usize, lengths: &[usize]) -> Self {
        let mut draw = Draw::new((factors * 31 + candidates * 7 + queries) as u64);
        let mut halves = |n: usize, most: usize| -> Vec<f32> {
            (0..n).map(|_| draw.below(2 * most + 1) as f32 / 2.0 - most as f32 / 2.0).collect()
        };
        let rows = halves(candidates * factors, 4);
        let bias = halves(candidates, 3);
        let values = halves(queries * factors, 4);
        let excluded = (0..queries).map(|query| {
            // Nothing, a few, a half, and what comes first.
            let share = [0, 1, 20, 3][query % 4];
            let rows = 0..candidates as u32;
            rows.filter(|row| draw.below(40) < share || query % 4 == 3 && *row < 5).collect()
        });
        Self {
            name: format!("{factors} factors, {candidates} candidates, {queries} queries"),
            excluded: excluded.collect(),
            factors,
            rows,
            bias,
            queries: values,
            lengths: lengths.to_vec(),
        }
    }

    /// The scores of a query's candidates in f64, those excluded left out: row and score.
    fn scores(&self, query: usize) -> Vec<(u32, f64)> {
        let k = self.factors;
        let mut scores = Vec::new();
        for (row, bias) in self.bias.iter().enumerate() {
            if self.excluded[query].contains(&(row as u32)) {
                continue;
            }
            let mut score = f64::from(*bias);
            for j in 0..k {
                score += f64::from(self.queries[query * k + j]) * f64::from(self.rows[row * k + j]);
            }
            scores.push((row as u32, score));
        }
        scores
    }

    /// The ends of an interval for a candidate.
    fn ends(&self, interval: &Interval, row: u32) -> [f64; 2] {
        let numbers = &self.rows[row as usize * self.factors..][..self.factors];
        let bias = f64::from(self.bias[row as usize]);
        let squares: f64 = numbers.iter().map(|&x| f64::from(x).powi(2)).sum();
        let doubt = f64::from(interval.slope) * (squares + bias * bias).sqrt();
        [f64::from(interval.low) - doubt, f64::from(interval.high) + doubt]
    }

    /// Intervals around scores that occur: their bounds are scores themselves, so that being on a
    /// bound is different from being beside it.
    fn intervals(&self) -> Vec<Interval> {
        let mut draw = Draw::new(self.bias.len() as u64 ^ 0x17E2);
        let queries = self.excluded.len();
        let mut intervals = Vec::new();
        for query in 0..queries {
            let scores = self.scores(query);
            for _ in 0..query % 3 {
                let Some(&(_, low)) = scores.get(draw.below(scores.len().max(1)) as usize) else {
                    continue;
                };
                let high = low + f64::from(draw.below(4)) / 2.0;
                // Every other one is wider for candidates of larger reach.
                let slope = [0.0, 0.03125, 0.0, 0.25][draw.below(4) as usize];
                let interval =
                    Interval { query: query as u32, high: high as f32, low: low as f32, slope };
                // Reaches are rounded: what lies on the bound of a widened interval tells nothing.
                let clear = |&(row, score): &(u32, f64)| {
                    let [low, high] = self.ends(&interval, row);
                    slope == 0.0 || (score - low).abs().min((score - high).abs()) > 1e-3
                };
                if scores.iter().all(clear) {
                    intervals.push(interval);
                }
            }
        }
        intervals
    }
}

/// Holds a backend's ranker against a sort.
///
/// # Errors
/// Says what differs.
pub fn compare(backend: &dyn Backend, case: &RankCase) -> Result<(), String> {
    compare_all(backend, case).map_err(|what| format!("{}: {what}", case.name))
}

fn compare_all(backend: &dyn Backend, case: &RankCase) -> Result<(), String> {
    let candidates = Candidates { factors: case.factors, rows: &case.rows, bias: &case.bias };
    let ranker = backend.ranker(candidates).map_err(|e| e.to_string())?;
    let excluded: Vec<&[u32]> = case.excluded.iter().map(Vec::as_slice).collect();
    let queries = excluded.len();
    for &n in &case.lengths {
        let lists = ranker.top(&case.queries, &excluded, n).map_err(|e| e.to_string())?;
        if lists.len() != queries {
            return Err(format!("{} lists", lists.len()));
        }
        for (query, list) in lists.iter().enumerate() {
            let mut want = case.scores(query);
            want.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            want.truncate(n);
            let want: Vec<_> =
                want.iter().map(|&(row, score)| Ranked { row, score: score as f32 }).collect();
            if *list != want {
                let at = list.iter().zip(&want).take_while(|(got, want)| got == want).count();
                let (got, want) = (list.get(at), want.get(at));
                return Err(format!(
                    "the {n} best of query {query}: {got:?} in place {at}, not {want:?}"
                ));
            }
        }
    }
    let intervals = case.intervals();
    let counted = ranker.count(&case.queries, &excluded, &intervals).map_err(|e| e.to_string())?;
    if counted.len() != intervals.len() {
        return Err(format!("{} counts", counted.len()));
    }
    for &n in &case.lengths {
        let apart = ranker.top(&case.queries, &excluded, n).map_err(|e| e.to_string())?;
        let both = ranker.top_and_count(&case.queries, &excluded, n, &intervals);
        if both.map_err(|e| e.to_string())? != (apart, counted.clone()) {
            return Err(format!("the {n} best and counts differ when they are asked for together"));
        }
    }
    for (got, interval) in counted.iter().zip(&intervals) {
        let scores = case.scores(interval.query as usize);
        let above =
            scores.iter().filter(|(row, score)| *score > case.ends(interval, *row)[1]).count();
        let is_within = |&&(row, score): &&(u32, f64)| {
            let [low, high] = case.ends(interval, row);
            score >= low && score <= high
        };
        let within: Vec<u32> = scores.iter().filter(is_within).map(|&(row, _)| row).collect();
        if (got.above, got.within) != (above as u32, within.len() as u32) {
            let (got, want) = ((got.above, got.within), (above, within.len()));
            return Err(format!("{interval:?}: {got:?} above and within, not {want:?}"));
        }
        if within.len() <= WITHIN && got.rows[..within.len()] != within {
            return Err(format!("{interval:?}: {:?} within, not {within:?}", got.rows));
        }
    }
    Ok(())
}
