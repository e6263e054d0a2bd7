//! The names that people give to the columns of rating files.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The user's id.
    User,
    /// The item's id.
    Item,
    /// The rating.
    Rating,
    /// When it was given.
    Time,
}

impl Role {
    /// All of them, in the order of a file without header.
    pub(crate) const ALL: [Role; 4] = [Role::User, Role::Item, Role::Rating, Role::Time];

    /// The word for messages.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Item => "item",
            Role::Rating => "rating",
            Role::Time => "timestamp",
        }
    }

    /// Normalised names, the surest first: where a file has several, the first in this list wins.
    fn known(self) -> &'static [&'static str] {
        match self {
            Role::User => &[
                "userid",
                "user",
                "uid",
                "useridx",
                "userindex",
                "users",
                "customerid",
                "customer",
                "custid",
                "cust",
                "reviewerid",
                "listenerid",
                "listener",
                "memberid",
                "member",
                "visitorid",
                "sessionid",
                "profileid",
                "accountid",
                "playerid",
                "personid",
                "person",
                "clientid",
                "client",
                "buyerid",
                "readerid",
                "reader",
                "viewerid",
                "viewer",
                "subscriberid",
                "steamid",
                "msno",
                "username",
                "login",
                "u",
            ],
            Role::Item => &[
                "itemid",
                "item",
                "iid",
                "itemidx",
                "itemindex",
                "items",
                "movieid",
                "movie",
                "filmid",
                "film",
                "artistid",
                "artist",
                "trackid",
                "songid",
                "asin",
                "parentasin",
                "isbn",
                "bookid",
                "book",
                "productid",
                "product",
                "businessid",
                "gameid",
                "game",
                "appid",
                "animeid",
                "anime",
                "recipeid",
                "jokeid",
                "joke",
                "articleid",
                "article",
                "newsid",
                "videoid",
                "video",
                "showid",
                "show",
                "albumid",
                "album",
                "beerid",
                "beer",
                "restaurantid",
                "placeid",
                "poiid",
                "locationid",
                "venueid",
                "adid",
                "sku",
                "stockcode",
                "goodsid",
                "listingid",
                "hotelid",
                "courseid",
                "episodeid",
                "podcastid",
                "song",
                "track",
                "title",
                "movietitle",
                "booktitle",
                "artistname",
                "trackname",
                "itemname",
                "productname",
                "i",
            ],
            Role::Rating => &[
                "rating",
                "ratings",
                "score",
                "overall",
                "stars",
                "star",
                "weight",
                "plays",
                "playcount",
                "playscount",
                "listens",
                "listencount",
                "listeningcount",
                "count",
                "counts",
                "value",
                "bookrating",
                "movierating",
                "userrating",
                "rate",
                "minutes",
                "hours",
                "playtime",
                "playtimeforever",
                "hoursplayed",
                "seconds",
                "strength",
                "preference",
                "interactions",
                "interaction",
                "views",
                "clicks",
                "quantity",
                "reviewoverall",
                "isread",
                "target",
                "label",
                "r",
            ],
            Role::Time => &[
                "timestamp",
                "unixtime",
                "unixtimestamp",
                "unixreviewtime",
                "ts",
                "time",
                "timestamps",
                "epoch",
                "ratingtimestamp",
                "ratedat",
                "createdat",
                "datetime",
                "date",
                "eventtime",
                "reviewtime",
                "t",
            ],
        }
    }

    /// Whether a column of this name has this role.
    pub(super) fn knows(self, name: &str) -> bool {
        self.known().contains(&&*normalised(name))
    }

    /// The column of `header` that has a known name of this role.
    pub(crate) fn find(self, header: &[String]) -> Option<usize> {
        let names: Vec<String> = header.iter().map(|name| normalised(name)).collect();
        self.known().iter().find_map(|known| names.iter().position(|name| name == known))
    }
}

/// A column name without what people vary: case, `_`, `-`, `.` and blanks.
pub(super) fn normalised(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ':' | '#'));
    letters.filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}
