//! Rating data: ids, triples, reading, filtering, splitting, transforms, synthetic sets.

mod ids;
mod ratings;
mod side;
mod transform;

pub use ids::Ids;
pub use ratings::Ratings;
pub use side::Side;
pub use transform::Transform;

/// The index of a user or an item that the model does not know.
pub const UNKNOWN: u32 = u32::MAX;
