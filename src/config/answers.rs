//! `redirect`, `status`, `respond`: answers that need no upstream.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};

use super::keys;
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers};
use super::site::{Keep, Redirect, Respond};

const REDIRECT_STATUSES: &[u16] = &[301, 302, 303, 307, 308];
const TEXT: &str = "text/plain; charset=utf-8";

/// Reads `redirect` and the `status` beside it.
pub(super) fn redirect(
    item: &Item<'_>,
    layers: &Layers<'_>,
    problems: &mut Problems,
) -> Option<Redirect> {
    let status = layers
        .get("status")
        .map(|item| redirect_status(&item, problems));
    let text = item.text("a URL or a path", problems)?;
    let Some(keep) = keep(text) else {
        problems.error(
            "bad-redirect",
            format!("`{text}` is neither a URL nor a path"),
            item.at(),
            "not a place to go",
            r#""https://host" keeps path and query, "https://host/path" and "/path" replace them"#,
        );
        return None;
    };
    let status = match status {
        Some(status) => status?,
        None => StatusCode::PERMANENT_REDIRECT,
    };
    Some(Redirect {
        to: text.into(),
        keep,
        status,
    })
}

fn keep(text: &str) -> Option<Keep> {
    if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return None;
    }
    if text.starts_with('/') {
        return Some(Keep::Nothing);
    }
    let (scheme, rest) = text.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let authority_end = rest.find(['/', '?', '#']);
    let uri: Uri = text.split('#').next()?.parse().ok()?;
    if !known || uri.host().is_none_or(str::is_empty) {
        return None;
    }
    Some(match authority_end {
        None => Keep::PathAndQuery,
        Some(_) => Keep::Nothing,
    })
}

fn redirect_status(item: &Item<'_>, problems: &mut Problems) -> Option<StatusCode> {
    let status = item
        .as_integer()
        .and_then(|integer| u16::try_from(integer).ok())
        .filter(|integer| REDIRECT_STATUSES.contains(integer))
        .and_then(|integer| StatusCode::from_u16(integer).ok());
    if status.is_none() {
        problems.error(
            "bad-status",
            "`status` takes 301, 302, 303, 307 or 308",
            item.at(),
            "not a redirect",
            "308 keeps the method and is permanent, 307 keeps it and is not; 301 and 302 let clients turn POST into GET",
        );
    }
    status
}

/// Reads `respond`.
pub(super) fn respond(item: &Item<'_>, problems: &mut Problems) -> Option<Arc<Respond>> {
    let table = item.table("a table: { status = 200, body = \"…\" }", problems)?;
    table.check_keys(&keys::RESPOND, problems);
    let status = match table.get("status") {
        Some(item) => final_status(&item, problems),
        None => Some(StatusCode::OK),
    };
    let body = match table.get("body") {
        Some(item) => item.text("a string", problems),
        None => Some(""),
    };
    let content_type = match table.get("type") {
        Some(item) => content_type(&item, problems),
        None => Some(HeaderValue::from_static(TEXT)),
    };
    let (status, body, content_type) = (status?, body?, content_type?);
    let bodiless = matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    if bodiless && !body.is_empty() {
        problems.push(
            Problem::error(
                "conflicting-keys",
                format!("an answer with status {} has no body", status.as_u16()),
            )
            .at(item.at(), "`body` would not be sent"),
        );
        return None;
    }
    Some(Arc::new(Respond {
        status,
        body: Bytes::copy_from_slice(body.as_bytes()),
        content_type,
    }))
}

fn final_status(item: &Item<'_>, problems: &mut Problems) -> Option<StatusCode> {
    let status = item.integer(&(200..=599), problems)?;
    StatusCode::from_u16(u16::try_from(status).ok()?).ok()
}

fn content_type(item: &Item<'_>, problems: &mut Problems) -> Option<HeaderValue> {
    let text = item.text("a media type", problems)?;
    let value = HeaderValue::from_str(text)
        .ok()
        .filter(|_| text.contains('/'));
    if value.is_none() {
        problems.push(
            Problem::error("bad-header", format!("`{text}` is no media type"))
                .at(item.at(), "not a media type")
                .help("for example \"text/html; charset=utf-8\" or \"application/json\""),
        );
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_origins_keep_path_and_query() {
        assert_eq!(keep("https://a.test"), Some(Keep::PathAndQuery));
        assert_eq!(keep("HTTP://a.test:8080"), Some(Keep::PathAndQuery));
        assert_eq!(keep("https://a.test/"), Some(Keep::Nothing));
        assert_eq!(keep("https://a.test/x?y#z"), Some(Keep::Nothing));
        assert_eq!(keep("/x"), Some(Keep::Nothing));
        for bad in [
            "",
            "x",
            "a.test",
            "ftp://a.test",
            "https://",
            "https://a b",
            "/ü",
        ] {
            assert_eq!(keep(bad), None, "{bad}");
        }
    }
}
