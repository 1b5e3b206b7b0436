//! The name that was probably meant, for messages about one that does not exist.

/// The one of the names that `text` was probably meant to be: mistyped in few places, or not written to the end.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic in the length; no name is longer than this.
    let text: String = text.chars().take(80).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect();
    let length = text.chars().count();
    let limit = (length / 3).max(1);
    let score = |name: &str| {
        let name = name.to_ascii_lowercase();
        let distance = strsim::osa_distance(&text, &name);
        let beginning: String = name.chars().take(length).collect();
        let is_begun = length >= 4 && strsim::osa_distance(&text, &beginning) <= limit / 2;
        (is_begun || distance <= limit).then_some(distance)
    };
    let scored = names.into_iter().filter_map(|name| Some((score(name)?, name)));
    scored.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("must_not", Some("must-not"))]
    #[case("Must", Some("must"))]
    #[case("msut", Some("must"))]
    #[case("verd", Some("verdicts"))]
    #[case("vedric", Some("verdicts"))]
    #[case("ver", None)]
    #[case("frobnicate", None)]
    #[case("", None)]
    fn the_nearest_name_is_near(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(text, ["must", "must-not", "verdicts"]), expected);
    }
}
