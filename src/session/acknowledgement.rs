//! When to acknowledge what was received [RTMP §5.4.3].

use crate::limits;
use crate::wire::control::Control;
use crate::wire::message::RawMessage;

/// Counts received bytes. Acknowledges them also unasked: some encoders (Wirecast) stop without.
#[derive(Debug)]
pub struct Acknowledger {
    /// The sequence number: bytes received, modulo 2^32.
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl Default for Acknowledger {
    fn default() -> Self {
        Self {
            received: 0,
            acknowledged: 0,
            window: limits::ACK_WINDOW,
        }
    }
}

impl Acknowledger {
    /// Counts `length` more bytes; the message that is now due.
    pub fn received(&mut self, length: usize) -> Option<RawMessage> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.received = self.received.wrapping_add(length);
        if self.received.wrapping_sub(self.acknowledged) < self.window {
            return None;
        }
        self.acknowledged = self.received;
        Some(Control::Acknowledgement(self.received).encode())
    }

    /// Looks at a message that was received: it may announce a window.
    pub fn heed(&mut self, message: &RawMessage) {
        if let Some(Control::WindowAcknowledgementSize(window)) = Control::decode(message) {
            self.set_window(window);
        }
    }

    /// The peer announced its window [RTMP §5.4.4]. We acknowledge at half of it, since some peers
    /// stop when it is full, but not more often than [`limits::MIN_ACK_WINDOW`].
    pub fn set_window(&mut self, window: u32) {
        let half = window.checked_div(2).unwrap_or(window);
        self.window = half.clamp(limits::MIN_ACK_WINDOW, limits::ACK_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence_number(message: &RawMessage) -> Option<Control> {
        Control::decode(message)
    }

    #[test]
    fn bytes_are_acknowledged_once_per_window_also_across_the_wrap() {
        let mut acknowledger = Acknowledger {
            received: u32::MAX - 10,
            acknowledged: u32::MAX - 10,
            ..Acknowledger::default()
        };
        acknowledger.set_window(0);
        assert_eq!(acknowledger.received(32 * 1024 - 1), None);
        let message = acknowledger.received(1).unwrap();
        let expected = Control::Acknowledgement(32 * 1024 - 11);
        assert_eq!(sequence_number(&message), Some(expected));
        assert_eq!(acknowledger.received(1), None);
    }

    #[test]
    fn an_acknowledgement_comes_unasked() {
        let mut acknowledger = Acknowledger::default();
        assert_eq!(acknowledger.received(2_499_999), None);
        assert!(acknowledger.received(1).is_some());
    }
}
