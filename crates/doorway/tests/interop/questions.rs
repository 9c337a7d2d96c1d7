//! Questions over a TCP connection that stays open.

use std::net::SocketAddr;

use crate::dialogue::Dialogue;

/// RFC 1035 §4.1.1.
pub(crate) const NOERROR: u8 = 0;
/// RFC 1035 §4.1.1.
pub(crate) const NXDOMAIN: u8 = 3;

/// A connection on which questions about addresses are asked: RFC 1035 §4.2.2.
pub(crate) struct Questions(Dialogue);

impl Questions {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self(Dialogue::with(address))
    }

    /// The response code and the number of records in the answer.
    pub(crate) fn ask(&mut self, name: &str) -> (u8, u16) {
        let mut query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0".to_vec();
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.extend(b"\0\0\x01\0\x01");
        let length = u16::try_from(query.len()).unwrap().to_be_bytes();
        self.0.say([&length[..], &query].concat());
        let length = self.0.hear(2);
        let reply = self.0.hear(usize::from(u16::from_be_bytes([length[0], length[1]])));
        assert_eq!(reply[..2], query[..2], "the answer to another question");
        (reply[3] & 0xf, u16::from_be_bytes([reply[6], reply[7]]))
    }
}
