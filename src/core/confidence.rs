//! How much a listed pair counts in ials.

use serde::{Deserialize, Serialize};

/// What a listed pair weighs in `ials`, and what the others do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// 1, or alpha times its value, beside the unobserved weight of every pair (Rendle et al. 2021).
    #[default]
    Rendle,
    /// alpha times its value, where an unlisted pair weighs 1; values below 0 are dislikes, which weigh as
    /// much for 0 (Hu, Koren and Volinsky 2008, as implicit has it).
    Hu,
}

impl Confidence {
    /// As the command line and `run.json` have it.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Rendle => "rendle",
            Confidence::Hu => "hu",
        }
    }

    /// Whether weights of pairs, less what every pair weighs, may lie below 0.
    pub fn is_signed(self) -> bool {
        self == Confidence::Hu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_record() {
        for confidence in [Confidence::Rendle, Confidence::Hu] {
            assert_eq!(serde_json::to_value(confidence).unwrap(), confidence.name());
        }
    }
}
