//! The server under load: of `wrk`, or where that is not installed, of hyper's client.

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
