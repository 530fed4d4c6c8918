//! Names: looked up on a thread of their own, before connecting and before binding.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use netpoll_futures::{OpError, TcpListener, TcpStream, resolve};
use netpoll_tests::fixtures::{assert_kind, assert_timed_out, past, poll_once, run};
use netpoll_tests::watched;

/// How often a race is run that the slower side may win now and then.
const RACES: usize = 1000;

/// A name that no host can have: a label is at most 63 long. No server is asked for it.
fn impossible() -> String {
    "x".repeat(64)
}

#[track_caller]
fn assert_resolve<T: std::fmt::Debug>(result: io::Result<T>, subject: &str) -> io::Error {
    let error = result.expect_err("there is no such address");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<OpError>());
    let inner = inner.expect("an error with its operation");
    assert_eq!((inner.operation(), inner.subject()), ("resolve", subject), "{error}");
    error
}

#[test]
fn a_name_is_bound_and_connected_to() {
    run(|| async {
        let listener = TcpListener::bind("localhost:0").await?;
        let address = listener.local_addr()?;
        assert!(address.ip().is_loopback());
        let by_pair = TcpStream::connect(("localhost", address.port())).await?;
        let by_text = TcpStream::connect(format!("localhost:{}", address.port())).await?;
        for stream in [by_pair, by_text] {
            assert_eq!(stream.peer_addr()?, address);
            assert_eq!(listener.accept().await?.1, stream.local_addr()?);
        }
        Ok(())
    });
}

#[test]
fn an_unknown_name_is_named_in_the_error() {
    run(|| async {
        let name = format!("{}:80", impossible());
        let error = assert_resolve(TcpStream::connect(&name).await, &name);
        assert!(error.to_string().starts_with(&format!("resolve {name}: ")), "{error}");
        assert_resolve(TcpStream::connect((impossible(), 80)).await, &name);
        assert_resolve(TcpStream::connect_timeout(&name, Duration::from_secs(60)).await, &name);
        assert_resolve(TcpListener::bind(&name).await, &name);
        Ok(())
    });
}

#[test]
fn text_that_is_no_name_with_a_port_is_an_error() {
    run(|| async {
        for text in ["", "localhost", "localhost:", "localhost:99999", "127.0.0.1:http"] {
            let error = assert_resolve(TcpStream::connect(text).await, text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        Ok(())
    });
}

#[test]
fn an_empty_list_is_an_error() {
    run(|| async {
        let none: &[SocketAddr] = &[];
        assert_kind(TcpStream::connect(none).await, ErrorKind::InvalidInput);
        assert_kind(TcpListener::bind(none).await, ErrorKind::InvalidInput);
        let error = TcpStream::connect(none).await.expect_err("nothing to connect to");
        assert!(error.to_string().contains("resolve"), "{error}");
        Ok(())
    });
}

#[test]
fn looking_up_counts_against_the_deadline() {
    run(|| async {
        let late = || TcpStream::connect_deadline("localhost:1", past().expect("a time"));
        assert_timed_out(late().await);
        assert_resolve(late().await, "localhost:1");
        Ok(())
    });
}

/// Binding waits for nothing but the name. Were that looked up right here, the first poll would have
/// the answer, every time; the thread that does it has it by then once in a while.
#[test]
fn a_name_is_looked_up_elsewhere() {
    run(|| async {
        for _ in 0..RACES {
            let mut bind = pin!(TcpListener::bind("localhost:0"));
            if poll_once(bind.as_mut()).is_pending() {
                return bind.await.map(drop);
            }
        }
        panic!("the first poll has the answer, every time");
    });
}

/// The same as seen by another task of the same thread.
#[test]
fn other_tasks_go_on_while_a_name_is_looked_up() {
    fn overtakes(pool: &mut LocalPool) -> bool {
        let found = Rc::new(Cell::new(false));
        let seen = found.clone();
        let look_up = async move {
            assert!(TcpStream::connect((impossible(), 80)).await.is_err());
            found.set(true);
        };
        pool.spawner().spawn_local(look_up).unwrap();
        // It was spawned later, and is run later.
        let other = pool.spawner().spawn_local_with_handle(async move { !seen.get() }).unwrap();
        let overtook = pool.run_until(other);
        pool.run();
        overtook
    }
    watched(|| {
        let mut pool = LocalPool::new();
        assert!((0..RACES).any(|_| overtakes(&mut pool)), "the other task waits, every time");
    });
}

#[test]
fn a_dropped_look_up_disturbs_no_other() {
    run(|| async {
        for _ in 0..50 {
            let mut connect = pin!(TcpStream::connect("localhost:1"));
            let _ = poll_once(connect.as_mut());
        }
        TcpListener::bind("localhost:0").await.map(drop)
    });
}

/// An interface by its name, as in Go; the standard library knows only its number.
#[test]
fn an_address_with_a_scope_is_not_looked_up() {
    run(|| async {
        let scope = netpoll_futures::sys::interface_index("lo")?;
        let expected: SocketAddr = format!("[fe80::1%{scope}]:80").parse().expect("an address");
        let numbered = format!("[fe80::1%{scope}]:80");
        for text in ["[fe80::1%lo]:80", &numbered] {
            let resolved = poll_once(pin!(resolve(text)));
            assert!(
                matches!(&resolved, Poll::Ready(Ok(all)) if *all == [expected]),
                "{resolved:?}"
            );
        }
        let host = poll_once(pin!(resolve(("fe80::1%lo", 80))));
        assert!(matches!(&host, Poll::Ready(Ok(all)) if *all == [expected]), "{host:?}");
        assert_eq!(TcpListener::bind("[::1%lo]:0").await?.local_addr()?.ip(), Ipv6Addr::LOCALHOST);
        let unknown = "[fe80::1%no-such-interface]:80";
        assert_resolve(TcpStream::connect(unknown).await, unknown);
        Ok(())
    });
}

#[test]
fn a_list_without_addresses_resolves_to_none() {
    run(|| async {
        let none: &[SocketAddr] = &[];
        assert_eq!(resolve(none).await?, []);
        Ok(())
    });
}

/// The lookups of other tests may take a share of the threads, but no name server is asked for this.
#[test]
fn a_deadline_ends_a_lookup_in_the_queue() {
    run(|| async {
        let names: Vec<_> = (0..200).map(|_| Box::pin(resolve("localhost:1"))).collect();
        let mut names = names;
        names.iter_mut().for_each(|name| drop(poll_once(name.as_mut())));
        let late = TcpStream::connect_timeout("localhost:1", Duration::from_nanos(1));
        assert_timed_out(late.await);
        Ok(())
    });
}
