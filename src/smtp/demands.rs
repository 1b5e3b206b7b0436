//! Replies that demand TLS before anything else.

use super::Reply;

/// What names it.
const TLS: [&str; 4] = ["starttls", "tls", "encrypt", "ssl"];

impl Reply {
    /// Whether a command is refused because TLS has to come first. RFC 3207, 4 says 530; Exchange says 451. Both name the command,
    /// others name what it brings. A place in the web where more is to be read says nothing, whatever letters it has.
    pub fn demands_tls(&self) -> bool {
        let text = self.to_string().to_ascii_lowercase();
        // X.1.N is about an address, whatever its name; 503 is about an order of commands, and has to name this one.
        if self.code < 400 || self.code == 503 && !text.contains("starttls") || text.contains("5.1.") {
            return false;
        }
        let is_place = |word: &&str| word.contains("://") || word.starts_with("www.") || word.contains('@') || word.contains('/');
        let text = text.split_whitespace().filter(|word| !is_place(word)).collect::<Vec<_>>().join(" ");
        let is = |word: &str, any: &[&str]| any.iter().any(|stem| word.starts_with(stem));
        // "Authentication required. Only with TLS": the demand is another.
        let demands: &[&str] = match text.contains("authent") {
            true => &["require", "must", "need", "first", "mandatory"],
            false => &["require", "must", "need", "first", "mandatory", "only"],
        };
        // What is demanded stands beside the demand, in one clause.
        let insists = text.replace(". ", ";").split([';', ',']).any(|clause| {
            let words: Vec<&str> = clause.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
            words
                .iter()
                .enumerate()
                .filter(|(_, word)| is(word, &TLS))
                .any(|(at, _)| words[at.saturating_sub(4)..words.len().min(at + 5)].iter().any(|word| is(word, demands)))
        });
        insists && !self.calls_tls_optional()
    }

    /// Whether something is said to be optional.
    pub fn calls_tls_optional(&self) -> bool {
        self.speaks_of(&["optional", "not required", "not needed"])
    }
}
