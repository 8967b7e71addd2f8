//! Action Message Format 0: the values in commands and in metadata [AMF0 §2].

use core::fmt;

use super::reader::Reader;
use crate::limits;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// [AMF0 §2.2]
    Number(f64),
    /// [AMF0 §2.3]
    Boolean(bool),
    /// A string of either length, or an XML document [AMF0 §2.4, §2.14, §2.17]. In a decoded one,
    /// what was not UTF-8 is `*`.
    String(String),
    /// An object, anonymous or (its class name is dropped) typed [AMF0 §2.5, §2.18].
    Object(Vec<(String, Self)>),
    /// [AMF0 §2.7]
    Null,
    /// [AMF0 §2.8]
    Undefined,
    /// [AMF0 §2.10]
    EcmaArray(Vec<(String, Self)>),
    /// [AMF0 §2.12]
    StrictArray(Vec<Self>),
    /// Milliseconds since 1970 [AMF0 §2.13].
    Date(f64),
    /// [AMF0 §2.15], and references [AMF0 §2.9], which nobody sends in a command.
    Unsupported,
}

/// The bytes are not AMF0, or more of it than we hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AmfError {
    /// A type marker that has no meaning here.
    Marker(u8),
    /// Objects or arrays nested deeper than [`limits::MAX_AMF0_DEPTH`].
    TooDeep,
    /// More values than [`limits::MAX_AMF0_VALUES`].
    TooManyValues,
    /// The bytes end inside a value.
    Truncated,
}

impl fmt::Display for AmfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Marker(marker) => write!(f, "unknown AMF0 marker {marker:#04x}"),
            Self::TooDeep => write!(f, "AMF0 value nested too deeply"),
            Self::TooManyValues => write!(f, "too many AMF0 values"),
            Self::Truncated => write!(f, "truncated AMF0 value"),
        }
    }
}

/// What may still be decoded of one message.
#[derive(Clone, Debug)]
pub struct Budget {
    values: usize,
    depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            values: limits::MAX_AMF0_VALUES,
            depth: limits::MAX_AMF0_DEPTH,
        }
    }
}

/// Type markers [AMF0 §2.1]. Those without a layout (4, 14) and AMF3 (17) have no name here.
mod marker {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const BOOLEAN: u8 = 1;
    pub(super) const STRING: u8 = 2;
    pub(super) const OBJECT: u8 = 3;
    pub(super) const NULL: u8 = 5;
    pub(super) const UNDEFINED: u8 = 6;
    pub(super) const REFERENCE: u8 = 7;
    pub(super) const ECMA_ARRAY: u8 = 8;
    pub(super) const OBJECT_END: u8 = 9;
    pub(super) const STRICT_ARRAY: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const LONG_STRING: u8 = 12;
    pub(super) const UNSUPPORTED: u8 = 13;
    pub(super) const XML_DOCUMENT: u8 = 15;
    pub(super) const TYPED_OBJECT: u8 = 16;
}

/// Decodes all values of a message body.
///
/// # Errors
///
/// The body is not a sequence of AMF0 values, or passes a limit.
pub fn decode_all(payload: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader::new(payload);
    let mut budget = Budget::default();
    let mut values = Vec::new();
    while reader.remaining() > 0 {
        values.push(Value::decode(&mut reader, &mut budget)?);
    }
    Ok(values)
}

