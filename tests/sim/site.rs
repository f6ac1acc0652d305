//! Sites: the programs' own parts, put together as the programs do at their start, on a simulated machine.

use crate::disk::{self, Of, Part, SimDisk};
use crate::older;
use crate::time::SimClock;
use crate::wire::{Line, Wire};
use aincident_hub::intake::{Intake, histories};
use aincident_hub::{fleet, http};
use aincident_node::enrolment;
use aincident_node::replicator::board::{Board, Part as Lane, Trouble};
use aincident_node::replicator::{Replicator, Tempo};
use aincident_node::site;
use aincident_node::witness::Witness;
use axum::body::Body;
use chassis::blobs::Blobs;
use chassis::folder::DataFolder;
use chassis::ids::Ids;
use chassis::sqlite::rusqlite::{Connection, OpenFlags};
use desk::actor::Actor;
use desk::cache::Memory;
use desk::erasures::work;
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{Histories as _, Identity};
use desk::{Desk, Error, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync_protocol::message::{EnrolAnswer, EnrolRequest, path};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A machine: a folder and a clock that outlive the program.
pub struct Machine {
    pub name: String,
    root: PathBuf,
    incarnation: u64,
    pub folder: PathBuf,
    pub clock: Arc<SimClock>,
    wire: Arc<Wire>,
    seed: u64,
}

/// A program that runs.
pub struct Running {
    pub desk: Desk,
    pub disk: Arc<SimDisk>,
    pub stop: CancellationToken,
    /// Reads beside the program, for the checks.
    pub look: Connection,
}

impl Running {
    /// The program carries out what headquarters had erased, as it does after every commit.
    pub async fn carry_out(&self) {
        if !self.disk.is_dead()
            && let Err(error) = work::round(&self.desk).await
        {
            // A disk that failed, or a machine without power.
            assert!(matches!(error, Error::Unavailable(_) | Error::Full), "an erasure failed: {error}");
        }
    }
}

impl Machine {
    /// A new one, with an empty ledger.
    pub fn new(name: &str, root: &Path, began: Instant, wire: &Arc<Wire>, seed: u64) -> Self {
        let mut machine = Self {
            name: name.to_owned(),
            root: root.to_owned(),
            incarnation: 0,
            folder: PathBuf::new(),
            clock: SimClock::new(began),
            wire: Arc::clone(wire),
            seed,
        };
        machine.folder = machine.next_folder();
        disk::empty_ledger(&machine.folder);
        machine
    }

    fn next_folder(&mut self) -> PathBuf {
        self.incarnation += 1;
        self.root.join(format!("{}.{}", self.name, self.incarnation))
    }

    /// Ids that no process before it has made.
    fn ids(&mut self) -> Ids {
        self.incarnation += 1;
        Ids::seeded(self.seed.wrapping_mul(1_000_003).wrapping_add(self.incarnation))
    }

    fn open(&mut self, of: Of) -> (Desk, Arc<SimDisk>, CancellationToken) {
        let (ids, disk) = (self.ids(), SimDisk::new(of, &self.wire.coverage));
        let ledger = SqliteLedger::open_in_place(&disk::database(&self.folder), ids.clone(), disk.clone()).unwrap();
        let blobs = Blobs::open(&self.folder.join("blobs")).unwrap();
        let storage = Storage::sqlite(ledger, blobs, Arc::new(Memory::new(64 * 1024)));
        let stop = CancellationToken::new();
        (Desk::until(storage, self.clock.clone(), ids, stop.clone()), disk, stop)
    }

    fn look(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(disk::database(&self.folder), flags).unwrap()
    }

    /// Takes an image of `from` as the machine's own folder.
    pub fn put_back(&mut self, from: &Path, part: Part) {
        disk::copy(from, &self.folder, part);
    }

    /// As the restoring program leaves a folder.
    pub async fn mark_restored(&mut self) {
        let (ids, disk) = (self.ids(), SimDisk::new(Of::Node, &self.wire.coverage));
        let ledger = SqliteLedger::open_in_place(&disk::database(&self.folder), ids, disk).unwrap();
        ledger.mark_restored().await.unwrap();
    }

    /// What is left when the power goes.
    fn lose_power(&mut self) {
        let next = self.next_folder();
        disk::after_power_cut(&self.folder, &next);
        self.folder = next;
        self.clock.boot();
    }
}

/// A store's node.
pub struct Node {
    pub machine: Machine,
    pub store: String,
    pub line: Arc<Line>,
    pub on: Option<Running>,
    board: Option<Arc<Board>>,
    syncing: Option<JoinHandle<()>>,
    witness: Option<Witness>,
}

impl Node {
    pub fn new(machine: Machine, store: &str, line: Arc<Line>) -> Self {
        let store = store.to_owned();
        Self { machine, store, line, on: None, board: None, syncing: None, witness: None }
    }

    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// Starts the program, as `aincident-node serve` does.
    pub async fn start(&mut self) {
        let (desk, disk, stop) = self.machine.open(Of::Node);
        let witness = Witness::new(&DataFolder::open(&self.machine.folder).unwrap());
        witness.check(&desk).await.unwrap();
        site::reckon(&desk).await.unwrap();
        // A machine and a folder on it: the same after a power cut, another one for a copy.
        let place = blake3::hash(self.machine.name.as_bytes()).to_hex().to_string();
        self.line.belongs_to(Arc::clone(&disk));
        let replicator = Replicator::new(desk.clone(), Tempo::default())
            .on_machine(Some(place))
            .carried_by(Arc::clone(&self.line) as _);
        self.board = Some(replicator.board());
        self.syncing = Some(tokio::spawn(replicator.run(stop.clone())));
        self.witness = Some(witness);
        self.on = Some(Running { desk, disk, stop, look: self.machine.look() });
    }

    /// Stops the program in order.
    pub async fn stop(&mut self) {
        let Some(on) = self.on.take() else { return };
        on.stop.cancel();
        if let Some(syncing) = self.syncing.take() {
            syncing.await.unwrap();
        }
        if let Some(witness) = self.witness.take() {
            witness.close(&on.desk).await;
        }
    }

    /// The power goes.
    pub async fn lose_power(&mut self) {
        let Some(on) = self.on.take() else { return };
        on.disk.kill();
        self.machine.lose_power();
        on.stop.cancel();
        if let Some(syncing) = self.syncing.take() {
            syncing.await.unwrap();
        }
        self.witness = None;
    }

    /// The program writes down how far the ledger is, as it does every second or so.
    pub async fn witness(&self) {
        if let (Some(witness), Some(on)) = (&self.witness, &self.on)
            && !on.disk.is_dead()
        {
            witness.close(&on.desk).await;
        }
    }

    /// Whether a person has to act before it syncs: headquarters said stop, or was put back to before it knew this node.
    pub fn is_told_to_stop(&self) -> bool {
        let Some(board) = &self.board else { return false };
        let troubles = board.now().troubles;
        let unknown = |trouble: &Trouble| trouble.what.contains("does not know this node");
        troubles.contains_key(&Lane::Stop) || troubles.get(&Lane::Link).is_some_and(unknown)
    }

    /// What troubles it, for a failure.
    pub fn troubles(&self) -> String {
        self.board.as_ref().map_or_else(String::new, |board| format!("{:?}", board.now().troubles))
    }

    /// A person enrols it, anew where it was enrolled, with a code of `hub`.
    pub async fn enrol(&mut self, hub: &Hub) {
        let (Some(on), Some(headquarters)) = (&self.on, &hub.on) else {
            return;
        };
        let code = fleet::make_code(&headquarters.desk, &Actor::system("sim"), &self.store).await.unwrap().code;
        let newest = if self.line.is_older() { older::SPOKEN } else { sync_protocol::VERSION };
        let sent_boot_ms = on.desk.boot_ms();
        let request = EnrolRequest {
            code,
            node_name: self.machine.name.clone(),
            version: "0".to_owned(),
            protocols: (sync_protocol::OLDEST_VERSION..=newest).collect(),
            now_ms: on.desk.now_ms(),
            store_code: None,
        };
        let body = Body::from(serde_json::to_vec(&request).unwrap());
        let sent = ::http::Request::post(path::ENROL).header("content-type", "application/json").body(body).unwrap();
        let answer = self.machine.wire.deliver(hub.host(), sent).await.expect("the hub answers");
        assert_eq!(answer.status(), 200, "{:?}", answer.body());
        let answer: EnrolAnswer = serde_json::from_slice(answer.body()).unwrap();
        let url = format!("http://{}", hub.host());
        enrolment::keep(&on.desk, url, (None, Vec::new()), &answer, sent_boot_ms).await.unwrap();
    }
}

/// Headquarters.
pub struct Hub {
    pub machine: Machine,
    pub on: Option<Running>,
}

impl Hub {
    pub fn new(machine: Machine) -> Self {
        Self { machine, on: None }
    }

    pub fn host(&self) -> &str {
        &self.machine.name
    }

    /// Starts the program, as `aincident-hub serve` does.
    pub async fn start(&mut self) {
        let (desk, disk, stop) = self.machine.open(Of::Hub);
        let mut identity = desk.ledger().identity().await.unwrap();
        if identity == Identity::Unenrolled {
            let now_ms = desk.now_ms();
            identity = desk.ledger().become_hub(desk.ids().new_v7(now_ms), desk.ids().new_v7(now_ms)).await.unwrap();
            poison(&self.machine.folder);
        }
        histories::after_restore(&desk).await.unwrap();
        let intake = Intake::start(desk.clone(), &identity, stop.clone()).unwrap();
        self.machine.wire.plug(self.host(), http::sync::routes(intake), stop.clone(), Arc::clone(&disk));
        self.on = Some(Running { desk, disk, stop, look: self.machine.look() });
    }

    /// The power goes.
    pub async fn lose_power(&mut self) {
        let Some(on) = self.on.take() else { return };
        on.disk.kill();
        self.machine.lose_power();
        on.stop.cancel();
        tokio::task::yield_now().await;
    }
}

/// Makes every transaction of the hub fail that stores a new incident with this word in it.
pub const POISON: &str = "poisonous";

fn poison(folder: &Path) {
    let trigger = format!(
        "CREATE TRIGGER poison BEFORE INSERT ON documents WHEN new.doc LIKE '%{POISON}%' \
         BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
    );
    Connection::open(disk::database(folder)).unwrap().execute_batch(&trigger).unwrap();
}
