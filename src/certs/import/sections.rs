//! PEM text taken apart: its certificates and its first key, each as it was written. Nothing is decoded.

/// Parts of a PEM text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sections {
    /// All certificates, in their order.
    pub(super) certificates: String,
    /// The first key.
    pub(super) key: String,
    pub(super) key_is_encrypted: bool,
}

impl Sections {
    /// A section that is not ended goes to the end of the text, so that whoever decodes it sees the damage.
    pub(super) fn of(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut found = Self::default();
        let mut open = None;
        for line in text.lines() {
            let line = line.trim();
            if open.is_none() {
                open = label(line, "-----BEGIN ").map(|label| found.kind(label));
            }
            let Some(kind) = open else { continue };
            found.take(kind, line);
            if label(line, "-----END ").is_some() {
                open = None;
            }
        }
        found
    }

    fn kind(&self, label: &str) -> Kind {
        match label {
            "CERTIFICATE" => Kind::Certificate,
            _ if label.ends_with("PRIVATE KEY") && self.key.is_empty() => Kind::Key,
            _ => Kind::Other,
        }
    }

    fn take(&mut self, kind: Kind, line: &str) {
        let part = match kind {
            Kind::Certificate => &mut self.certificates,
            Kind::Key => &mut self.key,
            Kind::Other => return,
        };
        part.push_str(line);
        part.push('\n');
        if kind == Kind::Key
            && (line.starts_with("Proc-Type: 4,ENCRYPTED") || line.contains("BEGIN ENCRYPTED"))
        {
            self.key_is_encrypted = true;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificate,
    Key,
    Other,
}

fn label<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    line.strip_prefix(marker)?.strip_suffix("-----")
}
