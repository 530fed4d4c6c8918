//! Two hosts, each in a network namespace of its own, and the link between them, which the test makes
//! good or bad: a thread carries the packets from one TUN device to the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::os;

/// Where the test is, and the address of its end of the link.
pub(crate) const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The other host.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// How many packets a link that is slow keeps in each direction. Those that find no place are lost.
const QUEUE: Duration = Duration::from_millis(100);

/// How the link is. Each figure is for each direction, and may be changed at any time.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// No packet arrives.
    cut: AtomicBool,
    /// Each packet is answered: the host cannot be reached (ICMP 3.1).
    unreachable: AtomicBool,
    delay_us: AtomicU32,
    /// A packet takes up to so much longer, so that one overtakes another.
    jitter_us: AtomicU32,
    lost_of_thousand: AtomicU32,
    /// Bytes a second. Zero for no limit.
    rate: AtomicU32,
    /// The link carries IPv6 as well. Otherwise IPv6 packets are lost.
    v6: AtomicBool,
    pub(crate) carried: AtomicU64,
    pub(crate) lost: AtomicU64,
    over: AtomicBool,
}

impl Weather {
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    pub(crate) fn unreachable(&self, unreachable: bool) {
        self.unreachable.store(unreachable, Ordering::SeqCst);
    }

    pub(crate) fn delay(&self, delay_us: u32, jitter_us: u32) {
        self.delay_us.store(delay_us, Ordering::SeqCst);
        self.jitter_us.store(jitter_us, Ordering::SeqCst);
    }

    pub(crate) fn lose(&self, of_thousand: u32) {
        self.lost_of_thousand.store(of_thousand, Ordering::SeqCst);
    }

    pub(crate) fn carry_v6(&self, carry: bool) {
        self.v6.store(carry, Ordering::SeqCst);
    }

    pub(crate) fn rate(&self, bytes_per_second: u32) {
        self.rate.store(bytes_per_second, Ordering::SeqCst);
    }
}

type Act = Box<dyn FnOnce() + Send>;

/// A thread in a namespace of its own, which acts on behalf of the test.
#[derive(Debug)]
pub(crate) struct Host(Sender<Act>);

impl Host {
    fn new(address: Ipv4Addr) -> io::Result<(Self, File)> {
        let (sender, acts) = channel::<Act>();
        let (tell, told) = channel();
        thread::Builder::new().name(format!("host {address}")).spawn(move || {
            let device = os::enter_namespace().and_then(|()| os::device(address));
            let entered = device.is_ok();
            // The test waits for it.
            let _ = tell.send(device);
            if entered {
                acts.into_iter().for_each(|act| act());
            }
        })?;
        told.recv().expect("the host tells").map(|device| (Self(sender), device))
    }

    /// Acts there, and returns the result.
    pub(crate) fn run<R: Send + 'static>(&self, act: impl FnOnce() -> R + Send + 'static) -> R {
        self.begin(act).join().expect("no panic there")
    }

    /// Begins to act there, on a thread of its own.
    pub(crate) fn begin<R: Send + 'static>(
        &self,
        act: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let (tell, told) = channel();
        // A thread is born into the namespace of the one that makes it.
        let act = Box::new(move || tell.send(thread::spawn(act)).expect("the test waits for it"));
        self.0.send(act).expect("the host lives as long as the test");
        told.recv().expect("a thread")
    }
}

/// The stage of a test, whose own thread is the near host's.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) far: Host,
    pub(crate) weather: Arc<Weather>,
    carrier: Option<JoinHandle<()>>,
}

impl Stage {
    /// Puts the calling thread into the near namespace, and makes the far one and the link.
    pub(crate) fn new() -> io::Result<Self> {
        os::enter_namespace()?;
        let near = os::device(NEAR)?;
        let (far, device) = Host::new(FAR)?;
        let weather = Arc::new(Weather::default());
        let carrier = {
            let weather = weather.clone();
            thread::Builder::new()
                .name("link".into())
                .spawn(move || carry(&[near, device], &weather))
        };
        Ok(Self { far, weather, carrier: Some(carrier?) })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.weather.over.store(true, Ordering::SeqCst);
        let carrier = self.carrier.take().map(JoinHandle::join);
        assert!(thread::panicking() || carrier.is_none_or(|carrier| carrier.is_ok()), "the link");
    }
}

