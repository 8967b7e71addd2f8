//! A: AMF0 and commands.
