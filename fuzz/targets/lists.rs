//! Lists of ids, tables of ids, and files of titles.

use super::{Target, head, home, taken, write};
use wgmf::core::{Ids, Side};
use wgmf::data::{IdList, Titles, TitlesOptions};

pub const TARGET: Target =
    Target { name: "lists", run: lists, seeds, head: HEAD, words: &WORDS, share: 120 };

const HEAD: usize = 4;

const WORDS: [&str; 28] = [
    "\"",
    "\"\"",
    ",",
    "::",
    ";",
    "|",
    "\t",
    " ",
    "\r",
    "\r\n",
    "\n",
    "\n\n",
    "\0",
    "\u{feff}",
    "item\n",
    "item,title\n",
    "movieId,title,genres\n",
    "id\tname\n",
    "alpha",
    "the b",
    "c, d",
    "7",
    "Café",
    "#",
    "\u{85}",
    "\u{1f3b5}",
    "index,id,ratings\n",
    "0",
];

/// What a model knows.
const KNOWN: [&str; 8] = ["alpha", "the b", "c, d", "7", "10", "Café", "e;f", "line\nend"];

pub fn lists(data: &[u8]) {
    let (head, body) = head::<HEAD>(data);
    let known: Ids = KNOWN.into_iter().map(str::to_owned).collect();
    let home = home();
    let path = write(home.path().join("list.txt"), body);
    let side = if head[0] & 1 == 0 { Side::Item } else { Side::User };
    if let Ok(list) = IdList::read(&path, &known, side) {
        taken();
        assert!(list.rows.len() <= known.len());
        assert!(list.rows.iter().all(|&row| (row as usize) < known.len()));
        assert_eq!(list.len(), list.rows.len() + list.unknown.len());
    }
    let text = String::from_utf8_lossy(body);
    let parts = text.split('\n').take(8);
    assert!(IdList::of_texts(parts, &known).rows.len() <= known.len());
    let delimiters = ["", "comma", "tab", "::", "|", "space"];
    let columns = ["", "1,2", "2,1", "id,title", "item,name", "0,0", "9,1", ","];
    let titles = TitlesOptions {
        titles_delimiter: delimiters[usize::from(head[1]) % delimiters.len()].parse().ok(),
        titles_columns: Some(columns[usize::from(head[2]) % columns.len()])
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
    };
    if let Ok(titles) = Titles::read(&path, &titles, &known, side) {
        assert!((1..=known.len()).contains(&titles.named()));
        let rows = 0..known.len() as u32;
        assert!(rows.filter(|&row| !titles.title(row).is_empty()).count() == titles.named());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 9] = [
        b"alpha\nthe b\n7\n",
        b"item\nalpha\n\"c, d\"\nnew\n",
        b"movieId,title,genres\n7,\"Say \"\"x\"\" (1999)\",Drama\n10,Other,None\n",
        b"7::Say x (1999)::Drama\n10::Other::None\n",
        b"7|Say x|01-Jan-1995||http://x|0|1\n10|Caf\xe9|01-Jan-1995||http://y|0|0\n",
        b"id\tname\turl\n7\tSeven\tx\n10\tTen\ty\n",
        b"index,id,ratings\n0,alpha,3\n1,\"line\nend\",2\n",
        b"alpha\r\nthe b\r\n\r\n",
        b"user,item,rating\nann,alpha,3\nbob,7,2\n",
    ];
    texts.into_iter().map(|text| [&[0; HEAD], text].concat()).collect()
}
