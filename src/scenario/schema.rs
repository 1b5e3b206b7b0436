//! The JSON Schema of a scenario file (draft 2020-12), for editors and for
//! [`parse`](super::parse()) itself.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema, transform::RecursiveTransform};
use serde_json::{Value, json};

use super::{tls::HandshakeEnd as HandshakeEndValue, types::Scenario};
use crate::{
    finding::{Practice, Verdict},
    tls::{Group, SignatureScheme, Suite},
};

/// Names that a scenario refers to and that other modules define.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The ids of all rules.
    pub rules: &'a [&'a str],
    /// The kinds of server: the ids of all personas.
    pub kinds: &'a [&'a str],
    /// The names of all policies.
    pub policies: &'a [&'a str],
}

/// The schema of a scenario file, with the rules, kinds and policies of `known` as enumerations.
pub fn schema(known: &Known) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.transforms.push(Box::new(RecursiveTransform(without_null)));
    let mut schema = settings.into_generator().into_root_schema_for::<Scenario>().to_value();
    schema["$id"] = json!("urn:mtalab:scenario");
    schema["title"] = json!("mtalab scenario");
    schema["$defs"][RULE]["enum"] = json!(known.rules);
    schema["$defs"][ANY_RULE]["enum"] = std::iter::once("*").chain(known.rules.iter().copied()).collect();
    schema["$defs"][KIND]["enum"] = json!(known.kinds);
    schema["$defs"][POLICY]["enum"] = json!(known.policies);
    schema["$defs"][HANDSHAKE_END]["enum"] = json!(HandshakeEndValue::texts());
    let suites = [Suite::up_to_tls12(), Suite::tls13(), Suite::ssl2()].concat();
    schema["$defs"]["Suite"]["enum"] = suites.into_iter().filter_map(Suite::name).collect();
    schema["$defs"]["Group"]["enum"] = Group::NAMED.iter().map(|(_, name)| *name).collect();
    schema["$defs"]["SignatureScheme"]["enum"] = SignatureScheme::NAMED.iter().map(|(_, name)| *name).collect();
    schema
}

/// TOML has no null: a key that may be absent is simply not required.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(types) = object.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut options)) = object.get("anyOf").cloned() {
        options.retain(|option| option["type"] != "null");
        if let [Value::Object(only)] = options.as_slice() {
            object.remove("anyOf");
            // The property's own description is the more specific one.
            only.iter().for_each(|(key, value)| _ = object.entry(key).or_insert_with(|| value.clone()));
        }
    }
    // A default of `null` or of an empty table says nothing to the author.
    object.remove("default");
    // `uint16` is no format of JSON Schema.
    object.remove("format");
}

/// A type that exists only as a named definition of the schema. The parser checks values by
/// the name of their definition where JSON Schema cannot.
macro_rules! definitions {
    ($($constant:ident = $type:ident $name:literal: $schema:tt)+) => {
        $(
            pub(super) const $constant: &str = $name;

            pub(super) enum $type {}

            impl JsonSchema for $type {
                fn schema_name() -> Cow<'static, str> {
                    $constant.into()
                }
                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )+
    };
}

