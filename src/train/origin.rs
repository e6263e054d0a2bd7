//! Where a checkpoint comes from.

use crate::backend::Device;
use serde::{Deserialize, Serialize};

/// What a run must have in common with the one that wrote a checkpoint, beside the settings, to end at
/// the same bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The [`fingerprint`](super::fingerprint) of the ratings.
    pub ratings: String,
    /// What was said of what ratings count, in words; nothing where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighed_by: Option<String>,
    /// The version of this crate.
    #[serde(default)]
    pub version: String,
    /// The kind of device.
    #[serde(default)]
    pub backend: String,
    /// The device in words.
    #[serde(default)]
    pub device: String,
}

impl Origin {
    /// Ratings of this [`fingerprint`](super::fingerprint), on a device, by this version.
    pub fn new(fingerprint: impl Into<String>, device: &Device) -> Self {
        Origin {
            ratings: fingerprint.into(),
            weighed_by: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: device.backend.to_owned(),
            device: device.name.clone(),
        }
    }

    /// The same with what was [said](crate::data::DataFacts::weighed_by) of what ratings count.
    #[must_use]
    pub fn weighed(self, by: impl Into<String>) -> Self {
        Origin { weighed_by: Some(by.into()), ..self }
    }

    /// What, other than ratings, may give a run that goes on from here other bits than one of `other`
    /// that was never stopped, in words. Threads and vector width of a processor change none.
    pub fn difference(&self, other: &Origin) -> Option<String> {
        let said =
            |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
        if self.version != other.version {
            let (then, now) = (said(&self.version), said(&other.version));
            return Some(format!("wgmf was version {then} then and is {now} now"));
        }
        let one_kind = self.backend == other.backend && self.backend == "cpu";
        let same = (&self.backend, &self.device) == (&other.backend, &other.device);
        (!one_kind && !same).then(|| {
            let (then, now) = (said(&self.device), said(&other.device));
            format!("the device was {then} then and is {now} now")
        })
    }
}
