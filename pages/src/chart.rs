//! Charts as drawings that the server makes, each with its figures in a table behind it. Pure: figures in, places out;
//! `charts.html` draws them.

use crate::words::{Words, grouped};

/// Width of a chart of columns, in units of its drawing.
pub const WIDTH: u32 = 720;
/// Height of its tallest column.
pub const HEIGHT: u32 = 160;
/// Most columns that can still be told apart; whoever has more puts days together first.
pub const MAX_COLUMNS: usize = 240;
/// About how many columns have a word below them.
const TICKS: usize = 8;
/// Side of a heat map's cell and the room for words beside and above its cells, in units of its drawing.
const CELL: u32 = 26;
const BESIDE: u32 = 46;
const ABOVE: u32 = 18;
/// Shades of a heat map beside "nothing".
const SHADES: u64 = 5;

/// What a column, a pair or a row stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// In words.
    pub text: String,
    /// Below a column, where there is little room.
    pub short: String,
    /// The list of what is counted; empty: there is none.
    pub href: String,
}

/// A column of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Left edge.
    pub x: u32,
    /// Top.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
    /// What it stands for.
    pub label: Label,
    /// How many.
    pub count: u64,
    /// What stands below it; mostly nothing.
    pub tick: Option<String>,
}

/// Left edge and width of the `at`th of `of` places side by side, with a gap to the next one.
fn place(at: usize, of: usize) -> (u32, u32) {
    let edge = |at: usize| (at as u64 * u64::from(WIDTH) / of.max(1) as u64) as u32;
    let (left, right) = (edge(at), edge(at + 1));
    let gap = if right - left > 3 { 1 } else { 0 };
    // A single column is not a wall.
    (left, (right - left - gap).clamp(1, 60))
}

/// `value` as a height, where `most` is the whole one. What is not nothing is seen.
fn height(value: u64, most: u64) -> u32 {
    let h = (u128::from(value) * u128::from(HEIGHT) / u128::from(most.max(1))) as u32;
    if value > 0 { h.max(2) } else { 0 }
}

fn tick(at: usize, of: usize, label: &Label) -> Option<String> {
    at.is_multiple_of(of.div_ceil(TICKS).max(1)).then(|| label.short.clone())
}

/// Columns side by side, as many as there are values, up to [`MAX_COLUMNS`].
#[must_use]
pub fn columns(values: Vec<(Label, u64)>) -> Vec<Column> {
    let of = values.len().min(MAX_COLUMNS);
    let most = values.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let column = |(at, (label, count)): (usize, (Label, u64))| {
        let ((x, w), h) = (place(at, of), height(count, most));
        Column { x, y: HEIGHT - h, w, h, count, tick: tick(at, of, &label), label }
    };
    values.into_iter().take(of).enumerate().map(column).collect()
}

/// How many the highest column stands for.
#[must_use]
pub fn most(columns: &[Column]) -> u64 {
    columns.iter().map(|column| column.count).max().unwrap_or(0)
}

/// What the highest column of any pair stands for, in words.
#[must_use]
pub fn most_of(pairs: &[Pair]) -> &str {
    let highest = |pair: &&Pair| pair.values.0.max(pair.values.1);
    let Some(pair) = pairs.iter().max_by_key(highest) else {
        return "";
    };
    if pair.values.0 >= pair.values.1 { &pair.shown.0 } else { &pair.shown.1 }
}

/// Two columns that belong together, such as what was lost and what of it came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What they stand for.
    pub label: Label,
    /// The first one's left edge, top, width and height.
    pub first: (u32, u32, u32, u32),
    /// The second one's.
    pub second: (u32, u32, u32, u32),
    /// Their values.
    pub values: (u64, u64),
    /// Their values in words.
    pub shown: (String, String),
    /// What stands below them; mostly nothing.
    pub tick: Option<String>,
}

/// Pairs of columns side by side, all on one scale, up to [`MAX_COLUMNS`]. `show` puts a value in words.
#[must_use]
pub fn pairs(values: Vec<(Label, u64, u64)>, show: impl Fn(u64) -> String) -> Vec<Pair> {
    let of = values.len().min(MAX_COLUMNS);
    let most = values.iter().map(|(_, a, b)| *a.max(b)).max().unwrap_or(0);
    let pair = |(at, (label, a, b)): (usize, (Label, u64, u64))| {
        let (x, w) = place(at, of);
        let half = (w / 2).max(1);
        let rect = |x: u32, value: u64| {
            let h = height(value, most);
            (x, HEIGHT - h, half, h)
        };
        Pair {
            first: rect(x, a),
            second: rect(x + half, b),
            values: (a, b),
            shown: (show(a), show(b)),
            tick: tick(at, of, &label),
            label,
        }
    };
    values.into_iter().take(of).enumerate().map(pair).collect()
}

/// A row of a chart of shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it stands for.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// How many.
    pub count: u64,
    /// Its length, of a hundred.
    pub percent: u64,
}

/// Rows below each other, the longest of which is full.
#[must_use]
pub fn rows(values: Vec<(String, String, u64)>) -> Vec<Row> {
    let most = values.iter().map(|(_, _, count)| *count).max().unwrap_or(0).max(1);
    values
        .into_iter()
        .map(|(label, href, count)| Row { label, href, count, percent: (count.saturating_mul(100) / most).max(1) })
        .collect()
}

/// A week by weekday and hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heat {
    /// Whole width of the drawing.
    pub width: u32,
    /// Whole height.
    pub height: u32,
    /// Where the shortened weekdays stand: top of the text and the word.
    pub days: Vec<(u32, String)>,
    /// Where some of the hours stand: left edge and the word.
    pub hours: Vec<(u32, String)>,
    /// The cells, a day after the other.
    pub cells: Vec<Cell>,
    /// For the table: the weekday and its 24 counts.
    pub table: Vec<(String, Vec<u64>)>,
    /// The fullest cell in words; nothing where all are empty.
    pub most: Option<String>,
}

