//! Reads the paths out of Rust source, as far as its shape needs it: `use` trees, inline paths, `super::` chains.

/// Every path that starts at `root::`, groups spelled out.
pub(crate) fn paths_from(code: &str, root: &str) -> Vec<String> {
    let start = format!("{root}::");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(&start) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
            spell_out(&code[at + start.len()..], "", &mut paths);
        }
    }
    paths
}

/// Every path that climbs with `super::`, as seen from the crate's root. Inline modules count as levels.
pub(crate) fn paths_from_super(module: &[String], code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':')) {
            continue;
        }
        let mut rest = &code[at..];
        let mut climbed = 0;
        while let Some(behind) = rest.strip_prefix("super::") {
            climbed += 1;
            rest = behind;
        }
        let levels = (module.len() + inline_modules_open(&code[..at])).saturating_sub(climbed);
        let base = module[..levels.min(module.len())].join("::");
        spell_out(rest, &base, &mut paths);
    }
    paths
}

fn inline_modules_open(before: &str) -> usize {
    let mut braces = Vec::new();
    let mut statement = String::new();
    for c in before.chars() {
        match c {
            '{' => {
                let is_module = statement.split_whitespace().rev().nth(1) == Some("mod");
                braces.push(is_module);
                statement.clear();
            }
            '}' => {
                braces.pop();
                statement.clear();
            }
            ';' => statement.clear(),
            c => statement.push(c),
        }
    }
    braces.into_iter().filter(|is_module| *is_module).count()
}

/// Adds the paths of one use tree, or the one path of an expression, and returns what is behind it.
fn spell_out<'a>(tree: &'a str, base: &str, paths: &mut Vec<String>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut group) = tree.strip_prefix('{') {
        loop {
            group = spell_out(group, base, paths)
                .trim_start()
                .trim_start_matches(',')
                .trim_start();
            if let Some(behind) = group.strip_prefix('}') {
                return behind;
            }
            if group.is_empty() {
                return group;
            }
        }
    }
    let end = tree
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
        .unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    let path = if base.is_empty() {
        name.to_owned()
    } else {
        format!("{base}::{name}")
    };
    if let Some(deeper) = rest.strip_prefix("::") {
        return spell_out(deeper, &path, paths);
    }
    paths.push(path);
    // A renaming, or anything that is no path, ends at the next separator.
    let end = rest.find([',', '}', ';', '\n']).unwrap_or(rest.len());
    &rest[end..]
}

/// The code above the tests at the bottom.
pub(crate) fn without_tests(code: &str) -> &str {
    let mut tests = code
        .match_indices("#[cfg(test)]")
        .filter(|(at, attribute)| {
            let item = &code[at + attribute.len()..];
            let head = item.split(['{', ';']).next().unwrap_or_default();
            head.contains("mod ") && item[head.len()..].starts_with('{')
        });
    tests.next().map_or(code, |(at, _)| &code[..at])
}

/// `text` with comments and literals replaced by spaces.
pub(crate) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = literal_length(rest, after_word);
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            let (blanked, behind) = rest.split_at(length);
            out.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = behind;
        }
    }
    out
}

/// Octets of the comment or literal that `rest` starts with.
fn literal_length(rest: &str, after_word: bool) -> usize {
    let until = |from: usize, end: &str| {
        rest[from..]
            .find(end)
            .map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !after_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return until(hashes + 2, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    let mut characters = rest.chars();
    match (characters.next(), characters.next(), characters.next()) {
        (Some('\''), Some('\\'), _) => quoted_length(rest, '\''),
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}
