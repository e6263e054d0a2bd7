//! Users and items.

/// One of the two sides of a rating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Users: `p`, `b`.
    User,
    /// Items: `q`, `c`.
    Item,
}

impl Side {
    /// Users, then items.
    pub const BOTH: [Side; 2] = [Side::User, Side::Item];

    /// The other side.
    pub fn partner(self) -> Side {
        match self {
            Side::User => Side::Item,
            Side::Item => Side::User,
        }
    }

    /// Where the side stands in arrays of both: users 0, items 1.
    pub fn index(self) -> usize {
        match self {
            Side::User => 0,
            Side::Item => 1,
        }
    }

    /// What is of this side and what is of the other, users' first; and the other way round.
    pub fn users_first<T>(self, own: T, partner: T) -> (T, T) {
        match self {
            Side::User => (own, partner),
            Side::Item => (partner, own),
        }
    }

    /// `user` or `item`.
    pub fn name(self) -> &'static str {
        match self {
            Side::User => "user",
            Side::Item => "item",
        }
    }
}
