//! Rating data: ids, triples, reading, filtering, splitting, transforms, synthetic sets.

mod fields;
mod ids;
mod lane;
mod layout;
mod lines;
mod names;
mod options;
mod parse;
mod quoted;
mod ratings;
mod read;
mod source;
mod transform;

pub use ids::Ids;
pub use options::{Delimiter, Format, Header, ReadOptions};
pub use ratings::Ratings;
pub use read::{Table, read};
pub use transform::Transform;

// For `model`, which streams pairs of any number past the model.
pub(crate) use fields::all as cut_fields;
pub(crate) use layout::Layout;
pub(crate) use source::Source;

/// The index of a user or an item that the model does not know.
pub const UNKNOWN: u32 = u32::MAX;
