//! The events of the feature `tracing`, as a subscriber gets them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netpoll_futures::{
    Backoff, Limit, TcpListener, TcpStream, UnixListener, UnixStream, block_on,
    is_deadline_exceeded,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// An event or a span: its level, its name and its fields as text.
#[derive(Clone, Debug)]
struct Seen {
    level: Level,
    name: String,
    fields: BTreeMap<String, String>,
}

impl Seen {
    fn of(metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) -> Self {
        assert_eq!(metadata.target(), "netpoll");
        let mut fields = Fields::default();
        record(&mut fields);
        let message = fields.0.remove("message");
        let name = message.unwrap_or_else(|| metadata.name().to_owned());
        Self { level: *metadata.level(), name, fields: fields.0 }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or_else(|| panic!("no {name} in {self:?}"), String::as_str)
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// Collects the events of netpoll.
#[derive(Clone, Default)]
struct Collector {
    seen: Arc<Mutex<Vec<Seen>>>,
    spans: Arc<AtomicU64>,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "netpoll"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let span = Seen::of(attributes.metadata(), |fields| attributes.record(fields));
        self.seen.lock().unwrap().push(span);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, record: &Record<'_>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        let span = Seen { level: Level::DEBUG, name: "recorded".into(), fields: fields.0 };
        self.seen.lock().unwrap().push(span);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let event = Seen::of(event.metadata(), |fields| event.record(fields));
        self.seen.lock().unwrap().push(event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The events of `work`, which runs on this thread.
fn events(work: impl Future<Output = io::Result<()>>) -> Vec<Seen> {
    let collector = Collector::default();
    tracing::subscriber::with_default(collector.clone(), || block_on(work)).expect("no error");
    let seen = collector.seen.lock().unwrap();
    seen.clone()
}

fn names(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| &*seen.name).collect()
}

#[test]
fn connect_accept_and_close() {
    let mut addresses = None;
    let seen = events(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, peer) = listener.accept().await?;
        addresses = Some((listener.local_addr()?, peer));
        server.close().await?;
        drop(client);
        Ok(())
    });
    assert_eq!(names(&seen), ["connect", "connected", "accepted", "closed", "closed"]);
    let (listener, client) = addresses.unwrap();
    for (seen, local, peer) in [
        (&seen[1], client, listener),
        (&seen[2], listener, client),
        (&seen[3], listener, client),
        (&seen[4], client, listener),
    ] {
        assert_eq!(seen.level, Level::DEBUG);
        assert_eq!(seen.field("network.transport"), "tcp");
        assert_eq!(seen.field("network.local.address"), "127.0.0.1");
        assert_eq!(seen.field("network.local.port"), local.port().to_string());
        assert_eq!(seen.field("network.peer.address"), "127.0.0.1");
        assert_eq!(seen.field("network.peer.port"), peer.port().to_string());
    }
    assert!(seen[1].fields.contains_key("latency") && seen[3].fields.contains_key("duration"));
}

#[test]
fn a_connect_that_fails() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = events(async {
        assert!(TcpStream::connect(free).await.is_err());
        Ok(())
    });
    assert_eq!(names(&seen), ["connect", "connect failed", "recorded"]);
    assert_eq!(seen[0].field("network.peer.port"), free.port().to_string());
    assert_eq!(seen[1].field("network.peer.port"), free.port().to_string());
    assert!(seen[1].field("error").contains("refused"), "{seen:?}");
    assert_eq!(seen[1].field("error"), seen[2].field("error"));
}

#[test]
fn a_deadline_that_is_exceeded() {
    let soon = Duration::from_millis(1);
    let seen = events(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (_server, _) = listener.accept().await?;
        listener.set_read_deadline(soon)?;
        assert!(is_deadline_exceeded(&listener.accept().await.unwrap_err()));
        client.set_deadline(soon)?;
        assert!(is_deadline_exceeded(&client.read(&mut [0]).await.unwrap_err()));
        assert!(is_deadline_exceeded(&client.write(&[0]).await.unwrap_err()));
        Ok(())
    });
    let exceeded: Vec<&Seen> = seen.iter().filter(|it| it.name == "deadline exceeded").collect();
    let directions: Vec<_> = exceeded.iter().map(|it| it.field("direction")).collect();
    assert_eq!(directions, ["read", "read", "write"]);
    assert!(!exceeded[0].fields.contains_key("network.peer.address"), "it is of a listener");
    assert_eq!(exceeded[1].field("network.peer.address"), "127.0.0.1");
    assert_eq!(exceeded[1].field("network.peer.port"), exceeded[0].field("network.local.port"));
}

#[test]
fn a_limit_that_is_reached() {
    let folder = std::env::temp_dir().join(format!("netpoll-tracing-{}", std::process::id()));
    let seen = events(async {
        let listener = UnixListener::bind(&folder)?;
        listener.set_limit(Some(&Limit::new(1)))?;
        let _first = UnixStream::connect(&folder).await?;
        let (_server, _) = listener.accept().await?;
        let _second = UnixStream::connect(&folder).await?;
        assert_eq!(listener.try_accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        Ok(())
    });
    let reached = seen.iter().find(|it| it.name == "limit reached").expect("the event");
    assert_eq!(reached.field("limit"), "1");
    assert_eq!(reached.field("network.transport"), "unix");
    assert_eq!(reached.field("network.local.address"), folder.to_str().unwrap());
}

#[test]
fn a_back_off() {
    let seen = events(async {
        let mut backoff = Backoff::new();
        backoff.pause(io::Error::from_raw_os_error(libc::EMFILE)).await?;
        let other = io::Error::other("not for a pause");
        assert!(backoff.pause(other).await.is_err());
        Ok(())
    });
    assert_eq!(names(&seen), ["back-off"]);
    assert_eq!(seen[0].level, Level::WARN);
    assert_eq!(seen[0].field("pause"), "5ms");
    assert!(seen[0].field("error").contains("Too many open files"));
}

/// Without a subscriber, no connection holds a value for its end.
#[test]
fn without_a_subscriber_there_is_no_event() {
    let collector = Collector::default();
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        tracing::subscriber::with_default(collector.clone(), || drop((client, server)));
        io::Result::Ok(())
    })
    .expect("no error");
    assert!(collector.seen.lock().unwrap().is_empty());
}
