//! Makes a password that can be read out over the telephone.

use doorway_net::entropy;

use super::words::WORDS;

/// Words in a password.
const WORDS_COUNT: usize = 4;
/// Numbers from 0 to one less than this end it.
const NUMBERS: u16 = 10_000;

/// Four words and four digits from the system's random source: 53 bits.
pub(crate) fn generate() -> String {
    from(entropy::fill)
}

fn from(mut random: impl FnMut(&mut [u8])) -> String {
    let mut draw = || {
        let mut octets = [0; 2];
        random(&mut octets);
        u16::from_le_bytes(octets)
    };
    let mut password = String::new();
    for _ in 0..WORDS_COUNT {
        password.push_str(WORDS[usize::from(draw()) % WORDS.len()]);
        password.push('-');
    }
    // The last, incomplete stretch of numbers would make small ones likelier: draw again.
    let mut number = draw();
    while number >= u16::MAX / NUMBERS * NUMBERS {
        number = draw();
    }
    password.push_str(&format!("{:04}", number % NUMBERS));
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_clear_sorted_and_none_is_twice() {
        assert!(WORDS.windows(2).all(|pair| pair[0] < pair[1]));
        for word in WORDS {
            assert!((3..=6).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn a_password_is_four_words_and_four_digits() {
        let mut octets = [0, 0, 1, 0, 0xff, 0x03, 0, 4, 0xff, 0xff, 7, 0].into_iter();
        let password = from(|room| room.fill_with(|| octets.next().unwrap()));
        assert_eq!(password, format!("{}-{}-{}-{}-0007", WORDS[0], WORDS[1], WORDS[1023], WORDS[0]));
    }

    #[test]
    fn two_passwords_differ() {
        assert_ne!(generate(), generate());
    }
}
