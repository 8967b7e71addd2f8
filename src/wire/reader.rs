//! A cursor over untrusted bytes.

/// A cursor over bytes that came from a peer.
///
/// Reading never panics and never reads past the end: a short read is `None`, and the caller
/// decides whether that means "wait for more" or "malformed".
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next `length` bytes.
    pub const fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let Some((head, tail)) = self.rest.split_at_checked(length) else {
            return None;
        };
        self.rest = tail;
        Some(head)
    }

    /// Takes the next `N` bytes as an array.
    pub const fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return None;
        };
        self.rest = tail;
        Some(*head)
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Takes a big-endian 16-bit number.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian 24-bit number.
    pub fn u24(&mut self) -> Option<u32> {
        let [high, middle, low] = self.array()?;
        Some(u32::from_be_bytes([0, high, middle, low]))
    }

    /// Takes a big-endian 32-bit number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a little-endian 32-bit number.
    pub fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// What has not been taken yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been taken yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u24(), Some(0x01_02_03));
        assert_eq!(reader.remaining(), 0);
        assert_eq!(reader.u8(), None);
    }
}