definitions! {
    RULE = RuleId "RuleId": { "type": "string", "description": "The id of a rule: `certificate-expired`." }
    ANY_RULE = AnyRuleId "RuleIdOrOthers": { "type": "string", "description": "The id of a rule, or `*`: every rule that is not in `must`." }
    KIND = Kind "Kind": { "type": "string", "description": "A kind of server: the id of a persona." }
    POLICY = PolicyName "Policy": { "type": "string", "description": "The name of a policy: `mtalab`." }
    HANDSHAKE_END = HandshakeEnd "HandshakeEnd": {
        "type": "string", "description": "What the server does: `alert:` and the alert's name, `close`, `reset`, `garbage`, `silence` or `drip`.",
    }
    VANTAGE = VantageName "VantageName": {
        "type": "string", "description": "The name of a vantage point.", "pattern": "^[a-z0-9-]+$", "minLength": 1, "maxLength": 32,
    }
    CERTIFICATE_NAME = CertificateName "CertificateName": {
        "type": "string", "description": "A host name in A-label form; its whole first label may be `*`.", "minLength": 1, "maxLength": 253,
    }
    WRONG_NAME = WrongName "WrongName": {
        "type": "string", "description": "A name in A-label form, with a `*` anywhere: it is there to be wrong.", "minLength": 1, "maxLength": 253,
    }
    EHLO_KEYWORD = EhloKeyword "EhloKeyword": {
        "type": "string", "description": "An EHLO keyword without parameters.", "pattern": "^[A-Za-z0-9][A-Za-z0-9-]*$", "maxLength": 64,
    }
    EHLO_LINE = EhloLine "EhloLine": {
        "type": "string", "description": "An EHLO keyword and its parameters, as the server says it: `SIZE 35882577`.", "minLength": 1, "maxLength": 500,
    }
    TLSA = TlsaText "Tlsa": {
        "type": "string", "description": "Certificate usage, selector and matching type of a TLSA record: `3 1 1`.", "pattern": "^[0-9]{1,3} [0-9]{1,3} [0-9]{1,3}$", "minLength": 5, "maxLength": 11,
    }
    ZONE_LINE = ZoneLine "ZoneLine": {
        "type": "string", "description": "A line of a zone file: a name, a type and data. Names are absolute, with or without their final dot.", "minLength": 1, "maxLength": 8000,
    }
    RRSET = RrsetText "Rrset": {
        "type": "string", "description": "The name and the type of a set of records: `lab.test MX`.", "minLength": 3, "maxLength": 300,
    }
    POLICY_LINE = PolicyLine "PolicyLine": {
        "type": "string", "description": "A line of an MTA-STS policy, or the pattern in it, as it is to be served.", "maxLength": 8000,
    }
    DURATION = Duration "Duration": { "type": "string", "description": "A duration: `3 days`, `12h`, `1y`.", "minLength": 1 }
}

/// The definition that `Name`'s own [`JsonSchema`] makes.
pub(super) const NAME: &str = "Name";

impl VantageName {
    /// A reference to the definition, for the keys of a table.
    pub(super) fn reference() -> Value {
        json!({ "$ref": format!("#/$defs/{VANTAGE}") })
    }
}

/// A table from practice to verdict, spelled out so that editors complete the keys.
pub(super) enum Verdicts {}

