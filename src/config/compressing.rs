//! `compress`: the content codings that answers may get.

use super::problems::Problems;
use super::reader::Layers;
use super::site::Coding;

const CODINGS: &[(&str, Coding)] = &[
    ("zstd", Coding::Zstd),
    ("br", Coding::Brotli),
    ("gzip", Coding::Gzip),
];

/// Reads the nearest `compress`.
pub(super) fn codings(layers: &Layers<'_>, problems: &mut Problems) -> Box<[Coding]> {
    let Some(item) = layers.get("compress") else {
        return Box::default();
    };
    match item.as_flag() {
        Some(true) => return CODINGS.iter().map(|(_, coding)| *coding).collect(),
        Some(false) => return Box::default(),
        None => {}
    }
    let items = item.one_or_more();
    if items.is_empty() {
        let help = "`compress = false` leaves answers as they are, `true` is all of them";
        problems.error(
            "empty-list",
            "`compress` lists nothing",
            item.at(),
            "empty",
            help,
        );
        return Box::default();
    }
    let mut codings = Vec::new();
    for item in &items {
        if item.as_text().is_none() {
            item.wrong_type(
                "`true`, `false`, or a list of \"zstd\", \"br\", \"gzip\"",
                problems,
            );
            continue;
        }
        if let Some(coding) = item.choice(CODINGS, problems)
            && !codings.contains(&coding)
        {
            codings.push(coding);
        }
    }
    codings.into()
}
