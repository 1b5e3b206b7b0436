//! Records of the form `v=VERSION; name=value; name=value;`, as MTA-STS (RFC 8461, 3.1) and TLSRPT (RFC 8460, 3) have them in
//! TXT: which of several is meant, and its fields.

/// A field, without the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Before the first `=`.
    pub name: &'a str,
    /// What follows it.
    pub value: &'a str,
}

/// Why a record is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaggedError {
    /// Senders then take it that there is none.
    #[error("there are {0} records of this version, and there must be one")]
    Several(usize),
    /// A field is not `name=value`.
    #[error("the field `{0}` is not of the form `name=value`")]
    Field(String),
    /// A name that no field may have.
    #[error("`{0}` is no name of a field: 1 to 32 letters, digits, `_`, `-` and `.`, beginning with a letter or digit")]
    Name(String),
    /// A value with something in it that may not be there.
    #[error("the value of `{0}` is empty, or holds a space, a `=` or what is not printable")]
    Value(String),
    /// Nothing follows the version.
    #[error("no field follows the version")]
    Empty,
}

/// The one record of this version, `v=STSv1` for example; none where there is none. Others are discarded, as RFC 8461, 3.1 and
/// RFC 8460, 3 say. The semicolon belongs to what is looked for.
pub fn select<'a, T: AsRef<str>>(texts: &'a [T], version: &str) -> Result<Option<&'a str>, TaggedError> {
    let mut found = texts.iter().map(AsRef::as_ref).filter(|text| is_of(text, version));
    match (found.next(), found.count()) {
        (None, _) => Ok(None),
        (Some(one), 0) => Ok(Some(one)),
        (Some(_), more) => Err(TaggedError::Several(more + 1)),
    }
}

/// The delimiter may have white space before it.
fn is_of(text: &str, version: &str) -> bool {
    text.strip_prefix(version).is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
}

/// Those that may have been meant as such a record, and are discarded: another case or number of the version, no semicolon, space
/// before it.
pub fn near_misses<'a, T: AsRef<str>>(texts: &'a [T], version: &str) -> Vec<&'a str> {
    let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).take(32).collect::<String>().to_ascii_lowercase();
    let wanted = squeeze(version.trim_end_matches(|c: char| c.is_ascii_digit()));
    let is_near = |text: &&str| !is_of(text, version) && squeeze(text).trim_start_matches(['"', '\'']).starts_with(&wanted);
    texts.iter().map(AsRef::as_ref).filter(is_near).collect()
}

/// The fields after the version. What `is_free` names may hold any text, such as a URI: its form is checked by who knows it.
pub fn fields<'a>(record: &'a str, version: &str, is_free: impl Fn(&str) -> bool) -> Result<Vec<Field<'a>>, TaggedError> {
    let space = [' ', '\t'];
    let after = record.strip_prefix(version).unwrap_or(record).trim_start_matches(space);
    let after = after.strip_prefix(';').unwrap_or(after);
    let mut parts: Vec<&str> = after.split(';').map(|part| part.trim_matches(space)).collect();
    // One delimiter may end the record.
    if parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    if parts.is_empty() {
        return Err(TaggedError::Empty);
    }
    parts.into_iter().map(|part| field(part, &is_free)).collect()
}

fn field<'a>(part: &'a str, is_free: &impl Fn(&str) -> bool) -> Result<Field<'a>, TaggedError> {
    let (name, value) = part.split_once('=').ok_or_else(|| TaggedError::Field(part.to_owned()))?;
    if is_free(name) {
        return Ok(Field { name, value });
    }
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 32
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !is_name {
        return Err(TaggedError::Name(name.to_owned()));
    }
    let is_value = !value.is_empty() && value.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b'=' && b != b';');
    if is_value { Ok(Field { name, value }) } else { Err(TaggedError::Value(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], Ok(None))]
    #[case(&["v=spf1 -all", "v=STSv1; id=1;"], Ok(Some("v=STSv1; id=1;")))]
    #[case(&["v=STSv1 ; id=1"], Ok(Some("v=STSv1 ; id=1")))]
    #[case(&["v=STSv1", "v=STSv12; id=1", "V=STSv1; id=1", " v=STSv1; id=1"], Ok(None))]
    #[case(&["v=STSv1; id=1", "v=STSv1; id=2"], Err(TaggedError::Several(2)))]
    fn the_one_of_the_version_is_meant(#[case] texts: &[&str], #[case] expected: Result<Option<&str>, TaggedError>) {
        assert_eq!(select(texts, "v=STSv1"), expected);
    }

    #[test]
    fn what_was_meant_and_is_discarded_is_found() {
        let texts = [
            "v=STSv1",
            "V=stsv1; id=1",
            " v=STSv1; id=1",
            "v = STSv1; id=1",
            "v=STSv1; id=1",
            "hello",
            "\"v=STSv1; id=1\"",
            "v=STSv2; id=1",
        ];
        assert_eq!(near_misses(&texts, "v=STSv1").len(), 6);
    }

    #[rstest]
    #[case("v=STSv1; id=1;", Ok(vec![("id", "1")]))]
    #[case("v=STSv1;id=1;x.y-z_=a", Ok(vec![("id", "1"), ("x.y-z_", "a")]))]
    #[case("v=STSv1;", Err(TaggedError::Empty))]
    #[case("v=STSv1; ;id=1", Err(TaggedError::Field(String::new())))]
    #[case("v=STSv1; id", Err(TaggedError::Field("id".to_owned())))]
    #[case("v=STSv1; id =1", Err(TaggedError::Name("id ".to_owned())))]
    #[case("v=STSv1; x=a b", Err(TaggedError::Value("x".to_owned())))]
    #[case("v=STSv1; x=", Err(TaggedError::Value("x".to_owned())))]
    fn fields_are_names_with_values(#[case] record: &str, #[case] expected: Result<Vec<(&str, &str)>, TaggedError>) {
        let read = fields(record, "v=STSv1", |_| false);
        assert_eq!(read.map(|fields| fields.into_iter().map(|field| (field.name, field.value)).collect()), expected);
    }
}
