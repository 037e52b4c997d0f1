//! An error and what caused it.

use std::error::Error;

/// More causes than an honest error has; a circle of them ends here.
const CAUSES_MAX: usize = 16;

/// The error and its causes, outermost first. A cause that was already told by what it caused is not told again.
#[must_use]
pub fn each(error: &(dyn Error + 'static)) -> Vec<String> {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut told = vec![error.to_string()];
    for cause in causes.take(CAUSES_MAX) {
        let words = cause.to_string();
        if !told.last().is_some_and(|last| last.ends_with(&words)) {
            told.push(words);
        }
    }
    told
}

/// [`each`], in one line.
#[must_use]
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    each(error).join(": ")
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
    fn each_is_told_once() {
        assert_eq!(each(&told(&["a: b", "b", "b", "c"])), ["a: b", "c"]);
    }

    #[test]
    fn causes_without_end_are_cut() {
        let words: Vec<&str> = (0..2 * CAUSES_MAX).map(|n| ["x", "y"][n % 2]).collect();
        assert_eq!(one_line(&told(&words)).split(": ").count(), CAUSES_MAX + 1);
    }
}
