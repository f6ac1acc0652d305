//! One run: a company's machines, what people do at them, what happens to them, and what has to hold all the time.

mod ages;
mod rest;

use crate::bugs::{Bug, Planted};
use crate::check;
use crate::disk::{self, Part, Scratch};
use crate::faults::{Coverage, Fault};
use crate::people::{Deed, Known, Seat};
use crate::site::{Hub, Machine, Node, Running};
use crate::time::{T0, YEAR_MS};
use crate::trace::Trace;
use crate::wire::{Line, Weather, Wire};
use ages::Ages;
use aincident_tests::random::Rng;
use chassis::sqlite::Moment;
use chassis::sqlite::rusqlite::{Connection, OpenFlags};
use desk::actor::Actor;
use desk::stores::{self, NewStore};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The most machines in stores, copies included.
const MOST_NODES: usize = 5;
const HUB: &str = "hub-1";
const STRANGER: &str = "hub-2";

/// What may go wrong in one run: some of everything, so that runs differ.
struct Temper {
    network: bool,
    power: bool,
    disks: bool,
    restores: bool,
    hub_restores: bool,
    copies: bool,
    clocks: bool,
    strangers: bool,
}

impl Temper {
    fn of(rng: &mut Rng) -> Self {
        Self {
            network: rng.chance(0.7),
            power: rng.chance(0.5),
            disks: rng.chance(0.3),
            restores: rng.chance(0.4),
            hub_restores: rng.chance(0.35),
            copies: rng.chance(0.15),
            clocks: rng.chance(0.4),
            strangers: rng.chance(0.15),
        }
    }

    /// Whether a step of this number, of [`World::live`], does anything in this run.
    const fn has(&self, what: u64) -> bool {
        match what {
            52..60 => self.network,
            60..71 => self.power,
            71..74 => self.disks,
            74..77 => self.clocks,
            85..90 => self.restores,
            90..94 => self.hub_restores,
            94 => self.copies,
            95..97 => self.strangers,
            _ => true,
        }
    }
}

/// A run.
pub struct World {
    rng: Rng,
    temper: Temper,
    ages: Ages,
    hub: Hub,
    stranger: Option<Hub>,
    nodes: Vec<Node>,
    known: Known,
    deeds: Vec<Deed>,
    /// Whose changes no machine may have any more: they were lost with a disk before anybody else had them.
    excused: BTreeSet<String>,
    /// Changes may be recorded again under another stream, rightly.
    again: bool,
    /// The hub was put back to an earlier time at some point.
    hub_forgot: bool,
    /// The epoch of a hub that was put back and has not found out yet.
    stale_epoch: Option<String>,
    images: BTreeMap<String, Vec<PathBuf>>,
    wire: Arc<Wire>,
    coverage: Arc<Coverage>,
    trace: Arc<Trace>,
    began: Instant,
    scratch: Scratch,
}

/// What is the case of a run that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Of everything that happened.
    pub digest: String,
    pub deeds: usize,
}

/// Runs `seed`.
///
/// # Errors
/// What did not hold, and the last that happened.
pub async fn run(seed: u64, coverage: &Arc<Coverage>, bug: Option<Bug>, loud: bool) -> Result<Ended, String> {
    let began = Instant::now();
    let trace = Trace::new(began, loud);
    let mut world = World::new(seed, coverage, bug, Arc::clone(&trace), began).await;
    let ended = match world.live().await {
        Ok(()) => world.rest().await,
        Err(why) => Err(why),
    };
    trace.say(|| format!("{ended:?}"));
    let deeds = world.deeds.len();
    world.end().await;
    match ended {
        Ok(()) => Ok(Ended { digest: trace.digest(), deeds }),
        Err(why) => Err(format!("{}\n{why}", trace.end())),
    }
}

