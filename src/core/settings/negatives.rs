//! What the pairs of a batch are held against, by losses made for ranking.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the pairs of a batch are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NegativesAs", into = "NegativesAs")]
pub enum Negatives {
    /// So many items, drawn with replacement for each batch and shared by its pairs.
    Pool(usize),
    /// The items of the batch's own pairs.
    Batch,
    /// Both: the batch's own items, and so many drawn for it (mixed negative sampling, Yang et al. 2020). Popular items, which
    /// nearly every batch pulls, are pushed in the same batch; rare ones are still pushed often enough.
    Mixed(usize),
    /// Every item.
    All,
}

/// As it stands in JSON: a number, or a word.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum NegativesAs {
    Number(usize),
    Word(String),
}

impl From<Negatives> for NegativesAs {
    fn from(negatives: Negatives) -> Self {
        match negatives {
            Negatives::Pool(count) => NegativesAs::Number(count),
            other => NegativesAs::Word(other.to_string()),
        }
    }
}

impl TryFrom<NegativesAs> for Negatives {
    type Error = Error;

    fn try_from(read: NegativesAs) -> Result<Self> {
        match read {
            NegativesAs::Number(count) => Ok(Negatives::Pool(count)),
            NegativesAs::Word(word) => word.parse(),
        }
    }
}

impl FromStr for Negatives {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "batch" => Ok(Negatives::Batch),
            "all" => Ok(Negatives::All),
            other => {
                let read = match other.strip_prefix("batch+") {
                    Some(number) => number.parse().map(Negatives::Mixed),
                    None => other.parse().map(Negatives::Pool),
                };
                read.map_err(|_| {
                    Error::settings(format!(
                        "`negatives` {other}: must be a number, batch, batch+ and a number, or all"
                    ))
                })
            }
        }
    }
}

impl fmt::Display for Negatives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Negatives::Pool(count) => write!(f, "{count}"),
            Negatives::Batch => f.write_str("batch"),
            Negatives::Mixed(count) => write!(f, "batch+{count}"),
            Negatives::All => f.write_str("all"),
        }
    }
}

impl Negatives {
    /// Draws of a batch of so many pairs of `items` items: of a pool, for a mixture with the batch's own.
    pub fn draws(self, pairs: usize, items: usize) -> usize {
        match self {
            Negatives::Pool(count) => count,
            Negatives::Batch => pairs,
            Negatives::Mixed(count) => count + pairs,
            Negatives::All => items,
        }
    }

    /// How many are drawn by chance.
    pub(in crate::core) fn drawn(self) -> Option<usize> {
        match self {
            Negatives::Pool(count) | Negatives::Mixed(count) => Some(count),
            Negatives::Batch | Negatives::All => None,
        }
    }
}
