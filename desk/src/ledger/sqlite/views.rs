//! Filters of the list that people have given a name. They stay on their site.

use super::SqliteLedger;
use super::fail::{Done, Fail};
use crate::error::Error;
use crate::ledger::{Added, View, Views};
use async_trait::async_trait;
use chassis::sqlite::rusqlite::{Connection, Row, params};
use uuid::Uuid;

fn views(db: &Connection, username: &str) -> Done<Vec<View>> {
    let mut statement =
        db.prepare_cached("SELECT view_id, name, filters FROM views WHERE username = ?1 ORDER BY name, view_id")?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(Uuid, String, String)> = statement.query_map([username], row)?.collect::<Result<_, _>>()?;
    let view = |(id, name, filters): (Uuid, String, String)| {
        let filters = serde_json::from_str(&filters)
            .map_err(|error| Fail::Broken(format!("view {id} cannot be read: {error}")))?;
        Ok(View { id, name, filters })
    };
    rows.into_iter().map(view).collect()
}

fn add(db: &Connection, username: &str, view: &View, now_ms: i64, most: u32) -> Done<Added> {
    let there = views(db, username)?;
    if there.iter().any(|one| one.name == view.name) {
        return Ok(Added::Taken);
    }
    if there.len() >= most as usize {
        return Ok(Added::Full);
    }
    let filters = serde_json::to_string(&view.filters)
        .map_err(|error| Fail::Broken(format!("a view cannot be written: {error}")))?;
    db.prepare_cached("INSERT INTO views (username, view_id, name, filters, made_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![username, view.id, view.name, filters, now_ms])?;
    Ok(Added::Kept)
}

#[async_trait]
impl Views for SqliteLedger {
    async fn views(&self, username: &str) -> Result<Vec<View>, Error> {
        let username = username.to_owned();
        self.look(move |db| views(db, &username)).await
    }

    async fn add_view(&self, username: String, view: View, now_ms: i64, most: u32) -> Result<Added, Error> {
        self.write(move |db| add(db, &username, &view, now_ms, most)).await
    }

    async fn remove_view(&self, username: String, id: Uuid) -> Result<bool, Error> {
        self.write(move |db| {
            Ok(db
                .prepare_cached("DELETE FROM views WHERE username = ?1 AND view_id = ?2")?
                .execute(params![username, id])?
                == 1)
        })
        .await
    }
}
