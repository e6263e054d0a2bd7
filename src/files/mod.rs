//! Files that appear whole or not at all: single outputs, directories, tensors.

mod output;
pub mod temporary;
pub(crate) mod tensors;
pub(crate) mod whole;

pub(crate) use output::{Folders, check_free};
pub use output::{Output, Sink};
pub(crate) use tensors::{AGAIN, Tensor, TensorFile};
pub(crate) use whole::{Kind, write_file};
