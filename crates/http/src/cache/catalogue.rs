//! The list of what one segment file holds, written beside it once it is full: a start reads these lists and
//! not the segments. Numbers are big-endian; a hash of all stands at the end.

use doorway_base::{Malformed, Reader};

use super::record::Kind;

const MAGIC: [u8; 4] = *b"DwC1";
const HASH_OCTETS: usize = 32;

/// The list of one segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// Hosts, to which the rows point by their place.
    pub hosts: Vec<String>,
    /// A row for each record, in order.
    pub rows: Vec<Row>,
}

/// One record, as far as the index has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What the record is.
    pub kind: Kind,
    /// Where it begins in the segment.
    pub at: u32,
    /// Octets of its head.
    pub head_octets: u32,
    /// Of the target.
    pub name: u64,
    /// Of what selects it.
    pub variant: u64,
    /// How many purges there had been when the origin was asked.
    pub purges: u64,
    /// Octets of the whole content of the response.
    pub octets: u64,
    /// The oldest segment that has some of that content.
    pub oldest: u32,
    /// Whether the origin has to be asked before it is used.
    pub must_validate: bool,
    /// Its host, as a place in the list.
    pub host: u32,
    /// Short names of its tags.
    pub tags: Vec<u64>,
}

impl Catalogue {
    /// The place of a host in the list, which is looked through from its end: neighbours are often of one host.
    pub fn host(&mut self, host: &str) -> u32 {
        let known = self.hosts.iter().rposition(|known| known == host);
        known.unwrap_or_else(|| {
            self.hosts.push(host.to_owned());
            self.hosts.len() - 1
        }) as u32
    }

    /// The list as a file has it.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend((self.hosts.len() as u32).to_be_bytes());
        for host in &self.hosts {
            out.extend((host.len() as u32).to_be_bytes());
            out.extend(host.as_bytes());
        }
        out.extend((self.rows.len() as u32).to_be_bytes());
        for row in &self.rows {
            out.extend([row.kind as u8, u8::from(row.must_validate)]);
            out.extend((row.tags.len() as u16).to_be_bytes());
            for number in [row.at, row.head_octets, row.oldest, row.host] {
                out.extend(number.to_be_bytes());
            }
            for number in [row.name, row.variant, row.purges, row.octets] {
                out.extend(number.to_be_bytes());
            }
            row.tags.iter().for_each(|tag| out.extend(tag.to_be_bytes()));
        }
        let hash = blake3::hash(&out);
        out.extend(hash.as_bytes());
        out
    }

    /// Reads a list.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, or not whole.
    pub fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        let Some((list, hash)) = octets.split_last_chunk::<HASH_OCTETS>() else {
            return Err(Malformed::new("hash of a catalogue", octets.len()));
        };
        if blake3::hash(list).as_bytes() != hash {
            return Err(Malformed::new("hash of a catalogue", list.len()));
        }
        let mut reader = Reader::new(list);
        if reader.array::<4>("magic of a catalogue")? != MAGIC {
            return Err(Malformed::new("magic of a catalogue", 0));
        }
        let mut hosts = Vec::new();
        for _ in 0..reader.u32("count of hosts")? {
            let octets = reader.u32("length of a host")?;
            hosts.push(String::from_utf8_lossy(reader.take(octets as usize, "host")?).into_owned());
        }
        let mut rows = Vec::new();
        for _ in 0..reader.u32("count of rows")? {
            let kind = match reader.u8("kind")? {
                0 => Kind::Object,
                1 => Kind::Piece,
                _ => Kind::Fields,
            };
            let must_validate = reader.u8("flags")? != 0;
            let tags = reader.u16("count of tags")?;
            let mut short = || reader.u32("number of a row");
            let (at, head_octets, oldest, host) = (short()?, short()?, short()?, short()?);
            let mut long = || reader.u64("number of a row");
            let (name, variant, purges, octets) = (long()?, long()?, long()?, long()?);
            let tags = (0..tags).map(|_| reader.u64("tag")).collect::<Result<_, _>>()?;
            if host as usize >= hosts.len() {
                return Err(reader.malformed("host of a row"));
            }
            let row = Row {
                kind,
                at,
                head_octets,
                name,
                variant,
                purges,
                octets,
                oldest,
                must_validate,
                host,
                tags,
            };
            rows.push(row);
        }
        reader.finish("catalogue")?;
        Ok(Self { hosts, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_whole_or_not_at_all() {
        let mut list = Catalogue::default();
        for (number, host) in ["a.example", "b.example", "a.example"].into_iter().enumerate() {
            let host = list.host(host);
            list.rows.push(Row {
                kind: [Kind::Object, Kind::Piece, Kind::Fields][number],
                at: 100 * number as u32,
                head_octets: 300,
                name: 1 << 60,
                variant: 7,
                purges: 9,
                octets: 1 << 40,
                oldest: 3,
                must_validate: number == 1,
                host,
                tags: (0..number as u64).collect(),
            });
        }
        assert_eq!(list.hosts.len(), 2);
        let written = list.write();
        assert_eq!(Catalogue::parse(&written), Ok(list));
        for length in 0..written.len() {
            assert!(Catalogue::parse(&written[..length]).is_err());
        }
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 8;
            assert!(Catalogue::parse(&damaged).is_err(), "octet {at}");
        }
    }
}
