//! FLV: the file that is published, and the tags of a stream that comes over HTTP [FLV E.2–E.4].

use bytes::{Buf, Bytes, BytesMut};
use srs_lite::limits;
use srs_lite::wire::flv::{self, TagKind};
use srs_lite::wire::message::type_id;
use srs_lite::wire::reader::Reader;

use crate::stamp::Place;

/// Bytes of the file's header and of the size before the first tag.
const HEADER: usize = 13;

/// Bytes around a tag's body: its header, and its size behind it.
const TAG_HEADER: usize = 11;
const TAG_SIZE: usize = 4;

/// One tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tag {
    /// Message type id.
    pub(crate) type_id: u8,
    /// Milliseconds.
    pub(crate) timestamp: u32,
    /// The body.
    pub(crate) body: Bytes,
}

/// Takes tags off a stream of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tags {
    begun: bool,
}

impl Tags {
    /// The next tag at the front of `input`; `None` asks for more bytes.
    ///
    /// # Errors
    ///
    /// It is not FLV.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Tag>, String> {
        if !self.begun {
            if input.len() < HEADER {
                return Ok(None);
            }
            if !input.starts_with(b"FLV\x01") {
                return Err("it is not FLV".to_owned());
            }
            input.advance(HEADER);
            self.begun = true;
        }
        let mut reader = Reader::new(input);
        let header = (reader.u8(), reader.u24(), reader.u24(), reader.u8());
        let (Some(type_id), Some(length), Some(time), Some(extended)) = header else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limits::MAX_MESSAGE_LENGTH {
            return Err(format!("a tag of {length} bytes"));
        }
        let whole = length.saturating_add(TAG_HEADER);
        if input.len() < whole.saturating_add(TAG_SIZE) {
            return Ok(None);
        }
        let body = input.get(TAG_HEADER..whole).unwrap_or_default();
        let tag = Tag {
            type_id: type_id & 0x1f,
            timestamp: time | u32::from(extended) << 24,
            body: Bytes::copy_from_slice(body),
        };
        input.advance(whole.saturating_add(TAG_SIZE));
        Ok(Some(tag))
    }
}

/// A frame of the file, and where its stamp belongs.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The message.
    pub(crate) tag: Tag,
    /// Where to put the stamp.
    pub(crate) place: Place,
}

/// A file to publish.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Metadata and sequence headers: sent once.
    pub(crate) head: Vec<Tag>,
    /// Everything else, in order, from time 0: sent again and again.
    pub(crate) frames: Vec<Frame>,
    /// Milliseconds of one turn.
    pub(crate) length: u32,
}

impl File {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut input = BytesMut::from(bytes);
        let mut tags = Tags::default();
        let mut file = Self::default();
        let mut length_size = 4;
        while let Some(tag) = tags.next(&mut input)? {
            let kind = match tag.type_id {
                type_id::AUDIO => flv::audio(&tag.body).map(|tag| tag.kind),
                type_id::VIDEO => flv::video(&tag.body).map(|tag| tag.kind),
                type_id::DATA_AMF0 if file.frames.is_empty() => {
                    file.head.push(tag);
                    continue;
                }
                _ => None,
            };
            match kind {
                None => {}
                // Goes round, and does not end; a tag without a frame would be missed as one.
                Some(TagKind::Dependent) if is_end_of_sequence(&tag.body) => {}
                Some(TagKind::AudioHeader | TagKind::VideoHeader) => {
                    // Of H.264: the last two bits of the fifth byte of the record.
                    if let [0x17, 0, _, _, _, _, _, _, _, size, ..] = *tag.body {
                        length_size = usize::from(size & 3).saturating_add(1);
                    }
                    if file.frames.is_empty() {
                        file.head.push(tag);
                    }
                }
                Some(TagKind::RandomAccess | TagKind::Dependent | TagKind::Audio) => {
                    let place = Place::of(tag.type_id, &tag.body, length_size);
                    file.frames.push(Frame { tag, place });
                }
            }
        }
        file.rebased()
    }

    /// Lets time begin at 0, and finds out how long a turn lasts.
    fn rebased(mut self) -> Result<Self, String> {
        // What comes later and was earlier is moved up: the first frame has to be due at once.
        let Some(first) = self.frames.first().map(|frame| frame.tag.timestamp) else {
            return Err("there is no frame in it".to_owned());
        };
        if !self.frames.iter().any(|frame| frame.place != Place::None) {
            return Err("it has neither H.264 nor AAC, which can be measured".to_owned());
        }
        let mut last = 0;
        for frame in &mut self.frames {
            let time = &mut frame.tag.timestamp;
            *time = time.saturating_sub(first).max(last);
            last = *time;
        }
        // Metadata and headers come at the beginning, whatever the file says.
        for tag in &mut self.head {
            tag.timestamp = 0;
        }
        let count = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let gap = last.checked_div(count).unwrap_or(0).max(1);
        self.length = last.saturating_add(gap);
        Ok(self)
    }
}

/// Where a file is that goes round and round in real time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reel {
    /// When it began, in microseconds.
    begun: u64,
    /// Turns of the file, and frames of this turn, that are past.
    turns: u32,
    past: usize,
    /// Frames of audio and of video that are past.
    numbers: [u64; 2],
}

