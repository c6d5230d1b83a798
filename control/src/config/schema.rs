//! The JSON Schema of the configuration file, for editors, for the reference and for checking.

use super::path::Path;
use super::raw;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

/// The schema, draft 2020-12, without references.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(NoNull)
        .with_transform(Tidy);
    let mut schema = settings.into_generator().into_root_schema_for::<raw::Gateway>().to_value();
    schema["title"] = json!("Weir gateway");
    schema
}

/// The schema of the value at `path` of a configuration, as far as there is one.
pub(super) fn subschema<'a>(schema: &'a Value, path: &Path) -> Option<&'a Value> {
    path.steps().try_fold(schema, |schema, step| match schema.get("items") {
        Some(items) => Some(items),
        None => schema.get("properties")?.get(&step),
    })
}

/// A key may be left out, but not left empty: `Option` means absent, never `null`.
#[derive(Clone, Debug)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                object["type"] = only.clone();
            }
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        let alone = match object.get_mut("anyOf") {
            Some(Value::Array(choices)) => {
                choices.retain(|choice| choice["type"] != "null");
                if choices.len() == 1 { choices.pop() } else { None }
            }
            _ => None,
        };
        if let Some(Value::Object(alone)) = alone {
            object.remove("anyOf");
            for (keyword, value) in alone {
                object.entry(keyword).or_insert(value);
            }
        }
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
    }
}

/// Leaves out Rust's number formats, the defaults of what is required, and those of whole sections, which their
/// keys repeat.
#[derive(Clone, Debug)]
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        object.remove("format");
        let required = object.get("required").cloned().unwrap_or_default();
        if let Some(Value::Object(keys)) = object.get_mut("properties") {
            for key in required.as_array().into_iter().flatten().filter_map(Value::as_str) {
                keys.get_mut(key).and_then(Value::as_object_mut).map(|key| key.remove("default"));
            }
            object.remove("default");
        }
    }
}
