//! Bodies of the fuzz targets; replayed by `cargo test`.

use std::path::{Component, Path};

use bytes::{Bytes, BytesMut};

use crate::limits;
use crate::wire::aac::AudioSpecificConfig;
use crate::wire::announcement::Announcement;
use crate::wire::avc::Configuration;
use crate::wire::codec::{self, Metadata};
use crate::wire::flv::{Tag, TagKind};
use crate::wire::http::{self, HttpError, Part};
use crate::wire::http_client::Answer;
use crate::wire::http_path::{HttpPath, Kind};
use crate::wire::message::type_id::AGGREGATE;
use crate::wire::name::{Name, StreamPath, StreamRequest, vhost_of};
use crate::wire::reader::Reader;
use crate::wire::url::Url;
use crate::wire::vhost::VhostName;
use crate::wire::{aggregate, amf0, flv, sps};

mod chunk;
mod config;
mod handshake;
mod mpegts;
pub mod reference;
mod segmenter;
mod session;
#[cfg(feature = "from-srs")]
mod srs_conf;

pub use chunk::{chunk, chunk_differential, chunk_roundtrip};
pub use config::config;
pub use handshake::handshake;
pub use mpegts::mpegts;
pub use segmenter::{playlist, segmenter};
pub use session::{client_session, command, session};
#[cfg(feature = "from-srs")]
pub use srs_conf::srs_conf;

/// What was decoded can be encoded and means the same again, and is not larger than what came.
pub fn amf0(data: &[u8]) {
    let Ok(values) = amf0::decode_all(data) else {
        return;
    };
    let encoded = encode(&values);
    // Only the end markers that a peer left out are added: at most one per level.
    let longest = data.len().saturating_add(3 * limits::MAX_AMF0_DEPTH);
    assert!(encoded.len() <= longest, "it grew");
    let again = amf0::decode_all(&encoded).map(|values| encode(&values));
    assert_eq!(again, Ok(encoded));
}

/// As bytes, in which a not-a-number equals itself.
fn encode(values: &[amf0::Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        value.encode(&mut out);
    }
    out
}

/// What follows a header does not change its meaning; what an aggregate message was split into
/// is in it, and splits the same way when it is put together again.
pub fn flv(data: &[u8]) {
    let longer = [data, &[0xff]].concat();
    for classify in [flv::audio, flv::video] {
        if let Some(tag) = classify(data) {
            assert_eq!(classify(&longer), Some(tag));
            assert!(is_header(tag) || tag.slot == 0);
        }
    }

    let mut reader = Reader::new(data);
    let timestamp = reader.u32().unwrap_or_default();
    let payload = Bytes::copy_from_slice(reader.rest());
    let messages: Vec<_> = aggregate::split(timestamp, &payload).collect();
    assert!(messages.len() <= limits::MAX_AGGREGATE_MESSAGES);
    assert!(messages.first().is_none_or(|first| first.1 == timestamp));
    let mut joined = Vec::new();
    for (type_id, timestamp, payload) in &messages {
        assert_ne!(*type_id, AGGREGATE);
        let [high, rest @ ..] = timestamp.to_be_bytes();
        let [_, length @ ..] = u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes();
        joined.push(*type_id);
        joined.extend_from_slice(&length);
        joined.extend_from_slice(&rest);
        joined.extend_from_slice(&[high, 0, 0, 0]);
        joined.extend_from_slice(payload);
        joined.extend_from_slice(b"back");
    }
    let again: Vec<_> = aggregate::split(timestamp, &Bytes::from(joined)).collect();
    assert_eq!(again, messages);
}

const fn is_header(tag: Tag) -> bool {
    matches!(tag.kind, TagKind::AudioHeader | TagKind::VideoHeader)
}

/// Of a header of ADTS, nothing but the length depends on the frame.
pub fn aac(data: &[u8]) {
    let Ok(config) = AudioSpecificConfig::decode(data) else {
        return;
    };
    assert!((7_350..=96_000).contains(&config.sample_rate()));
    let empty_at = |length: u16| {
        let [a, b, c, d, e, f, g] = config.adts(length.into()).ok()?;
        let word = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        let said = word >> 13 & 0x1fff;
        assert_eq!(said.checked_sub(7), Some(length.into()));
        Some(word ^ said << 13)
    };
    let first = empty_at(1);
    assert!(first.is_some());
    for length in [2, 1024, 8184] {
        assert_eq!(empty_at(length), first);
    }
    assert_eq!(empty_at(8185), None);
}

