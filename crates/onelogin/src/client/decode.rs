//! Reading answers tolerantly: whatever the body holds, the outcome is a value or an error, never a panic.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads one object. An array of one in its place is taken, and so is an object that holds it as `data`.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let value = match parse(body)? {
        Value::Array(mut items) if items.len() == 1 => items.remove(0),
        Value::Array(items) => {
            return Err(format!(
                "an array of {} in the place of an object",
                items.len()
            ));
        }
        value => value,
    };
    read(unwrap_data(value, Value::is_object))
}

/// Reads a list. An object in its place is a list of one, and one that holds an array as `data` is that list.
pub(crate) fn list<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, String> {
    match unwrap_data(parse(body)?, Value::is_array) {
        Value::Null => Ok(Vec::new()),
        list @ Value::Array(_) => read(list),
        value => Ok(vec![read(value)?]),
    }
}

fn parse(body: &[u8]) -> Result<Value, String> {
    // What serde_json says of malformed JSON is a place and a reason, and quotes nothing.
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn unwrap_data(value: Value, wanted: fn(&Value) -> bool) -> Value {
    match value {
        Value::Object(mut map)
            if map.get("data").is_some_and(wanted) && !map.contains_key("id") =>
        {
            map.remove("data").unwrap_or_default()
        }
        value => value,
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    // Said here, since serde would quote the value, which may be a secret.
    let items = value
        .as_array()
        .map_or(std::slice::from_ref(&value), Vec::as_slice);
    if let Some(item) = items.iter().find(|item| !item.is_object()) {
        return Err(format!("{} in the place of an object", kind(item)));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        match error.path().to_string().as_str() {
            "." => error.inner().to_string(),
            path => format!("{path}: {}", error.inner()),
        }
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
