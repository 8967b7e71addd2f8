//! An overview as JSON, and back: this is what siblings tell each other, and the page's script reads.

use serde_json::{Map, Value};

use crate::server::overview::{ClientView, LinkView, Overview, StreamView};
use crate::wire::codec::{Audio, Video};

/// What has a form in JSON.
pub(super) trait Field: Sized {
    fn encode(&self) -> Value;

    /// `None`: it is of another form.
    fn decode(value: &Value) -> Option<Self>;
}

/// An object whose members are called as the fields are; all of them must be there.
macro_rules! record {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Field for $type {
            fn encode(&self) -> Value {
                let mut object = Map::new();
                $(object.insert(stringify!($field).to_owned(), self.$field.encode());)*
                Value::Object(object)
            }

            fn decode(value: &Value) -> Option<Self> {
                Some(Self {
                    $($field: Field::decode(value.get(stringify!($field))?)?,)*
                })
            }
        }
    };
}

record!(Overview {
    process,
    version,
    id,
    uptime,
    connections,
    max_connections,
    received,
    sent,
    received_kbps,
    sent_kbps,
    skipped,
    streams,
    clients,
});

record!(StreamView {
    id,
    vhost,
    app,
    name,
    live,
    publisher,
    players,
    received,
    sent,
    received_kbps,
    sent_kbps,
    video_frames,
    audio_frames,
    fps,
    skipped,
    video,
    audio,
    pull,
    forward,
    hls,
});

record!(ClientView {
    id,
    number,
    ip,
    peer,
    kind,
    publishes,
    stream,
    vhost,
    app,
    name,
    tc_url,
    page_url,
    swf_url,
    alive,
    received,
    sent,
    received_kbps,
    sent_kbps,
    skipped,
});

record!(LinkView { at });

record!(Video {
    codec,
    profile,
    level,
    width,
    height,
});

record!(Audio {
    codec,
    profile,
    sample_rate,
    channels,
});

impl Field for u64 {
    fn encode(&self) -> Value {
        Value::from(*self)
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl Field for u32 {
    fn encode(&self) -> Value {
        Value::from(*self)
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Field for f64 {
    fn encode(&self) -> Value {
        Value::from(*self)
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Field for bool {
    fn encode(&self) -> Value {
        Value::from(*self)
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Field for String {
    fn encode(&self) -> Value {
        Value::from(self.as_str())
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }
}

impl<T: Field> Field for Option<T> {
    fn encode(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::encode)
    }

    fn decode(value: &Value) -> Option<Self> {
        if value.is_null() {
            return Some(None);
        }
        T::decode(value).map(Some)
    }
}

impl<T: Field> Field for Vec<T> {
    fn encode(&self) -> Value {
        Value::Array(self.iter().map(Field::encode).collect())
    }

    fn decode(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::decode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        let overview = Overview {
            process: 7,
            uptime: 1.5,
            streams: vec![StreamView {
                live: Some(0.5),
                video: Some(Video::default()),
                pull: Some(LinkView { at: None }),
                hls: Some(false),
                ..StreamView::default()
            }],
            clients: vec![ClientView {
                peer: "[::1]:1".to_owned(),
                skipped: u64::MAX,
                ..ClientView::default()
            }],
            ..Overview::default()
        };
        let said = overview.encode();
        let text: Value = serde_json::from_str(&said.to_string()).unwrap();
        assert_eq!(Overview::decode(&text), Some(overview));
        for member in ["process", "id", "streams"] {
            let mut less = said.clone();
            less.as_object_mut().unwrap().remove(member);
            assert_eq!(Overview::decode(&less), None, "{member}");
        }
        assert_eq!(Overview::decode(&Value::Null), None);
    }
}
