//! Packed descriptors, as generated code has them: DEFLATE, a quarter of the size.

use crate::SchemaError;

/// From 3 on the size hardly changes, and a build script without optimisation takes twice the time at 6.
const LEVEL: u8 = 3;

/// What is unpacked may have so many bytes.
const MAX_BYTES: usize = 256 << 20;

/// Packs encoded descriptors.
pub fn pack(descriptors: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec(descriptors, LEVEL)
}

/// Unpacks what [`pack`] made.
///
/// # Errors
///
/// The bytes were not packed so, or are more than 256 MiB.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, SchemaError> {
    miniz_oxide::inflate::decompress_to_vec_with_limit(packed, MAX_BYTES)
        .map_err(|_| SchemaError::NotPacked)
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};
    use crate::SchemaError;

    #[test]
    fn what_was_packed_comes_back() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let packed = pack(&bytes);
        assert!(packed.len() < 2_000, "{}", packed.len());
        assert_eq!(unpack(&packed), Ok(bytes));
        assert_eq!(unpack(&pack(b"")), Ok(Vec::new()));
        assert_eq!(unpack(b"\xff\xff"), Err(SchemaError::NotPacked));
    }
}
