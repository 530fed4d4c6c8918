//! The server under load: of `wrk`, or where that is not installed, of hyper's client; and of `h2load`, over HTTP/2.

use std::process::Command;
use std::sync::Arc;

use futures::future::try_join_all;
use netpoll_hyper::{Deadlines, Executor, Version};
use netpoll_tests::programs::{Cast, is_installed, with_programs, wrk};

use crate::client::Client;
use crate::fixtures::{Outcome, under, until};
use crate::site::Site;

#[test]
fn wrk_is_served() {
    with_programs(|cast| {
        let program = is_installed("wrk").then(|| cast.clone());
        for name in ["smol_1_thread", "smol_4_threads", "local_pool"] {
            let program = program.clone();
            under(name, |executor| load(executor, program));
        }
    });
}

/// Over HTTP/2 without TLS, ten requests at once on each connection.
#[test]
fn h2load_is_served() {
    if Command::new("h2load").arg("--version").output().is_err() {
        println!("skipped: h2load is not installed");
        return;
    }
    with_programs(|cast| {
        let cast = cast.clone();
        under("smol_4_threads", move |executor| h2load(executor, cast));
    });
}

async fn h2load(executor: Executor, cast: Arc<Cast>) -> Outcome {
    let site = Site::open(&executor, Deadlines::default()).await?;
    let url = format!("http://{}/hello", site.address);
    smol::unblock(move || {
        let mut command = Command::new("h2load");
        let (status, said) = cast.run(command.args(["-n", "5000", "-c", "100", "-m", "10", &url]));
        assert!(status.success() && said.contains(" 5000 succeeded, 0 failed"), "{status}: {said}");
    })
    .await;
    assert_eq!(site.late_ones(), 0);
    until(|| site.server.connections() == 0).await;
    Ok(())
}

async fn load(executor: Executor, program: Option<Arc<Cast>>) -> Outcome {
    let site = Site::open(&executor, Deadlines::default()).await?;
    let url = format!("http://{}/hello", site.address);
    match program {
        Some(cast) => smol::unblock(move || wrk(&cast, &url)).await,
        None => our_own(&executor, &site).await?,
    }
    assert_eq!(site.late_ones(), 0);
    until(|| site.server.connections() == 0).await;
    Ok(())
}

/// Twenty clients at once, each with a connection of its own.
async fn our_own(executor: &Executor, site: &Site) -> Outcome {
    let clients = (0..20).map(async |_| -> Outcome {
        let mut client = Client::connect(executor, Version::Http1, site.address).await?;
        for _ in 0..100 {
            assert_eq!(client.get("/hello").await?, "hello");
        }
        Ok(())
    });
    try_join_all(clients).await.map(drop)
}
