//! Cookies on the server's side: RFC 7873, in the form that all servers of a service can share,
//! RFC 9018.
//!
//! A client that sends back the cookie it was given has shown that it is at its address. Nothing is
//! kept for it here: the cookie holds the time and a hash over client, time and a secret.

use core::hash::Hasher;
use core::net::IpAddr;

use doorway_base::UnixTime;
use siphasher::sip::SipHasher24;

/// Octets of the client's part.
pub const CLIENT_OCTETS: usize = 8;
/// Octets of the server's part as it is made here.
pub const SERVER_OCTETS: usize = 16;
/// Seconds for which a cookie is good, and those after which it is made anew: RFC 9018 §4.3.
const GOOD_SECONDS: u32 = 3600;
const RENEW_SECONDS: u32 = 1800;
/// Seconds that a clock may be ahead of ours.
const AHEAD_SECONDS: u32 = 300;

/// The secret that cookies are made with.
#[derive(Clone)]
pub struct Baker {
    secret: [u8; 16],
}

impl std::fmt::Debug for Baker {
    /// A secret does not print itself.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Baker")
    }
}

/// What a COOKIE option is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// Its length is wrong: FORMERR (RFC 7873 §5.2.2).
    Malformed,
    /// The client has none of ours, or an old one; this goes back to it.
    Fresh([u8; CLIENT_OCTETS + SERVER_OCTETS]),
    /// The client is at its address; this goes back to it.
    Good([u8; CLIENT_OCTETS + SERVER_OCTETS]),
}

impl Baker {
    /// A baker with its secret.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// Looks at the value of a COOKIE option that came from `client`.
    #[must_use]
    pub fn look(&self, now: UnixTime, client: IpAddr, option: &[u8]) -> Cookie {
        let Some((own, server)) = option.split_first_chunk::<CLIENT_OCTETS>() else {
            return Cookie::Malformed;
        };
        if !server.is_empty() && !(8..=32).contains(&server.len()) {
            return Cookie::Malformed;
        }
        let now = now.as_secs() as u32;
        let fresh = self.bake(now, client, own);
        let Some((&[1, 0, 0, 0, t0, t1, t2, t3], _)) = server.split_first_chunk::<8>() else {
            return Cookie::Fresh(fresh);
        };
        let made = u32::from_be_bytes([t0, t1, t2, t3]);
        let age = now.wrapping_sub(made);
        let ahead = made.wrapping_sub(now);
        let whole = self.bake(made, client, own);
        if server != &whole[CLIENT_OCTETS..] || age > GOOD_SECONDS && ahead > AHEAD_SECONDS {
            return Cookie::Fresh(fresh);
        }
        Cookie::Good(if age > RENEW_SECONDS && ahead > AHEAD_SECONDS { fresh } else { whole })
    }

    // RFC 9018 §4: version 1, three reserved octets, the time, and the hash of all that.
    fn bake(&self, seconds: u32, client: IpAddr, own: &[u8; 8]) -> [u8; CLIENT_OCTETS + SERVER_OCTETS] {
        let mut cookie = [0; CLIENT_OCTETS + SERVER_OCTETS];
        cookie[..8].copy_from_slice(own);
        cookie[8] = 1;
        cookie[12..16].copy_from_slice(&seconds.to_be_bytes());
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&cookie[..16]);
        match client.to_canonical() {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()),
        }
        cookie[16..].copy_from_slice(&hasher.finish().to_le_bytes());
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let octet = |at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        core::array::from_fn(octet)
    }

    #[test]
    fn the_examples_of_the_standard_come_out() {
        // RFC 9018, appendix A.1 to A.3.
        let baker = Baker::new(octets("e5e973e5a6b2a43f48e7dc849e37bfcf"));
        let client = "198.51.100.100".parse().unwrap();
        let at = UnixTime::from_secs(1_559_731_985);
        let own: [u8; 8] = octets("2464c4abcf10c957");
        let whole: [u8; 24] = octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        assert_eq!(baker.look(at, client, &own), Cookie::Fresh(whole));
        assert_eq!(baker.look(at, client, &whole), Cookie::Good(whole));
        // Older than half an hour it is renewed, older than an hour it is no longer good.
        let later = UnixTime::from_secs(1_559_734_385);
        let own: [u8; 8] = octets("2464c4abcf10c957");
        let renewed: [u8; 24] = octets("2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
        assert_eq!(baker.look(later, client, &whole), Cookie::Good(renewed));
        let Cookie::Fresh(_) = baker.look(UnixTime::from_secs(1_559_736_000), client, &whole) else {
            panic!("an old cookie of {own:?} was taken")
        };
    }

    #[test]
    fn cookies_of_others_and_of_wrong_length_are_not_taken() {
        let baker = Baker::new([7; 16]);
        let (at, client) = (UnixTime::from_secs(1_000_000), "192.0.2.1".parse().unwrap());
        let Cookie::Fresh(cookie) = baker.look(at, client, &[1; 8]) else { panic!("a new client") };
        assert!(matches!(baker.look(at, client, &cookie), Cookie::Good(_)));
        assert!(matches!(baker.look(at, "192.0.2.2".parse().unwrap(), &cookie), Cookie::Fresh(_)));
        assert!(matches!(Baker::new([8; 16]).look(at, client, &cookie), Cookie::Fresh(_)));
        for length in [0, 7, 9, 15, 41] {
            assert_eq!(baker.look(at, client, &vec![1; length]), Cookie::Malformed, "{length}");
        }
    }
}
