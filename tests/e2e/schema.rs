//! Whether a value fits a JSON Schema of docs/schemas.

use serde_json::Value;

/// The part of JSON Schema that our schemas use.
pub fn fits(value: &Value, schema: &Value, path: &str) -> Result<(), String> {
    if let Some(options) = schema["anyOf"].as_array() {
        let tried: Vec<_> = options.iter().map(|o| fits(value, o, path)).collect();
        return if tried.iter().any(Result::is_ok) {
            Ok(())
        } else {
            tried.into_iter().next().unwrap_or(Ok(()))
        };
    }
    if let Some(constant) = schema.get("const") {
        return if value == constant {
            Ok(())
        } else {
            Err(format!("{path}: {value} is not {constant}"))
        };
    }
    if let Some(options) = schema["enum"].as_array() {
        return if options.contains(value) {
            Ok(())
        } else {
            Err(format!("{path}: {value} is none of {options:?}"))
        };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    assert!(!types.is_empty(), "{path}: the schema names no type");
    let is_type = types.iter().any(|t| match *t {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{path}: the schema uses {other}"),
    });
    if !is_type {
        return Err(format!("{path}: {value} is no {}", schema["type"]));
    }
    for item in value
        .as_array()
        .into_iter()
        .flatten()
        .filter(|_| schema.get("items").is_some())
    {
        fits(item, &schema["items"], &format!("{path}[]"))?;
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        match (
            schema["properties"].get(key),
            schema.get("additionalProperties"),
        ) {
            (Some(property), _) => fits(inner, property, &format!("{path}.{key}"))?,
            (None, Some(Value::Bool(false))) => {
                return Err(format!("{path}: {key} is not in the schema"));
            }
            (None, Some(more @ Value::Object(_))) => fits(inner, more, &format!("{path}.{key}"))?,
            (None, _) => {}
        }
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(key).is_none() {
            return Err(format!("{path}: {key} is missing"));
        }
    }
    Ok(())
}
