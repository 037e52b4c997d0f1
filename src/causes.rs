//! An error and what caused it, in one line.

use std::error::Error;

/// More causes than an honest error has; a circle of them ends here.
const CAUSES_MAX: usize = 16;

/// The error, then its causes, outermost first. A cause that an error already told with its own words is not told again.
#[must_use]
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut line = error.to_string();
    for cause in causes.take(CAUSES_MAX) {
        let words = cause.to_string();
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Told(&'static str, Option<Box<Self>>);

    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Told {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    fn told(words: &[&'static str]) -> Told {
        let (first, rest) = words.split_first().unwrap();
        let cause = (!rest.is_empty()).then(|| Box::new(told(rest)));
        Told(first, cause)
    }

    #[test]
    fn causes_follow_in_their_order() {
        assert_eq!(one_line(&told(&["a", "b", "c"])), "a: b: c");
    }

    #[test]
    fn nothing_is_told_twice() {
        assert_eq!(one_line(&told(&["a: b", "b", "c"])), "a: b: c");
    }

    #[test]
    fn causes_without_end_are_cut() {
        let words: Vec<&str> = (0..2 * CAUSES_MAX).map(|n| ["x", "y"][n % 2]).collect();
        assert_eq!(one_line(&told(&words)).split(": ").count(), CAUSES_MAX + 1);
    }
}
