//! Matches names with the paths of settings, by the rules of `prost-build`.

/// Whether `pattern` matches `name`, a full name without a leading dot.
///
/// `.` stands for everything, `.a.b` for `a.b` and all inside it, `b.C` for every name that ends so.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('.') {
        Some("") => true,
        Some(prefix) => is_inside(name, prefix),
        None => ends_with(name, pattern),
    }
}

fn is_inside(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn ends_with(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_path_stands_for_what_prost_says() {
        for (pattern, yes, no) in [
            (".", "a.B", None),
            (".a", "a.B", Some("ab.B")),
            (".a.B", "a.B.C", Some("a.Bc")),
            ("B", "a.B", Some("a.bB")),
            ("a.B", "x.a.B", Some("a.B.C")),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes}");
            if let Some(no) = no {
                assert!(!matches(pattern, no), "{pattern} should not match {no}");
            }
        }
    }
}
