//! The TXT record at `_mta-sts` (RFC 8461, 3.1).

use crate::tagged::{self, TaggedError};

/// What a record begins with.
pub const VERSION: &str = "v=STSv1";

/// The one record of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Changes whenever the policy does.
    pub id: String,
}

/// Why the records of a name announce no policy, though something is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not as any record of this form is.
    #[error(transparent)]
    Form(#[from] TaggedError),
    /// RFC 8461, 3.1: required.
    #[error("there is no `id`")]
    NoId,
    /// RFC 8461, 3.1.
    #[error("`{0}` is no id: 1 to 32 letters and digits")]
    Id(String),
}

impl Record {
    /// Reads the texts of all TXT records of the name; each is the strings of one record joined. None where no record of
    /// MTA-STS is among them.
    pub fn read<T: AsRef<str>>(texts: &[T]) -> Result<Option<Self>, RecordError> {
        let Some(record) = tagged::select(texts, VERSION)? else { return Ok(None) };
        let fields = tagged::fields(record, VERSION, |name| name == "id")?;
        let id = fields.iter().find(|field| field.name == "id").ok_or(RecordError::NoId)?.value;
        let is_id = (1..=32).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric());
        if is_id { Ok(Some(Self { id: id.to_owned() })) } else { Err(RecordError::Id(id.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The first is that of RFC 8461, 3.1.
    #[rstest]
    #[case(&["v=STSv1; id=20160831085700Z;"], "20160831085700Z")]
    #[case(&["v=STSv1;id=a"], "a")]
    #[case(&["v=STSv1; id=a; later=thing; id=ignored"], "a")]
    fn records_are_read(#[case] texts: &[&str], #[case] id: &str) {
        assert_eq!(Record::read(texts), Ok(Some(Record { id: id.to_owned() })));
    }

    #[rstest]
    #[case(&["v=STSv1; id=2016-08-31;"], RecordError::Id("2016-08-31".to_owned()))]
    #[case(&["v=STSv1; id=;"], RecordError::Id(String::new()))]
    #[case(&["v=STSv1; id=123456789012345678901234567890123"], RecordError::Id("123456789012345678901234567890123".to_owned()))]
    #[case(&["v=STSv1; other=1"], RecordError::NoId)]
    #[case(&["v=STSv1;"], RecordError::Form(TaggedError::Empty))]
    #[case(&["v=STSv1; id=1", "v=STSv1; id=1"], RecordError::Form(TaggedError::Several(2)))]
    #[case(&["v=STSv1; id=1 2"], RecordError::Id("1 2".to_owned()))]
    fn what_announces_nothing_says_why(#[case] texts: &[&str], #[case] why: RecordError) {
        assert_eq!(Record::read(texts), Err(why));
    }

    #[test]
    fn others_are_none() {
        assert_eq!(Record::read(&["v=spf1 -all", "v=STSv1"]), Ok(None));
    }
}
