//! Vectors that are made where there is memory for them, and an error where there is none.

use super::{Bound, Room, refused, size};
use crate::{Error, Result};
use bytemuck::Zeroable;
use std::cell::Cell;

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread takes no for an answer: an allocation that fails now is an error of the library.
/// An allocator that ends the process where memory is lacking asks first.
pub fn is_asking() -> bool {
    // A thread that is at its end has no such word any more, and nobody who listens.
    ASKING.try_with(Cell::get).unwrap_or(false)
}

/// Does `work`, which asks for memory that there may not be.
fn asking<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ASKING.set(self.0);
        }
    }
    let _before = Before(ASKING.replace(true));
    work()
}

/// The error of memory that there is none of: `what` is what it was for.
fn lacking(bytes: u128, what: &str) -> Error {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let room = Room::now();
    // Where more is left than was asked for, it lies in pieces, or the system counts in another way.
    let there = match room.left.filter(|&left| left < bytes) {
        Some(left) => format!("and {} are left", size(left)),
        None => "and the system has none".to_owned(),
    };
    match room.left {
        Some(_) if room.bound != Bound::Asked => {
            refused(&format!("{what}: {} more are needed, {there}", size(bytes)), &room)
        }
        _ => crate::ErrorKind::Memory(format!("{what}: {} more are needed, {there}", size(bytes)))
            .into(),
    }
}

/// Bytes of so many values.
fn bytes_of<T>(count: usize) -> u128 {
    count as u128 * size_of::<T>() as u128
}

/// A vector of `count` zeros, for `what`.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn zeroed<T: Zeroable>(count: usize, what: &str) -> Result<Vec<T>> {
    asking(|| bytemuck::allocation::try_zeroed_vec(count))
        .map_err(|()| lacking(bytes_of::<T>(count), what))
}

/// A vector of `count` of the same.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn filled<T: Clone>(value: T, count: usize, what: &str) -> Result<Vec<T>> {
    let mut vector = with_room(count, what)?;
    vector.resize(count, value);
    Ok(vector)
}

/// An empty vector with room for `count`.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn with_room<T>(count: usize, what: &str) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    match asking(|| vector.try_reserve_exact(count)) {
        Ok(()) => Ok(vector),
        Err(_) => Err(lacking(bytes_of::<T>(count), what)),
    }
}

/// Room for `count` more, as `Vec::reserve` makes it.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn reserve<T>(vector: &mut Vec<T>, count: usize, what: &str) -> Result<()> {
    match asking(|| vector.try_reserve(count)) {
        Ok(()) => Ok(()),
        Err(_) => Err(lacking(bytes_of::<T>(count), what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn what_there_is_no_memory_for_is_an_error() {
        for count in [1 << 58, usize::MAX] {
            let errors = [
                zeroed::<f32>(count, "factors").err(),
                filled(1_u32, count, "factors").err(),
                with_room::<f64>(count, "factors").err(),
                reserve(&mut vec![1_u8], usize::MAX, "factors").err(),
            ];
            for error in errors {
                let error = error.expect("nobody has as much");
                assert!(matches!(error.kind(), ErrorKind::Memory(_)), "{error}");
                assert!(error.to_string().starts_with("factors: "), "{error}");
            }
        }
        assert!(!is_asking());
        assert_eq!(zeroed::<f32>(3, "").unwrap(), [0.0; 3]);
        assert_eq!(filled(7, 2, "").unwrap(), [7, 7]);
        let room: Vec<u64> = with_room(5, "").unwrap();
        assert_eq!(room.capacity(), 5);
        assert!(asking(is_asking));
    }
}
