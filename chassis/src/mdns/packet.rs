//! What travels: packets of DNS, as far as an announcement needs them. What arrives is anybody's.

/// A text that describes a service.
pub(super) const TXT: u16 = 16;
/// A name for another one.
pub(super) const PTR: u16 = 12;
/// A host and its port.
pub(super) const SRV: u16 = 33;
/// An address.
pub(super) const A: u16 = 1;
/// Whatever there is.
pub(super) const ANY: u16 = 255;
/// The internet; the top bit says in a question that the answer may go to whoever asked alone, in a record that it is the only one.
const IN: u16 = 1;
const TOP: u16 = 0x8000;
/// Most questions, and most records, that are looked at in a packet.
const MOST: usize = 64;
/// Longest name, in bytes.
const MOST_NAME: usize = 255;

/// A name, label by label.
pub(super) type Name = Vec<Vec<u8>>;

/// A name from its text; labels with dots in them are given by themselves.
pub(super) fn name(labels: &[&str]) -> Name {
    labels.iter().map(|label| label.as_bytes().to_vec()).collect()
}

/// Whether two names are the same; case does not count.
pub(super) fn same(one: &Name, other: &Name) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.eq_ignore_ascii_case(other))
}

/// A record that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub name: Name,
    pub kind: u16,
    /// Nobody else has one of this name and kind.
    pub is_only: bool,
    pub ttl_s: u32,
    pub data: Vec<u8>,
}

/// A question that was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub name: Name,
    pub kind: u16,
    /// The answer may go to whoever asked alone.
    pub alone: bool,
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Query {
        id: u16,
        questions: Vec<Question>,
    },
    /// What others tell: name, kind, time to live and data.
    Answer(Vec<Record>),
}

pub(super) fn encoded(name: &Name) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes
}

/// An answer. `echo`: to one who does not know multicast, who wants the number and the questions back, and short lives.
pub(super) fn answer(records: &[Record], more: &[Record], echo: Option<(u16, &[&Question])>) -> Vec<u8> {
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    let (id, questions) = echo.unwrap_or((0, &[]));
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&[0x84, 0]);
    for n in [questions.len(), records.len(), 0, more.len()] {
        bytes.extend_from_slice(&count(n));
    }
    for question in questions {
        bytes.extend_from_slice(&encoded(&question.name));
        bytes.extend_from_slice(&question.kind.to_be_bytes());
        bytes.extend_from_slice(&IN.to_be_bytes());
    }
    for record in records.iter().chain(more) {
        bytes.extend_from_slice(&encoded(&record.name));
        bytes.extend_from_slice(&record.kind.to_be_bytes());
        let only = if record.is_only && echo.is_none() { TOP } else { 0 };
        bytes.extend_from_slice(&(IN | only).to_be_bytes());
        let ttl_s = if echo.is_some() { record.ttl_s.min(10) } else { record.ttl_s };
        bytes.extend_from_slice(&ttl_s.to_be_bytes());
        bytes.extend_from_slice(&count(record.data.len()));
        bytes.extend_from_slice(&record.data);
    }
    bytes
}

/// What a packet says; `None` for what is none, and for what an announcement has nothing to do with.
pub(super) fn read(bytes: &[u8]) -> Option<Packet> {
    let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (id, flags) = (number(0)?, number(2)?);
    // Another operation, or an error.
    if flags & 0x780f != 0 {
        return None;
    }
    let (questions, records) = (usize::from(number(4)?), usize::from(number(6)?));
    let mut at = 12;
    if flags & 0x8000 == 0 {
        let mut asked = Vec::new();
        for _ in 0..questions.min(MOST) {
            let (name, after) = read_name(bytes, at)?;
            let (kind, class) = (number(after)?, number(after + 2)?);
            at = after + 4;
            if class & !TOP == IN || class & !TOP == ANY {
                asked.push(Question { name, kind, alone: class & TOP != 0 });
            }
        }
        return Some(Packet::Query { id, questions: asked });
    }
    for _ in 0..questions.min(MOST) {
        at = read_name(bytes, at)?.1 + 4;
    }
    let mut told = Vec::new();
    for _ in 0..records.min(MOST) {
        let (name, after) = read_name(bytes, at)?;
        let (kind, class, length) = (number(after)?, number(after + 2)?, usize::from(number(after + 8)?));
        let ttl_s = u32::from(number(after + 4)?) << 16 | u32::from(number(after + 6)?);
        let data = bytes.get(after + 10..after + 10 + length)?;
        at = after + 10 + length;
        // The host in it may be abbreviated.
        let data = if kind == SRV {
            let (host, _) = read_name(bytes, after + 16)?;
            [data.get(..6)?, &encoded(&host)].concat()
        } else {
            data.to_vec()
        };
        told.push(Record { name, kind, is_only: class & TOP != 0, ttl_s, data });
    }
    Some(Packet::Answer(told))
}

/// The name that begins at `at`, and where what follows it begins.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(Name, usize)> {
    let (mut name, mut length, mut after) = (Vec::new(), 0, None);
    loop {
        let first = *bytes.get(at)?;
        match first {
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..=63 => {
                let end = at + 1 + usize::from(first);
                length += usize::from(first) + 1;
                if length > MOST_NAME {
                    return None;
                }
                name.push(bytes.get(at + 1..end)?.to_vec());
                at = end;
            }
            0xc0.. => {
                let to = usize::from(u16::from_be_bytes([first & 0x3f, *bytes.get(at + 1)?]));
                after = after.or(Some(at + 2));
                // Backwards only: it comes to an end.
                if to >= at {
                    return None;
                }
                at = to;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_abbreviations_are_followed() {
        let host = name(&["till", "local"]);
        let data = [&[0, 0, 0, 0, 0x1e, 0x1e][..], &encoded(&host)].concat();
        let record = Record { name: name(&["A b", "_x", "local"]), kind: SRV, is_only: true, ttl_s: 120, data };
        assert_eq!(read(&answer(std::slice::from_ref(&record), &[], None)), Some(Packet::Answer(vec![record])));
        // "local" is at 12, "b.local" points there.
        let query = b"\x00\x07\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x05local\x00\x00\x0c\x80\x01\x01b\xc0\x0c\x00\xff\x00\x01";
        let Some(Packet::Query { id: 7, questions }) = read(query) else {
            panic!()
        };
        assert_eq!(questions[0], Question { name: name(&["local"]), kind: PTR, alone: true });
        assert_eq!(questions[1], Question { name: name(&["b", "local"]), kind: ANY, alone: false });
        assert!(same(&questions[1].name, &name(&["B", "LOCAL"])));
    }

    #[test]
    fn whatever_arrives_is_read_or_refused_and_comes_to_an_end() {
        let whole = b"\x00\x07\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x05local\x00\x00\x0c\x80\x01\x01b\xc0\x0c\x00\xff\x00\x01";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        for pointer in [0x0c_u8, 0x13, 0xff] {
            let mut bytes = whole.to_vec();
            bytes[26] = pointer;
            let _ = read(&bytes);
        }
        // A name that points at itself; a name that is too long; any byte anywhere.
        assert_eq!(read(b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01"), None);
        let long = [
            &b"\0\0\0\0\0\x01\0\0\0\0\0\0"[..],
            &b"\x3f".iter().chain(&[b'a'; 63]).copied().collect::<Vec<_>>().repeat(5),
            b"\0\0\x01\0\x01",
        ]
        .concat();
        assert_eq!(read(&long), None);
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut bytes = whole.to_vec();
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] = (random >> 13) as u8;
            bytes[2] |= (random >> 5) as u8 & 0x80;
            let _ = read(&bytes);
        }
    }
}
