//! Command messages [RTMP §7.1.1, §7.2]: a name, a transaction id, and arguments.

use bytes::Bytes;

use crate::wire::amf0::{self, AmfError, Value};
use crate::wire::message::{RawMessage, type_id};

/// The message stream that every client gets from `createStream`, and that all media goes out on.
pub const STREAM: u32 = 1;

/// The name `@setDataFrame` as an AMF0 string: what follows it in a data message is to be kept for
/// players that join later [RTMP §7.1.2].
pub const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// A command, decoded but not understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// `connect`, `publish`, `_result`, `onStatus`, …
    pub name: String,
    /// Names the call that a `_result` answers; 0 asks for no answer.
    pub transaction_id: f64,
    /// What follows; the first is the command object, or null.
    pub arguments: Vec<Value>,
}

/// Code of the status by which a server asks its client to connect anew; Enhanced RTMP, "Reconnect
/// Request".
pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

impl Command {
    /// Decodes the body of a command message, of type 20 or 17. AMF3 clients (type 17) put one
    /// byte before an AMF0 body. `Ok(None)`: no name, or no transaction id.
    ///
    /// # Errors
    ///
    /// The body is not AMF0, or nests or counts beyond the limits.
    pub fn decode(message: &RawMessage) -> Result<Option<Self>, AmfError> {
        let body = match message.type_id {
            type_id::COMMAND_AMF3 => message.payload.get(1..).unwrap_or_default(),
            _ => &message.payload,
        };
        let mut values = amf0::decode_all(body)?.into_iter();
        let (Some(Value::String(name)), Some(Value::Number(transaction_id))) =
            (values.next(), values.next())
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            name,
            transaction_id,
            arguments: values.collect(),
        }))
    }

    /// The string at `index` of the arguments; empty if there is none.
    pub fn string(&self, index: usize) -> &str {
        self.arguments
            .get(index)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The boolean at `index` of the arguments.
    pub fn boolean(&self, index: usize) -> Option<bool> {
        self.arguments.get(index).and_then(Value::as_bool)
    }

    /// The property `name` of the argument at `index`.
    pub fn property(&self, index: usize, name: &str) -> Option<&Value> {
        self.arguments.get(index)?.property(name)
    }
}

/// A command message on `message_stream_id`.
pub fn encode(
    message_stream_id: u32,
    name: &str,
    transaction_id: f64,
    arguments: &[Value],
) -> RawMessage {
    let mut payload = Vec::with_capacity(256);
    string(name).encode(&mut payload);
    Value::Number(transaction_id).encode(&mut payload);
    for argument in arguments {
        argument.encode(&mut payload);
    }
    RawMessage {
        type_id: type_id::COMMAND_AMF0,
        timestamp: 0,
        message_stream_id,
        payload: Bytes::from(payload),
    }
}

/// `onStatus` [RTMP §7.2.2]: `level` is `status`, `warning` or `error`.
pub fn on_status(level: &str, code: &str, description: &str) -> RawMessage {
    let info = status_object(level, code, description);
    encode(STREAM, "onStatus", 0.0, &[Value::Null, info])
}

/// The information object of `onStatus`, `_result` and `_error`.
pub fn status_object(level: &str, code: &str, description: &str) -> Value {
    object(&[
        ("level", string(level)),
        ("code", string(code)),
        ("description", string(description)),
    ])
}

/// An AMF0 string.
pub fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// An AMF0 object.
pub fn object(properties: &[(&str, Value)]) -> Value {
    let owned = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
    Value::Object(properties.iter().map(owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_encode_and_decode_also_in_an_amf3_message() {
        let arguments = [Value::Null, string("livestream?token=1"), string("live")];
        let mut message = encode(STREAM, "publish", 5.0, &arguments);
        let decoded = Command::decode(&message).unwrap().unwrap();
        assert_eq!(
            (decoded.name.as_str(), decoded.transaction_id),
            ("publish", 5.0)
        );
        assert_eq!(decoded.arguments, arguments);
        assert_eq!((decoded.string(0), decoded.string(2)), ("", "live"));

        message.type_id = type_id::COMMAND_AMF3;
        message.payload = [&[0], message.payload.as_ref()].concat().into();
        assert_eq!(Command::decode(&message), Ok(Some(decoded)));
    }

    #[test]
    fn a_command_needs_a_name_and_a_transaction_id() {
        for (name, id) in [
            (Value::Number(1.0), Value::Number(1.0)),
            (string("play"), string("1")),
            (string("play"), Value::Null),
        ] {
            let mut payload = Vec::new();
            name.encode(&mut payload);
            id.encode(&mut payload);
            let message = RawMessage {
                payload: payload.into(),
                ..encode(0, "", 0.0, &[])
            };
            assert_eq!(Command::decode(&message), Ok(None));
        }
    }
}
