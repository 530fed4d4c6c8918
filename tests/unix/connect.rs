//! Making a connection, and the state that a failed one leaves.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use netpoll_futures::{UnixListener, UnixStream, raw_os_error};
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{Folder, assert_kind, os, run};

use crate::fixtures::{abstract_name, assert_says, is_there};

#[test]
fn a_path_in_any_form_connects() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        let text = path.to_str().expect("a plain path");
        let streams = [
            UnixStream::connect(&path).await?,
            UnixStream::connect(text).await?,
            UnixStream::connect(text.to_owned()).await?,
            UnixStream::connect_addr(&SocketAddr::from_pathname(text)?).await?,
            UnixStream::connect_timeout(text, Duration::from_secs(3600)).await?,
            UnixStream::connect_timeout(text, Duration::MAX).await?,
            UnixStream::connect_deadline(text, Instant::now() + Duration::from_secs(3600)).await?,
        ];
        for stream in streams {
            let (accepted, _) = listener.accept().await?;
            stream.write_all(b"hello").await?;
            assert_eq!(read_exactly(&accepted, 5).await?, b"hello");
            assert!(os::is_nonblocking(&stream) && os::is_close_on_exec(&stream));
            assert!(os::is_nonblocking(&accepted) && os::is_close_on_exec(&accepted));
        }
        Ok(())
    });
}

#[test]
fn an_abstract_name_in_any_form_connects() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        let bytes = name.as_abstract_name().expect("an abstract name").to_vec();
        let path = format!("\0{}", String::from_utf8(bytes).expect("a plain name"));
        let streams = [
            UnixStream::connect_addr(&name).await?,
            UnixStream::connect(&path).await?,
            UnixStream::connect_timeout(&path, Duration::from_secs(3600)).await?,
        ];
        for stream in streams {
            listener.accept().await?.0.write_all(b"hello").await?;
            assert_eq!(read_exactly(&stream, 5).await?, b"hello");
        }
        Ok(())
    });
}

#[test]
fn a_missing_path_is_not_found() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let text = path.display().to_string();
        assert_says(UnixStream::connect(&path).await, ErrorKind::NotFound, "connect", &text);
        let late = Duration::from_secs(3600);
        let timed = UnixStream::connect_timeout(&path, late).await;
        assert_says(timed, ErrorKind::NotFound, "connect", &text);
        let timed = UnixStream::connect_deadline(&path, Instant::now() + late).await;
        assert_says(timed, ErrorKind::NotFound, "connect", &text);
        Ok(())
    });
}

#[test]
fn a_file_without_a_listener_refuses() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let text = path.display().to_string();
        drop(net::UnixListener::bind(&path)?);
        let error = UnixStream::connect(&path).await;
        assert_says(error, ErrorKind::ConnectionRefused, "connect", &text);
        fs::remove_file(&path)?;
        File::create(&path)?;
        let error = UnixStream::connect(&path).await.expect_err("no socket at all");
        assert_eq!(raw_os_error(&error), Some(libc::ECONNREFUSED), "{error}");
        Ok(())
    });
}

#[test]
fn an_abstract_name_without_a_listener_refuses() {
    run(|| async {
        let name = abstract_name();
        let bytes = name.as_abstract_name().expect("an abstract name");
        let text = format!("@{}", bytes.escape_ascii());
        let error = UnixStream::connect_addr(&name).await;
        assert_says(error, ErrorKind::ConnectionRefused, "connect", &text);
        Ok(())
    });
}

#[test]
fn a_socket_of_another_kind_is_told_apart() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let _other = net::UnixDatagram::bind(&path)?;
        let error = UnixStream::connect(&path).await.expect_err("it takes datagrams");
        assert_eq!(raw_os_error(&error), Some(libc::EPROTOTYPE), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        Ok(())
    });
}

#[test]
fn a_bad_address_is_an_error() {
    run(|| async {
        let long = format!("/{}", "a".repeat(107));
        let error = UnixStream::connect(&long).await;
        assert_says(error, ErrorKind::InvalidInput, "connect", &long);
        let error = UnixListener::bind(&long).expect_err("too long");
        assert!(error.to_string().ends_with(": a name of 108 bytes, where 107 are the most"));
        let name = format!("\0{}", "a".repeat(108));
        let subject = format!("@{}", &name[1..]);
        assert_says(UnixListener::bind(&name), ErrorKind::InvalidInput, "bind", &subject);
        assert_kind(UnixStream::connect("a\0b").await, ErrorKind::InvalidInput);
        assert_kind(UnixListener::bind("a\0b"), ErrorKind::InvalidInput);
        assert_says(UnixStream::connect("").await, ErrorKind::InvalidInput, "connect", "(unnamed)");
        Ok(())
    });
}

/// The longest there are.
#[test]
fn a_path_may_have_107_bytes() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket().into_os_string().into_string().expect("a plain path");
        let path = format!("{path}{}", "a".repeat(107 - path.len()));
        let listener = UnixListener::bind(&path)?;
        assert_eq!(
            listener.local_addr()?.as_pathname().and_then(|path| path.to_str()),
            Some(&*path)
        );
        UnixStream::connect(&path).await?.write_all(b"hello").await?;
        assert_eq!(read_exactly(&listener.accept().await?.0, 5).await?, b"hello");
        listener.close().await?;
        assert!(!is_there(path.as_ref()));
        Ok(())
    });
}
