//! Reading files of the host without trusting their size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads at most `limit` bytes of a file; what follows is left out.
///
/// # Errors
/// What the system says, with the path.
pub(super) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit).read_to_end(&mut bytes).map_err(|error| with_path(path, &error))?;
    Ok(bytes)
}

/// Opens a file of the host. A pipe would be waited for and a device read for ever, so only files will do.
///
/// # Errors
/// What the system says, with the path.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = std::fs::metadata(path).and_then(|metadata| {
        if metadata.is_file() { File::open(path) } else { Err(io::Error::other("not a file")) }
    });
    file.map_err(|error| with_path(path, &error))
}

/// The same error, which says what it is about.
pub(super) fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("reading {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap(), b"0123");
        assert_eq!(read_at_most(&path, 40).unwrap(), b"0123456789");
    }

    #[test]
    fn an_error_names_the_file() {
        let error = read_at_most(Path::new("/nonexistent/file"), 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/nonexistent/file"), "{error}");
    }

    #[test]
    fn nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            let error = read_at_most(path, 4).unwrap_err();
            assert!(error.to_string().contains("not a file"), "{error}");
        }
    }
}
