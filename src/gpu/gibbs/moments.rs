//! Sums over the rows of a side, by the kernel that sums normal equations: all rows are the ratings
//! of one row, whose values are once zeros and once the rows' popularity.

use crate::Result;
use crate::backend::Moments;
use crate::core::{Side, SideRatings};
use crate::gpu::rows::bind::Binder;
use crate::gpu::rows::kernels::{Weights, gram};
use crate::gpu::rows::shape::{Shape, place_of};
use crate::gpu::rows::store::{Walked, listed};
use crate::gpu::rows::tiles::Cut;
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel, Sources, dispatch};

/// The pipelines, which both sides share.
pub struct MomentKernels {
    shape: Shape,
    pair: (Kernel, Kernel),
}

impl MomentKernels {
    /// For rows of so many factors, each with a bias, be it learned or zero.
    pub async fn new(
        device: &Device,
        sources: &Sources,
        team: crate::gpu::shared::tiles::Team,
        factors: usize,
    ) -> Result<Self> {
        let shape = Shape { coordinates: factors, bias: true };
        let size = [("SIZE", shape.matrix_columns() as f64)];
        let gram =
            gram(device, sources, team, shape, (Weights::Equal, false), (false, true)).await?;
        let join = Kernel::new(device, "join", &sources.join, &size).await?;
        Ok(Self { shape, pair: (gram, join) })
    }
}

/// A side's sums.
pub struct SideMoments {
    rows: usize,
    /// `Σ ζ²`.
    squares: f64,
    runs: Vec<Run>,
}

/// With the values that a run has.
struct Run {
    matrices: wgpu::Buffer,
    grams: Vec<Dispatch>,
    joins: Vec<Dispatch>,
}

impl SideMoments {
    /// `popularity` is that of the rows, the row of unknown ids left out.
    pub fn new(
        binder: &Binder,
        kernels: &MomentKernels,
        side: Side,
        popularity: &[f32],
        unused: &wgpu::Buffer,
    ) -> Result<Self> {
        let rows = popularity.len();
        let shape = kernels.shape;
        let cut = Cut::whole(shape, binder.model.tiles[side.index()], binder.limits)?;
        let run = |values: Vec<f32>| -> Result<Run> {
            let ratings = SideRatings { values, ..listed(rows) };
            let walked = Walked::new(binder.device, &cut, &ratings, |_| 0.0, |_| false)?;
            let bytes = walked.plan.slots.max(1) * shape.matrix_bytes();
            let matrices = binder.device.storage("moments", bytes as u64);
            let [grams, joins] =
                binder.whole(side, &walked, shape, &kernels.pair, (&matrices, unused));
            Ok(Run { matrices, grams, joins })
        };
        Ok(Self {
            rows,
            squares: popularity.iter().map(|&x| f64::from(x).powi(2)).sum(),
            runs: vec![run(vec![0.0; rows])?, run(popularity.to_vec())?],
        })
    }

    /// Sums over the rows as they are.
    pub async fn read(&self, device: &Device, kernels: &MomentKernels) -> Result<Moments> {
        let MomentKernels { shape, pair: (gram, join) } = kernels;
        let mut encoder = device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for run in &self.runs {
                dispatch(&mut pass, gram, &run.grams);
                dispatch(&mut pass, join, &run.joins);
            }
        }
        device.submit(encoder);
        let mut sums = Vec::new();
        for run in &self.runs {
            sums.push(device.read::<f32>(&run.matrices, 0, shape.matrix_columns() * 4).await?);
        }
        let [plain, popular] = &sums[..] else { return Ok(Moments::default()) };
        // The last row's numbers are `0 − b` and `ζ − b`.
        let (k, target) = (shape.coordinates, shape.target());
        let at = |sums: &[f32], row, column| f64::from(sums[place_of(row, column)]);
        let wide = k + 1;
        let mut moments = Moments {
            rows: self.rows,
            sum: (0..k).map(|j| at(plain, k, j)).collect(),
            products: vec![0.0; wide * wide],
            popular: (0..k).map(|j| at(popular, target, j) - at(plain, target, j)).collect(),
        };
        let squares = at(plain, target, target);
        moments.sum.push(-at(plain, target, k));
        moments.popular.push(0.5 * (self.squares + squares - at(popular, target, target)));
        for row in 0..wide {
            for column in 0..=row {
                let value = match (row == k, column == k) {
                    (true, true) => squares,
                    (true, false) => -at(plain, target, column),
                    _ => at(plain, row, column),
                };
                moments.products[row * wide + column] = value;
                moments.products[column * wide + row] = value;
            }
        }
        Ok(moments)
    }
}