/// Why there is no stage to be had on this machine: kept, as it is asked for once.
pub(crate) fn is_missing() -> Option<String> {
    static MISSING: Mutex<Option<Option<String>>> = Mutex::new(None);
    let mut missing = MISSING.lock().expect("no panic");
    // On a thread that ends: this one stays where it is.
    let ask = || thread::spawn(|| Stage::new().err().map(|error| error.to_string())).join();
    missing.get_or_insert_with(|| ask().unwrap_or(Some("the link failed".into()))).clone()
}

/// A packet that is under way: when it arrives, at which end.
type UnderWay = Reverse<(Instant, u64, usize, Vec<u8>)>;

/// Carries packets until the stage is dropped.
fn carry(ends: &[File; 2], weather: &Weather) {
    let mut random = SmallRng::seed_from_u64(7);
    let mut under_way: BinaryHeap<UnderWay> = BinaryHeap::new();
    let mut free_at = [Instant::now(); 2];
    let mut number = 0;
    let mut buffer = [0; 65536];
    while !weather.over.load(Ordering::SeqCst) {
        for from in [0, 1] {
            while let Ok(len) = (&ends[from]).read(&mut buffer) {
                let (packet, to) = (&buffer[..len], 1 - from);
                // IPv6 has its own business on each device.
                if packet[0] >> 4 != 4 && !weather.v6.load(Ordering::SeqCst) {
                    continue;
                }
                if weather.unreachable.load(Ordering::SeqCst) {
                    let _ = (&ends[from]).write(&unreachable(packet));
                    continue;
                }
                let lost = weather.lost_of_thousand.load(Ordering::SeqCst);
                let now = Instant::now();
                let starts = free_at[to].max(now);
                let is_full = starts - now > QUEUE;
                if weather.cut.load(Ordering::SeqCst)
                    || is_full
                    || random.random_range(0..1000) < lost
                {
                    weather.lost.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let rate = weather.rate.load(Ordering::SeqCst);
                if rate > 0 {
                    free_at[to] = starts + Duration::from_secs(1) * len as u32 / rate;
                }
                let jitter = random.random_range(0..=weather.jitter_us.load(Ordering::SeqCst));
                let delay = weather.delay_us.load(Ordering::SeqCst) + jitter;
                let arrives = free_at[to].max(now) + Duration::from_micros(delay.into());
                number += 1;
                under_way.push(Reverse((arrives, number, to, packet.to_vec())));
            }
        }
        let now = Instant::now();
        while under_way.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, to, packet))) = under_way.pop() else { break };
            if !weather.cut.load(Ordering::SeqCst) {
                // A device whose queue is full loses it.
                let _ = (&ends[to]).write(&packet);
                weather.carried.fetch_add(1, Ordering::SeqCst);
            }
        }
        let next = under_way.peek().map(|Reverse((at, ..))| at.saturating_duration_since(now));
        let most = Duration::from_millis(20);
        os::wait_for_one([&ends[0], &ends[1]], next.map_or(most, |next| next.min(most)));
    }
}

/// The answer of a router to a packet for a host that it cannot reach: ICMP type 3, code 1 (RFC 792), from
/// that host's address.
fn unreachable(packet: &[u8]) -> Vec<u8> {
    const HEADER: usize = 20;
    let header = usize::from(packet[0] & 0xf) * 4;
    let quoted = &packet[..packet.len().min(header + 8)];
    let mut icmp = vec![3, 1, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(quoted);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());

    let len = u16::try_from(HEADER + icmp.len()).expect("a short packet").to_be_bytes();
    let mut answer = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, 1, 0, 0];
    answer.extend_from_slice(&packet[16..20]);
    answer.extend_from_slice(&packet[12..16]);
    let sum = checksum(&answer);
    answer[10..12].copy_from_slice(&sum.to_be_bytes());
    answer.extend_from_slice(&icmp);
    answer
}

/// The checksum of the Internet (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded")
}
