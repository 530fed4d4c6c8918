//! A program of tokio's compiles unchanged and without a warning: no method of ours goes before one of its traits.
#![deny(warnings)]

use std::fs;
use std::path::Path;

use netpoll_tests::watched;

use crate::fixtures::everywhere;

/// The same program, over the sockets of either crate. Where an inherent method went before a method of a trait, the
/// import of the trait would be unused, and `deny(warnings)` refuse it.
macro_rules! program {
    ($name:ident, $net:path) => {
        async fn $name() -> std::io::Result<()> {
            use tokio::io::AsyncReadExt as _;
            use tokio::io::AsyncWriteExt as _;
            use $net as net;

            let listener = net::TcpListener::bind("127.0.0.1:0").await?;
            let mut client = net::TcpStream::connect(listener.local_addr()?).await?;
            let (mut server, _) = listener.accept().await?;
            client.write_all(b"hello").await?;
            assert_eq!(client.write(b"!").await?, 1);
            client.flush().await?;
            client.shutdown().await?;
            let mut buffer = [0; 2];
            assert!(server.read(&mut buffer).await? > 0);
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await?;
            assert_eq!(rest.last(), Some(&b'!'));
            Ok(())
        }
    };
}

program!(over_tokio, tokio::net);
program!(over_netpoll, netpoll_tokio::net);

/// Both types are tokio's own.
const _: (tokio::io::Interest, tokio::io::Ready) =
    (netpoll_tokio::io::Interest::READABLE, netpoll_tokio::io::Ready::EMPTY);

/// Each trait is used by itself, so that neither import hides that the other is unused.
async fn only_reads(mut stream: netpoll_tokio::net::UnixStream) -> std::io::Result<usize> {
    use tokio::io::AsyncReadExt;

    stream.read(&mut [0; 8]).await
}

async fn only_writes(mut stream: netpoll_tokio::net::UnixStream) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;

    stream.write_all(b"hello").await
}

#[test]
fn a_program_of_tokios_compiles_unchanged_without_a_warning() {
    everywhere(|| async {
        over_netpoll().await?;
        let (near, far) = netpoll_tokio::net::UnixStream::pair()?;
        only_writes(near).await?;
        assert_eq!(only_reads(far).await?, 5);
        Ok(())
    });
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(over_tokio()).expect("no error");
    });
}

/// The method names of tokio's extension traits.
const METHODS: [&str; 21] = [
    "chain",
    "read",
    "read_buf",
    "read_exact",
    "read_to_end",
    "read_to_string",
    "take",
    "flush",
    "shutdown",
    "write",
    "write_all",
    "write_all_buf",
    "write_buf",
    "write_vectored",
    "read_until",
    "read_line",
    "split_at",
    "lines",
    "fill_buf",
    "consume",
    "seek",
];

#[test]
fn no_stream_has_a_method_that_goes_before_one_of_tokios_traits() {
    watched(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/tokio/src");
        let streams = ["stream.rs", "halves.rs", "forward.rs", "tcp.rs", "unix.rs"];
        let mut offences = Vec::new();
        let mut seen = 0;
        for file in streams {
            let text = fs::read_to_string(folder.join(file)).expect("a source");
            for line in text.lines() {
                // With or without `pub`, which macros add.
                let line = line.trim_start();
                let line = line.strip_prefix("pub ").unwrap_or(line);
                let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
                let Some(function) = function else { continue };
                let name = function.split(['(', '<']).next().expect("a name");
                seen += 1;
                let is_integer = name.starts_with("read_") || name.starts_with("write_");
                let is_integer = is_integer && name.ends_with(|last: char| last.is_ascii_digit());
                if METHODS.contains(&name) || is_integer {
                    offences.push(format!("{file}: {name}"));
                }
            }
        }
        assert!(seen > 50, "the sources were not understood");
        assert!(offences.is_empty(), "{offences:?}");
    });
}