impl Value {
    /// Decodes the next value. Announced counts are not trusted: memory grows with bytes read.
    ///
    /// # Errors
    ///
    /// The bytes are not an AMF0 value, or pass a limit.
    pub fn decode(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<Self, AmfError> {
        let marker = reader.u8().ok_or(AmfError::Truncated)?;
        budget.values = budget
            .values
            .checked_sub(1)
            .ok_or(AmfError::TooManyValues)?;
        match marker {
            marker::OBJECT => properties(reader, budget).map(Self::Object),
            marker::TYPED_OBJECT => {
                string(reader).ok_or(AmfError::Truncated)?;
                properties(reader, budget).map(Self::Object)
            }
            marker::ECMA_ARRAY => {
                reader.u32().ok_or(AmfError::Truncated)?;
                properties(reader, budget).map(Self::EcmaArray)
            }
            marker::STRICT_ARRAY => elements(reader, budget).map(Self::StrictArray),
            _ => Self::simple(marker, reader),
        }
    }

    /// Decodes a value that holds no others.
    fn simple(marker: u8, reader: &mut Reader<'_>) -> Result<Self, AmfError> {
        match marker {
            marker::NUMBER => reader.array().map(f64::from_be_bytes).map(Self::Number),
            marker::BOOLEAN => reader.u8().map(|byte| Self::Boolean(byte != 0)),
            marker::STRING => string(reader).map(Self::String),
            marker::NULL => Some(Self::Null),
            marker::UNDEFINED => Some(Self::Undefined),
            marker::REFERENCE => reader.u16().map(|_index| Self::Unsupported),
            marker::DATE => reader.array().and_then(|milliseconds| {
                reader.u16()?; // time zone, reserved
                Some(Self::Date(f64::from_be_bytes(milliseconds)))
            }),
            marker::LONG_STRING | marker::XML_DOCUMENT => reader
                .u32()
                .and_then(|length| reader.take(usize::try_from(length).ok()?))
                .map(|bytes| Self::String(text(bytes))),
            marker::UNSUPPORTED => Some(Self::Unsupported),
            _ => return Err(AmfError::Marker(marker)),
        }
        .ok_or(AmfError::Truncated)
    }

    /// Appends the value's bytes. Whatever [`Self::decode`] accepted can be encoded.
    ///
    /// Objects always get their end marker: ffmpeg takes one without it for an error. A property
    /// whose name is longer than the 65,535 bytes that the format can say is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(marker::NUMBER);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Boolean(boolean) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
            Self::String(text) => encode_string(text, out),
            Self::Object(properties) => {
                out.push(marker::OBJECT);
                encode_properties(properties, out);
            }
            Self::Null => out.push(marker::NULL),
            Self::Undefined => out.push(marker::UNDEFINED),
            Self::EcmaArray(properties) => {
                out.push(marker::ECMA_ARRAY);
                encode_length(properties.len(), out);
                encode_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.push(marker::STRICT_ARRAY);
                encode_length(values.len(), out);
                for value in values {
                    value.encode(out);
                }
            }
            Self::Date(milliseconds) => {
                out.push(marker::DATE);
                out.extend_from_slice(&milliseconds.to_be_bytes());
                out.extend_from_slice(&[0, 0]);
            }
            Self::Unsupported => out.push(marker::UNSUPPORTED),
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        let Self::String(text) = self else {
            return None;
        };
        Some(text)
    }

    /// The value of a number.
    pub const fn as_number(&self) -> Option<f64> {
        let Self::Number(number) = self else {
            return None;
        };
        Some(*number)
    }

