//! What memory there is, and what of it something needs: known before it is taken, so that work that cannot
//! fit is refused at once, and allocations that fail all the same are errors.
//!
//! Who lays something out says beside the layout how many bytes that is; whoever is about to do it asks
//! [`ensure`]. Nothing here knows what a rating is.

mod limit;
mod room;
mod vectors;

pub use limit::{Limit, limit, set_limit, size};
pub use room::{Bound, Room};
pub use vectors::is_asking;
pub(crate) use vectors::{filled, reserve, with_room, zeroed};

use crate::{ErrorKind, Result};

/// Makes sure that this process may take `more` bytes beside what it has. Where the system does not say, or
/// nobody is to ask ([`Limit::Nothing`]), it may.
///
/// # Errors
/// It may not: what `refusal` makes of the room that there is, with a word on how to ask for another bound.
pub fn ensure(more: u64, refusal: impl FnOnce(&Room) -> String) -> Result<()> {
    let room = Room::now();
    match room.left.is_some_and(|left| more > left) {
        true => Err(refused(&refusal(&room), &room)),
        false => Ok(()),
    }
}

/// The error of what does not fit.
pub(crate) fn refused(message: &str, room: &Room) -> crate::Error {
    let bound = match room.bound {
        Bound::Asked => "`memory_limit` allows no more".to_owned(),
        bound => format!("{}; `memory_limit` sets another bound", bound.describe()),
    };
    ErrorKind::Memory(format!("{message} ({bound})")).into()
}