impl JsonSchema for Verdicts {
    fn schema_name() -> Cow<'static, str> {
        "Verdicts".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let verdict = generator.subschema_for::<Verdict>().to_value();
        let mut schema =
            json_schema!({ "type": "object", "description": "Verdicts by practice.", "additionalProperties": false });
        for practice in Practice::ALL {
            let mut property = verdict.clone();
            property["description"] = json!(format!("Practice {}: {}.", practice.number(), practice.title()));
            schema.ensure_object().entry("properties").or_insert_with(|| json!({}))[practice.id()] = property;
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { rules: &["certificate-expired", "weak-rsa-key"], kinds: &["postfix"], policies: &["mtalab"] };

    /// Every schema below this one, itself included, with its path.
    fn subschemas<'a>(path: &str, node: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        found.push((path.to_owned(), node));
        for (key, value) in node.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("properties" | "$defs", Value::Object(map)) => {
                    map.iter().for_each(|(name, value)| subschemas(&format!("{path}/{key}/{name}"), value, found));
                }
                ("items" | "additionalProperties" | "propertyNames", Value::Object(_)) => {
                    subschemas(&format!("{path}/{key}"), value, found)
                }
                ("oneOf", Value::Array(options)) => {
                    options.iter().for_each(|option| subschemas(&format!("{path}/oneOf"), option, found))
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_property_is_described_and_none_is_null() {
        let schema = schema(&KNOWN);
        let mut found = Vec::new();
        subschemas("", &schema, &mut found);
        assert!(found.len() > 100, "only {} schemas were found", found.len());
        for (path, node) in found {
            let is_named = path.rsplit('/').nth(1).is_some_and(|parent| parent == "properties" || parent == "$defs");
            assert!(!is_named || node["description"].is_string(), "{path} has no description");
            let text = node.to_string();
            assert!(!text.contains(":null") && !text.contains("\"null\""), "{path} mentions null");
            assert!(
                node["$ref"].is_string() || node["type"].is_string() || node["oneOf"].is_array() || node["const"].is_string(),
                "{path}: {node}"
            );
        }
    }

    #[test]
    fn the_parser_understands_every_keyword() {
        const UNDERSTOOD: &[&str] = &[
            "$schema",
            "$id",
            "$defs",
            "$ref",
            "title",
            "description",
            "type",
            "properties",
            "additionalProperties",
            "propertyNames",
            "required",
            "items",
            "enum",
            "oneOf",
            "const",
            "minItems",
            "maxItems",
            "uniqueItems",
            "maxProperties",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "pattern",
        ];
        let schema = schema(&KNOWN);
        let mut found = Vec::new();
        subschemas("", &schema, &mut found);
        for (path, node) in found {
            for key in node.as_object().unwrap().keys() {
                assert!(UNDERSTOOD.contains(&key.as_str()), "{path}: the keyword {key} is new to `structure`");
            }
        }
    }

    #[test]
    fn the_caller_names_rules_and_kinds() {
        let schema = schema(&KNOWN);
        let enumeration = |path: &str| {
            let reference = schema.pointer(path).unwrap()["items"]["$ref"].as_str().unwrap();
            schema.pointer(reference.trim_start_matches('#')).unwrap()["enum"].to_string()
        };
        for table in ["Expect", "ExpectFrom"] {
            assert_eq!(enumeration(&format!("/$defs/{table}/properties/must")), r#"["certificate-expired","weak-rsa-key"]"#);
            assert_eq!(
                enumeration(&format!("/$defs/{table}/properties/must-not")),
                r#"["*","certificate-expired","weak-rsa-key"]"#
            );
        }
        assert_eq!(enumeration("/$defs/ServerSpec/properties/kinds"), r#"["postfix"]"#);
    }

    #[test]
    fn the_table_of_faults_names_every_key() {
        let schema = schema(&KNOWN);
        let keys: Vec<&str> = schema["$defs"]["Faults"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(super::super::types::Faults::KEYS, &keys[1..]);
        assert_eq!(keys[0], "at", "where a fault is, is none");
    }

    #[test]
    fn bounds_reach_the_schema() {
        let schema = schema(&KNOWN);
        let shown = [
            &schema["properties"]["title"],
            &schema["properties"]["vantage"],
            &schema["properties"]["compound"],
            &schema["$defs"]["Faults"]["properties"]["weak-key"],
            &schema["$defs"]["Faults"]["properties"]["wrong-names"],
            &schema["$defs"]["Faults"]["properties"]["self-signed"],
            &schema["$defs"]["Faults"]["properties"]["expired"],
        ];
        insta::assert_snapshot!(shown.map(Value::to_string).join("\n"), @r##"
        {"type":"string","description":"What is wrong, in one line.","minLength":1,"maxLength":100}
        {"type":"object","additionalProperties":{"$ref":"#/$defs/VantageSpec"},"description":"Where it is looked at from; one vantage point called `here` if absent.","maxProperties":8,"propertyNames":{"$ref":"#/$defs/VantageName"}}
        {"type":"string","description":"Why this scenario has more than one fault; forbidden with one, required with more.","minLength":1,"maxLength":1000}
        {"type":"integer","description":"An RSA key of so many bits, 512 to 2047.","minimum":512,"maximum":2047}
        {"type":"array","items":{"$ref":"#/$defs/WrongName"},"description":"The certificate names these hosts instead.","minItems":1,"maxItems":64,"uniqueItems":true}
        {"type":"boolean","description":"The certificate is signed by its own key.","const":true}
        {"description":"The certificate expired so long ago.","$ref":"#/$defs/Duration"}
        "##);
    }
}
