//! The end of a run: everything is mended, everybody waits, and what has to hold then is looked at.

use super::{World, has_content};
use crate::check;
use crate::faults::Fault;
use crate::wire::Weather;
use desk::Desk;
use desk::actor::Actor;
use desk::erasures;
use desk::ledger::Identity;
use std::collections::BTreeSet;
use std::time::Duration;
use sync_protocol::scope::Scope;
use tokio::time::sleep;

/// Seconds after which every node has called.
const HEARD_S: u64 = 120;
/// Seconds after which a node that spoke an older version has said hello once more, and sites that did not compare in that version
/// have compared: what that version did not tell is found out then.
const FOUND_OUT_S: u64 = 11 * 60;
/// The same where everybody began anew.
const FOUND_OUT_ANEW_S: u64 = 45;

impl World {
    /// Everything is mended and everybody waits; then all must be equal.
    pub(super) async fn rest(&mut self) -> Result<(), String> {
        (self.temper.power, self.temper.disks) = (false, false);
        self.trace.say(|| "quiet".to_owned());
        if let Some(on) = &self.hub.on {
            on.disk.mend();
        } else {
            self.hub.start().await;
        }
        for no in 0..self.nodes.len() {
            let node = &mut self.nodes[no];
            node.line.set_weather(Weather::default());
            node.line.set_up(true);
            node.line.lead_astray(None);
            if let Some(on) = &node.on {
                on.disk.mend();
            } else {
                node.start().await;
            }
        }
        self.all_grow_up().await;
        self.all_begin_anew().await;
        let found_out_s = match (self.ages.were_mixed(), self.ages.patient) {
            (false, _) => 0,
            (true, false) => FOUND_OUT_ANEW_S,
            (true, true) => FOUND_OUT_S,
        };
        let (mut stopped, mut rested) = (vec![0; self.nodes.len()], 0);
        for look in 0..180 {
            let span = if look < 60 { 5 } else { 60 };
            sleep(Duration::from_secs(span)).await;
            self.hold()?;
            for (no, stopped) in stopped.iter_mut().enumerate() {
                *stopped = if self.nodes[no].is_told_to_stop() { *stopped + span } else { 0 };
                if *stopped > 400 {
                    *stopped = 0;
                    self.person_enrols(no).await;
                }
            }
            rested += span;
            // See [`World::somebody_works`]: a hub does nothing by itself before a node has called.
            let hub = self.hub.on.as_ref().filter(|_| self.stale_epoch.is_none() || rested > HEARD_S);
            for on in self.nodes.iter().filter_map(|node| node.on.as_ref()).chain(hub) {
                on.carry_out().await;
            }
            if rested < found_out_s {
                continue;
            }
            if self.unsettled().await.is_none() {
                return self.judge().await;
            }
        }
        Err(format!("it does not come to rest: {}", self.unsettled().await.unwrap_or_default()))
    }

    /// What is still under way.
    async fn unsettled(&self) -> Option<String> {
        let hub = self.hub.on.as_ref()?;
        let epoch = check::value(&hub.look, "epoch")?;
        for (no, node) in self.nodes.iter().enumerate() {
            let Some(on) = &node.on else {
                return Some(format!("{} is off", node.name()));
            };
            let why = |what: &str| Some(format!("{}: {what}; {}", node.name(), node.troubles()));
            let (ledger, name) = (on.desk.ledger(), "the node's ledger answers");
            if ledger.backlog().await.expect(name).pending_changes > 0 {
                return why("changes wait");
            }
            if !self.speaks_older(no) && ledger.offer_due().await.expect(name).is_some() {
                return why("an offer is due");
            }
            if has_content(on, hub).await {
                return why("contents wait");
            }
            let (cursors, heads) = (check::cursors(&on.look), hub.desk.ledger().scope_heads().await.ok()?);
            for scope in [format!("store/{}", node.store), "company".to_owned()] {
                let head = heads.iter().find(|(head, _)| head.to_string() == scope).map_or(0, |(_, head)| *head);
                let at = cursors.iter().find(|(of, at, _)| *of == scope && *at == epoch);
                if at.map_or(0, |(_, _, seq)| *seq as u64) != head {
                    return why(&format!("its cursor in {scope} is at {at:?}, the hub's head is {head}"));
                }
            }
            if node.is_told_to_stop() {
                return why("it is told to stop");
            }
        }
        match self.unconfirmed(&hub.desk).await {
            Ok(None) => None,
            Ok(Some(why)) => Some(why),
            Err(error) => Some(error.to_string()),
        }
    }

