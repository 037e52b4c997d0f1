//! What happens to the process itself, on standard error: `tracing` events as one line each, for a person or as JSON.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, fmt as layer};

use super::event_fields::{Fields, Form, Visitor};
use super::stamp::Stamp;

/// How an event looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `time level message key=value …`
    Plain,
    /// The same with colours.
    Coloured,
    /// One JSON object a line.
    Json,
}

impl Style {
    /// For people: coloured when standard error is a terminal and `no_color`, the variable `NO_COLOR`, is unset or empty.
    #[must_use]
    pub fn for_people(no_color: Option<&OsStr>) -> Self {
        if io::stderr().is_terminal() && no_color.is_none_or(OsStr::is_empty) {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

/// Why events cannot be told.
#[derive(Debug)]
pub enum InitError {
    /// The directives are not those of `tracing_subscriber::EnvFilter`.
    BadDirectives(ParseError),
    /// Someone did it before.
    AlreadyDone,
}

/// Sends the events of the whole process to standard error. Without `directives`, our own events from `level` up and errors of the
/// libraries, whose warnings are of peers' faults; else exactly what they say (`info,onedoor::door=debug`).
///
/// # Errors
/// When the directives cannot be read, and on the second call.
pub fn init(level: Level, directives: Option<&str>, style: Style) -> Result<(), InitError> {
    let filter = filter(level, directives).map_err(InitError::BadDirectives)?;
    tracing::subscriber::set_global_default(subscriber(filter, style, io::stderr))
        .map_err(|_already| InitError::AlreadyDone)
}

fn filter(level: Level, directives: Option<&str>) -> Result<EnvFilter, ParseError> {
    match directives {
        Some(directives) => EnvFilter::try_new(directives),
        None => EnvFilter::try_new(format!("{},onedoor={level}", level.min(Level::ERROR))),
    }
}

fn subscriber<W>(filter: EnvFilter, style: Style, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let form = match style {
        Style::Plain | Style::Coloured => Form::Pairs,
        Style::Json => Form::Json,
    };
    // The layer's way to complain about a broken standard error is a panic.
    let lines = layer::layer()
        .event_format(Line { style })
        .fmt_fields(Fields { form })
        .with_writer(writer)
        .log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(lines)
}

struct Line {
    style: Style,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = now();
        match self.style {
            Style::Plain => for_people(context, writer, event, &time, &PLAIN),
            Style::Coloured => for_people(context, writer, event, &time, &COLOURED),
            Style::Json => as_json(context, writer, event, &time),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an event is an edge: it happens when it is told"
)]
fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut text = Vec::new();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Stamp::new().iso(&mut text, millis);
    String::from_utf8_lossy(&text).into_owned()
}

/// What is written before and after the parts of a line.
struct Palette {
    dim: &'static str,
    error: &'static str,
    warn: &'static str,
    info: &'static str,
    debug: &'static str,
    off: &'static str,
}

const PLAIN: Palette = Palette {
    dim: "",
    error: "",
    warn: "",
    info: "",
    debug: "",
    off: "",
};

const COLOURED: Palette = Palette {
    dim: "\x1b[2m",
    error: "\x1b[31m",
    warn: "\x1b[33m",
    info: "\x1b[32m",
    debug: "\x1b[34m",
    off: "\x1b[0m",
};

fn for_people<S, N>(
    context: &FmtContext<'_, S, N>,
    mut writer: Writer<'_>,
    event: &Event<'_>,
    time: &str,
    palette: &Palette,
) -> fmt::Result
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    let Palette { dim, off, .. } = palette;
    let (colour, level) = match *event.metadata().level() {
        Level::ERROR => (palette.error, "error"),
        Level::WARN => (palette.warn, "warn "),
        Level::INFO => (palette.info, "info "),
        Level::DEBUG => (palette.debug, "debug"),
        Level::TRACE => (palette.debug, "trace"),
    };
    let said = Visitor::of(event, Form::Pairs);
    write!(
        writer,
        "{dim}{time}{off} {colour}{level}{off} {}{dim}{}",
        said.message, said.fields
    )?;
    for span in context
        .event_scope()
        .into_iter()
        .flat_map(|scope| scope.from_root())
    {
        if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
            write!(writer, "{fields}")?;
        }
    }
    writeln!(writer, "{off}")
}

