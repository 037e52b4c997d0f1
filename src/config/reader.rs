//! Typed access to spanned tables: what is missing is `None`, what has the wrong form is reported.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Origin;
use super::keys::Keys;
use super::problem::{At, Located, Problem};
use super::problems::Problems;
use super::{suggest, units};

/// A table and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) origin: &'a Origin<'a>,
    pub(super) entries: &'a DeTable<'a>,
    pub(super) at: At,
}

/// A value, the key it stands under, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) origin: &'a Origin<'a>,
    pub(super) key: &'a str,
    pub(super) key_at: At,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Item<'a>> {
        let (key, value) = self.entries.get_key_value(key)?;
        Some(self.item(key, value))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The entries as they stand in the text, not as their keys sort.
    pub(super) fn in_order(&self) -> Vec<Item<'a>> {
        let mut items: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| self.item(key, value))
            .collect();
        items.sort_by_key(|item| item.key_at);
        items
    }

    /// Reports every key that `keys` does not know.
    pub(super) fn check_keys(&self, keys: &Keys, problems: &mut Problems) {
        for (key, _) in self.entries {
            let at = self.origin.at(key.span());
            if let Some(problem) = keys.problem(key.get_ref(), at) {
                problems.push(problem);
            }
        }
    }

    fn item(
        &self,
        key: &'a Spanned<toml::de::DeString<'a>>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Item<'a> {
        Item {
            origin: self.origin,
            key: key.get_ref(),
            key_at: self.origin.at(key.span()),
            value,
        }
    }
}

impl<'a> Item<'a> {
    pub(super) fn at(&self) -> At {
        self.origin.at(self.value.span())
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value().as_str()
    }

    /// `true` or `false`, if it is one of them.
    pub(super) fn as_flag(&self) -> Option<bool> {
        self.value().as_bool()
    }

    /// An integer that fits; an overflowing or negative one is none.
    pub(super) fn as_integer(&self) -> Option<u64> {
        let integer = self.value().as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(super) fn as_table(&self) -> Option<Table<'a>> {
        Some(Table {
            origin: self.origin,
            entries: self.value().as_table()?,
            at: self.at(),
        })
    }

    /// The entries of an array, under the array's key; none if this is no array.
    pub(super) fn as_list(&self) -> Option<Vec<Self>> {
        let array = self.value().as_array()?;
        Some(array.iter().map(|value| Self { value, ..*self }).collect())
    }

    /// The entries of an array, or the value itself.
    pub(super) fn one_or_more(&self) -> Vec<Self> {
        self.as_list().unwrap_or_else(|| vec![*self])
    }

    /// Reports that the value has another form than `wanted`.
    pub(super) fn wrong_type(&self, wanted: &str, problems: &mut Problems) {
        let found = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        problems.push(
            Problem::error("wrong-type", format!("`{}` takes {wanted}", self.key))
                .at(self.at(), format!("this is {found}")),
        );
    }

