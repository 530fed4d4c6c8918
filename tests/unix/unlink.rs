//! The file of a listener: the listener that made it removes it, once, when it is closed.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::pin::pin;

use netpoll_futures::{UnixListener, UnixStream};
use netpoll_tests::fixtures::{Folder, assert_closed, poll_once, run};

use crate::fixtures::is_there;

#[test]
fn closing_removes_the_file() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        for _ in 0..3 {
            let listener = UnixListener::bind(&path)?;
            let _clone = listener.clone();
            assert!(is_there(&path));
            listener.close().await?;
            assert!(!is_there(&path), "though there is a clone");
        }
        Ok(())
    });
}

#[test]
fn the_last_clone_removes_the_file() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        let clone = listener.clone();
        drop(listener);
        assert!(is_there(&path), "a clone is left");
        UnixStream::connect(&path).await?;
        clone.accept().await?;
        drop(clone);
        assert!(!is_there(&path));
        UnixListener::bind(&path)?;
        Ok(())
    });
}

#[test]
fn a_close_that_is_dropped_has_removed_the_file() {
    run(|| async {
        let directory = Folder::new()?;
        let listener = UnixListener::bind(directory.socket())?;
        let _ = poll_once(pin!(listener.close()));
        assert!(!is_there(&directory.socket()));
        Ok(())
    });
}

/// A file that is there by then belongs to another listener.
#[test]
fn the_file_is_removed_once() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let first = UnixListener::bind(&path)?;
        let clone = first.clone();
        first.close().await?;
        let second = UnixListener::bind(&path)?;
        clone.set_unlink_on_close(true);
        assert_closed(clone.close().await);
        drop((first, clone));
        assert!(is_there(&path));
        UnixStream::connect(&path).await?;
        second.accept().await?;
        Ok(())
    });
}

#[test]
fn the_file_stays_if_it_is_to() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        listener.clone().set_unlink_on_close(false);
        listener.close().await?;
        assert!(is_there(&path));
        fs::remove_file(&path)?;
        let listener = UnixListener::bind(&path)?;
        listener.set_unlink_on_close(false);
        drop(listener);
        assert!(is_there(&path));
        fs::remove_file(&path)?;
        let listener = UnixListener::bind(&path)?;
        listener.set_unlink_on_close(false);
        listener.set_unlink_on_close(true);
        drop(listener);
        assert!(!is_there(&path));
        Ok(())
    });
}

/// A path that is in use stays in use.
#[test]
fn a_failed_bind_removes_nothing() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        UnixListener::bind(&path).expect_err("it is taken");
        UnixStream::connect(&path).await?;
        listener.close().await?;
        File::create(&path)?;
        UnixListener::bind(&path).expect_err("it is a file");
        assert!(is_there(&path));
        Ok(())
    });
}

#[test]
fn a_file_that_is_gone_already_is_as_good() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        fs::remove_file(&path)?;
        listener.close().await
    });
}

#[test]
fn a_file_bound_elsewhere_stays() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        UnixListener::try_from(net::UnixListener::bind(&path)?)?.close().await?;
        assert!(is_there(&path));
        fs::remove_file(&path)?;
        drop(UnixListener::try_from(OwnedFd::from(net::UnixListener::bind(&path)?))?);
        assert!(is_there(&path));
        Ok(())
    });
}

#[test]
fn a_file_bound_elsewhere_goes_on_request() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::try_from(net::UnixListener::bind(&path)?)?;
        listener.set_unlink_on_close(true);
        listener.close().await?;
        assert!(!is_there(&path));
        Ok(())
    });
}

#[test]
fn the_file_of_a_listener_given_away_stays() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = net::UnixListener::try_from(UnixListener::bind(&path)?)?;
        assert!(is_there(&path));
        UnixStream::connect(&path).await?;
        listener.accept()?;
        drop(listener);
        assert!(is_there(&path), "the standard library removes nothing");
        Ok(())
    });
}

#[test]
fn a_duplicate_given_away_changes_nothing() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        let duplicate = OwnedFd::try_from(listener.clone())?;
        assert!(is_there(&path));
        listener.close().await?;
        assert!(!is_there(&path));
        drop(duplicate);
        Ok(())
    });
}

/// An abstract name is no file's.
#[test]
fn an_abstract_name_has_no_file() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        File::create(&path)?;
        let listener = UnixListener::bind(format!("\0{}", path.display()))?;
        listener.set_unlink_on_close(true);
        listener.close().await?;
        assert!(is_there(&path));
        Ok(())
    });
}

/// A newer server has removed the file of the older one and has bound the path anew, as servers do that
/// are started while their predecessor still runs.
#[test]
fn the_file_of_a_newer_listener_stays() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        for close in [true, false] {
            let older = UnixListener::bind(&path)?;
            fs::remove_file(&path)?;
            let newer = UnixListener::bind(&path)?;
            if close {
                older.close().await?;
            }
            drop(older);
            assert!(is_there(&path), "the newer one's");
            UnixStream::connect(&path).await?;
            newer.accept().await?;
            newer.close().await?;
            assert!(!is_there(&path), "its own");
        }
        Ok(())
    });
}

/// The same, where the older one's descriptor was closed some time before its last clone goes: the file
/// system may have given the number of its file to the newer one's by then.
#[test]
fn the_file_of_a_newer_listener_stays_whatever_its_number() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        for _ in 0..20 {
            let older = UnixListener::bind(&path)?;
            fs::remove_file(&path)?;
            older.registration().close().await?;
            let newer = UnixListener::bind(&path)?;
            drop(older);
            assert!(is_there(&path), "the newer one's");
            newer.close().await?;
        }
        Ok(())
    });
}

#[test]
fn a_file_that_has_taken_the_place_of_ours_stays() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let elsewhere = path.with_extension("elsewhere");
        let listener = UnixListener::bind(&path)?;
        fs::rename(&path, &elsewhere)?;
        File::create(&path)?;
        listener.close().await?;
        assert!(is_there(&path) && is_there(&elsewhere));
        Ok(())
    });
}

/// The name is looked up without its last symbolic link, as binding does.
#[test]
fn a_link_to_our_file_stays() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let elsewhere = path.with_extension("elsewhere");
        let listener = UnixListener::bind(&path)?;
        fs::rename(&path, &elsewhere)?;
        std::os::unix::fs::symlink(&elsewhere, &path)?;
        listener.close().await?;
        assert!(is_there(&path) && is_there(&elsewhere));
        Ok(())
    });
}

/// To ask for its removal is to mean the file that was at the path when the listener was taken over.
#[test]
fn of_a_listener_taken_over_the_file_of_a_newer_one_stays() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let older = UnixListener::try_from(net::UnixListener::bind(&path)?)?;
        fs::remove_file(&path)?;
        let newer = UnixListener::bind(&path)?;
        older.set_unlink_on_close(true);
        older.close().await?;
        assert!(is_there(&path));
        newer.close().await
    });
}

#[test]
fn a_directory_that_was_moved_is_not_searched() {
    run(|| async {
        let directory = Folder::new()?;
        let inner = directory.socket();
        fs::create_dir(&inner)?;
        let path = inner.join("socket");
        let listener = UnixListener::bind(&path)?;
        fs::rename(&inner, inner.with_extension("moved"))?;
        listener.close().await?;
        assert!(is_there(&inner.with_extension("moved").join("socket")), "no longer at its path");
        Ok(())
    });
}