fn as_json<S, N>(
    context: &FmtContext<'_, S, N>,
    mut writer: Writer<'_>,
    event: &Event<'_>,
    time: &str,
) -> fmt::Result
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    let level = event.metadata().level().as_str().to_ascii_lowercase();
    let module = event.metadata().target();
    let said = Visitor::of(event, Form::Json);
    write!(
        writer,
        r#"{{"time":"{time}","level":"{level}","module":"{module}","message":"{}"{}"#,
        said.message, said.fields
    )?;
    let mut separator = r#","spans":["#;
    for span in context
        .event_scope()
        .into_iter()
        .flat_map(|scope| scope.from_root())
    {
        write!(writer, r#"{separator}{{"span":"{}""#, span.name())?;
        if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
            write!(writer, "{fields}")?;
        }
        writer.write_char('}')?;
        separator = ",";
    }
    writeln!(writer, "{}", if separator == "," { "]}" } else { "}" })
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadDirectives(_) => f.write_str("invalid log directives"),
            Self::AlreadyDone => f.write_str("events are told already"),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadDirectives(error) => Some(error),
            Self::AlreadyDone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(style: Style, directives: Option<&str>, tell: impl FnOnce()) -> String {
        let told = Told::default();
        let sink = told.clone();
        let filter = filter(Level::INFO, directives).unwrap();
        let subscriber = subscriber(filter, style, move || sink.clone());
        tracing::subscriber::with_default(subscriber, tell);
        String::from_utf8(told.0.lock().unwrap().clone()).unwrap()
    }

    fn one_event() {
        let cause = io::Error::other("no \x1b[2J route");
        let span = tracing::info_span!(
            "connection",
            peer = "192.0.2.7",
            name = tracing::field::Empty
        );
        let _entered = span.enter();
        span.record("name", "dao.example.com");
        tracing::warn!(
            target_address = "localhost:9998",
            tries = 2,
            error = &cause as &dyn std::error::Error,
            "the upstream \"dao\" is away"
        );
    }

    #[test]
    fn people_read_one_line_without_terminal_escapes() {
        let line = told(Style::Plain, None, one_event);
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), "2026-11-22T01:02:03.456Z".len());
        assert_eq!(
            rest,
            "warn  the upstream \"dao\" is away target_address=localhost:9998 tries=2 \
             error=\"no \\u001b[2J route\" peer=192.0.2.7 name=dao.example.com\n"
        );
    }

    #[test]
    fn colours_are_only_the_palettes() {
        let line = told(Style::Coloured, None, one_event);
        assert!(line.contains("\x1b[33mwarn \x1b[0m"));
        assert!(line.ends_with("\x1b[0m\n"));
        assert!(!line.contains("\x1b[2J"));
    }

    #[test]
    fn machines_read_one_object() {
        let line = told(Style::Json, None, one_event);
        assert_eq!(line.matches('\n').count(), 1);
        let mut event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(event["time"].take().is_string());
        let expected = serde_json::json!({
            "time": null, "level": "warn", "module": "onedoor::observe::events::tests",
            "message": "the upstream \"dao\" is away", "target_address": "localhost:9998", "tries": 2,
            "error": "no \u{1b}[2J route",
            "spans": [{ "span": "connection", "peer": "192.0.2.7", "name": "dao.example.com" }],
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn libraries_are_heard_from_errors_up() {
        let tell = || {
            tracing::warn!(target: "h2", "chatter");
            tracing::info!(target: "hyper", "chatter");
            tracing::error!(target: "hyper", "trouble");
            tracing::debug!("detail");
        };
        let usual = told(Style::Plain, None, tell);
        assert!(
            usual.contains("trouble") && !usual.contains("chatter") && !usual.contains("detail")
        );
        let asked = told(Style::Plain, Some("hyper=info,onedoor=debug"), tell);
        assert!(asked.contains("chatter") && asked.contains("detail"));
    }

    #[test]
    fn bad_directives_are_an_error() {
        assert!(matches!(
            init(Level::INFO, Some("onedoor=loud"), Style::Plain),
            Err(InitError::BadDirectives(_))
        ));
    }
}
