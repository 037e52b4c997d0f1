//! Host names and the patterns that match them: valid and lower-case by construction, so nobody compares raw strings.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The longest host name in octets (RFC 1035 section 2.3.4, without the trailing dot).
pub const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host name as A-labels, lower case, without a trailing dot; or an IP address literal in its canonical form, without brackets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

/// Why a text is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHostName {
    /// Nothing is left once the trailing dot is gone.
    Empty,
    /// Longer than [`NAME_BYTES_MAX`] as A-labels.
    TooLong,
    /// A label is empty, too long, or starts or ends with a hyphen.
    BadLabel,
    /// A character that no host name has.
    BadCharacter(char),
    /// UTS 46 refuses the name.
    BadIdn,
    /// A `*` anywhere but as the whole left-most label.
    MisplacedWildcard,
}

impl HostName {
    /// Accepts a DNS name (IDN allowed, underscores tolerated, any case, one trailing dot) or an IP literal (IPv6 with or without brackets).
    ///
    /// # Errors
    /// Says what makes the text no host name; a `*` is [`InvalidHostName::MisplacedWildcard`].
    pub fn parse(text: &str) -> Result<Self, InvalidHostName> {
        if let Some(address) = ip_literal(text) {
            return Ok(Self(address.to_string().into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_ascii() && !has_punycode(name) {
            check_labels(name)?;
            return Ok(Self(name.to_ascii_lowercase().into()));
        }
        let ascii = idna::domain_to_ascii(name).map_err(|_refused| InvalidHostName::BadIdn)?;
        check_labels(&ascii)?;
        Ok(Self(ascii.into()))
    }

    /// The name of an IP address, as a site may carry it.
    #[must_use]
    pub fn from_ip(address: IpAddr) -> Self {
        Self(address.to_canonical().to_string().into())
    }

    /// The name as it is compared and sent: lower-case A-labels, or an address without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if this name is an IP literal.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }

    /// The name without its left-most label, if there are at least two; an IP literal has none.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        parent(&self.0)
    }

    /// Whether the name is `suffix` or ends in `.suffix`.
    #[must_use]
    pub fn is_under(&self, suffix: &str) -> bool {
        self.0
            .strip_suffix(suffix)
            .is_some_and(|head| head.is_empty() || head.ends_with('.'))
    }
}

/// The part of a lower-case name behind its first dot. An address has no parent.
#[must_use]
pub fn parent(name: &str) -> Option<&str> {
    let (_, parent) = name.split_once('.')?;
    let last = name.rsplit('.').next()?;
    let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
    (!parent.is_empty() && !is_address).then_some(parent)
}

fn ip_literal(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>().ok()
}

fn has_punycode(name: &str) -> bool {
    name.split('.').any(|label| {
        label
            .get(..4)
            .is_some_and(|head| head.eq_ignore_ascii_case("xn--"))
    })
}

fn check_labels(name: &str) -> Result<(), InvalidHostName> {
    if name.is_empty() {
        return Err(InvalidHostName::Empty);
    }
    if name.contains('*') {
        return Err(InvalidHostName::MisplacedWildcard);
    }
    if let Some(bad) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err(InvalidHostName::BadCharacter(bad));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(InvalidHostName::TooLong);
    }
    let good = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.split('.').all(good) {
        Ok(())
    } else {
        Err(InvalidHostName::BadLabel)
    }
}

impl std::borrow::Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostName({})", self.0)
    }
}

impl fmt::Display for InvalidHostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a host name cannot be empty"),
            Self::TooLong => write!(f, "a host name has at most {NAME_BYTES_MAX} octets"),
            Self::BadLabel => write!(
                f,
                "each label has 1 to {LABEL_BYTES_MAX} octets and neither starts nor ends with a hyphen"
            ),
            Self::BadCharacter(bad) => write!(f, "{bad:?} cannot be part of a host name"),
            Self::BadIdn => f.write_str("not a valid internationalised name (UTS 46)"),
            Self::MisplacedWildcard => f.write_str("`*` stands only for the whole left-most label"),
        }
    }
}

