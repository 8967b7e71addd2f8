//! What a joining player needs before live frames make sense to it.

use std::sync::Arc;

use crate::hub::frame::{Frame, Kind};
use crate::limits;

/// The latest metadata and sequence headers of a stream, and its current group of pictures.
#[derive(Debug, Default)]
pub struct Cache {
    metadata: Option<Arc<Frame>>,
    headers: Vec<Arc<Frame>>,
    /// From the last frame that a decoder can start from; empty if there was none, or if the group
    /// grew beyond its bounds.
    group: Vec<Arc<Frame>>,
    group_bytes: usize,
    /// Frames kept of a group; 0 keeps none.
    max_frames: usize,
}

impl Cache {
    /// An empty cache that keeps `max_frames` of a group, and [`limits::GROUP_BYTES`].
    pub fn new(max_frames: usize) -> Self {
        Self {
            max_frames,
            ..Self::default()
        }
    }

    /// Keeps `max_frames` of a group from now on; the one that it has, too.
    pub fn keep(&mut self, max_frames: usize) {
        self.max_frames = max_frames;
        if self.group.len() > max_frames {
            self.drop_group();
        }
    }

    /// Forgets everything: what comes next is another publisher's.
    pub fn clear(&mut self) {
        *self = Self::new(self.max_frames);
    }

    /// Keeps what `frame` is good for.
    pub fn remember(&mut self, frame: &Arc<Frame>) {
        match frame.kind {
            Kind::Metadata => self.metadata = Some(Arc::clone(frame)),
            Kind::AudioHeader | Kind::VideoHeader => self.remember_header(frame),
            Kind::RandomAccess => {
                self.drop_group();
                self.extend_group(frame);
            }
            Kind::Dependent | Kind::Audio | Kind::Data if !self.group.is_empty() => {
                self.extend_group(frame);
            }
            Kind::Dependent | Kind::Audio | Kind::Data | Kind::Control => {}
        }
    }

    /// Metadata, headers and the group, in the order in which a player needs them.
    pub fn opening(&self) -> Vec<Arc<Frame>> {
        let head = self.metadata.iter().chain(&self.headers);
        head.chain(&self.group).map(Arc::clone).collect()
    }

    /// Metadata and headers only.
    pub fn head(&self) -> Vec<Arc<Frame>> {
        let head = self.metadata.iter().chain(&self.headers);
        head.map(Arc::clone).collect()
    }

    /// Whether the opening ends in the middle of a group, so that dependent frames may follow.
    pub const fn in_group(&self) -> bool {
        !self.group.is_empty()
    }

    fn remember_header(&mut self, frame: &Arc<Frame>) {
        let same = |known: &&mut Arc<Frame>| known.kind == frame.kind && known.slot == frame.slot;
        if let Some(known) = self.headers.iter_mut().find(same) {
            let changed = known.payload != frame.payload;
            *known = Arc::clone(frame);
            if changed {
                // The group was coded with the old one.
                self.drop_group();
            }
            return;
        }
        let of_kind = |known: &&Arc<Frame>| known.kind == frame.kind;
        if self.headers.iter().filter(of_kind).count() < limits::MAX_TRACKS {
            self.headers.push(Arc::clone(frame));
        }
    }

    fn extend_group(&mut self, frame: &Arc<Frame>) {
        self.group_bytes = self.group_bytes.saturating_add(frame.length());
        let fits = self.group.len() < self.max_frames && self.group_bytes <= limits::GROUP_BYTES;
        if fits && !frame.is_memory_tight() {
            self.group.push(Arc::clone(frame));
        } else {
            self.drop_group();
        }
    }

    fn drop_group(&mut self) {
        self.group = Vec::new();
        self.group_bytes = 0;
    }
}
