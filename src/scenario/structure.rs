//! Compares a TOML table with the schema: unknown and missing keys, wrong types, values
//! that are out of range or no names, all at once and each with its place.
//!
//! It knows the part of JSON Schema that [`schema`](super::schema()) generates, and the
//! definitions whose values JSON Schema cannot describe.

use std::{collections::BTreeSet, ops::Range};

use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    domain,
    error::{ScenarioError, did_you_mean, is_hostile, list, quote},
    schema::{
        ANY_RULE, CERTIFICATE_NAME, DURATION, EHLO_KEYWORD, EHLO_LINE, KIND, NAME, POLICY, RRSET, RULE, TLSA, VANTAGE,
        WRONG_NAME, ZONE_LINE,
    },
    types::DurationText,
};
use crate::name::{Name, NameError};

/// Everything in which the file departs from the schema.
pub(super) fn differences(schema: &Value, text: &str, table: &DeTable) -> Vec<ScenarioError> {
    let mut walk = Walk { schema, text, errors: Vec::new() };
    // A file has no line of its own to blame for what is missing in it.
    walk.table(schema, table, 0..0, "");
    walk.errors
}

struct Walk<'a> {
    schema: &'a Value,
    text: &'a str,
    errors: Vec<ScenarioError>,
}

impl<'a> Walk<'a> {
    /// A schema behind its reference, with the name of its definition.
    fn resolve(&self, node: &'a Value) -> (&'a str, &'a Value) {
        match node["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
            Some(name) => (name, &self.schema["$defs"][name]),
            None => ("", node),
        }
    }

    fn value(&mut self, node: &'a Value, value: &Spanned<DeValue>, path: &str) {
        let (definition, target) = self.resolve(node);
        let span = value.span();
        match (type_of(target), value.get_ref()) {
            ("object", DeValue::Table(table)) => self.table(target, table, span, path),
            ("array", DeValue::Array(array)) => self.array(node, target, array.iter(), span, path),
            ("string", DeValue::String(text)) => self.string(node, target, definition, text, span, path),
            ("boolean", DeValue::Boolean(on)) => {
                if !on && node["const"] == true {
                    let error = ScenarioError::at(span, format!("`{path}` is either `true` or absent"));
                    self.errors.push(error.label("says nothing").help("remove the line"));
                }
            }
            ("integer", DeValue::Integer(integer)) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                let (low, high) = (node["minimum"].as_i64().unwrap_or(i64::MIN), node["maximum"].as_i64().unwrap_or(i64::MAX));
                if !number.is_some_and(|number| (low..=high).contains(&number)) {
                    let message = format!("`{path}` must be a number from {low} to {high}");
                    self.errors.push(ScenarioError::at(span, message).label("out of range"));
                }
            }
            (expected, found) => self.wrong_type(expected, found, span, path),
        }
    }

    fn wrong_type(&mut self, expected: &str, found: &DeValue, span: Range<usize>, path: &str) {
        let (wanted, found_words) = (with_article(expected), with_article(found.type_str()));
        let mut error = ScenarioError::at(span.clone(), format!("`{path}` must be {wanted}, not {found_words}"));
        let is_scalar = !matches!(found, DeValue::Array(_) | DeValue::Table(_));
        let raw = self.text.get(span).unwrap_or_default();
        if expected == "string" && is_scalar && raw.len() < 40 {
            error = error.help(format!("quote it: \"{raw}\""));
        } else if expected == "array" && is_scalar && raw.len() < 40 {
            error = error.help(format!("put it into brackets: [{raw}]"));
        }
        self.errors.push(error.label(found_words));
    }

    fn table(&mut self, node: &'a Value, table: &DeTable, span: Range<usize>, path: &str) {
        let place = if path.is_empty() { "a scenario".to_owned() } else { format!("`[{path}]`") };
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let inner = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            if let Some(property) = node["properties"].get(name) {
                self.value(property, value, &inner);
            } else if node["additionalProperties"].is_object() {
                let (definition, names) = self.resolve(&node["propertyNames"]);
                let before = self.errors.len();
                self.string(names, names, definition, name, key.span(), &format!("a key of [{path}]"));
                if self.errors.len() == before {
                    self.value(&node["additionalProperties"], value, &inner);
                }
            } else {
                let keys = || node["properties"].as_object().into_iter().flat_map(|map| map.keys().map(String::as_str));
                let error = ScenarioError::at(key.span(), format!("unknown key {} in {place}", quote(name)));
                let elsewhere = self.tables_with(name).map(|table| format!("{} is a key of `[{table}]`", quote(name)));
                let help = elsewhere.or_else(|| did_you_mean(name, keys()));
                self.errors.push(error.label("unknown").maybe_help(help).help(list(name, "keys", keys())));
            }
        }
        for missing in node["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !table.keys().any(|key| key.get_ref() == missing) {
                let property = &node["properties"][missing];
                let is_table = type_of(self.resolve(property).1) == "object";
                let name = if is_table { format!("the table `[{missing}]`") } else { format!("the key `{missing}`") };
                let error = ScenarioError::at(span.clone(), format!("{place} needs {name}"));
                let what = property["description"].as_str().unwrap_or_default();
                self.errors.push(error.label(format!("no `{missing}`")).help(format!("`{missing}`: {what}")));
            }
        }
        if let Some(max) = node["maxProperties"].as_u64().filter(|max| (table.len() as u64) > *max) {
            let error = ScenarioError::at(span, format!("{place} has {} keys, at most {max} are possible", table.len()));
            self.errors.push(error.label("too many"));
        }
    }

    /// The table of the file, if there is one, that has this key.
    fn tables_with(&self, key: &str) -> Option<&'a str> {
        let tables = self.schema["properties"].as_object()?;
        tables.iter().find(|(_, node)| self.resolve(node).1["properties"].get(key).is_some()).map(|(name, _)| name.as_str())
    }

    fn array<'v>(
        &mut self,
        node: &'a Value,
        target: &'a Value,
        items: impl ExactSizeIterator<Item = &'v Spanned<DeValue<'v>>>,
        span: Range<usize>,
        path: &str,
    ) {
        let count = items.len() as u64;
        if node["minItems"].as_u64().is_some_and(|min| count < min) {
            self.errors.push(ScenarioError::at(span.clone(), format!("`{path}` cannot be empty")).label("empty"));
        }
        if let Some(max) = node["maxItems"].as_u64().filter(|max| count > *max) {
            let message = format!("`{path}` has {count} entries, at most {max} are possible");
            self.errors.push(ScenarioError::at(span, message).label("too many"));
        }
        let mut seen = BTreeSet::new();
        for item in items {
            self.value(&target["items"], item, path);
            if let Some(text) = item.get_ref().as_str()
                && !seen.insert(text.to_ascii_lowercase())
                && node["uniqueItems"] == true
            {
                let error = ScenarioError::at(item.span(), format!("{} stands twice in `{path}`", quote(text)));
                self.errors.push(error.label("again").help("remove one of them"));
            }
        }
    }

    fn string(&mut self, node: &Value, target: &Value, definition: &str, text: &str, span: Range<usize>, path: &str) {
        let error = match string_mistake(node, target, definition, text, path) {
            Ok(()) => return,
            Err(mistake) => mistake,
        };
        let located = ScenarioError::at(span, error.message).label(error.label);
        self.errors.push(error.help.into_iter().fold(located, ScenarioError::help));
    }
}

