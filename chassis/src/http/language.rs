//! Which language a client would rather read.

/// Most languages of a header that are looked at.
const MOST: usize = 20;

/// Which of `tags` (primary ones, such as `en`) an `Accept-Language` header asks for first, by its weights.
#[must_use]
pub fn accepted(header: &str, tags: &[&str]) -> Option<usize> {
    let mut best: Option<(f32, usize)> = None;
    for part in header.split(',').take(MOST) {
        let (tag, rest) = part.split_once(';').unwrap_or((part, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        if let Some(at) = tags.iter().position(|tag| tag.eq_ignore_ascii_case(primary))
            && weight > 0.0
            && best.is_none_or(|(so_far, _)| weight > so_far)
        {
            best = Some((weight, at));
        }
    }
    best.map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_the_greatest_weight_that_there_is_is_taken() {
        let tags = ["en", "es"];
        for (header, at) in [
            ("es-MX,es;q=0.9,en;q=0.8", Some(1)),
            ("de, en;q=0.5, es;q=0.7", Some(1)),
            ("EN-us", Some(0)),
            ("es;q=0, en;q=0.1", Some(0)),
            ("de", None),
            ("", None),
        ] {
            assert_eq!(accepted(header, &tags), at, "{header}");
        }
    }
}
