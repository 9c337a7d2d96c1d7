//! Content made smaller on the way: whole when it is kept ready, piece by piece when it is long
//! (RFC 8878, RFC 7932, RFC 1952).

use std::io::{self, Write};

use crate::coding::Coding;

/// Shorter content is sent as it is: a packet holds it anyway.
pub(super) const OCTETS_MIN: u64 = 1024;
/// Longer content is sent as it is: whoever has such files compresses them once and lays them beside.
pub(super) const OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// How hard each coding tries where content is compressed once and sent often.
const KEPT: [u32; 3] = [9, 9, 9];
/// How hard each coding tries where it is compressed for one client.
const STREAMED: [u32; 3] = [3, 4, 5];
/// Window of brotli, as a power of two of octets.
const BROTLI_WINDOW: u32 = 20;
/// Octets of brotli's own buffer.
const BROTLI_BUFFER: usize = 16 * 1024;

/// Compresses `octets` as well as is worth it for content that is kept.
///
/// # Errors
/// When the compressor has no memory.
pub(super) fn whole(coding: Coding, octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::with_level(coding, KEPT[coding.place()])?;
    encoder.write(octets)?;
    encoder.finish()?;
    Ok(encoder.take())
}

/// A compressor whose output is taken from it as it comes.
pub(super) struct Encoder(Inner);

enum Inner {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Finished(Vec<u8>),
}

impl Encoder {
    /// One for content that is compressed for one client.
    ///
    /// # Errors
    /// When the compressor has no memory.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Self::with_level(coding, STREAMED[coding.place()])
    }

    fn with_level(coding: Coding, level: u32) -> io::Result<Self> {
        let out = Vec::new();
        Ok(Self(match coding {
            Coding::Zstd => Inner::Zstd(zstd::stream::write::Encoder::new(out, level.cast_signed())?),
            Coding::Brotli => Inner::Brotli(Box::new(brotli::CompressorWriter::new(
                out,
                BROTLI_BUFFER,
                level,
                BROTLI_WINDOW,
            ))),
            Coding::Gzip => Inner::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::new(level))),
        }))
    }

    /// Adds content.
    ///
    /// # Errors
    /// When the compressor has no memory.
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Inner::Zstd(encoder) => encoder.write_all(octets),
            Inner::Brotli(encoder) => encoder.write_all(octets),
            Inner::Gzip(encoder) => encoder.write_all(octets),
            Inner::Finished(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Says that there is no more content.
    ///
    /// # Errors
    /// When the compressor has no memory.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let out = match std::mem::replace(&mut self.0, Inner::Finished(Vec::new())) {
            Inner::Zstd(encoder) => encoder.finish()?,
            Inner::Brotli(encoder) => encoder.into_inner(),
            Inner::Gzip(encoder) => encoder.finish()?,
            Inner::Finished(out) => out,
        };
        self.0 = Inner::Finished(out);
        Ok(())
    }

    /// What came out so far.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match &mut self.0 {
            Inner::Zstd(encoder) => encoder.get_mut(),
            Inner::Brotli(encoder) => encoder.get_mut(),
            Inner::Gzip(encoder) => encoder.get_mut(),
            Inner::Finished(out) => out,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn plain(coding: Coding, octets: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Zstd => return zstd::stream::decode_all(octets).unwrap(),
            Coding::Brotli => brotli::Decompressor::new(octets, 4096).read_to_end(&mut plain).unwrap(),
            Coding::Gzip => flate2::read::GzDecoder::new(octets).read_to_end(&mut plain).unwrap(),
        };
        plain
    }

    #[test]
    fn every_coding_gives_back_what_went_in_whole_or_in_pieces() {
        let content: Vec<u8> = (0..50_000u32).flat_map(|n| (n / 7).to_string().into_bytes()).collect();
        for coding in Coding::ALL {
            for octets in [&content[..], &content[..1], b""] {
                let coded = whole(coding, octets).unwrap();
                assert!(coded.len() < octets.len() / 2 + 64, "{coding:?}");
                assert_eq!(plain(coding, &coded), octets, "{coding:?}");
            }
            let mut encoder = Encoder::new(coding).unwrap();
            let mut coded = Vec::new();
            for piece in content.chunks(10_000) {
                encoder.write(piece).unwrap();
                coded.extend(encoder.take());
            }
            encoder.finish().unwrap();
            coded.extend(encoder.take());
            assert_eq!(plain(coding, &coded), content, "{coding:?}");
        }
    }
}
