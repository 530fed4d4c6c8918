//! Deadlines of commands that share a connection of redis-rs: the `commands` example runs it, and the `programs` test, each with a
//! Redis server. `netpoll_futures::command_deadlines` has the explanation.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, join3, select};
use netpoll_tokio::net::TcpStream;
use netpoll_tokio::{Deadlines, deadline, deadline_in, timeout};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisResult, Value, cmd};

/// The time after which a command is late.
const SHORT: Duration = Duration::from_millis(20);

/// The list that a command waits for.
const LIST: &str = "netpoll:commands";

/// Connects, and keeps the handle of the stream that redis-rs owns from then on.
async fn connect(
    address: SocketAddr,
) -> Result<(MultiplexedConnection, Deadlines), Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    let deadlines = stream.deadlines();
    // redis-rs has a timeout for each command. Here those of netpoll take its place.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let server = RedisConnectionInfo::default();
    let (client, connection) =
        MultiplexedConnection::new_with_config(&server, stream, config).await?;
    tokio::spawn(connection);
    Ok((client, deadlines))
}

/// Sends a command on the connection that all clones of the client share.
async fn send(client: &MultiplexedConnection, command: &Cmd) -> RedisResult<Value> {
    command.query_async(&mut client.clone()).await
}

/// Resolves when a client of the server waits in a command that blocks.
async fn until_one_is_blocked(client: &MultiplexedConnection) -> RedisResult<()> {
    loop {
        let clients: String = cmd("INFO").arg("clients").query_async(&mut client.clone()).await?;
        if clients.contains("blocked_clients:1") {
            return Ok(());
        }
    }
}

/// Shows the effect of a timeout and of the deadline of the socket, on a server where no other client blocks.
///
/// # Errors
///
/// Those of the connection, but for those that it shows.
///
/// # Panics
///
/// If a deadline ends anything else.
pub async fn show(address: SocketAddr, mut say: impl FnMut(&str)) -> Result<(), Box<dyn Error>> {
    let (client, deadlines) = connect(address).await?;
    let (other, _) = connect(address).await?;
    let (ping, push) = (cmd("PING"), cmd("RPUSH").arg(LIST).arg("an item").to_owned());
    let block = cmd("BLPOP").arg(LIST).arg(0).to_owned();

    // The deadline of one command, set when the server has the command.
    let mut blocked = pin!(deadline(None, send(&client, &block)));
    match select(blocked.as_mut(), pin!(until_one_is_blocked(&other))).await {
        Either::Left(_) => panic!("the list has no item"),
        Either::Right((is_blocked, _)) => is_blocked?,
    }
    blocked.as_mut().set_deadline(SHORT);
    let late = blocked.await.expect_err("the list has no item");
    say(&format!("BLPOP: {late}. That command alone is over for its caller"));

    let behind = timeout(SHORT, send(&client, &ping)).await;
    let late = behind.expect_err("the reply to BLPOP comes first");
    say(&format!("PING on the same connection: {late}. Its reply comes after that to BLPOP"));
    send(&other, &ping).await?;
    say("PING on another connection: PONG");

    send(&other, &push).await?;
    send(&client, &ping).await?;
    say("BLPOP has an item, which is thrown away. PING on the first connection: PONG");

    // The deadline of the socket.
    let end = async {
        until_one_is_blocked(&other).await?;
        deadlines.set_read_deadline(SHORT)?;
        Ok::<_, Box<dyn Error>>(())
    };
    let (first, second, set) = join3(send(&client, &block), send(&client, &ping), end).await;
    set?;
    let (first, second) = (first.expect_err("no item"), second.expect_err("behind the first"));
    assert!(deadline_in(&first), "{first:?}");
    say(&format!(
        "The deadline of the socket has ended both commands. BLPOP: {first}. PING: {second}"
    ));
    let later = send(&client, &ping).await.expect_err("the connection has ended");
    say(&format!("PING afterwards: {later}"));

    let (client, _) = connect(address).await?;
    send(&client, &cmd("DEL").arg(LIST).to_owned()).await?;
    say("The client has connected again");
    Ok(())
}
