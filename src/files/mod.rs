//! Files and directories that appear whole or not at all: single outputs, directories, tensors.

pub(crate) mod added;
mod beside;
pub(crate) mod digest;
#[doc(hidden)]
pub mod disk;
mod form;
mod journal;
mod output;
mod space;
pub mod stop;
#[cfg(feature = "parquet")]
pub(crate) mod table;
mod temporary;
pub(crate) mod tensors;
pub(crate) mod whole;

pub(crate) use beside::recover;
pub(crate) use disk::remove_file;
pub use form::TableForm;
pub(crate) use journal::Journal;
pub(crate) use output::check_free;
pub use output::{Output, Sink};
pub use space::{ensure_room, free_at};
#[cfg(feature = "parquet")]
pub use table::{Cell, Cells, TableWriter};
pub use temporary::in_the_making;
pub(crate) use tensors::{AGAIN, Tensor, TensorFile};
pub use whole::Reserved;
pub(crate) use whole::{Kind, Part, write_file};
