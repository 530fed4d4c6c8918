//! The working directory of the process changes.

use std::fs;
use std::io;
use std::path::PathBuf;

use futures::executor::block_on;
use netpoll_futures::UnixListener;
use netpoll_tests::alone::alone;

/// Two directories of one's own, in one that goes with all that is in it.
struct Directories(PathBuf);

impl Directories {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("netpoll-directory-{}", std::process::id()));
        fs::create_dir_all(path.join("first"))?;
        fs::create_dir_all(path.join("second"))?;
        Ok(Self(path))
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        // A directory that is left behind is for the system to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The listener's own file goes, and a file of that name in the new working directory stays.
#[test]
fn a_relative_path_is_where_it_was_when_it_was_bound() {
    alone("directory::a_relative_path_is_where_it_was_when_it_was_bound", || {
        block_on(async {
            let directories = Directories::new()?;
            let [first, second] = ["first", "second"].map(|name| directories.0.join(name));
            std::env::set_current_dir(&first)?;
            let listener = UnixListener::bind("socket")?;
            std::env::set_current_dir(&second)?;
            let other = UnixListener::bind("socket")?;
            listener.close().await?;
            assert!(!first.join("socket").exists(), "its own");
            assert!(second.join("socket").exists(), "the other's");
            std::env::set_current_dir("/")?;
            drop(other);
            assert!(!second.join("socket").exists());
            io::Result::Ok(())
        })
        .expect("no error");
    });
}
