//! Bodies of the fuzz targets; replayed by `cargo test`.
