//! What a process says of a stream that it holds, to those that share its port.

use core::fmt;

/// One line of text, in a file next to the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Announcement<'a> {
    /// The name of the lock: what is done with the stream, and its path.
    pub lock: &'a str,
    /// Who has it: sixteen hexadecimal digits.
    pub id: &'a str,
    /// The number of that process, in its own namespace.
    pub process: u32,
}

impl<'a> Announcement<'a> {
    /// Takes `text` apart, if it is a whole announcement.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rest, process) = text.strip_suffix('\n')?.rsplit_once(' ')?;
        let (lock, id) = rest.rsplit_once(' ')?;
        let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_line = !lock.contains('\n');
        (is_id && is_line).then_some(())?;
        Some(Self {
            lock,
            id,
            process: process.parse().ok()?,
        })
    }
}

impl fmt::Display for Announcement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lock, id, process } = self;
        writeln!(f, "{lock} {id} {process}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_nothing_else() {
        let said = Announcement {
            lock: "publish live/a",
            id: "0123456789abcdef",
            process: 7,
        };
        let text = said.to_string();
        assert_eq!(text, "publish live/a 0123456789abcdef 7\n");
        assert_eq!(Announcement::parse(&text), Some(said));
        for wrong in [
            "",
            "\n",
            "publish live/a 0123456789abcdef 7",
            "publish live/a 0123456789abcdef\n",
            "publish live/a 0123456789abcdef -7\n",
            "publish live/a 0123456789abcdef 4294967296\n",
            "publish live/a 0123456789abcde 7\n",
            "publish live/a ../../../etc/pas 7\n",
            "publish\nlive/a 0123456789abcdef 7\n",
        ] {
            assert_eq!(Announcement::parse(wrong), None, "{wrong:?}");
        }
    }
}
