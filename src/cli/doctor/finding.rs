//! What the doctor says of one thing.

use serde::Serialize;

use crate::app::banner::counted;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// It works, and may not for long, or not for everyone.
    Warning,
    /// Something that is asked for does not work.
    Problem,
    /// It could not be looked at.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Stable, for programs.
    pub(super) id: String,
    pub(super) status: Status,
    /// The thing, and how it is.
    pub(super) what: String,
    /// Why, or what more is known.
    pub(super) detail: Option<String>,
    /// A command that can be copied, or a line for the file.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn new(id: impl Into<String>, status: Status, what: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status,
            what: what.into(),
            detail: None,
            fix: None,
        }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl Status {
    /// Not by colour alone.
    fn mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Ok => ("✓", "ok"),
            Self::Warning => ("!", "warning"),
            Self::Problem => ("✗", "problem"),
            Self::Unknown => ("?", "unknown"),
        }
    }
}

/// One line a finding, what belongs to it indented below, and a count at the end.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (sign, word) = finding.status.mark();
        text.push_str(&format!("{sign} {word:7}  {}\n", finding.what));
        for line in finding.detail.iter().flat_map(|detail| detail.lines()) {
            text.push_str(&format!("             {line}\n"));
        }
        for line in finding.fix.iter().flat_map(|fix| fix.lines()) {
            text.push_str(&format!("             fix:  {line}\n"));
        }
    }
    let statuses = [
        Status::Problem,
        Status::Warning,
        Status::Unknown,
        Status::Ok,
    ];
    let counts = statuses.map(|status| {
        let count = findings.iter().filter(|one| one.status == status).count();
        match status {
            Status::Problem | Status::Warning => counted(count, status.mark().1),
            Status::Unknown | Status::Ok => format!("{count} {}", status.mark().1),
        }
    });
    text.push_str(&format!("\n{}\n", counts.join(", ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_with_its_fix_below() {
        let findings = [
            Finding::new("a", Status::Ok, "fine"),
            Finding::new("b", Status::Problem, "bad")
                .detail("why\nso")
                .fix("mend it"),
        ];
        assert_eq!(
            text(&findings),
            "✓ ok       fine\n✗ problem  bad\n             why\n             so\n             fix:  mend it\n\n\
             1 problem, 0 warnings, 0 unknown, 1 ok\n"
        );
    }

    #[test]
    fn programs_read_the_same_fields_always() {
        let finding = Finding::new("a", Status::Unknown, "x");
        let json = serde_json::to_value(&finding).unwrap();
        let expected = serde_json::json!(
            {"id": "a", "status": "unknown", "what": "x", "detail": null, "fix": null}
        );
        assert_eq!(json, expected);
    }
}
