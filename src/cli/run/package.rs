//! The scripts of the `package.json` that a package manager would take here.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

/// The octets of a `package.json` that are read.
const PACKAGE_BYTES_MAX: u64 = 1 << 20;

/// Named command lines; none where there is no package.
#[derive(Debug, Default)]
pub(super) struct Scripts(Map<String, Value>);

impl Scripts {
    /// Those of the nearest package around `folder`; one that cannot be read has none.
    pub(super) fn around(folder: &Path) -> Self {
        let mut places = folder.ancestors().map(|above| above.join("package.json"));
        let nearest = places.find(|place| place.is_file());
        nearest.map_or_else(Self::default, |place| Self::of(&read(&place)))
    }

    fn of(text: &str) -> Self {
        let Ok(Value::Object(mut package)) = serde_json::from_str(text) else {
            return Self::default();
        };
        match package.remove("scripts") {
            Some(Value::Object(scripts)) => Self(scripts),
            Some(_) | None => Self::default(),
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }
}

fn read(place: &Path) -> String {
    let mut text = String::new();
    let readable = fs::metadata(place).is_ok_and(|found| found.is_file());
    if readable && let Ok(file) = File::open(place) {
        // What is unreadable has no scripts; the package manager says why.
        let _unreadable = file.take(PACKAGE_BYTES_MAX).read_to_string(&mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_texts_under_their_names() {
        let scripts = Scripts::of(r#"{"name": "x", "scripts": {"dev": "vite", "odd": 3}}"#);
        assert_eq!(scripts.named("dev").as_deref(), Some("vite"));
        assert_eq!(scripts.named("odd"), None);
        assert_eq!(scripts.named("name"), None);
    }

    #[test]
    fn what_is_no_package_has_no_scripts() {
        for text in ["", "[]", "{", r#"{"scripts": []}"#] {
            assert_eq!(Scripts::of(text).named("dev"), None);
        }
    }
}
