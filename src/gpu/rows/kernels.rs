//! The pipelines of a side's batches and of an objective's figures.

use super::bind::Stage;
use super::shape::{Block, Shape, delta_columns};
use crate::Result;
use crate::backend::RowTerms;
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Kernel, Sources};
use crate::gpu::shared::tiles::Team;

/// What a batch solves for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The block of this number.
    Block(usize),
    /// The change of whole rows that were solved exactly: one step of iterative refinement.
    Refine,
}

/// Pipelines for blocks of one shape.
pub struct BlockKernels {
    pub shape: Shape,
    pub gram: Kernel,
    pub join: Kernel,
    pub solve: Kernel,
}

/// Where weights of ratings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// All weigh 1.
    Equal,
    /// Each has its own.
    Own,
    /// A partner's ratings weigh the same.
    Partners,
    /// Each has its own, times that of its partner's ratings.
    Both,
}

/// What is asked of the pipelines beside the terms of the objective.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub weights: Weights,
    /// Whether some rows are refined.
    pub refines: bool,
    /// Whether rows are drawn, and no sums are wanted for an objective.
    pub draws: bool,
    /// Whether ratings are levels of a latent value.
    pub latent: bool,
}

/// The pipelines of a side's batches.
pub struct Kernels {
    /// One of each shape of block.
    pub blocks: Vec<BlockKernels>,
    /// For the change of whole rows, where some are refined.
    pub refine: Option<BlockKernels>,
    /// The Gram matrix of a side, where pairs without a rating count.
    pub whole: Option<(Kernel, Kernel)>,
    /// The remainders of the factors as they are, kept where a solve starts from them.
    pub remainder: Kernel,
    /// Their update after a block.
    pub update: Option<Kernel>,
    /// What is drawn in their place, where ratings are levels.
    pub latent: Option<Kernel>,
}

/// Lanes of a segment in `remainder` and `latent`.
pub const REMAINDER_LANES: usize = 16;

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Weights {
    fn own(self) -> bool {
        matches!(self, Weights::Own | Weights::Both)
    }

    fn of_partners(self) -> bool {
        matches!(self, Weights::Partners | Weights::Both)
    }
}

impl Kernels {
    pub async fn new(
        device: &Device,
        sources: &Sources,
        team: Team,
        terms: &RowTerms,
        blocks: &[Block],
        wanted: Wanted,
    ) -> Result<Self> {
        let make = async |name, source: &str, constants: &[(&str, f64)]| {
            Kernel::new(device, name, source, constants).await
        };
        let width = ("WIDTH", team.width as f64);
        let full = Shape {
            coordinates: blocks.iter().map(|b| b.shape.coordinates).sum(),
            bias: blocks.iter().any(|b| b.shape.bias),
        };
        let several = blocks.len() > 1;
        let step = blocks.first().map_or(1, |block| block.shape.coordinates);
        let aligned = !several || step.is_multiple_of(4);
        let unobserved = ("UNOBSERVED", flag(terms.unobserved_weight > 0.0));
        let gram = async |shape: Shape, weights: Weights, remainders: bool, aligned: bool| {
            let signed = weights == Weights::Own && terms.confidence.is_signed();
            gram(device, sources, team, shape, (weights, signed), (remainders, aligned)).await
        };
        let join = async |shape: Shape| {
            make("join", &sources.join, &[("SIZE", shape.matrix_columns() as f64)]).await
        };
        let solve = async |shape: Shape, change: bool| {
            let coordinates = ("COORDINATES", shape.coordinates as f64);
            let target = ("TARGET", shape.target() as f64);
            let tiles = ("TILES", shape.tiles() as f64);
            if terms.nonnegative {
                let constants = [coordinates, target, tiles, width, unobserved];
                return make("nonnegative", &sources.nonnegative, &constants).await;
            }
            let team = shape.cholesky();
            let constants = [
                coordinates,
                ("BIAS", flag(shape.bias)),
                target,
                tiles,
                ("LANES", team.lanes as f64),
                ("RESIDENT", flag(team.resident)),
                ("STORE", team.store as f64),
                width,
                unobserved,
                ("BLOCK", flag(change)),
                ("DELTAS", if several { delta_columns(blocks) as f64 } else { 0.0 }),
                ("DRAW", flag(wanted.draws)),
                ("ROW_BIAS", flag(full.bias)),
                ("FACTORS", full.coordinates as f64),
                ("PRIOR", full.target() as f64),
            ];
            make("cholesky", &sources.cholesky, &constants).await
        };
        let kernels = async |shape: Shape, change: bool| -> Result<BlockKernels> {
            Ok(BlockKernels {
                shape,
                gram: gram(shape, wanted.weights, change || wanted.latent, aligned).await?,
                join: join(shape).await?,
                solve: solve(shape, change).await?,
            })
        };
        let mut shapes: Vec<BlockKernels> = Vec::new();
        for block in blocks {
            if shapes.iter().all(|known| known.shape != block.shape) {
                shapes.push(kernels(block.shape, several).await?);
            }
        }
        let refine = match blocks {
            [all] if wanted.refines => Some(kernels(all.shape, true).await?),
            _ => None,
        };
        let whole = if terms.unobserved_weight > 0.0 {
            let full = Shape { bias: false, ..full };
            Some((gram(full, Weights::Equal, false, true).await?, join(full).await?))
        } else {
            None
        };
        let remainder = async |columns: usize, keep: bool, update: bool| {
            let constants = [
                width,
                ("COLUMNS", columns as f64),
                ("LANES", REMAINDER_LANES as f64),
                ("ALIGNED", flag(!update || aligned)),
                ("WEIGHTED", flag(wanted.weights.own())),
                ("SIGNED", flag(terms.confidence.is_signed())),
                ("KEEP", flag(keep)),
                ("UPDATE", flag(update)),
            ];
            make("remainder", &sources.remainder, &constants).await
        };
        let update = match several {
            true => Some(remainder(delta_columns(blocks), false, true).await?),
            false => None,
        };
        let lanes = ("LANES", REMAINDER_LANES as f64);
        let latent = [width, lanes, ("CHANGE", flag(several))];
        let latent = match wanted.latent {
            true => Some(make("latent", &sources.latent, &latent).await?),
            false => None,
        };
        Ok(Self {
            blocks: shapes,
            remainder: remainder(team.width, several || refine.is_some(), false).await?,
            refine,
            whole,
            update,
            latent,
        })
    }

