//! Digests of files: whether one is what it was when it was written.

use std::fs::File;
use std::io::{self, Read, Seek};
use twox_hash::XxHash3_128;

/// Bytes and XXH3 digest of 128 bits of a whole file, as `xxhsum -H2` prints it. Leaves the file at its
/// end.
pub(crate) fn digest(file: &mut File) -> io::Result<(u64, u128)> {
    file.rewind()?;
    // Stays in a core's own cache between reading and digesting.
    let mut buffer = vec![0; 1 << 18];
    let (mut hasher, mut bytes) = (XxHash3_128::new(), 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hasher.finish_128())),
            Ok(read) => {
                hasher.write(&buffer[..read]);
                bytes += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The same digest of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn digests_are_those_of_xxhsum() {
        let text: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
        for (bytes, expected) in [
            (&b""[..], "99aa06d3014798d86001c324468d497f"),
            (&text, "dfb6f6edc65afc87ba720342ab994bcc"),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            let (length, read) = digest(&mut file).unwrap();
            assert_eq!((length, read), (bytes.len() as u64, digest_of(bytes)));
            assert_eq!(format!("{read:032x}"), expected);
        }
    }
}