/// A cell of a heat map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Left edge.
    pub x: u32,
    /// Top.
    pub y: u32,
    /// Side.
    pub side: u32,
    /// 0 (nothing) to 5 (the most).
    pub shade: u64,
    /// Day, hour and count in words.
    pub text: String,
}

const WEEKDAYS: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];

/// A week, Monday first; `counts` has a row of 24 hours for each weekday.
#[must_use]
pub fn heat(counts: &[[u64; 24]; 7], words: &Words) -> Heat {
    let most = counts.iter().flatten().copied().max().unwrap_or(0);
    let day_of = |day: usize| words.of("weekday", WEEKDAYS[day]).into_owned();
    let text_of = |day: usize, hour: usize, count: u64| {
        let at = format!("{hour:02}:00");
        words.with("chart.cell", &[&day_of(day), &at, &grouped(count, words.lang())])
    };
    let mut made = Heat {
        width: BESIDE + 24 * CELL,
        height: ABOVE + 7 * CELL,
        hours: (0..24).step_by(3).map(|hour| (BESIDE + hour * CELL, format!("{hour:02}"))).collect(),
        ..Heat::default()
    };
    for (day, hours) in counts.iter().enumerate() {
        let y = ABOVE + day as u32 * CELL;
        let short: String = day_of(day).chars().take(3).collect();
        made.days.push((y + CELL * 2 / 3, short));
        for (hour, count) in hours.iter().copied().enumerate() {
            // The least that is not nothing is seen, and only the most is darkest.
            let shade = if count == 0 { 0 } else { (count * SHADES).div_ceil(most).clamp(1, SHADES) };
            let (x, text) = (BESIDE + hour as u32 * CELL, text_of(day, hour, count));
            if count == most && count > 0 && made.most.is_none() {
                made.most = Some(text.clone());
            }
            made.cells.push(Cell { x, y, side: CELL - 2, shade, text });
        }
        made.table.push((day_of(day), hours.to_vec()));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Lang;

    fn label(text: &str) -> Label {
        Label {
            text: text.to_owned(),
            short: text.get(5..).unwrap_or(text).to_owned(),
            href: String::new(),
        }
    }

    #[test]
    fn the_highest_column_fills_the_drawing_and_a_single_one_is_still_seen() {
        let values = [("2026-11-01", 0), ("2026-11-02", 1), ("2026-11-03", 1_000_000)];
        let made = columns(values.map(|(day, count)| (label(day), count)).to_vec());
        assert_eq!(made.iter().map(|bar| bar.h).collect::<Vec<_>>(), [0, 2, HEIGHT]);
        assert!(made.iter().all(|bar| bar.x + bar.w <= WIDTH && bar.y + bar.h == HEIGHT));
        assert_eq!(made[0].tick.as_deref(), Some("11-01"));
        assert_eq!(most(&made), 1_000_000);
        assert!(columns(Vec::new()).is_empty() && most(&[]) == 0);
    }

    #[test]
    fn however_many_columns_there_are_they_stand_beside_each_other_within_the_drawing() {
        for of in [1, 2, 7, 31, 92, 239, 240, 5000] {
            let made = columns(vec![(label("2026-11-01"), 1); of]);
            assert_eq!(made.len(), of.min(MAX_COLUMNS));
            assert!(made.iter().all(|bar| bar.w >= 1 && bar.x + bar.w <= WIDTH), "{of}");
            assert!(made.windows(2).all(|two| two[0].x + two[0].w <= two[1].x), "{of}");
            assert!(made.iter().filter(|bar| bar.tick.is_some()).count() <= TICKS, "{of}");
        }
    }

    #[test]
    fn pairs_have_one_scale_and_the_largest_amount_does_not_overflow() {
        let made = pairs(vec![(label("a"), u64::MAX, u64::MAX / 2), (label("b"), 0, 1)], |value| value.to_string());
        assert_eq!((made[0].first.3, made[0].second.3), (HEIGHT, HEIGHT / 2 - 1));
        assert_eq!((made[1].first.3, made[1].second.3), (0, 2));
        assert_eq!((most_of(&made), most_of(&[])), (u64::MAX.to_string().as_str(), ""));
        assert!(made.iter().all(|pair| pair.first.0 + pair.first.2 <= pair.second.0));
        assert!(made.iter().all(|pair| pair.second.0 + pair.second.2 <= WIDTH));
    }

    #[test]
    fn rows_are_shares_of_the_longest() {
        let made = rows(vec![("a".to_owned(), String::new(), 50), ("b".to_owned(), String::new(), 25)]);
        assert_eq!(made.iter().map(|row| row.percent).collect::<Vec<_>>(), [100, 50]);
        assert!(rows(Vec::new()).is_empty());
    }

    #[test]
    fn a_week_has_a_cell_for_each_hour_and_only_the_fullest_is_darkest() {
        let mut counts = [[0; 24]; 7];
        counts[0][9] = 1;
        counts[6][23] = 10;
        let made = heat(&counts, Lang::En.words());
        assert_eq!((made.cells.len(), made.days.len(), made.table.len()), (168, 7, 7));
        assert_eq!((made.cells[9].shade, made.cells[10].shade, made.cells[167].shade), (1, 0, 5));
        assert_eq!(made.most.as_deref(), Some("Sunday, 23:00: 10"));
        assert!(made.cells.iter().all(|cell| cell.x + cell.side <= made.width && cell.y + cell.side <= made.height));
        assert_eq!(heat(&[[0; 24]; 7], Lang::Es.words()).most, None);
    }
}