/// A mistake before its place is known.
struct Mistake {
    message: String,
    label: &'static str,
    help: Vec<String>,
}

impl Mistake {
    fn new(label: &'static str, message: String) -> Self {
        Self { message, label, help: Vec::new() }
    }

    fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help.extend(help.into());
        self
    }
}

fn string_mistake(node: &Value, target: &Value, definition: &str, text: &str, path: &str) -> Result<(), Mistake> {
    let allowed = allowed(target);
    if let Some(allowed) = &allowed {
        if allowed.contains(&text) {
            return Ok(());
        }
        let (noun, plural) = match definition {
            RULE | ANY_RULE => ("rule", "rules"),
            KIND => ("kind of server", "kinds"),
            POLICY => ("policy", "policies"),
            _ => ("value", "values"),
        };
        let message = format!("unknown {noun} {} in `{path}`", quote(text));
        return Err(Mistake::new("unknown", message).help(did_you_mean(text, allowed.iter().copied())).help(list(
            text,
            plural,
            allowed.iter().copied(),
        )));
    }
    let bound = |key| node[key].as_u64().or_else(|| target[key].as_u64());
    // Prose runs over several lines; anything else would break a report, or an SMTP reply, in two.
    let is_prose = matches!(path, "why" | "compound");
    let is_line_end =
        |c: char| is_prose && (c == '\n' || (c == '\r' && text.split('\r').skip(1).all(|rest| rest.starts_with('\n'))));
    if let Some(bad) = text.chars().find(|c| is_hostile(*c) && !is_line_end(*c)) {
        let message = format!("`{path}` holds the character U+{:04X}, which cannot be shown", u32::from(bad));
        let help = "control characters, line breaks and invisible characters would act on terminals and on the wire";
        return Err(Mistake::new("not printable", message).help(help.to_owned()));
    }
    let count = text.chars().count() as u64;
    if bound("minLength").is_some() && text.trim().is_empty() {
        return Err(Mistake::new("empty", format!("`{path}` cannot be empty")));
    }
    if let Some(max) = bound("maxLength").filter(|max| count > *max) {
        let message = format!("`{path}` has {count} characters, at most {max} are possible");
        return Err(Mistake::new("too long", message));
    }
    match definition {
        DURATION => DurationText::try_from(text.to_owned()).map(drop).map_err(|error| {
            let written = text.trim_start_matches(|c: char| c == '-' || c.is_whitespace());
            let positive = DurationText::try_from(written.to_owned()).is_ok();
            let help =
                if positive { "the key says past or future: write the length alone" } else { "write `3 days`, `12h`, `1y`" };
            Mistake::new("no duration", format!("`{path}`: {error}")).help(help.to_owned())
        }),
        NAME => host_name(text, path).and_then(|()| qualified(text, path)),
        CERTIFICATE_NAME => a_label(text, path).and_then(|()| host_name(text.strip_prefix("*.").unwrap_or(text), path)),
        // A wildcard in a wrong place is a fault worth serving.
        WRONG_NAME => a_label(text, path).and_then(|()| host_name(&text.replace('*', "x"), path)),
        VANTAGE => {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if text.chars().all(is_plain) {
                return Ok(());
            }
            let message = format!("{} cannot be the name of a vantage point", quote(text));
            Err(Mistake::new("bad name", message).help("use lower-case letters, digits and `-`".to_owned()))
        }
        ZONE_LINE => domain::zone_line(text).map(drop).map_err(|error| {
            let help = "a name, a type and data: `lab.test MX 10 mx.lab.test`; names are absolute";
            Mistake::new("no record", format!("`{path}`: {error}")).help(help.to_owned())
        }),
        RRSET => domain::rrset(text).map(drop).map_err(|error| {
            let help = "write the name and the type: `_25._tcp.mx.lab.test TLSA`";
            Mistake::new("no set of records", format!("`{path}`: {error}")).help(help.to_owned())
        }),
        TLSA if domain::tlsa_parameters(text).is_none() => {
            let message = format!("`{path}`: {} is no usage, selector and matching type", quote(text));
            Err(Mistake::new("no TLSA", message).help("three numbers from 0 to 255: `3 1 1`".to_owned()))
        }
        EHLO_KEYWORD | EHLO_LINE => ehlo_line(text, definition == EHLO_LINE, path),
        _ => Ok(()),
    }
}