    pub(super) fn text(&self, wanted: &str, problems: &mut Problems) -> Option<&'a str> {
        let text = self.as_text();
        if text.is_none() {
            self.wrong_type(wanted, problems);
        }
        text
    }

    pub(super) fn flag(&self, problems: &mut Problems) -> Option<bool> {
        let flag = self.as_flag();
        if flag.is_none() {
            self.wrong_type("`true` or `false`", problems);
        }
        flag
    }

    pub(super) fn table(&self, wanted: &str, problems: &mut Problems) -> Option<Table<'a>> {
        let table = self.as_table();
        if table.is_none() {
            self.wrong_type(wanted, problems);
        }
        table
    }

    /// An integer within `bounds`.
    pub(super) fn integer(
        &self,
        bounds: &RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<u64> {
        let wanted = format!("an integer from {} to {}", bounds.start(), bounds.end());
        if self.value().as_integer().is_none() {
            self.wrong_type(&wanted, problems);
            return None;
        }
        let integer = self.as_integer().filter(|integer| bounds.contains(integer));
        if integer.is_none() {
            problems.push(
                Problem::error("out-of-range", format!("`{}` takes {wanted}", self.key))
                    .at(self.at(), "out of range"),
            );
        }
        integer
    }

    /// A duration; zero is one.
    pub(super) fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        self.amount(
            units::DURATION_FORM,
            "bad-duration",
            "s",
            units::duration,
            problems,
        )
    }

    /// A duration above zero.
    pub(super) fn time(&self, problems: &mut Problems) -> Option<Duration> {
        let duration = self.duration(problems)?;
        if duration.is_zero() {
            self.zero(problems);
            return None;
        }
        Some(duration)
    }

    /// A size above zero.
    pub(super) fn size(&self, problems: &mut Problems) -> Option<u64> {
        let size = self.amount(units::SIZE_FORM, "bad-size", "KiB", units::size, problems)?;
        if size == 0 {
            self.zero(problems);
            return None;
        }
        Some(size)
    }

    fn amount<T>(
        &self,
        form: &str,
        code: &'static str,
        likely_unit: &str,
        parse: fn(&str) -> Result<T, units::InvalidAmount>,
        problems: &mut Problems,
    ) -> Option<T> {
        if let Some(integer) = self.as_integer() {
            problems.error(
                "wrong-type",
                format!("`{}` takes {form}", self.key),
                self.at(),
                "this is an integer",
                format!("write \"{integer}{likely_unit}\""),
            );
            return None;
        }
        let text = self.text(form, problems)?;
        let why = match parse(text) {
            Ok(amount) => return Some(amount),
            Err(why) => why,
        };
        let problem = Problem::error(code, format!("`{}` takes {form}", self.key))
            .at(self.at(), why.to_string());
        problems.push(if why == units::InvalidAmount::NoUnit {
            problem.help(format!("write \"{text}{likely_unit}\""))
        } else {
            problem
        });
        None
    }

    /// The folder of the file that names it, from which paths go.
    pub(super) fn folder(&self) -> &'a Path {
        &self.origin.folder
    }

    /// A path, from the folder of the file that names it.
    pub(super) fn path(&self, problems: &mut Problems) -> Option<Located<PathBuf>> {
        let text = self.text("a path", problems)?;
        if text.is_empty() || text.contains('\0') {
            let message = format!("`{}` takes a path", self.key);
            problems.push(Problem::error("bad-path", message).at(self.at(), "this is none"));
            return None;
        }
        Some(Located {
            value: self.origin.folder.join(text),
            at: self.at(),
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let wanted = words
            .iter()
            .map(|word| format!("\"{word}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let text = self.text(&format!("one of {wanted}"), problems)?;
        let choice = choices.iter().find(|(word, _)| *word == text);
        if choice.is_none() {
            let label = match suggest::nearest(text, words.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "this is none of them".to_owned(),
            };
            problems.push(
                Problem::error(
                    "unknown-value",
                    format!("`{}` takes one of {wanted}", self.key),
                )
                .at(self.at(), label),
            );
        }
        choice.map(|(_, value)| *value)
    }

    fn zero(&self, problems: &mut Problems) {
        let message = format!("`{}` cannot be zero", self.key);
        problems.push(Problem::error("zero", message).at(self.at(), "zero would let nothing pass"));
    }
}

/// Tables that say the same keys, the nearest first: a path's, its site's, the defaults'.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layers<'a> {
    pub(super) path: Option<Table<'a>>,
    pub(super) site: Option<Table<'a>>,
    pub(super) defaults: Option<Table<'a>>,
    /// The key that the site stands under.
    pub(super) host: &'a str,
    /// The key that the path stands under.
    pub(super) prefix: Option<&'a str>,
}

impl<'a> Layers<'a> {
    pub(super) fn inner_first(&self) -> impl Iterator<Item = Table<'a>> + use<'a> {
        [self.path, self.site, self.defaults].into_iter().flatten()
    }

    pub(super) fn outer_first(&self) -> impl Iterator<Item = Table<'a>> + use<'a> {
        [self.defaults, self.site, self.path].into_iter().flatten()
    }

    pub(super) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.inner_first().find_map(|table| table.get(key))
    }

    /// The table that is about these requests alone: the path's, or that of a site without paths.
    pub(super) fn own(&self) -> Option<Table<'a>> {
        let site = || self.site.filter(|site| !site.has("paths"));
        self.path.or_else(site)
    }

    /// Whether `item` stands in the path or the site, and not in the defaults.
    pub(super) fn says(&self, item: &Item<'_>) -> bool {
        let own = self.path.or(self.site);
        own.and_then(|own| own.get(item.key))
            .is_some_and(|own| own.at() == item.at())
    }

    /// The nearest table that says any of `keys`, which only make sense together.
    pub(super) fn group(&self, keys: &[&str]) -> Option<Table<'a>> {
        self.inner_first()
            .find(|table| keys.iter().any(|key| table.has(key)))
    }
}
