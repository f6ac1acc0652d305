//! Whether the machine's clock is right, as far as other machines of the company can tell.

use super::{Finding, Health};
use crate::desk::Desk;
use crate::ledger::{Identity, NodeRow};
use chassis::clock::format_rfc3339;

/// Clocks outside these years were never set: 2024-01-01 to 2100-01-01, milliseconds since 1970.
const SANE_MS: std::ops::Range<i64> = 1_704_067_200_000..4_102_444_800_000;
/// From so much on a clock that is off is worth a word, in milliseconds.
const OFF_MS: u64 = 2 * 60 * 1000;
/// What a node said of its clock longer ago tells nothing of now, in milliseconds.
const LATELY_MS: u64 = 60 * 60 * 1000;
/// So many nodes have to agree before headquarters' clock is the one that is off.
const MOST_TELLING: usize = 3;
/// What to do.
const SET: &str = "set it, and have it kept right: timedatectl set-ntp true";

/// What a clock says that is compared with `offset_ms`: how far it is ahead of `whose`.
fn compared(now_ms: i64, offset_ms: i64, whose: &str) -> Finding {
    let off_ms = offset_ms.unsigned_abs();
    let time = format_rfc3339(now_ms);
    if off_ms < OFF_MS {
        return Finding::new("clock", Health::Ok, format!("{time}, {} s from {whose}", off_ms / 1000));
    }
    let (off, way) = (in_words(off_ms), if offset_ms > 0 { "ahead of" } else { "behind" });
    Finding::new("clock", Health::Warn, format!("{time} is {off} {way} {whose}: {SET}"))
}

/// A time span for a person.
fn in_words(ms: u64) -> String {
    match ms / 60_000 {
        minutes @ ..120 => format!("{minutes} minutes"),
        minutes @ ..2880 => format!("{} hours", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

/// How far most of the nodes that were heard of lately say that their clocks are from headquarters': the one in the middle.
fn middle_offset_ms(rows: &[NodeRow], now_ms: i64) -> Option<i64> {
    let is_lately = |row: &&NodeRow| {
        row.is_in_service() && row.last_contact_ms.is_some_and(|at_ms| now_ms.abs_diff(at_ms) <= LATELY_MS)
    };
    let mut offsets: Vec<i64> = rows.iter().filter(is_lately).map(|row| row.clock_offset_ms).collect();
    offsets.sort_unstable();
    if offsets.len() < MOST_TELLING {
        None
    } else {
        offsets.get(offsets.len() / 2).copied()
    }
}

/// Looks at it: at a node by what headquarters' clock last said, at headquarters by what the nodes' do.
pub(super) async fn examine(desk: &Desk) -> Finding {
    let (now_ms, boot_ms) = (desk.now_ms(), desk.boot_ms());
    if !SANE_MS.contains(&now_ms) {
        return Finding::new("clock", Health::Fail, format!("this machine's clock is not set: {SET}"));
    }
    let is_hub = matches!(desk.ledger().identity().await, Ok(Identity::Hub { .. }));
    if is_hub {
        let rows = desk.ledger().nodes(None).await.unwrap_or_default();
        if let Some(offset_ms) = middle_offset_ms(&rows, now_ms) {
            return compared(now_ms, offset_ms.saturating_neg(), "the clocks of most stores");
        }
    } else if let Some(offset_ms) = desk.reckoning().offset_ms(now_ms, boot_ms) {
        return compared(now_ms, offset_ms, "headquarters'");
    }
    Finding::new(
        "clock",
        Health::Ok,
        format!("{}; there is no other clock to compare it with yet", format_rfc3339(now_ms)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_900_000_000_000;

    fn node(last_contact_ms: Option<i64>, clock_offset_ms: i64) -> NodeRow {
        NodeRow { last_contact_ms, clock_offset_ms, ..NodeRow::default() }
    }

    #[test]
    fn a_clock_is_worth_a_word_from_two_minutes_on_and_the_word_says_which_way_it_is_off() {
        assert_eq!(compared(NOW_MS, 119_999, "headquarters'").state, Health::Ok);
        let ahead = compared(NOW_MS, 120_000, "headquarters'");
        assert_eq!(ahead.state, Health::Warn);
        assert!(ahead.detail.contains("2 minutes ahead of headquarters'") && ahead.detail.contains("timedatectl"));
        let behind = compared(NOW_MS, -3 * 3_600_000, "headquarters'");
        assert!(behind.detail.contains("3 hours behind headquarters'"), "{}", behind.detail);
        assert!(compared(NOW_MS, i64::MIN, "x").detail.contains("days behind"));
    }

    #[test]
    fn headquarters_is_the_one_that_is_off_only_where_most_nodes_say_so() {
        let (lately, long_ago) = (Some(NOW_MS - 1000), Some(NOW_MS - 7_200_000));
        let rows = [node(lately, -600_000), node(lately, -599_000), node(long_ago, 0), node(None, 0)];
        assert_eq!(middle_offset_ms(&rows, NOW_MS), None);
        let rows = [rows.to_vec(), vec![node(lately, 7)]].concat();
        assert_eq!(middle_offset_ms(&rows, NOW_MS), Some(-599_000));
        let rows = [rows, vec![node(lately, 8), node(lately, 9)]].concat();
        assert_eq!(middle_offset_ms(&rows, NOW_MS), Some(7));
    }
}
