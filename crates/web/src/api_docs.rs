//! `GET /docs`: the API reference, drawn from an OpenAPI document on the server, with nothing fetched from outside.
use crate::Locale;
use crate::parts::with_query;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How deep a schema is unfolded. Deeper objects are named only.
const DEPTH: usize = 3;
/// How many rows a schema's table may have.
const ROWS: usize = 160;
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The API reference.
#[derive(Debug, Clone)]
pub struct ApiDocs {
    /// The OpenAPI 3 document.
    pub spec: Value,
    /// Where the API answers, for the samples: `http://127.0.0.1:8080`.
    pub base_url: String,
    /// Path and query of this page.
    pub here: String,
    /// Whether real money moves.
    pub live: bool,
}

struct Group {
    tag: String,
    words: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    words: String,
    deprecated: bool,
    parameters: Vec<Row>,
    request: Vec<Row>,
    replies: Vec<Reply>,
    curl: String,
}

struct Reply {
    status: String,
    tone: &'static str,
    words: String,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    depth: usize,
    kind: String,
    required: bool,
    words: String,
    choices: String,
}

impl ApiDocs {
    fn in_locale(&self, locale: Locale) -> String {
        with_query(&self.here, "locale", locale.tag())
    }

    fn text(&self, pointer: &str) -> String {
        self.spec
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    fn title(&self) -> String {
        self.text("/info/title")
    }

    fn version(&self) -> String {
        self.text("/info/version")
    }

    fn words(&self) -> String {
        self.text("/info/description")
    }

    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for tag in self.spec["tags"].as_array().into_iter().flatten() {
            let (tag, words) = (string(&tag["name"]), string(&tag["description"]));
            groups.push(Group {
                tag,
                words,
                operations: Vec::new(),
            });
        }
        for (path, item) in self.spec["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let Some(operation) = item.get(method) else {
                    continue;
                };
                let tag = operation["tags"][0].as_str().unwrap_or("API");
                let at = groups
                    .iter()
                    .position(|group| group.tag == tag)
                    .unwrap_or_else(|| {
                        groups.push(Group {
                            tag: tag.to_owned(),
                            words: String::new(),
                            operations: Vec::new(),
                        });
                        groups.len() - 1
                    });
                groups[at]
                    .operations
                    .push(self.operation(path, method, item, operation));
            }
        }
        groups.retain(|group| !group.operations.is_empty());
        groups
    }

    fn operation(&self, path: &str, method: &str, item: &Value, operation: &Value) -> Operation {
        let parameters = [&item["parameters"], &operation["parameters"]];
        let parameters = parameters
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .map(|parameter| {
                let parameter = self.resolve(parameter);
                Row {
                    name: string(&parameter["name"]),
                    depth: 0,
                    kind: format!("{} {}", string(&parameter["in"]), self.kind(&parameter["schema"])),
                    required: parameter["required"] == true,
                    words: string(&parameter["description"]),
                    choices: choices(self.resolve(&parameter["schema"])),
                }
            });
        let body = self.body_schema(self.resolve(&operation["requestBody"]));
        let replies = operation["responses"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(status, reply)| {
                let reply = self.resolve(reply);
                Reply {
                    tone: match status.as_bytes().first() {
                        Some(b'2') => "good",
                        Some(b'3') => "quiet",
                        _ => "bad",
                    },
                    status: status.clone(),
                    words: string(&reply["description"]),
                    rows: self
                        .body_schema(reply)
                        .map_or_else(Vec::new, |schema| self.rows(schema)),
                }
            });
        Operation {
            id: anchor(method, path),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: string(&operation["summary"]),
            words: string(&operation["description"]),
            deprecated: operation["deprecated"] == true,
            parameters: parameters.collect(),
            request: body.map_or_else(Vec::new, |schema| self.rows(schema)),
            replies: replies.collect(),
            curl: self.curl(path, method, body),
        }
    }

    /// The schema of a body, whichever of the media types it comes in.
    fn body_schema<'a>(&'a self, holder: &'a Value) -> Option<&'a Value> {
        let content = holder["content"].as_object()?;
        let media = content
            .get("application/json")
            .or_else(|| content.values().next())?;
        media.get("schema")
    }

    /// Follows `$ref` within the document; a reference that leads nowhere or in a ring is null.
    fn resolve<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        for _ in 0..8 {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return value;
            };
            value = reference
                .strip_prefix('#')
                .and_then(|p| self.spec.pointer(p))
                .unwrap_or(&Value::Null);
        }
        &Value::Null
    }

    fn rows(&self, schema: &Value) -> Vec<Row> {
        let mut rows = Vec::new();
        self.collect(schema, 0, &mut rows);
        rows
    }

    fn collect(&self, schema: &Value, depth: usize, rows: &mut Vec<Row>) {
        let schema = self.resolve(schema);
        if depth > DEPTH || rows.len() >= ROWS {
            return;
        }
        for part in ["allOf", "oneOf", "anyOf"] {
            for inner in schema[part].as_array().into_iter().flatten() {
                if self.resolve(inner)["type"] != "null" {
                    self.collect(inner, depth, rows);
                }
            }
        }
        if let Some(items) = schema.get("items") {
            return self.collect(items, depth, rows);
        }
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if rows.len() >= ROWS {
                return;
            }
            let resolved = self.resolve(property);
            let words = [&property["description"], &resolved["description"]];
            rows.push(Row {
                name: name.clone(),
                depth,
                kind: self.kind(property),
                required: required.contains(&name.as_str()),
                words: words
                    .into_iter()
                    .map(string)
                    .find(|text| !text.is_empty())
                    .unwrap_or_default(),
                choices: choices(resolved),
            });
            self.collect(property, depth + 1, rows);
        }
    }

    fn kind(&self, schema: &Value) -> String {
        let resolved = self.resolve(schema);
        let mut kinds: Vec<String> = match &resolved["type"] {
            Value::String(kind) => vec![kind.clone()],
            Value::Array(kinds) => kinds.iter().map(string).collect(),
            _ => Vec::new(),
        };
        if kinds.is_empty() {
            let parts = ["oneOf", "anyOf", "allOf"]
                .into_iter()
                .filter_map(|part| resolved[part].as_array());
            kinds = parts.flatten().map(|inner| self.kind_of_part(inner)).collect();
        }
        let mut text = kinds.join(" | ");
        if text == "array" {
            text = format!("array<{}>", self.kind_of_part(&resolved["items"]));
        }
        if let Some(format) = resolved["format"].as_str() {
            let _ = write!(text, " ({format})");
        }
        if text.is_empty() { "any".to_owned() } else { text }
    }

    /// The type of an inner schema: its name when it is a reference, so that rings end.
    fn kind_of_part(&self, schema: &Value) -> String {
        if let Some(reference) = schema["$ref"].as_str() {
            return reference.rsplit('/').next().unwrap_or_default().to_owned();
        }
        schema["type"].as_str().unwrap_or("object").to_owned()
    }

    fn curl(&self, path: &str, method: &str, body: Option<&Value>) -> String {
        let mut text = format!("curl {}{path}", self.base_url);
        if method != "get" {
            let _ = write!(text, " \\\n  -X {}", method.to_uppercase());
        }
        text.push_str(" \\\n  -u \"$KESSAI_SECRET_KEY:\"");
        if let Some(schema) = body {
            let sample = serde_json::to_string_pretty(&self.sample(schema, 0)).unwrap_or_default();
            let _ = write!(
                text,
                " \\\n  -H 'content-type: application/json' \\\n  -d '{}'",
                sample.replace('\'', "'\\''")
            );
        }
        text
    }

    /// A body that could be sent: examples where the document has them, required and exampled fields only.
    fn sample(&self, schema: &Value, depth: usize) -> Value {
        let resolved = self.resolve(schema);
        for known in [
            &schema["example"],
            &resolved["example"],
            &resolved["examples"][0],
            &resolved["default"],
        ] {
            if !known.is_null() {
                return known.clone();
            }
        }
        if let Some(first) = resolved["enum"].get(0) {
            return first.clone();
        }
        if depth > DEPTH {
            return Value::Null;
        }
        if let Some(properties) = resolved["properties"].as_object() {
            let required = |name: &String| {
                resolved["required"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|item| item == name.as_str()))
            };
            let wanted = properties.iter().filter(|(name, property)| {
                required(name)
                    || !property["example"].is_null()
                    || !self.resolve(property)["example"].is_null()
            });
            return wanted
                .map(|(name, property)| (name.clone(), self.sample(property, depth + 1)))
                .collect();
        }
        match self.kind(schema).split([' ', '<']).next() {
            Some("integer" | "number") => json!(1000),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("string") => json!("…"),
            _ => json!({}),
        }
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let spec = json!({
            "openapi": "3.1.0",
            "info": { "title": "Kessai API", "version": "0.1.0",
                "description": "Compatible with KOMOJU's v1: change the base URL of an existing SDK." },
            "tags": [
                { "name": "Sessions", "description": "One checkout: amount, lines, offered methods, where to return." },
                { "name": "Payments", "description": "Take, capture, refund." }
            ],
            "paths": {
                "/api/v1/sessions": { "post": {
                    "tags": ["Sessions"], "summary": "Open a session",
                    "description": "Answers with a session whose session_url the shopper is sent to.",
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewSession" } } } },
                    "responses": {
                        "200": { "description": "The session", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Session" } } } },
                        "422": { "description": "Something in the request is wrong; nothing was changed" }
                    } } },
                "/api/v1/payments/{id}": { "get": {
                    "tags": ["Payments"], "summary": "Show a payment",
                    "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
                    "responses": { "200": { "description": "The payment", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Payment" } } } }, "404": { "description": "No such payment" } } } },
                "/api/v1/payments/{id}/refund": { "post": {
                    "tags": ["Payments"], "summary": "Refund", "description": "All that is left, or an amount.",
                    "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
                    "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": {
                        "amount": { "type": "integer", "example": 1980, "description": "Tax included" } } } } } },
                    "responses": { "200": { "description": "The payment" } } } }
            },
            "components": { "schemas": {
                "NewSession": { "type": "object", "required": ["amount", "currency"], "properties": {
                    "amount": { "type": "integer", "example": 3980, "description": "What is to be paid, taxes included" },
                    "currency": { "type": "string", "example": "JPY", "description": "ISO 4217" },
                    "return_url": { "type": "string", "format": "uri", "example": "https://shop.example/return" },
                    "line_items": { "type": "array", "items": { "$ref": "#/components/schemas/Line" } } } },
                "Line": { "type": "object", "properties": {
                    "description": { "type": "string" }, "quantity": { "type": "integer" } } },
                "Session": { "type": "object", "required": ["id", "status"], "properties": {
                    "id": { "type": "string" },
                    "status": { "type": "string", "enum": ["pending", "completed", "cancelled"] },
                    "session_url": { "type": "string", "format": "uri" },
                    "payment": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Payment" }] } } },
                "Payment": { "type": "object", "required": ["id"], "properties": {
                    "id": { "type": "string" }, "total": { "type": "integer" },
                    "session": { "$ref": "#/components/schemas/Session" } } }
            } }
        });
        let page = Self {
            spec,
            base_url: "http://127.0.0.1:8080".into(),
            here: "/docs".into(),
            live: false,
        };
        let empty = Self {
            spec: json!({}),
            live: true,
            ..page.clone()
        };
        vec![("api", page), ("empty", empty)]
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn choices(schema: &Value) -> String {
    let names = schema["enum"].as_array().into_iter().flatten();
    names
        .map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned))
        .collect::<Vec<_>>()
        .join(", ")
}

fn anchor(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for c in path.chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c);
        } else if !id.ends_with('-') {
            id.push('-');
        }
    }
    id.trim_end_matches('-').to_owned()
}

crate::page!(ApiDocs, ApiDocsView, "docs/api.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_hold_each_other_end() {
        let (_, docs) = ApiDocs::sample_data().remove(0);
        let rows = docs.rows(&json!({ "$ref": "#/components/schemas/Payment" }));
        assert!(rows.len() < ROWS);
        assert!(rows.iter().any(|row| row.name == "status" && row.depth == 1));
        let ring = ApiDocs {
            spec: json!({ "a": { "$ref": "#/a" } }),
            ..docs
        };
        assert!(ring.resolve(&json!({ "$ref": "#/a" })).is_null());
    }

    #[test]
    fn the_sample_call_can_be_pasted_into_a_shell() {
        let (_, docs) = ApiDocs::sample_data().remove(0);
        let schema = json!({ "type": "object", "properties": { "name": { "example": "it's" } } });
        let curl = docs.curl("/x", "post", Some(&schema));
        assert!(curl.contains(r"it'\''s"), "{curl}");
    }
}