/// What is shown of a sequence header's picture is within bounds, or zero; and what follows the
/// header does not change it. The metadata of a stream may be anything.
pub fn sps(data: &[u8]) {
    let metadata = Metadata::decode(data);
    for codec in [
        codec::video(Some(data), &metadata).map(|video| video.codec),
        codec::audio(Some(data), &metadata).map(|audio| audio.codec),
    ] {
        assert!(codec.is_none_or(|name| name.len() <= 16 && !name.is_empty()));
    }
    let picture = sps::of_sequence_header(data);
    let sizes = picture.map(|picture| [picture.width, picture.height]);
    let [width, height] = sizes.unwrap_or_default();
    assert!(width.max(height) <= limits::MAX_PICTURE_LENGTH);
    assert_eq!(width == 0, height == 0);
    if picture.is_some() {
        let longer = [data, &[0xff]].concat();
        assert_eq!(sps::of_sequence_header(&longer), picture);
    }
}

/// A frame grows by start codes and parameter sets only, and it is whole or leaves no trace. The
/// input is the length of the sequence header, the sequence header, and the frame.
pub fn avc(data: &[u8]) {
    const DELIMITER: &[u8] = b"\0\0\0\x01\x09\xf0";
    let mut reader = Reader::new(data);
    let length = reader.u8().unwrap_or_default();
    let header = reader.take(length.into()).map(Configuration::decode);
    let Some(Ok(configuration)) = header else {
        return;
    };
    let frame = reader.rest();
    let [mut inter, mut key] = [const { Vec::new() }; 2];
    let found = configuration.annex_b(frame, false, &mut inter);
    assert_eq!(configuration.annex_b(frame, true, &mut key), found);
    if found.is_err() {
        assert!(inter.is_empty() && key.is_empty());
        return;
    }
    let units = inter.strip_prefix(DELIMITER);
    assert!(units.is_some_and(|units| key.ends_with(units)));
    assert!(key.starts_with(DELIMITER));
    // At worst units of one byte after lengths of one byte: two bytes become five.
    let most = frame.len().saturating_mul(5).div_ceil(2);
    let added = DELIMITER
        .len()
        .saturating_add(limits::MAX_PARAMETER_SET_BYTES);
    assert!(key.len() <= most.saturating_add(added), "it grew");
}

/// However the bytes are cut into reads, the requests and the refusal are the same; a path that
/// exists stays below its directory and says itself again; and no range passes the file's end.
pub fn http(data: &[u8]) {
    let whole = requests(data.chunks(data.len().max(1)));
    for length in [1, 2, 7, 100] {
        assert_eq!(requests(data.chunks(length)), whole);
    }
    if let Ok(Some((request, length))) = http::Request::parse(data) {
        assert!(length <= data.len().min(limits::MAX_HTTP_HEAD));
        for size in [0, 1, 1000, u64::MAX] {
            if let Part::Range(range) = request.part(size, "") {
                assert!(range.start < range.end && range.end <= size);
            }
        }
        assert_path(request.path);
    }
    assert_path(&String::from_utf8_lossy(data));
}

/// However the bytes are cut into reads, the answer or the error is the same, and comes no later than
/// its last byte; a body is no longer than what came.
pub fn http_client(data: &[u8]) {
    let whole = Answer::parse(data, true);
    if let Ok(Some(answer)) = &whole {
        assert!(answer.body.len() <= data.len().min(limits::MAX_HOOK_ANSWER));
        assert!(answer.status >= 200);
    }
    assert_ne!(whole, Ok(None), "it waits for more");
    for length in [1, 7, 100] {
        let mut read = 0;
        let cut = loop {
            let (input, ended) = (data.get(..read).unwrap_or(data), read >= data.len());
            match Answer::parse(input, ended) {
                Ok(None) => read = read.saturating_add(length),
                result => break result,
            }
        };
        assert_eq!(cut, whole);
    }
}

fn requests<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Option<HttpError>) {
    let mut input = BytesMut::new();
    let mut found = Vec::new();
    for read in reads {
        input.extend_from_slice(read);
        loop {
            let length = match http::Request::parse(&input) {
                Ok(Some((request, length))) => {
                    found.push(format!("{request:?}"));
                    length
                }
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            };
            assert!(length > 0, "a request out of nothing");
            let _ = input.split_to(length);
        }
        assert!(input.len() <= limits::MAX_HTTP_HEAD, "it hoards");
    }
    (found, None)
}

