//! The server under the attacks of `slowhttptest`: clients that send a head slowly, send a body slowly, or read slowly.

use std::pin::pin;
use std::process::Command;
use std::sync::Arc;

use netpoll_hyper::{Deadline, Deadlines, End, Executor, Version};
use netpoll_tests::programs::{Cast, with_programs};

use crate::client::Client;
use crate::fixtures::{Outcome, ms, now, pause, under, until};
use crate::site::Site;

const CLIENTS: usize = 200;

/// The attack, its page, and the limit that each of its clients exceeds.
const ATTACKS: [(&str, &str, Deadline); 3] = [
    ("-H", "/hello", Deadline::Header),
    ("-B", "/limited/1000000", Deadline::Request),
    ("-X", "/endless", Deadline::WriteStall),
];

#[test]
fn the_clients_of_slowhttptest_are_cut_off_while_others_are_served() {
    if Command::new("slowhttptest").arg("-h").output().is_err() {
        println!("skipped: slowhttptest is not installed");
        return;
    }
    with_programs(|cast| {
        for attack in ATTACKS {
            let cast = cast.clone();
            under("smol_4_threads", move |executor| attacked(executor, cast, attack));
        }
    });
}

async fn attacked(
    executor: Executor,
    cast: Arc<Cast>,
    (attack, path, deadline): (&'static str, &'static str, Deadline),
) -> Outcome {
    let (none, second) = (Deadlines::none(), ms(1000));
    let limits = match deadline {
        Deadline::Header => none.header(second),
        Deadline::Request => none.request(second),
        // The client's window is 512 bytes.
        _ => none.write_stall(second).write_rate(100_000),
    };
    let site = Site::open(&executor, limits).await?;
    let mut good = Client::connect(&executor, Version::Http1, site.address).await?;
    let url = format!("http://{}{path}", site.address);
    // All connect within a second. Each sends or reads a little once a second, for longer than the limit.
    let clients = CLIENTS.to_string();
    let mut command = Command::new("slowhttptest");
    command.args([attack, "-c", &clients, "-r", &clients, "-i1", "-n1", "-z4096", "-l40"]);
    command.args(["-u", &url]);
    let mut attack = pin!(smol::unblock(move || cast.run(&mut command)));
    let (status, said) = loop {
        if let Some(ended) = now(attack.as_mut()).await {
            break ended;
        }
        assert_eq!(good.get("/hello").await?, "hello");
        pause(ms(1)).await?;
    };
    assert!(status.success() && said.contains("No open connections left"), "{status}: {said}");
    // The program may have fetched the page once more, to see whether it is served.
    let is_late = |end: &End| matches!(end, End::TimedOut(missed) if *missed == deadline);
    until(|| site.ended(is_late) >= CLIENTS && site.server.connections() == 1).await;
    assert_eq!(good.get("/hello").await?, "hello", "it is the good one");
    Ok(())
}
