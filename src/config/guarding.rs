//! `allow`, `deny`, `rate` and `auth`: what stands before a rule.

use std::sync::Arc;

use http::uri::PathAndQuery;

use super::backends::Backends;
use super::balancing::header_name;
use super::enclosed::Enclosed;
use super::grammar::Carries;
use super::guard::{Access, Auth, ForwardAuth, Guard, Htpasswd};
use super::headers;
use super::keys;
use super::names::Key;
use super::network::Networks;
use super::problem::Problem;
use super::problems::Problems;
use super::rating;
use super::reader::{Item, Layers, Table};
use super::targets::Targets;

const AUTH_FORM: &str =
    r#"{ basic = "htpasswd" }, { forward = "http://localhost:9000/check" }, or `false`"#;
/// Fields that are copied from an answer.
const COPIED_MAX: usize = 64;

/// Reads the nearest of each key; none if there is nothing to look at.
pub(super) fn guard(
    layers: &Layers<'_>,
    enclosed: &mut Enclosed<'_>,
    targets: &mut Targets,
    problems: &mut Problems,
) -> Option<Arc<Guard>> {
    let access = Access {
        allow: networks(layers, "allow", problems),
        deny: networks(layers, "deny", problems).unwrap_or_default(),
    };
    let rate = rating::rate(layers, problems);
    let auth = layers
        .get("auth")
        .filter(|item| item.as_flag() != Some(false))
        .and_then(|item| auth(&item, layers, enclosed, targets, problems));
    let nothing = access.allow.is_none() && access.deny.is_empty();
    if nothing && rate.is_none() && auth.is_none() {
        return None;
    }
    Some(Arc::new(Guard { access, rate, auth }))
}

fn networks(layers: &Layers<'_>, key: &str, problems: &mut Problems) -> Option<Networks> {
    let item = layers.get(key)?;
    if item.as_flag() == Some(false) {
        return None;
    }
    Networks::read(&item, problems)
}

fn auth(
    item: &Item<'_>,
    layers: &Layers<'_>,
    enclosed: &mut Enclosed<'_>,
    targets: &mut Targets,
    problems: &mut Problems,
) -> Option<Auth> {
    let table = item.table(AUTH_FORM, problems)?;
    table.check_keys(&keys::AUTH, problems);
    match (table.get("basic"), table.get("forward")) {
        (Some(basic), None) => {
            refuse_copy(&table, &basic, problems)?;
            let users = enclosed.users(&basic, problems)?;
            let realm = realm(layers.host);
            Some(Auth::Basic(Arc::new(Htpasswd { realm, users })))
        }
        (None, Some(forward)) => forward_auth(&forward, &table, targets, problems),
        (Some(first), Some(second)) => {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    "`basic` and `forward` are two ways to ask",
                )
                .at(second.key_at, "this is one")
                .also(first.key_at, "this is another")
                .help("keep one of them"),
            );
            None
        }
        (None, None) => {
            problems.push(
                Problem::error("missing-key", "`auth` does not say who is asked")
                    .at(item.at(), "neither `basic` nor `forward`")
                    .help(format!("`auth` takes {AUTH_FORM}")),
            );
            None
        }
    }
}

fn refuse_copy(table: &Table<'_>, basic: &Item<'_>, problems: &mut Problems) -> Option<()> {
    let Some(copy) = table.get("copy") else {
        return Some(());
    };
    problems.push(
        Problem::error("conflicting-keys", "`copy` goes with `forward`")
            .at(copy.key_at, "there is no answer to copy from")
            .also(basic.key_at, "because of this"),
    );
    None
}

/// The site's name, as browsers know it.
fn realm(host: &str) -> Box<str> {
    match Key::parse(host) {
        Ok(key) => key.name.to_string().into(),
        Err(_) => host.into(),
    }
}

fn forward_auth(
    item: &Item<'_>,
    table: &Table<'_>,
    targets: &mut Targets,
    problems: &mut Problems,
) -> Option<Auth> {
    let text = item.text("a URL such as \"http://localhost:9000/check\"", problems)?;
    let bad = |label: &str| {
        Problem::error("bad-url", "`forward` takes a URL")
            .at(item.at(), label)
            .help("for example \"http://localhost:9000/check\"")
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        problems.push(bad("a scheme is missing"));
        return None;
    };
    if text.contains('#') {
        problems.push(bad("the part behind `#` is not sent"));
        return None;
    }
    if rest.contains('@') {
        problems.hide(item.at());
        problems.push(bad("a user and a password are not sent"));
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = match path {
        "" => "/".to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        path => path.to_owned(),
    };
    let Ok(path) = path.parse::<PathAndQuery>() else {
        problems.push(bad("the path cannot be asked for"));
        return None;
    };
    let address = format!("{scheme}://{authority}");
    let folder = &item.origin.folder;
    let target = targets.text(&address, item.at(), folder, Carries::Http, problems);
    let target = target?;
    let copy = match table.get("copy") {
        Some(copy) => copied(&copy, problems)?,
        None => Box::default(),
    };
    Some(Auth::Forward(Arc::new(ForwardAuth {
        backends: Arc::new(Backends::of([target])),
        path,
        copy,
    })))
}

fn copied(item: &Item<'_>, problems: &mut Problems) -> Option<Box<[http::HeaderName]>> {
    let items = item.one_or_more();
    if items.len() > COPIED_MAX {
        let message = format!("`copy` lists more than {COPIED_MAX} fields");
        problems.push(Problem::error("out-of-range", message).at(item.at(), "too many"));
        return None;
    }
    let names: Vec<_> = items
        .iter()
        .map(|item| {
            let name = header_name(item, problems)?;
            headers::is_editable(&name, item, problems).then_some(name)
        })
        .collect();
    names.into_iter().collect()
}