/// The values of an enumeration; `schemars` writes one with descriptions as `oneOf`.
fn allowed(node: &Value) -> Option<Vec<&str>> {
    let options = node["oneOf"].as_array().map(|options| options.iter().filter_map(|option| option["const"].as_str()).collect());
    options.or_else(|| node["enum"].as_array().map(|values| values.iter().filter_map(Value::as_str).collect()))
}

fn host_name(text: &str, path: &str) -> Result<(), Mistake> {
    match Name::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let help = match error {
                NameError::Character('*') => "a wildcard stands for the whole first label of a certificate's name: `*.lab.test`",
                _ => "a host name is letters, digits, `-` and `.`: `mx.lab.test`",
            };
            Err(Mistake::new("no host name", format!("`{path}`: {error}")).help(help.to_owned()))
        }
    }
}

/// The correct world has no short names: its greeting would already be a fault (RFC 5321, 2.3.5).
fn qualified(text: &str, path: &str) -> Result<(), Mistake> {
    if Name::parse(text).is_ok_and(|name| name.is_qualified()) {
        return Ok(());
    }
    let message = format!("`{path}`: {} is not fully qualified", quote(text));
    let help = "such as `mx.lab.test`; the faults `greeting-name`, `ehlo-name` and `wrong-names` are for short names";
    Err(Mistake::new("short", message).help(help.to_owned()))
}

/// A dNSName is an IA5String (RFC 5280, 4.2.1.6).
fn a_label(text: &str, path: &str) -> Result<(), Mistake> {
    if text.is_ascii() {
        return Ok(());
    }
    let help = Name::parse(text).ok().map(|name| format!("write the A-labels: `{name}`"));
    Err(Mistake::new("not ASCII", format!("`{path}`: {} cannot stand in a certificate", quote(text))).help(help))
}

/// A keyword is letters, digits and `-`; a parameter is printable ASCII (RFC 5321, 4.1.1.1).
fn ehlo_line(text: &str, with_parameters: bool, path: &str) -> Result<(), Mistake> {
    let mut words = text.split(' ');
    let keyword = words.next().unwrap_or_default();
    let is_keyword = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
        && keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let parameters: Vec<&str> = words.collect();
    let are_parameters = parameters.iter().all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic()));
    if !is_keyword || !are_parameters || !(with_parameters || parameters.is_empty()) {
        let help = if with_parameters { "such as `SIZE 35882577`" } else { "such as `SIZE`, without parameters" };
        let message = format!("`{path}`: {} is no EHLO keyword", quote(text));
        return Err(Mistake::new("no EHLO keyword", message).help(help.to_owned()));
    }
    if keyword.eq_ignore_ascii_case("STARTTLS") {
        let message = format!("`{path}` cannot hold STARTTLS: the lab decides where it is offered");
        let help = "the faults `starttls-off`, `starttls-only-to` and `starttls-masked` change the offer";
        return Err(Mistake::new("not here", message).help(help.to_owned()));
    }
    Ok(())
}

fn type_of(node: &Value) -> &str {
    // An enumeration with descriptions states its type in each option.
    node["type"].as_str().or_else(|| node["oneOf"][0]["type"].as_str()).unwrap_or_default()
}

fn with_article(kind: &str) -> &'static str {
    match kind {
        "object" | "table" => "a table",
        "array" => "an array",
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "`true` or `false`",
        _ => "a date or time",
    }
}