    /// An order of erasure that a site has not said to be done.
    async fn unconfirmed(&self, hub: &Desk) -> Result<Option<String>, desk::Error> {
        let mut here = BTreeSet::new();
        if let Identity::Hub { hub_id, .. } = hub.ledger().identity().await? {
            here.insert(hub_id);
        }
        for on in self.nodes.iter().filter_map(|node| node.on.as_ref()) {
            if let Identity::Node(enrolment) = on.desk.ledger().identity().await? {
                here.insert(enrolment.node_id);
            }
        }
        for order in erasures::list(hub, &Actor::system("sim"), None, None, u32::MAX).await? {
            // Names that machines had before they were enrolled anew stay open.
            let open = order.sites.iter().find(|site| here.contains(&site.node_id) && site.state != "confirmed");
            if let Some(site) = open {
                return Ok(Some(format!("{} is open at {} ({})", order.id, site.name, site.node_id)));
            }
        }
        Ok(None)
    }

    /// What was erased and is still in a file somewhere.
    async fn unerased(&self, hub: &Desk) -> Option<String> {
        let held = erasures::list(hub, &Actor::system("sim"), None, None, u32::MAX).await.ok()?;
        let held: BTreeSet<_> = held.into_iter().map(|order| order.id).collect();
        // One that was lost with the hub's disk before anybody else had it is ordered again by a person.
        let texts = self.known.orders.iter().filter(|order| held.contains(&order.id)).flat_map(|order| &order.texts);
        let texts: Vec<&String> = texts.collect();
        let machines = self.nodes.iter().map(|node| &node.machine).chain([&self.hub.machine]);
        for machine in machines {
            if let Some((path, text)) = check::file_with(&machine.folder, &texts) {
                return Some(format!("{}: {text:?} was erased and is in {}", machine.name, path.display()));
            }
        }
        None
    }

    /// What has to be the case in the end.
    async fn judge(&mut self) -> Result<(), String> {
        let hub = self.hub.on.as_ref().ok_or("the hub is off")?;
        let found = check::authors(&hub.look);
        for deed in &self.deeds {
            match found.get(&deed.by) {
                None if self.excused.contains(&deed.by) => {}
                None => return Err(format!("the hub never got what was recorded: {deed:?}")),
                Some(changes) => {
                    let distinct: BTreeSet<&String> = changes.iter().collect();
                    if distinct.len() != changes.len() && !self.again {
                        return Err(format!("it was applied twice: {deed:?}: {changes:?}"));
                    }
                }
            }
        }
        let audit = hub.desk.ledger().audit().await.map_err(|error| error.to_string())?;
        if !audit.faults.is_empty() {
            return Err(format!("the hub's audit: {:?}", audit.faults));
        }
        sums_are_right(&hub.desk).await?;
        for node in &self.nodes {
            let Some(on) = &node.on else { continue };
            sums_are_right(&on.desk).await?;
            let audit = on.desk.ledger().audit().await.map_err(|error| error.to_string())?;
            if !audit.faults.is_empty() {
                return Err(format!("{}: its audit: {:?}", node.name(), audit.faults));
            }
            let differs = check::differences(&hub.look, &on.look, &node.store, self.hub_forgot, &self.excused);
            if let Some(why) = differs.or_else(|| check::unshown(&hub.look, &on.look)) {
                return Err(format!("{}: {why}", node.name()));
            }
        }
        if let Some(why) = self.unerased(&hub.desk).await {
            return Err(why);
        }
        for sha256 in &self.known.photos {
            let mut somewhere = false;
            for on in self.nodes.iter().filter_map(|node| node.on.as_ref()) {
                somewhere |=
                    on.desk.ledger().is_piece(*sha256).await.unwrap() && on.desk.blobs().contains(*sha256).await;
            }
            if hub.desk.blobs().contains(*sha256).await {
                self.coverage.reached(Fault::Photo);
            } else if somewhere && hub.desk.ledger().is_piece(*sha256).await.unwrap() {
                return Err(format!("the content {sha256} is in a store and the hub never got it"));
            }
        }
        Ok(())
    }
}

/// The sums that are kept are those of the records.
async fn sums_are_right(desk: &Desk) -> Result<(), String> {
    for scope in ["store/A", "store/B", "company"] {
        let scope: Scope = scope.parse().unwrap();
        let (kept, right) =
            (desk.ledger().sums(scope.clone(), false).await, desk.ledger().sums(scope.clone(), true).await);
        if kept.map_err(|error| error.to_string())? != right.map_err(|error| error.to_string())? {
            return Err(format!("the sums of {scope} are not those of its records"));
        }
    }
    Ok(())
}
