//! `errors`: a site's own pages for replies of our own.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::enclosed::{Enclosed, Flaw};
use super::problems::Problems;
use super::reader::{Item, Layers};

/// One entry of `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    pub of: Statuses,
    pub page: Arc<Page>,
}

/// Which statuses a page is for; an exact one beats its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    Exactly(StatusCode),
    /// `"5xx"`: the first digit.
    Class(u8),
}

/// HTML, split at its placeholders. Empty only if the text of the configuration stands alone, and the page is elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub pieces: Box<[PagePiece]>,
}

/// A part of a [`Page`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagePiece {
    Text(Bytes),
    /// `{status}`: `502`
    Status,
    /// `{reason}`: `Bad Gateway`
    Reason,
    /// `{code}`: `upstream-refused`
    Code,
    /// `{request_id}`
    RequestId,
}

/// The octets of one page.
const PAGE_BYTES_MAX: usize = 1 << 20;
const PLACEHOLDERS: &[(&str, PagePiece)] = &[
    ("{status}", PagePiece::Status),
    ("{reason}", PagePiece::Reason),
    ("{code}", PagePiece::Code),
    ("{request_id}", PagePiece::RequestId),
];
const ERRORS_FORM: &str = r#"a table of files: { "502" = "down.html", "5xx" = "sorry.html" }"#;

impl Statuses {
    /// Whether a page is for `status`.
    #[must_use]
    pub fn has(self, status: StatusCode) -> bool {
        match self {
            Self::Exactly(of) => of == status,
            Self::Class(digit) => status.as_u16() / 100 == u16::from(digit),
        }
    }
}

/// The most exact page for a status.
#[must_use]
pub fn page_for(pages: &[ErrorPage], status: StatusCode) -> Option<&Arc<Page>> {
    let fitting = pages.iter().filter(|page| page.of.has(status));
    fitting
        .min_by_key(|page| matches!(page.of, Statuses::Class(_)))
        .map(|page| &page.page)
}

/// Reads `errors` in every layer; what an inner one says of a status wins, and `false` drops what the outer ones say.
pub(super) fn errors(
    layers: &Layers<'_>,
    enclosed: &mut Enclosed<'_>,
    problems: &mut Problems,
) -> Arc<[ErrorPage]> {
    let mut pages: Vec<ErrorPage> = Vec::new();
    for item in layers.outer_first().filter_map(|table| table.get("errors")) {
        if item.as_flag() == Some(false) {
            pages.clear();
            continue;
        }
        let Some(table) = item.table(ERRORS_FORM, problems) else {
            continue;
        };
        for item in table.in_order() {
            let of = statuses(&item, problems);
            let page = enclosed.page(&item, problems);
            if let (Some(of), Some(page)) = (of, page) {
                pages.retain(|other| other.of != of);
                pages.push(ErrorPage { of, page });
            }
        }
    }
    pages.into()
}

fn statuses(item: &Item<'_>, problems: &mut Problems) -> Option<Statuses> {
    let statuses = match item.key {
        "4xx" | "4XX" => Some(Statuses::Class(4)),
        "5xx" | "5XX" => Some(Statuses::Class(5)),
        key => key
            .parse::<u16>()
            .ok()
            .filter(|status| (400..=599).contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .map(Statuses::Exactly),
    };
    if statuses.is_none() {
        problems.error(
            "bad-status",
            format!("`{}` is no status of an error", item.key),
            item.key_at,
            "not from 400 to 599",
            r#"statuses look like "502", and "5xx" or "4xx" for all others of their kind"#,
        );
    }
    statuses
}

/// Splits a page at its placeholders.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Page, Flaw> {
    let flaw = |why: &str| Flaw {
        code: "bad-page",
        message: format!("{} {why}", path.display()),
        label: "this is a page",
        help: None,
    };
    if content.len() > PAGE_BYTES_MAX {
        return Err(flaw("has more than 1 MiB"));
    }
    let text = std::str::from_utf8(content).map_err(|_why| flaw("is not UTF-8"))?;
    if text.trim().is_empty() {
        return Err(flaw("is empty"));
    }
    let whole = Bytes::copy_from_slice(content);
    let mut pieces = Vec::new();
    let mut begin = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find('{') {
        at += open;
        let placeholder = PLACEHOLDERS
            .iter()
            .find(|(word, _)| text[at..].starts_with(word));
        let Some((word, piece)) = placeholder else {
            at += 1;
            continue;
        };
        if begin < at {
            pieces.push(PagePiece::Text(whole.slice(begin..at)));
        }
        pieces.push(piece.clone());
        at += word.len();
        begin = at;
    }
    if begin < text.len() {
        pieces.push(PagePiece::Text(whole.slice(begin..)));
    }
    Ok(Page {
        pieces: pieces.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_split_at_its_placeholders_and_nowhere_else() {
        let page = parse(
            Path::new("x.html"),
            b"<style>p{margin:0}</style>{status} {reason}{code}: {request_id}.{statuses}",
        );
        let text = |text: &'static str| PagePiece::Text(Bytes::from_static(text.as_bytes()));
        let expected = [
            text("<style>p{margin:0}</style>"),
            PagePiece::Status,
            text(" "),
            PagePiece::Reason,
            PagePiece::Code,
            text(": "),
            PagePiece::RequestId,
            text(".{statuses}"),
        ];
        assert_eq!(page.unwrap().pieces.as_ref(), expected);
    }

    #[test]
    fn the_most_exact_page_wins() {
        let page = |of, text: &str| ErrorPage {
            of,
            page: Arc::new(parse(Path::new("x"), text.as_bytes()).unwrap()),
        };
        let exactly = Statuses::Exactly(StatusCode::BAD_GATEWAY);
        let pages = [page(Statuses::Class(5), "all"), page(exactly, "one")];
        let found = |status| page_for(&pages, status).map(|page| page.pieces.clone());
        assert_eq!(
            found(StatusCode::BAD_GATEWAY),
            Some(pages[1].page.pieces.clone())
        );
        assert_eq!(
            found(StatusCode::GATEWAY_TIMEOUT),
            Some(pages[0].page.pieces.clone())
        );
        assert_eq!(found(StatusCode::NOT_FOUND), None);
    }
}
