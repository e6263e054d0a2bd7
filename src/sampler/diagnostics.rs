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

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws of `x ← φ x + e` around `shift`, where `e` is a sum of uniform numbers of variance 1.
    struct Walk(u64);

    impl Walk {
        fn unit(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 40) as f64 / f64::from(1 << 24)
        }

        fn chain(&mut self, n: usize, phi: f64, shift: f64) -> Vec<f64> {
            let mut x = 0.0;
            let mut step = || {
                x = phi * x + (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
                x + shift
            };
            (0..n).map(|_| step()).collect()
        }
    }

    // The same chains and the formulas of the paper, by NumPy.
    #[test]
    fn figures_are_those_of_the_definitions() {
        let mut walk = Walk(12345);
        let mut chains = |n: usize, phi: f64, shifts: &[f64]| -> Vec<Vec<f64>> {
            shifts.iter().map(|&shift| walk.chain(n, phi, shift)).collect()
        };
        for (chains, expected) in [
            (
                chains(400, 0.0, &[0.0, 0.0]),
                [0.030803355425596236, 0.9747329547950622, 0.9986553777257744, 761.004329668748],
            ),
            (
                chains(401, 0.9, &[0.0]),
                [0.20364763158993338, 2.1663355047733255, 1.0273124186128944, 17.473937038441356],
            ),
            (
                chains(300, 0.5, &[0.0, 1.0, 0.0]),
                [0.32792066012851795, 1.270180394268394, 1.1322829913734735, 18.510931468033164],
            ),
            (
                chains(500, -0.6, &[0.0]),
                [-0.03918285123114774, 1.22943886320825, 1.0001051835768677, 1349.4850021680093],
            ),
        ] {
            let Quantity { mean, deviation, r_hat, effective_samples } = summarize(&chains);
            let got = [mean, deviation, r_hat.unwrap(), effective_samples.unwrap()];
            for (got, expected) in got.into_iter().zip(expected) {
                assert!((got - expected).abs() < 1e-9 * expected.abs(), "{got} for {expected}");
            }
        }
    }

    // Of n draws with correlation φ between neighbours, n (1 − φ) / (1 + φ) count. Over 20 runs the
    // mean is within 10 %, some 4 standard errors.
    #[test]
    fn effective_samples_of_correlated_draws_are_as_known() {
        let mut walk = Walk(7);
        for (phi, lowest) in [(0.0, 0.9), (0.5, 0.9), (0.8, 0.9)] {
            let n = 4000.0 * (1.0 - phi) / (1.0 + phi);
            let mut mean = 0.0;
            for _ in 0..20 {
                let chains = [walk.chain(2000, phi, 0.0), walk.chain(2000, phi, 0.0)];
                mean += summarize(&chains).effective_samples.unwrap() / 20.0;
            }
            assert!((lowest..1.1).contains(&(mean / n)), "{mean} for {n}");
        }
    }

    #[test]
    fn what_says_nothing_has_no_figures() {
        for chains in [vec![vec![1.0; 50]], vec![vec![1.0, 2.0, 3.0, 4.0, 5.0]], vec![vec![3.0]]] {
            let quantity = summarize(&chains);
            assert_eq!((quantity.r_hat, quantity.effective_samples), (None, None));
            assert!(quantity.mean.is_finite() && quantity.deviation.is_finite());
        }
    }
}
