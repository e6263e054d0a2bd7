//! Rating data: ids, triples, reading, filtering, splitting, transforms, synthetic sets.

mod duplicates;
mod fields;
mod id_list;
mod ids;
mod lane;
mod layout;
mod lines;
mod names;
mod options;
mod output;
mod parse;
mod prepare;
mod quoted;
mod ratings;
mod read;
mod side;
mod source;
mod split;
pub mod synth;
mod text_table;
mod titles;
mod transform;

pub use duplicates::Duplicates;
pub use id_list::IdList;
pub use ids::Ids;
pub use options::{Delimiter, Format, Header, ReadOptions};
pub use output::{Output, Sink};
pub use prepare::{DataFacts, DataOptions, Prepared, align, prepare};
pub use ratings::Ratings;
pub use read::{Table, read};
pub use side::Side;
pub use split::{SplitFacts, SplitOptions, SplitPart, split};
pub use titles::{Titles, TitlesOptions};
pub use transform::{Step, Transform, TransformKind};
// For `model`, which streams pairs of any number past the model.
pub(crate) use fields::all as cut_fields;
pub(crate) use layout::Layout;
pub(crate) use output::Folders;
pub(crate) use source::Source;

/// The index of a user or an item that the model does not know.
pub const UNKNOWN: u32 = u32::MAX;
