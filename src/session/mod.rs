//! What bytes mean: state machines that own no socket, clock or thread.
