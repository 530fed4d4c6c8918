//! Servers and clients of our own, where the real ones are not installed: as much of RESP and of
//! HTTP as the tests need, blocking, a thread for each connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server on a thread of its own, for as long as this process runs. Serving may fail when the
/// client is gone.
pub(crate) fn serve(
    connection: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, connection) = (stream.expect("a connection"), connection.clone());
            thread::spawn(move || connection(stream));
        }
    });
    address
}

/// Sends each byte back, until the end.
pub(crate) fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len])?;
    }
}

/// A `redis-server` that knows `SET`, `GET` and, inline, `PING`. Each connection has its own keys.
pub(crate) fn redis(stream: TcpStream) -> io::Result<()> {
    let (mut requests, mut answers) = (BufReader::new(stream.try_clone()?), stream);
    let mut keys = std::collections::HashMap::new();
    while let Some(words) = command(&mut requests)? {
        let answer = match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["PING"] => "+PONG\r\n".to_owned(),
            ["SET", key, value] => {
                keys.insert((*key).to_owned(), (*value).to_owned());
                "+OK\r\n".to_owned()
            }
            ["GET", key] => keys.get(*key).map_or("$-1\r\n".to_owned(), |value| bulk(value)),
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        answers.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let len = input.read_line(&mut line)?;
    Ok((len > 0).then(|| line.trim_end().to_owned()))
}

/// The words of a command: an array of bulk strings, or a line.
fn command(input: &mut impl BufRead) -> io::Result<Option<Vec<String>>> {
    let Some(first) = line(input)? else { return Ok(None) };
    let Some(count) = first.strip_prefix('*') else {
        return Ok(Some(first.split(' ').map(str::to_owned).collect()));
    };
    let count: usize = count.parse().map_err(io::Error::other)?;
    (0..count).map(|_| string(input)).collect::<io::Result<_>>().map(Some)
}

fn string(input: &mut impl BufRead) -> io::Result<String> {
    let len = line(input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let len: usize = len.trim_start_matches('$').parse().map_err(io::Error::other)?;
    let mut bytes = vec![0; len + 2];
    input.read_exact(&mut bytes)?;
    bytes.truncate(len);
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// A web server that says hello to everything.
pub(crate) fn http(stream: TcpStream) -> io::Result<()> {
    let (mut requests, mut answers) = (BufReader::new(stream.try_clone()?), stream);
    while let Some(request) = line(&mut requests)? {
        assert!(request.starts_with("GET /"), "{request}");
        while line(&mut requests)?.is_some_and(|header| !header.is_empty()) {}
        answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")?;
    }
    Ok(())
}

/// Twenty clients at once, each with a connection of its own.
fn crowd(address: SocketAddr, client: impl Fn(TcpStream) -> io::Result<()> + Send + Sync) {
    let failed = Arc::new(Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let done = TcpStream::connect(address).and_then(&client);
                failed.lock().expect("it is only pushed to").extend(done.err());
            });
        }
    });
    let failed = failed.lock().expect("it is only pushed to");
    assert!(failed.is_empty(), "{failed:?}");
}

/// The load of `redis-benchmark`: 2000 times `SET`, and 2000 times `GET`.
pub(crate) fn redis_benchmark(address: SocketAddr) {
    crowd(address, |mut stream| {
        for number in 0..100 {
            let value = number.to_string();
            let set = format!("*3\r\n{}{}{}", bulk("SET"), bulk("key"), bulk(&value));
            talk(&mut stream, &set, "+OK\r\n")?;
            let get = format!("*2\r\n{}{}", bulk("GET"), bulk("key"));
            // Other clients may set the keys of a server, so only the length is known.
            if number % 10 == 0 {
                stream.write_all(get.as_bytes())?;
                let mut input = BufReader::new(&stream);
                let value = string(&mut input)?;
                assert!(value.parse::<u32>().is_ok_and(|value| value < 100), "{value}");
            }
        }
        Ok(())
    });
}

/// The load of `wrk`: as many requests as there are answers.
pub(crate) fn wrk(address: SocketAddr) {
    crowd(address, |mut stream| {
        let mut answers = BufReader::new(stream.try_clone()?);
        for _ in 0..100 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let status = line(&mut answers)?;
            assert_eq!(status.as_deref(), Some("HTTP/1.1 200 OK"));
            while line(&mut answers)?.is_some_and(|header| !header.is_empty()) {}
            assert_eq!(line(&mut answers)?.as_deref(), Some("hello"));
        }
        Ok(())
    });
}

fn talk(stream: &mut TcpStream, question: &str, expected: &str) -> io::Result<()> {
    stream.write_all(question.as_bytes())?;
    let mut answer = vec![0; expected.len()];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
    Ok(())
}
