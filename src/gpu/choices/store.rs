//! What lies on the device: pipelines, parameters, and what a batch's kernels leave for one another.

use super::plan::Cuts;
use crate::backend::{ChoiceProblem, ChoiceTerms, State, Terms};
use crate::core::{Loss, Optimizer, Score, Side};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Kernel, Sources};
use crate::gpu::shared::model::{Biases, SideBuffers};
use crate::gpu::shared::params::Touched;
use crate::gpu::shared::tiles::Team;
use crate::{Error, Result};

/// Sums of losses of a submission: as many pairs of numbers as `reduce` has workgroups.
pub(super) const RESULTS: usize = 64;

/// Pairs of a submission, after which it is closed.
pub const SUBMIT_PAIRS: usize = 1 << 20;

/// The pipelines; of two, the first is for users.
pub(super) struct Kernels {
    pub prepare: [Kernel; 2],
    pub pair_score: Kernel,
    /// Of losses with panels.
    pub dense: Option<Dense>,
    /// Of losses that pick.
    pub pick: Option<Kernel>,
    pub pairs: Kernel,
    pub pair_gradient: [Kernel; 2],
    pub project: [Kernel; 2],
    pub step: [Kernel; 2],
    pub reduce: Kernel,
}

/// The pipelines of panels.
pub(super) struct Dense {
    pub contrast: Kernel,
    pub mask: Kernel,
    pub normalizer: Kernel,
    pub user_gradient: Kernel,
    pub item_gradient: Kernel,
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

impl Kernels {
    pub async fn new(
        device: &Device,
        sources: &Sources,
        team: Team,
        terms: &Terms,
        choice: &ChoiceTerms,
    ) -> Result<Self> {
        let make = async |name, source: &str, constants: &[(&str, f64)]| {
            Kernel::new(device, name, source, constants).await
        };
        let width = ("WIDTH", team.width as f64);
        let row = [width, ("LANES", team.lanes as f64), ("COLUMNS", team.columns as f64)];
        let bias = ("BIAS", flag(terms.bias));
        let ccl = ("CCL", flag(terms.loss == Loss::Ccl));
        let is_dense = terms.loss.is_dense();
        let geometry = [
            ("COSINE", flag(choice.score == Score::Cosine)),
            ("DROPOUT", flag(choice.dropout_scale != 1.0)),
        ];
        let loss = match terms.loss {
            Loss::Ccl => 1.0,
            Loss::Bpr => 2.0,
            Loss::Warp => 3.0,
            _ => 0.0,
        };
        let optimizer = match terms.optimizer {
            Optimizer::Sgd if terms.moments() == 0 => 0.0,
            Optimizer::Sgd => 1.0,
            Optimizer::Adagrad => 2.0,
            Optimizer::Adam => 3.0,
        };
        let prepare = async |bias: f64| {
            let constants = [&row[..], &geometry, &[("BIAS", bias)]].concat();
            make("prepare", &sources.prepare, &constants).await
        };
        let pair_gradient = async |picks: f64| {
            let picks = if is_dense { 0.0 } else { picks };
            let constants = [&row[..], &[("PICKS", picks)]].concat();
            make("pair_gradient", &sources.pair_gradient, &constants).await
        };
        let project = async |picks: bool| {
            let own = [("DENSE", flag(is_dense)), ("PICKS", flag(picks))];
            make("project", &sources.project, &[&row[..], &geometry, &own].concat()).await
        };
        let step = async |bias: f64| {
            let constants = [width, ("BIAS", bias), ("OPTIMIZER", optimizer)];
            make("step", &sources.step, &constants).await
        };
        let dense = async || {
            let softmax = ("SOFTMAX", flag(terms.loss == Loss::Softmax));
            Ok::<_, Error>(Dense {
                contrast: make("contrast", &sources.contrast, &[width, softmax]).await?,
                mask: make("mask", &sources.mask, &[]).await?,
                normalizer: make("normalizer", &sources.normalizer, &[ccl]).await?,
                user_gradient: make("user_gradient", &sources.user_gradient, &[width, ccl]).await?,
                item_gradient: make("item_gradient", &sources.item_gradient, &[width, ccl, bias])
                    .await?,
            })
        };
        let warp = ("WARP", flag(terms.loss == Loss::Warp));
        let pairs = [
            ("LOSS", loss),
            ("OWN", flag(choice.own)),
            ("CUT", flag(choice.inverse_cut.is_some())),
        ];
        Ok(Self {
            prepare: [prepare(0.0).await?, prepare(bias.1).await?],
            pair_score: make("pair_score", &sources.pair_score, &[width]).await?,
            pick: match is_dense {
                true => None,
                false => Some(make("pick", &sources.pick, &[width, warp]).await?),
            },
            dense: if is_dense { Some(dense().await?) } else { None },
            pairs: make("pairs", &sources.pairs, &pairs).await?,
            pair_gradient: [pair_gradient(1.0).await?, pair_gradient(2.0).await?],
            project: [project(false).await?, project(!is_dense).await?],
            step: [step(0.0).await?, step(bias.1).await?],
            reduce: make("reduce", &sources.reduce, &[]).await?,
        })
    }
}

/// What a batch's kernels leave of a side's slots; a buffer for each tile of slots.
pub(super) struct SlotBuffers {
    pub prepared: Vec<wgpu::Buffer>,
    pub parts: Vec<wgpu::Buffer>,
    pub gradients: Vec<wgpu::Buffer>,
    pub touched: Vec<wgpu::Buffer>,
    pub sums: Vec<wgpu::Buffer>,
}

/// Parameters, and what batches leave.
pub(super) struct Store {
    pub sides: [SideBuffers; 2],
    pub biases: Biases,
    pub slots: [SlotBuffers; 2],
    /// A panel's.
    pub scores: wgpu::Buffer,
    /// (users of a batch): what normalizer.wgsl and pairs.wgsl leave.
    pub stats: wgpu::Buffer,
    pub pair_scores: wgpu::Buffer,
    pub picks: wgpu::Buffer,
    pub picked: wgpu::Buffer,
    pub place_weights: wgpu::Buffer,
    /// (pairs of a submission): slope and loss.
    pub sums: wgpu::Buffer,
    /// How many pairs fit there.
    pub sums_len: usize,
    /// Sums of losses.
    pub results: wgpu::Buffer,
    pub unused: [wgpu::Buffer; 3],
}

impl Store {
    pub fn new(device: &Device, plan: &Cuts, problem: &ChoiceProblem) -> Result<Self> {
        let State { factors, .. } = &problem.start;
        let side = |side: Side| {
            let tiles = &plan.tiles[side.index()];
            SideBuffers::new(device, side, tiles, &[], plan.team, &problem.start)
        };
        let slots = |side: usize| {
            let (tiles, parts) = (plan.slots[side], plan.parts[side] as u64 + 1);
            let make = |label: &str, bytes: u64| -> Vec<wgpu::Buffer> {
                let rows = tiles.rows_per_tile as u64;
                (0..tiles.len()).map(|_| device.storage(label, rows * bytes)).collect()
            };
            let row = plan.slot_bytes() as u64;
            SlotBuffers {
                prepared: make("rows of a batch", row),
                parts: make("parts of gradients", row * parts),
                gradients: make("gradients", plan.team.row_bytes() as u64),
                touched: make("touched rows", size_of::<Touched>() as u64),
                sums: make("bias gradients", 8),
            }
        };
        let pairs = problem.most.pairs.max(1);
        let sums_len = (plan.limits.binding / 8).min(SUBMIT_PAIRS.max(pairs));
        let of_pairs = |label: &str, bytes: u64| {
            device.storage(label, pairs.next_multiple_of(4) as u64 * bytes)
        };
        let biases = Biases::new(device, &problem.start, plan.limits)?;
        let store = Self {
            sides: [side(Side::User), side(Side::Item)],
            biases,
            slots: [slots(0), slots(1)],
            scores: device.storage("scores", plan.scores() as u64 * 4),
            stats: device.storage("stats of users", plan.slots[0].rows as u64 * 16),
            pair_scores: of_pairs("scores of pairs", 4),
            picks: of_pairs("picks", 4),
            picked: of_pairs("picked", 16),
            place_weights: device.upload("weights of places", &problem.choice.place_weights),
            sums: device.storage("sums", sums_len as u64 * 8),
            sums_len,
            results: device.storage("results", RESULTS as u64 * 8),
            unused: std::array::from_fn(|_| device.storage("unused", 0)),
        };
        device.check().map_err(|error| {
            let row = factors.factors as f64 * 4.0 * (1 + problem.terms.moments()) as f64;
            Error::device(format!(
                "{error} (embeddings of {} users and {} items × {} with their moments need {:.1} GB; a \
                 batch of {} pairs against {} items {:.1} GB)",
                problem.users,
                problem.items,
                factors.factors,
                (problem.users + problem.items) as f64 * row / 1e9,
                pairs,
                problem.most.pool,
                plan.bytes() as f64 / 1e9,
            ))
        })?;
        Ok(store)
    }
}