impl std::error::Error for InvalidHostName {}

/// What a site is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This name alone.
    Exact(HostName),
    /// `*.NAME`: exactly one label before the name kept here.
    Wildcard(HostName),
    /// `*`: every name that nothing else serves.
    CatchAll,
}

impl HostPattern {
    /// Accepts what [`HostName::parse`] accepts, `*.NAME`, and `*`.
    ///
    /// # Errors
    /// As [`HostName::parse`].
    pub fn parse(text: &str) -> Result<Self, InvalidHostName> {
        if text == "*" {
            return Ok(Self::CatchAll);
        }
        let Some(parent) = text.strip_prefix("*.") else {
            return HostName::parse(text).map(Self::Exact);
        };
        let parent = HostName::parse(parent)?;
        if parent.ip().is_some() {
            return Err(InvalidHostName::MisplacedWildcard);
        }
        Ok(Self::Wildcard(parent))
    }

    /// Whether the pattern stands for `name`.
    #[must_use]
    pub fn matches(&self, name: &HostName) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Wildcard(parent) => name.parent() == Some(parent.as_str()),
            Self::CatchAll => true,
        }
    }

    /// The name that must lie under a suffix for the whole pattern to do so; none for the catch-all.
    #[must_use]
    pub fn base(&self) -> Option<&HostName> {
        match self {
            Self::Exact(name) | Self::Wildcard(name) => Some(name),
            Self::CatchAll => None,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::CatchAll => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, InvalidHostName>) {
        let parsed = HostPattern::parse(text).map(|pattern| pattern.to_string());
        assert_eq!(
            parsed.as_deref().map_err(|error| *error),
            expected,
            "{text}"
        );
    }

    #[test]
    fn names_are_lower_case_a_labels_without_a_trailing_dot() {
        check("Dao.Example.COM.", Ok("dao.example.com"));
        check("bücher.example", Ok("xn--bcher-kva.example"));
        check("XN--BCHER-KVA.example", Ok("xn--bcher-kva.example"));
        check("my_service.test", Ok("my_service.test"));
        check("*.Dev.test", Ok("*.dev.test"));
        check("*", Ok("*"));
    }

    #[test]
    fn addresses_are_names_in_canonical_form() {
        check("127.0.0.1", Ok("127.0.0.1"));
        check("[::1]", Ok("::1"));
        check("0:0:0:0:0:0:0:1", Ok("::1"));
    }

    #[test]
    fn what_is_no_name_says_why() {
        check("", Err(InvalidHostName::Empty));
        check("a..b", Err(InvalidHostName::BadLabel));
        check("-a.b", Err(InvalidHostName::BadLabel));
        check("a b", Err(InvalidHostName::BadCharacter(' ')));
        check("a/b", Err(InvalidHostName::BadCharacter('/')));
        check("a.*.b", Err(InvalidHostName::MisplacedWildcard));
        check("*.*.b", Err(InvalidHostName::MisplacedWildcard));
        check("*.127.0.0.1", Err(InvalidHostName::MisplacedWildcard));
        check(&"a".repeat(64), Err(InvalidHostName::BadLabel));
        check(
            &format!("{}b", "a.".repeat(127)),
            Err(InvalidHostName::TooLong),
        );
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let pattern = HostPattern::parse("*.dev.test").unwrap();
        let matches = |name: &str| pattern.matches(&HostName::parse(name).unwrap());
        assert!(matches("a.dev.test"));
        assert!(!matches("a.b.dev.test"));
        assert!(!matches("dev.test"));
    }

    #[test]
    fn suffixes_end_on_label_boundaries() {
        let name = HostName::parse("shop.localhost").unwrap();
        assert!(name.is_under("localhost"));
        assert!(
            !HostName::parse("notlocalhost")
                .unwrap()
                .is_under("localhost")
        );
        assert!(HostName::parse("localhost").unwrap().is_under("localhost"));
    }
}