    /// The value of a boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        let Self::Boolean(boolean) = self else {
            return None;
        };
        Some(*boolean)
    }

    /// The first property called `name` of an object or ECMA array.
    pub fn property(&self, name: &str) -> Option<&Self> {
        let (Self::Object(properties) | Self::EcmaArray(properties)) = self else {
            return None;
        };
        let (_, value) = properties.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

/// Properties up to the end marker [AMF0 §2.5, §2.10].
///
/// Deviation: the end of the body also ends them; some encoders forget the marker.
fn properties(
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) -> Result<Vec<(String, Value)>, AmfError> {
    nested(budget, |budget| {
        let mut properties = Vec::new();
        while reader.remaining() > 0 {
            let name = string(reader).ok_or(AmfError::Truncated)?;
            if name.is_empty() && reader.rest().first() == Some(&marker::OBJECT_END) {
                reader.u8();
                break;
            }
            properties.push((name, Value::decode(reader, budget)?));
        }
        Ok(properties)
    })
}

/// As many values as are announced [AMF0 §2.12].
fn elements(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<Vec<Value>, AmfError> {
    nested(budget, |budget| {
        let count = reader.u32().ok_or(AmfError::Truncated)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(Value::decode(reader, budget)?);
        }
        Ok(values)
    })
}

/// Runs `decode` one level deeper.
fn nested<T>(
    budget: &mut Budget,
    decode: impl FnOnce(&mut Budget) -> Result<T, AmfError>,
) -> Result<T, AmfError> {
    let depth = budget.depth;
    budget.depth = depth.checked_sub(1).ok_or(AmfError::TooDeep)?;
    let result = decode(budget);
    budget.depth = depth;
    result
}

/// A string with a 16-bit length and without a marker [AMF0 §1.3.1].
fn string(reader: &mut Reader<'_>) -> Option<String> {
    let length = reader.u16()?;
    reader.take(usize::from(length)).map(text)
}

/// `bytes` with a `*` for what is not UTF-8. Never longer, so that it fits where it came from; and no
/// name may hold it, whereas a `?` would begin a query.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('*');
        }
    }
    text
}

fn encode_string(text: &str, out: &mut Vec<u8>) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.push(marker::STRING);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(marker::LONG_STRING);
        encode_length(text.len(), out);
    }
    out.extend_from_slice(text.as_bytes());
}