/// A frame whose time has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due<'f> {
    /// The frame.
    pub(crate) frame: &'f Frame,
    /// Milliseconds since the beginning; wraps.
    pub(crate) timestamp: u32,
    /// Of its track, from 0.
    pub(crate) number: u64,
    /// When its time came, in microseconds.
    pub(crate) at: u64,
}

impl Reel {
    /// At the beginning, which is now.
    pub(crate) const fn new(now: u64) -> Self {
        Self {
            begun: now,
            turns: 0,
            past: 0,
            numbers: [0; 2],
        }
    }

    /// The next frame of `file`, which has some, if it is due.
    ///
    /// # Errors
    ///
    /// When it will be.
    pub(crate) fn next<'f>(&mut self, file: &'f File, now: u64) -> Result<Due<'f>, u64> {
        let frame = match file.frames.get(self.past) {
            Some(frame) => frame,
            None => {
                self.turns = self.turns.wrapping_add(1);
                self.past = 0;
                file.frames.first().ok_or(u64::MAX)?
            }
        };
        let turned = file.length.wrapping_mul(self.turns);
        let timestamp = turned.wrapping_add(frame.tag.timestamp);
        let since = u64::from(timestamp).saturating_mul(1000);
        let at = self.begun.saturating_add(since);
        if at > now {
            return Err(at);
        }
        self.past = self.past.saturating_add(1);
        let [audio, video] = &mut self.numbers;
        let count = match frame.tag.type_id {
            type_id::AUDIO => audio,
            _ => video,
        };
        let number = *count;
        *count = number.saturating_add(1);
        Ok(Due {
            frame,
            timestamp,
            number,
            at,
        })
    }
}

/// Of H.264.
fn is_end_of_sequence(body: &[u8]) -> bool {
    matches!(body, [0x17 | 0x27, 2, ..])
}

#[cfg(test)]
mod tests {
    use srs_lite::wire::flv_file::{header, tag};

    use super::*;

    fn file(tags: &[(u8, u32, &[u8])]) -> Vec<u8> {
        let mut out = header(true, true).to_vec();
        for &(type_id, time, body) in tags {
            out.extend_from_slice(&tag(type_id, time, body));
        }
        out
    }

    #[test]
    fn headers_are_sent_once_and_time_begins_at_0() {
        let bytes = file(&[
            (18, 0, b"\x02\0\x0aonMetaData"),
            (9, 0, b"\x17\0\0\0\0\x01\x64\0\x1e\xfd"),
            (8, 0, b"\xaf\0\x12\x10"),
            (9, 500, b"\x17\x01\0\0\0\0\x01\x65"),
            (8, 520, b"\xaf\x01\x21"),
            (9, 540, b"\x27\x01\0\0\0\0\x01\x61"),
            (9, 900, b"\x17\x02\0\0\0"),
        ]);
        let file = File::parse(&bytes).unwrap();
        assert_eq!(file.head.len(), 3);
        let times: Vec<_> = file
            .frames
            .iter()
            .map(|frame| frame.tag.timestamp)
            .collect();
        assert_eq!(times, [0, 20, 40]);
        assert_eq!(file.length, 53);
        // It goes round: the next turn begins where the file ends.
        let mut reel = Reel::new(1_000_000);
        assert_eq!(reel.next(&file, 999_999).unwrap_err(), 1_000_000);
        for expected in [(0, 0), (20, 0), (40, 1), (53, 2), (73, 1)] {
            let due = reel.next(&file, 1_073_000).unwrap();
            assert_eq!((due.timestamp, due.number), expected);
            assert_eq!(due.at, 1_000_000 + u64::from(due.timestamp) * 1000);
        }
        assert_eq!(reel.next(&file, 1_073_000).unwrap_err(), 1_093_000);
        let places: Vec<_> = file.frames.iter().map(|frame| frame.place).collect();
        assert_eq!(
            places,
            [Place::Video(5, 2), Place::Audio(2), Place::Video(5, 2)]
        );
    }

    #[test]
    fn the_first_frame_is_due_at_once_though_the_second_is_earlier() {
        let bytes = file(&[
            (9, 23, b"\x17\x01\0\0\0\0\x01\x65"),
            (8, 0, b"\xaf\x01\x21"),
            (8, 43, b"\xaf\x01\x21"),
        ]);
        let file = File::parse(&bytes).unwrap();
        let times = file.frames.iter().map(|frame| frame.tag.timestamp);
        assert_eq!(times.collect::<Vec<_>>(), [0, 0, 20]);
    }

    #[test]
    fn what_cannot_be_published_is_refused() {
        assert!(
            File::parse(b"not an FLV file")
                .unwrap_err()
                .contains("not FLV")
        );
        assert!(File::parse(&file(&[])).unwrap_err().contains("no frame"));
        let hevc = file(&[(9, 0, b"\x91hvc1\0\0\0\x01")]);
        assert!(
            File::parse(&hevc)
                .unwrap_err()
                .contains("neither H.264 nor AAC")
        );
    }
}
