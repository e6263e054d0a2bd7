//! Ratings of any value, trained by every solver after any transform: what comes out is finite, or refused.

use super::{Target, cpu, head, model, taken};
use wgmf::core::{Likelihood, Loss, Options, Solver, TransformKind};
use wgmf::data::Duplicates;
use wgmf::{Dataset, Fit};

pub const TARGET: Target =
    Target { name: "ratings", run: ratings, seeds, head: HEAD, words: &[], share: 60 };

const HEAD: usize = 6;

/// A user, an item and the bits of a value.
const ROW: usize = 6;

pub fn ratings(data: &[u8]) {
    let (head, body) = head::<HEAD>(data);
    let rows = || body.chunks_exact(ROW).take(200);
    let users: Vec<u8> = rows().map(|row| row[0] % 16).collect();
    let items: Vec<u8> = rows().map(|row| row[1] % 16).collect();
    let value = |row: &[u8]| f32::from_le_bytes([row[2], row[3], row[4], row[5]]);
    let values: Vec<f32> = rows().map(value).collect();
    let policy = if head[4] & 4 != 0 { Duplicates::Sum } else { Duplicates::Mean };
    let dataset = Dataset::from_triples_merged(&users, &items, &values, policy);
    let Ok(dataset) = dataset else { return };
    let transforms: &[TransformKind] = match head[1] % 8 {
        1 => &[TransformKind::Log1p],
        2 => &[TransformKind::ZScore],
        3 => &[TransformKind::MinMax],
        4 => &[TransformKind::Binary],
        5 => &[TransformKind::Log1p, TransformKind::ZScore],
        6 => &[TransformKind::ZScore, TransformKind::MinMax],
        7 => &[TransformKind::MinMax, TransformKind::Log1p],
        _ => &[],
    };
    let dataset = dataset.transformed(transforms);
    let solver =
        [Solver::Als, Solver::Sgd, Solver::Bayes, Solver::Ials, Solver::Adam, Solver::Adagrad];
    let solver = solver[usize::from(head[0]) % solver.len()];
    let mut options = Options::of(solver).factors(usize::from(head[2] % 4));
    if solver == Solver::Bayes {
        options = options.samples(2).burn_in(1);
        options.likelihood =
            [None, Some(Likelihood::Ordinal), Some(Likelihood::Probit)][usize::from(head[3] % 3)];
    } else {
        options = options.epochs(2);
    }
    if head[3] & 0x80 != 0 {
        options.loss = Some(Loss::Logistic);
    }
    options.clip = head[4] & 1 != 0;
    options.nonnegative = head[4] & 2 != 0;
    if head[5] & 1 != 0 {
        options.reg = Some([0.0, 1e-30, 0.1, 1e30][usize::from(head[5] >> 1) % 4]);
    }
    let (training, test) = match dataset.split(0.2, 1) {
        Ok((training, test)) => (training, Some(test)),
        Err(_) => (dataset, None),
    };
    let mut fit = Fit::new(&training, &options, cpu());
    if let Some(test) = test.as_ref().filter(|_| head[4] & 8 != 0) {
        fit = fit.test(test);
    }
    let Ok(trained) = fit.run() else { return };
    taken();
    for record in &trained.model().run.history {
        super::finite(
            "a record of an epoch",
            record.train_error.into_iter().chain(record.test_error),
        );
    }
    let (model, samples, seen) = trained.into_parts();
    model::uses(model, samples, seen);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let scales: [fn(u32) -> f32; 6] = [
        |j| (j % 5 + 1) as f32,
        |j| (j * j * j) as f32,
        |j| if j % 3 == 0 { f32::MAX } else { f32::MIN / (1 + j) as f32 },
        |j| f32::MIN_POSITIVE * (j + 1) as f32,
        |j| (j % 2) as f32,
        |j| 1e30 + 1e24 * j as f32,
    ];
    for scale in scales {
        for solver in 0..6 {
            for transform in 0..8 {
                let mut seed = vec![solver, transform, 2, 0, 8, 0];
                for j in 0..40_u32 {
                    seed.extend([(j % 7) as u8, (j / 7) as u8]);
                    seed.extend(scale(j).to_le_bytes());
                }
                seeds.push(seed);
            }
        }
    }
    seeds
}
