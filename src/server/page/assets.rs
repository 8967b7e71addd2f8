//! What the page is made of beside itself: embedded, and served under names of its own.

/// The style sheet.
pub(super) const STYLE: &str = "/srs-lite/page.css";

/// What makes the page live.
pub(super) const SCRIPT: &str = "/srs-lite/page.js";

/// Plays HLS where the browser does not.
pub(super) const HLS: &str = "/srs-lite/hls-1.7.4.js";

/// Plays HTTP-FLV.
pub(super) const MPEGTS: &str = "/srs-lite/mpegts-1.8.2.js";

/// Of these two.
pub(super) const LICENCES: &str = "/srs-lite/licences.txt";

/// One file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path.
    path: &'static str,
    /// Its `Content-Type`.
    pub(super) content_type: &'static str,
    /// Whether it is for ever what its name says, and compressed: every browser takes gzip.
    pub(super) is_library: bool,
    /// All of it.
    pub(super) bytes: &'static [u8],
}

const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

/// All of them.
const ASSETS: [Asset; 5] = [
    Asset {
        path: STYLE,
        content_type: "text/css; charset=utf-8",
        is_library: false,
        bytes: include_bytes!("assets/page.css"),
    },
    Asset {
        path: SCRIPT,
        content_type: SCRIPT_TYPE,
        is_library: false,
        bytes: include_bytes!("assets/page.js"),
    },
    Asset {
        path: HLS,
        content_type: SCRIPT_TYPE,
        is_library: true,
        bytes: include_bytes!("assets/hls.light.min.js.gz"),
    },
    Asset {
        path: MPEGTS,
        content_type: SCRIPT_TYPE,
        is_library: true,
        bytes: include_bytes!("assets/mpegts.js.gz"),
    },
    Asset {
        path: LICENCES,
        content_type: "text/plain; charset=utf-8",
        is_library: false,
        bytes: include_bytes!("assets/licences.txt"),
    },
];

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}
