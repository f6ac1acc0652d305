use super::*;
use crate::clock::ManualClock;
use crate::sqlite::uploads::SqliteUploads;