fn look(folder: &Path) -> Connection {
    // Writable: a log that a power cut left behind has to be taken in first.
    Connection::open_with_flags(disk::database(folder), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

/// Whether a content waits at a node that has it, and the hub knows what it is of.
async fn has_content(node: &Running, hub: &Running) -> bool {
    for piece in node.desk.ledger().pieces_waiting(None, 100).await.unwrap() {
        let is_known = hub.desk.ledger().is_piece(piece.sha256).await.unwrap();
        if is_known && node.desk.blobs().contains(piece.sha256).await {
            return true;
        }
    }
    false
}

impl World {
    async fn new(seed: u64, coverage: &Arc<Coverage>, bug: Option<Bug>, trace: Arc<Trace>, began: Instant) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x51);
        let wire = Wire::start(coverage, &trace, bug.map(Planted::new));
        let scratch = Scratch::new();
        let mut hub = Hub::new(Machine::new(HUB, scratch.path(), began, &wire, rng.next_u64()));
        hub.start().await;
        let temper = Temper::of(&mut rng);
        let desk = hub.on.as_ref().unwrap().desk.clone();
        for code in ["A", "B"] {
            let new = NewStore { code: code.to_owned(), name: format!("Store {code}"), timezone: None };
            stores::add(&desk, &Actor::system("sim"), new).await.unwrap();
        }
        let mut world = Self {
            temper,
            ages: Ages::of(seed),
            hub,
            stranger: None,
            nodes: Vec::new(),
            known: Known::default(),
            deeds: Vec::new(),
            excused: BTreeSet::new(),
            again: false,
            hub_forgot: false,
            stale_epoch: None,
            images: BTreeMap::new(),
            wire,
            coverage: Arc::clone(coverage),
            trace,
            began,
            scratch,
            rng,
        };
        if world.ages.hub {
            world.wire.set_older(HUB, true);
        }
        for (name, store) in [("a-1", "A"), ("a-2", "A"), ("b-1", "B")] {
            if name != "a-2" || world.rng.chance(0.6) {
                let mut node = world.machine(name, store);
                node.line.set_older(world.ages.is_older());
                node.start().await;
                node.enrol(&world.hub).await;
                world.nodes.push(node);
            }
        }
        world
    }

    fn machine(&mut self, name: &str, store: &str) -> Node {
        let machine = Machine::new(name, self.scratch.path(), self.began, &self.wire, self.rng.next_u64());
        let line = Line::new(&self.wire, name, self.rng.fork());
        Node::new(machine, store, line)
    }

    async fn end(mut self) {
        for node in &mut self.nodes {
            node.lose_power().await;
        }
        self.hub.lose_power().await;
        if let Some(stranger) = &mut self.stranger {
            stranger.lose_power().await;
        }
    }

    /// Some steps of everything. Most runs are short: many small histories find more than a few large ones in the same time.
    async fn live(&mut self) -> Result<(), String> {
        let mut steps = if self.rng.chance(0.8) {
            self.rng.between(6, 18)
        } else {
            self.rng.between(18, 50)
        };
        while steps > 0 {
            let what = self.rng.below(100);
            if !self.temper.has(what) {
                continue;
            }
            steps -= 1;
            self.bury().await;
            self.carry_out().await;
            self.age().await;
            self.hold()?;
            match what {
                0..52 => self.somebody_works().await,
                52..60 => self.weather(),
                60..71 => self.power().await,
                71..74 => self.disks(),
                74..77 => self.clocks(),
                77..85 => self.image(),
                85..90 => self.put_a_node_back().await,
                90..94 => self.put_the_hub_back().await,
                94..95 => self.copy_a_disk().await,
                95..97 => self.strangers().await,
                97..99 => self.witnesses().await,
                _ => self.enrol_anew().await,
            }
            let pause = match self.rng.below(20) {
                0..12 => self.rng.below(300),
                12..19 => self.rng.between(300, 8_000),
                _ => self.rng.between(8_000, 90_000),
            };
            sleep(Duration::from_millis(pause)).await;
        }
        self.bury().await;
        self.hold()
    }

    /// Machines whose power went by itself are noticed, and started again sooner or later.
    async fn bury(&mut self) {
        for node in &mut self.nodes {
            if node.on.as_ref().is_some_and(|on| on.disk.is_dead()) {
                self.trace.say(|| format!("{} is dark", node.name()));
                node.lose_power().await;
            } else if node.on.is_none() && self.rng.chance(0.3) {
                self.trace.say(|| format!("{} starts", node.name()));
                node.start().await;
            }
        }
        if self.hub.on.as_ref().is_some_and(|on| on.disk.is_dead()) {
            self.trace.say(|| "the hub is dark".to_owned());
            self.hub.lose_power().await;
        } else if self.hub.on.is_none() && self.rng.chance(0.5) {
            self.trace.say(|| "the hub starts".to_owned());
            self.hub.start().await;
        }
    }

    /// What holds at every moment.
    fn hold(&mut self) -> Result<(), String> {
        let Some(hub) = self.hub.on.as_ref().filter(|on| !on.disk.is_dead()) else {
            return Ok(());
        };
        let epoch = check::value(&hub.look, "epoch");
        if self.stale_epoch.is_some() && self.stale_epoch != epoch {
            self.stale_epoch = None;
        }
        for node in &self.nodes {
            let Some(on) = node.on.as_ref().filter(|on| !on.disk.is_dead()) else {
                continue;
            };
            if self.stale_epoch.is_none()
                && let Some(why) = check::unseen(&hub.look, &on.look)
            {
                return Err(format!("{}: {why}", node.name()));
            }
            if let Some((origin, _, acked)) = check::own(&on.look).filter(|_| !self.hub_forgot) {
                let held = check::last(&hub.look, origin);
                if held < acked {
                    let name = node.name();
                    return Err(format!(
                        "{name}: {origin} is acknowledged up to {acked}, the hub holds it up to {held}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Some machines get round to what headquarters had erased.
    async fn carry_out(&mut self) {
        for node in &self.nodes {
            if self.rng.chance(0.3)
                && let Some(on) = &node.on
            {
                on.carry_out().await;
            }
        }
        // See [`World::somebody_works`].
        if self.rng.chance(0.3)
            && self.stale_epoch.is_none()
            && let Some(on) = &self.hub.on
        {
            on.carry_out().await;
        }
    }

    async fn somebody_works(&mut self) {
        // A hub whose folder was put back behind its back finds out from the first node that calls. What is recorded at it before
        // that uses numbers that nodes hold already; it is a matter of seconds and no part of what is promised.
        let at_hub = self.rng.chance(0.3) && self.stale_epoch.is_none();
        let store = self.rng.pick(&["A", "B"]).to_string();
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        let node = &self.nodes[no];
        let seat = if at_hub {
            self.hub.on.as_ref().map(|on| (on, HUB, store.as_str(), true, false))
        } else {
            // One store in two has the newer program.
            let is_newer = no.is_multiple_of(2) && !node.line.is_older();
            node.on.as_ref().map(|on| (on, node.name(), node.store.as_str(), false, is_newer))
        };
        let Some((on, name, store, is_hub, is_newer)) = seat else {
            return;
        };
        if on.disk.is_dead() {
            return;
        }
        let may_erase = !self.is_mixed();
        let seat = Seat { desk: &on.desk, name, store, is_hub, is_newer, may_erase };
        for _ in 0..self.rng.between(1, 4) {
            if let Some(deed) = self.known.deed(&mut self.rng, &seat, &self.coverage).await {
                // What was so already is not recorded again.
                if deed.may_be_nothing && !check::authors(&on.look).contains_key(&deed.by) {
                    continue;
                }
                self.trace.say(|| format!("{}: {} by {}", deed.site, deed.what, deed.by));
                self.deeds.push(deed);
            }
        }
    }

    fn weather(&mut self) {
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        let line = Arc::clone(&self.nodes[no].line);
        let name = self.nodes[no].name().to_owned();
        match self.rng.below(4) {
            0 => {
                self.trace.say(|| format!("{name} is cut off"));
                line.set_up(false);
            }
            1 => {
                self.trace.say(|| format!("{name} is back on line"));
                line.set_up(true);
            }
            _ => {
                let weather = Weather::bad(&mut self.rng);
                self.trace.say(|| format!("{name} has {weather:?}"));
                line.set_weather(weather);
            }
        }
    }

    async fn power(&mut self) {
        let moment = *self.rng.pick(&[Moment::Begin, Moment::Commit, Moment::Committed]);
        let (how, writes) = (self.rng.below(4), self.rng.below(6));
        if self.rng.chance(0.35) {
            let Some(on) = &self.hub.on else { return };
            self.trace.say(|| format!("the hub's power: {how} {moment:?} {writes}"));
            if how == 0 {
                self.coverage.reached(Fault::HubDown);
                self.hub.lose_power().await;
            } else {
                on.disk.cut_at(moment, writes);
            }
            return;
        }
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        let node = &mut self.nodes[no];
        let Some(on) = &node.on else { return };
        self.trace.say(|| format!("{}'s power: {how} {moment:?} {writes}", node.name()));
        match how {
            0 => {
                self.coverage.reached(Fault::NodeDown);
                node.lose_power().await;
            }
            1 => {
                self.coverage.reached(Fault::NodeStopped);
                node.stop().await;
            }
            _ => on.disk.cut_at(moment, writes),
        }
    }

    fn disks(&mut self) {
        let no = self.rng.below(self.nodes.len() as u64 + 1) as usize;
        let on = self.nodes.get(no).map_or(&self.hub.on, |node| &node.on);
        let span = Duration::from_millis(self.rng.between(100, 60_000));
        if let Some(on) = on {
            if self.rng.chance(0.6) {
                on.disk.fill_for(span);
            } else {
                on.disk.break_for(span);
            }
        }
    }

    fn clocks(&mut self) {
        // Nodes go by the hub's time where their own is off, so a clock that matters is the hub's.
        if self.rng.chance(0.3) {
            let off = *self.rng.pick(&[0, -86_400_000, -3_600_000, 86_400_000, 400_000]);
            self.trace.say(|| format!("the hub's clock is {off} ms off"));
            self.coverage.reached(Fault::HubClock);
            self.hub.machine.clock.set_off(off);
            return;
        }
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        let clock = Arc::clone(&self.nodes[no].machine.clock);
        let (off, fault) = match self.rng.below(4) {
            0 => (5 * YEAR_MS, Fault::NodeClock2031),
            1 => (-T0, Fault::NodeClock1970),
            2 => (0, Fault::NodeClockBack),
            _ => {
                // Off, but not so far that anybody is told.
                clock.set_off(self.rng.below(500_000) as i64 - 250_000);
                return;
            }
        };
        self.trace.say(|| format!("{}'s clock is {off} ms off", self.nodes[no].name()));
        self.coverage.reached(fault);
        clock.set_off(off);
    }

    /// Somebody makes a backup, of one machine.
    fn image(&mut self) {
        let no = if self.rng.chance(0.4) {
            self.nodes.len()
        } else {
            self.rng.below(self.nodes.len() as u64) as usize
        };
        let machine = self.nodes.get(no).map_or(&self.hub.machine, |node| &node.machine);
        let images = self.images.entry(machine.name.clone()).or_default();
        let to = self.scratch.path().join(format!("{}.image-{}", machine.name, images.len()));
        disk::copy(&machine.folder, &to, Part::All);
        images.push(to);
    }

    /// Whose changes only `folder` has, of those that `image` lacks.
    fn excuse(&mut self, folder: &Path, image: &Path) {
        let mut lost: BTreeSet<String> = check::authors(&look(folder)).into_keys().collect();
        let machines = self.nodes.iter().map(|node| &node.machine).chain([&self.hub.machine]);
        let others = machines.map(|machine| machine.folder.as_path()).filter(|other| *other != folder);
        let hub = self.hub.machine.folder.as_path();
        for other in others.chain([image]) {
            let held = if other == hub || !self.ages.were_mixed() {
                check::authors(&look(other)).into_keys().collect()
            } else {
                check::returnable(&look(other))
            };
            lost.retain(|by| !held.contains(by));
        }
        self.excused.extend(lost);
    }

    async fn put_a_node_back(&mut self) {
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        let images = self.images.get(self.nodes[no].name()).cloned().unwrap_or_default();
        if images.is_empty() {
            return;
        }
        let image = self.rng.pick(&images).clone();
        let how = self.rng.below(3);
        self.trace.say(|| format!("{} is put back, way {how}", self.nodes[no].name()));
        self.nodes[no].lose_power().await;
        let folder = self.nodes[no].machine.folder.clone();
        self.excuse(&folder, &image);
        self.again = true;
        let machine = &mut self.nodes[no].machine;
        match how {
            0 => {
                self.coverage.reached(Fault::DatabasePutBack);
                machine.put_back(&image, Part::Database);
            }
            1 => {
                self.coverage.reached(Fault::FolderPutBack);
                machine.put_back(&image, Part::All);
            }
            _ => {
                self.coverage.reached(Fault::NodeRestored);
                machine.put_back(&image, Part::All);
                machine.mark_restored().await;
            }
        }
        self.nodes[no].start().await;
    }

    async fn put_the_hub_back(&mut self) {
        let images = self.images.get(HUB).cloned().unwrap_or_default();
        if images.is_empty() {
            return;
        }
        let image = self.rng.pick(&images).clone();
        let by_program = self.rng.chance(0.5);
        self.trace.say(|| format!("the hub is put back, by its program: {by_program}"));
        self.hub.lose_power().await;
        let folder = self.hub.machine.folder.clone();
        self.excuse(&folder, &image);
        (self.again, self.hub_forgot) = (true, true);
        self.hub.machine.put_back(&image, Part::All);
        if by_program {
            self.coverage.reached(Fault::HubRestored);
            self.hub.machine.mark_restored().await;
        } else {
            self.coverage.reached(Fault::HubPutBack);
            self.stale_epoch = check::value(&look(&self.hub.machine.folder), "epoch");
        }
        self.hub.start().await;
    }

    async fn copy_a_disk(&mut self) {
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        if self.nodes.len() >= MOST_NODES {
            return;
        }
        let (name, store) = (self.nodes[no].name().to_owned(), self.nodes[no].store.clone());
        let copy = format!("{name}-copy-{}", self.nodes.len());
        self.trace.say(|| format!("{name} is copied: {copy}"));
        self.coverage.reached(Fault::Cloned);
        self.again = true;
        let mut node = self.machine(&copy, &store);
        disk::copy(&self.nodes[no].machine.folder, &node.machine.folder, Part::All);
        node.line.set_older(self.nodes[no].line.is_older());
        node.start().await;
        self.nodes.push(node);
    }

    /// Another hub answers at the address, for a while.
    async fn strangers(&mut self) {
        if self.stranger.is_none() {
            let seed = self.rng.next_u64();
            let mut hub = Hub::new(Machine::new(STRANGER, self.scratch.path(), self.began, &self.wire, seed));
            hub.start().await;
            self.stranger = Some(hub);
        }
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        let astray = self.rng.chance(0.6).then(|| STRANGER.to_owned());
        self.trace.say(|| format!("{} finds {astray:?}", self.nodes[no].name()));
        self.nodes[no].line.lead_astray(astray);
    }

    async fn witnesses(&mut self) {
        for node in &self.nodes {
            node.witness().await;
        }
    }

    async fn enrol_anew(&mut self) {
        let no = self.rng.below(self.nodes.len() as u64) as usize;
        self.person_enrols(no).await;
    }

    async fn person_enrols(&mut self, no: usize) {
        let ready = |on: &Option<Running>| on.as_ref().is_some_and(|on| !on.disk.is_dead());
        if !ready(&self.hub.on) || !ready(&self.nodes[no].on) || self.temper.disks && !self.is_quiet() {
            return;
        }
        // A power cut in mid-enrolment is for another test: the code is used up, and a person asks for another one.
        if let Some(on) = &self.nodes[no].on {
            on.disk.mend();
        }
        if let Some(on) = &self.hub.on {
            on.disk.mend();
        }
        self.trace.say(|| format!("{} is enrolled anew", self.nodes[no].name()));
        self.coverage.reached(Fault::EnrolledAnew);
        self.again = true;
        self.nodes[no].enrol(&self.hub).await;
    }

    fn is_quiet(&self) -> bool {
        !self.temper.power
    }
}
