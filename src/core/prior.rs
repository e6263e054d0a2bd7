//! What a side's rows are drawn from.

/// A side's prior in one sample (empty by default, where none was drawn yet): its rows `[p, b] ~ N(m + ζ s, Λ⁻¹)`, where `ζ` is a row's popularity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowPrior {
    /// (k + 1): `m`, the bias' last; 0 for a bias that is not learned.
    pub mean: Vec<f64>,
    /// (k + 1): `s`, by how much the mean rises with the row's [`Popularity`].
    pub slope: Vec<f64>,
    /// (k + 1, k + 1), row-major: `Λ`; for a bias that is not learned a row and column of the
    /// identity.
    pub precision: Vec<f64>,
}

impl RowPrior {
    /// The prior mean of a row of this popularity: (k + 1).
    pub fn mean_of(&self, popularity: f64) -> Vec<f64> {
        self.mean.iter().zip(&self.slope).map(|(m, s)| m + popularity * s).collect()
    }

    /// The prior of rows whose popularity is not known but to this variance: `Λ⁻¹` and `v s sᵀ`.
    pub fn widened(&self, variance: f64) -> RowPrior {
        let wide = self.mean.len();
        let of_row = |row: &[f64]| row.iter().zip(&self.slope).map(|(a, s)| a * s).sum::<f64>();
        let sloped: Vec<f64> = self.precision.chunks_exact(wide.max(1)).map(of_row).collect();
        // Sherman and Morrison's inverse of a sum.
        let steep: f64 = sloped.iter().zip(&self.slope).map(|(a, s)| a * s).sum();
        let share = variance / (1.0 + variance * steep);
        let mut prior = self.clone();
        for (at, x) in prior.precision.iter_mut().enumerate() {
            *x -= share * sloped[at / wide] * sloped[at % wide];
        }
        prior
    }

    /// Whether the last coordinate is drawn, not held at 0; false where nothing was drawn yet.
    ///
    /// # Panics
    /// If the arrays are of other lengths than those of one `k`.
    pub fn has_bias(&self) -> bool {
        let Some(k) = self.mean.len().checked_sub(1) else { return false };
        let last = &self.precision[k * (k + 1)..];
        let apart = last[..k].iter().all(|&x| x == 0.0) && last[k] == 1.0;
        self.mean[k] != 0.0 || self.slope[k] != 0.0 || !apart
    }
}

/// How a side's row popularity comes from its number of ratings `n`:
/// `ζ = (ln(1 + n) − center) / scale`, standardized over the training rows.
///
/// A row that training has not seen is not one that nobody would rate, which lies far outside of what
/// slopes are fitted on: whoever asks for it asks about ratings yet to come. It is taken for one that a
/// training rating drawn at random is of, or for a more popular one where its ratings say so; and for
/// none beyond the most popular that there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Popularity {
    /// Mean of `ln(1 + n)`.
    pub center: f64,
    /// Its standard deviation; 1 where all rows have as many ratings.
    pub scale: f64,
    /// `ζ` of a row that the model does not know: the mean over the training ratings.
    pub unknown: f64,
    /// Its variance over the training ratings.
    pub unknown_variance: f64,
    /// The largest `ζ` of a training row.
    pub most: f64,
}

impl Popularity {
    /// Of a side whose rows have these numbers of ratings.
    pub fn new(counts: &[u32]) -> Self {
        let n = counts.len().max(1) as f64;
        let logs = || counts.iter().map(|&count| f64::from(count).ln_1p());
        let center = logs().sum::<f64>() / n;
        let variance = logs().map(|x| (x - center).powi(2)).sum::<f64>() / n;
        let scale = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
        let of_known = Self::followed(center, scale);
        let ratings = counts.iter().map(|&count| f64::from(count)).sum::<f64>();
        if ratings == 0.0 {
            return Self { most: of_known.unknown, ..of_known };
        }
        let mean = |of: &dyn Fn(f64) -> f64| {
            let weighted = counts.iter().map(|&count| f64::from(count) * of(of_known.of(count)));
            weighted.sum::<f64>() / ratings
        };
        let unknown = mean(&|zeta| zeta);
        Self {
            unknown,
            unknown_variance: mean(&|zeta| (zeta - unknown).powi(2)),
            most: counts.iter().map(|&count| of_known.of(count)).fold(f64::MIN, f64::max),
            ..of_known
        }
    }

    /// What follows `ζ` down to a row without ratings, as models before 0.2 did for unknown ids.
    pub fn followed(center: f64, scale: f64) -> Self {
        let unknown = -center / scale;
        Self { center, scale, unknown, unknown_variance: 0.0, most: f64::INFINITY }
    }

    /// `ζ` of a training row of `count` ratings.
    pub fn of(&self, count: u32) -> f64 {
        (f64::from(count).ln_1p() - self.center) / self.scale
    }

    /// (rows + 1): `ζ` of rows with these numbers of ratings, and last that of unknown ids.
    pub fn of_rows(&self, counts: &[u32]) -> Vec<f32> {
        let known = counts.iter().map(|&count| self.of(count));
        known.chain([self.unknown]).map(|zeta| zeta as f32).collect()
    }

    /// `ζ` of a row that training has not seen, `count` ratings of which are known.
    pub fn of_new(&self, count: u32) -> f64 {
        self.of(count).max(self.unknown).min(self.most.max(self.unknown))
    }

    /// (rows + 1): `ζ` of rows that training has not seen, and last that of unknown ids.
    pub fn of_new_rows(&self, counts: &[u32]) -> Vec<f32> {
        let new = counts.iter().map(|&count| self.of_new(count));
        new.chain([self.unknown]).map(|zeta| zeta as f32).collect()
    }
}

impl Default for Popularity {
    fn default() -> Self {
        Self::followed(0.0, 1.0)
    }
}
