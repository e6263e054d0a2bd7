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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Popularity {
    /// Mean of `ln(1 + n)`.
    pub center: f64,
    /// Its standard deviation; 1 where all rows have as many ratings.
    pub scale: f64,
}

impl Popularity {
    /// Of a side whose rows have these numbers of ratings.
    pub fn new(counts: &[u32]) -> Self {
        let n = counts.len().max(1) as f64;
        let logs = || counts.iter().map(|&count| f64::from(count).ln_1p());
        let center = logs().sum::<f64>() / n;
        let variance = logs().map(|x| (x - center).powi(2)).sum::<f64>() / n;
        let scale = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
        Self { center, scale }
    }

    /// `ζ` of a row of `count` ratings; 0 ratings for one that the model does not know.
    pub fn of(&self, count: u32) -> f64 {
        (f64::from(count).ln_1p() - self.center) / self.scale
    }

    /// (rows + 1): `ζ` of rows with these numbers of ratings, and last that of unknown ids.
    pub fn of_rows(&self, counts: &[u32]) -> Vec<f32> {
        counts.iter().chain([&0]).map(|&count| self.of(count) as f32).collect()
    }
}

impl Default for Popularity {
    fn default() -> Self {
        Self { center: 0.0, scale: 1.0 }
    }
}
