//! RFC 2131, message by message.
