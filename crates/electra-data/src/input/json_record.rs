//! One JSON record: its text, found at a key or below several, parsed with serde_json, which builds nothing of what is not
//! asked for.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Where in a record the text stands.
pub(super) struct Key<'k> {
    pub whole: &'k str,
    path: Vec<&'k str>,
}

impl<'k> Key<'k> {
    pub(super) fn new(whole: &'k str) -> Self {
        Self { whole, path: whole.split('.').collect() }
    }

    pub(super) fn seed(&self) -> TextAt<'_> {
        TextAt { literal: (self.path.len() > 1).then_some(self.whole), path: &self.path, is_record: true }
    }
}

/// What stands in the text's place.
pub(super) enum Found {
    Text(String),
    Null,
    /// Something else, with its article.
    Other(&'static str),
    Missing,
}

/// Picks the text at a path out of a value, without building the rest. Strings in a list are lines of one document.
#[derive(Clone, Copy)]
pub(super) struct TextAt<'k> {
    /// The key as a whole, dots and all: it wins over the path.
    literal: Option<&'k str>,
    path: &'k [&'k str],
    /// A record that is itself a string is the text.
    is_record: bool,
}

impl TextAt<'_> {
    fn scalar<E: Error>(self, what: &'static str) -> Result<Found, E> {
        Ok(if self.path.is_empty() { Found::Other(what) } else { Found::Missing })
    }
}

impl<'de> DeserializeSeed<'de> for TextAt<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextAt<'_> {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "a record")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(if self.path.is_empty() || self.is_record { Found::Text(text.into()) } else { Found::Missing })
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Found, E> {
        Ok(if self.path.is_empty() || self.is_record { Found::Text(text) } else { Found::Missing })
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        self.scalar("true or false")
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        self.scalar("a number")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        self.scalar("a number")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        self.scalar("a number")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let mut texts: Vec<String> = Vec::new();
        let mut other = None;
        let mut elements = 0;
        while let Some(found) = list.next_element_seed(TextAt { literal: None, ..self })? {
            elements += 1;
            match found {
                Found::Text(text) => texts.push(text),
                Found::Null => {}
                Found::Missing => other = other.or(Some(Found::Missing)),
                Found::Other(_) => other = Some(Found::Other("a list of other things than strings")),
            }
        }
        Ok(match other {
            Some(found @ Found::Other(_)) => found,
            Some(found) if texts.is_empty() => found,
            _ if elements == 0 => Found::Null,
            _ => Found::Text(texts.join("\n")),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((&head, rest)) = self.path.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Other("an object"));
        };
        let (mut literal, mut nested) = (None, None);
        while let Some(key) = map.next_key_seed(WhichKey { literal: self.literal, head })? {
            match key {
                Which::Literal => {
                    literal = Some(map.next_value_seed(TextAt { literal: None, path: &[], is_record: false })?);
                }
                Which::Head => {
                    nested = Some(map.next_value_seed(TextAt { literal: None, path: rest, is_record: false })?);
                }
                Which::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(literal.or(nested).unwrap_or(Found::Missing))
    }
}

enum Which {
    Literal,
    Head,
    Other,
}

/// Compares a key without keeping it.
struct WhichKey<'k> {
    literal: Option<&'k str>,
    head: &'k str,
}

impl<'de> DeserializeSeed<'de> for WhichKey<'_> {
    type Value = Which;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Which, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WhichKey<'_> {
    type Value = Which;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Which, E> {
        Ok(if self.literal == Some(key) {
            Which::Literal
        } else if key == self.head {
            Which::Head
        } else {
            Which::Other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse_json;

    fn text_of(record: &str, key: &str) -> Option<String> {
        let key = Key::new(key);
        match parse_json(record, |parser| key.seed().deserialize(parser)) {
            Ok(Found::Text(text)) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn texts_are_found_below_keys_and_in_lists() {
        for (record, key, text) in [
            (r#"{"id": 1, "text": "one"}"#, "text", "one"),
            (r#"{"document": {"id": 1, "body": "one"}}"#, "document.body", "one"),
            (r#"{"document": {"body": "two"}, "document.body": "one"}"#, "document.body", "one"),
            (r#"{"document.body": "one", "document": {"body": "two"}}"#, "document.body", "one"),
            (r#"{"text": ["one", null, "two"]}"#, "text", "one\ntwo"),
            (r#"{"turns": [{"text": "one"}, {"who": 1}, {"text": "two"}]}"#, "turns.text", "one\ntwo"),
            (r#"{"a": {"b": {"c": "deep"}}}"#, "a.b.c", "deep"),
            (r#""a record that is a string""#, "text", "a record that is a string"),
        ] {
            assert_eq!(text_of(record, key).as_deref(), Some(text), "{record}");
        }
        for (record, key) in [
            (r#"{"text": 5}"#, "text"),
            (r#"{"text": ["one", 5]}"#, "text"),
            (r#"{"text": {"body": "one"}}"#, "text"),
            (r#"{"document": "one"}"#, "document.body"),
            ("5", "text"),
        ] {
            assert_eq!(text_of(record, key), None, "{record}");
        }
    }

    #[test]
    fn what_python_writes_is_read() {
        for (record, text) in [
            (r#"{"text": "a \ud83d b", "x": [NaN, -Infinity, Infinity]}"#, "a \u{fffd} b"),
            (r#"{"text": "\udc00\ud83d\ude00\ud83d"}"#, "\u{fffd}😀\u{fffd}"),
            (r#"{"text": "NaN \"Infinity\" \\", "y": NaN}"#, "NaN \"Infinity\" \\"),
            ("{\"text\": \"a\ttab\"}", "a\ttab"),
        ] {
            assert_eq!(text_of(record, "text").as_deref(), Some(text), "{record}");
        }
        for broken in [r#"{"text": "cut"#, r#"{"text": NaNa}"#, r#"{"text": 'one'}"#, r#"{"text": "one"},"#] {
            assert!(parse_json(broken, |parser| Key::new("text").seed().deserialize(parser)).is_err(), "{broken}");
        }
    }
}
