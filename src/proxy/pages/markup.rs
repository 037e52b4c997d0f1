//! The frame of our own pages, and text that is no markup.

use std::fmt::{self, Write as _};

/// The one style.
pub(super) const STYLE: &str = include_str!("style.css");

/// A whole page; `head` and `main` are markup, `title` is text.
pub(super) fn document(title: &str, head: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n{head}<title>{}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<main>\n{main}\n</main>\n</body>\n</html>\n",
        Escaped(title)
    )
}

/// Text as it stands in elements and in quoted attributes.
#[derive(Debug)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
