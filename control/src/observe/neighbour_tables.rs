//! Neighbours as a table for people.

use super::neighbour::{Flushed, Neighbours};
use super::tables::{count, duration, table};

/// What `weir neighbours` prints.
pub fn neighbours(answer: &Neighbours) -> String {
    let mut table = table(&["address", "interface", "mac", "state", "age", "used", "waiting"], &[4, 5, 6]);
    for row in &answer.neighbours {
        table.add_row([
            row.address.to_string(),
            row.interface.clone(),
            row.mac.clone().unwrap_or_default(),
            row.state.clone(),
            duration(row.age_s),
            row.used_s.map_or_else(|| "never".to_owned(), duration),
            row.waiting.to_string(),
        ]);
    }
    let mut text = format!("{table}\n{}\n", count(answer.neighbours.len(), "neighbour", "neighbours"));
    for alarm in &answer.alarms {
        text += &format!("alarm: {} ago: {}\n", duration(alarm.ago_s), alarm.what);
    }
    text
}

/// What `weir neighbours flush` prints.
pub fn flushed(answer: &Flushed) -> String {
    format!("{} flushed\n", count(answer.flushed, "neighbour", "neighbours"))
}
