//! Factors from NumPy files, to start from.

use crate::core::{Factors, SideFactors};
use crate::{Error, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

impl Factors {
    /// Reads `user_factors.npy` (users, k), `item_factors.npy` (items, k) and, where they are,
    /// `user_bias.npy` (users) and `item_bias.npy` (items): f32 or f64, rows in order of first
    /// appearance. The global mean is 0.
    ///
    /// # Errors
    /// A file that is missing or no such array, shapes that do not suit, numbers that are not
    /// finite.
    pub fn read_npy(dir: &Path, users: usize, items: usize) -> Result<Factors> {
        let user_factors = dir.join("user_factors.npy");
        let (shape, user_values) = read(&user_factors)?;
        let &[_, factors] = shape.as_slice() else {
            return Err(wrong(&user_factors, &shape, "(users, factors)"));
        };
        let matrix = |path: &Path, values: (Vec<usize>, Vec<f32>), rows: usize| {
            if values.0 == [rows, factors] {
                Ok(values.1)
            } else {
                Err(wrong(path, &values.0, &format!("({rows}, {factors})")))
            }
        };
        let bias = |name: &str, rows: usize| {
            let path = dir.join(name);
            if !path.exists() {
                return Ok(vec![0.0; rows]);
            }
            let (shape, values) = read(&path)?;
            match shape == [rows] {
                true => Ok(values),
                false => Err(wrong(&path, &shape, &format!("({rows})"))),
            }
        };
        let item_factors = dir.join("item_factors.npy");
        Ok(Factors {
            factors,
            sides: [
                SideFactors {
                    factors: matrix(&user_factors, (shape, user_values), users)?,
                    bias: bias("user_bias.npy", users)?,
                },
                SideFactors {
                    factors: matrix(&item_factors, read(&item_factors)?, items)?,
                    bias: bias("item_bias.npy", items)?,
                },
            ],
            global_mean: 0.0,
        })
    }
}

fn wrong(path: &Path, shape: &[usize], want: &str) -> Error {
    let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
    let message = format!(
        "has shape ({}), the data need {want}: one row an id, in order of first appearance",
        shape.join(", ")
    );
    Error::file(path, message)
}

fn read(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    let open = || File::open(path).map(BufReader::new).map_err(|e| Error::io(path, e));
    let broken = |e: std::io::Error| Error::file(path, format!("is not a NumPy array: {e}"));
    let file = npyz::NpyFile::new(open()?).map_err(broken)?;
    let shape: Vec<usize> = file.shape().iter().map(|&n| n as usize).collect();
    if file.order() != npyz::Order::C {
        return Err(Error::file(path, "is in Fortran order; save it with numpy.ascontiguousarray"));
    }
    let values: Vec<f32> = match file.try_data::<f32>() {
        Ok(data) => data.collect::<Result<_, _>>().map_err(broken)?,
        Err(file) => match file.try_data::<f64>() {
            Ok(data) => {
                data.map(|x| x.map(|x| x as f32)).collect::<Result<_, _>>().map_err(broken)?
            }
            Err(_) => return Err(Error::file(path, "holds neither f32 nor f64")),
        },
    };
    if let Some(at) = values.iter().position(|x| !x.is_finite()) {
        let row = at / shape.get(1).copied().unwrap_or(1).max(1);
        return Err(Error::file(path, format!("row {row} has a number that is not finite")));
    }
    Ok((shape, values))
}
