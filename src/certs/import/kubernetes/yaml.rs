//! Objects of Kubernetes in YAML, as `kubectl get -o yaml` prints them and as people keep them in files.

use serde_json::Value;

/// How deep lists and maps may lie in each other.
const DEPTH_MAX: usize = 64;
/// Maps, lists and scalars of one file: a secret has some thirty.
const NODES_MAX: usize = 250_000;
/// Documents of one file.
const DOCUMENTS_MAX: usize = 10_000;
/// Parts that stand for others: no tool writes them, and a few of them make little text into much.
const ALIASES_MAX: usize = 0;

/// Whether it is to be read as YAML: it is called so, and speaks of what may be of use.
pub(super) fn is_yaml(path: &str, bytes: &[u8]) -> bool {
    let has = |word: &str| {
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    (path.ends_with(".yaml") || path.ends_with(".yml"))
        && has("apiVersion")
        && (has("tls.crt") || has("Issuer"))
}

/// Every document of a file, or why there is none, in words that follow on a path. The words show nothing of the file, for there are keys
/// in it.
pub(super) fn documents(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let text = str::from_utf8(bytes).map_err(|_other| "is no UTF-8: left out".to_owned())?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: ALIASES_MAX,
            max_depth: DEPTH_MAX,
            max_documents: DOCUMENTS_MAX,
            max_events: 3 * NODES_MAX,
            max_nodes: NODES_MAX,
        },
        // Else an unquoted `y` is no text.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map(|location| location.line());
        let place = line.map(|line| format!(" from line {line} on")).unwrap_or_default();
        format!(
            "cannot be read as YAML{place}: left out; `kubectl get secret -o json` may write it otherwise"
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn all_documents_of_a_file_are_read() {
        let read = documents(b"# c\n---\na: 1\n---\n---\nb: [x, 'y']\n...\n").unwrap();
        assert_eq!(read, [json!({"a": 1}), json!({"b": ["x", "y"]})]);
    }

    #[test]
    fn what_is_too_much_or_refers_to_itself_is_refused_with_its_line() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n";
        let deep = format!("a: {}", "[".repeat(DEPTH_MAX + 1));
        let many = "---\na\n".repeat(DOCUMENTS_MAX + 1);
        let wide = format!("a: [{}]", "x,".repeat(NODES_MAX + 1));
        for bad in [
            bomb,
            &deep,
            &many,
            &wide,
            "a: [",
            "a: 'secret",
            "a: {{ .Values.x }}",
        ] {
            let refused = documents(bad.as_bytes()).unwrap_err();
            assert!(refused.contains("left out"), "{refused}");
            assert!(!refused.contains("secret\n"), "{refused}");
        }
        assert!(documents(bomb.as_bytes()).unwrap_err().contains("line 2"));
        assert!(documents(b"\xff").is_err());
    }

    #[test]
    fn only_what_may_be_of_use_is_read() {
        assert!(is_yaml("a.yaml", b"apiVersion: v1\ndata:\n  tls.crt: x"));
        assert!(is_yaml("a.yml", b"kind: Issuer\napiVersion: x"));
        assert!(!is_yaml("a.yml", b"services: {}"));
        assert!(!is_yaml("a.json", b"apiVersion tls.crt"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[ab:{}\\[\\]&*!|>'\"#\n \t-]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(documents(text.as_bytes()));
            drop(documents(&bytes));
        }
    }
}
