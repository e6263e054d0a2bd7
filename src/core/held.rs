//! Values that are borrowed for a while, or shared for as long as anyone needs them.

use std::ops::Deref;
use std::sync::Arc;

/// A borrowed value, or one that is shared: what holds it lives as long as it needs, and with
/// [`Arc`]s alone has no lifetime (`Held<'static, T>`), as a server wants it.
///
/// ```
/// use std::sync::Arc;
/// use wgmf::core::Held;
///
/// fn held<'a>(number: impl Into<Held<'a, i32>>) -> Held<'a, i32> {
///     number.into()
/// }
/// assert_eq!(*held(&7), 7);
/// let shared: Held<'static, i32> = held(Arc::new(7));
/// assert_eq!(*shared.clone(), 7);
/// ```
#[derive(Debug)]
pub enum Held<'a, T> {
    /// Of somebody who stays.
    Borrowed(&'a T),
    /// Of everyone who holds it.
    Shared(Arc<T>),
}

impl<T> Clone for Held<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Held::Borrowed(value) => Held::Borrowed(value),
            Held::Shared(value) => Held::Shared(value.clone()),
        }
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Held::Borrowed(value) => value,
            Held::Shared(value) => value,
        }
    }
}

impl<'a, T> From<&'a T> for Held<'a, T> {
    fn from(value: &'a T) -> Self {
        Held::Borrowed(value)
    }
}

impl<T> From<Arc<T>> for Held<'_, T> {
    fn from(value: Arc<T>) -> Self {
        Held::Shared(value)
    }
}

impl<T> From<T> for Held<'_, T> {
    fn from(value: T) -> Self {
        Held::Shared(Arc::new(value))
    }
}
