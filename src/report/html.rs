//! Text that becomes part of the page.

use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Adds formatted text to a string, which cannot fail.
macro_rules! push {
    ($to:expr, $($words:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($to, $($words)*);
    }};
}
pub(super) use push;

/// Text of a user's, such as an id, in which no character is markup.
pub(super) struct Text<T>(pub T);

impl<T: AsRef<str>> Display for Text<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for part in self.0.as_ref().split_inclusive(['<', '>', '&', '"', '\'']) {
            let end = part.char_indices().last().unwrap_or((0, ' '));
            let escape = match end.1 {
                '<' => "&lt;",
                '>' => "&gt;",
                '&' => "&amp;",
                '"' => "&quot;",
                '\'' => "&#39;",
                _ => {
                    f.write_str(part)?;
                    continue;
                }
            };
            f.write_str(&part[..end.0])?;
            f.write_str(escape)?;
        }
        Ok(())
    }
}

/// A value as JSON that may stand in a `<script>`: none of its text ends that.
pub(super) fn script_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_text_is_markup() {
        for (text, shown) in [
            ("", ""),
            ("plain é 漢", "plain é 漢"),
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("a & \"b\"", "a &amp; &quot;b&quot;"),
            ("&&", "&amp;&amp;"),
        ] {
            assert_eq!(Text(text).to_string(), shown);
        }
        assert_eq!(script_json(&"</script>").unwrap(), "\"\\u003c/script>\"");
    }
}
