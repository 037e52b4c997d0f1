//! The places at the door that a site stands at: a name, a port and a part of its paths each.

use super::site::{Http, Matching, PathRule, Service, Site};

/// A part of a site's paths, as it stands in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathOf<'a> {
    /// Connections are not opened, or carry no HTTP.
    Everything,
    /// Every path that begins so on a segment boundary; `/` is whatever no other rule takes.
    Prefix(&'a str),
    /// Exactly this path.
    Exact(&'a str),
}

impl<'a> PathOf<'a> {
    /// What the rule for whatever no entry of `paths` takes stands for.
    pub(super) const ROOT: Self = Self::Prefix("/");

    /// The paths that an entry of `paths` stands for.
    #[must_use]
    pub fn of(path: &'a PathRule) -> Self {
        match path.matching {
            Matching::Prefix => Self::Prefix(&path.prefix),
            Matching::Exact => Self::Exact(&path.prefix),
        }
    }
}

impl Site {
    /// The ports that the site is served on, each once.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = Vec::new();
        for listen in self.listen.iter() {
            if !ports.contains(&listen.port) {
                ports.push(listen.port);
            }
        }
        ports
    }
}

impl Service {
    /// The HTTP of a site that has any.
    #[must_use]
    pub fn http(&self) -> Option<&Http> {
        match self {
            Self::Plain(http) | Self::Secure(_, http) => Some(http),
            Self::Passthrough(_) | Self::Tcp(..) => None,
        }
    }

    /// The parts of the site's paths: what stands first when a request comes to it is not told by their order.
    #[must_use]
    pub fn parts(&self) -> Vec<PathOf<'_>> {
        let Some(http) = self.http() else {
            return vec![PathOf::Everything];
        };
        let mut parts: Vec<_> = http.paths.iter().map(PathOf::of).collect();
        if http.root.is_some() && !parts.contains(&PathOf::ROOT) {
            parts.push(PathOf::ROOT);
        }
        parts
    }
}