fn assert_path(text: &str) {
    let named = VhostName::parse("a.test");
    for named in [None, named.as_ref()] {
        let is_vhost = |name: &VhostName| name.as_str() != "live";
        let Some(path) = HttpPath::parse(text, named, is_vhost) else {
            return;
        };
        let file = path.components().collect::<Vec<_>>().join("/");
        if path.kind != Kind::Index {
            let plain = Path::new(&file).components();
            assert!(plain.eq(path.components().map(|one| Component::Normal(one.as_ref()))));
            assert!(!text.contains("..") && !text.contains("/."));
        }
        match (path.stream(), &path.kind) {
            (Some(stream), Kind::Flv(_)) => assert_eq!(format!("{stream}.flv"), file),
            (Some(stream), Kind::Playlist(_)) => assert_eq!(format!("{stream}.m3u8"), file),
            (Some(stream), _) => assert!(file.starts_with(&format!("{stream}/"))),
            (None, _) => {
                assert_eq!(format!("/{file}"), text);
                // No file of a vhost's stream is a file like others.
                assert!(!is_of_stream(&file, is_vhost));
            }
        }
    }
}

/// Whether the file is one that HLS makes for a stream of a vhost.
fn is_of_stream(file: &str, is_vhost: impl Fn(&VhostName) -> bool) -> bool {
    let stem = match file.strip_suffix(".ts") {
        Some(segment) => segment.rsplit_once('/').map(|(stem, number)| {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            if is_number { stem } else { "" }
        }),
        None => file.strip_suffix(".m3u8"),
    };
    let stream = stem.and_then(StreamPath::parse);
    stream
        .and_then(|stream| stream.vhost)
        .is_some_and(|vhost| is_vhost(&vhost))
}

/// An accepted name is one plain component of a path, and what is accepted says itself again.
/// The input is the application and the stream, with a line feed between them, or a URL, or what a
/// process says of a stream.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = Url::parse(&text) {
        assert_plain(&url.app);
        url.stream.iter().for_each(assert_plain);
        assert!(!url.host.contains(['/', '@', '?', ' ']) && url.port > 0);
        assert_eq!(Url::parse(&url.to_string()), Ok(url));
    }
    if let Some(said) = Announcement::parse(&text) {
        // It becomes a file's name.
        assert_eq!(Name::parse(said.id).map(|id| assert_plain(&id)), Ok(()));
        assert_eq!(Announcement::parse(&said.to_string()), Some(said));
    }
    let (app, stream) = text.split_once('\n').unwrap_or((&text, ""));
    let host = VhostName::of_url(app);
    let Ok(mut request) = StreamRequest::parse(host.as_ref(), app, stream) else {
        return;
    };
    let named = request.vhost.clone();
    let again = StreamRequest::parse(named.as_ref(), app, stream);
    assert_eq!(again.as_ref(), Ok(&request));
    request.path.vhost.clone_from(&named);
    assert_eq!(
        StreamPath::parse(&request.path.to_string()).as_ref(),
        Some(&request.path)
    );
    if let Some(vhost) = &named {
        assert_eq!(VhostName::parse(vhost.as_str()).as_ref(), Some(vhost));
        assert_eq!(vhost_of(&request.path.to_string()), Some(vhost.as_str()));
        assert_one_component(vhost.as_str());
    }
    request.path.vhost = None;
    let StreamRequest {
        path,
        app_query,
        query,
        ..
    } = &request;
    assert_plain(&path.app);
    assert_plain(&path.name);
    let app = format!("/{}/?{app_query}", path.app);
    let stream = format!("{}?{query}", path.name);
    let again = StreamRequest::parse(named.as_ref(), &app, &stream);
    assert_eq!(again.as_ref(), Ok(&request));
    let shown = StreamRequest::parse(None, &path.to_string(), "");
    assert_eq!(shown.map(|request| request.path).as_ref(), Ok(path));
}

fn assert_plain(name: &Name) {
    assert_one_component(name.as_str());
}

fn assert_one_component(name: &str) {
    let mut components = Path::new(name).components();
    assert_eq!(components.next(), Some(Component::Normal(name.as_ref())));
    assert_eq!(components.next(), None);
}

/// `data` in pieces of these lengths and one more, in turn.
fn reads<const N: usize>(mut data: &[u8], lengths: [u8; N]) -> impl Iterator<Item = &[u8]> {
    lengths.into_iter().cycle().map_while(move |length| {
        let length = usize::from(length).saturating_add(1).min(data.len());
        let (read, rest) = data.split_at_checked(length)?;
        data = rest;
        (!read.is_empty()).then_some(read)
    })
}
