//! Charts as drawings that the server makes: bars with their figures in a table behind them. Pure.

/// Width of a chart of days, in units of its drawing.
const WIDTH: u32 = 720;
/// Its height.
const HEIGHT: u32 = 160;

/// A bar of a chart of days.
pub struct Bar {
    /// Left edge.
    pub x: u32,
    /// Top.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
    /// What it stands for.
    pub label: String,
    /// How many.
    pub count: u64,
    /// What stands below it; mostly nothing.
    pub tick: Option<String>,
}

/// Bars side by side, as many as there are values.
pub fn columns(values: &[(String, u64)]) -> Vec<Bar> {
    let most = values.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let slot = (WIDTH / (values.len().max(1) as u32)).max(2);
    values
        .iter()
        .enumerate()
        .map(|(at, (label, count))| {
            let h = (u128::from(*count) * u128::from(HEIGHT) / u128::from(most)) as u32;
            // What is not nothing is seen.
            let h = if *count > 0 { h.max(2) } else { 0 };
            let tick = (at % 7 == 0).then(|| label.get(5..).unwrap_or(label).to_owned());
            Bar {
                x: at as u32 * slot,
                y: HEIGHT - h,
                w: slot - 1,
                h,
                label: label.clone(),
                count: *count,
                tick,
            }
        })
        .collect()
}

/// A row of a chart of shares.
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
pub fn rows(values: Vec<(String, String, u64)>) -> Vec<Row> {
    let most = values.iter().map(|(_, _, count)| *count).max().unwrap_or(0).max(1);
    values
        .into_iter()
        .map(|(label, href, count)| Row { label, href, count, percent: (count.saturating_mul(100) / most).max(1) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bar_fills_the_drawing_and_a_single_one_is_still_seen() {
        let values: Vec<(String, u64)> = [("2026-11-01", 0), ("2026-11-02", 1), ("2026-11-03", 1_000_000)]
            .map(|(d, n)| (d.to_owned(), n))
            .to_vec();
        let bars = columns(&values);
        assert_eq!(bars.iter().map(|bar| bar.h).collect::<Vec<_>>(), [0, 2, HEIGHT]);
        assert!(bars.iter().all(|bar| bar.x + bar.w <= WIDTH && bar.y + bar.h == HEIGHT));
        assert_eq!(bars[0].tick.as_deref(), Some("11-01"));
        assert!(columns(&[]).is_empty());
    }

    #[test]
    fn rows_are_shares_of_the_longest() {
        let made = rows(vec![("a".to_owned(), String::new(), 50), ("b".to_owned(), String::new(), 25)]);
        assert_eq!(made.iter().map(|row| row.percent).collect::<Vec<_>>(), [100, 50]);
        assert!(rows(Vec::new()).is_empty());
    }
}
