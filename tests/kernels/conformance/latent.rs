//! Latent values behind levels, draw by draw: both backends against the inverse of the distribution in
//! f64, into the tails; and what is no number.

use super::{Compare, hold};
use crate::oracle;
use wgmf::backend::{ALL, Backend, Conditional, GibbsProblem};
use wgmf::core::{Factors, Ratings, RowPrior, RowRatings, Side, SideFactors};
use wgmf::math::random::{OPEN, Purpose, Stream};

use oracle::gibbs_case::{GibbsCase, on};
use oracle::latents::truncated;

/// Intervals on either side and across, wide, narrow and far out; the first and the last are open.
const THRESHOLDS: [f32; 17] = [
    -33.0, -9.0, -8.0, -5.1, -5.0, -4.9, -3.0, -2.0, -0.7, 0.4, 0.5, 0.501, 1.2, 1.9, 5.2, 20.0,
    40.0,
];

/// Where the predictions lie.
const MEANS: [f32; 13] =
    [-1e3, -300.0, -60.0, -30.0, -6.0, -1.0, -0.6, 0.1, 0.3, 2.4, 8.0, 45.0, 700.0];

/// Draws of each interval and prediction.
const DRAWS: usize = 50;

/// A user for each draw, with one rating of one of 503 items, and one factor, which of the items is 1.
pub struct Single {
    levels: Vec<usize>,
    means: Vec<f32>,
    items: Vec<u32>,
}

impl Single {
    pub fn new() -> Self {
        let levels = THRESHOLDS.len() + 1;
        let count = levels * MEANS.len() * DRAWS;
        Self {
            levels: (0..count).map(|at| at / DRAWS % levels).collect(),
            means: (0..count).map(|at| MEANS[at / DRAWS / levels]).collect(),
            items: (0..count).map(|at| (at * 7 % 503) as u32).collect(),
        }
    }

    /// The problem as a backend takes it.
    fn problem(&self) -> GibbsProblem {
        let users = self.levels.len();
        let ratings = Ratings {
            users: (0..users as u32).collect(),
            items: self.items.clone(),
            values: self.levels.iter().map(|&level| level as f32).collect(),
            ..Ratings::default()
        };
        let start = Factors {
            factors: 1,
            sides: [
                SideFactors { factors: self.means.clone(), bias: vec![0.0; users] },
                SideFactors { factors: vec![1.0; 503], bias: vec![0.0; 503] },
            ],
            global_mean: 0.0,
        };
        GibbsProblem {
            ratings: RowRatings::new(&ratings, &[], users, 503),
            test: Ratings::default(),
            starts: vec![start],
            popularity: [vec![0.0; users + 1], vec![0.0; 504]],
            bias: false,
            block: 1,
            latent: true,
        }
    }

    /// The latent values that the users' rows are drawn with. The noise is so small that a row is its
    /// rating's latent value, but for a few roundings.
    fn drawn(&self, backend: &dyn Backend, latents: Stream) -> Vec<f32> {
        let prior = RowPrior {
            mean: vec![0.0; 2],
            slope: vec![0.0; 2],
            precision: vec![1.0, 0.0, 0.0, 1.0],
        };
        let conditional = Conditional {
            prior: &prior,
            noise_precision: 1e16,
            noise_weights: &[],
            thresholds: &THRESHOLDS,
            rows: Stream::new(3, 0, 1, Purpose::Users),
            latents,
        };
        let mut passes = backend.gibbs_passes(self.problem()).unwrap();
        passes.draw(0, Side::User, ALL, &conditional, &mut on).unwrap();
        passes.factors(0).unwrap()[Side::User].factors.clone()
    }

    /// How far the worst draw is from the inverse in f64, in units of what is allowed: 1e-4 of the
    /// width of what is drawn (1, or the length of a tail), and four roundings of the numbers that it
    /// is made of. Infinitely far where it is not finite or outside of its interval.
    fn excess(&self, backend: &dyn Backend) -> f64 {
        let latents = Stream::new(3, 2, 5, Purpose::UserLatents);
        let drawn = self.drawn(backend, latents);
        let mut worst = (0.0, String::new());
        for (at, got) in drawn.into_iter().enumerate() {
            let (level, mean) = (self.levels[at], f64::from(self.means[at]));
            let end = |at: usize| f64::from(THRESHOLDS[at]);
            let open = f64::from(OPEN);
            let low = if level == 0 { -open } else { end(level - 1) };
            let high = if level == THRESHOLDS.len() { open } else { end(level) };
            let word = latents.words(at as u32, self.items[at] / 4)[self.items[at] as usize % 4];
            let want = truncated(word, mean, low, high);
            let nearest = (low - mean).max(mean - high).max(0.0);
            let largest = mean.abs().max(want.abs()).max((want - mean).abs());
            let allowed = 1e-4 / (1.0 + nearest) + 4.0 * f64::from(f32::EPSILON) * largest;
            let got = f64::from(got);
            // The row's own roundings.
            let slack = 2.0 * f64::from(f32::EPSILON) * got.abs();
            let inside = got.is_finite() && got >= low - slack && got <= high + slack;
            let excess = if inside { (got - want).abs() / allowed } else { f64::INFINITY };
            if excess > worst.0 {
                worst = (excess, format!("{got} for {want}, of {mean} in {low}..{high}"));
            }
        }
        println!("{}: {:.3} of what is allowed: {}", backend.device().name, worst.0, worst.1);
        worst.0
    }
}

impl Compare for Single {
    fn name(&self) -> String {
        "single draws".to_owned()
    }

    fn opens(&self, backend: &dyn Backend) -> Result<(), String> {
        backend.gibbs_passes(self.problem()).map(drop).map_err(|error| error.to_string())
    }

    fn compare(&self, backend: &dyn Backend) -> Result<f64, String> {
        match self.excess(backend) {
            excess if excess < 1.0 => Ok(excess),
            excess => Err(format!("{excess} times what is allowed")),
        }
    }

    fn objects(&self, backend: &dyn Backend) -> bool {
        self.excess(backend) > 10.0
    }
}

pub fn latent_values_are_the_inverse_of_the_distribution(backend: &dyn Backend) {
    hold(backend, vec![Single::new()]);
}

/// What is no number stays none: a row that a broken model leads to is not a row of good numbers.
pub fn a_prediction_that_is_not_finite_is_not_repaired(backend: &dyn Backend) {
    let case = GibbsCase { chains: 1, ..GibbsCase::new(6, 37, 23, 300).levels(&[-0.5, 0.6]) };
    {
        for broken in [f32::NAN, f32::INFINITY] {
            let mut problem = case.problem();
            let user = case.ratings.users[0] as usize;
            problem.starts[0][Side::User].factors[user * 6 + 2] = broken;
            let mut passes = backend.gibbs_passes(problem).unwrap();
            let given = case.given(Side::User);
            let conditional = case.conditional(&given, (0, 1), Side::User);
            passes.draw(0, Side::User, ALL, &conditional, &mut on).unwrap();
            let drawn = passes.factors(0).unwrap()[Side::User].factors.clone();
            let name = backend.device().name;
            for (row, x) in drawn.chunks(6).enumerate() {
                let finite = x.iter().all(|x| x.is_finite());
                assert_eq!(finite, row != user, "{name}: row {row}: {x:?}");
            }
        }
    }
}
