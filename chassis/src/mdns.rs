//! Telling the network that a service is there (multicast DNS, RFC 6762; DNS-SD, RFC 6763): PCs and phones find it by its kind.
//!
//! A small responder, IPv4: it announces, answers, and says when it goes. Names are made so that nobody else has them (the host's
//! is part of them), so there is no probing; whoever has the same one all the same is named in the log. It shares its port with any
//! other responder of the machine. Only private addresses are answered, and no more often than a second apart to all, or twenty
//! times a second to one.

mod packet;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::http::tls::addresses;
use packet::{A, ANY, PTR, Packet, Question, Record, SRV, TXT, name, same};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// Names of hosts and ports may change soon; what a kind of service is called, not.
const SHORT_S: u32 = 120;
const LONG_S: u32 = 4500;
/// How often it is looked whether addresses or the service have changed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A new announcement is said twice, so far apart; to all at once it is answered no more often, too.
const APART: Duration = Duration::from_secs(1);
/// Answers to one who asked, in a second.
const MOST_ALONE: u32 = 20;
/// After this the port is tried again.
const AGAIN: Duration = Duration::from_secs(300);
/// Longest label, in bytes.
const MOST_LABEL: usize = 63;

/// A service to be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What people see; at most 63 bytes of it are told.
    pub instance: String,
    /// Such as `_aincident` (over TCP).
    pub kind: &'static str,
    /// Where it listens.
    pub port: u16,
    /// `name=value`, each at most 255 bytes.
    pub texts: Vec<String>,
    /// The one address that it listens on; none: all of the machine's.
    pub only: Option<Ipv4Addr>,
}

/// What is told at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    service: Service,
    host: String,
    addresses: BTreeSet<Ipv4Addr>,
}

/// Announces what `describe` says (asked again every minute) until `stop` is cancelled, and takes it back then.
pub async fn announce(describe: impl Fn() -> Service + Send, stop: CancellationToken) {
    let socket = loop {
        match open() {
            Ok(socket) => break socket,
            Err(error) => tracing::warn!(%error, "the network is not told that the service is here; it is tried again"),
        }
        if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
            return;
        }
    };
    let mut responder = Responder {
        socket,
        joined: BTreeSet::new(),
        told: None,
        quiet_until: Instant::now(),
        alone: (Instant::now(), 0),
        warned: false,
    };
    let (mut due, mut times) = (Instant::now(), 0_u32);
    let mut buffer = vec![0; 9000];
    loop {
        tokio::select! {
            () = stop.cancelled() => return responder.take_back().await,
            () = sleep_until(due) => {
                if responder.look(describe()).await {
                    times = 2;
                }
                if times > 0 {
                    responder.say_all().await;
                    times -= 1;
                }
                due = Instant::now() + if times > 0 { APART } else { LOOK_EVERY };
            }
            heard = responder.socket.recv_from(&mut buffer) => match heard {
                Ok((length, SocketAddr::V4(from))) if is_near(*from.ip()) => responder.hear(&buffer[..length], from).await,
                Ok(_) => {}
                // Such as a network that went: not as fast as it can be said.
                Err(error) => {
                    tracing::debug!(%error, "nothing can be heard of the network");
                    sleep(APART).await;
                }
            }
        }
    }
}

/// Whoever asks from the internet is not in this network.
fn is_near(ip: Ipv4Addr) -> bool {
    ip.is_private() || ip.is_link_local() || ip.is_loopback()
}

fn open() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Other responders of the machine have it, too.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
    UdpSocket::from_std(socket.into())
}

struct Responder {
    socket: UdpSocket,
    joined: BTreeSet<Ipv4Addr>,
    told: Option<Told>,
    /// Until then nothing is said to all again.
    quiet_until: Instant,
    /// How many were answered alone since when.
    alone: (Instant, u32),
    warned: bool,
}

