//! The fields of events and spans as `key=value` or as JSON. Values are escaped, bounded, and never break a line.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};

use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

use super::escape;
use crate::causes::one_line;

/// Octets that a value may take in a line.
const VALUE_BYTES_MAX: usize = 4 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// ` key=value`, each with its space in front.
    Pairs,
    /// `,"key":value`, each with its comma in front.
    Json,
}

/// What one event says: its message and its fields, both ready to be written.
pub(super) struct Visitor {
    form: Form,
    pub(super) message: String,
    pub(super) fields: String,
}

impl Visitor {
    pub(super) fn of(event: &Event<'_>, form: Form) -> Self {
        let mut visitor = Self::new(form);
        event.record(&mut visitor);
        visitor
    }

    fn new(form: Form) -> Self {
        Self {
            form,
            message: String::new(),
            fields: String::new(),
        }
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            match self.form {
                Form::Pairs => message(&mut self.message, value),
                Form::Json => quoted_inside(&mut self.message, value),
            }
            return;
        }
        self.key(field);
        if self.form == Form::Pairs && is_word(value) {
            self.fields.push_str(value);
            return;
        }
        self.fields.push('"');
        quoted_inside(&mut self.fields, value);
        self.fields.push('"');
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        // A string takes whatever is written to it.
        let _ = write!(self.fields, "{value}");
    }

    fn key(&mut self, field: &Field) {
        let name = field.name();
        let _ = match self.form {
            Form::Pairs => write!(self.fields, " {name}="),
            Form::Json => write!(self.fields, ",\"{name}\":"),
        };
    }
}

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, &one_line(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, &value.to_string());
        }
    }
}

/// Keeps the fields of a span as they will be written.
pub(super) struct Fields {
    pub(super) form: Form,
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut visitor = Visitor::new(self.form);
        fields.record(&mut visitor);
        writer.write_str(&visitor.fields)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Whether a value can stand between spaces as it is.
fn is_word(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= VALUE_BYTES_MAX
        && value
            .chars()
            .all(|c| !(c.is_control() || c.is_whitespace() || matches!(c, '"' | '\\' | '=')))
}

fn quoted_inside(out: &mut String, value: &str) {
    let mut escaped = Vec::new();
    escape::json(&mut escaped, value.as_bytes(), VALUE_BYTES_MAX);
    out.push_str(&String::from_utf8_lossy(&escaped));
}

/// A message is our own prose: quotes stay, controls do not.
fn message(out: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_words_stand_unquoted() {
        for word in ["dao.example.com", "[::1]:443", "/ä/b"] {
            assert!(is_word(word));
        }
        for other in ["", "two words", "a=b", "a\"b", "a\u{9b}b", "a\u{2028}b"] {
            assert!(!is_word(other));
        }
    }

    #[test]
    fn a_message_keeps_quotes_and_loses_controls() {
        let mut out = String::new();
        message(&mut out, "say \"hi\"\n\x1b[2J");
        assert_eq!(out, "say \"hi\"\\u{a}\\u{1b}[2J");
    }
}
