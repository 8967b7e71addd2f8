//! Frames → segments. No files.

pub mod segmenter;
pub mod timeline;