fn encode_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        let Ok(length) = u16::try_from(name.len()) else {
            continue;
        };
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        value.encode(out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

/// A 32-bit length or count. No message of ours comes near its end.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn object(properties: &[(&str, Value)]) -> Vec<(String, Value)> {
        let owned = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        properties.iter().map(owned).collect()
    }

    /// Values whose bytes have one form.
    fn cases() -> Vec<(&'static [u8], Value)> {
        let nested = object(&[("", Value::Null)]);
        vec![
            (b"\0\x3f\xf0\0\0\0\0\0\0", Value::Number(1.0)),
            (b"\x01\0", Value::Boolean(false)),
            (b"\x01\x01", Value::Boolean(true)),
            (b"\x02\0\0", text("")),
            (b"\x02\0\x04play", text("play")),
            (b"\x03\0\0\x09", Value::Object(vec![])),
            (
                b"\x03\0\x03app\x02\0\x04live\0\x01o\x03\0\0\x05\0\0\x09\0\0\x09",
                Value::Object(object(&[
                    ("app", text("live")),
                    ("o", Value::Object(nested)),
                ])),
            ),
            (b"\x05", Value::Null),
            (b"\x06", Value::Undefined),
            (
                b"\x08\0\0\0\x01\0\x01a\x05\0\0\x09",
                Value::EcmaArray(object(&[("a", Value::Null)])),
            ),
            (
                b"\x0a\0\0\0\x02\x05\x06",
                Value::StrictArray(vec![Value::Null, Value::Undefined]),
            ),
            (b"\x0b\x3f\xf0\0\0\0\0\0\0\0\0", Value::Date(1.0)),
            (b"\x0d", Value::Unsupported),
        ]
    }

    /// Only read: peers say the same in other ways too.
    fn lenient_cases() -> Vec<(&'static [u8], Value)> {
        let a = || object(&[("a", Value::Null)]);
        vec![
            (b"\x01\x02", Value::Boolean(true)),
            (b"\x02\0\x04a\xff\xc3b", text("a**b")),
            (b"\x03\0\x01a\x05", Value::Object(a())),
            (
                b"\x03\0\x01a\x03",
                Value::Object(object(&[("a", Value::Object(vec![]))])),
            ),
            (b"\x07\0\0", Value::Unsupported),
            (b"\x08\0\0\0\0\0\x01a\x05\0\0\x09", Value::EcmaArray(a())),
            (b"\x08\xff\xff\xff\xff\0\x01a\x05", Value::EcmaArray(a())),
            (b"\x0b\x3f\xf0\0\0\0\0\0\0\0\x3c", Value::Date(1.0)),
            (b"\x0c\0\0\0\x01a", text("a")),
            (b"\x0f\0\0\0\x04<a/>", text("<a/>")),
            (b"\x10\0\x01C\0\x01a\x05\0\0\x09", Value::Object(a())),
        ]
    }

    #[test]
    fn cases_decode_and_encode() {
        for (bytes, value) in cases() {
            assert_eq!(decode_all(bytes), Ok(vec![value.clone()]));
            let mut encoded = Vec::new();
            value.encode(&mut encoded);
            assert_eq!(encoded, bytes, "{value:?}");
        }
        for (bytes, value) in lenient_cases() {
            assert_eq!(decode_all(bytes), Ok(vec![value]));
        }
    }

    #[test]
    fn every_prefix_is_a_value_or_truncated() {
        for (bytes, value) in cases().into_iter().chain(lenient_cases()) {
            for length in 1..bytes.len() {
                match decode_all(&bytes[..length]) {
                    Ok(values) => assert_eq!(values.len(), 1, "{value:?}"),
                    Err(error) => assert_eq!(error, AmfError::Truncated, "{value:?}"),
                }
            }
        }
    }

    #[test]
    fn other_markers_are_refused() {
        for byte in [0x04, 0x09, 0x0e, 0x11, 0xff] {
            assert_eq!(decode_all(&[byte]), Err(AmfError::Marker(byte)));
        }
    }

    #[test]
    fn values_nest_up_to_the_limit() {
        let limit = limits::MAX_AMF0_DEPTH;
        for level in [&b"\x03\0\x01a"[..], b"\x0a\0\0\0\x01"] {
            let nested = |depth| decode_all(&[level.repeat(depth), vec![0x05]].concat());
            assert_eq!(nested(limit).map(|values| values.len()), Ok(1));
            assert_eq!(nested(limit + 1), Err(AmfError::TooDeep));
        }
        // Side by side is not nested.
        let flat = b"\x03\0\0\x09".repeat(limit + 1);
        assert_eq!(decode_all(&flat).map(|values| values.len()), Ok(limit + 1));
    }

    #[test]
    fn values_are_counted_up_to_the_limit_wherever_they_are() {
        let limit = limits::MAX_AMF0_VALUES;
        assert_eq!(
            decode_all(&vec![5; limit]).map(|values| values.len()),
            Ok(limit)
        );
        assert_eq!(
            decode_all(&vec![5; limit + 1]),
            Err(AmfError::TooManyValues)
        );
        let array = |count| [&b"\x0a\xff\xff\xff\xff"[..], &vec![5; count]].concat();
        assert_eq!(decode_all(&array(limit - 1)), Err(AmfError::Truncated));
        assert_eq!(decode_all(&array(limit)), Err(AmfError::TooManyValues));
    }

    #[test]
    fn lengths_grow_where_the_format_lets_them() {
        for (length, marker) in [(65_535, marker::STRING), (65_536, marker::LONG_STRING)] {
            let value = text(&"x".repeat(length));
            let mut encoded = Vec::new();
            value.encode(&mut encoded);
            assert_eq!(encoded[0], marker);
            assert_eq!(decode_all(&encoded), Ok(vec![value]));
        }
        let name = "x".repeat(65_536);
        let mut encoded = Vec::new();
        Value::Object(object(&[(&name, Value::Null)])).encode(&mut encoded);
        assert_eq!(encoded, b"\x03\0\0\x09");
    }

    #[test]
    fn helpers_see_only_their_own_type() {
        let value = Value::EcmaArray(object(&[("a", Value::Number(1.0)), ("a", Value::Null)]));
        assert_eq!(value.property("a").and_then(Value::as_number), Some(1.0));
        assert_eq!(value.property("b"), None);
        assert_eq!(Value::Null.property("a"), None);
        assert_eq!(text("x").as_str(), Some("x"));
        assert_eq!(Value::Boolean(true).as_bool(), Some(true));
        assert_eq!(
            (value.as_str(), value.as_number(), value.as_bool()),
            (None, None, None)
        );
    }
}
