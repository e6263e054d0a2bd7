//! Whether a sampler has settled: split R-hat and the effective sample size (Vehtari, Gelman,
//! Simpson, Carpenter and Bürkner 2021, "Rank-normalization, folding, and localization: an improved
//! R-hat for assessing convergence of MCMC", sections 2 and 3).

use crate::model::Quantity;

/// Halves of chains that are shorter say nothing.
const SHORTEST: usize = 4;

/// What a quantity's draws, one series for each chain and all as long, say of its posterior and of
/// the sampler.
pub fn summarize(chains: &[Vec<f64>]) -> Quantity {
    let n = chains.iter().map(Vec::len).sum::<usize>() as f64;
    let mean = chains.iter().flatten().sum::<f64>() / n;
    let squares = chains.iter().flatten().map(|x| (x - mean).powi(2)).sum::<f64>();
    let split = Split::new(chains);
    Quantity {
        mean,
        deviation: if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 },
        r_hat: split.as_ref().map(Split::r_hat).filter(|x| x.is_finite()),
        effective_samples: split.as_ref().map(Split::effective_samples).filter(|x| x.is_finite()),
    }
}

/// Chains cut in halves, so that a chain that drifts disagrees with itself.
struct Split {
    /// Each half minus its mean.
    halves: Vec<Vec<f64>>,
    /// Mean variance within halves.
    within: f64,
    /// Estimate of the posterior variance from within and between halves.
    variance: f64,
}

impl Split {
    /// `None` where there is too little, or where nothing moves.
    fn new(chains: &[Vec<f64>]) -> Option<Self> {
        let n = chains.iter().map(|chain| chain.len() / 2).min()?;
        if n < SHORTEST {
            return None;
        }
        // Of an odd number the middle one is left out.
        let halves = chains.iter().flat_map(|chain| [&chain[..n], &chain[chain.len() - n..]]);
        let mean_of = |half: &[f64]| half.iter().sum::<f64>() / n as f64;
        let means: Vec<f64> = halves.clone().map(mean_of).collect();
        let halves: Vec<Vec<f64>> = halves
            .zip(&means)
            .map(|(half, mean)| half.iter().map(|x| x - mean).collect())
            .collect();
        let count = halves.len() as f64;
        let squares = halves.iter().flatten().map(|x| x * x).sum::<f64>();
        let within = squares / (count * (n - 1) as f64);
        let center = means.iter().sum::<f64>() / count;
        // B / n of the paper.
        let between = means.iter().map(|x| (x - center).powi(2)).sum::<f64>() / (count - 1.0);
        let variance = (n - 1) as f64 / n as f64 * within + between;
        (within > 0.0).then_some(Self { halves, within, variance })
    }

    fn r_hat(&self) -> f64 {
        (self.variance / self.within).sqrt()
    }

    /// Correlation of draws that lie `lag` apart, of all halves together.
    fn correlation(&self, lag: usize) -> f64 {
        let n = self.halves[0].len();
        let products = |half: &Vec<f64>| -> f64 {
            half[lag..].iter().zip(half).map(|(a, b)| a * b).sum::<f64>() / n as f64
        };
        let covariance = self.halves.iter().map(products).sum::<f64>() / self.halves.len() as f64;
        1.0 - (self.within - covariance) / self.variance
    }

    /// Geyer's (1992) initial monotone sequence: pairs of correlations are summed while they are
    /// positive, none above the one before.
    fn effective_samples(&self) -> f64 {
        let n = self.halves[0].len();
        let total = (n * self.halves.len()) as f64;
        let (mut sum, mut last) = (0.0, f64::INFINITY);
        for pair in 0..n / 2 {
            let even = if pair == 0 { 1.0 } else { self.correlation(2 * pair) };
            let value = even + self.correlation(2 * pair + 1);
            if value <= 0.0 {
                break;
            }
            last = value.min(last);
            sum += last;
        }
        // Draws that avoid each other do not count without limit.
        let time = (2.0 * sum - 1.0).max(1.0 / total.log10());
        total / time
    }
}