    /// The pipeline of a stage.
    pub fn stage(&self, stage: Stage, blocks: &[Block]) -> Option<&Kernel> {
        let of = |turn: Turn| self.of(turn, blocks);
        match stage {
            Stage::Gram(turn) => of(turn).map(|kernels| &kernels.gram),
            Stage::Join(turn) => of(turn).map(|kernels| &kernels.join),
            Stage::Solve(turn) => of(turn).map(|kernels| &kernels.solve),
            Stage::Remainder => Some(&self.remainder),
            Stage::Update => self.update.as_ref(),
            Stage::Latent => self.latent.as_ref(),
        }
    }

    /// The pipelines of a turn.
    pub fn of(&self, turn: Turn, blocks: &[Block]) -> Option<&BlockKernels> {
        match turn {
            Turn::Block(number) => {
                let shape = blocks.get(number)?.shape;
                self.blocks.iter().find(|known| known.shape == shape)
            }
            Turn::Refine => self.refine.as_ref(),
        }
    }
}

/// The pipeline that sums the normal equations of `shape`: `signed` says whether weights may lie below 0, `remainders` says whether from kept
/// remainders, `aligned` whether blocks begin at whole vec4s.
pub async fn gram(
    device: &Device,
    sources: &Sources,
    team: Team,
    shape: Shape,
    (weights, signed): (Weights, bool),
    (remainders, aligned): (bool, bool),
) -> Result<Kernel> {
    let lanes = shape.gram();
    let constants = [
        ("WIDTH", team.width as f64),
        ("COORDINATES", shape.coordinates as f64),
        ("BIAS", flag(shape.bias)),
        ("TARGET", shape.target() as f64),
        ("ACROSS", shape.across() as f64),
        ("TILES", shape.tiles() as f64),
        ("LANES", lanes.lanes as f64),
        ("GROUPS", lanes.groups as f64),
        ("STAGED", lanes.staged as f64),
        ("ALIGNED", flag(aligned)),
        ("WEIGHTED", flag(weights.own())),
        ("PARTNERS", flag(weights.of_partners())),
        ("SIGNED", flag(signed)),
        ("REMAINDERS", flag(remainders)),
    ];
    Kernel::new(device, "gram", &sources.gram, &constants).await
}

/// Pipelines of an objective's figures.
pub struct Figures {
    pub penalty: Kernel,
    pub error: Kernel,
    pub reduce: Kernel,
}

impl Figures {
    pub async fn new(device: &Device, sources: &Sources, team: Team) -> Result<Self> {
        let width = ("WIDTH", team.width as f64);
        let make = async |name, source: &str, constants: &[(&str, f64)]| {
            Kernel::new(device, name, source, constants).await
        };
        Ok(Self {
            penalty: make("penalty", &sources.penalty, &[width]).await?,
            error: make("error", &sources.error, &[width, ("LOGISTIC", 0.0)]).await?,
            reduce: make("reduce", &sources.reduce, &[]).await?,
        })
    }
}
