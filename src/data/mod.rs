//! Rating data: reading, filtering, splitting, synthetic sets.

#[cfg(feature = "files")]
mod alike;
#[cfg(feature = "files")]
mod choice;
#[cfg(feature = "parquet")]
mod columnar;
#[cfg(feature = "files")]
mod columns;
#[cfg(feature = "files")]
mod copy;
mod dataset;
#[cfg(feature = "files")]
mod doubtful;
mod duplicates;
#[cfg(feature = "files")]
mod encoding;
#[cfg(feature = "files")]
mod fields;
#[cfg(feature = "files")]
mod form;
#[cfg(feature = "files")]
mod formats;
#[cfg(feature = "files")]
mod guess;
#[cfg(feature = "files")]
mod id_list;
#[cfg(feature = "files")]
mod inspect;
#[cfg(feature = "files")]
mod json;
#[cfg(feature = "files")]
mod lane;
#[cfg(feature = "files")]
mod layout;
#[cfg(feature = "files")]
mod lines;
#[cfg(feature = "files")]
mod market;
#[cfg(feature = "files")]
mod names;
#[cfg(feature = "files")]
mod notes;
#[cfg(feature = "files")]
mod options;
mod order;
mod overlap;
#[cfg(feature = "files")]
mod pairs;
#[cfg(feature = "files")]
mod parse;
#[cfg(feature = "files")]
mod prepare;
mod prepared;
#[cfg(feature = "files")]
mod quoted;
#[cfg(feature = "files")]
mod read;
#[cfg(feature = "files")]
mod reading;
#[cfg(feature = "files")]
mod set;
#[cfg(feature = "files")]
mod source;
#[cfg(feature = "files")]
mod split;
#[cfg(feature = "files")]
pub mod synth;
#[cfg(feature = "files")]
mod text_table;
#[cfg(feature = "files")]
mod times;
#[cfg(feature = "files")]
mod titles;
mod triples;
mod weigh;

#[cfg(feature = "files")]
pub use columns::columns_of;
pub use dataset::Dataset;
pub use duplicates::Duplicates;
#[cfg(feature = "files")]
pub use encoding::Encoding;
#[cfg(feature = "files")]
pub use form::{Doubt, FileForm};
#[cfg(feature = "files")]
pub use id_list::IdList;
#[cfg(feature = "files")]
pub use inspect::{Counts, Inspection, Remark, Repeats, Row, Share, Times, Values};
#[cfg(feature = "files")]
pub use options::{BadRows, Decimal, Delimiter, Format, Header, Quotes, ReadOptions};
pub use order::Order;
#[cfg(feature = "files")]
pub use prepare::{DataOptions, align, prepare};
pub use prepared::{DataFacts, Prepared};
#[cfg(feature = "files")]
pub use read::{Table, read, read_pairs};
#[cfg(feature = "files")]
pub use reading::Reading;
#[cfg(feature = "files")]
pub use set::files;
#[cfg(feature = "files")]
pub use split::{SplitFacts, SplitOptions, SplitPart, split};
#[cfg(feature = "files")]
pub use titles::{Titles, TitlesOptions};
#[cfg(feature = "files")]
pub use weigh::weights_by_age;
// For `predict`, which streams pairs of any number past the model.
#[cfg(feature = "files")]
pub(crate) use pairs::pairs;

/// Whether this thread decodes a file of Parquet or Arrow, whose decoder may panic if it is damaged. The panic is
/// caught and becomes an error: a panic hook may stay silent.
pub fn is_decoding() -> bool {
    #[cfg(feature = "parquet")]
    return columnar::is_decoding();
    #[cfg(not(feature = "parquet"))]
    false
}
