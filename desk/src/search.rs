//! Words as search compares them: without regard to case and accents, the same at every site and in every database.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// `text` in lower case without accents; letters that Unicode does not take apart (`ł`, `đ`, `ø`, …) become the
/// ones people type for them.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ø' => folded.push('o'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'ŧ' => folded.push('t'),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ς' => folded.push('σ'),
            // Lower-casing `İ` leaves a dot above behind.
            c if is_combining_mark(c) => {}
            // The index takes emoji and private signs for letters of the word before them; nobody types them to find it.
            c if !c.is_ascii() && !c.is_alphanumeric() => folded.push(' '),
            c => folded.push(c),
        }
    }
    folded
}

/// The words of a query, folded: runs of letters and digits. At most 16; more are let go, they only narrow.
#[must_use]
pub fn words(query: &str) -> Vec<String> {
    fold(query)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(16)
        .map(ToOwned::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_takes_case_and_accents_away() {
        assert_eq!(fold("Łukasz Ångström ĐẶNG Straße İzmir"), "lukasz angstrom dang strasse izmir");
        assert_eq!(fold("Ελένη Άρης Дмитрий Ёлка"), "ελενη αρησ дмитрии елка");
    }

    #[test]
    fn words_are_split_where_the_index_splits_them() {
        assert_eq!(words("042-2026-000017-K7, café!"), ["042", "2026", "000017", "k7", "cafe"]);
        assert!(words(" -- !! ").is_empty());
        // What is indexed has the same words.
        for text in ["stolen🙂", "stolen👍🏽", "stolen\u{f8ff}", "stolen…", "“stolen”"] {
            let folded = fold(text);
            let indexed = folded.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
            assert_eq!(indexed.filter(|word| !word.is_empty()).collect::<Vec<_>>(), words(text), "{text}");
        }
    }
}
