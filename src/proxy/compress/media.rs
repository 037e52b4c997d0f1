//! Which media types become smaller.

/// The type without its parameters.
pub(super) fn essence(content_type: &[u8]) -> &[u8] {
    let end = content_type.iter().position(|octet| *octet == b';');
    content_type[..end.unwrap_or(content_type.len())].trim_ascii()
}

/// Whether content of a type is worth encoding; parameters do not matter.
pub(super) fn is_compressible(content_type: &[u8]) -> bool {
    let kind = essence(content_type);
    if starts(kind, NEVER) {
        return false;
    }
    starts(kind, b"text/")
        || SUFFIXES.iter().any(|suffix| ends(kind, suffix))
        || KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// Messages with lengths of their own, which carry their own compression (gRPC, gRPC-Web).
const NEVER: &[u8] = b"application/grpc";

/// Structured syntaxes that are text (RFC 6839 and its heirs).
const SUFFIXES: [&[u8]; 4] = [b"+json", b"+xml", b"+yaml", b"+json-seq"];

const KINDS: [&[u8]; 30] = [
    b"application/json",
    b"application/javascript",
    b"application/x-javascript",
    b"application/ecmascript",
    b"application/xml",
    b"application/xml-dtd",
    b"application/wasm",
    b"application/json-seq",
    b"application/jsonl",
    b"application/x-ndjson",
    b"application/x-jsonlines",
    b"application/yaml",
    b"application/x-yaml",
    b"application/toml",
    b"application/graphql",
    b"application/sql",
    b"application/rtf",
    b"application/postscript",
    b"application/x-sh",
    b"application/x-tar",
    b"application/vnd.ms-fontobject",
    b"application/x-font-ttf",
    b"application/x-font-opentype",
    b"font/ttf",
    b"font/otf",
    b"font/sfnt",
    b"font/collection",
    b"image/bmp",
    b"image/x-icon",
    b"image/vnd.microsoft.icon",
];

fn starts(kind: &[u8], head: &[u8]) -> bool {
    kind.get(..head.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(head))
}

fn ends(kind: &[u8], tail: &[u8]) -> bool {
    let start = kind.len().checked_sub(tail.len());
    start.is_some_and(|start| kind[start..].eq_ignore_ascii_case(tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kinds: &[&str], expected: bool) {
        for kind in kinds {
            assert_eq!(is_compressible(kind.as_bytes()), expected, "{kind}");
        }
    }

    #[test]
    fn text_and_its_like_are_worth_encoding() {
        check(
            &[
                "text/html",
                "Text/HTML ; charset=utf-8",
                "text/event-stream",
                "application/json",
                "application/JSON;charset=utf-8",
                "application/ld+json",
                "application/vnd.api+JSON",
                "image/svg+xml",
                "application/wasm",
                "font/ttf",
            ],
            true,
        );
    }

    #[test]
    fn what_is_small_already_is_not() {
        check(
            &[
                "",
                ";",
                "image/png",
                "font/woff2",
                "video/mp4",
                "application/zip",
                "application/octet-stream",
                "application/grpc",
                "application/grpc+json",
                "application/grpc-web+json",
                "application/jsonx",
                "+jso",
                "textual/html",
            ],
            false,
        );
    }
}
