//! Lines of a user and his items, split: each part has a line for every user that has items there.

use super::super::Table;
use super::super::options::Delimiter;
use crate::files::Part;
use crate::{Error, Result};
use std::io::Write;
use std::ops::Range;

/// Writes the rows of one input; a user stands in a part as often as lines of his have items there.
pub(super) fn write(
    table: &Table,
    choice: &[u8],
    rows: Range<usize>,
    delimiter: Delimiter,
    pairs: &mut [(Part, Part)],
) -> Result<()> {
    let between = match delimiter {
        Delimiter::Byte(byte) => char::from(byte).to_string(),
        Delimiter::DoubleColon => "::".to_owned(),
        Delimiter::Blanks => " ".to_owned(),
    };
    let splits = |id: &str| match delimiter {
        Delimiter::Blanks => id.contains(char::is_whitespace),
        _ => id.contains(&between) || id.contains('"') || id.contains('\n'),
    };
    let ratings = &table.ratings;
    let mut next = rows.start;
    while next < rows.end {
        let line = table.origin(next).1;
        let same = |row: &usize| *row < rows.end && table.origin(*row).1 == line;
        let end = (next..).take_while(same).last().map_or(next + 1, |last| last + 1);
        let user = table.users.name(ratings.users[next]);
        for (fold, (train, test)) in pairs.iter_mut().enumerate() {
            for (part, is_test) in [(train, false), (test, true)] {
                let mut text = String::new();
                let here = |row: &usize| (usize::from(choice[*row]) == fold) == is_test;
                for row in (next..end).filter(here) {
                    let item = table.items.name(ratings.items[row]);
                    if let Some(id) = [user, item].into_iter().find(|id| splits(id)) {
                        let (file, line) = table.origin(row);
                        let message = format!(
                            "id \"{id}\" cannot be written in lines that \"{between}\" separates; \
                             split a file with one rating a line"
                        );
                        return Err(Error::line(file, line, message));
                    }
                    if text.is_empty() {
                        text.push_str(user);
                    }
                    text.push_str(&between);
                    text.push_str(item);
                }
                if !text.is_empty() {
                    text.push('\n');
                    part.write(|out| out.write_all(text.as_bytes()))?;
                }
            }
        }
        next = end;
    }
    Ok(())
}