impl Responder {
    /// Takes in what the machine and the service are now; whether that has to be announced.
    async fn look(&mut self, service: Service) -> bool {
        let mine = addresses::local().into_iter().filter_map(|ip| match ip {
            IpAddr::V4(ip) if is_near(ip) && !ip.is_loopback() => Some(ip),
            _ => None,
        });
        let addresses: BTreeSet<Ipv4Addr> = mine.filter(|ip| service.only.is_none_or(|only| only == *ip)).collect();
        for gone in self.joined.difference(&addresses).copied().collect::<Vec<_>>() {
            let _ = self.socket.leave_multicast_v4(GROUP, gone);
            self.joined.remove(&gone);
        }
        for new in addresses.difference(&self.joined).copied().collect::<Vec<_>>() {
            match self.socket.join_multicast_v4(GROUP, new) {
                Ok(()) => drop(self.joined.insert(new)),
                Err(error) => tracing::debug!(%error, address = %new, "a network does not take announcements"),
            }
        }
        let host = addresses::host_name().and_then(|host| host.split('.').next().map(str::to_owned));
        let told = Told { service, host: host.unwrap_or_else(|| "aincident".to_owned()), addresses };
        if self.told.as_ref() == Some(&told) {
            return false;
        }
        self.take_back().await;
        if told.addresses.is_empty() {
            self.told = None;
            return false;
        }
        self.told = Some(told);
        true
    }

    /// Says everything to all.
    async fn say_all(&mut self) {
        if let Some(told) = &self.told {
            let bytes = packet::answer(&told.all(), &[], None);
            self.say(&bytes).await;
        }
    }

    /// Says to all that there is nothing any more.
    async fn take_back(&mut self) {
        if let Some(told) = &self.told {
            let gone: Vec<Record> = told.own().into_iter().map(|record| Record { ttl_s: 0, ..record }).collect();
            let bytes = packet::answer(&gone, &[], None);
            self.say(&bytes).await;
        }
    }

    async fn say(&self, bytes: &[u8]) {
        for network in &self.joined {
            let said = match SockRef::from(&self.socket).set_multicast_if_v4(network) {
                Ok(()) => self.socket.send_to(bytes, (GROUP, PORT)).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = said {
                tracing::debug!(%error, address = %network, "a network could not be told");
            }
        }
    }

    async fn hear(&mut self, bytes: &[u8], from: SocketAddrV4) {
        let Some(told) = self.told.clone() else { return };
        match packet::read(bytes) {
            Some(Packet::Query { id, questions }) => self.reply(&told, id, &questions, from).await,
            Some(Packet::Answer(records)) => {
                let own = told.own();
                let differs = |record: &Record| {
                    record.ttl_s > 0
                        && record.kind == SRV
                        && own
                            .iter()
                            .any(|one| one.kind == SRV && same(&one.name, &record.name) && one.data != record.data)
                };
                if !self.warned && records.iter().any(differs) {
                    self.warned = true;
                    tracing::warn!(
                        instance = told.service.instance, %from,
                        "another machine announces itself under the same name: is it called the same, or is it a copy?"
                    );
                }
            }
            None => {}
        }
    }

    async fn reply(&mut self, told: &Told, id: u16, questions: &[Question], from: SocketAddrV4) {
        let mut records: Vec<Record> = Vec::new();
        // Only what is answered is said back: a packet full of other questions would come back many times as large.
        let mut answered: Vec<&Question> = Vec::new();
        for question in questions {
            let mut answers = told.answers(question);
            if !answers.is_empty() && !answered.contains(&question) {
                answered.push(question);
            }
            answers.retain(|record| !records.contains(record));
            records.append(&mut answers);
        }
        if records.is_empty() {
            return;
        }
        let more: Vec<Record> = told.own().into_iter().filter(|record| !records.contains(record)).collect();
        let is_simple = from.port() != PORT;
        if is_simple || questions.iter().all(|question| question.alone) {
            if self.alone.0.elapsed() >= APART {
                self.alone = (Instant::now(), 0);
            }
            self.alone.1 += 1;
            if self.alone.1 <= MOST_ALONE {
                let bytes = packet::answer(&records, &more, is_simple.then_some((id, &answered[..])));
                let _ = self.socket.send_to(&bytes, from).await;
            }
            return;
        }
        // Whoever asks now has heard what was just said.
        if Instant::now() < self.quiet_until {
            return;
        }
        self.quiet_until = Instant::now() + APART;
        let bytes = packet::answer(&records, &more, None);
        self.say(&bytes).await;
    }
}

impl Told {
    fn kind(&self) -> packet::Name {
        name(&[self.service.kind, "_tcp", "local"])
    }

    fn host(&self) -> packet::Name {
        name(&[&self.host, "local"])
    }

