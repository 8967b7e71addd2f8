//! AMF0, as far as RTMP peers use it.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Boolean(bool),
    String(String),
    Object(Vec<(String, Self)>),
    Null,
    Undefined,
    EcmaArray(Vec<(String, Self)>),
    StrictArray(Vec<Self>),
}

use Value::{Boolean, EcmaArray, Null, Number, Object, StrictArray, String as Text, Undefined};

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Text(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Number(number)
    }
}

impl Value {
    /// An object from its properties.
    pub(crate) fn object(properties: &[(&str, Self)]) -> Self {
        let own = |(key, value): &(&str, Self)| ((*key).to_owned(), value.clone());
        Object(properties.iter().map(own).collect())
    }

    /// So many objects and arrays, one in the other.
    pub(crate) fn nested(depth: usize) -> Self {
        (0..depth).fold(Null, |inner, level| match level % 3 {
            0 => Object(vec![("in".to_owned(), inner)]),
            1 => EcmaArray(vec![("in".to_owned(), inner)]),
            _ => StrictArray(vec![inner]),
        })
    }

    /// The property called `key`.
    pub(crate) fn property(&self, key: &str) -> Option<&Self> {
        let (Object(properties) | EcmaArray(properties)) = self else {
            return None;
        };
        let (_, value) = properties.iter().find(|(name, _)| name == key)?;
        Some(value)
    }

    /// The text, or nothing.
    pub(crate) fn text(&self) -> &str {
        if let Text(text) = self { text } else { "" }
    }

    /// The number, or not a number.
    pub(crate) fn number(&self) -> f64 {
        if let Number(number) = self {
            *number
        } else {
            f64::NAN
        }
    }
}

/// Values one after the other.
pub(crate) fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        encode_one(value, &mut out);
    }
    out
}

fn encode_one(value: &Value, out: &mut Vec<u8>) {
    match value {
        Number(number) => {
            out.push(0);
            out.extend(number.to_be_bytes());
        }
        Boolean(flag) => out.extend([1, u8::from(*flag)]),
        Text(text) if text.len() > 0xFFFF => {
            out.push(12);
            out.extend((text.len() as u32).to_be_bytes());
            out.extend(text.as_bytes());
        }
        Text(text) => {
            out.push(2);
            key(text, out);
        }
        Object(properties) => {
            out.push(3);
            encode_properties(properties, out);
        }
        Null => out.push(5),
        Undefined => out.push(6),
        EcmaArray(properties) => {
            out.push(8);
            out.extend((properties.len() as u32).to_be_bytes());
            encode_properties(properties, out);
        }
        StrictArray(values) => {
            out.push(10);
            out.extend((values.len() as u32).to_be_bytes());
            out.extend(encode(values));
        }
    }
}

fn encode_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        key(name, out);
        encode_one(value, out);
    }
    out.extend([0, 0, 9]);
}

fn key(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// All values of a message. Anything malformed, or left over, fails the test.
pub(crate) fn decode(mut bytes: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(decode_one(&mut bytes));
    }
    values
}

fn decode_one(bytes: &mut &[u8]) -> Value {
    match take::<1>(bytes) {
        [0] => Number(f64::from_be_bytes(take(bytes))),
        [1] => Boolean(take(bytes) != [0]),
        [2] => Text(short_text(bytes)),
        [3] => Object(decode_properties(bytes)),
        [5] => Null,
        [6] => Undefined,
        [8] => {
            let _count = u32::from_be_bytes(take(bytes));
            EcmaArray(decode_properties(bytes))
        }
        [10] => {
            let count = u32::from_be_bytes(take(bytes));
            StrictArray((0..count).map(|_| decode_one(bytes)).collect())
        }
        [12] => {
            let length = u32::from_be_bytes(take(bytes));
            Text(text(bytes, length as usize))
        }
        [marker] => panic!("AMF0 marker {marker}"),
    }
}

fn decode_properties(bytes: &mut &[u8]) -> Vec<(String, Value)> {
    let mut properties = Vec::new();
    while !bytes.starts_with(&[0, 0, 9]) {
        properties.push((short_text(bytes), decode_one(bytes)));
    }
    *bytes = &bytes[3..];
    properties
}

fn short_text(bytes: &mut &[u8]) -> String {
    let length = u16::from_be_bytes(take(bytes));
    text(bytes, usize::from(length))
}

fn text(bytes: &mut &[u8], length: usize) -> String {
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).unwrap()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk().expect("AMF0 ends early");
    *bytes = rest;
    *head
}
