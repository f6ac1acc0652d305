//! Tests over real processes: the two binaries as they are delivered, real sockets, real folders, real signals.
//!
//! One target on purpose: it links once. Each file is one promise of the system and what is done to break it.

mod announced;
mod backup;
mod clocks;
mod corpus;
mod doctor;
mod doors;
mod erasure;
mod figures;
mod fleet;
mod histories;
mod hostile;
mod hub_histories;
mod inbox;
mod keyboard;
mod kill9;
mod limits;
mod link;
mod machine;
mod narrow;
mod notifications;
mod online;
mod outage;
mod own;
mod pages;
mod photo_corpus;
mod photos;
mod powercut;
mod proof;
mod refusals;
mod reload;
mod replace;
mod restored;
mod settings;
mod settle;
mod startup;
mod strangers;
mod support;
mod switch;
mod tls;
mod traced;
mod trust;
mod versions;
mod watchdog;
