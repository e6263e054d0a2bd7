//! `factors.safetensors`, the tensors of the model directory, with `users.csv`, `items.csv`.

use super::write_ids;
use crate::Result;
use crate::model::Model;
use crate::model::directory::write_factors;
use std::path::Path;

pub(super) const FILES: &[&str] = &["factors.safetensors", "items.csv", "users.csv"];

pub(super) fn write(model: &Model, dir: &Path) -> Result<()> {
    write_factors(&dir.join("factors.safetensors"), &model.factors, &Default::default())?;
    write_ids(model, dir)
}