    fn instance(&self) -> packet::Name {
        let whole = &self.service.instance;
        let end = (0..=MOST_LABEL.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        name(&[&whole[..end], self.service.kind, "_tcp", "local"])
    }

    /// What is this service's and nobody else's, the addresses last.
    fn own(&self) -> Vec<Record> {
        let (instance, host) = (self.instance(), self.host());
        let port = self.service.port.to_be_bytes();
        let place = [&[0, 0, 0, 0][..], &port, &packet::encoded(&host)].concat();
        let mut texts = Vec::new();
        for text in self.service.texts.iter().filter(|text| text.len() <= usize::from(u8::MAX)) {
            texts.push(u8::try_from(text.len()).unwrap_or(0));
            texts.extend_from_slice(text.as_bytes());
        }
        if texts.is_empty() {
            texts.push(0);
        }
        let pointer = Record {
            name: self.kind(),
            kind: PTR,
            is_only: false,
            ttl_s: LONG_S,
            data: packet::encoded(&instance),
        };
        let place = Record { name: instance.clone(), kind: SRV, is_only: true, ttl_s: SHORT_S, data: place };
        let texts = Record { name: instance, kind: TXT, is_only: true, ttl_s: LONG_S, data: texts };
        // Another responder of this machine may tell the same ones: not the only ones.
        let address = |ip: &Ipv4Addr| Record {
            name: host.clone(),
            kind: A,
            is_only: false,
            ttl_s: SHORT_S,
            data: ip.octets().to_vec(),
        };
        [pointer, place, texts].into_iter().chain(self.addresses.iter().map(address)).collect()
    }

    /// All that is announced.
    fn all(&self) -> Vec<Record> {
        let mut all = self.own();
        all.push(self.kinds());
        all
    }

    /// That there is such a kind of service at all.
    fn kinds(&self) -> Record {
        let name = name(&["_services", "_dns-sd", "_udp", "local"]);
        Record {
            name,
            kind: PTR,
            is_only: false,
            ttl_s: LONG_S,
            data: packet::encoded(&self.kind()),
        }
    }

    fn answers(&self, question: &Question) -> Vec<Record> {
        let fits = |record: &Record| {
            same(&record.name, &question.name) && (question.kind == record.kind || question.kind == ANY)
        };
        self.all().into_iter().filter(fits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let service = Service {
            instance: format!("A.I.ncident 042 ({})", "é".repeat(40)),
            kind: "_aincident",
            port: 7710,
            texts: vec!["store=042".to_owned(), "x".repeat(256)],
            only: None,
        };
        Told {
            service,
            host: "till-1".to_owned(),
            addresses: [Ipv4Addr::new(192, 168, 7, 5)].into(),
        }
    }

    fn asked(labels: &[&str], kind: u16) -> Vec<u16> {
        let question = Question { name: name(labels), kind, alone: false };
        told().answers(&question).iter().map(|record| record.kind).collect()
    }

    #[test]
    fn each_question_gets_what_it_asks_for_and_a_strange_one_nothing() {
        let instance = told().instance();
        assert!(instance[0].len() <= 63 && String::from_utf8(instance[0].clone()).is_ok());
        assert_eq!(asked(&["_AIncident", "_tcp", "local"], PTR), [PTR]);
        assert_eq!(asked(&["_services", "_dns-sd", "_udp", "local"], PTR), [PTR]);
        assert_eq!(asked(&["till-1", "local"], A), [A]);
        assert_eq!(asked(&["till-1", "local"], PTR), [0; 0]);
        assert_eq!(asked(&["till-2", "local"], A), [0; 0]);
        assert_eq!(asked(&["_http", "_tcp", "local"], ANY), [0; 0]);
        let question = Question { name: instance, kind: ANY, alone: false };
        let texts = told().answers(&question).into_iter().find(|record| record.kind == TXT).unwrap();
        assert_eq!(texts.data, b"\x09store=042", "a text that is too long is left out");
    }

    #[test]
    fn only_the_own_network_is_answered() {
        for (ip, near) in
            [([10, 0, 0, 1], true), ([192, 168, 1, 1], true), ([169, 254, 3, 4], true), ([8, 8, 8, 8], false)]
        {
            assert_eq!(is_near(ip.into()), near);
        }
    }
}
