//! The Huffman code of HPACK, both ways (RFC 7541 §5.2, Appendix B).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and a
//! longer code follows a shorter one. So the lengths say all, and the tables are made of them at compile
//! time. Decoding looks at ten bits at once, which is more than nearly every symbol of a field has;
//! longer codes are found by their length.

/// Bits that are looked at in one step.
const STEP: u32 = 10;
/// The longest code, in bits.
const LONGEST: usize = 30;
/// The number of the symbol that stands for the end of the string and never stands in one.
const EOS: usize = 256;

/// Length of the code of each octet, and of EOS, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

struct Tables {
    /// Code of each symbol, in its lowest bits.
    codes: [u32; 257],
    /// Symbols in the order of their codes.
    order: [u16; 257],
    /// The first code of each length.
    first: [u32; LONGEST + 1],
    /// Where the symbols of each length begin in `order`.
    start: [u16; LONGEST + 1],
    /// How many codes of each length there are.
    count: [u16; LONGEST + 1],
    /// By the next [`STEP`] bits: the symbol, and the length of its code above it; 0 when it is longer.
    steps: [u16; 1 << STEP],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables {
        codes: [0; 257],
        order: [0; 257],
        first: [0; LONGEST + 1],
        start: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
        steps: [0; 1 << STEP],
    };
    let (mut length, mut code, mut place) = (1, 0u32, 0);
    while length <= LONGEST {
        code <<= 1;
        tables.first[length] = code;
        tables.start[length] = place as u16;
        let mut symbol = 0;
        while symbol <= EOS {
            if LENGTHS[symbol] as usize == length {
                tables.codes[symbol] = code;
                tables.order[place] = symbol as u16;
                place += 1;
                if length <= STEP as usize {
                    let spare = STEP as usize - length;
                    let mut tail = 0;
                    while tail < 1 << spare {
                        tables.steps[((code as usize) << spare) | tail] =
                            (length as u16) << 8 | symbol as u16;
                        tail += 1;
                    }
                }
                code += 1;
            }
            symbol += 1;
        }
        tables.count[length] = place as u16 - tables.start[length];
        length += 1;
    }
    tables
}

/// Appends what `coded` stands for; `None` when it is no code of a string: EOS, or an end that is no
/// beginning of EOS of less than eight bits.
#[must_use]
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // The next bits stand at the top of `bits`, of which `filled` are there.
    let (mut bits, mut filled) = (0u64, 0u32);
    let mut rest = coded;
    loop {
        while filled <= 56 {
            let Some((&octet, after)) = rest.split_first() else { break };
            bits |= u64::from(octet) << (56 - filled);
            filled += 8;
            rest = after;
        }
        if filled == 0 {
            return Some(());
        }
        let step = TABLES.steps[(bits >> (64 - STEP)) as usize];
        let (symbol, length) = match step {
            0 => match long(bits) {
                Some(found) => found,
                None => return is_padding(bits, filled),
            },
            step => (step as u8, u32::from(step >> 8)),
        };
        if length > filled {
            return is_padding(bits, filled);
        }
        out.push(symbol);
        bits <<= length;
        filled -= length;
    }
}

/// A code that is longer than one step; `None` for EOS.
fn long(bits: u64) -> Option<(u8, u32)> {
    for length in STEP as usize + 1..=LONGEST {
        let code = (bits >> (64 - length)) as u32;
        let place = code.wrapping_sub(TABLES.first[length]);
        if place < u32::from(TABLES.count[length]) {
            let symbol = TABLES.order[usize::from(TABLES.start[length]) + place as usize];
            return u8::try_from(symbol).ok().map(|symbol| (symbol, length as u32));
        }
    }
    None
}

fn is_padding(bits: u64, filled: u32) -> Option<()> {
    (filled < 8 && bits >> (64 - filled) == (1 << filled) - 1).then_some(())
}

/// Octets that `octets` take when coded.
#[must_use]
pub fn coded_octets(octets: &[u8]) -> usize {
    let bits: usize = octets.iter().map(|&octet| usize::from(LENGTHS[usize::from(octet)])).sum();
    bits.div_ceil(8)
}

/// Appends `octets`, coded.
pub fn encode(octets: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut filled) = (0u64, 0u32);
    for &octet in octets {
        let length = u32::from(LENGTHS[usize::from(octet)]);
        bits = bits << length | u64::from(TABLES.codes[usize::from(octet)]);
        filled += length;
        while filled >= 8 {
            filled -= 8;
            out.push((bits >> filled) as u8);
        }
    }
    if filled > 0 {
        // The rest is filled with the beginning of EOS: ones.
        out.push((bits << (8 - filled)) as u8 | (0xff >> filled));
    }
}
