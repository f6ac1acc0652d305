//! What any LAN service could bolt on unchanged: configuration, a data folder, SQLite behind one door,
//! an HTTP edge, outbound HTTP, telemetry and an orderly shutdown.
//!
//! Nothing here knows what the service is about. Time, randomness and identifiers are handed in
//! ([`clock::SharedClock`], [`ids::Ids`]), so that a simulation can own them.

pub mod backup;
pub mod blobs;
pub mod bundle;
pub mod clock;
pub mod config;
pub mod disk;
pub mod figures;
pub mod folder;
pub mod heavy;
pub mod http;
pub mod ids;
pub mod jobs;
pub mod machine;
pub mod mail;
pub mod manual;
pub mod mark;
pub mod mdns;
pub mod memory;
pub mod outbound;
pub mod owner;
pub mod pace;
pub mod pulse;
pub mod qr;
pub mod reload;
pub mod secret;
pub mod shutdown;
pub mod slow;
pub mod sqlite;
pub mod systemd;
pub mod telemetry;
pub mod uploads;
pub mod webhooks;
