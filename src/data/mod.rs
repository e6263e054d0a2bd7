//! Rating data: reading, filtering, splitting, synthetic sets.

mod dataset;
mod duplicates;
mod fields;
mod id_list;
mod lane;
mod layout;
mod lines;
mod names;
mod options;
mod parse;
mod prepare;
mod quoted;
mod read;
mod source;
mod split;
pub mod synth;
mod text_table;
mod titles;

pub use dataset::Dataset;
pub use duplicates::Duplicates;
pub use id_list::IdList;
pub use options::{Delimiter, Format, Header, ReadOptions};
pub use prepare::{DataFacts, DataOptions, Prepared, align, prepare};
pub use read::{Table, read};
pub use split::{SplitFacts, SplitOptions, SplitPart, split};
pub use titles::{Titles, TitlesOptions};
// For `predict`, which streams pairs of any number past the model.
pub(crate) use fields::all as cut_fields;
pub(crate) use layout::Layout;
pub(crate) use source::Source;
