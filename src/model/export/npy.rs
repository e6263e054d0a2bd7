//! NumPy arrays: `user_factors.npy` (users, k), `item_factors.npy` (items, k), `user_bias.npy`,
//! `item_bias.npy`, `global_mean.npy` (1), all float32 in C order, with `users.csv`, `items.csv`.

use super::write_ids;
use crate::Result;
use crate::core::Side;
use crate::files::write_file;
use crate::model::Model;
use npyz::WriterBuilder;
use std::io::Write;
use std::path::Path;

pub(super) const FILES: &[&str] = &[
    "global_mean.npy",
    "item_bias.npy",
    "item_factors.npy",
    "items.csv",
    "user_bias.npy",
    "user_factors.npy",
    "users.csv",
];

pub(super) fn write(model: &Model, dir: &Path) -> Result<()> {
    let f = &model.factors;
    let (users, items, k) = (f.users() as u64, f.items() as u64, f.factors as u64);
    array(&dir.join("user_factors.npy"), &[users, k], &f[Side::User].factors)?;
    array(&dir.join("item_factors.npy"), &[items, k], &f[Side::Item].factors)?;
    array(&dir.join("user_bias.npy"), &[users], &f[Side::User].bias)?;
    array(&dir.join("item_bias.npy"), &[items], &f[Side::Item].bias)?;
    array(&dir.join("global_mean.npy"), &[1], &[f.global_mean])?;
    write_ids(model, dir)
}

fn array(path: &Path, shape: &[u64], data: &[f32]) -> Result<()> {
    write_file(path, |out| {
        let header = npyz::WriteOptions::<f32>::new().default_dtype().shape(shape);
        header.writer(&mut *out).write_header_only()?;
        out.write_all(bytemuck::cast_slice(data))
    })
}
