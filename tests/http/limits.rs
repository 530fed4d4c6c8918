//! How many connections there may be: by the server's limit, and by the system's.

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use futures::executor::{ThreadPool, block_on};
use hyper::Response;
use hyper::service::service_fn;
use netpoll::Reactor;
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{Deadlines, End, Version};
use netpoll_tests::watched;

use crate::client::{Client, read_to_the_end};
use crate::fixtures::{has_ended, run, until};
use crate::site::Site;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[test]
fn no_more_are_accepted_than_there_may_be() {
    run(|executor| async move {
        let site = Site::with(&executor, |server| server.max_connections(2)).await?;
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = Client::connect(&executor, Version::Http1, site.address).await?;
            assert_eq!(client.get("/hello").await?, "hello");
            clients.push(client);
        }
        // They wait in the system's queue.
        let mut late = Vec::new();
        for _ in 0..10 {
            let stream = TcpStream::connect(site.address).await?;
            stream.write_all(REQUEST).await?;
            late.push(stream);
        }
        for _ in 0..10 {
            assert_eq!(clients[0].get("/hello").await?, "hello");
            assert_eq!(site.server.connections(), 2);
        }
        let mut first = Box::pin(read_to_the_end(&late[0]));
        assert!(!has_ended(first.as_mut()).await);
        drop(clients);
        assert!(first.await.starts_with(b"HTTP/1.1 200 OK"));
        for stream in &late[1..] {
            assert!(read_to_the_end(stream).await.starts_with(b"HTTP/1.1 200 OK"));
        }
        until(|| site.ended(|end| matches!(end, End::Finished)) == 12).await;
        Ok(())
    });
}

/// Both listeners wait at first; there is room for one connection.
#[test]
fn the_limit_is_for_all_listeners_together() {
    run(|executor| async move {
        let site = Site::with(&executor, |server| server.max_connections(1)).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = site.server.clone();
        executor.spawn(async move {
            let page = |_: &_| {
                service_fn(|_| async { Ok::<_, Infallible>(Response::new("there".to_owned())) })
            };
            server.serve(&listener, page).await.expect("it serves");
        });
        let mut here = Client::connect(&executor, Version::Http1, site.address).await?;
        assert_eq!(here.get("/hello").await?, "hello");
        let there = TcpStream::connect(address).await?;
        there.write_all(REQUEST).await?;
        let mut answer = Box::pin(read_to_the_end(&there));
        for _ in 0..100 {
            assert!(!has_ended(answer.as_mut()).await);
            assert_eq!(here.get("/hello").await?, "hello");
            assert_eq!(site.server.connections(), 1);
        }
        drop(here);
        assert!(answer.await.ends_with(b"there"));
        Ok(())
    });
}

#[test]
#[should_panic(expected = "a limit of no connections admits none")]
fn a_limit_of_none_is_refused() {
    let executor = netpoll_hyper::Executor::new(|_| {});
    let _ = netpoll_hyper::Server::new(executor).max_connections(0);
}

#[test]
fn an_accept_loop_of_ones_own() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::default()).await?;
        let listener = netpoll_futures::TcpListener::bind("127.0.0.1:0").await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        stream.write_all(REQUEST).await?;
        let (accepted, _) = listener.accept().await?;
        let page = service_fn(|_| async { Err::<hyper::Response<String>, _>("no page today") });
        let end = site.server.serve_connection(accepted, page).await;
        assert!(matches!(end, End::Failed(_)), "{end}");
        assert_eq!(site.ended(|end| matches!(end, End::Failed(_))), 1, "it was told");
        assert_eq!(read_to_the_end(&stream).await, b"");
        Ok(())
    });
}

/// Set in the process that has no descriptors to spare.
const STARVED: &str = "NETPOLL_TEST_STARVED";

/// In a process of its own, as the limit is the process's: this very test again, after `ulimit`.
#[test]
fn a_lack_of_descriptors_is_waited_out() {
    match std::env::var_os(STARVED) {
        None => watched(feed_the_starved),
        Some(_) => watched(starved),
    }
}

/// Has clients wait for a server that has no descriptors for them at first.
fn feed_the_starved() {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().expect("the test"))
        .arg("limits::a_lack_of_descriptors_is_waited_out")
        .env(STARVED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let address = loop {
        let mut line = String::new();
        assert!(stdout.read_line(&mut line).expect("a line") > 0, "it says where it listens");
        if let Some((_, address)) = line.trim().split_once("listening: ") {
            break address.to_owned();
        }
    };
    let clients = [(); 4].map(|()| {
        let mut client = std::net::TcpStream::connect(&address).expect("it is queued");
        client.write_all(REQUEST).expect("it is queued");
        client
    });
    for mut client in clients {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", answer.escape_ascii());
    }
    drop(stdin);
    stdout.read_to_end(&mut Vec::new()).expect("its last words");
    assert!(child.wait().expect("it ends").success());
}

fn starved() {
    let pool = ThreadPool::builder().pool_size(2).create().expect("threads");
    let executor = netpoll_hyper::Executor::spawner(pool);
    let site = block_on(Site::open(&executor, Deadlines::default())).expect("a site");
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    println!("\nlistening: {}", site.address);
    // The listener, and the timer of a pause.
    let reactor = Reactor::global().expect("a reactor");
    while reactor.metrics().registrations < 2 {
        std::thread::yield_now();
    }
    assert_eq!(site.server.connections(), 0, "there is no descriptor for them");
    drop(files);
    // Until it is over.
    std::io::stdin().read_to_end(&mut Vec::new()).expect("the end");
    site.server.shutdown();
    block_on(site.server.finished());
    assert_eq!(site.ended(|end| matches!(end, End::Finished)), 4);
}
