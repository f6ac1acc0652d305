//! Whether a JPEG can go into a PDF as it is: read from its header, never from what is said about it.

/// What a JPEG's frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Pixels.
    pub(super) width: u32,
    /// Pixels.
    pub(super) height: u32,
    /// 1 for grey, 3 for colour.
    pub(super) components: u8,
}

/// The frame of a JPEG that PDF readers show: baseline, extended or progressive, 8 bits, grey or three colours.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        // Any number of fill bytes may stand before a marker.
        let marker = loop {
            let (first, after) = rest.split_first()?;
            rest = after;
            match first {
                0xff if rest.first() == Some(&0xff) => {}
                0xff => break *rest.first()?,
                _ => return None,
            }
        };
        rest = rest.get(1..)?;
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let body = rest.get(2..length)?;
        match marker {
            0xc0..=0xc2 => return read(body),
            // Lossless, hierarchical and arithmetic frames; image data without a frame.
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xd0..=0xda => return None,
            _ => rest = rest.get(length..)?,
        }
    }
}

fn read(body: &[u8]) -> Option<Frame> {
    let [8, h1, h0, w1, w0, components, ..] = *body else {
        return None;
    };
    let height = u32::from(u16::from_be_bytes([h1, h0]));
    let width = u32::from(u16::from_be_bytes([w1, w0]));
    (width > 0 && height > 0 && matches!(components, 1 | 3)).then_some(Frame { width, height, components })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_frame_header_decides() {
        let head = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc2, 0, 10, 8, 1, 2, 3, 4, 3, 0, 0];
        assert_eq!(frame(&head), Some(Frame { width: 772, height: 258, components: 3 }));
        let mut cmyk = head;
        cmyk[18] = 4;
        assert_eq!(frame(&cmyk), None);
        assert_eq!(frame(&head[..15]), None);
        assert_eq!(frame(b"GIF89a"), None);
        assert_eq!(frame(&[0xff, 0xd8, 0xff, 0xe0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut jpeg = vec![0xff, 0xd8, 0xff];
            jpeg.extend(bytes);
            let _ = frame(&jpeg);
        }
    }
}
